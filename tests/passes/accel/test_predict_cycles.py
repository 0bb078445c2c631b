"""The cycles that a text states are those that its program takes: said by the pass, checked by the compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialects import accel
from passes.accel.predict_cycles import PredictCyclesPass
from tests.conftest import ROOT, Tool
from tools.driver import compile_model, lower, make_context, read_module
from tools.runtime import run_program

PLANS = [ROOT / "examples" / "fused.mlir", ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"]


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_it_is_what_a_run_takes(path: Path) -> None:
    module = read_module(path, make_context())
    lower(module, "accel", make_context(), machine="edge4k")
    PredictCyclesPass().apply(make_context(), module)
    stated = [program.cycles.value.data for program in accel.programs(module) if program.cycles is not None]
    assert sum(stated) == run_program(compile_model(path), timing_only=True).statistics.cycles


def test_another_number_is_refused(
    recon: Tool, recon_opt: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recon_opt(PLANS[0], "--to", "accel", "-p", "predict-cycles", "-o", "x.mlir").code == 0
    assert recon("compile", "x.mlir", "-o", "x.rbin", "-q").code == 0
    text = Path("x.mlir").read_text()
    Path("y.mlir").write_text(text.replace("cycles 3907", "cycles 3906"))
    ended = recon("compile", "y.mlir", "-o", "y.rbin", "-q")
    assert (ended.code, Path("y.rbin").exists()) == (1, False)
    assert ended.err == (
        "y.mlir:5:3: error: The text states 3,906 cycles, and its instructions take 3,907; predict-cycles states them "
        "anew, or leave them out.\n"
    )


@pytest.mark.parametrize("name", ["assign-waits", "check-hazards", "predict-cycles"])
def test_instructions_without_addresses(
    recon_opt: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recon_opt(PLANS[0], "-p", "convert-tile-to-accel", "-o", "x.mlir").code == 0
    ended = recon_opt("x.mlir", "-p", name)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "x.mlir:6:5: error: %in has no address yet; recon-opt x.mlir -p allocate-sram,assign-waits gives all of them "
        f"one.\n  in the pass {name}\n"
    )
