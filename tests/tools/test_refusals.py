"""What cannot be compiled is refused in a sentence: options out of range, modules without work, texts half done."""

from __future__ import annotations

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
         "error: @main holds test.op; a program holds calls and host regions only, so lower it first.\n"),
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
