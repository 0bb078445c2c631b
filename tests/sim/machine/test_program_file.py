"""Program files: every byte counts, and a file that is not as it was written is refused in a sentence."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sim.machine import isa, operations, program
from sim.machine.errors import ProgramError, ReconError
from sim.machine.frames import Frames
from sim.machine.program import Program, Region, SramUse, from_bytes
from sim.simulator import simulate
from tests.mutations.heads import edited, joined, parts_of

FLIPS, EDITS = 750, 1200


def refusal(data: bytes) -> str | None:
    """The sentence with which a file is refused; None when it is taken. Anything but a sentence of ours fails."""
    try:
        from_bytes(data, "file")
    except ReconError as error:
        return str(error)
    return None


def test_a_program_is_always_the_same_bytes_and_reads_back(adder: Program) -> None:
    data = adder.to_bytes()
    assert data == adder.to_bytes() == from_bytes(data).to_bytes()


def test_every_flipped_bit_is_found(adder: Program) -> None:
    data = adder.to_bytes()
    dice = random.Random("flips")
    for bit in dice.sample(range(8 * len(data)), FLIPS):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(flipped)) is not None, f"bit {bit % 8} of byte {bit // 8}"


def test_an_edited_head_is_refused(adder: Program) -> None:
    header, head, rest = parts_of(adder.to_bytes())
    dice = random.Random("edits")
    for number in range(EDITS):
        made = edited(dice, head)
        if json.dumps(made, sort_keys=True) != json.dumps(head, sort_keys=True):
            assert refusal(joined(header, made, rest, seal=False)) is not None, number


def test_an_edited_head_with_a_checksum_of_its_own_is_read_or_refused(adder: Program) -> None:
    header, head, rest = parts_of(adder.to_bytes())
    assert refusal(joined(header, head, rest, seal=True)) is None
    dice = random.Random("sealed edits")
    ended = Counter(outcome(joined(header, edited(dice, head), rest, seal=True)) for _ in range(EDITS))
    assert ended["refused"] > EDITS / 2
    assert ended["other memory"] == 0


def outcome(data: bytes) -> str:
    """What becomes of a file: refused, run, stopped with a sentence of ours, or taken with tensors where none can be.

    Anything but a sentence of ours fails.
    """
    if refusal(data) is not None:
        return "refused"
    made = from_bytes(data)
    for segment in made.machine_segments:
        taken = np.zeros(made.dram_bytes, np.int64)
        taken[: made.constants.size] += 1
        for region in (*segment.inputs, *segment.outputs):
            part = taken[region.address : region.address + region.bytes]
            part += 1
            if len(part) != region.bytes:
                return "other memory"
        if taken.max() > 1:
            return "other memory"
    try:
        simulate(made, {port.name: np.zeros(port.shape, np.int8) for port in made.inputs})
    except ReconError:
        return "stopped"
    return "run"


def with_segment(adder: Program, **changes: Any) -> Program:
    """The program with its one segment changed."""
    (segment,) = adder.machine_segments
    return dataclasses.replace(adder, segments=(dataclasses.replace(segment, **changes),))


def table(*row: int) -> npt.NDArray[np.int64]:
    return np.array([row], np.int64)


X, Y = Region("x", 64, (1, 4, 4, 3)), Region("y", 128, (1, 4, 4, 3))
IMPOSSIBLE: list[tuple[str, Callable[[Program], Program], str]] = [
    ("outside", lambda p: with_segment(p, inputs=(dataclasses.replace(X, address=1 << 40),)),
     "Region 'x' of segment 'main' ends at 0x10000000030, beyond the program's 0xb0 bytes of DRAM."),
    ("huge", lambda p: with_segment(p, inputs=(dataclasses.replace(X, shape=(1 << 70, 4)),)),
     "Region 'x' of segment 'main' ends at 0x1000000000000000040, beyond the program's 0xb0 bytes of DRAM."),
    ("constants", lambda p: with_segment(p, inputs=(dataclasses.replace(X, address=8),)),
     "Region 'x' of segment 'main' begins at 0x8, and the program's constants end at 0x10."),
    ("overlap", lambda p: with_segment(p, outputs=(dataclasses.replace(Y, address=100),)),
     "Region 'y' of segment 'main' begins at 0x64, and the bytes of 'x' end at 0x70."),
    ("empty", lambda p: with_segment(p, inputs=(dataclasses.replace(X, shape=(1, 0)),)),
     "Region 'x' of segment 'main' has no bytes."),
    ("no maker", lambda p: with_segment(p, inputs=(dataclasses.replace(X, name="z"),)),
     "Segment 'main' takes 'z', which is no input and comes from no segment before it."),
    ("two makers", lambda p: with_segment(p, outputs=(dataclasses.replace(Y, name="x"),)),
     "Segment 'main' gives 'x', which is there already."),
    ("no output", lambda p: with_segment(p, outputs=()), "The output 'y' is made by no segment."),
    ("shape", lambda p: with_segment(p, inputs=(dataclasses.replace(X, shape=(1, 4, 4, 2)),)),
     "Segment 'main' takes 32 bytes of 'x', which has 48."),
    ("port", lambda p: dataclasses.replace(p, outputs=(dataclasses.replace(p.outputs[0], shape=(4,)),)),
     "The output 'y' has 4 bytes and 48 are made."),
    ("twice", lambda p: dataclasses.replace(p, inputs=p.inputs * 2), "The program has two inputs called 'x'."),
    ("layer", lambda p: with_segment(p, layer_of=np.array([0, 1, 0], np.uint32)),
     "Segment 'main' names layer 1 and the program has 1 layers; compile the model again."),
    ("buffer", lambda p: with_segment(p, buffers=table(0, 1 << 40, 0, 1)),
     "A buffer of segment 'main' lies outside the 12,582,912 bytes of SRAM."),
    ("lifetime", lambda p: with_segment(p, buffers=table(0, 8, 1, 3)),
     "A buffer of segment 'main' lives between instructions that the segment does not have."),
    ("frames", lambda p: with_segment(p, frames=Frames(1, 64, 112)),
     "Segment 'main' repeats 2 instructions, with ports twice in 0x70 bytes from 0x40 on, which does not fit its "
     "regions and the program's DRAM."),
    ("SRAM", lambda p: dataclasses.replace(p, sram=SramUse(1 << 30, 0, 0)),
     "The program needs 1,073,741,824 bytes of SRAM and edge4k has 12,582,912."),
    ("free", lambda p: dataclasses.replace(p, sram=SramUse(0, 8, 9)),
     "The program's largest free piece of SRAM has 9 bytes, of 8 that are free."),
    ("memory", lambda p: dataclasses.replace(p, dram_bytes=1 << 40),
     "The program needs 1,099,511,627,776 bytes of DRAM and edge4k has 2,147,483,648."),
    ("image", lambda p: dataclasses.replace(p, constants=np.zeros(200, np.uint8)),
     "The program's constants take 200 bytes, more than its 176 of DRAM."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE])
def test_tables_that_cannot_be_are_refused_whatever_the_checksum(
    adder: Program, change: Callable[[Program], Program], message: str
) -> None:
    assert refusal(change(adder).to_bytes()) == f"file: {message}"


def test_what_is_said_of_a_damaged_file(adder: Program) -> None:
    data = bytearray(adder.to_bytes())
    data[-1] ^= 1
    assert refusal(bytes(data)) == "file: the part 'constants' is damaged (its checksum differs); compile again."
    header, head, rest = parts_of(adder.to_bytes())
    assert refusal(joined(header, head | {"predicted_cycles": 1}, rest, seal=False)) == (
        "file: the head of the program is damaged or was edited (its checksum differs); copy the file again or "
        "compile again."
    )


def other_tables() -> dict[str, tuple[tuple[isa.Instruction, ...], tuple[operations.Operation, ...]]]:
    """Tables of another version: two fields of one size exchanged, an operation more, an opcode, a range, a fact."""
    *others, vector = isa.INSTRUCTIONS
    names = [field.name for field in vector.fields]
    fields = list(vector.fields)
    lo, hi = names.index("lo"), names.index("hi")
    fields[lo], fields[hi] = fields[hi], fields[lo]
    rows = operations.OPERATIONS
    wider = dataclasses.replace(vector.fields[0], high=255)
    return {
        "exchanged": ((*others, dataclasses.replace(vector, fields=tuple(fields))), rows),
        "opcode": ((*others, dataclasses.replace(vector, opcode=9)), rows),
        "range": ((*others, dataclasses.replace(vector, fields=(wider, *vector.fields[1:]))), rows),
        "operation": (isa.INSTRUCTIONS, (*rows, operations.Operation("cube", ""))),
        "fact": (isa.INSTRUCTIONS, (dataclasses.replace(rows[0], second="box"), *rows[1:])),
    }


@pytest.mark.parametrize("name", other_tables())
def test_a_program_of_another_table_of_instructions_is_refused(
    monkeypatch: pytest.MonkeyPatch, adder: Program, name: str
) -> None:
    instructions, rows = other_tables()[name]
    with monkeypatch.context() as patch:
        patch.setattr(isa, "INSTRUCTIONS", instructions)
        patch.setattr(operations, "OPERATIONS", rows)
        isa.digest.cache_clear()
        data = adder.to_bytes()
    isa.digest.cache_clear()
    with pytest.raises(ProgramError) as caught:
        program.from_bytes(data, "old.rbin")
    assert str(caught.value) == (
        "old.rbin: this program was made for other instructions than this version's (its table of instructions and "
        "operations differs); compile the model again."
    )


def test_documentation_is_no_part_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    before = isa.digest()
    monkeypatch.setattr(isa, "INSTRUCTIONS", tuple(dataclasses.replace(row, doc="-") for row in isa.INSTRUCTIONS))
    isa.digest.cache_clear()
    assert isa.digest() == before
