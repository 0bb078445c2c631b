"""Every key of a machine file decides something: with another value, some figure of a run is another."""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
from typing import Any

import numpy as np
import pytest

from sim import simulator, statistics
from sim.machine.description import Machine, from_mapping, schema_rows
from sim.machine.errors import ReconError
from sim.machine.interval import of_program
from sim.machine.program import LayerRow, Program
from tests.sim.support import SMALL, changed, image, program

BASE = changed(
    SMALL,
    dram={"refresh_per_mille": 46},
    energy={"source": "tests"},
    instruction_memory={"bytes": 512, "fetch": 256},
)
"""Nothing of it is 0, so that every key has something to say."""

OTHER: dict[str, Any] = {
    "clock_hz": 2_000_000_000,
    "array.lanes": 255,
    "array.half_words": 1,
    "array.accumulators": 1,
    "array.conv_overhead": 33,
    "array.flatten": False,
    "array.winograd": "none",
    "array.configurations": ["direct g1 k8 r4 p8"],
    "streams.input": 1,
    "streams.output": 1,
    "streams.residual": 1,
    "streams.weights": 1,
    "streams.vector": 1,
    "streams.fill_overhead": 17,
    "streams.vector_overhead": 17,
    "sram.bytes": 1024,
    "dram.bytes": 1024,
    "dram.bytes_per_second": 1_000_000_000,
    "dram.refresh_per_mille": 500,
    "dram.refresh_interval": 50,
    "dram.row_bytes": 64,
    "dram.row_miss": 1,
    "dram.burst": 128,
    "dram.latency": 11,
    "dram.turn": 6,
    "configuration.image_bytes": 64,
    "configuration.swap": 65,
    "configuration.sram_load": 65,
    "instruction_memory.bytes": 1 << 20,
    "instruction_memory.fetch": 0,
    "energy.mac_fj": 301,
    "energy.sram_fj_per_byte": 1251,
    "energy.dram_fj_per_byte": 64_001,
}
"""Another value of every key that a run depends on."""

WORDS = {
    "name": "what reports call the machine",
    "description": "a sentence for people",
    "energy.source": "where the unit energies come from, printed beside the estimate",
}
"""Keys that no figure depends on, and what they are for."""


def everything() -> Program:
    """A program that uses all of a machine, each instruction after the one before it.

    Two configurations, one of them through SRAM; a convolution in two passes over inputs that fill no word, the second
    with a residual; a Winograd convolution; an operation of the vector unit; transfers in both directions.
    """
    direct, fast = image("direct g1 k8 r4 p8"), image("winograd g1 k4 r4 p4")
    constants = np.concatenate([direct, fast, np.zeros(1280, np.uint8)])
    layout = "k=8 r=4 p=8 outputs=8 inputs=3 fy=3 fx=3 output_stride=27 tap_stride=3"
    conv = "outputs=8 inputs=3 fy=3 fx=3 oy=4 ox=4 in.row_stride=18 in.pixel_stride=3"
    last = "first=0 last=1 params=0x400 residual=1 res.base=0x500 res.row_stride=32 res.pixel_stride=8"
    out = "out.row_stride=32 out.pixel_stride=8"
    text = f"""
    load_config address=0
    load dram=0x80 sram=0 bytes=1408
    configure | wait load 2
    fill {layout} address=0x80 | wait array 1
    conv {conv} first=1 last=0 in.base=0x200 | wait weights 1
    conv {conv} {last} in.base=0x200 {out} out.base=0x800
    load_config space=1 address=0 | wait array 3
    configure | wait load 3
    fill half=1 algorithm=winograd k=4 r=4 p=4 outputs=8 inputs=3 fy=3 fx=3 output_stride=27 tap_stride=3 \
address=0x80 | wait array 4
    conv half=1 {conv} first=1 last=1 params=0x400 in.base=0x200 {out} out.base=0x900 | wait weights 2
    vector op=add oy=4 ox=4 channels=8 a.base=0x800 a.row_stride=32 a.pixel_stride=8 b.base=0x900 b.row_stride=32 \
b.pixel_stride=8 {out} out.base=0xa00 | wait array 5
    store dram=0x1000 sram=0xa00 bytes=128 | wait vector 1
    load dram=0 sram=0xb00 bytes=64 | wait store 1
    """
    layers = (LayerRow("all", "conv2d", "", 6912, 0, "", ()),)
    return program(text, constants=constants, target=BASE, layers=layers)


def figures(machine: Machine) -> str:
    """The statistics of a run and every cycle of it, or why there is none; without the words of the description."""
    made = dataclasses.replace(everything(), machine=machine)
    try:
        run = simulator.simulate(made, {}, sanitize=True)
    except ReconError as error:
        return f"refused: {error}"
    found = statistics.collect(made, run).to_json()
    del found["machine"], found["machine_fingerprint"], found["energy"]["source"]
    return json.dumps([found, run.segments[0].timeline.end.tolist(), dataclasses.astuple(of_program(made))])


def with_key(key: str, value: Any) -> Machine:
    """The machine with another value of a key, checked like a file."""
    data = json.loads(json.dumps(BASE.to_json()))
    *sections, name = key.split(".")
    functools.reduce(operator.getitem, sections, data)[name] = value
    return from_mapping(data, "test")


def test_every_key_is_listed() -> None:
    assert {key for key, _, _ in schema_rows()} == {*OTHER, *WORDS}
    assert not {*OTHER} & {*WORDS}


def test_the_program_runs() -> None:
    assert not figures(BASE).startswith("refused")


@pytest.mark.parametrize("key", OTHER)
def test_every_key_changes_a_figure(key: str) -> None:
    assert figures(with_key(key, OTHER[key])) != figures(BASE)


@pytest.mark.parametrize("key", WORDS)
def test_words_change_no_figure(key: str) -> None:
    assert figures(with_key(key, "another")) == figures(BASE)


@pytest.mark.parametrize(
    ("key", "allowed"), [(key, kind.split(" | ")) for key, kind, _ in schema_rows() if " | " in kind]
)
def test_every_value_that_a_key_may_have_is_another_machine(key: str, allowed: list[str]) -> None:
    assert len({figures(with_key(key, value)) for value in allowed}) == len(allowed)


def numbers() -> list[tuple[str, int, int]]:
    """Every key that is a number, with its least and greatest value."""
    found: list[tuple[str, int, int]] = []
    for field in dataclasses.fields(Machine):
        section = getattr(BASE, field.name)
        inner = dataclasses.fields(section) if dataclasses.is_dataclass(section) else (field,)
        prefix = f"{field.name}." if dataclasses.is_dataclass(section) else ""
        found += [(prefix + f.name, f.metadata["low"], f.metadata["high"]) for f in inner if str(f.type) == "int"]
    return found


@pytest.mark.parametrize(("path", "low", "high"), numbers())
def test_every_number_has_a_range_in_both_directions(path: str, low: int, high: int) -> None:
    for value, said in ((low - 1, f"at least {low}, not {low - 1}"), (high + 1, f"at most {high:,}, not {high + 1:,}")):
        with pytest.raises(ReconError) as refused:
            with_key(path, value)
        assert str(refused.value) == f"test: key '{path}' must be {said}."
