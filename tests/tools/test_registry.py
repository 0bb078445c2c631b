"""Passes chosen by hand: each says that a module is of the wrong level, and xDSL's own tools find the constants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from passes.common.levels import LEVELS
from passes.pipeline import PIPELINE, Entry
from tests.conftest import ROOT, Tool

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"

T = "!cnn.tensor<1x1x1x4, scale 0.5, zero 0>"
TEXTS = {
    "onnx": '%x = "test.op"() : () -> tensor<4xf32>\n%y = onnx.node "Relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>',
    "cnn": f'%x = "test.op"() : () -> {T}\n%y = cnn.add %x, %x : ({T}, {T}) -> {T}',
    "tile": 'tile.schedule @main machine "edge4k" (%in: !tile.dram<8xi8>) -> (%out: !tile.dram<8xi8>) {\n}',
    "accel": 'accel.program @main machine "edge4k" {\n}',
}
"""The least of every level."""

ROAD = {
    ("onnx", "cnn"): "convert-onnx-to-cnn leads",
    ("onnx", "tile"): "convert-onnx-to-cnn, convert-cnn-to-tile lead",
    ("onnx", "accel"): "convert-onnx-to-cnn, convert-cnn-to-tile, convert-tile-to-accel lead",
    ("cnn", "tile"): "convert-cnn-to-tile leads",
    ("cnn", "accel"): "convert-cnn-to-tile, convert-tile-to-accel lead",
    ("tile", "accel"): "convert-tile-to-accel leads",
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("entry", PIPELINE, ids=lambda entry: entry.name)
def test_every_pass_says_which_level_it_works_on(entry: Entry, level: str, recon_opt: Tool, tmp_path: Path) -> None:
    text = tmp_path / "x.mlir"
    text.write_text(TEXTS[level])
    outcome = recon_opt(text, "-p", entry.name)
    if entry.takes in ("", level):
        assert "works on the" not in outcome.err
        return
    line = "1:1" if level in ("tile", "accel") else "2:1"
    if LEVELS.index(level) > LEVELS.index(entry.takes):
        rest = f", below it; no pass leads up, so take the text of the {entry.takes} level."
    else:
        rest = f"; {ROAD[level, entry.takes]} there, as does recon-opt --to {entry.takes}."
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        f"{text}:{line}: error: {entry.name} works on the {entry.takes} level, and this module is on the {level} level"
        f"{rest}\n"
    )


def test_every_pass_but_the_one_of_every_level_takes_a_level() -> None:
    assert {entry.name: entry.takes for entry in PIPELINE if entry.takes not in LEVELS} == {"verify-structure": ""}
    for entry in PIPELINE:
        if entry.name.startswith("convert-"):
            assert entry.name == f"convert-{entry.takes}-to-{entry.level}"


def test_a_module_without_work_is_left_alone(recon_opt: Tool, tmp_path: Path) -> None:
    """Nothing but a host region, as a model that the machine cannot run at all has it: every pass has nothing to do."""
    text = tmp_path / "x.mlir"
    text.write_text(
        "func.func @main(%a: tensor<1x4xf32>) -> tensor<1x4xf32> {\n %y = cnn.host %a {\n ^bb0(%z: tensor<1x4xf32>):\n"
        '  %w = onnx.node "Relu"(%z) : (tensor<1x4xf32>) -> tensor<1x4xf32>\n  cnn.yield %w : tensor<1x4xf32>\n'
        " } : (tensor<1x4xf32>) -> tensor<1x4xf32>\n func.return %y : tensor<1x4xf32>\n}"
    )
    plain = recon_opt(text)
    assert recon_opt(text, "-p", "elide-configuration,check-hazards") == plain


def test_xdsl_opt_runs_our_passes_on_text_with_a_side_file(recon_opt: Tool, tmp_path: Path) -> None:
    """From another folder, as a user of xDSL would; it writes what recon-opt writes, but for names of values."""
    assert recon_opt(MODEL, "--to", "cnn", "-o", tmp_path / "m.mlir").code == 0
    assert 'recon.constants = "m.safetensors"' in (tmp_path / "m.mlir").read_text()
    ended = subprocess.run(
        [Path(sys.executable).with_name("xdsl-opt"), tmp_path / "m.mlir", "-p", "convert-cnn-to-tile"],
        capture_output=True, text=True, cwd=ROOT.parent, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    ours = recon_opt(tmp_path / "m.mlir", "-p", "convert-cnn-to-tile").out
    assert [re.sub(r"%\w+|\s", "", text) for text in (ended.stdout, ours)] == [re.sub(r"%\w+|\s", "", ours)] * 2
