"""A small float network with what a quantiser trips over: hard-swish in pieces, a Sum, a SiLU, a detector's decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class _Net:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: Any) -> str:
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}_y"], name, **attributes))
        return f"{name}_y"

    def conv(self, x: str, name: str, channels: tuple[int, int], kernel: int = 3, stride: int = 1) -> str:
        i, o = channels
        weights = self.rng.standard_normal((o, i, kernel, kernel)) * np.sqrt(2 / (i * kernel * kernel))
        operands = [x, self.constant(f"{name}_w", weights), self.constant(f"{name}_b", self.rng.standard_normal(o) / 9)]
        return self.node("Conv", operands, name, pads=[kernel // 2] * 4, strides=[stride, stride])


def small(opset: int = 13) -> onnx.ModelProto:
    """float[N,3,16,16] image to float[1,10] scores and float[1,4,32] boxes."""
    net = _Net()
    x = net.conv("image", "stem", (3, 16), stride=2)
    rows = [net.constant(f"bn_{part}", np.linspace(0.5, 1.5, 16)) for part in ("scale", "bias", "mean", "var")]
    x = net.node("BatchNormalization", [x, *rows], "bn")
    three, six, zero = (net.constant(name, np.array(value)) for name, value in (("c3", 3.0), ("c6", 6.0), ("c0", 0.0)))
    gate = net.node("Clip", [net.node("Add", [x, three], "swish_add"), zero, six], "swish_clip")
    x = net.node("Div", [net.node("Mul", [x, gate], "swish_mul"), six], "swish_div")
    y = net.node("Relu", [net.conv(x, "a", (16, 16))], "a_relu")
    x = net.node("Relu", [net.node("Sum", [net.conv(y, "b", (16, 16)), x], "residual")], "residual_relu")
    x = net.node("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
    x = net.conv(x, "d", (16, 32), 1)
    x = net.node("Mul", [x, net.node("Sigmoid", [x], "silu_sigmoid")], "silu_mul")
    flat = net.node("Flatten", [net.node("GlobalAveragePool", [x], "gap")], "flat")
    weights = [net.constant("fc_w", net.rng.standard_normal((32, 10)) / 3), net.constant("fc_b", np.linspace(0, 1, 10))]
    scores = net.node("Softmax", [net.node("Gemm", [flat, *weights], "fc")], "softmax", axis=1)
    shape = net.constant("shape", np.array([1, 4, -1], np.int64))
    boxes = net.node("Reshape", [net.conv(x, "box", (32, 8), 1), shape], "box_reshape")
    anchors = net.constant("anchors", net.rng.random((1, 4, 1)) * 10)
    boxes = net.node("Mul", [net.node("Exp", [boxes], "box_exp"), anchors], "box_mul")
    graph = helper.make_graph(
        net.nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 16, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (scores, boxes)],
        net.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
