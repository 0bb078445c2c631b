"""What the host does before and after the machine: ONNX operators on small tensors, the same bits on every CPU.

The operators that every model has at its edges are written out here by the laws of the arithmetic page (sections 2 and
11); any other goes to the reference of the `onnx` package, node by node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
Handler = Callable[[onnx.NodeProto, "list[Array | None]", int], "list[Array]"]


def run_onnx(model: bytes | onnx.ModelProto, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
    """Run a small ONNX model; arrays by the names of its inputs and outputs.

    Raises ValueError if an input is missing or has another shape than the model says.
    """
    proto = onnx.ModelProto.FromString(model) if isinstance(model, bytes) else model
    graph = proto.graph
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    values: dict[str, Array] = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for info in graph.input:
        if info.name in values:
            continue
        if info.name not in inputs:
            raise ValueError(f"no value given for the input '{info.name}'")
        values[info.name] = np.asarray(inputs[info.name])
    for node in graph.node:
        operands = [values[name] if name else None for name in node.input]
        values.update(zip(node.output, run_node(node, operands, opsets), strict=False))
    return {info.name: values[info.name] for info in graph.output}


def run_node(node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]) -> list[Array]:
    """The outputs of one node on these inputs (None where one is left out).

    Raises whatever the reference raises on operators or values that it does not know.
    """
    handler = HANDLERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    return handler(node, list(operands), opsets.get("", 13)) if handler else _reference(node, operands, opsets)


def quantise(value: Array, scale: Array, zero: Array | None, axis: int = 1) -> Array:
    """QuantizeLinear: one float32 division, round half to even, zero point, saturate; NaN counts as 0."""
    element = np.dtype(np.uint8) if zero is None else zero.dtype
    limits = np.iinfo(element)
    with np.errstate(all="ignore"):
        ratio = value.astype(np.float32, copy=False) / _along(scale, value.ndim, axis)
    whole = np.rint(np.nan_to_num(ratio, nan=0.0, posinf=3e38, neginf=-3e38)).astype(np.float64)
    if zero is not None:
        whole = whole + _along(zero.astype(np.float64), value.ndim, axis)
    return np.clip(whole, limits.min, limits.max).astype(element)


def dequantise(codes: Array, scale: Array, zero: Array | None, axis: int = 1) -> Array:
    """DequantizeLinear: an exact integer difference, one float32 multiply."""
    whole = codes.astype(np.int64)
    if zero is not None:
        whole = whole - _along(zero.astype(np.int64), codes.ndim, axis)
    return whole.astype(np.float32) * _along(scale.astype(np.float32), codes.ndim, axis)


def softmax(value: Array, axis: int, log: bool = False) -> Array:
    """Softmax with `math.exp` and a sum from first to last, both in float64, rounded once."""
    rows = np.moveaxis(value, axis, -1)
    result = np.empty(rows.shape, np.float32)
    for index in np.ndindex(rows.shape[:-1]):
        row = [float(v) for v in rows[index]]
        top = max(row)
        powers = [math.exp(v - top) for v in row]
        total = 0.0
        for power in powers:
            total += power
        if log:
            result[index] = [(v - top) - math.log(total) for v in row]
        else:
            result[index] = [power / total for power in powers]
    return np.ascontiguousarray(np.moveaxis(result, -1, axis))


def _along(vector: Array, rank: int, axis: int) -> Array:
    if vector.size == 1:
        return vector.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def _given(operands: Sequence[Array | None], index: int) -> Array:
    value = operands[index]
    if value is None:
        raise ValueError(f"operand {index} is missing")
    return value


def _optional(operands: Sequence[Array | None], index: int) -> Array | None:
    return operands[index] if index < len(operands) else None


def _quantize(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    return [quantise(_given(x, 0), _given(x, 1), _optional(x, 2), _attribute(node, "axis", 1))]


def _dequantize(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    return [dequantise(_given(x, 0), _given(x, 1), _optional(x, 2), _attribute(node, "axis", 1))]


def _softmax(node: onnx.NodeProto, x: list[Array | None], opset: int) -> list[Array]:
    return [softmax(_given(x, 0), _attribute(node, "axis", -1 if opset >= 13 else 1), node.op_type == "LogSoftmax")]


def _transpose(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    return [np.ascontiguousarray(np.transpose(_given(x, 0), _attribute(node, "perm", None)))]


def _reshape(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    data, shape = _given(x, 0), [int(n) for n in _given(x, 1)]
    if not _attribute(node, "allowzero", 0):
        shape = [data.shape[at] if n == 0 else n for at, n in enumerate(shape)]
    return [data.reshape(shape)]


def _flatten(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    data, axis = _given(x, 0), _attribute(node, "axis", 1)
    return [data.reshape(math.prod(data.shape[:axis] if axis >= 0 else data.shape[: data.ndim + axis]), -1)]


def _cast(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    return [_given(x, 0).astype(helper.tensor_dtype_to_np_dtype(_attribute(node, "to", 1)))]


def _reshaped_by_axes(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    data, given = _given(x, 0), _optional(x, 1)
    axes = tuple(int(n) for n in (given if given is not None else _attribute(node, "axes", ())))
    if node.op_type == "Squeeze":
        return [data.squeeze(axes or None)]
    return [np.expand_dims(data, axes)]


def _constant_of_shape(node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    given = _attribute(node, "value", None)
    fill = np.zeros(1, np.float32) if given is None else numpy_helper.to_array(given)
    return [np.full([int(n) for n in _given(x, 0)], fill.reshape(-1)[0], fill.dtype)]


def _identity(_node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
    return [_given(x, 0)]


def _arithmetic(function: Callable[[Array, Array], Array]) -> Handler:
    def run(_node: onnx.NodeProto, x: list[Array | None], _opset: int) -> list[Array]:
        return [np.asarray(function(_given(x, 0), _given(x, 1)))]

    return run


HANDLERS: dict[str, Handler] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _reshaped_by_axes,
    "Unsqueeze": _reshaped_by_axes,
    "ConstantOfShape": _constant_of_shape,
    "Cast": _cast,
    "Identity": _identity,
    "Dropout": _identity,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
}
"""Operators written out here; all others are the reference's."""


def _reference(node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]) -> list[Array]:
    from onnx.reference import ReferenceEvaluator

    feeds = {name: value for name, value in zip(node.input, operands, strict=True) if name and value is not None}
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "node", values, outputs)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    made = iter(ReferenceEvaluator(helper.make_model(graph, opset_imports=imports)).run(None, feeds))
    return [np.asarray(next(made)) if name else np.empty(0) for name in node.output]
