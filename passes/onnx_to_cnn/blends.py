"""Linear Resize as the convolutions it is made of.

Along an axis of scale P/Q, the outputs r, r + P, … all lie the same fraction between two neighbours, Q inputs further
each. So the P·P' sets of outputs with the same fractions in both axes are depthwise convolutions of stride Q, Q' over
the image with its edge repeated, their weights the fractions' numerators; the results are woven into one image. The law
is section 9a of the arithmetic page; it is one rounding, of a sum of exact integers. Where weights are too
large for that, rows come first, rounded to the operand's own codes, then columns, and that is noted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.blobs import to_blob
from dialects.onnx import NodeOp, shape_of
from passes.onnx_to_cnn import choices
from passes.onnx_to_cnn.choices import resized_axes
from passes.onnx_to_cnn.context import Conversion, last_compute
from passes.onnx_to_cnn.tables import FULL, Bounds, clamp_of
from passes.onnx_to_cnn.values import Blend, Codes, Meaning, Quant, Tap, Trail, Unsupported
from passes.onnx_to_cnn.view import View

MOST_PHASES = 256
"""Convolutions that one resize may become."""

MOST_WEIGHT = 255
"""Eight bits less a zero point of −128."""


def scale_of(node: NodeOp, n: int, m: int, scale: np.float32) -> Fraction:
    """Outputs per input; Unsupported if that is no simple fraction."""
    if node.get_str("coordinate_transformation_mode", "half_pixel") == "align_corners":
        return Fraction(m - 1, n - 1) if n > 1 and m > 1 else Fraction(m)
    exact = Fraction(m, n)
    return exact if np.float32(exact) == scale else Fraction(float(scale)).limit_denominator(256)


def taps(node: NodeOp, n: int, m: int, scale: np.float32) -> tuple[Fraction, list[Tap]]:
    """The scale, and for every output its lower neighbour (−1 is the edge repeated) and how far it lies beyond."""
    ratio = scale_of(node, n, m, scale)
    half = Fraction(1, 2)
    found: list[Tap] = []
    kind = node.get_str("coordinate_transformation_mode", "half_pixel")
    for i in range(m):
        match kind:
            case "asymmetric":
                at = i / ratio
            case "half_pixel":
                at = (i + half) / ratio - half
            case "pytorch_half_pixel":
                at = (i + half) / ratio - half if m > 1 else Fraction(0)
            case "align_corners":
                at = i / ratio if m > 1 else Fraction(0)
            case _:
                raise Unsupported(f"It resizes linearly with coordinates '{kind}', which are not supported.")
        at = min(max(at, Fraction(-1)), Fraction(n))
        low = math.floor(at)
        found.append(Tap(low, at - low))
    return ratio, found


def read_resize(r: Conversion, node: NodeOp) -> Meaning:
    """Resize to the nearest neighbour by any factors, in all coordinate and rounding modes; linear by whole or simple
    fractional factors of rows and columns."""
    return (read_linear if node.get_str("mode", "nearest") == "linear" else choices.read_resize)(r, node)


def read_linear(r: Conversion, node: NodeOp) -> Meaning:
    """Resize with mode linear, by whole or simple fractional factors, of rows and columns."""
    codes = r.codes(r.operand(node, 0), node)
    shape, result = codes.shape, shape_of(node.outputs[0])
    axes = resized_axes(r, node)
    spatial = (2,) if len(shape) == 3 else (2, 3)
    if len(shape) not in (3, 4) or any(axis not in spatial for axis in axes):
        raise Unsupported("It resizes more than rows and columns.")
    sides: list[tuple[int, tuple[Tap, ...]]] = [(1, (Tap(0, Fraction(0)),))] if len(shape) == 3 else []
    for axis in spatial:
        if axis not in axes:
            sides.append((1, tuple(Tap(at, Fraction(0)) for at in range(shape[axis]))))
            continue
        n, m, scale = axes[axis]
        ratio, found = taps(node, n, m, scale)
        period = _period(found, ratio)
        sides.append((period, tuple(found)))
    (row_period, rows), (column_period, columns) = sides
    phases = row_period * column_period
    if phases > MOST_PHASES:
        raise Unsupported(f"It resizes {list(shape[2:])} to {list(result[2:])}, where {phases:,} outputs in a row lie "
                          f"differently between their neighbours; the most is {MOST_PHASES}.")  # fmt: skip
    worst = max(_most(rows) * _most(columns), 1)
    if worst <= MOST_WEIGHT:
        return Blend(result, (node,), codes, rows, row_period, columns, column_period)
    if r.exact or max(_most(rows), _most(columns)) > MOST_WEIGHT:
        raise Unsupported(
            f"It resizes with weights of up to {worst:,}; the most is {MOST_WEIGHT}. Resize in two steps."
        )
    height, width = (tuple(Tap(at, Fraction(0)) for at in range(size)) for size in (len(rows), shape[-1]))
    taller = Blend((*shape[:-2], len(rows), shape[-1]), (node,), codes, rows, row_period, width, 1)
    half = settle_blend(r, taller, codes.quant, FULL, (node,))
    r.put_in.append((half, f"between rows and columns of {node.label}, step {codes.quant.scale:.3g}"))
    return Blend(result, (node,), half, height, 1, columns, column_period)


def _period(found: Sequence[Tap], ratio: Fraction) -> int:
    """After how many outputs the fractions repeat, a whole number of inputs further."""
    period, step = ratio.numerator, ratio.denominator
    even = all(b.low == a.low + step and b.beyond == a.beyond for a, b in zip(found, found[period:], strict=False))
    return min(period, len(found)) if even else len(found)


def _most(found: Sequence[Tap]) -> int:
    """The largest numerator."""
    return max(max(tap.weights) for tap in found)


@dataclass(frozen=True)
class _Phase:
    """Along one axis: outputs, input steps between them, weights from the padded image's first element on."""

    count: int
    stride: int
    weights: tuple[int, ...]
    whole: int
    """What the weights add up to: the fractions' denominator."""


def _phases(found: Sequence[Tap], period: int, base: int, size: int) -> list[_Phase]:
    """The phases over an image of ``size`` elements from ``base`` on."""
    phases: list[_Phase] = []
    for at in range(period):
        own = found[at::period]
        stride = own[1].low - own[0].low if len(own) > 1 else 1
        weights = [0] * (own[0].low - base) + [n for n in own[0].weights if n]
        # Weights of zero up to the image's end, so that the window fits exactly so often.
        weights += [0] * (size - (len(own) - 1) * stride - len(weights))
        phases.append(_Phase(len(own), stride, tuple(weights), sum(own[0].weights)))
    return phases


def settle_blend(r: Conversion, real: Blend, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """The convolutions and their weave."""
    view = View.canonical(real.shape)
    source = r.place(real.codes)
    _, *dims, channels = cnn.tensor_of(source).dims
    (rows, top), (columns, left) = (
        _surrounding(found, n) for found, n in zip((real.rows, real.columns), dims, strict=True)
    )
    if (rows, columns) != tuple(list(range(n)) for n in dims):
        kind = r.type_of((1, len(rows), len(columns), channels), real.codes.quant)
        lists = {"rows": cnn.integers(rows), "columns": cnn.integers(columns)}
        source = r.emit(cnn.SelectOp.build(operands=[source], result_types=[kind], properties=lists), "edge", ())
    down = _phases(real.rows, real.row_period, top, len(rows))
    across = _phases(real.columns, real.column_period, left, len(columns))
    parts = [
        _convolved(r, source, row, column, quant, bounds, trail) for row, column in itertools.product(down, across)
    ]
    if len(parts) == 1:
        return r.made(parts[0], view, quant)
    factors = {"factors": cnn.integers([len(down), len(across)])}
    weave = cnn.InterleaveOp.build(operands=[parts], result_types=[r.type_of(view.dims, quant)], properties=factors)
    return r.made(r.emit(weave, last_compute(trail), trail), view, quant)


def _surrounding(found: Sequence[Tap], n: int) -> tuple[list[int], int]:
    """The elements that all windows meet, edges repeated, and the number of the first."""
    first = min(tap.low for tap in found)
    last = max(tap.low + (tap.beyond > 0) for tap in found)
    return [min(max(at, 0), n - 1) for at in range(min(first, 0), max(last, n - 1) + 1)], min(first, 0)


def _convolved(
    r: Conversion, source: SSAValue, row: _Phase, column: _Phase, quant: Quant, bounds: Bounds, trail: Trail
) -> SSAValue:
    """All outputs of one phase in both axes."""
    n, _, _, channels = cnn.tensor_of(source).dims
    weights = np.outer(row.weights, column.weights)
    zero = -128 if weights.max() > 127 else 0
    stored = np.broadcast_to((weights + zero)[None, :, :, None], (channels, *weights.shape, 1)).astype(np.int8)
    scale = np.float32(1) / np.float32(row.whole * column.whole)
    window = cnn.WindowAttr.of(weights.shape, strides=(row.stride, column.stride))
    op = cnn.Conv2dOp.build(
        operands=[source, None],
        result_types=[r.type_of((n, row.count, column.count, channels), quant)],
        properties={
            "weights": to_blob(np.ascontiguousarray(stored)),
            "bias": to_blob(np.zeros(channels, np.int32)),
            "scales": to_blob(np.full(channels, scale, np.float32)),
            "weight_zero": cnn.integer(zero),
            "quant": cnn.QuantAttr.of(quant.scale, quant.zero),
            "clamp": clamp_of(bounds),
            "window": window,
            "groups": cnn.integer(channels),
        },
    )
    return r.emit(op, last_compute(trail), trail)
