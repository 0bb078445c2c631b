"""What cannot be compiled is refused in a sentence: options out of range, modules without work, texts half done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tool

T = "!cnn.tensor<1x4x4x4, scale 0.5, zero 0>"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("trials=-3", "The plans tried are at least 1 (0 for as many as it takes), not -3."),
        ("sram-limit=0",
         "-p convert-cnn-to-tile: sram-limit=0 leaves no SRAM; leave it out to take the machine's."),
        ("trials=2 trials=3", "-p convert-cnn-to-tile: the option 'trials' is given twice."),
    ],
)  # fmt: skip
def test_options_out_of_range(recon_opt: Tool, options: str, message: str) -> None:
    ended = recon_opt(ROOT / "examples" / "fused_model.mlir", "-p", f"convert-cnn-to-tile{{{options}}}")
    assert (ended.code, ended.out, ended.err) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (" func.return %x : " + T,
         "x.mlir:2:2: error: The module: func.return: @main returns its input %x as it is; a program makes its "
         "outputs itself.\n"),
        (f' %y = "test.op"(%x) : ({T}) -> {T}\n %z = cnn.add %x, %y layer "a"\n func.return %z : {T}',
         "x.mlir:2:2: error: @main holds test.op; a program holds calls and host regions only, so lower it first.\n"),
    ],
    ids=["a returned input", "a foreign operation"],
)  # fmt: skip
def test_a_main_that_is_no_program(recon: Tool, body: str, message: str) -> None:
    Path("x.mlir").write_text(f"func.func @main(%x: {T}) -> {T} {{\n{body}\n}}")
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (ended.code, ended.err, Path("x.rbin").exists()) == (1, message, False)


def test_instructions_without_addresses(recon: Tool, recon_opt: Tool) -> None:
    assert recon_opt(ROOT / "examples" / "fused.mlir", "-p", "convert-tile-to-accel", "-o", "x.mlir").code == 0
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert ended.code == 1
    assert ended.err.startswith("x.mlir:")
    assert ended.err.endswith(
        " has no address yet; recon-opt x.mlir -p allocate-sram,assign-waits gives all of them one.\n"
    )


def test_what_is_int8_already_is_not_quantised(recon: Tool, recon_opt: Tool) -> None:
    Path("x.mlir").write_text(FUNCTION.format(name="main", kind=T, layer="a"))
    ended = recon("compile", "x.mlir", "-o", "x.rbin", "--assume-int8")
    assert (ended.code, ended.err, Path("x.rbin").exists()) == (
        1, "error: --assume-int8 quantises a model of level onnx, and this is at level cnn, which is int8 already; "
        "leave it out.\n", False,
    )  # fmt: skip
    ended = recon_opt("x.mlir", "-p", "assume-int8")
    assert (ended.code, ended.out, ended.err) == (
        1, "", "x.mlir:2:3: error: assume-int8 works on the onnx level, and this module is on the cnn level, below it; "
        "no pass leads up, so take the text of the onnx level.\n",
    )  # fmt: skip


LARGE = "!cnn.tensor<1x99999x99999x3, scale 0.5, zero 0>"


def test_an_image_of_any_size(recon: Tool, recon_opt: Tool) -> None:
    """It is refused at once, by line and number, before anything of its size is made."""
    small = LARGE.replace("99999", "99998")
    Path("x.mlir").write_text(
        f'func.func @main(%x: {LARGE}) -> {small} {{\n  %y = cnn.max_pool2d %x window <2x2> layer "p"\n'
        f"  func.return %y : {small}\n}}\n"
    )
    compiled = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (compiled.code, compiled.out, compiled.err) == (
        1,
        "",
        "error: the model has 2 problems:\n"
        "x.mlir:2:3: error: p: Its result has 99998x99998 pixels, more than 65535 in a row or column. Instructions "
        "count rows and columns in 16 bits; cut the image into parts.\n"
        "x.mlir:2:3: error: p: A tensor of it is 29,999,400,003 bytes, more than 4,294,967,296. Addresses in DRAM have "
        "32 bits, and a program its tensors in one such space; cut the image into parts.\n",
    )
    for ended in (
        recon("compile", "x.mlir", "-o", "x.rbin", "--validate"),
        recon_opt("x.mlir", "-p", "fold-pads", "--validate-each"),
    ):
        assert (ended.code, ended.out) == (1, "")
        assert re.fullmatch(
            r"x\.mlir:1:1: error: %x of 1x99999x99999x3 takes 479,990,400,048 bytes to compute with in numpy, and this "
            r"computer has [\d,]+; validate the module with a smaller image\.\n",
            ended.err,
        ), ended.err


def test_text_of_the_cnn_level_meets_the_limits(recon: Tool) -> None:
    """A person's text has not been through the passes that lead to its level; their check it meets all the same."""
    Path("x.mlir").write_text(
        f'func.func @main(%x: {T}) -> {T} {{\n %y = cnn.max_pool2d %x window <3x3 pad 2 2 2 2 dilation 2 2> layer "p"\n'
        f" func.return %y : {T}\n}}\n"
    )
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (ended.code, ended.err) == (
        1,
        "x.mlir:2:2: error: the model: p: It pools with dilation 2x2. The vector unit's windows are dense; replace the "
        "dilated pool by a plain one.\n",
    )


FUNCTION = (
    "func.func @{name}(%x: {kind}) -> {kind} {{\n"
    "  %y = cnn.conv2d %x weights <4x1x1x4xi8, seed 1> bias <4xi32, 0> scales <4xf32, 0.1> window <1x1> "
    'quant <scale 0.5, zero 0> layer "{layer}"\n  func.return %y : {kind}\n}}\n'
)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["foo"],
         "x.mlir:1:1: error: The module has no function @main, only @foo; what is compiled is called @main.\n"),
        (["main", "main"],
         "x.mlir:5:1: error: the symbol @main is defined twice, first at x.mlir:1:1\n"
         "  func.func @main(%x: !cnn.tensor<1x4x4x4, scale 0.5, zero 0>) -> "
         "!cnn.tensor<1x4x4x4, scale 0.5, zero 0> { …\n"),
        (["main", "other"],
         "x.mlir:5:1: error: the model: @other: Only @main becomes a program; put what it does there.\n"),
        ([], "x.mlir:1:1: error: there is nothing in this text\n  // Nothing.\n  ^\n"),
    ],
    ids=["no main", "two mains", "another function", "nothing"],
)  # fmt: skip
def test_what_is_no_main(recon: Tool, names: list[str], message: str) -> None:
    texts = [FUNCTION.format(name=name, kind=T, layer=f"l{number}") for number, name in enumerate(names)]
    Path("x.mlir").write_text("".join(texts) or "// Nothing.\n")
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (ended.code, ended.err.replace("  in the pass legalize\n", ""), Path("x.rbin").exists()) == (
        1,
        message,
        False,
    )


def test_an_empty_module(recon: Tool) -> None:
    Path("x.mlir").write_text("builtin.module {\n}\n")
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (ended.code, ended.err) == (
        1, "error: The module has no function @main; what is compiled is called @main.\n",
    )  # fmt: skip


def test_a_main_without_names_is_validated_and_proven(recon: Tool) -> None:
    """Its inputs and outputs are called as the text calls its arguments, and ``output0``."""
    Path("x.mlir").write_text(FUNCTION.format(name="main", kind=T, layer="a"))
    ended = recon("compile", "x.mlir", "-o", "x.rbin", "--validate-inputs", 1)
    assert (ended.code, ended.err) == (0, "")
    assert "; the program proven for every input\n" in ended.out


def test_a_main_without_inputs_is_validated(recon: Tool) -> None:
    Path("x.mlir").write_text(
        f'func.func @main() -> {T} {{\n  %k = cnn.constant <1x4x4x4xi8, seed 1> layer "k" : {T}\n'
        f'  %y = cnn.add %k, %k layer "a"\n  func.return %y : {T}\n}}\n'
    )
    ended = recon("compile", "x.mlir", "-o", "x.rbin", "--validate")
    assert (ended.code, ended.err) == (0, "")
    assert " passes checked on 1 input, " in ended.out


def test_the_planner_speaks_of_lines(recon: Tool) -> None:
    pinned = FUNCTION.replace('layer "{layer}"', 'layer "{layer}" {{{{configuration = {conf}}}}}').format(
        name="main", kind=T, layer="a", conf="#tile.configuration<winograd g1 k16 r16 p16>"
    )
    Path("x.mlir").write_text(pinned.replace("{{", "{").replace("}}", "}"))
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    assert (ended.code, ended.err) == (
        1, "x.mlir:2:3: error: Layer a cannot run in winograd g1 k16 r16 p16 on edge4k: Winograd is for 3×3 kernels "
        "with stride and dilation 1.\n",
    )  # fmt: skip


def test_a_loop_without_end_is_refused_at_its_line(recon: Tool) -> None:
    Path("x.mlir").write_text(
        'tile.schedule @main machine "edge4k" (%in: !tile.dram<4x4x16xi8>) -> (%out: !tile.dram<4x4x16xi8>) {\n'
        "  %x = tile.alloc : !tile.sram<4x4x16xi8>\n  tile.for %i = 0 to 100000000 step 1 {\n"
        "    tile.load %x from %in\n  }\n  tile.store %out from %x\n}\n"
    )
    for options in ([], ["--validate"]):
        ended = recon("compile", "x.mlir", "-o", "x.rbin", *options)
        assert (ended.code, ended.err) == (
            1, "x.mlir:3:3: error: The plan @main for edge4k unrolls to 100,000,001 instructions and at most 200,000 "
            "are allowed; take larger tiles or fewer turns.\n",
        )  # fmt: skip
