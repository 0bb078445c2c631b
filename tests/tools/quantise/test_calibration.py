"""Examples for the compiler: recon compile --images and --data measure where quantisers are put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import recon as door
from tests.conftest import ROOT, Tool

MODEL = ROOT / "tests" / "data" / "quantisers" / "mb3_ort_trt.onnx"
IMAGES = ROOT / "tests" / "data" / "images"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, 32, 32)).astype(np.float32)


def test_examples_keep_the_model_on_the_machine(recon: Tool) -> None:
    without = recon("compile", MODEL, "-o", "without.rbin")
    assert "The host runs " in without.err
    np.savez("samples.npz", noise(4))
    outcome = recon("compile", MODEL, "-o", "with.rbin", "--data", "samples.npz")
    assert outcome.code == 0
    assert "The host runs " not in outcome.err
    assert "Quantisers were put in where the model has none (--exact puts none in): behind " in outcome.err
    assert door.load("with.rbin").predicted_cycles < door.load("without.rbin").predicted_cycles / 2


def test_pictures(recon: Tool) -> None:
    outcome = recon("compile", MODEL, "-o", "x.rbin", "--images", IMAGES, "--scale", "0.0078125", "--mean", "128")
    assert outcome.code == 0
    assert "The host runs " not in outcome.err


def test_exact_ignores_them(recon: Tool) -> None:
    np.savez("samples.npz", noise(2))
    outcome = recon("compile", MODEL, "-o", "x.rbin", "--data", "samples.npz", "--exact")
    assert outcome.code == 0
    assert "were put in" not in outcome.err


def test_what_is_wrong(recon: Tool) -> None:
    np.savez("samples.npz", noise(2)[:, :2])
    outcome = recon("compile", MODEL, "-o", "x.rbin", "--data", "samples.npz")
    assert outcome.code == 1
    assert "samples.npz" in outcome.err
    outcome = recon("compile", MODEL, "-o", "x.rbin", "--data", "samples.npz", "--images", IMAGES)
    assert (outcome.code, outcome.err) == (
        1, "error: --images and --data: one of them says what to calibrate on.\n")  # fmt: skip
    plan = ROOT / "examples" / "fused.mlir"
    outcome = recon("compile", plan, "-o", "x.rbin", "--images", IMAGES)
    assert (outcome.code, outcome.err) == (
        1, f"error: {plan}: --images and --data are for ONNX models; in this text ranges are decided already.\n"
    )  # fmt: skip
    assert not Path("x.rbin").exists()
