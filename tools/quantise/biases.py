"""Biases that leave room for the sum: int32 codes of at most 2³⁰.

A bias is stored in steps of input scale times weight scale. Where a channel's weights are tiny beside its bias, ONNX
Runtime's quantiser widens the weight scale until the code just fits 32 bits, and then nothing can be added to it
without an overflow. Widening it a little more costs such a channel's weights at most one bit, which its bias drowns
anyway.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

ROOM = 2**30
"""The largest code of a bias."""


def leave_room(model: onnx.ModelProto) -> int:
    """Widen scales in place where a bias is larger than ROOM; returns how many layers that were."""
    constants = {item.name: item for item in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    uses = Counter(name for node in model.graph.node for name in node.input)
    changed = 0
    for node in model.graph.node:
        parts = [makers.get(name) for name in node.input[1:3]]
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(parts) < 2:
            continue
        weight, bias = parts
        if weight is None or bias is None or {weight.op_type, bias.op_type} != {"DequantizeLinear"}:
            continue
        names = [*weight.input[:2], *bias.input[:2]]
        if any(name not in constants or uses[name] > 1 for name in names):
            continue
        changed += _widen(constants, names, next((a.i for a in weight.attribute if a.name == "axis"), 0))
    return changed


def _widen(constants: dict[str, onnx.TensorProto], names: list[str], axis: int) -> int:
    """Do it for one layer: weight codes and scale, bias codes and scale; 1 if anything was to be done."""
    weight, weight_scale, bias, bias_scale = (numpy_helper.to_array(constants[name]) for name in names)
    if bias.dtype != np.int32:
        return 0
    reach = np.abs(bias.astype(np.int64))
    factor = np.maximum(1.0, reach / ROOM) if weight_scale.size > 1 else np.maximum(1.0, reach.max(initial=0) / ROOM)
    if not (factor > 1).any():
        return 0
    shape = [1] * weight.ndim
    if weight_scale.size > 1:
        shape[axis] = -1
    by_channel = np.reshape(factor, shape)
    arrays = (
        np.rint(weight / by_channel).astype(weight.dtype),
        (weight_scale * np.reshape(factor, weight_scale.shape)).astype(weight_scale.dtype),
        np.rint(bias / factor).astype(bias.dtype),
        (bias_scale * np.reshape(factor, bias_scale.shape)).astype(bias_scale.dtype),
    )
    for name, array in zip(names, arrays, strict=True):
        constants[name].CopyFrom(numpy_helper.from_array(array, name))
    return 1
