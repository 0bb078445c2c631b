"""Program files: every byte counts, and a file that is not as it was written is refused in a sentence."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import random
from typing import Any

import pytest

from sim.machine import isa, operations, program
from sim.machine.errors import ProgramError, ReconError
from sim.machine.program import UNSEALED, Program, from_bytes

FLIPS, EDITS = 750, 1200
ODD: tuple[Any, ...] = (None, True, -1, 0, 7, 2**70, 0.5, float("inf"), "", "x", [], ["x"], {}, {"x": 1})
"""What an edited value may become."""


def refusal(data: bytes) -> str | None:
    """The sentence with which a file is refused; None when it is taken. Anything but a sentence of ours fails."""
    try:
        from_bytes(data, "file")
    except ReconError as error:
        return str(error)
    return None


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The file's own header, our head within it, and the bytes behind."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["recon"]), data[8 + size :]


def joined(header: dict[str, Any], head: Any, rest: bytes, seal: bool) -> bytes:
    """A file with another head, with a checksum that fits if asked."""
    if seal and isinstance(head, dict):
        head = head | {"checksum": UNSEALED}
    made = json.dumps(header | {"__metadata__": {"recon": json.dumps(head, sort_keys=True)}}).encode()
    made += b" " * (-len(made) % 8)
    data = len(made).to_bytes(8, "little") + made + rest
    return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1) if seal else data


def edited(dice: random.Random, value: Any) -> Any:
    """A copy with one value somewhere inside replaced, taken out or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        made = dict(value)
        key = dice.choice(sorted(made))
        if dice.random() < 0.15:
            del made[key]
        else:
            made[key] = edited(dice, made[key])
        return made
    if isinstance(value, list) and value and dice.random() < 0.9:
        made = list(value)
        at = dice.randrange(len(made))
        if dice.random() < 0.15:
            made.insert(at, made[at])
        else:
            made[at] = edited(dice, made[at])
        return made
    if isinstance(value, int) and dice.random() < 0.4:
        return value + dice.choice((-1, 1, 1 << 20))
    return copy.deepcopy(dice.choice(ODD))


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
    refused = sum(refusal(joined(header, edited(dice, head), rest, seal=True)) is not None for _ in range(EDITS))
    assert refused > EDITS / 2


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
