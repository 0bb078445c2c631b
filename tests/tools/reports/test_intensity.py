"""recon roofline: the numbers behind the chart, the table of shapes, the two ways to draw it, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sim.machine.description import load
from tests.conftest import ROOT, Tool
from tools.reports.intensity import page, svg
from tools.reports.intensity.convolutions import Convolution, Model, convolutions, shapes

MODELS = ROOT / "tests" / "data" / "models"
RESNET8, VWW = MODELS / "resnet8_cifar10_int8.onnx", MODELS / "mobilenetv1_vww_int8.onnx"
EDGE4K = load("edge4k")


def test_a_convolution_counts_its_operands_once() -> None:
    first = convolutions(RESNET8, EDGE4K).convolutions[0]
    assert first.operator == "conv 3x3 3→32x32x16"
    inputs, outputs, weights = 32 * 32 * 3, 32 * 32 * 16, 3 * 3 * 3 * 16 + 8 * 16
    assert first.bytes == inputs + outputs + weights
    # a padded 3x3 window sees 94 x 94 of the 96 x 96 positions of its taps on 32 x 32 pixels
    assert first.macs == 94 * 94 * 3 * 16
    assert first.intensity == 2 * first.macs / first.bytes


def test_shapes_and_kinds() -> None:
    def model(name: str, *texts: str) -> Model:
        return Model(name, tuple(Convolution("c", text, 1, 1) for text in texts))

    a = model("a", "8x8x4 -> 8x8x16 3x3", "8x8x4 -> 8x8x16 3x3", "4x4x4 -> 4x4x16 3x3")
    b = model("b", "8x8x4 -> 8x8x16 3x3", "8x8x4 -> 8x8x16 3x3 dilated 2", "8x8x4 -> 8x8x16 3x3 in 4 groups")
    rows = [
        (row.model, row.convolutions, row.shapes, row.own_shapes, row.kinds, row.own_kinds) for row in shapes([a, b])
    ]
    assert rows == [("a", 3, 2, 1, 1, 0), ("b", 3, 3, 2, 3, 2), ("all models", 6, 4, 3, 3, 2)]
    assert a.convolutions[0].kind == "4 -> 16 3x3"


def test_svg_is_the_same_again_and_holds_every_convolution() -> None:
    models = [convolutions(path, EDGE4K) for path in (RESNET8, VWW)]
    text = svg.svg(models, EDGE4K)
    assert svg.svg(models, EDGE4K) == text
    root = ET.fromstring(text)
    name = "{http://www.w3.org/2000/svg}"
    groups = [group for group in root.iter(f"{name}g") if (group.get("id") or "").startswith("PathCollection")]
    dots = [sum(1 for part in group.iter(f"{name}path")) for group in groups]
    assert dots == [len(model.convolutions) for model in models]


def test_svg_says_what_to_install(monkeypatch: pytest.MonkeyPatch, recon: Tool, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ended = recon("roofline", RESNET8, "-o", tmp_path / "r.svg")
    assert (ended.code, ended.err) == (
        1,
        "error: An SVG is drawn by Matplotlib, which is not installed: pip install 'recon-compiler[pictures]'; "
        "a page (-o FILE.html) needs nothing more.\n",
    )


def test_page() -> None:
    text = page.page([convolutions(RESNET8, EDGE4K)], EDGE4K)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    known = json.loads(data)
    assert known["ridge"] == pytest.approx(2 * 4096 / float(EDGE4K.dram_rate))
    assert known["winograd"] == pytest.approx(known["ridge"] * 2.25)
    assert [len(model["layers"]) for model in known["models"]] == [9]


def test_command(recon: Tool, tmp_path: Path) -> None:
    chart = tmp_path / "chart.svg"
    ended = recon("roofline", RESNET8, VWW, "-o", chart, "--machine", "edge1k")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["model", "convolutions", "shapes", "only", "here", "kinds", "only", "here"]
    assert lines[1].split()[:2] == ["resnet8_cifar10_int8", "9"]
    assert lines[3].startswith("all models ")
    assert lines[4].startswith("shape: rows, columns and channels")
    assert recon("roofline", RESNET8, "-o", chart, "-q").code == 0  # over its own older chart


def test_refusals(recon: Tool, tmp_path: Path) -> None:
    assert recon("roofline", RESNET8, "-o", tmp_path / "r.png").err == (
        f"error: {tmp_path / 'r.png'}: a chart is an .svg or an .html file; name it so.\n"
    )
    other = tmp_path / "other.svg"
    other.write_text("<svg/>")
    assert "it is no chart of 'recon roofline'" in recon("roofline", RESNET8, "-o", other).err
    assert other.read_text() == "<svg/>"
