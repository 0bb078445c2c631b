"""recon sensitivity: each resource halved and doubled is a machine of its own, planned and timed."""

from __future__ import annotations

import csv
import io
import json

import pytest

from sim.machine.description import load
from tests.conftest import Tool
from tests.tools.explore.support import MODELS
from tools.explore.sensitivity import Sensitivity, report, resources, sensitivity
from tools.options import Planning
from tools.reports.compare import Study
from tools.runtime import run_program

MODEL = MODELS / "resnet8_cifar10_int8.onnx"


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(MODEL)


@pytest.fixture(scope="module")
def found(study: Study) -> Sensitivity:
    return sensitivity(study, "resnet8", "edge4k-fixed", Planning(level=0))


def test_resources_are_what_time_depends_on() -> None:
    found = resources(load("edge1k"))
    assert {"clock_hz", "array.lanes", "streams.input", "sram.bytes", "dram.bytes_per_second", "dram.latency"} <= {
        *found
    }
    assert not any(key.startswith("energy") or key in ("dram.bytes", "instruction_memory.bytes") for key in found)


def test_the_table_and_what_has_no_plan(found: Sensitivity) -> None:
    lines = report(found, 100).splitlines()
    assert lines[0].startswith("resnet8 on edge4k-fixed: ")
    assert lines[2].split() == "resource now half: time energy mm² twice: time energy mm²".split()
    assert lines[3].startswith("clock_hz")  # nothing waits for DRAM
    (lanes,) = [line for line in lines if line.startswith("array.lanes ")]
    assert lanes.split()[1:4] == ["4,096", "no", "plan"]
    assert any(line.startswith("array.lanes=2048: ") for line in lines)


def test_the_data(found: Sensitivity, study: Study) -> None:
    given = found.to_json()
    at = {(each["resource"], each["change"]): each for each in given["changes"]}
    slow = "edge4k-fixed with dram.bytes_per_second=8532000000"
    s = run_program(study.program(slow, Planning(level=0)), timing_only=True).statistics
    half = at["dram.bytes_per_second", "halved"]
    assert (half["cycles"], half["energy_joules"]) == (s.cycles, s.energy.total_joules)
    assert at["sram.bytes", "doubled"]["area_mm2"] > given["now"]["area_mm2"]
    assert at["array.lanes", "halved"]["problem"]


def test_the_command(recon: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.explore.sensitivity.resources", lambda _: ["sram.bytes"])
    base = ("sensitivity", MODEL, "--machine", "edge1k", "--set", "sram.bytes=64KiB", "-O0")
    outcome = recon(*base, "--format", "csv")
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert [(row["change"], row["value"]) for row in rows] == [("now", ""), ("halved", "32768"), ("doubled", "131072")]
    assert "edge1k with sram.bytes=65536" in recon(*base).out
    assert len(json.loads(recon(*base, "--format", "json").out)["changes"]) == 2
