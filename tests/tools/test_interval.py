"""recon run --interval, as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.conftest import ROOT
from tools.driver import compile_model
from tools.main import app
from tools.options import Planning

MODEL = ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "kws.rbin"
    program = compile_model(MODEL)
    program.save(file)
    made = CliRunner().invoke(app, ["run", str(file), "--timing-only", "--interval", "-q"])
    assert made.exit_code == 0
    said = made.output.splitlines()[-1]
    assert said.startswith("between ")
    assert said.endswith(" cycles, whenever DRAM refreshes and opens rows")
    least, most = (int(word.replace(",", "")) for word in said.split() if word[0].isdigit())
    assert least < program.predicted_cycles < most


@pytest.mark.parametrize("also", [[], ["--timing-only", "--frames", "3"], ["--timing-only", "--format", "json"]])
def test_what_it_goes_with(tmp_path: Path, also: list[str]) -> None:
    file = tmp_path / "kws.rbin"
    compile_model(MODEL).save(file)
    made = CliRunner().invoke(app, ["run", str(file), "--interval", *also])
    assert made.exit_code == 2
    assert "--timing-only, one frame" in " ".join(made.output.replace("│", " ").split())


def test_frames_in_a_row_have_none(tmp_path: Path) -> None:
    file = tmp_path / "kws.rbin"
    compile_model(MODEL, options=Planning(frames="stream")).save(file)
    made = CliRunner().invoke(app, ["run", str(file), "--timing-only", "--interval"])
    assert made.exit_code == 1
