"""What a node on constants does to its operand per channel: a factor and an offset; and constants that nobody uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from dialects.blobs import to_array
from dialects.onnx import ConstantOp, NodeOp, constant_of
from passes.common.statements import unread

F64 = npt.NDArray[np.float64]


def erase_unused(block_value: SSAValue) -> None:
    """Erase the constant that makes a value, once nothing uses it."""
    owner = block_value.owner
    if isinstance(owner, ConstantOp) and owner.output.first_use is None:
        Rewriter.erase_op(owner)


@dataclass(frozen=True)
class Linear:
    """factor·v + offset per channel."""

    factor: F64
    offset: F64


def _vector(value: SSAValue | None, k: int, rank: int) -> F64 | None:
    """A constant as one number per channel (axis 1), or None if it is computed or varies otherwise."""
    blob = constant_of(value)
    if blob is None or blob.data.element not in ("f32", "f64"):
        return None
    shape = (1,) * (rank - len(blob.shape)) + blob.shape
    if len(shape) > rank or any(n != 1 for at, n in enumerate(shape) if at != 1) or shape[1] not in (1, k):
        return None
    return np.broadcast_to(to_array(blob).astype(np.float64).reshape(-1), (k,))


def linear_of(node: NodeOp, k: int, rank: int) -> Linear | None:
    """What a node does to its first operand per channel, if that is a factor and an offset."""
    one, none = np.ones(k), np.zeros(k)
    if node.kind == "BatchNormalization":
        blobs = [constant_of(node.operand(at)) for at in range(1, 5)]
        if unread(node) is not None or any(blob is None or blob.data.size != k for blob in blobs):
            return None
        gamma, beta, mean, variance = (to_array(b).astype(np.float64).reshape(-1) for b in blobs if b is not None)
        with np.errstate(all="ignore"):
            factor = gamma / np.sqrt(variance + node.get_float("epsilon", 1e-5))
        return Linear(factor, beta - mean * factor) if np.isfinite(factor).all() else None
    if node.kind not in ("Mul", "Add", "Sub", "Div"):
        return None
    c, swapped = _vector(node.operand(1), k, rank), False
    if c is None:
        c, swapped = _vector(node.operand(0), k, rank), True
    if c is None:
        return None
    match node.kind:
        case "Mul":
            return Linear(c, none)
        case "Add":
            return Linear(one, c)
        case "Sub":
            return Linear(-one, c) if swapped else Linear(one, -c)
        case _:
            return None if swapped or not c.all() else Linear(one / c, none)
