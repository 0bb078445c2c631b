"""No command writes over what it reads, or over a file that it could not have written, without --force."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sim.machine.program import Program
from tests.conftest import ROOT, Outcome, Tool

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


@pytest.fixture(autouse=True)
def folder(adder: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a program, its listing, a machine, a plan, an input and a text of the user's."""
    monkeypatch.chdir(tmp_path)
    adder.save("adder.rbin")
    Path("model.onnx").write_bytes(MODEL.read_bytes())
    Path("mine.toml").write_bytes((ROOT / "sim" / "machines" / "edge1k.toml").read_bytes())
    Path("thesis.txt").write_text("Years of work.")
    Path("package.json").write_text('{"name": "mine", "version": "1.0"}')
    np.save("x.npy", np.zeros((1, 4, 4, 3), np.int8))
    return tmp_path


def refused(outcome: Outcome, message: str) -> None:
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


OVER_INPUT = "the command reads this file and would write over it; give another name, or --force."

FOREIGN = "there is such a file already, and it is no {}; give another name, or --force to write over it."

PROGRAM, LISTING, STATISTICS = "program of recon", "listing of 'recon disassemble'", "file of statistics"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compile model.onnx -o model.onnx", f"-o model.onnx: {OVER_INPUT}"),
        ("compile model.onnx -o mine.toml --machine mine.toml", f"-o mine.toml: {OVER_INPUT}"),
        ("compile model.onnx -o thesis.txt", f"-o thesis.txt: {FOREIGN.format(PROGRAM)}"),
        ("run adder.rbin --stats adder.rbin", f"--stats adder.rbin: {OVER_INPUT}"),
        ("run adder.rbin --input x.npy --stats x.npy", f"--stats x.npy: {OVER_INPUT}"),
        ("run adder.rbin --stats package.json", f"--stats package.json: {FOREIGN.format(STATISTICS)}"),
        ("disassemble adder.rbin -o adder.rbin", f"-o adder.rbin: {OVER_INPUT}"),
        ("disassemble adder.rbin -o thesis.txt", f"-o thesis.txt: {FOREIGN.format(LISTING)}"),
        ("assemble thesis.txt --base adder.rbin -o adder.rbin", f"-o adder.rbin: {OVER_INPUT}"),
        ("assemble thesis.txt --base adder.rbin -o model.onnx", f"-o model.onnx: {FOREIGN.format(PROGRAM)}"),
        ("compare model.onnx --json package.json", f"--json package.json: {FOREIGN.format('comparison')}"),
        ("compare model.onnx --machines mine.toml --json mine.toml", f"--json mine.toml: {OVER_INPUT}"),
        ("compile model.onnx -o .", ".: cannot be written: this is a folder."),
        ("run adder.rbin --stats gone/s.json", "gone/s.json: cannot be written: there is no folder gone."),
    ],
)
def test_refused_before_anything_is_written(recon: Tool, folder: Path, arguments: str, message: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refused(recon(*arguments.split()), message)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_outputs_do_not_replace_the_input_they_came_from(recon: Tool) -> None:
    np.save("y.npy", np.ones((1, 4, 4, 3), np.int8))
    before = Path("y.npy").read_bytes()
    refused(recon("run", "adder.rbin", "--input", "y.npy", "--output", "."), f"--output y.npy: {OVER_INPUT}")
    assert Path("y.npy").read_bytes() == before
    Path("results").mkdir()
    Path("results/y.npy").write_text("no array")
    refused(
        recon("run", "adder.rbin", "--output", "results"),
        f"--output results/y.npy: {FOREIGN.format('.npy file')}",
    )


def test_a_link_to_the_input_is_the_input(recon: Tool) -> None:
    os.symlink("model.onnx", "link.rbin")
    refused(recon("compile", "model.onnx", "-o", "link.rbin"), f"-o link.rbin: {OVER_INPUT}")


def test_older_output_and_empty_files_are_written_over(recon: Tool) -> None:
    Path("new.rbin").touch()
    for _ in range(2):
        assert recon("compile", "model.onnx", "-o", "new.rbin", "-O0").code == 0
        assert recon("run", "adder.rbin", "--stats", "s.json", "--output", "results").code == 0
        assert recon("disassemble", "adder.rbin", "-o", "adder.asm").code == 0
        assert recon("compare", "model.onnx", "--machines", "edge1k", "-O0", "--json", "c.json").code == 0
    assert json.loads(Path("s.json").read_text())["model"] == "adder"


def test_force_means_it(recon: Tool) -> None:
    assert recon("compile", "model.onnx", "-o", "thesis.txt", "-O0", "--force").code == 0
    assert recon("run", "thesis.txt", "--timing-only", "-q").code == 0
    assert recon("compile", "model.onnx", "-o", "model.onnx", "-O0", "--force").code == 0
    assert recon("run", "adder.rbin", "--stats", "package.json", "--force").code == 0


def test_text_of_the_levels(recon_opt: Tool) -> None:
    refused(recon_opt("model.onnx", "-o", "model.onnx"), f"-o model.onnx: {OVER_INPUT}")
    refused(
        recon_opt("model.onnx", "-o", "thesis.txt"),
        f"-o thesis.txt: {FOREIGN.format('text of the compiler' + chr(39) + 's levels')}",
    )
    Path("plan.safetensors").write_text("a checkpoint of the user's")
    refused(
        recon_opt("model.onnx", "--to", "tile", "-o", "plan.mlir"),
        f"-o plan.safetensors: {FOREIGN.format('side file of constants')}",
    )
    Path("plan.safetensors").unlink()
    for _ in range(2):
        assert recon_opt("model.onnx", "--to", "tile", "-o", "plan.mlir").code == 0
    refused(recon_opt("plan.mlir", "-o", "plan.mlir"), f"-o plan.mlir: {OVER_INPUT}")
    assert recon_opt("plan.mlir", "-o", "plan.mlir", "--force").code == 0
