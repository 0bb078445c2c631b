"""What the table of operations states, against the machine in motion; and that no stated fact can be wrong unnoticed.

Random instructions are carried out by the engine, whose handlers look no fact up, and watched: the fields it looks at,
the bytes it touches, what it refuses, which elements of the result depend on which of the operands. Everybody who takes
facts from the rows is then held against that: the proof, the footprint, the clock, the verifiers and the meaning. The
last test states every fact of every row wrongly, one after the other, and wants somebody to disagree each time.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import VerifyException

from dialects import accel, tile
from dialects.accel_attributes import is_address, required
from dialects.cnn import WindowAttr
from dialects.meaning import accel as accel_meaning
from dialects.meaning import steps
from dialects.meaning.steps import MeaningError
from passes.accel import footprint
from passes.proof.hazards import HazardError
from passes.proof.limits import obeys
from passes.proof.touched import SRAM, touched
from sim import vector_unit
from sim.machine import clock, encoding, operations
from sim.machine.errors import EncodingError
from sim.machine.isa import BY_NAME, VECTOR_OPS
from sim.machine.operations import CHANNELS, OPERATIONS, READS, SECONDS, SIDES, SIZES, Operation
from sim.machine.order import order
from sim.memory import Box, Memory, Violation
from tests.second_clock.laws import vector_busy
from tests.sim.support import SMALL, Watched, engine

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SIZE = SMALL.sram.bytes
A, B, PARAMS, TABLE, OUT = 0x0000, 0x4000, 0x8000, 0x9000, 0xA000
DRAWS = 48
ADDRESSES = frozenset(field.name for field in BY_NAME["vector"].fields if is_address(field.name))


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """An instruction, memory before and after it, and what the engine looked at: fields, and bytes read and written."""

    fields: dict[str, Any]
    before: Bytes
    after: Bytes
    seen: frozenset[str]
    reads: Mask
    writes: Mask
    refused: bool

    @property
    def stream(self) -> encoding.Stream:
        return encoding.decode(encoding.encode([("vector", self.fields)]))


def fields_of(dice: random.Random, op: int) -> dict[str, Any]:
    """An instruction that any operation may have, or refuse: no fact decides what it holds."""
    small = dice.random() < 0.4
    f: dict[str, Any] = {
        **encoding.defaults("vector"),
        "op": op,
        "oy": 1 if small else dice.randint(1, 4),
        "ox": 1 if small else dice.randint(1, 4),
        "channels": dice.choice((1, 2, 4, 6, 20)),
        "size": dice.choice((0, 1, 1, 2, 3)),
        "b_broadcast": dice.randint(0, 1),
        **{name: dice.randint(1, 3) for name in ("fy", "fx", "sy", "sx")},
        **{name: dice.choice((0, 1, 2, 3, 4)) for name in ("iy", "ix")},
        **{name: dice.randint(-20, 20) for name in ("za", "zb", "zero_point", "pad_value")},
        **{name: float(np.float32(dice.uniform(0.25, 2))) for name in ("ra", "fix", "beta", "bias")},
        "alpha": float(np.float32(dice.uniform(0.25, 2) * dice.choice((0.001, 0.01, 1)))),
        "rb": dice.choice((0.0, float(np.float32(dice.uniform(0.25, 2))))),
        "lo": dice.randint(-128, -60),
        "hi": dice.randint(60, 127),
        "params": PARAMS + 8 * dice.randint(0, 9),
        "table": TABLE + dice.randint(0, 99),
    }
    rows, columns = (f["oy"] - 1) * f["sy"] + f["fy"], (f["ox"] - 1) * f["sx"] + f["fx"]
    f["top"], f["left"] = dice.choice((0, 0, dice.randint(0, rows))), dice.choice((0, 0, dice.randint(0, columns)))
    f["bottom"] = dice.choice((0, 0, dice.randint(0, rows)))
    f["right"] = dice.choice((0, 0, dice.randint(0, columns)))
    for name, base, wide in (("a", A, 12), ("b", B, 4), ("out", OUT, 4)):
        f[f"{name}.base"] = base + dice.randint(0, 40)
        f[f"{name}.pixel_stride"] = f["channels"] + dice.randint(0, 3)
        f[f"{name}.row_stride"] = f[f"{name}.pixel_stride"] * wide + dice.randint(0, 3)
        f[f"{name}.ring"] = dice.choice((0, 0, 0, 4, 12, 3))
        f[f"{name}.row"] = dice.randint(0, 3)
    return f


def memory_of(dice: random.Random) -> Bytes:
    """A memory full of anything, with numbers where parameters lie."""
    numbers = np.random.default_rng(dice.randrange(1 << 30))
    memory = numbers.integers(0, 256, SIZE, np.uint8)
    memory[PARAMS:TABLE] = numbers.uniform(-2, 2, (TABLE - PARAMS) // 4).astype("<f4").view(np.uint8)
    return memory


def executed(fields: Mapping[str, Any], memory: Bytes) -> Draw:
    """What the engine makes of an instruction."""
    made, watched = engine(), Watched(fields)
    made.sram.preset(0, memory)
    masks = {False: np.zeros(SIZE, np.bool_), True: np.zeros(SIZE, np.bool_)}

    def observe(_memory: Memory, box: Box, write: bool) -> None:
        starts = np.add.outer(np.arange(box.rows) * box.row_stride, np.arange(box.columns) * box.column_stride)
        masks[write][(box.start + starts[..., None] + np.arange(box.run)).ravel()] = True

    made.sram.observer = observe
    refused = False
    try:
        made.execute("vector", watched)
    except Violation:
        refused = True
    return Draw(dict(fields), memory, made.sram.data, frozenset(watched.seen), masks[False], masks[True], refused)


@functools.cache
def draws(name: str) -> tuple[Draw, ...]:
    """The same random instructions of an operation every time; about half of them are carried out."""
    dice = random.Random(f"operation {name}")
    number = VECTOR_OPS.index(name)
    return tuple(executed(fields_of(dice, number), memory_of(dice)) for _ in range(DRAWS))


def good(name: str) -> Iterator[Draw]:
    return (draw for draw in draws(name) if not draw.refused)


def address(f: Mapping[str, Any], name: str, y: int, x: int, c: int) -> int:
    """The byte of an element of an operand."""
    slot = f[f"{name}.row"] + y
    slot = slot % f[f"{name}.ring"] if f[f"{name}.ring"] else slot
    return f[f"{name}.base"] + slot * f[f"{name}.row_stride"] + x * f[f"{name}.pixel_stride"] + c


@functools.cache
def dependence(name: str) -> tuple[bool, bool]:
    """Whether, with one element of an operand changed, any other element and any other channel of a result changes."""
    place = channel = False
    dice = random.Random(f"dependence {name}")
    for draw in good(name):
        f = draw.fields
        for operand in ("a", "a", "a", "b") if not f["b_broadcast"] else ("a", "a", "a"):
            most = f[f"{operand}.ring"] or 12
            y, x, c = dice.randrange(most), dice.randrange(12 if operand == "a" else 4), dice.randrange(f["channels"])
            if not draw.reads[address(f, operand, y, x, c)]:
                continue
            memory = draw.before.copy()
            memory[address(f, operand, y, x, c)] ^= 0xC0
            changed = executed(f, memory).after != draw.after
            changed[address(f, operand, y, x, c)] = False
            moved = {(j, i, k) for j in range(f["oy"]) for i in range(f["ox"]) for k in range(f["channels"])
                     if changed[address(f, "out", j, i, k)]}  # fmt: skip
            place |= bool(moved - {(y, x, c)})
            channel |= any(k != c for _, _, k in moved)
    return place, channel


# ------------------------------------------------------------------------------------- who takes facts from the rows


def fields_are_those_looked_at(name: str) -> bool:
    """The row's fields are what the engine looks at, in all draws together."""
    return operations.operation(name).fields == frozenset[str]().union(*(draw.seen for draw in good(name)))


def _masks(draw: Draw) -> Iterator[tuple[Mask, Mask]]:
    """Bytes read and written, as the proof and as the footprint have them."""
    found = touched(draw.stream, SMALL.configuration.image_bytes)
    masks = np.zeros((2, SIZE), np.bool_)
    for at in range(len(found.start)):
        assert found.space[at] == SRAM
        found.view(masks[int(found.write[at])], at)[...] = True
    yield masks[0], masks[1]
    masks = np.zeros((2, SIZE), np.bool_)
    for access in footprint.accesses("vector", draw.fields, SMALL.configuration.image_bytes):
        for b in access.boxes:
            rows, columns = np.arange(b.rows) * b.row_stride, np.arange(b.columns) * b.column_stride
            starts = b.start + np.add.outer(rows, columns)
            masks[int(access.write)][np.add.outer(starts, np.arange(b.run)).ravel()] = True
    yield masks[0], masks[1]


def bytes_are_those_touched(name: str) -> bool:
    """Proof and footprint name the bytes the engine reads and writes."""
    return all(
        np.array_equal(reads, draw.reads) and np.array_equal(writes, draw.writes)
        for draw in good(name)
        for reads, writes in _masks(draw)
    )


def refusals_are_those_of_the_engine(name: str) -> bool:
    """The proof of limits refuses what the engine refuses, and nothing else."""

    def refuses(draw: Draw) -> bool:
        try:
            obeys(draw.stream, SMALL, {}, [0])
        except HazardError:
            return True
        return False

    return all(refuses(draw) == draw.refused for draw in draws(name))


def cycles_are_those_of_the_manual(name: str) -> bool:
    """The clock counts the cycles that the second clock counts, and the bytes of the operands there are."""
    for draw in good(name):
        cost = clock.costs(SMALL, order(draw.stream))
        elements = (int(cost.busy[0]) - SMALL.streams.vector_overhead) * SMALL.streams.vector
        operands = 1 + ("b.base" in draw.seen)
        if cost.busy[0] != vector_busy(SMALL, draw.fields) or cost.sram_read[0] != operands * elements:
            return False
    return True


def operands_are_required(name: str) -> bool:
    """The accel verifier asks for the memory operands that the engine looks at."""
    return all(set(required("vector", draw.fields)) == draw.seen & ADDRESSES for draw in good(name))


def plans_are_verified(name: str) -> bool:
    """The tile verifier takes an operation with what the engine looks at, and no other."""
    seen = frozenset[str]().union(*(draw.seen for draw in good(name)))
    needs = ("b.base" in seen, "params" in seen, "table" in seen, "sy" in seen)
    result, buffer = (tile.AllocOp((4, 4, 4)).output for _ in range(2))
    box = tile.Slice.of((0, 0, 0), (1, 1, 4) if name == "global_average_pool" else (4, 4, 4))
    rows, codes = (tile.AllocOp(shape).output for shape in ((4, 8), (256,)))
    law = tile.VectorLaw(size=1)
    for choice in range(16):
        given = tuple(bool(choice >> bit & 1) for bit in range(4))
        rhs, params, table = (
            value if there else None for there, value in zip(given, (buffer, rows, codes), strict=False)
        )
        window = WindowAttr.of((1, 1)) if given[3] else None
        op = tile.VectorOp(name, result, box, buffer, rhs=rhs, params=params, table=table,
                           window=window, law=law)  # fmt: skip
        try:
            op.verify_()
        except VerifyException:
            if given == needs:
                return False
        else:
            if given != needs:
                return False
    return True


def _meant(draw: Draw) -> tuple[Bytes, frozenset[str]]:
    """The memory after an instruction by the accel level's meaning, and the numbers the meaning looked at."""
    program = accel.ProgramOp("p", "edge4k")
    given, taken = accel.DramOp("input", (SIZE,), port="x"), accel.DramOp("output", (SIZE,), port="y")
    buffer = accel.BufferOp(SIZE, address=0)
    places = [(field, buffer.output, draw.fields[field]) for field in sorted(draw.seen & ADDRESSES)]
    numbers = {field: value for field, value in draw.fields.items() if field not in ADDRESSES and "wait." not in field}
    make = accel.INSTRUCTION_OPS
    program.body.block.add_ops(
        [
            given,
            taken,
            buffer,
            make["load"].make({"bytes": SIZE}, [("dram", given.output, 0), ("sram", buffer.output, 0)]),
            make["vector"].make(numbers, places),
            make["store"].make({"bytes": SIZE}, [("dram", taken.output, 0), ("sram", buffer.output, 0)]),
        ]
    )
    watched: list[Watched] = []
    plain = accel.InstructionOp.named

    def named(op: accel.InstructionOp) -> dict[str, Any]:
        made = Watched(plain(op))
        if op.MNEMONIC == "vector":
            watched.append(made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accel.InstructionOp, "named", named)
        result = accel_meaning.evaluate(ModuleOp([program]), {"x": draw.before.view(np.int8)})["y"]
    return result.view(np.uint8), frozenset[str]().union(*(made.seen for made in watched))


def meaning_is_the_engines(name: str) -> bool:
    """The meaning makes the engine's bytes, and looks at the numbers the engine looks at."""
    for draw in good(name):
        try:
            memory, seen = _meant(draw)
        except (MeaningError, KeyError):
            return False
        if not np.array_equal(memory, draw.after) or seen != draw.seen - ADDRESSES:
            return False
    return True


def dependence_is_as_stated(name: str) -> bool:
    """Channels are mixed, and results may not take their operands' memory, where elements depend on others."""
    row = operations.operation(name)
    place, channel = dependence(name)
    return (row.channels == "all") == channel and row.in_place == (not place)


CHECKS: tuple[Callable[[str], bool], ...] = (
    fields_are_those_looked_at,
    bytes_are_those_touched,
    refusals_are_those_of_the_engine,
    cycles_are_those_of_the_manual,
    operands_are_required,
    plans_are_verified,
    dependence_is_as_stated,
    meaning_is_the_engines,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", operations.NAMES)
def test_rows_state_what_the_engine_does(name: str, check: Callable[[str], bool]) -> None:
    assert check(name), check.__doc__


def wrong(row: Operation) -> Iterator[tuple[str, Operation]]:
    """The row with one fact after the other stated wrongly."""
    for fact, values in (("reads", READS), ("second", SECONDS), ("side", SIDES), ("size", SIZES),
                         ("channels", CHANNELS)):  # fmt: skip
        for value in values:
            if value != getattr(row, fact):
                yield f"{fact} = {value}", dataclasses.replace(row, **{fact: value})
    for number in sorted({number for other in OPERATIONS for number in other.numbers}):
        without = tuple(other for other in row.numbers if other != number)
        said = f"without {number}" if number in row.numbers else f"with {number}"
        yield said, dataclasses.replace(row, numbers=without if number in row.numbers else (*without, number))


FACTS = [(row, said, other) for row in OPERATIONS for said, other in wrong(row)]
PROOF = {
    "reads": (bytes_are_those_touched, meaning_is_the_engines),
    "second": (bytes_are_those_touched, plans_are_verified, operands_are_required),
    "side": (bytes_are_those_touched, plans_are_verified, operands_are_required),
    "size": (refusals_are_those_of_the_engine,),
    "channels": (dependence_is_as_stated,),
}
"""Who has to disagree with an operand or a limit stated wrongly, beside the list of fields."""


@pytest.mark.parametrize(("row", "said", "other"), FACTS, ids=[f"{row.name}: {said}" for row, said, _ in FACTS])
def test_no_fact_can_be_wrong_unnoticed(
    monkeypatch: pytest.MonkeyPatch, row: Operation, said: str, other: Operation
) -> None:
    monkeypatch.setitem(operations.BY_NAME, row.name, other)
    assert any(not check(row.name) for check in CHECKS)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_a_forgotten_operand_or_limit_is_missed_by_whom_it_concerns(
    monkeypatch: pytest.MonkeyPatch, row: Operation
) -> None:
    """Each of the proof, the verifiers and the meaning notices for itself."""
    normal = {field.name: field.default for field in dataclasses.fields(Operation)}
    for fact, concerned in PROOF.items():
        if getattr(row, fact) == normal[fact] or (fact, row.size) == ("size", "flag"):
            continue
        monkeypatch.setitem(operations.BY_NAME, row.name, dataclasses.replace(row, **{fact: normal[fact]}))
        assert [check.__name__ for check in concerned if check(row.name)] == [], fact


def test_every_operation_has_handler_and_meaning() -> None:
    assert set(vector_unit.OPERATIONS) == set(steps.VECTOR) == set(operations.NAMES)
    assert operations.NAMES == VECTOR_OPS


def test_an_unknown_operation_is_refused_by_name() -> None:
    with pytest.raises(EncodingError, match=r"^The vector unit has no operation 'cube'; it has copy, add, "):
        operations.operation("cube")
    with pytest.raises(MeaningError, match=r"^the vector operation 'cube' has no meaning$"):
        steps.vector("cube", steps.Operands(np.zeros((1, 1, 1), np.int8)), {})
