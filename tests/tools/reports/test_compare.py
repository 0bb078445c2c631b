"""recon compare: what its tables hold, its JSON, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from passes.planner.options import FREEDOMS
from sim.machine.clock import TERMS
from sim.machine.description import MACHINES
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.reports.compare import Comparison, compare
from tools.reports.compare_report import grid, report

MODELS = ROOT / "tests" / "data" / "models"
RESNET8 = MODELS / "resnet8_cifar10_int8.onnx"


@pytest.fixture(scope="module")
def resnet8() -> Comparison:
    return compare(RESNET8, ["edge4k", "edge4k-fixed", "peer4k"])


def test_plans_are_those_of_compile(resnet8: Comparison) -> None:
    assert [plan.machine for plan in resnet8.machines] == ["edge4k", "edge4k-fixed", "peer4k"]
    assert [plan.without for plan in resnet8.ablations] == list(FREEDOMS)
    for plan in resnet8.machines:
        assert plan.cost.cycles == plan.cost.predicted_cycles
        assert plan.cost.cycles == compile_model(RESNET8, plan.machine).predicted_cycles
    single = {layer.configuration for layer in resnet8.ablations[1].cost.layers} - {""}
    assert len(single) == 1


def test_report(resnet8: Comparison) -> None:
    text = report(resnet8)
    assert max(map(len, text.splitlines())) <= 100
    titles = [part.splitlines()[0] for part in text.split("\n\n")]
    assert titles == [
        "resnet8_cifar10_int8 at -O2",
        "Where the critical path goes, and how the others differ",
        "Largest differences by layer, in cycles of the critical path",
        "What each freedom is worth on edge4k",
    ]
    machines, terms, layers, ablations = ([line.split() for line in part.splitlines()] for part in text.split("\n\n"))
    assert machines[3][:3] == ["edge4k", f"{resnet8.first.cycles:,}", "1.00"]
    assert [row[0] for row in machines[3:]] == ["edge4k", "edge4k-fixed", "peer4k"]
    assert len(layers) <= 13
    assert [" ".join(row[:2]) for row in ablations[3:5]] == ["full planner", "no Winograd"]
    assert len(ablations) == 3 + 1 + len(FREEDOMS)

    # the terms of the first machine are its cycles, those of the others what they differ by
    def total(row: list[str]) -> int:
        return sum(int(cell.replace(",", "")) for cell in row[-len(TERMS) :])

    assert total(terms[3]) == resnet8.first.cycles
    for plan, row in zip(resnet8.machines[1:], terms[4:], strict=True):
        assert total(row) == plan.cost.cycles - resnet8.first.cycles


def test_a_terminal_is_never_too_narrow_and_a_pipe_gets_names_whole(resnet8: Comparison) -> None:
    for width in (80, 120):
        assert max(map(len, report(resnet8, width).splitlines())) <= width
    assert "…" not in report(resnet8, None)
    assert grid("t", ("layer", "cycles"), [["a" * 150, "1"]], width=None).splitlines()[-1].startswith("a" * 150)


def test_depthwise_networks_are_no_fair_match(resnet8: Comparison) -> None:
    assert resnet8.depthwise == 0
    found = compare(MODELS / "dscnn_kws_int8.onnx", ["edge4k", "edge4k-fixed"])
    assert found.depthwise == 4
    assert report(found).endswith(
        "4 of 9 convolutions are depthwise: one input channel per output leaves most lanes of the\n"
        "fixed array of edge4k-fixed idle, so as an opponent it is a straw man here. Judge by dense networks."
    )


def test_command_writes_json(recon: Tool, tmp_path: Path) -> None:
    outcome = recon("compare", RESNET8, "--machines", "edge1k", "--json", tmp_path / "c.json", "-O1", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    data = json.loads((tmp_path / "c.json").read_text())
    assert data["level"] == 1
    assert [plan["without"] for plan in data["ablations"]] == list(FREEDOMS)
    for plan in (*data["machines"], *data["ablations"]):
        statistics = plan["statistics"]
        assert sum(layer["cycles"] for layer in statistics["layers"]) == statistics["cycles"]
    assert re.search(rf"^full planner +{data['machines'][0]['statistics']['cycles']:,} ", outcome.out, re.MULTILINE)


def test_a_machine_that_cannot_run_the_model_is_a_row(recon: Tool, tmp_path: Path) -> None:
    text = (MACHINES / "edge1k.toml").read_text()
    (tmp_path / "tiny.toml").write_text(text.replace("bytes = 2_097_152", "bytes = 512").replace("edge1k", "tiny"))
    outcome = recon("compare", RESNET8, "--machines", f"edge1k,{tmp_path / 'tiny.toml'}")
    assert outcome.code == 0
    assert "does not fit in SRAM" in outcome.out.splitlines()[-1]
    first = recon("compare", RESNET8, "--machines", f"{tmp_path / 'tiny.toml'},edge1k")
    assert first.code == 1
    assert first.err.startswith("error: Layer conv2d")


@pytest.mark.parametrize(
    ("machines", "message"),
    [
        (",", "Name at least one machine to compare on."),
        ("edge4k,edge4k", "The machine edge4k is named twice."),
        (
            "edge4k,edge9",
            "There is no machine 'edge9': known are edge1k, edge4k, edge4k-fixed, edge4k-real, micro256, "
            "nvdla-large, peer4k, or give "
            "the path of a TOML file.",
        ),
    ],
)
def test_wrong_machines(recon: Tool, machines: str, message: str) -> None:
    outcome = recon("compare", RESNET8, "--machines", machines)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


def test_a_plan_is_no_model(recon: Tool, recon_opt: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recon_opt(RESNET8, "--to", "tile", "--machine", "edge4k", "-o", "plan.mlir").code == 0
    outcome = recon("compare", "plan.mlir")
    assert outcome.err == (
        "error: plan.mlir: this is at level tile and holds one plan; compare makes several from a model.\n"
    )


def test_long_names_are_cut_and_numbers_are_not() -> None:
    text = grid("title", ("layer", "operator", "cycles"), [["a" * 90, "b" * 90, "1,234,567,890"]], texts=2)
    assert max(map(len, text.splitlines())) == 100
    assert "1,234,567,890" in text


def test_a_limit_and_an_objective_hold_for_all_plans(recon: Tool, tmp_path: Path) -> None:
    options = ["--sram-limit", "64KiB", "--objective", "dram"]
    outcome = recon("compare", RESNET8, "--machines", "edge1k", *options, "--json", tmp_path / "c.json", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("resnet8_cifar10_int8 at -O2 for dram within 65,536 bytes of SRAM\n")
    data = json.loads((tmp_path / "c.json").read_text())
    assert (data["level"], data["objective"], data["sram_limit_bytes"]) == (2, "dram", 65536)
