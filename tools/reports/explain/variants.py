"""Another model, one step away: a layer with other channels, with a 1x1 kernel, or left out; or smaller pictures.

What a change of the network would give is measured on a network that has it. Its weights mean nothing: channels are cut
off or are zeros, a kernel is its middle. Layers are changed on the ``cnn`` level, where shapes follow from operands and
attributes, so what comes behind is worked out again; where it does not follow, a sentence says which layer is in the
way. Pictures are changed in the ONNX file, which says what the host's part is for them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Operation
from xdsl.rewriter import Rewriter
from xdsl.utils.exceptions import VerifyException

from dialects import cnn
from dialects.blobs import to_array, to_blob
from dialects.cnn_attributes import tensor_of
from sim.machine.errors import ReconError

PER_CHANNEL = ("bias", "scales")
"""Constants of a convolution with a number for each output channel."""


@dataclass(frozen=True)
class LayerVariant:
    """What is to be different of a layer: its output ``channels``, its kernel (``pointwise``: 1x1), or that it is there
    at all (``without``)."""

    layer: str
    channels: int = 0
    pointwise: bool = False
    without: bool = False


def changed(module: ModuleOp, change: LayerVariant) -> ModuleOp:
    """The module at the ``cnn`` level with a change; ReconError where there is no such layer or no such network."""
    made = module.clone()
    found = [op for op in made.walk() if _named(op) == change.layer]
    if not found:
        raise ReconError(f"There is no layer '{change.layer}' at the cnn level.")
    op = found[-1]
    try:
        if change.without:
            _leave_out(op)
        elif not isinstance(op, cnn.Conv2dOp):
            raise ReconError(
                f"{change.layer} is no convolution: it has neither output channels nor a kernel to change."
            )
        else:
            if change.pointwise:
                _make_pointwise(op)
            if change.channels:
                _set_outputs(op, change.channels)
        _settle(made)
        made.verify()
    except VerifyException as error:
        raise ReconError(f"There is no such network: {error}.") from None
    return made


def _named(op: Operation) -> str:
    return op.layer.data if isinstance(op, cnn.CnnOp) and op.layer is not None else ""


def _leave_out(op: Operation) -> None:
    """What reads the result reads the operand instead."""
    first, result = tensor_of(op.operands[0]), tensor_of(op.results[0])
    if first.dims != result.dims:
        raise ReconError(f"{_named(op)} changes the shape of its input, so nothing can take its place.")
    op.results[0].replace_all_uses_with(op.operands[0])
    op.detach()
    op.erase()


def _make_pointwise(op: cnn.Conv2dOp) -> None:
    """The middle of the kernel alone; pads shrink by what it reached over the edge."""
    (fy, fx), (top, bottom, left, right), strides, (dy, dx) = op.window.values
    above, before = (fy - 1) * dy // 2, (fx - 1) * dx // 2
    pads = (top - above, bottom - ((fy - 1) * dy - above), left - before, right - ((fx - 1) * dx - before))
    window = cnn.WindowAttr.of((1, 1), [max(0, pad) for pad in pads], strides)
    (_, height, width, _), result = tensor_of(op.input).dims, op.result_dims
    if window.output(height, width) != result[1:3]:
        raise ReconError(
            f"{_named(op)} reads no pixel beyond the edge, so a smaller kernel would make a larger result."
        )
    op.properties["window"] = window
    op.properties["weights"] = to_blob(to_array(op.weights)[:, fy // 2 : fy // 2 + 1, fx // 2 : fx // 2 + 1, :])


def _set_outputs(op: cnn.Conv2dOp, channels: int) -> None:
    if op.groups.value.data > 1:
        raise ReconError(f"{_named(op)} works on groups of channels; change the layer that makes its input instead.")
    if op.residual is not None:
        raise ReconError(f"{_named(op)} is added to another tensor, which would need as many channels.")
    op.properties["weights"] = to_blob(_resized(to_array(op.weights), 0, channels))
    for name in PER_CHANNEL:
        op.properties[name] = to_blob(_resized(to_array(getattr(op, name)), 0, channels, edge=name == "scales"))


def _resized(array: np.ndarray, axis: int, size: int, edge: bool = False) -> np.ndarray:
    """An array cut to a size along an axis, or continued with zeros (``edge``: with its last number)."""
    if size <= array.shape[axis]:
        return np.take(array, range(size), axis)
    more = [(0, size - have if at == axis else 0) for at, have in enumerate(array.shape)]
    return np.pad(array, more, mode="edge") if edge else np.pad(array, more)


def _settle(module: ModuleOp) -> None:
    """Weights and result types that fit the operands, from top to bottom."""
    for function in [op for op in module.body.block.ops if isinstance(op, func.FuncOp)]:
        for op in function.body.block.ops:
            if isinstance(op, cnn.CnnOp) and not isinstance(op, cnn.HostOp):
                _fit(op)
        last = function.body.block.last_op
        assert last is not None
        inputs = [argument.type for argument in function.body.block.args]
        function.properties["function_type"] = FunctionType.from_lists(inputs, [value.type for value in last.operands])


def _fit(op: cnn.CnnOp) -> None:
    if isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
        _fit_weights(op)
    old = op.results[0].type
    given = [value.type for value in op.operands if isinstance(value.type, cnn.TensorType)]
    implied = op.implied(given, op.properties) if len(given) == len(op.operands) and given else None
    if isinstance(op, cnn.ReshapeOp) and isinstance(old, cnn.TensorType) and given:
        whole = int(np.prod(given[0].dims))
        dims = (1, 1, 1, whole) if old.dims[:3] == (1, 1, 1) else old.dims
        if int(np.prod(dims)) != whole:
            raise ReconError(f"{_named(op)} gives its input another shape, {old.dims}, which it no longer has.")
        implied = old.like(dims)
    if implied is not None and isinstance(old, cnn.TensorType) and implied.dims != old.dims:
        Rewriter.replace_value_with_new_type(op.results[0], old.like(implied.dims))


def _fit_weights(op: cnn.Conv2dOp | cnn.FullyConnectedOp) -> None:
    """A convolution that reads other channels than it has weights for."""
    channels, weights = tensor_of(op.input).dims[3], to_array(op.weights)
    groups = op.groups.value.data if isinstance(op, cnn.Conv2dOp) else 1
    if weights.shape[3] * groups == channels:
        return
    if groups == 1:
        op.properties["weights"] = to_blob(_resized(weights, 3, channels))
        return
    if weights.shape[3] > 1 or weights.shape[0] != groups:
        raise ReconError(f"{_named(op)} works on groups of channels, and {channels} do not fall into {groups}.")
    op.properties["groups"] = cnn.integer(channels)
    op.properties["weights"] = to_blob(_resized(weights, 0, channels))
    for name in PER_CHANNEL:
        op.properties[name] = to_blob(_resized(to_array(getattr(op, name)), 0, channels, edge=name == "scales"))


def smaller(model: str | Path | onnx.ModelProto, factor: int = 2) -> onnx.ModelProto:
    """An ONNX model for pictures of a ``factor`` fewer rows and columns; ReconError for one that takes no picture, or
    whose later shapes are written down (a fully connected layer over all pixels, for one)."""
    made = copy.deepcopy(model) if isinstance(model, onnx.ModelProto) else onnx.load(str(model))
    over_all = _over_all(made)
    known = {tensor.name for tensor in made.graph.initializer}
    pictures = [value for value in made.graph.input if value.name not in known and _is_picture(value)]
    if not pictures:
        raise ReconError("The model has no input of four dimensions with rows and columns to halve.")
    for value in pictures:
        dims = value.type.tensor_type.shape.dim
        for at in _rows_and_columns([dim.dim_value for dim in dims]):
            if dims[at].dim_value % factor:
                raise ReconError(
                    f"The input '{value.name}' has {dims[at].dim_value} rows or columns: no whole part of it."
                )
            dims[at].dim_value //= factor
    del made.graph.value_info[:]
    for value in made.graph.output:
        value.type.tensor_type.ClearField("shape")
    for node in made.graph.node:
        if node.output[0] in over_all:
            dims = _shapes(made)[node.input[0]][2:]
            for attribute in node.attribute:
                if attribute.name in ("kernel_shape", "strides"):
                    attribute.ints[:] = dims
    return made


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except onnx.shape_inference.InferenceError as error:
        raise ReconError(f"The shapes of this model do not follow from its inputs: {error}.") from None
    return {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }


def _over_all(model: onnx.ModelProto) -> set[str]:
    """The results of pools whose window is all their input: global pools, written with a size."""
    shapes = _shapes(model)
    windows = {
        node.output[0]: (node.input[0], list(attribute.ints))
        for node in model.graph.node
        if node.op_type in ("AveragePool", "MaxPool")
        for attribute in node.attribute
        if attribute.name == "kernel_shape"
    }
    return {result for result, (operand, kernel) in windows.items() if shapes.get(operand, [])[2:] == kernel}


def _is_picture(value: onnx.ValueInfoProto) -> bool:
    sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return len(sizes) == 4 and min(sizes[1:]) > 0 and all(sizes[at] > 1 for at in _rows_and_columns(sizes))


def _rows_and_columns(sizes: Sequence[int]) -> tuple[int, int]:
    """The axes of rows and columns: channels are the smallest of the three, first or last."""
    return (1, 2) if sizes[3] < sizes[1] else (2, 3)
