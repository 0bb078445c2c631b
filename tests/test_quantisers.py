"""Small networks as many tools quantise them: taken, all their products on the machine, and near ONNX Runtime's answer.

Which tool wrote which file says tests/data/quantisers/README.md. Where a file leaves a value in float that the machine
hands on, a quantiser is put in, with a range from examples of the noise that the networks were calibrated on; and
rounding ties spread. So each file has its own decibels, what is reached today.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper
from xdsl.dialects.builtin import ModuleOp

from dialects import cnn
from dialects.meaning.cnn import evaluate
from dialects.onnx import NodeOp
from dialects.onnx_work import macs
from tests.conftest import ROOT
from tests.passes.onnx_to_cnn.graphs import compile_to_cnn
from tools.quantise.losses import Difference, session

Tensors = dict[str, npt.NDArray[Any]]

FILES = ROOT / "tests" / "data" / "quantisers"

EQUAL = 200.0

REACHED = {
    "mb3_brev_generic_qcdq": 47.0,
    "mb3_brev_layerwise_qcdq": 56.0,
    "mb3_fxconv": EQUAL,
    "mb3_mct_FAKELY_QUANT": EQUAL,
    "mb3_modelopt_max": 66.0,
    "mb3_nncf_mixed": 59.0,
    "mb3_ort_s8": 45.0,
    "mb3_ort_trt": 61.0,
    "mb3_pt2e_x86": 53.0,
    "mb3_qat_pt_leg": 37.0,
    "mb3_quark_XINT8": EQUAL,
    "mb3_tf_int8_18": 43.0,
    "res_inc_QOperator": EQUAL,
    "res_nncf_mixed": 47.0,
    "res_ort_s8": EQUAL,
    "res_ppq_ONNXRUNTIME": 42.0,
}
"""Decibels of each file that ONNX Runtime reads too, on one input of noise; they may only rise."""

WITHOUT_EXAMPLES = {
    "mb3_brev_generic_qcdq": 44.0,
    "mb3_brev_layerwise_qcdq": 38.0,
    "mb3_mct_FAKELY_QUANT": 37.0,
    "mb3_nncf_mixed": 40.0,
    "mb3_ort_trt": 38.0,
    "mb3_pt2e_x86": 39.0,
}
"""The same of those whose quantisers put in take their ranges from the file alone."""

EXAMPLES = 16

IN_FLOAT = {
    "mb3_modelopt_max": {"GlobalAveragePool", "Gemm", "HardSwish"},
    "mb3_nncf_mixed": {"GlobalAveragePool", "Conv", "Relu", "HardSigmoid"},
}
"""What files leave in float with its weights: a global pool and the Gemm behind it, squeeze-excite."""

EDGES = {"QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose", "Cast", "Add"}
"""What stands where host and machine meet."""


def noise(model: onnx.ModelProto, seed: int = 0, count: int | None = None) -> Tensors:
    """One input, or ``count`` of them along a first axis."""
    constants = {item.name for item in model.graph.initializer}
    (value,) = (each for each in model.graph.input if each.name not in constants)
    kind = value.type.tensor_type
    shape = [*([count] if count else []), *(dim.dim_value or 1 for dim in kind.shape.dim)]
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    random = np.random.default_rng(seed)
    values = random.standard_normal(shape) if dtype.kind == "f" else random.integers(-128, 128, shape)
    return {value.name: values.astype(dtype)}


def read(name: str, folder: Path | None = None) -> tuple[ModuleOp, Tensors]:
    """The file's cnn level, ranges measured on examples where there is a folder for them; and an input."""
    model = onnx.load(FILES / f"{name}.onnx")
    samples = ""
    if folder is not None:
        samples = str(folder / "samples.npz")
        np.savez(samples, *noise(model, 1, EXAMPLES).values())
    return compile_to_cnn(model, samples=samples), noise(model)


def hosted(module: ModuleOp) -> int:
    regions = (op for op in module.walk() if isinstance(op, cnn.HostOp))
    return sum(macs(node) for region in regions for node in region.walk() if isinstance(node, NodeOp))


def worst(name: str, module: ModuleOp, inputs: Tensors) -> float:
    """Decibels of the worst output beside ONNX Runtime's without optimisation."""
    found = evaluate(module, inputs)
    run = session(FILES / f"{name}.onnx", False)
    names = [output.name for output in run.get_outputs()]
    decibels: list[float] = []
    for output, exact in zip(names, run.run(names, inputs), strict=True):
        assert found[output].shape == exact.shape
        assert found[output].dtype == exact.dtype
        difference = Difference(output)
        difference.add(exact, found[output])
        decibels.append(difference.decibels)
    return min(decibels)


@pytest.mark.parametrize("name", REACHED)
def test_files_of_many_tools(name: str, tmp_path: Path) -> None:
    module, inputs = read(name, tmp_path)
    assert worst(name, module, inputs) >= REACHED[name]
    regions = [op for op in module.walk() if isinstance(op, cnn.HostOp)]
    work = {node.op_type.data for region in regions for node in region.walk() if isinstance(node, NodeOp)} - EDGES
    assert work == IN_FLOAT.get(name, set())


@pytest.mark.parametrize("name", WITHOUT_EXAMPLES)
def test_files_without_examples(name: str) -> None:
    module, inputs = read(name)
    assert worst(name, module, inputs) >= WITHOUT_EXAMPLES[name]
    if name not in IN_FLOAT:
        assert hosted(module) == 0


def test_quant_of_qonnx_means_what_the_other_export_of_the_tool_says() -> None:
    (one, inputs), (other, others) = read("mb3_brev_generic_qonnx"), read("mb3_brev_generic_qcdq")
    (left,) = evaluate(one, inputs).values()
    (right,) = evaluate(other, dict(zip(others, inputs.values(), strict=True))).values()
    assert np.array_equal(left, right)


def test_every_file_is_tested() -> None:
    assert {path.stem for path in FILES.glob("*.onnx")} == {*REACHED, "mb3_brev_generic_qonnx"}
    assert sum(path.stat().st_size for path in FILES.glob("*.onnx")) < 2_000_000
