"""Programs with one thing changed that alters what is computed: wrong weights, operands, boxes, sums, parameters."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence

import numpy as np

from sim.machine.encoding import Record, decode, encode
from sim.machine.errors import EncodingError
from sim.machine.isa import BY_NAME, INTEGERS
from sim.machine.program import MachineSegment, Program
from tests.mutations.mutate import KINDS as OF_STRUCTURE

Records = list[tuple[str, dict[str, int | float]]]
Mutant = Callable[[Program, MachineSegment, Records, random.Random], Program | None]


def records_of(segment: MachineSegment) -> Records:
    """A segment's instructions, to be changed at will."""
    return [(name, dict(fields)) for name, fields in decode(segment.code).records()]


def with_records(program: Program, segment: MachineSegment, records: Sequence[Record]) -> Program | None:
    """The program with other instructions in one segment; None where a field cannot hold its value."""
    try:
        code = encode(records)
    except EncodingError:
        return None
    layers = np.resize(segment.layer_of, len(records)).astype(np.uint32)
    made = dataclasses.replace(segment, code=code, layer_of=layers)
    return dataclasses.replace(program, segments=tuple(made if s is segment else s for s in program.segments))


def constant_changed(program: Program, _s: MachineSegment, _r: Records, dice: random.Random) -> Program | None:
    """One bit of a weight, bias, scale, table or image."""
    if not program.constants.size:
        return None
    constants = program.constants.copy()
    constants[dice.randrange(constants.size)] ^= 1 << dice.randrange(8)
    return dataclasses.replace(program, constants=constants)


def field_changed(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
    """Any field of any instruction, a little or at random."""
    name, fields = dice.choice(records)
    described = dice.choice(BY_NAME[name].fields or [None])
    if described is None:
        return None
    old = fields[described.name]
    if described.type in INTEGERS:
        new = dice.choice([old - 1, old + 1, old + 16, old - 16, dice.randint(described.low, described.high)])
        fields[described.name] = min(max(int(new), described.low), described.high)
    else:
        fields[described.name] = float(np.float32(dice.choice([old * 1.01, -old, old + 0.5])))
    return with_records(program, segment, records)


def operands_exchanged(
    program: Program, segment: MachineSegment, records: Records, dice: random.Random
) -> Program | None:
    """Two operands of an instruction, or those of two instructions of one kind."""
    name, fields = dice.choice(records)
    pairs = [("a", "b"), ("in", "res"), ("in", "out"), ("a", "out")]
    known = [(x, y) for x, y in pairs if f"{x}.base" in fields and f"{y}.base" in fields]
    if known and dice.random() < 0.6:
        x, y = dice.choice(known)
        for part in ("base", "row_stride", "pixel_stride", "ring", "row"):
            fields[f"{x}.{part}"], fields[f"{y}.{part}"] = fields[f"{y}.{part}"], fields[f"{x}.{part}"]
    else:
        _, other = dice.choice([each for each in records if each[0] == name])
        for part in ("params", "table", "address", "in.base", "a.base", "dram", "sram"):
            if part in fields and dice.random() < 0.5:
                fields[part], other[part] = other[part], fields[part]
    return with_records(program, segment, records)


def sums_miscounted(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
    """A partial sum is missed or counted twice."""
    passes = [at for at, (name, _) in enumerate(records) if name == "conv"]
    if not passes:
        return None
    at = dice.choice(passes)
    if dice.random() < 0.5:
        records.insert(at, (records[at][0], {**records[at][1], "last": 0}))
        records[at + 1][1]["first"] = 0
    else:
        field = dice.choice(["first", "last"])
        records[at][1][field] = int(not records[at][1][field])
    return with_records(program, segment, records)


def box_moved(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
    """A box of an operand begins one row, pixel or channel aside, or its padding is counted to the other side."""
    _, fields = dice.choice(records)
    moves = [(name, by) for name in ("in.base", "a.base", "b.base", "res.base", "out.base", "sram", "dram")
             if name in fields for by in (1, -1, 16, fields.get(f"{name.partition('.')[0]}.pixel_stride", 16),
                                          -fields.get(f"{name.partition('.')[0]}.row_stride", 1))]  # fmt: skip
    pads = [pair for pair in (("top", "bottom"), ("left", "right")) if fields.get(pair[0], 0) != fields.get(pair[1], 0)]
    if pads and dice.random() < 0.5:
        one, other = dice.choice(pads)
        fields[one], fields[other] = fields[other], fields[one]
    elif moves:
        name, by = dice.choice(moves)
        fields[name] = max(0, int(fields[name] + by))
    else:
        return None
    return with_records(program, segment, records)


def pad_value_wrong(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
    """Padding supplies another code than the zero point."""
    padded = [fields for _, fields in records if "pad_value" in fields and fields["top"] + fields["left"]]
    if not padded:
        return None
    fields = dice.choice(padded)
    fields["pad_value"] = dice.choice([value for value in (-128, -1, 0, 127) if value != fields["pad_value"]])
    return with_records(program, segment, records)


def parameter_wrong(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
    """A zero point, clamp, ratio, table or place of parameters is another."""
    names = (
        "zero_point",
        "lo",
        "hi",
        "sum_lo",
        "sum_hi",
        "za",
        "zb",
        "ra",
        "rb",
        "fix",
        "params",
        "table",
        "weight_zero",
    )
    _, fields = dice.choice(records)
    known = [name for name in names if name in fields]
    if not known:
        return None
    name = dice.choice(known)
    if isinstance(fields[name], float):
        fields[name] = float(np.float32(fields[name] * dice.choice([-1, 0.5, 1.0001]) + dice.choice([0, 1])))
    else:
        fields[name] = int(fields[name]) + dice.choice([-8, -1, 1, 8])
    return with_records(program, segment, records)


def _of_structure(kind: str) -> Mutant:
    def mutant(program: Program, segment: MachineSegment, records: Records, dice: random.Random) -> Program | None:
        made = OF_STRUCTURE[kind](records, dice)
        return with_records(program, segment, made) if made else None

    return mutant


KINDS: dict[str, Mutant] = {
    "constant changed": constant_changed,
    "field changed": field_changed,
    "operands exchanged": operands_exchanged,
    "partial sum missed or doubled": sums_miscounted,
    "box moved by one": box_moved,
    "pad value wrong": pad_value_wrong,
    "parameter wrong": parameter_wrong,
    **{kind: _of_structure(kind) for kind in OF_STRUCTURE},
}
