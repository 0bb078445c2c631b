"""From onnx to cnn for every input: what follows from a graph, and that nothing follows from another graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from xdsl.dialects.builtin import ModuleOp

from tests.conftest import ROOT
from tools.driver import lower, make_context, read_module
from tools.proof.onnx_graph import Reading, read

DATA = ROOT / "tests" / "data"
WHOLE = (*sorted((DATA / "models").glob("*.onnx")), *(DATA / "quantisers" / f"{name}.onnx" for name in
         ("res_ort_s8", "mb3_ort_s8")))  # fmt: skip
TABLES = DATA / "quantisers" / "mb3_ort_s8.onnx"


def module_of(model: onnx.ModelProto) -> ModuleOp:
    context = make_context()
    module = read_module(model, context)
    lower(module, "cnn", context)
    return module


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_all_layers_follow(path: object) -> None:
    model = onnx.load(str(path))
    found = read(model, module_of(model))
    assert found.tried == ()
    assert len(found.proven) > 5


def test_what_is_not_read_is_only_tried() -> None:
    model = onnx.load(DATA / "quantisers" / "res_nncf_mixed.onnx")
    assert read(model, module_of(model)).tried == ("fc_Gemm",)


def nodes(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def changed(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """A constant of the graph is another."""
    for item in model.graph.initializer:
        if item.name == name:
            item.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(item).copy()), name))
            return
    raise AssertionError(name)


def flipped(array: np.ndarray) -> np.ndarray:
    array.reshape(-1)[array.size // 2] ^= 1
    return array


def weight(model: onnx.ModelProto) -> None:
    changed(model, dequantised(model, 1).input[0], flipped)


def bias(model: onnx.ModelProto) -> None:
    changed(model, dequantised(model, 2).input[0], flipped)


def scale_of_weights(model: onnx.ModelProto) -> None:
    changed(model, dequantised(model, 1).input[1], lambda x: (x * np.float32(1.0000002)).astype(np.float32))


def scale_of_result(model: onnx.ModelProto) -> None:
    changed(model, nodes(model, "QuantizeLinear")[3].input[1], lambda x: (x * np.float32(1.0000002)).astype(np.float32))


def zero_of_result(model: onnx.ModelProto) -> None:
    node = nodes(model, "QuantizeLinear")[3]
    changed(model, node.input[2], lambda x: (x + 1).astype(x.dtype))


def dequantised(model: onnx.ModelProto, operand: int) -> onnx.NodeProto:
    """The quantiser behind an operand of the third convolution."""
    name = nodes(model, "Conv")[2].input[operand]
    (found,) = (node for node in model.graph.node if name in node.output)
    return found


def pads(model: onnx.ModelProto) -> None:
    for node in nodes(model, "Conv"):
        for attribute in node.attribute:
            if attribute.name == "pads" and any(attribute.ints):
                attribute.ints[:] = [2, 1, 0, 1]
                return


def table(model: onnx.ModelProto) -> None:
    for attribute in nodes(model, "HardSigmoid")[0].attribute:
        if attribute.name == "beta":
            attribute.f = 0.51


def exchanged(model: onnx.ModelProto) -> None:
    node = nodes(model, "Add")[0]
    node.input[:] = [node.input[1], node.input[1]]


CHANGES = (weight, bias, scale_of_weights, scale_of_result, zero_of_result, pads, table, exchanged)


@pytest.fixture(scope="module")
def good() -> tuple[ModuleOp, Reading]:
    model = onnx.load(TABLES)
    module = module_of(model)
    return module, read(model, module)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_layer_follows_from_a_graph_that_says_something_else(
    good: tuple[ModuleOp, Reading], change: Callable[[onnx.ModelProto], None]
) -> None:
    module, found = good
    model = onnx.load(TABLES)
    change(model)
    other = read(model, module)
    assert 1 <= len(other.tried) <= 8
    assert set(other.proven) < set(found.proven)
