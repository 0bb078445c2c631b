"""Validation finds what a pass breaks: a module is damaged between two looks, at every level."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects import accel, cnn, tile
from dialects.accel_attributes import FieldsAttr
from dialects.blobs import to_array, to_blob
from passes.onnx.import_onnx import import_model
from passes.onnx_to_cnn.convert_onnx_to_cnn import ConvertOnnxToCnnPass
from tests.conftest import ROOT, Tool
from tests.passes.onnx_to_cnn.spread_graphs import case
from tools.driver import lower, make_context, read_module
from tools.validation.probes import KINDS, entrances, probes
from tools.validation.validate import ValidationError, Validator

MODELS = ROOT / "tests" / "data" / "models"
MODEL = MODELS / "resnet8_cifar10_int8.onnx"
PLAN = ROOT / "examples" / "fused.mlir"
BROKEN = "broken changed an answer on input 0 (random codes): "


def module_at(level: str, path: Path = MODEL) -> ModuleOp:
    """A model taken to a level."""
    context = make_context()
    module = read_module(path, context)
    if level != "onnx":
        lower(module, level, context, machine="edge4k")
    return module


def broken(module: ModuleOp, validator: Validator) -> str:
    """What the validator says of a pass that has just run."""
    with pytest.raises(ValidationError) as caught:
        validator.after("broken", module)
    return str(caught.value)


def test_a_wrong_bias_between_cnn_passes() -> None:
    module, validator = module_at("cnn"), Validator(1)
    validator.start(module)
    conv = next(op for op in module.walk() if isinstance(op, cnn.Conv2dOp) and op.layer and op.layer.data == "conv2d_3")
    bias = to_array(conv.bias).copy()
    bias[5] += 4000
    conv.properties["bias"] = to_blob(bias)
    assert broken(module, validator) == (
        f"{BROKEN}layer 'conv2d_3' (cnn.conv2d), element [0, 0, 0, 5]: "
        "-94 before, -86 after; 128 of 8,192 elements differ."
    )


def test_a_wrong_clamp_in_the_plan() -> None:
    module, validator = module_at("tile"), Validator(1)
    validator.start(module)
    conv = next(op for op in module.walk() if isinstance(op, tile.ConvOp) and op.requantize is not None)
    assert conv.requantize is not None
    conv.properties["requantize"] = tile.RequantizeAttr(dataclasses.replace(conv.requantize.data, hi=0))
    text = broken(module, validator)
    assert text.startswith(f"{BROKEN}layer 'conv2d' (tile.conv), element [0, ")
    assert ", 0 after; " in text


def test_a_wrong_field_of_an_instruction() -> None:
    module, validator = module_at("accel"), Validator(1)
    validator.start(module)
    program = accel.programs(module)[0]
    conv = next(op for op in program.instructions if op.MNEMONIC == "conv" and op.named()["pad_value"] != 5)
    fields = list(conv.fields.data)
    fields[list(conv.named()).index("pad_value")] = 5
    conv.properties["fields"] = FieldsAttr(tuple(fields))
    number = list(program.instructions).index(conv)
    assert broken(module, validator).startswith(
        f"{BROKEN}layer 'conv2d' (accel.conv, instruction {number}), element [0, 0, 0]: "
    )


def test_a_program_without_an_answer() -> None:
    module, validator = module_at("accel"), Validator(1)
    validator.start(module)
    load = next(op for op in accel.programs(module)[0].instructions if op.MNEMONIC == "load")
    load.detach()
    load.erase(safe_erase=False)
    assert broken(module, validator).startswith(
        f"{BROKEN}there is none any more. Instruction 1, fill of layer conv2d: "
    )


def test_a_wrong_conversion_from_onnx() -> None:
    module, validator = module_at("onnx"), Validator(1)
    validator.start(module)
    ConvertOnnxToCnnPass().apply(make_context(), module)
    conv = next(op for op in module.walk() if isinstance(op, cnn.Conv2dOp) and op.layer and op.layer.data == "conv2d_3")
    scales = to_array(conv.scales).copy()
    scales[7] *= np.float32(1.02)
    conv.properties["scales"] = to_blob(scales)
    text = broken(module, validator)
    assert text.startswith(f"{BROKEN}layer 'conv2d_3', ONNX node '")
    assert " before rounding) before, " in text


@pytest.mark.parametrize("name", ["resnet8_cifar10_int8", "dscnn_kws_int8"])
def test_every_pass_of_a_compile(recon: Tool, tmp_path: Path, name: str) -> None:
    outcome = recon("compile", MODELS / f"{name}.onnx", "-o", tmp_path / "x.rbin", "--validate-inputs", 2)
    assert outcome.code == 0, outcome.err
    (said,) = [line for line in outcome.out.splitlines() if line.startswith("valid: ")]
    assert " passes checked on 2 inputs, " in said
    assert said.endswith("; the program proven for every input")


def test_every_layer_finds_its_tensor() -> None:
    """All layers but the regions of the host are compared from onnx to cnn."""
    module, validator = module_at("onnx", MODELS / "mobilenetv2_kws_int8.onnx"), Validator(1)
    validator.start(module)
    ConvertOnnxToCnnPass().apply(make_context(), module)
    validator.after("convert-onnx-to-cnn", module)
    layers = [op for op in module.walk() if isinstance(op, cnn.CnnOp) and op.layer and not isinstance(op, cnn.HostOp)]
    assert validator.layers == len(layers)


def test_plans_of_recon_opt(recon_opt: Tool, tmp_path: Path) -> None:
    outcome = recon_opt(PLAN, "--to", "accel", "--validate-each", "-o", tmp_path / "x.mlir")
    assert (outcome.code, outcome.out, outcome.err) == (
        0, "", "valid: 3 passes checked on 4 inputs, 36 layers and 12 outputs compared; the text itself was the "
        "reference, and no model (--against MODEL compares it with one); 1 pass changed nothing\n",
    )  # fmt: skip


def test_nothing_to_run(recon_opt: Tool, tmp_path: Path) -> None:
    (tmp_path / "x.mlir").write_text('"test.op"() : () -> ()\n')
    outcome = recon_opt(tmp_path / "x.mlir", "--validate-each", "-p", "canonicalize")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: There is nothing to validate: the module has no @main, schedule or program with inputs.\n"
    )


def test_number_of_inputs(recon_opt: Tool) -> None:
    outcome = recon_opt(PLAN, "--validate-inputs", 0)
    assert outcome.err == "error: --validate-inputs 0: give a whole number of at least 1.\n"


def test_a_pass_that_changes_nothing_is_not_run() -> None:
    module, validator = module_at("cnn"), Validator(1)
    validator.start(module)
    validator.after("nothing", module)
    assert (validator.checked, validator.unchanged) == ([], ["nothing"])


def test_probes_reach_the_extremes() -> None:
    """A float input is filled with what its QuantizeLinear turns into each code, or with numbers far beyond."""
    (entrance,) = entrances(module_at("onnx", MODELS / "mobilenetv1_vww_int8.onnx"))
    assert (entrance.dtype, entrance.zero, entrance.low, entrance.high) == (np.dtype(np.float32), -128, -128, 127)
    made = dict(probes([entrance], len(KINDS) + 2))
    assert len(made) == len(KINDS) + 2
    tensors = {label.partition("(")[2][:-1]: inputs[entrance.name] for label, inputs in made.items()}
    assert set(tensors) == set(KINDS)
    assert (tensors["all lowest"].max(), tensors["all highest"].min()) == (0, 255 * np.float32(entrance.scale))
    assert set(np.unique(tensors["alternating extremes"])) == {0, 255 * np.float32(entrance.scale)}
    assert np.abs(tensors["beyond the range"]).min() > 100 * 255 * entrance.scale
    assert all(tensor.shape == entrance.shape and tensor.dtype == np.float32 for tensor in tensors.values())


@pytest.mark.parametrize(
    "name",
    [
        "conv_same_lower",  # a float bias
        "concat",  # a layer whose own tensor stays float
        "lrn_relu",  # two layers that share a node
        "log_of_negative",  # NaN before the quantiser
        "concat_columns",  # columns in the place of channels
        "split_alike",  # two layers of one node and one type
        "quantised_twice",  # the second quantiser rounds what is rounded already
        "u:residual",
        "u:add",
    ],
)
def test_no_pass_is_accused_without_cause(name: str) -> None:
    context = make_context()
    module = import_model(case(name).model().SerializeToString(), {}, name)
    validator = Validator(len(KINDS) + 1)
    lower(module, "cnn", context, validator=validator)
    assert "convert-onnx-to-cnn" in validator.checked
    assert validator.layers > 0


NO_ANSWER = """\
!one = !cnn.tensor<1x4x4x1, scale 0.5, zero 0>
!two = !cnn.tensor<1x4x4x2, scale 0.5, zero 0>
func.func @main(%x: !one) -> !two {
  %p = cnn.conv2d %x weights <2x1x1x1xi8, [1, -1]> bias <2xi32, 2147483647> scales <2xf32, 0.5> window <1x1>
      quant <scale 0.5, zero 0> clamp <-128, 127> layer "c"
  %q = cnn.table %p table <256xi8, seed 1> layer "t"
  func.return %q : !two
}
"""
"""One of the two sums leaves int32 whatever the input is."""


def test_nothing_compared_is_no_success(recon_opt: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.mlir").write_text(NO_ANSWER)
    alone = recon_opt("x.mlir", "-p", "fuse-activations", "--validate-each")
    assert (alone.code, alone.out, alone.err) == (
        1, "", "x.mlir:4:3: error: Nothing was compared, which is no success: on none of 4 inputs does the module have "
        "an answer: c: a sum of products with its bias does not fit int32.\n",
    )  # fmt: skip
    against = recon_opt("x.mlir", "-p", "fuse-activations", "--against", "x.mlir", "-o", "y.mlir")
    assert (against.code, against.out, Path("y.mlir").exists()) == (1, "", False)
    assert against.err == ("error: Nothing was compared with x.mlir: on no input does the text have an answer.\n")
