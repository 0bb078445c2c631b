"""recon-opt: constants in side files, whole output files, messages of a compiler."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tool

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"

POOL = """\
%x = "test.op"() : () -> !cnn.tensor<1x8x8x3, scale 0.5, zero 0>
%y = cnn.max_pool2d %x window <2x2 stride 2 2> layer "pool" : (!cnn.tensor<1x8x8x3, scale 0.5, zero 0>) -> \
!cnn.tensor<1x4x4x3, scale 0.5, zero 0>
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with ``pool.mlir``."""
    monkeypatch.chdir(tmp_path)
    Path("pool.mlir").write_text(POOL)
    return tmp_path


def test_a_model_keeps_its_constants_beside_the_text(recon_opt: Tool) -> None:
    assert recon_opt(MODEL, "-o", "m.mlir").code == 0
    assert 'recon.constants = "m.safetensors"' in Path("m.mlir").read_text()
    assert recon_opt("m.mlir", "-o", "n.mlir").code == 0
    assert Path("n.safetensors").read_bytes() == Path("m.safetensors").read_bytes()
    assert Path("n.mlir").read_text().replace("n.safetensors", "m.safetensors") == Path("m.mlir").read_text()
    assert sorted(path.name for path in Path().iterdir()) == [
        "m.mlir", "m.safetensors", "n.mlir", "n.safetensors", "pool.mlir"]  # fmt: skip


def test_text_without_large_constants_has_no_side_file(recon_opt: Tool) -> None:
    assert recon_opt("pool.mlir", "-o", "q.mlir").code == 0
    assert "recon.constants" not in Path("q.mlir").read_text()
    assert sorted(path.name for path in Path().iterdir()) == ["pool.mlir", "q.mlir"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "m.safetensors: the constants of this module cannot be read: No such file or directory."),
        (b"short", "m.safetensors: this is not a whole safetensors file."),
    ],
)
def test_a_bad_side_file(recon_opt: Tool, content: bytes | None, message: str) -> None:
    assert recon_opt(MODEL, "-o", "m.mlir").code == 0
    Path("m.safetensors").unlink()
    if content is not None:
        Path("m.safetensors").write_bytes(content)
    outcome = recon_opt("m.mlir")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


def test_a_damaged_constant(recon_opt: Tool) -> None:
    assert recon_opt(MODEL, "-o", "m.mlir").code == 0
    data = bytearray(Path("m.safetensors").read_bytes())
    data[-1] ^= 1
    Path("m.safetensors").write_bytes(data)
    outcome = recon_opt("m.mlir")
    assert outcome.code == 1
    assert outcome.err.startswith("error: m.safetensors: the constant sha256:")
    assert outcome.err.endswith("… is damaged.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.mlir"], "gone.mlir: No such file or directory."),
        (["pool.mlir", "-p", "canonicalise"], "There is no pass 'canonicalise'; did you mean 'canonicalize'?"),
        (["pool.mlir", "-p", "zzzzzzzz"], "There is no pass 'zzzzzzzz'; recon-opt --help lists the passes."),
        (
            ["pool.mlir", "-p", "cse{fast=true}"],
            '-p cse{fast=true}: Provided arguments ["fast"] not found in expected arguments []',
        ),
        (["pool.txt"], "pool.txt: the name ends in neither .mlir nor .onnx; say which it is with -f."),
        (["pool.mlir", "--to", "onnx"], "pool.mlir: this is at level cnn, below onnx; the road only goes down."),
        ([MODEL, "--input-shape", "x"], "--input-shape x: write NAME=1,3,224,224, with whole numbers of at least 1."),
    ],
)
def test_messages(recon_opt: Tool, arguments: list[str], message: str) -> None:
    Path("pool.txt").write_text(POOL)
    outcome = recon_opt(*arguments)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


def test_a_pipeline_that_does_not_parse(recon_opt: Tool) -> None:
    outcome = recon_opt("pool.mlir", "-p", "cse{")
    assert outcome.code == 1
    assert outcome.err.startswith("error: the pass pipeline: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "cnn.max_pool2d %x",
            "cnn.max_pool %x",
            "pool.mlir:2:6: error: Operation cnn.max_pool is not registered; did you mean cnn.max_pool2d?",
        ),
        ("%y = cnn.max_pool2d %x", "%y = cnn.max_pool2d %z", "pool.mlir:3:1: error: values used but not defined: [%z]"),
        ("scale 0.5", "scale -1.0", "pool.mlir:1:65: error: scale -1.0 is not a positive float32"),
        (
            "1x4x4x3",
            "1x5x4x3",
            "pool.mlir:2:1: error: the window <2x2 stride 2 2> makes 1x4x4x3 of 1x8x8x3, and the result is 1x5x4x3",
        ),
    ],
)
def test_wrong_text_leaves_the_output_file_alone(recon_opt: Tool, old: str, new: str, message: str) -> None:
    Path("pool.mlir").write_text(POOL.replace(old, new))
    Path("out.mlir").write_text("builtin.module {}")
    outcome = recon_opt("pool.mlir", "-p", "cse", "-o", "out.mlir")
    assert outcome.code == 1
    assert outcome.err.splitlines()[0] == message
    assert "builtin.module" not in outcome.err
    assert Path("out.mlir").read_text() == "builtin.module {}"


def test_an_error_never_prints_weights(recon_opt: Tool) -> None:
    assert recon_opt(MODEL, "-o", "m.mlir").code == 0
    text = Path("m.mlir").read_text()
    Path("m.mlir").write_text(text.replace("func.return %", "func.return %1, %", 1))
    outcome = recon_opt("m.mlir")
    assert outcome.code == 1
    assert len(outcome.err) < 1000


def test_print_between_passes_and_time_passes(recon_opt: Tool) -> None:
    outcome = recon_opt("pool.mlir", "-p", "cse,canonicalize", "--print-between-passes", "--time-passes")
    assert outcome.code == 0
    assert "IR after cse:" in outcome.err
    assert "Pass cse took" in outcome.err
    assert outcome.out == recon_opt("pool.mlir", "-p", "cse,canonicalize").out


def test_help_starts_quickly() -> None:
    """The limit is 0.5 s of a quiet machine; a busy one gets time, but may not import what help does not need."""
    script = "import sys; from tools.opt import main\ntry: main(['--help'])\nexcept SystemExit: pass\n" + (
        "print(sorted(name for name in ('numpy', 'onnx', 'onnxruntime', 'typer') if name in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_ir_around_passes_goes_to_standard_error(recon_opt: Tool) -> None:
    plain = recon_opt("pool.mlir", "-p", "cse,canonicalize")
    shown = recon_opt("pool.mlir", "-p", "cse,canonicalize", "--print-ir-before", "cse", "--print-ir-after-all")
    assert (shown.code, shown.out) == (0, plain.out)
    assert [line for line in shown.err.splitlines() if line.startswith("//")] == [
        "// ----- IR before cse", "// ----- IR after cse", "// ----- IR after canonicalize"]  # fmt: skip
    assert shown.err.count("cnn.max_pool2d") == 1  # nobody uses it, so cse drops it


def test_the_pipeline_is_shown_as_it_can_be_given(recon_opt: Tool) -> None:
    shown = recon_opt("pool.mlir", "-p", "cse,allocate-sram{limit=4096}", "--dump-pass-pipeline")
    assert (shown.code, shown.err) == (0, "cse,allocate-sram{limit=4096}\n")
    assert recon_opt("pool.mlir", "-p", shown.err.strip(), "-o", "-").out == shown.out


def test_standard_input_and_output(recon_opt: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(POOL.encode())))
    assert recon_opt("-", "-o", "-").out == recon_opt("pool.mlir").out
