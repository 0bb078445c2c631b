"""recon compare BEFORE AFTER: two runs layer by layer, and an exit code for whoever watches."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

from sim.statistics import LayerStatistics, Statistics
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.options import Planning
from tools.reports.changes import Changes, changes, percentage, report, verdict
from tools.reports.compare_page import changes_page
from tools.runtime import run_program

MODEL = ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"


@pytest.fixture(scope="module")
def run() -> Statistics:
    return run_program(compile_model(MODEL, "edge1k"), timing_only=True).statistics


def changed(run: Statistics, number: int, **given: object) -> Statistics:
    """The run with another layer in a layer's place, and what its share grew by."""
    old = run.layers[number]
    new = dataclasses.replace(old, **given)
    layers = (*run.layers[:number], new, *run.layers[number + 1 :])
    return dataclasses.replace(run, layers=layers, cycles=run.cycles + new.cycles - old.cycles)


@pytest.fixture(scope="module")
def many() -> Statistics:
    planning = Planning(frames="stream", batch=4)
    return run_program(compile_model(MODEL, "edge1k", options=planning), timing_only=True).statistics


def test_frames_in_a_row_are_compared_frame_by_frame(run: Statistics, many: Statistics) -> None:
    f = many.frames
    assert f is not None
    found = changes(run, many)
    assert (found.before, found.after.cycles) == (run, round(f.cycles_per_frame))
    assert found.growth == pytest.approx(f.cycles_per_frame / run.cycles - 1, abs=1e-3)
    assert found.after.macs == run.macs
    assert [layer.macs for layer in found.after.layers] == [layer.macs for layer in run.layers]
    assert abs(sum(layer.cycles for layer in found.after.layers) - found.after.cycles) <= len(run.layers)
    text = report(found, 100)
    assert "\nThe numbers above and below are of one frame\nframes in a row " in text
    assert re.search(rf"^after +{f.cycles_per_frame:,.0f} +{f.frames_per_second:,.0f} ", text, re.MULTILINE)
    assert f" {f.resident_bytes:,} " in text
    assert "frames in a row" not in report(changes(run, run), 100)


def test_a_run_is_not_slower_than_itself(run: Statistics) -> None:
    same = changes(run, run)
    assert same.growth == 0
    assert (same.cliffs, verdict(same, 0.0)) == ([], None)
    assert "No layer changed its share." in report(same, 100)


def test_the_layer_that_got_slower_is_named(run: Statistics) -> None:
    number = max(range(len(run.layers)), key=lambda index: run.layers[index].array_busy)
    layer = run.layers[number]
    later = changed(run, number, cycles=layer.cycles + 1000, array_busy=3 * layer.array_busy)
    found = changes(run, later)
    assert found.growth == pytest.approx(1000 / run.cycles)
    assert [each.name for each in found.cliffs] == [layer.name]
    text = report(found, 100)
    assert f"fell off a cliff: {layer.name}" in text
    assert "+1,000" in text
    said = verdict(found, 0.02)
    assert said == (
        f"{run.model} takes {later.cycles:,} cycles, {100 * found.growth:.2f} % more than the {run.cycles:,} before, "
        f"and --fail-above allows 2 %. The layers that grew most on the critical path: {layer.name} +1,000."
    )
    assert verdict(found, found.growth) is None


def test_layers_and_shapes_come_and_go(run: Statistics) -> None:
    first: LayerStatistics = run.layers[0]
    later = changed(run, 0, name="wider", shape=first.shape.replace("1", "2"))
    found: Changes = changes(run, later)
    text = report(found, 100)
    assert f"layers only before: {first.name}" in text
    assert "layers only after: wider" in text
    assert "shapes that nothing had before: wider" in text
    assert found.layers[-1].name == first.name


def test_another_operator_under_a_name_is_no_cliff(run: Statistics) -> None:
    number = max(range(len(run.layers)), key=lambda index: run.layers[index].array_busy)
    layer = run.layers[number]
    other = layer.shape.replace("1x1", "3x3") if "1x1" in layer.shape else layer.shape + "/2"
    found = changes(run, changed(run, number, shape=other, array_busy=9 * layer.array_busy))
    assert found.cliffs == []


def test_the_page_needs_no_network(run: Statistics) -> None:
    text = changes_page(changes(run, changed(run, 0, cycles=run.layers[0].cycles + 77)))
    assert "default-src 'none'" in text
    assert f'"title":"{run.model} before and after"' in text
    assert "before: " in text


@pytest.mark.parametrize(("text", "value"), [("2%", 0.02), ("0.5", 0.005), ("0 %", 0.0)])
def test_percentages(text: str, value: float) -> None:
    assert percentage(text) == pytest.approx(value)


def test_the_command(recon: Tool, tmp_path: Path) -> None:
    before, after = tmp_path / "before.rbin", tmp_path / "after.rbin"
    assert recon("compile", "-q", MODEL, "-o", before, "--machine", "edge1k", "-O0").code == 0
    assert recon("compile", "-q", MODEL, "-o", after, "--machine", "edge1k", "-O0", "--without", "residency").code == 0
    outcome = recon(
        "compare", before, after, "--format", "csv", "--json", tmp_path / "changes.json", "-o", tmp_path / "c.html"
    )
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    given = json.loads((tmp_path / "changes.json").read_text())
    assert sum(int(row["cycles_after"]) for row in rows) == given["after"]["cycles"]
    assert sum(int(row["cycles_before"]) for row in rows) == given["before"]["cycles"]
    assert 'content="recon compare"' in (tmp_path / "c.html").read_text()[:500]
    assert recon("compare", after, after, "--fail-above", "0").code == 0
    slow, fast = (after, before) if given["growth"] > 0 else (before, after)
    failed = recon("compare", fast, slow, "--fail-above", "0%")
    assert (failed.code, failed.err.count("error: ")) == (1, 1)
    assert "and --fail-above allows 0 %" in failed.err
    assert recon("compare", before, after, "--fail-above", "much").err == (
        "error: --fail-above much: write a percentage such as 2%.\n"
    )
    assert recon("compare", MODEL, "--fail-above", "2%").code == 2
