"""What xDSL's verifier leaves out is found, with its place in the text, and nothing is printed but the one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdsl.utils.exceptions import VerifyException

from passes.onnx_to_cnn.convert_onnx_to_cnn import ConvertOnnxToCnnPass
from tests.conftest import ROOT, Outcome, Tool
from tools.driver import make_context, read_module
from tools.terminal import diagnostics

MODEL = ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"
KIND = "!cnn.tensor<1x2x2x8, scale 1.0, zero 0>"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, so that messages name plain files."""
    monkeypatch.chdir(tmp_path)


def refused(outcome: Outcome, message: str) -> None:
    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        f"{message if ': error: ' in message.splitlines()[0] else f'error: {message}'}\n",
    )


def test_places_of_several_problems(recon_opt: Tool) -> None:
    Path("x.mlir").write_text(
        f"func.func @main() {{\n  %a = cnn.add %b, %b : ({KIND}, {KIND}) -> {KIND}\n"
        f'  %b = "test.op"() : () -> {KIND}\n  func.return\n}}\n    recon.call @gone() : () -> ()\n'
    )
    refused(
        recon_opt("x.mlir"),
        "The module has 2 problems:\n"
        "x.mlir:2:3: error: cnn.add %a: it uses %b before its definition, or from a region that does not see it.\n"
        "x.mlir:6:5: error: recon.call: its segment @gone is not defined.",
    )


def test_place_in_a_later_part_of_a_file(recon_opt: Tool) -> None:
    text = f'%x = "test.op"() : () -> {KIND}\n'
    bad = "%y = cnn.reshape %x -> !cnn.tensor<1x2x2x7, scale 1.0, zero 0>\n"
    Path("x.mlir").write_text(f"{text}// -----\n\n{text}  {bad}")
    outcome = recon_opt("x.mlir", "--split-input-file")
    lines = outcome.err.splitlines()
    assert (
        lines[0]
        == f"x.mlir:5:3: error: {KIND} and !cnn.tensor<1x2x2x7, scale 1.0, zero 0> do not hold as many elements"
    )
    assert lines[1:] == [f"  {bad.rstrip()}"]


PLAN = """\
tile.schedule @plan machine "edge4k" (%in: !tile.dram<4x4x8xi8>) -> (%out: !tile.dram<4x4x8xi8>) {
  %x = tile.alloc : !tile.sram<4x4x8xi8>
  tile.load %x[0, 0, 0] [4, 4, 8] from %in[0, 0, 0]
  tile.free %x : !tile.sram<4x4x8xi8>
  tile.store %out[0, 0, 0] [4, 4, 8] from %x[0, 0, 0]
  tile.use <direct g1 k64 r64 p1>
}
"""


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(["--to", "tile"], ""), (["-p", "verify-structure{level=tile}"], "\n  in the pass verify-structure")],
)
def test_plans_that_the_machine_cannot_carry_out(recon_opt: Tool, arguments: list[str], where: str) -> None:
    Path("plan.mlir").write_text(PLAN)
    refused(
        recon_opt("plan.mlir", *arguments),
        "The plan @plan for edge4k has 2 problems:\n"
        "plan.mlir:5:3: error: tile.store %out: it uses %x after its free; free it later.\n"
        "plan.mlir:6:3: error: tile.use: the shadow slot is empty, not direct g1 k64 r64 p1; a load_config of it must "
        f"come before.{where}",
    )


def test_a_conversion_that_leaves_something(recon_opt: Tool) -> None:
    """After ``convert-onnx-to-cnn`` no onnx operation may be left outside host regions."""
    outcome = recon_opt(MODEL, "--to", "cnn", "-o", "x.mlir")
    assert outcome.code == 0
    text = Path("x.mlir").read_text()
    Path("x.mlir").write_text(text.replace("    func.return", "    %none = onnx.none\n    func.return"))
    module = read_module("x.mlir", make_context())
    diagnostics.verify(module)
    with pytest.raises(VerifyException) as caught:
        diagnostics.verify(module, ConvertOnnxToCnnPass())
    line = text[: text.index("    func.return")].count("\n") + 1
    assert str(caught.value) == (
        f"x.mlir:{line}:5: The module: onnx.none %none: onnx.none is left at level cnn; its lowering has not run."
    )


CALLED = """\
tile.schedule @part machine "edge4k" (%in: !tile.dram<4x8xi8>) -> (%out: !tile.dram<4x8xi8>) {
  %x = tile.alloc : !tile.sram<4x8xi8>
  tile.load %x from %in
  tile.store %out from %x
}
func.func @main(%a: tensor<4x8xi8>) -> tensor<4x8xi8> {
  %y = recon.call @part(%a) : (tensor<4x8xi8>) -> tensor<4x8xi8>
  func.return %y : tensor<4x8xi8>
}
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("main(%a: tensor<4x8xi8>", "main(%a: tensor<4x9xi8>", "@part takes 32 bytes, and the call has 36."),
        ("-> tensor<4x8xi8>\n", "-> tensor<5x8xi8>\n", "@part gives 32 bytes, and the call has 40."),
        ("@part(%a) : (tensor<4x8xi8>)", "@part(%a, %a) : (tensor<4x8xi8>, tensor<4x8xi8>)",
         "@part takes 32 bytes, and the call has 32, 32."),
    ],
)  # fmt: skip
def test_a_call_gives_what_its_segment_takes(recon_opt: Tool, before: str, after: str, message: str) -> None:
    Path("x.mlir").write_text(CALLED)
    assert recon_opt("x.mlir").err == ""
    text = CALLED.replace(before, after)
    if "tensor<4x9" in after:
        text = text.replace("(%a) : (tensor<4x8xi8>)", "(%a) : (tensor<4x9xi8>)")
    if "tensor<5x8" in after:
        text = text.replace("main(%a: tensor<4x8xi8>) -> tensor<4x8xi8>", "main(%a: tensor<4x8xi8>) -> tensor<5x8xi8>")
        text = text.replace("return %y : tensor<4x8xi8>", "return %y : tensor<5x8xi8>")
    Path("x.mlir").write_text(text)
    assert recon_opt("x.mlir").err == f"x.mlir:7:3: error: The module: recon.call %y: {message}\n"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (PLAN.replace('"edge4k"', '"edge5k"'), "1:1", "tile.schedule"),
        ('accel.program @p machine "edge5k" {\n}\n', "1:1", "accel.program"),
    ],
)
def test_a_machine_that_is_not_there(recon: Tool, recon_opt: Tool, text: str, line: str, said: str) -> None:
    Path("x.mlir").write_text(text)
    message = (
        f"x.mlir:{line}: error: The module: {said}: There is no machine 'edge5k': known are edge1k, edge4k, "
        "edge4k-fixed, edge4k-real, micro256, nvdla-large, peer4k, or give the path of a TOML file."
    )
    refused(recon_opt("x.mlir"), message)
    refused(recon("compile", "x.mlir", "-o", "x.rbin"), message)


def test_symbols_of_another_kind(recon_opt: Tool) -> None:
    body = PLAN.partition("  tile.load")[0] + "  tile.load %x from %in layer @plan\n}\n"
    Path("x.mlir").write_text(
        f'recon.layer @c "pad" "" macs 0 compute 0 weights 0 activations 0\n{body}'
        f"func.func @main(%a: {KIND}) -> {KIND} {{\n  %b = recon.call @c(%a) : ({KIND}) -> {KIND}\n"
        f"  func.return %b : {KIND}\n}}\n"
    )
    refused(
        recon_opt("x.mlir"),
        "The module has 2 problems:\n"
        "x.mlir:4:3: error: tile.load: its layer @plan is a recon.layer, and here it names tile.schedule.\n"
        "x.mlir:7:3: error: recon.call %b: its segment @c is a tile.schedule or an accel.program, and here it names "
        "recon.layer.",
    )
