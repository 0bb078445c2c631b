"""The reducer: a light network on which something fails becomes a module of a few operations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects import cnn
from tests.conftest import ROOT, Tool
from tools.driver import lower, make_context, read_module
from tools.reduce import fingerprint, reduce_module, size

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


def test_a_light_network_becomes_at_most_ten_operations() -> None:
    """What fails needs a convolution with a residual, as the passes make it."""
    module = read_module(RESNET8, make_context())
    lower(module, "cnn", make_context())

    def fails(candidate: ModuleOp) -> bool:
        return any(isinstance(op, cnn.Conv2dOp) and op.residual is not None for op in candidate.walk())

    small = reduce_module(module, fails)
    assert fails(small)
    assert size(small) <= 10 < size(module)
    assert [op.name for op in small.walk() if op.name.startswith("cnn.")] == ["cnn.conv2d"]


def test_a_failing_command_goes_on_failing(recon: Tool, tmp_path: Path) -> None:
    text = tmp_path / "x.mlir"
    text.write_text(
        "!t = !cnn.tensor<1x4x4x2, scale 0.5, zero 0>\n"
        "func.func @main(%x: !t) -> !t {\n"
        + "".join(f'  %{n + 1} = cnn.add %{n or "x"}, %x layer "l{n}"\n' for n in range(4))
        + '  %5 = cnn.max_pool2d %4 window <3x3 pad 1 1 1 1> layer "p"\n  %6 = cnn.add %5, %x layer "e"\n'
        "  func.return %6 : !t\n}\n"
    )
    command = "sh -c 'if grep -q max_pool2d {}; then echo error: no pool of line 7 >&2; exit 3; fi'"
    ended = recon("reduce", text, command, "-o", tmp_path / "small.mlir")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{tmp_path / 'small.mlir'}: 1 of 6 operations are left\n"
    small = read_module(tmp_path / "small.mlir", make_context())
    assert [op.name for op in small.walk() if op.name.startswith("cnn.")] == ["cnn.max_pool2d"]


def test_the_command_of_its_own(tmp_path: Path) -> None:
    """``recon-reduce`` as it is installed is ``recon reduce``."""
    text = tmp_path / "x.mlir"
    alloc = "tile.alloc : !tile.sram<64xi8>"
    text.write_text(f'tile.schedule @main machine "edge4k" () -> () {{\n  %x = {alloc}\n  %y = {alloc}\n}}\n')
    ended = subprocess.run(
        [Path(sys.executable).parent / "recon-reduce", text, "sh -c '! grep -q y.= {}'", "-o", tmp_path / "small.mlir"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"{tmp_path / 'small.mlir'}: 2 of 3 operations are left\n"


def test_a_plan_loses_what_is_not_needed(tmp_path: Path) -> None:
    module = read_module(ROOT / "examples" / "fused.mlir", make_context())

    def fails(candidate: ModuleOp) -> bool:
        return any(op.name == "tile.fill" for op in candidate.walk())

    small = reduce_module(module, fails)
    assert sum(op.name == "tile.fill" for op in small.walk()) == 1
    assert size(small) <= 10


def test_a_command_that_does_not_fail(recon: Tool, tmp_path: Path) -> None:
    ended = recon("reduce", ROOT / "examples" / "fused_model.mlir", "true", "-o", tmp_path / "small.mlir")
    assert (ended.code, (tmp_path / "small.mlir").exists()) == (1, False)
    assert ended.err == (
        f"error: The command does not fail on {ROOT / 'examples' / 'fused_model.mlir'}: exit status 0.\n"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x.mlir:3:5: error: layer 'a' has 12 of 8x8.", "y.mlir:1:1: error: layer 'b' has 7 of 4x4."),
        ("note\nerror: recon itself failed (KeyError: 3)", "error: recon itself failed (KeyError: 17)"),
    ],
)
def test_the_same_failure_has_other_places_and_numbers(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint("error: something else.")
