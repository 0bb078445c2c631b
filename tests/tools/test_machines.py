"""recon machines new, --set wherever a machine is taken, and tables as data."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from sim.machine.description import load, names, schema_rows, with_settings
from sim.machine.program import Program
from sim.machine.program import load as load_program
from sim.statistics import LayerStatistics, Statistics
from tests.conftest import ROOT, Tool
from tools.reports.report import layers, totals

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("base", names())
def test_a_new_machine_is_its_base_under_another_name(recon: Tool, base: str) -> None:
    outcome = recon("machines", "new", "my.toml", "--from", base)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"my.toml: the machine my, as {base}; edit it, and give it with --machine my.toml\n"
    made, old = load("my.toml"), load(base)
    assert dataclasses.replace(made, name=old.name, description=old.description) == old
    assert (made.name, made.description) == ("my", f"Begun from {base}.")
    text = Path("my.toml").read_text()
    assert all(f"# {doc}" in text for _, _, doc in schema_rows())


def test_new_takes_settings_and_keeps_files_that_are_none(recon: Tool) -> None:
    assert recon("machines", "new", "my.toml", "--set", "sram.bytes=4MiB").code == 0
    assert 'bytes = "4MiB"' in Path("my.toml").read_text()
    assert load("my.toml").sram.bytes == 4 << 20
    Path("notes.toml").write_text("title = 'mine'")
    outcome = recon("machines", "new", "notes.toml")
    assert (outcome.code, outcome.err) == (
        1,
        "error: new notes.toml: there is such a file already, and it is no machine file; give another name, or "
        "--force to write over it.\n",
    )
    assert recon("machines", "new").code == 2
    assert recon("machines", "edge4k", "my.toml").code == 2


def test_set_reaches_every_command(recon: Tool) -> None:
    small = ["--set", "sram.bytes=1MiB"]
    assert recon("compile", MODEL, "-o", "r.rbin", "-O0", *small).code == 0
    assert load_program("r.rbin").machine.name == "edge4k with sram.bytes=1048576"
    assert recon("run", "r.rbin", "--timing-only", "-q", *small).code == 0
    assert recon("report", MODEL, "-o", "r.html", "-O0", "-q", *small).code == 0
    assert "edge4k with sram.bytes=1048576" in Path("r.html").read_text()
    assert recon("roofline", MODEL, "-o", "r.svg", "-q", "--set", "dram.bytes_per_second=34e9").code == 0
    outcome = recon("run", "r.rbin", "--timing-only", "-q", "--machine", "edge4k")
    assert outcome.err.startswith("error: This program was compiled for edge4k with sram.bytes=1048576 and cannot run")
    assert "1,048,576" in recon("machines", "edge4k", *small).out
    assert recon("bisect", MODEL, "--inputs", "1", "--against", "cnn", *small).code == 0
    found = json.loads(recon("compare", MODEL, "--machines", "edge1k", "-O0", "--format", "json", *small).out)
    assert found["machines"][0]["machine"] == "edge1k with sram.bytes=1MiB"
    refused = recon("compile", MODEL, "-o", "x.rbin", "--set", "sram=1")
    assert (refused.code, refused.err.startswith("error: --set sram=1: write KEY=VALUE")) == (1, True)


def test_a_borrowed_name_is_noted(recon: Tool) -> None:
    Path("mine.toml").write_text(recon("machines", "edge1k", "--toml").out.replace("2_097_152", "1_048_576"))
    outcome = recon("compile", MODEL, "-o", "r.rbin", "-O0", "--machine", "mine.toml")
    assert outcome.err.splitlines()[0] == (
        "note: mine.toml: this machine is called edge1k like one that comes with the project, and differs from it in "
        "sram.bytes; give it a name of its own."
    )


def _csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_tables_as_data(recon: Tool) -> None:
    assert recon("compile", MODEL, "-o", "r.rbin", "-O0", "-q").code == 0
    stats = json.loads(recon("run", "r.rbin", "--timing-only", "--format", "json").out)
    assert list(stats) == [field.name for field in dataclasses.fields(Statistics)]
    rows = _csv(recon("run", "r.rbin", "--format", "csv").out)
    assert [row["name"] for row in rows] == [layer["name"] for layer in stats["layers"]]
    assert sum(int(row["cycles"]) for row in rows) == stats["cycles"]
    assert {field.name for field in dataclasses.fields(LayerStatistics)} - {"terms"} <= set(rows[0])
    assert [row["name"] for row in _csv(recon("machines", "--format", "csv").out)] == list(names())
    assert [row["name"] for row in json.loads(recon("machines", "--format", "json").out)] == list(names())
    assert _csv(recon("machines", "edge1k", "--format", "csv").out)[0] == {
        "key": "name", "value": "edge1k", "meaning": "the machine's name"}  # fmt: skip
    assert json.loads(recon("machines", "edge1k", "--format", "json").out) == (
        json.loads(json.dumps(load("edge1k").to_json()))
    )
    plans = _csv(recon("compare", MODEL, "--machines", "edge1k", "-O0", "--format", "csv").out)
    assert plans[0]["plan_for"] == "edge1k"
    assert plans[0]["cycles"] == str(min(int(row["cycles"]) for row in plans if not row["without"]))
    assert recon("machines", "--format", "xml").code == 2


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    import recon

    return recon.compile(ROOT / "examples" / "mobilenetv1_vww_int8.onnx", planning=recon.Planning(level=1))


@pytest.mark.parametrize("width", [80, 90, 100, 120, 200])
def test_a_terminal_is_never_too_narrow(program: Program, width: int) -> None:
    from tools.runtime import run_program

    statistics = run_program(program, timing_only=True).statistics
    lanes = program.machine.array.lanes
    text = f"{totals(statistics, program.machine, width)}\n{layers(statistics, lanes, width)}"
    assert max(map(len, text.splitlines())) <= width
    assert {"own", "used", "critical", "MACs", "limited by"} <= set(_words(text, "layer "))
    assert ("configuration" in text) == (width >= 100)


def _words(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [word.strip() for word in line.split("  ") if word.strip()]


def test_a_pipe_gets_everything_whole(program: Program) -> None:
    from tools.runtime import run_program

    statistics = run_program(program, timing_only=True).statistics
    text = f"{totals(statistics, program.machine)}\n{layers(statistics, program.machine.array.lanes)}"
    assert "…" not in text
    for layer in statistics.layers:
        assert f"\n{layer.name} " in text
    assert "host time not included" in text


def test_own_cycles_and_use(program: Program) -> None:
    from tools.runtime import run_program

    statistics = run_program(program, timing_only=True).statistics
    layer = next(each for each in statistics.layers if each.name == "conv2d_1")
    rows = {line.split()[0]: line for line in layers(statistics, program.machine.array.lanes).splitlines() if line}
    used = round(100 * layer.macs / (layer.array_busy * program.machine.array.lanes))
    assert f" {layer.array_busy:,}  {used} %  " in rows["conv2d_1"]
    assert f"  {layer.cycles:,}  " in rows["conv2d_1"]


def test_recon_opt_takes_settings(recon_opt: Tool) -> None:
    outcome = recon_opt(MODEL, "--to", "tile", "-O", "0", "--set", "sram.bytes=1MiB", "--machine", "edge1k")
    assert (outcome.code, outcome.err) == (0, "")
    assert 'machine "edge1k with sram.bytes=1MiB"' in outcome.out


def test_settings_upon_settings() -> None:
    """As where a command that was given --set tries its machine with something changed."""
    once = with_settings("edge1k", ["sram.bytes=64KiB", "dram.turn=3"])
    twice = with_settings(once, ["array.lanes=2048", "sram.bytes=1MiB"])
    machine = load(twice)
    assert (machine.sram.bytes, machine.dram.turn, machine.array.lanes) == (1 << 20, 3, 2048)
    assert machine.name == "edge1k with sram.bytes=1048576, dram.turn=3, array.lanes=2048"
