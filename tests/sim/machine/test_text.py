"""Texts that the instruction memory does not hold: their pieces, what fetching costs, and whom it is charged to."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sim import simulator, statistics
from sim.machine import text
from sim.machine.description import from_mapping, load
from sim.machine.encoding import decode, encode
from sim.machine.errors import MachineFileError
from tests.sim.machine.test_keys import everything

EDGE4K = load("edge4k")


def test_pieces_hold_every_byte_once() -> None:
    names = ["configure", "load", "conv", "vector", "fill", "store", "load_config"] * 20
    code = encode([(name, {}) for name in names])
    stream = decode(code)
    for fetch in (256, 300, 1000, 4096):
        memory = dataclasses.replace(EDGE4K.instruction_memory, fetch=fetch)
        found = text.pieces(dataclasses.replace(EDGE4K, instruction_memory=memory), stream)
        assert found.bytes.sum() == len(code)
        assert (found.bytes[:-1] == fetch).all()
        assert len(found.bytes) == -(-len(code) // fetch)
        assert (found.until - found.since <= 1).all()
        assert (np.diff(found.until) >= 0).all()
        for piece, first in enumerate(found.first.tolist()):
            assert found.since[first] <= piece <= found.until[first]
            assert first == 0 or found.until[first - 1] < piece


def test_a_text_is_fetched_when_it_does_not_fit() -> None:
    memory = EDGE4K.instruction_memory
    assert not memory.fetches(memory.bytes)
    assert memory.fetches(memory.bytes + 1)
    assert memory.runs(memory.bytes + 1)
    assert not memory.runs(memory.bytes + 1, repeats=True)
    without = dataclasses.replace(memory, fetch=0)
    assert without.runs(memory.bytes, repeats=True)
    assert not without.runs(memory.bytes + 1)


def test_fetching_costs_time_and_bytes_and_changes_no_value() -> None:
    fetched = everything()
    memory = dataclasses.replace(fetched.machine.instruction_memory, bytes=1 << 20)
    held = dataclasses.replace(fetched, machine=dataclasses.replace(fetched.machine, instruction_memory=memory))
    runs = [simulator.simulate(program, {}, sanitize=True) for program in (held, fetched)]
    quick, slow = (statistics.collect(program, run) for program, run in zip((held, fetched), runs, strict=True))
    assert quick.program_read_bytes == 0
    assert slow.program_read_bytes == slow.program_bytes == fetched.code_bytes
    assert slow.dram_read_bytes - quick.dram_read_bytes == fetched.code_bytes
    assert slow.dram_burst_bytes > quick.dram_burst_bytes
    assert slow.cycles > quick.cycles
    assert sum(layer.cycles for layer in slow.layers) == slow.cycles
    assert sum(layer.dram_read_bytes for layer in slow.layers) == slow.dram_read_bytes


@pytest.mark.parametrize("fetch", [255, 513])
def test_a_window_of_less_than_two_pieces_is_no_machine(fetch: int) -> None:
    data = json.loads(json.dumps(EDGE4K.to_json()))
    data["instruction_memory"] = {"bytes": 1024, "fetch": fetch}
    with pytest.raises(MachineFileError) as caught:
        from_mapping(data, "my.toml")
    assert str(caught.value) == (
        "my.toml: key 'instruction_memory.fetch' must be 0, or at least 256 and at most half of "
        f"instruction_memory.bytes, not {fetch}."
    )
