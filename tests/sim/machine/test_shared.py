"""What both clocks, the meanings and the proofs share, computed once more from the manual's text.

The rate of DRAM from the numbers in a machine's file, instructions by the tables of ``docs/isa.md``, and a program file
as the bytes that it is: a clock that forgot refresh, or a decoder that read a field of its neighbour, agrees with
whoever uses the same.
"""

from __future__ import annotations

import json
import re
import struct
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sim.machine import encoding, laws, program
from sim.machine.description import load
from sim.machine.program import MachineSegment
from tests.conftest import ROOT
from tests.mutations.small_programs import small_program
from tests.second_clock.random_programs import random_program

FILES = sorted((ROOT / "sim" / "machines").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_rate_of_dram_is_the_files_less_refresh(path: Path) -> None:
    numbers = tomllib.loads(path.read_text())
    dram = numbers["dram"]
    net = Fraction(dram["bytes_per_second"]) * (1000 - dram["refresh_per_mille"]) / 1000
    rate = net / numbers["clock_hz"]
    machine = load(path.stem)
    assert machine.dram_rate == rate
    for bursts in (1, 7, 1000, 123_457):
        cycles = int(laws.channel(machine, 1, bursts))
        assert (cycles - 1) * rate < dram["burst"] * bursts <= cycles * rate


_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "i8": "b", "f32": "f"}


def by_the_manual() -> dict[int, tuple[str, list[str], struct.Struct]]:
    """Opcode to name, fields and record, read from the manual's text."""
    text = (ROOT / "docs" / "isa.md").read_text()
    found: dict[int, tuple[str, list[str], struct.Struct]] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"`(\w+)`\s+Opcode (\d+), queue `\w+`, (\d+) bytes\.", part)
        assert head is not None
        fields = re.findall(r"^\| `([\w.]+)` \| (\w+) \|", part.split("<!-- end -->")[0], re.MULTILINE)
        record = struct.Struct("<B5H" + "".join(_FORMATS[kind] for _, kind in fields))
        assert record.size == int(head[3])
        found[int(head[2])] = head[1], [name for name, _ in fields], record
    return found


def test_instructions_decode_as_the_manual_writes_them() -> None:
    manual = by_the_manual()
    waits = [f"wait.{queue}" for queue in ("load", "store", "weights", "array", "vector")]
    codes = [encoding.encode(random_program(load("edge1k"), seed, 40).records) for seed in range(3)]
    codes += [small_program(seed).segment.code for seed in range(3)]
    seen: set[str] = set()
    for code in codes:
        stream = encoding.decode(code)
        offset = 0
        for index in range(len(stream)):
            name, fields, record = manual[code[offset]]
            _, *values = record.unpack_from(code, offset)
            assert stream.instruction(index).name == name
            assert stream.fields(index) == dict(zip([*waits, *fields], values, strict=True))
            offset += record.size
            seen.add(name)
        assert offset == len(code)
    assert seen == {name for name, _, _ in manual.values()}


def test_a_program_file_is_read_as_the_bytes_it_is(tmp_path: Path) -> None:
    made = small_program(5).program
    path = tmp_path / "small.rbin"
    made.save(path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    head = json.loads(header.pop("__metadata__")["recon"])

    def part(name: str) -> bytes:
        start, end = header[name]["data_offsets"]
        return data[8 + size + start : 8 + size + end]

    read = program.load(path)
    (segment,) = read.segments
    assert isinstance(segment, MachineSegment)
    assert segment.code == part("code.0")
    assert segment.layer_of.tobytes() == part("layers.0")
    assert read.constants.tobytes() == part("constants") == np.asarray(made.constants).tobytes()
    assert [(r.name, r.address, list(r.shape)) for r in (*segment.inputs, *segment.outputs)] == [
        (entry["name"], entry["address"], entry["shape"])
        for kind in ("inputs", "outputs")
        for entry in head["segments"][0][kind]
    ]
    assert (read.dram_bytes, read.predicted_cycles) == (head["dram_bytes"], head["predicted_cycles"])
    assert read.machine.dram.refresh_per_mille == head["machine"]["dram"]["refresh_per_mille"]
