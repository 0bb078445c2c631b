"""A point's row is what compiling and running say, and what a machine cannot run is a row with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.description import load
from sim.machine.errors import ReconError
from sim.statistics import Statistics
from tests.tools.explore.support import MODELS
from tools.driver import make_context
from tools.explore.area import AreaCosts, area_mm2
from tools.explore.frontend import PreparedModel, prepare
from tools.explore.point import evaluate, key_of
from tools.options import Planning
from tools.reports.compare import Study
from tools.runtime import run_program

MACHINES = (
    "edge4k",
    "edge4k-fixed",
    "edge1k with sram.bytes=16KiB",
    "edge1k with dram.burst=256, array.lanes=512, array.half_words=32",
    "edge4k with array.configurations=systolic 64x64, array.winograd=none",
    "edge1k with instruction_memory.bytes=64",
    "edge1k with sram.bytes=1KiB",
)
NAMES = {"dscnn_kws_int8": MACHINES[2:4], "resnet8_cifar10_int8": MACHINES}
"""Models with the machines that each is tried on."""
PLANNINGS = (Planning(), Planning(level=1, objective="energy", fusion=False))


@pytest.fixture(scope="module")
def prepared() -> dict[str, PreparedModel]:
    return {name: prepare(MODELS / f"{name}.onnx", name) for name in NAMES}


def whole_road(study: Study, machine: str, planning: Planning) -> tuple[Statistics | None, str]:
    """Statistics of the program that the compiler makes, or why it makes none."""
    try:
        return run_program(study.program(machine, planning), timing_only=True).statistics, ""
    except ReconError as error:
        return None, str(error)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_what_the_whole_road_says(prepared: dict[str, PreparedModel], name: str) -> None:
    context = make_context()
    module = prepared[name].open(context)
    before = str(module)
    study = Study(MODELS / f"{name}.onnx")
    refused = 0
    for machine in NAMES[name]:
        for planning in PLANNINGS:
            row = evaluate(module, context, machine, planning, AreaCosts())
            s, problem = whole_road(study, machine, planning)
            if s is None:
                refused += 1
                assert (row.status, row.reason, row.cycles) == ("refused", problem, None)
                continue
            assert row.status == "ok"
            assert (row.cycles, row.macs, row.instructions, row.program_bytes) == (
                s.cycles,
                s.macs,
                s.instructions,
                s.program_bytes,
            )
            assert (row.dram_read_bytes, row.dram_write_bytes) == (s.dram_read_bytes, s.dram_write_bytes)
            assert row.energy_joules == s.energy.total_joules
            assert (row.seconds, row.frames_per_second, row.utilization) == (
                s.seconds,
                s.frames_per_second,
                s.utilization,
            )
            assert dict(row.terms) == {term: sum(layer.terms[term] for layer in s.layers) for term in row.terms}
            assert sum(row.terms.values()) == s.cycles
    assert refused < len(NAMES[name]) * len(PLANNINGS)
    assert refused >= 2 * len(PLANNINGS) or name.startswith("dscnn")
    assert str(module) == before


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_frames_in_a_row_are_those_of_the_statistics(prepared: dict[str, PreparedModel], batch: int) -> None:
    name, machine, planning = "dscnn_kws_int8", "edge1k", Planning(level=1, frames="stream", batch=batch)
    context = make_context()
    row = evaluate(prepared[name].open(context), context, machine, planning, AreaCosts())
    program = Study(MODELS / f"{name}.onnx").program(machine, planning)
    s = run_program(program, timing_only=True).statistics
    assert s.batch == batch or not batch
    assert (row.status, row.cycles, row.frames_per_second) == ("ok", -(-s.cycles // s.batch), s.frames_per_second)
    assert row.energy_joules == s.energy.total_joules / s.batch
    alone = evaluate(prepared[name].open(context), context, machine, Planning(level=1), AreaCosts())
    assert (alone.frames_per_second or 0) < (row.frames_per_second or 0)


def test_a_point_is_known_by_its_content(tmp_path: Path) -> None:
    planning, area = Planning(), AreaCosts()
    key = key_of("m", load("edge1k"), planning, area, "v")
    assert key == key_of("m", load("edge1k with array.lanes=1024"), planning, area, "v")
    others = (
        key_of("n", load("edge1k"), planning, area, "v"),
        key_of("m", load("edge1k with sram.bytes=64KiB"), planning, area, "v"),
        key_of("m", load("edge1k"), Planning(level=1), area, "v"),
        key_of("m", load("edge1k"), planning, AreaCosts(mac_um2=1.0), "v"),
        key_of("m", load("edge1k"), planning, area, "w"),
    )
    assert len({key, *others}) == 1 + len(others)


def test_area_is_the_sum_of_what_is_there() -> None:
    costs = AreaCosts(
        mac_um2=1e6, float_um2=2e6, sram_um2_per_byte=3e6, dram_mm2_per_gb_per_second=4.0, source="by hand"
    )
    machine = load("edge1k")
    memory = (
        machine.sram.bytes
        + 2 * machine.array.half_words * machine.array.lanes
        + 4 * machine.array.accumulators
        + 2 * machine.configuration.image_bytes
        + machine.instruction_memory.bytes
    )
    floats = machine.streams.vector + machine.streams.output
    expected = machine.array.lanes + 2 * floats + 3 * memory + 4 * machine.dram.bytes_per_second / 1e9
    assert area_mm2(machine, costs) == pytest.approx(expected, rel=1e-12)
