"""Functions of a value that no QuantizeLinear has rounded yet, and the quantisers put in for them.

Files with quantisers at the inputs of layers only run a convolution's float result through SiLU, hard-swish or a gate
before the next QuantizeLinear. The machine looks functions up by 8-bit codes, so a quantiser is put in before the
function. Its range is what calibration data had there; without such it is in the file: where the argument leaves it,
the QuantizeLinear behind the function gives the same code as at its end, or the function itself no longer changes.
Everything put in is noted, with what it can cost.

    Conv → x·sigmoid(x) → QuantizeLinear      as if      Conv → Q → DQ → x·sigmoid(x) → QuantizeLinear
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dialects.meaning import kernels
from dialects.onnx import NodeOp
from passes.onnx_to_cnn import scalar
from passes.onnx_to_cnn.values import (
    Binary,
    Clip,
    Meaning,
    Pool,
    Quant,
    Real,
    Stored,
    Sums,
    Trail,
    Unsupported,
    Wide,
)

F32 = npt.NDArray[np.float32]
Apply = Callable[[F32], F32]
Span = tuple[float, float]
"""Least and greatest of numbers."""

_FARTHEST = 40
"""Arguments up to 2 to this power are tried."""

_MOST = 8
"""Steps of the result by which a quantiser that is put in may be off: beyond, the function jumps or is too steep."""

_FINE = 2048
"""Steps in which the ends of a range are looked for, and in which an error is measured."""


@dataclass(eq=False)
class Function(Real):
    """A function of one value that still waits."""

    child: Real
    apply: Apply


def function_of(value: Meaning) -> tuple[Real, Apply] | None:
    """A value as a function of one that waits, if it is one."""
    if isinstance(value, Function):
        return value.child, value.apply
    if isinstance(value, Clip):
        inner = function_of(value.child)
        if inner is None:
            return None
        child, apply = inner
        low, high = np.float32(value.low), np.float32(value.high)
        return child, lambda v: np.clip(apply(v), low, high)
    if isinstance(value, Sums) and value.origin is not None:
        return value.origin
    if isinstance(value, Sums | Wide | Binary | Stored | Pool):
        return value, lambda v: v
    return None


def one_more(node: NodeOp, value: Meaning, function: Callable[..., float], second: Meaning | None = None
             ) -> Function | None:  # fmt: skip
    """The function behind one more operator, whose ``second`` operand has the same argument; None if it is none."""
    found, other = function_of(value), function_of(second) if second is not None else None
    if (
        found is None
        or not isinstance(value, Real)
        or (second is not None and (other is None or other[0] is not found[0]))
    ):
        return None
    child, apply = found
    trail: Trail = value.trail if not isinstance(second, Real) else tuple(dict.fromkeys((*value.trail, *second.trail)))

    def made(v: F32) -> F32:
        operands = (apply(v),) if other is None else (apply(v), other[1](v))
        return scalar.rounded(function, *operands)

    return Function(child.shape, (*trail, node), child, made)


@dataclass(frozen=True)
class PutIn:
    """A quantiser put in: its parameters, and the most steps of the result by which the codes behind it can differ."""

    quant: Quant
    table: kernels.Int8
    worst: int
    low: float
    high: float


def before(function: Function, quant: Quant, bounds: tuple[int, int], seen: Span | None = None) -> PutIn:
    """The quantiser before a function whose result is quantised, and the function as a table behind it.

    ``seen`` is where calibration data had the argument.
    """

    def codes(v: F32) -> kernels.Int8:
        return kernels.quantise(function.apply(v), quant.scale, quant.zero, *bounds)

    low, high = _ends(codes) if seen is None else _within(codes, seen)
    made = quantiser_for(low, high)
    arguments = (np.arange(-128, 128) - made.zero).astype(np.float32) * np.float32(made.scale)
    table = codes(arguments)
    fine = np.linspace(low, high, _FINE).astype(np.float32)
    seen_codes = kernels.table_lookup(kernels.quantise(fine, made.scale, made.zero), table)
    worst = int(np.abs(seen_codes.astype(np.int16) - codes(fine)).max())
    if worst > _MOST:
        raise Unsupported(f"A quantiser put in before it could be off by {worst} steps of its result; put a "
                          "QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
    return PutIn(made, table, worst, low, high)


def _within(codes: Callable[[F32], kernels.Int8], seen: Span) -> Span:
    """The range that was seen, less what no longer matters."""
    try:
        low, high = _ends(codes)
    except Unsupported:
        return seen
    return min(max(low, seen[0]), 0.0), max(min(high, seen[1]), 0.0)


def span_of_function(function: Function) -> Span:
    """Where a function's own values end; Unsupported where they do not."""
    reach = np.float32(2.0) ** np.arange(-10, _FARTHEST).astype(np.float32)
    values = function.apply(np.concatenate([-reach[::-1], np.linspace(-64, 64, _FINE).astype(np.float32), reach]))
    if not np.isfinite(values).all() or values[0] != values[1] or values[-1] != values[-2]:
        node = function.trail[-1]
        raise Unsupported(f"There is no QuantizeLinear between it and {node.label} ({node.op_type.data}), and the file "
                          "does not say how far that node's result goes; quantise it too, or give examples to the "
                          "compiler (--images, --data).")  # fmt: skip
    return float(values.min()), float(values.max())


def span_of_table(table: F32) -> Span:
    """Between which numbers the 256 values of a function of one int8 tensor lie."""
    if not np.isfinite(table).all():
        raise Unsupported("Its operand is infinite for some codes; put a QuantizeLinear and a DequantizeLinear before "
                          "it.")  # fmt: skip
    return float(table.min()), float(table.max())


def quantiser_for(low: float, high: float) -> Quant:
    """The 256 codes over a range, widened to contain 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255)) or 1.0
    return Quant(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def _ends(codes: Callable[[F32], kernels.Int8]) -> tuple[float, float]:
    """Where on either side the codes stop changing; Unsupported where they never do."""
    reach = np.float32(2.0) ** np.arange(-10, _FARTHEST).astype(np.float32)
    ends: list[float] = []
    for side in (np.float32(-1), np.float32(1)):
        seen = codes(side * reach)
        changes = np.flatnonzero(seen != seen[-1])
        if changes.size and changes[-1] >= reach.size - 8:
            raise Unsupported("A quantiser cannot be put in before it: its result never settles, however large its "
                              "operand. Put a QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
        limit = float(reach[changes[-1] + 1]) if changes.size else float(reach[0])
        fine = np.linspace(0, limit, _FINE).astype(np.float32)
        moving = np.flatnonzero(codes(side * fine) != seen[-1])
        ends.append(float(side) * float(fine[min(int(moving[-1]) + 1, _FINE - 1)] if moving.size else fine[1]))
    return ends[0], ends[1]
