"""By how many steps a layer may be off although it is right: what roundings before its own may add.

Every layer that ONNX Runtime judges is fed the judged model's own codes, so a tie of its operands' rounding is no
concern of it. But some layers have no tensor of the graph: a part of a Split, a convolution that rounds straight to the
scale of a Concat. A tie in such a one is carried on into the layer that is judged, as far as that layer passes it on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.blobs import to_array
from dialects.onnx import NodeOp

_EXACT = ("QuantizeLinear", "DequantizeLinear", "Cast", "Reshape", "Transpose", "Add", "Sub")
"""Operators of a region that only brings codes in: the last two shift codes of the other sign."""

FLOAT32 = 2.0**-22
"""Twice the step of float32 beside its value."""


@dataclass(frozen=True)
class Roundings:
    """Of a layer: steps that its inner roundings add, whether it rounds at all, and for every operand the layer that
    makes it and how many steps one step of that becomes."""

    inner: float
    rounds: bool
    operands: tuple[tuple[str, float], ...]


def roundings(op: cnn.CnnOp) -> Roundings:
    """What a layer's operation adds and passes on."""
    made_by: list[tuple[str, float]] = []
    for value in op.operands:
        if isinstance(value.owner, cnn.CnnOp) and value.owner.layer is not None:
            made_by.append((value.owner.layer.data, _gain(op, value)))
    moves = isinstance(op, cnn.CodesOp | cnn.ConcatOp | cnn.InterleaveOp | cnn.ConstantOp)
    rounds = _computes(op) if isinstance(op, cnn.HostOp) else not moves
    return Roundings(slack_of(op), rounds, tuple(made_by))


def _computes(op: cnn.HostOp) -> bool:
    """Whether a region of the host does more than quantise: what it computes in float may be rounded otherwise."""
    return any(isinstance(node, NodeOp) and node.op_type.data not in _EXACT for node in op.walk())


def carried(layer: str, seen: Collection[str], layers: Mapping[str, Roundings]) -> float:
    """Steps that a judged layer may be off: its inner roundings, and a tie of every layer before it that is not
    ``seen``."""
    found = layers[layer]
    before = 0.0
    for name, gain in found.operands:
        if name not in seen and name in layers:
            before = max(before, gain * (layers[name].rounds + carried(name, seen, layers)))
    return found.inner + before


def slack_of(op: cnn.CnnOp) -> float:
    """Steps that the roundings inside one layer add.

    The int32 bias is rounded where the model's is float, and the model's sum is rounded to float32 at every step, here
    as much as ``FLOAT32`` of the terms' magnitudes. A sum or a table fused behind a convolution works on codes, and so
    carries a tie of the convolution's own rounding on; as does a table that stands for its operand's nodes too, behind
    a quantiser put in.
    """
    if isinstance(op, cnn.TableOp) and isinstance(op.input.owner, cnn.CnnOp) and op.nodes and op.input.owner.nodes:
        if {node.data for node in op.input.owner.nodes} <= {node.data for node in op.nodes}:
            return _steepest(to_array(op.table))
    if not isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp) or not isinstance(op.input.type, cnn.TensorType):
        return 0.0
    step = op.quant.scale.data
    unit = op.input.type.scale.data * to_array(op.scales).astype(np.float64) / step
    terms = 255.0 * np.abs(to_array(op.weights).astype(np.int64)).sum((1, 2, 3)) + np.abs(to_array(op.bias))
    slack = 0.5 * float(unit.max()) + FLOAT32 * float((terms * unit).max())
    if op.sum is not None:
        slack = (1 + slack) * step / op.sum.quant.scale.data
    if op.table is not None:
        slack = (1 + slack) * _steepest(to_array(op.table))
    return slack


def _steepest(table: np.ndarray) -> float:
    return float(np.abs(np.diff(table.astype(np.int64))).max())


def _gain(op: cnn.CnnOp, value: SSAValue) -> float:
    """How many steps of its result one step of an operand becomes, at most."""
    kind, out = value.type, op.results[0].type
    if not isinstance(kind, cnn.TensorType) or not isinstance(out, cnn.TensorType):
        return 0.0
    match op:
        case cnn.TableOp():
            return _steepest(to_array(op.table))
        case cnn.AffineOp():
            return float(np.abs(to_array(op.scale)).max())
        case cnn.MulOp():
            other = op.rhs if value is op.lhs else op.lhs
            assert isinstance(other.type, cnn.TensorType)
            reach = (128 + abs(other.type.zero.data)) * other.type.scale.data
            return reach * kind.scale.data / out.scale.data
        case cnn.Conv2dOp() | cnn.FullyConnectedOp() if value is op.input:
            weight = np.abs(to_array(op.weights).astype(np.int64)).max()
            return float(weight * to_array(op.scales).max()) * kind.scale.data / op.quant.scale.data
        case _:
            return kind.scale.data / out.scale.data
