"""Models one step away: what is changed is, what is not stays, and what cannot be is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim.machine.program import Program
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.files.tensors import random_inputs
from tools.options import Planning
from tools.reports.compare import Study
from tools.reports.explain.variants import LayerVariant, changed, smaller
from tools.runtime import run_program

MODELS = ROOT / "tests" / "data" / "models"
RESNET8, VWW = MODELS / "resnet8_cifar10_int8.onnx", MODELS / "mobilenetv1_vww_int8.onnx"
QUICK = Planning(level=0)


def program(study: Study, change: LayerVariant | None = None) -> Program:
    if change is not None:
        study.module = changed(study.module, change)
    return study.program("edge4k", QUICK)


def macs(made: Program) -> dict[str, int]:
    return {layer.name: layer.macs for layer in made.layers}


@pytest.mark.parametrize(("model", "layer", "channels"), [(RESNET8, "conv2d_3", 40), (VWW, "conv2d_6", 136)])
def test_channels_of_zeros_change_no_answer(model: Path, layer: str, channels: int) -> None:
    """Through depthwise layers, too, which get as many channels."""
    plain, wider = program(Study(model)), program(Study(model), LayerVariant(layer, channels=channels))
    assert macs(wider)[layer] > macs(plain)[layer]
    given = random_inputs(plain, 1)
    for name, tensor in run_program(plain, given).outputs.items():
        np.testing.assert_array_equal(run_program(wider, given, sanitize=True).outputs[name], tensor)


def ratios(plain: Mapping[str, int], other: Mapping[str, int]) -> dict[str, float]:
    """Of the layers whose multiply-accumulates are others, the factor."""
    return {name: other[name] / plain[name] for name in plain if name in other and other[name] != plain[name]}


def test_what_is_changed_and_what_reads_it() -> None:
    plain = macs(program(Study(VWW)))
    fewer = macs(program(Study(VWW), LayerVariant("conv2d_6", channels=64)))
    readers = ratios(plain, fewer)
    assert list(readers) == ["conv2d_6", "depthwise_conv2d_6", "conv2d_7"]
    assert set(readers.values()) == {0.5}
    assert ratios(plain, macs(program(Study(VWW), LayerVariant("conv2d", pointwise=True)))).keys() == {"conv2d"}
    resnet = macs(program(Study(RESNET8)))
    assert ratios(resnet, macs(program(Study(RESNET8), LayerVariant("conv2d_4", pointwise=True)))) == {
        "conv2d_4": pytest.approx(1 / 9, rel=0.2)  # the 3x3 one has fewer at the edges
    }
    gone = macs(program(Study(RESNET8), LayerVariant("conv2d_4", without=True)))
    assert resnet.keys() - gone.keys() == {"conv2d_4"}


def test_smaller_pictures() -> None:
    half = smaller(RESNET8)
    assert [dim.dim_value for dim in half.graph.input[0].type.tensor_type.shape.dim][1:] == [3, 16, 16] or [
        dim.dim_value for dim in half.graph.input[0].type.tensor_type.shape.dim
    ][1:] == [16, 16, 3]
    plain, made = (compile_model(model, options=QUICK) for model in (RESNET8, half))
    factors = ratios(macs(plain), macs(made))
    assert set(factors) == {layer.name for layer in plain.layers if layer.macs and layer.name != "dense"}
    assert all(0.2 < factor < 0.26 for factor in factors.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (LayerVariant("nowhere", channels=8), "There is no layer 'nowhere' at the cnn level."),
        (
            LayerVariant("conv2d_7", channels=8),
            "conv2d_7 is added to another tensor, which would need as many channels.",
        ),
        (
            LayerVariant("conv2d_3", without=True),
            "conv2d_3 changes the shape of its input, so nothing can take its place.",
        ),
        (
            LayerVariant("dense", channels=8),
            "dense is no convolution: it has neither output channels nor a kernel to change.",
        ),
    ],
    ids=lambda given: given.layer if isinstance(given, LayerVariant) else "",
)
def test_refusals(change: LayerVariant, message: str) -> None:
    with pytest.raises(Exception, match=f"^{message}$"):
        changed(Study(RESNET8).module, change)


def test_a_model_without_a_picture_has_none_to_halve() -> None:
    model = onnx.load(RESNET8)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = 1
    with pytest.raises(
        Exception, match=r"^The model has no input of four dimensions with rows and columns to halve\.$"
    ):
        smaller(model)


def test_the_command(recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = recon("vary", RESNET8, "-o", "varied.mlir", "--layer", "conv2d_3", "--channels", 16)
    assert (ended.code, ended.out) == (0, f"varied.mlir: {RESNET8.name} with another conv2d_3\n")
    assert recon("compile", "varied.mlir", "-o", "varied.rbin", "-O0", "-q").code == 0
    assert recon("vary", RESNET8, "-o", "half.onnx", "--smaller", 2).code == 0
    assert recon("vary", RESNET8, "-o", "half.onnx", "--smaller", 2).err == (
        "error: half.onnx: this file is there already; --force writes over it.\n"
    )
    assert recon("vary", RESNET8, "-o", "x.mlir", "--smaller", 2).err == (
        "error: -o x.mlir: a model for smaller pictures is an ONNX file; give a name in .onnx.\n"
    )
    assert recon("vary", RESNET8, "-o", "x.onnx", "--layer", "conv2d", "--without").err == (
        "error: -o x.onnx: a model with another layer is text of the cnn level; give a name in .mlir.\n"
    )
    for wrong in ([], ["--layer", "conv2d"], ["--smaller", "2", "--without"], ["--channels", "3"]):
        ended = recon("vary", RESNET8, "-o", "x.mlir", *wrong)
        assert (ended.code, "say one change: --smaller, or --layer with --channels" in ended.err) == (2, True)
