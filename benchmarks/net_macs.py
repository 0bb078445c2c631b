"""Multiply-accumulates of an ONNX model, from shapes alone and from nothing of the compiler, so that it can check one.

Shapes come from `onnx.shape_inference`; weights are never read.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import helper, shape_inference

Shape = tuple[int, ...]
_SMALL = 1024  # elements; larger initialisers cannot decide a shape and are left out of shape inference


def count_macs(model: onnx.ModelProto, padding: bool = True) -> int:
    """MACs of one inference (a symbolic batch counts as 1): the sum of `macs_by_node`."""
    return sum(macs_by_node(model, padding).values())


def macs_by_node(model: onnx.ModelProto, padding: bool = True) -> dict[str, int]:
    """First output's name -> MACs, for each Conv, Gemm and MatMul in graph order.

    `padding=False` counts only the taps that meet real inputs, leaving out those on zero padding. How many taps of an
    output row are real does not depend on the column, so the count is a product over the axes.
    Raises ValueError where a shape is unknown.
    """
    shapes = infer_shapes(model)

    def shape(name: str) -> Shape:
        if name not in shapes:
            raise ValueError(f"The shape of '{name}' is unknown: give the model static shapes before counting MACs.")
        return shapes[name]

    macs: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            macs[node.output[0]] = _conv_macs(node, shape(node.input[0]), shape(node.input[1]), padding)
        elif node.op_type == "Gemm":
            a = shape(node.input[0])
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            depth = a[0] if transposed else a[1]
            macs[node.output[0]] = prod(shape(node.output[0])) * depth
        elif node.op_type == "MatMul":
            macs[node.output[0]] = prod(shape(node.output[0])) * shape(node.input[0])[-1]
    return macs


def infer_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Tensor name -> shape, where all dimensions are known; a symbolic first dimension of an input is taken as 1."""
    graph = model.graph
    known: dict[str, Shape] = {}
    skeleton = onnx.ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    skeleton.graph.name = graph.name
    skeleton.graph.node.extend(graph.node)
    skeleton.graph.output.extend(graph.output)
    for tensor in graph.initializer:
        known[tensor.name] = tuple(tensor.dims)
        if prod(tensor.dims) <= _SMALL:
            skeleton.graph.initializer.append(tensor)
        else:
            skeleton.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for value in graph.input:
        if value.name in known:
            continue
        fixed = skeleton.graph.input.add()
        fixed.CopyFrom(value)
        dims = fixed.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    # Declared outputs may carry the symbolic batch as well; inference states them anew.
    for value in skeleton.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(skeleton).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            known[value.name] = tuple(dim.dim_value for dim in dims)
    return known


def _conv_macs(node: onnx.NodeProto, x: Shape, weight: Shape, padding: bool) -> int:
    """x [N, C, spatial...], weight [K, C/group, kernel...] -> MACs."""
    axes = len(weight) - 2
    strides = _integers(node, "strides", [1] * axes)
    dilations = _integers(node, "dilations", [1] * axes)
    pads = _integers(node, "pads", [0] * (2 * axes))
    auto = next((a.s for a in node.attribute if a.name == "auto_pad"), b"NOTSET")
    taps = 1
    for axis in range(axes):
        size, kernel, stride, dilation = x[2 + axis], weight[2 + axis], strides[axis], dilations[axis]
        before, after = pads[axis], pads[axis + axes]
        span = (kernel - 1) * dilation + 1
        if auto in (b"SAME_UPPER", b"SAME_LOWER"):
            total = max(0, (-(-size // stride) - 1) * stride + span - size)
            before = total // 2 if auto == b"SAME_UPPER" else total - total // 2
            after = total - before
        elif auto == b"VALID":
            before = after = 0
        outputs = (size + before + after - span) // stride + 1
        taps *= outputs * kernel if padding else _real_taps(size, outputs, kernel, stride, dilation, before)
    return x[0] * weight[0] * weight[1] * taps


def _real_taps(size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int) -> int:
    """Along one axis: pairs of output position and kernel tap whose input position lies in 0..size-1."""
    position = np.arange(outputs)[:, None] * stride - before + np.arange(kernel)[None, :] * dilation
    return int(np.count_nonzero((position >= 0) & (position < size)))


def _integers(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), default)
