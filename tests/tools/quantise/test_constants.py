"""Models over whose constants ONNX Runtime's quantiser stumbles are quantised all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

import recon
from tools.quantise.constants import own_biases


def model(nodes: list[onnx.NodeProto], constants: dict[str, npt.NDArray[np.float32]], *shape: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "constants", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def numbers(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def quantised(proto: onnx.ModelProto, tmp_path: Path) -> recon.Quantised:
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    shape = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    found = recon.quantize(path, [{"x": numbers(*shape)}])
    assert min(output.decibels for output in found.outputs) > 25
    assert recon.compile(found.model).layers
    return found


def test_a_bias_of_one_row(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["xw"])
    add = helper.make_node("Add", ["xw", "b"], ["y"])
    quantised(model([node, add], {"w": numbers(6, 4), "b": numbers(1, 4)}, 1, 6), tmp_path)


def test_a_bias_of_two_layers_whose_copy_has_the_name_of_a_tensor(tmp_path: Path) -> None:
    first = helper.make_node("Conv", ["x", "w", "b"], ["y"], "first")
    second = helper.make_node("Conv", ["x", "v", "b"], ["b2"], "second")
    minus = helper.make_node("Neg", ["b2"], ["z"], "minus")
    join = helper.make_node("Concat", ["y", "z"], ["out"], "join", axis=1)
    weights = {"w": numbers(4, 3, 1, 1), "v": numbers(4, 3, 1, 1) * 2, "b": numbers(4)}
    quantised(model([first, second, minus, join], weights, 1, 3, 5, 5), tmp_path)


def test_a_transposed_convolution_in_groups(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], "up", group=2, strides=[2, 2])
    found = quantised(model([node], {"w": numbers(8, 3, 2, 2), "b": numbers(6)}, 1, 8, 4, 4), tmp_path)
    scales = {item.name: item for item in found.model.graph.initializer if item.name.startswith("w")}
    assert list(scales["w_scale"].dims) == []


def test_layers_have_biases_of_their_own() -> None:
    nodes = [helper.make_node("Conv", ["x", "w", "b"], [name], name) for name in ("p", "q")]
    nodes.append(helper.make_node("Add", ["p", "q"], ["p_bias"], "sum"))
    proto = model(nodes, {"w": numbers(4, 3, 1, 1), "b": numbers(4), "unused": numbers(1)}, 1, 3, 5, 5)
    own_biases(proto)
    assert [node.input[2] for node in proto.graph.node[:2]] == ["p_bias_", "b"]
    assert [item.name for item in proto.graph.initializer] == ["w", "b", "p_bias_"]
    first, second = (numpy_helper.to_array(item) for item in proto.graph.initializer[1:])
    assert np.array_equal(first, second)
