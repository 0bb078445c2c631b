"""From an instruction back to the ONNX nodes: printed at every level, read back, and as the debug table has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dialects import accel
from sim.machine.program import MachineSegment
from tests.conftest import ROOT, Tool
from tools.driver import compile_model, lower, make_context, read_module
from tools.terminal.locations import layers_of, nodes_of

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
PLAN = ROOT / "examples" / "fused.mlir"
ONE = "!cnn.tensor<1x4x4x4, scale 0.5, zero 0>"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("level", ["onnx", "cnn", "tile", "accel"])
def test_every_level_carries_the_nodes_and_reads_them_back(recon_opt: Tool, level: str) -> None:
    assert recon_opt(MODEL, "--to", level, "-o", "plain.mlir").code == 0
    assert "loc(" not in Path("plain.mlir").read_text()
    assert recon_opt(MODEL, "--to", level, "--print-debuginfo", "-o", "x.mlir").code == 0
    text = Path("x.mlir").read_text()
    (lines,) = [[part for part in text.split(" loc(")[1:]]]
    named = [part for part in lines if not part.startswith("unknown)")]
    assert len(named) > {"onnx": 90, "cnn": 10, "tile": 60, "accel": 60}[level]
    assert recon_opt("x.mlir", "--print-debuginfo", "-o", "y.mlir").code == 0
    assert Path("y.mlir").read_text() == text.replace("x.safetensors", "y.safetensors")
    assert recon_opt("x.mlir", "-o", "plain_again.mlir").code == 0
    assert Path("plain_again.mlir").read_text() == Path("plain.mlir").read_text().replace("plain.", "plain_again.")


def test_the_road_from_a_text_with_locations_is_the_same(recon_opt: Tool) -> None:
    assert recon_opt(MODEL, "--to", "cnn", "--print-debuginfo", "-o", "c.mlir").code == 0
    assert recon_opt("c.mlir", "--to", "accel", "--print-debuginfo", "-o", "x.mlir").code == 0
    assert recon_opt(MODEL, "--to", "accel", "--print-debuginfo", "-o", "y.mlir").code == 0
    texts = [Path(name).read_text().partition("recon.layer ")[2] for name in ("x.mlir", "y.mlir")]
    assert len(texts[0]) > 10_000
    assert texts[0] == texts[1]


def test_locations_are_what_the_debug_table_says() -> None:
    module = read_module(MODEL, make_context())
    lower(module, "accel", make_context(), machine="edge4k")
    program = compile_model(MODEL)
    segments = [segment for segment in program.segments if isinstance(segment, MachineSegment)]
    layers, count = layers_of(module), 0
    for made, segment in zip(accel.programs(module), segments, strict=True):
        for op, row in zip(made.instructions, segment.layer_of, strict=True):
            assert nodes_of(op, layers) == list(program.layers[row].onnx)
            count += bool(program.layers[row].onnx)
    assert count > 40


def test_a_line_of_the_plan_stands_behind_the_nodes(recon_opt: Tool) -> None:
    text = recon_opt(PLAN, "--to", "accel", "--print-debuginfo").out
    assert re.search(r'layer @c3\s+loc\("Conv_7"\("' + re.escape(str(PLAN)) + r'":61:5\)\)', text)
    assert re.search(r'layer @c1\s+loc\(fused\["Conv_3", "Relu_4", "' + re.escape(str(PLAN)) + r'":47:3\]\)', text)


def test_what_is_wrong_is_wrong_here(recon_opt: Tool) -> None:
    """A text says where its operations come from; an error says where they stand."""
    assert recon_opt(PLAN, "--to", "accel", "--print-debuginfo", "-o", "x.mlir").code == 0
    text = Path("x.mlir").read_text()
    Path("y.mlir").write_text(text.replace("hi = 127", "hi = 300", 1))
    line = text[: text.index("hi = 127")].rpartition("%")[0].count("\n") + 1
    ended = recon_opt("y.mlir")
    assert ended.code == 1
    assert ended.err.startswith(f"y.mlir:{line}:5: error: field 'hi' holds whole numbers from -128 to 127, not 300\n")


def test_patterns_keep_the_place(recon_opt: Tool) -> None:
    """Of what they join the first: an error behind them still names the line."""
    Path("x.mlir").write_text(
        f"func.func @main(%x: {ONE}) -> {ONE} {{\n"
        '  %a = cnn.table %x table <256xi8, seed 1> layer "a"\n'
        '  %b = cnn.table %a table <256xi8, seed 2> layer "b" nodes ["B"]\n'
        f"  func.return %b : {ONE}\n}}\n"
    )
    text = recon_opt("x.mlir", "-p", "fuse-activations", "--print-debuginfo").out
    assert 'layer "a" nodes ["B"] loc("B"("x.mlir":2:3))' in text


def test_names_of_a_text_that_has_no_nodes(recon_opt: Tool) -> None:
    Path("x.mlir").write_text(
        f'func.func @main(%x: {ONE}) -> {ONE} {{\n  %b = cnn.add %x, %x layer "b" loc(fused["Add_1", "Relu_2"])\n'
        f"  func.return %b : {ONE}\n}}\n"
    )
    text = recon_opt("x.mlir", "--print-debuginfo").out
    assert 'cnn.add %x, %x layer "b" loc(fused["Add_1", "Relu_2"])' in text


def test_the_words_of_a_text_come_before_its_locations(recon_opt: Tool) -> None:
    """Where the two contradict, as the page on the compiler says."""
    Path("x.mlir").write_text(
        f'func.func @main(%x: {ONE}) -> {ONE} {{\n  %b = cnn.add %x, %x layer "b" nodes ["Add_1"] loc("Mul_7")\n'
        f"  func.return %b : {ONE}\n}}\n"
    )
    text = recon_opt("x.mlir", "--to", "accel", "--print-debuginfo").out
    assert 'nodes ["Add_1"]' in text
    assert 'loc("Add_1"' in text
    assert "Mul_7" not in text
