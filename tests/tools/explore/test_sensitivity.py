"""recon sensitivity: each resource halved and doubled is a machine of its own, planned and timed."""

from __future__ import annotations

import csv
import io
import json

import pytest

from sim.machine.description import load
from tests.conftest import Tool
from tests.tools.explore.support import MODELS
from tools.explore.sensitivity import resources
from tools.options import Planning
from tools.reports.compare import Study
from tools.runtime import run_program

MODEL = MODELS / "resnet8_cifar10_int8.onnx"


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(MODEL)


def test_resources_are_what_time_depends_on() -> None:
    found = resources(load("edge1k"))
    assert {"clock_hz", "array.lanes", "streams.input", "sram.bytes", "dram.bytes_per_second", "dram.latency"} <= set(
        found
    )
    assert not any(key.startswith("energy") or key in ("dram.bytes", "instruction_memory.bytes") for key in found)


def test_the_data_are_those_of_the_machines_themselves(recon: Tool, study: Study) -> None:
    outcome = recon("sensitivity", MODEL, "--machine", "edge1k", "--set", "sram.bytes=64KiB", "-O1", "--format", "csv")
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert rows[0]["change"] == "now"
    at = {(row["resource"], row["change"]): row for row in rows}
    lanes = run_program(
        study.program("edge1k with sram.bytes=65536, array.lanes=2048", Planning(level=1)), timing_only=True
    )
    assert int(at["array.lanes", "doubled"]["cycles"]) == lanes.statistics.cycles
    assert float(at["array.lanes", "doubled"]["energy_joules"]) == lanes.statistics.energy.total_joules
    assert float(at["sram.bytes", "doubled"]["area_mm2"]) > float(rows[0]["area_mm2"])


def test_the_table_and_what_has_no_plan(recon: Tool) -> None:
    outcome = recon("sensitivity", MODEL, "--machine", "edge4k-fixed")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith("resnet8_cifar10_int8 on edge4k-fixed: ")
    assert lines[2].split() == "resource now half: time energy mm² twice: time energy mm²".split()
    assert lines[3].startswith("clock_hz")  # nothing waits for DRAM
    (lanes,) = [line for line in lines if line.startswith("array.lanes ")]
    assert lanes.split()[1:4] == ["4,096", "no", "plan"]
    assert any(line.startswith("array.lanes=2048: ") for line in lines)


def test_as_json(recon: Tool) -> None:
    given = json.loads(recon("sensitivity", MODEL, "--machine", "edge1k", "-O0", "--format", "json").out)
    assert set(given) == {"model", "machine", "now", "changes"}
    assert given["changes"][0]["resource"] == "dram.bytes_per_second"
