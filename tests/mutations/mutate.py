"""One change to a good program, of a named kind: what compilers and people get wrong.

Every function takes the records of a program and dice, and gives records with one thing changed, or None when the
program has nothing of the kind. Changed fields stay within their ranges, so every mutant can be encoded.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

from sim.machine.encoding import Record
from sim.machine.isa import BY_NAME, INTEGERS, QUEUES

Records = list[tuple[str, dict[str, int | float]]]
Mutation = Callable[[Sequence[Record], random.Random], Records | None]

_ADDRESSES = ("dram", "sram", "address", "params", "table", "in.base", "res.base", "out.base", "a.base", "b.base")
_SIZES = ("bytes", "count1", "count2", "oy", "ox", "outputs", "inputs", "channels")
_STRIDES = (
    *("dram_stride1", "dram_stride2", "sram_stride1", "sram_stride2", "output_stride", "tap_stride"),
    *(f"{name}.{stride}" for name in ("in", "res", "out", "a", "b") for stride in ("row_stride", "pixel_stride")),
)


def _copied(records: Sequence[Record]) -> Records:
    return [(name, dict(fields)) for name, fields in records]


def _queue(record: Record) -> str:
    return BY_NAME[record[0]].queue


def _used(name: str, fields: Mapping[str, int | float], field: str) -> bool:
    """Whether an instruction takes notice of a field."""
    if name == "conv":
        if field.startswith("res."):
            return bool(fields["last"] and fields["residual"])
        if field == "table":
            return bool(fields["last"] and fields["has_table"])
        if field == "params" or field.startswith("out."):
            return bool(fields["last"])
    if name == "vector":
        if field.startswith("b."):
            return fields["op"] in (1, 2)
        if field in ("params", "table"):
            return fields["op"] == {"params": 6, "table": 7}[field]
    operand = field.partition(".")[0]
    if field.endswith("row_stride"):
        return fields["oy"] > 1
    if field.endswith("pixel_stride"):
        return fields["ox"] > 1
    counted = {"1": "count1", "2": "count2"}.get(field[-1]) if "stride" in field else None
    if counted is not None:
        return fields[counted] > 1
    if field == "output_stride":
        return fields["outputs"] > 1
    if field == "tap_stride":
        return fields["fy"] * fields["fx"] > 1
    return operand in fields or f"{operand}.base" in fields


def _fields(records: Sequence[Record], names: Sequence[str]) -> list[tuple[int, str]]:
    return [
        (index, field)
        for index, (name, fields) in enumerate(records)
        for field in names
        if field in fields and _used(name, fields, field)
    ]


def _set(records: Sequence[Record], index: int, field: str, value: int | float) -> Records | None:
    """The records with one field changed; None when the value is the old one or out of the field's range."""
    name, fields = records[index]
    described = {f.name: f for f in BY_NAME[name].fields}.get(field)
    low, high = (described.low, described.high) if described is not None else INTEGERS["u16"]
    if value == fields[field] or not low <= value <= high:
        return None
    made = _copied(records)
    made[index][1][field] = value
    return made


def _waits(records: Sequence[Record], least: int) -> list[tuple[int, str]]:
    return [
        (index, f"wait.{queue}")
        for index, (_, fields) in enumerate(records)
        for queue in QUEUES
        if fields[f"wait.{queue}"] >= least
    ]


def wait_removed(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A wait is gone."""
    found = _waits(records, 1)
    return _set(records, *dice.choice(found), 0) if found else None


def wait_lowered(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A wait counts to less, but still to something."""
    found = _waits(records, 2)
    if not found:
        return None
    index, field = dice.choice(found)
    return _set(records, index, field, dice.randint(1, int(records[index][1][field]) - 1))


def wait_raised(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A wait counts to more, at most one beyond what the queue has."""
    found = _waits(records, 1)
    if not found:
        return None
    index, field = dice.choice(found)
    length = sum(_queue(record) == field.removeprefix("wait.") for record in records)
    now = int(records[index][1][field])
    return _set(records, index, field, dice.randint(now + 1, max(now, length) + 1))


def wait_moved(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A wait is for another queue than it should be."""
    found = _waits(records, 1)
    if not found:
        return None
    index, field = dice.choice(found)
    others = [q for q in QUEUES if q != _queue(records[index]) and not records[index][1][f"wait.{q}"]]
    if not others:
        return None
    made = _copied(records)
    made[index][1][f"wait.{dice.choice(others)}"] = made[index][1][field]
    made[index][1][field] = 0
    return made


def address_shifted(records: Sequence[Record], dice: random.Random) -> Records | None:
    """An operand begins some bytes earlier or later, or where another buffer does."""
    index, field = dice.choice(_fields(records, _ADDRESSES))
    delta = dice.choice((1, 2, 4, 8, 16, 64, 64, 128, 192)) * dice.choice((-1, 1))
    return _set(records, index, field, int(records[index][1][field]) + delta)


def size_shifted(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A size is larger or smaller by a little."""
    index, field = dice.choice(_fields(records, _SIZES))
    return _set(records, index, field, int(records[index][1][field]) + dice.choice((-2, -1, 1, 1, 2)))


def stride_shifted(records: Sequence[Record], dice: random.Random) -> Records | None:
    """The distance of rows, pixels or kernel positions is off by a little."""
    found = _fields(records, _STRIDES)
    if not found:
        return None
    index, field = dice.choice(found)
    return _set(records, index, field, int(records[index][1][field]) + dice.choice((-2, -1, 1, 2, 8)))


def ring_turned(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A ring begins at another slot, or has one more or fewer."""
    rings = [(i, f) for i, (_, fields) in enumerate(records) for f in fields if f.endswith("ring") and fields[f]]
    if not rings:
        return None
    index, field = dice.choice(rings)
    rows, row = int(records[index][1][field]), field.removesuffix("ring") + "row"
    if rows > 1 and dice.random() < 0.5:
        return _set(records, index, row, (int(records[index][1][row]) + dice.randint(1, rows - 1)) % rows)
    return _set(records, index, field, rows + dice.choice((-1, 1)))


def neighbours_swapped(records: Sequence[Record], dice: random.Random) -> Records | None:
    """Two instructions that follow each other in a queue change places, with their waits."""
    pairs: list[tuple[int, int]] = []
    for queue in QUEUES:
        members = [index for index, record in enumerate(records) if _queue(record) == queue]
        pairs += itertools.pairwise(members)
    if not pairs:
        return None
    made = _copied(records)
    a, b = dice.choice(pairs)
    made[a], made[b] = made[b], made[a]
    return made


def half_exchanged(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A fill or a conv names the other half of L1."""
    found = [index for index, (name, _) in enumerate(records) if name in ("fill", "conv")]
    if not found:
        return None
    index = dice.choice(found)
    return _set(records, index, "half", 1 - int(records[index][1]["half"]))


def _without(records: Sequence[Record], index: int) -> Records:
    """The records without one; waits count on as if it had never been there."""
    queue = _queue(records[index])
    position = sum(_queue(record) == queue for record in records[:index])
    made = _copied(records)
    del made[index]
    for _, fields in made:
        if fields[f"wait.{queue}"] > position:
            fields[f"wait.{queue}"] -= 1
    return made


def configuration_dropped(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A load_config or a configure is missing, or one load_config takes the image of another."""
    found = [index for index, (name, _) in enumerate(records) if name in ("load_config", "configure")]
    if not found:
        return None
    index = dice.choice(found)
    others = [f for i, (name, f) in enumerate(records) if name == "load_config" and i != index]
    if records[index][0] == "load_config" and others and dice.random() < 0.5:
        other = dice.choice(others)
        made = _copied(records)
        made[index][1].update(space=other["space"], address=other["address"])
        return made
    return _without(records, index)


def slot_exchanged(records: Sequence[Record], dice: random.Random) -> Records | None:
    """The slots are exchanged once more than they should be, or a configure comes one instruction early or late."""
    found = [index for index, (name, _) in enumerate(records) if name == "configure"]
    if not found:
        return None
    index = dice.choice(found)
    members = [i for i, record in enumerate(records) if _queue(record) == "array"]
    near = [i for i in members if abs(members.index(i) - members.index(index)) == 1]
    made = _copied(records)
    if near and dice.random() < 0.5:
        other = dice.choice(near)
        made[index], made[other] = made[other], made[index]
        return made
    position = members.index(index)
    for _, fields in made:
        if fields["wait.array"] > position:
            fields["wait.array"] += 1
    made.insert(index, ("configure", dict(made[index][1])))
    return made


def instruction_dropped(records: Sequence[Record], dice: random.Random) -> Records | None:
    """Any instruction is missing."""
    return _without(records, dice.randrange(len(records)))


def pass_mistaken(records: Sequence[Record], dice: random.Random) -> Records | None:
    """A pass of a reduction is first or last, or neither, by mistake."""
    found = [index for index, (name, _) in enumerate(records) if name == "conv"]
    if not found:
        return None
    index, field = dice.choice(found), dice.choice(("first", "last"))
    return _set(records, index, field, int(not records[index][1][field]))


KINDS: dict[str, Mutation] = {
    "wait removed": wait_removed,
    "wait lowered": wait_lowered,
    "wait raised": wait_raised,
    "wait for another queue": wait_moved,
    "address shifted": address_shifted,
    "size shifted": size_shifted,
    "stride shifted": stride_shifted,
    "ring turned or resized": ring_turned,
    "neighbours of a queue swapped": neighbours_swapped,
    "half exchanged": half_exchanged,
    "configuration dropped or another": configuration_dropped,
    "slots exchanged once more, early or late": slot_exchanged,
    "first or last pass mistaken": pass_mistaken,
    "instruction dropped": instruction_dropped,
}
"""Kinds of mutation by name, as the table lists them."""
