"""The quantiser of a value that its file leaves in float: which one, and what says so.

Choices. The machine hands on codes, so where a pool, a product or a sum takes a value that no QuantizeLinear rounds,
one is put in, and everything put in is noted. How far the values go is known, in this order: from a QuantizeLinear that
rounds the same value for another user (then the two share one tensor, computed once); from calibration data
(``measure-ranges``); from what the value is: a table, a clip, a function that settles, a mean, sum or product of such.
A convolution alone says nothing: the sum of its weights is many times what it gives. Nothing is put in for ``exact``.
"""

from __future__ import annotations

import numpy as np

from dialects.blobs import to_array
from dialects.onnx import NodeOp, constant_of, element_of
from passes.onnx_to_cnn import functions
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.functions import Function, Span, quantiser_for
from passes.onnx_to_cnn.settle import settle
from passes.onnx_to_cnn.tables import FULL
from passes.onnx_to_cnn.values import (
    Binary,
    ByChannel,
    Clip,
    Codes,
    Dequantised,
    Moved,
    Padded,
    Pool,
    Quant,
    Real,
    Scalar,
)


def rounded(r: Conversion, value: Real) -> Codes | None:
    """The codes of a value, a quantiser put in; None where nothing says how far the value goes."""
    if isinstance(value, Clip) and isinstance(value.child, Dequantised) and (value.low, value.high) == (0.0, np.inf):
        return settle(r, value, value.child.codes.quant, FULL, value.trail)  # loses nothing: 0 is a code
    if r.exact or not value.trail:
        return None
    other = _elsewhere(value)
    if other is not None:
        quant, trail, said = other[1], (*value.trail, other[0]), f"as {other[0].label} does"
    else:
        seen = value.trail[-1].seen
        span = seen.ends if seen is not None else span_of(value)
        if span is None:
            return None
        quant, trail = quantiser_for(*span), value.trail
        said = f"step {quant.scale:.3g}"
    key = (value, quant.scale, quant.zero)
    if key not in r.settled:
        r.settled[key] = settle(r, value, quant, FULL, trail)
        r.settled[key].storage.force()
    r.put_in.append((r.settled[key], f"behind {value.trail[-1].label}, {said}"))
    return r.settled[key]


def _elsewhere(value: Real) -> tuple[NodeOp, Quant] | None:
    """A QuantizeLinear that rounds the value for another user; of several that with the longest steps, which reaches
    farthest."""
    node = value.trail[-1]
    found: list[tuple[NodeOp, Quant]] = []
    for use in node.outputs[0].uses if len(node.outputs) == 1 else ():
        user = use.operation
        if isinstance(user, NodeOp) and user.op_type.data == "QuantizeLinear" and use.index == 0:
            scale, zero = constant_of(user.operand(1)), constant_of(user.operand(2))
            element = element_of(user.outputs[0])
            if scale is None or scale.data.size != 1 or element not in ("i8", "ui8"):
                continue
            if user.operand(2) is not None and zero is None:
                continue
            shift = 128 if element == "ui8" else 0
            point = int(to_array(zero).reshape(-1)[0]) if zero is not None else 0
            found.append((user, Quant(float(to_array(scale).reshape(-1)[0]), point - shift)))
    return max(found, key=lambda each: each[1].scale, default=None)


def span_of(value: Real) -> Span | None:
    """Between which numbers a value lies, whatever the input; None where that is not known or says too little."""
    match value:
        case Dequantised():
            return _codes_span(value.codes)
        case ByChannel():
            ends = [(end - value.meant.zero) * value.meant.scale.astype(np.float64) for end in FULL]
            return float(ends[0].min()), float(ends[1].max())
        case Clip():
            low, high = span_of(value.child) or (-np.inf, np.inf)
            low, high = (min(max(end, value.low), value.high) for end in (low, high))
            return (low, high) if np.isfinite([low, high]).all() else None
        case Scalar():
            return functions.span_of_table(value.values)
        case Function():
            return functions.span_of_function(value)
        case Pool():
            return _codes_span(value.codes)
        case Moved():
            spans = [span_of(child) for child in value.children]
            known = [span for span in spans if span is not None]
            beside = [value.value] if isinstance(value, Padded) else []
            if len(known) < len(spans):
                return None
            return min([*beside, *(low for low, _ in known)]), max([*beside, *(high for _, high in known)])
        case Binary():
            (a, b), (c, d) = _codes_span(value.lhs), _codes_span(value.rhs)
            if value.kind == "Mul":
                ends = (a * c, a * d, b * c, b * d)
                return min(ends), max(ends)
            return (a + c, b + d) if value.kind == "Add" else (a - d, b - c)
        case _:
            return None


def _codes_span(codes: Codes) -> Span:
    quant = codes.quant
    return (-128 - quant.zero) * quant.scale, (127 - quant.zero) * quant.scale
