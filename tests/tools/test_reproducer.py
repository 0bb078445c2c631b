"""An internal error leaves a file that shows it again: the module as it was read, and the passes up to that one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from passes.cnn.fuse_residual import FuseResidualPass
from passes.tile.elide_configuration import ElideConfigurationPass
from tests.conftest import ROOT, Tool

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
PLAN = ROOT / "examples" / "fused.mlir"


def fails(*_: object) -> None:
    raise KeyError("conv_2")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


SAID = (
    "error: {tool} itself failed (KeyError: 'conv_2'); this is a defect of {tool}, and --debug shows the traceback.\n"
    "  in the pass {name}\n  recon-opt --run-reproducer {path} shows it again\n"
)


def said(path: str, name: str, tool: str = "recon-opt") -> str:
    return SAID.format(tool=tool, name=name, path=path)


def test_text_and_passes_are_kept(recon_opt: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (PLAN, "-p", "verify-structure{level=tile},elide-configuration,convert-tile-to-accel")
    with monkeypatch.context() as patch:
        patch.setattr(ElideConfigurationPass, "apply", fails)
        ended = recon_opt(*arguments, "--reproducer", "again.mlir", "-o", "x.mlir")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == said("again.mlir", "elide-configuration")
        assert not Path("x.mlir").exists()
        text = Path("again.mlir").read_text()
        assert text.splitlines()[:3] == [
            "// A reproducer of an internal error: recon-opt --run-reproducer again.mlir",
            "// error: KeyError: 'conv_2'",
            '// pipeline: verify-structure{level="tile"},elide-configuration',
        ]
        again = recon_opt("again.mlir", "--run-reproducer", "--reproducer", "twice.mlir")
        assert (again.code, again.err) == (1, said("twice.mlir", "elide-configuration"))
        assert Path("twice.mlir").read_text() == text.replace("again.", "twice.")
    mended = recon_opt("again.mlir", "--run-reproducer")
    assert mended.code == 0
    plain = mended.out.replace(' attributes {recon.constants = "again.safetensors"}', "")
    assert plain == recon_opt(PLAN, "-p", "elide-configuration").out


def test_a_model_is_kept_with_its_constants(recon: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(FuseResidualPass, "apply", fails)
        ended = recon("compile", MODEL, "-o", "x.rbin", "-q")
    assert (ended.code, Path("x.rbin").exists()) == (1, False)
    found = re.search(r"--run-reproducer (\S+/recon-\w+/reproducer\.mlir) ", ended.err)
    assert found is not None, ended.err
    assert ended.err == said(found[1], "fuse-residual", "recon")
    path = Path(found[1])
    assert path.with_suffix(".safetensors").exists()
    pipeline = path.read_text().splitlines()[2]
    assert pipeline.startswith("// pipeline: fold-constants,canonicalize-onnx,")
    assert pipeline.endswith(",fuse-activations,fuse-residual")


def test_it_says_again_what_it_said(recon_opt: Tool, recon: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FuseResidualPass, "apply", fails)
    compiled = recon("compile", MODEL, "-o", "x.rbin", "-q")
    path = re.search(r"--run-reproducer (\S+)", compiled.err)
    assert path is not None
    again = recon_opt("--run-reproducer", path[1], "--reproducer", "again.mlir")
    assert (again.code, again.err) == (1, said("again.mlir", "fuse-residual"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run-reproducer", PLAN],
         f"{PLAN}: this is no reproducer; recon-opt writes one when a pass fails in itself."),
        (["--run-reproducer", PLAN, "-p", "cse"],
         "--run-reproducer: the passes stand in the file; leave -p and --to out."),
        (["--run-reproducer"], "--run-reproducer: give the reproducer's file."),
    ],
)  # fmt: skip
def test_what_is_no_reproducer(recon_opt: Tool, arguments: list[object], message: str) -> None:
    ended = recon_opt(*arguments)
    assert (ended.code, ended.out, ended.err) == (1, "", f"error: {message}\n")


def test_a_file_chooses_passes_and_nothing_else(recon_opt: Tool) -> None:
    """A reproducer comes from others: it names no file to write, and a pass that is none is refused."""
    Path("bad.mlir").write_text("// A reproducer of an internal error: x\n// error: x\n// pipeline: cse -o y.mlir\n")
    ended = recon_opt("--run-reproducer", "bad.mlir")
    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert sorted(path.name for path in Path().iterdir()) == ["bad.mlir"]
