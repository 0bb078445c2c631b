"""From a waiting value to cnn operations: what a QuantizeLinear does.

``settle`` pushes scale, zero point and bounds inwards. Bounds compose as the laws say, movements are done on codes
after the operation they follow, and everything settled is remembered, so that no operation is written twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import FloatAttr, StringAttr, f32
from xdsl.ir import Attribute, SSAValue

from dialects import cnn
from dialects.blobs import to_blob
from dialects.meaning import kernels
from passes.onnx_to_cnn import blends, dilated, functions, pairs, products, slopes, transposed
from passes.onnx_to_cnn.context import Conversion, last_compute
from passes.onnx_to_cnn.functions import Function
from passes.onnx_to_cnn.tables import FULL, Bounds, clamp_of, looked_up
from passes.onnx_to_cnn.values import (
    Affine,
    Binary,
    Blend,
    Clip,
    Codes,
    Dequantised,
    Moved,
    Normalised,
    Padded,
    Pool,
    Quant,
    Real,
    Scalar,
    Sloped,
    Stored,
    Sums,
    Trail,
    Unsupported,
    Wide,
)
from passes.onnx_to_cnn.view import View

_LARGE = 2**30
"""Biases from here on may leave int32 with what is added to them."""


def settle(r: Conversion, real: Real, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """The codes of a value under an output quantisation; ``trail`` are the nodes that follow it.

    Raises Unsupported where the value has no law.
    """
    match real:
        case Clip():
            inner = kernels.quantise([real.low, real.high], quant.scale, quant.zero)
            lo, hi = (min(max(int(code), bounds[0]), bounds[1]) for code in inner)
            return settle(r, real.child, quant, (lo, hi), trail)
        case Dequantised():
            return _copied(r, real.codes, quant, bounds, trail)
        case Sums():
            return _sums(r, real, quant, bounds, trail)
        case Wide():
            return _sums(r, real.sums, quant, bounds, trail, real.codes)
        case Scalar():
            table = kernels.quantise(real.values, quant.scale, quant.zero, *bounds)
            return looked_up(r, real.codes, table, quant, real.label, trail)
        case Affine():
            return _affine(r, real, quant, bounds, trail)
        case Sloped():
            return slopes.settle_slopes(r, real, quant, bounds, trail)
        case Binary():
            return pairs.settle_pair(r, real, quant, bounds, trail)
        case Stored():
            return pairs.settle_stored(r, real, quant, bounds, trail)
        case Pool():
            return _pool(r, real, quant, bounds, trail)
        case Blend():
            return blends.settle_blend(r, real, quant, bounds, trail)
        case Normalised():
            return _lrn(r, real, quant, bounds, trail)
        case Padded():
            code = int(kernels.quantise([real.value], quant.scale, quant.zero, *bounds)[0])
            return real.fill(settle(r, real.children[0], quant, bounds, trail), code)
        case Moved():
            return real.move([settle(r, child, quant, bounds, trail) for child in real.children], quant)
        case Function():
            return _function(r, real, quant, bounds, trail)
        case _:
            raise Unsupported("It has no form on the machine.")


def _copied(r: Conversion, codes: Codes, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """A tensor requantised by itself; the identity where nothing changes."""
    if codes.quant.same(quant) and bounds == FULL:
        return codes
    values = (np.arange(-128, 128) - codes.quant.zero).astype(np.float32) * np.float32(codes.quant.scale)
    table = kernels.quantise(values, quant.scale, quant.zero, *bounds)
    if codes.quant.same(quant):  # rounding twice is the identity, whatever the scale's last bit
        table = np.clip(np.arange(-128, 128), *bounds).astype(np.int8)
    return looked_up(r, codes, table, quant, "requantise" if bounds == FULL else "clamp", trail[-2:])


def _function(r: Conversion, real: Function, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """A function of a value that no QuantizeLinear has rounded: behind a quantiser put in, a table."""
    if r.exact:
        try:
            r.codes(real.child, real.trail[-1])  # says what is in the way
        except Unsupported as problem:
            problem.node = real.trail[-1]
            raise
    seen = real.child.trail[-1].seen if real.child.trail else None
    made = functions.before(real, quant, bounds, seen.ends if seen is not None else None)
    codes = settle(r, real.child, made.quant, FULL, real.child.trail)
    r.put_in.append((codes, f"behind {real.child.trail[-1].label}, {made.low:.3g} to {made.high:.3g}, step "
                    f"{made.quant.scale:.3g}, off by at most {made.worst} of {trail[-1].label}'s steps"))  # fmt: skip
    return looked_up(r, codes, made.table, quant, trail[-2].op_type.data if len(trail) > 1 else "function", trail)


def _sums(
    r: Conversion, sums: Sums, quant: Quant, bounds: Bounds, trail: Trail, residual: Codes | None = None
) -> Codes:
    """A convolution or matrix product, written once; a ``residual`` joins before the rounding."""
    key = (sums, residual, quant.scale, quant.zero, *bounds)
    if key in r.products:
        return r.products[key]
    view = sums.result
    properties = _stages(sums, quant, bounds if residual is None else FULL, residual is None)
    if residual is not None:
        own = cnn.QuantAttr.of(quant.scale, quant.zero)
        properties["sum"] = cnn.SumAttr(StringAttr("wide"), own, clamp_of(bounds))
    value = sums.place()
    other = r.place(residual, r.spec_of(view)) if residual is not None else None
    if sums.spread is not None:
        return r.made(transposed.woven(r, sums, sums.spread, properties, quant, trail), view, quant)
    op = _product(sums, [value, other], r.type_of(view.dims, quant), properties)
    r.products[key] = r.made(r.emit(op, last_compute(trail), trail), view, quant)
    return r.products[key]


def unrounded(r: Conversion, sums: Sums) -> SSAValue:
    """A convolution or matrix product as float32, which no QuantizeLinear rounds."""
    properties = _stages(sums, Quant(1.0, 0), FULL)
    if sums.spread is not None:
        return transposed.woven(r, sums, sums.spread, properties, None, sums.trail)
    op = _product(sums, [sums.place(), None], cnn.FloatType.of(sums.result.dims), properties)
    return r.emit(op, last_compute(sums.trail), sums.trail)


def _stages(sums: Sums, quant: Quant, bounds: Bounds, rounded: bool = False) -> dict[str, Attribute]:
    """Weights and parameters of a convolution, and its requantisation, which rounds nothing else if ``rounded``."""
    weights, scale, bias = products.settled(sums)
    weights, zero = products.one_zero_point(weights, sums.weight_zero)
    if rounded and sums.spread is None and sums.count == 1 and np.abs(bias).max(initial=0) >= _LARGE:
        steps = sums.input_scale * scale.astype(np.float64) / quant.scale
        ends = (bounds[0] - quant.zero, bounds[1] - quant.zero)
        bias = products.within_reach(weights, zero, bias, sums.codes.quant.zero, steps, ends)
    return {
        "weights": to_blob(np.ascontiguousarray(weights, np.int8)),
        "bias": to_blob(bias.astype(np.int32)),
        "scales": to_blob(np.ascontiguousarray(scale, np.float32)),
        "weight_zero": cnn.integer(zero),
        "count": cnn.integer(sums.count),
        "quant": cnn.QuantAttr.of(quant.scale, quant.zero),
        "clamp": clamp_of(bounds),
    }


def _product(
    sums: Sums, operands: Sequence[SSAValue | None], kind: Attribute, properties: dict[str, Attribute]
) -> cnn.CnnOp:
    if sums.window is None:
        return cnn.FullyConnectedOp.build(operands=operands, result_types=[kind], properties=properties)
    properties |= {"window": cnn.WindowAttr.of(*sums.window), "groups": cnn.integer(sums.groups)}
    return cnn.Conv2dOp.build(operands=operands, result_types=[kind], properties=properties)


def _affine(r: Conversion, real: Affine, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    a, b = kernels.affine_parameters(
        real.factor, real.offset, real.codes.quant.scale, real.codes.quant.zero, quant.scale
    )
    rank = len(real.shape)
    rest = [axis for axis in range(rank) if axis != real.axis]
    spec = (tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (real.axis,))
    value = r.place(real.codes, spec)
    view = View(real.codes.view.logical, r.memory(real.codes.view, spec))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise Unsupported("Its factors and offsets are not finite in units of the output's scale.")
    op = cnn.AffineOp.build(
        operands=[value],
        result_types=[r.type_of(view.dims, quant)],
        properties={"scale": to_blob(a), "offset": to_blob(b), "clamp": clamp_of(bounds)},
    )
    return r.made(r.emit(op, last_compute(trail), trail), view, quant)


def _pool(r: Conversion, real: Pool, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    value = real.place()
    properties: dict[str, Attribute] = {"clamp": clamp_of(bounds)}
    result = [r.type_of(real.result.dims, quant)]
    if real.window is None:
        op = cnn.GlobalAveragePoolOp.build(operands=[value], result_types=result, properties=properties)
    else:
        properties["count_pads"] = cnn.integer(int(real.count_pads))

        def dense(of: SSAValue, kind: cnn.TensorType, window: cnn.WindowAttr) -> cnn.CnnOp:
            own = properties | {"window": window}
            return cnn.AveragePool2dOp.build(operands=[of], result_types=[kind], properties=own)

        if max(real.window[3]) > 1:
            window, node = cnn.WindowAttr.of(*real.window), last_compute(trail)
            woven = dilated.pooled(r, node, value, window, real.result.dims, quant, dense)
            return r.made(woven, real.result, quant)
        op = dense(value, result[0], cnn.WindowAttr.of(*real.window))
    return r.made(r.emit(op, last_compute(trail), trail), real.result, quant)


def _lrn(r: Conversion, real: Normalised, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    view = View.canonical(real.shape)
    op = cnn.LrnOp.build(
        operands=[r.place(real.codes)],
        result_types=[r.type_of(view.dims, quant)],
        properties={
            "size": cnn.integer(real.size),
            "alpha": FloatAttr(real.alpha, f32),
            "beta": FloatAttr(real.beta, f32),
            "bias": FloatAttr(real.bias, f32),
        },
    )
    codes = r.made(r.emit(op, last_compute(trail), trail), view, quant)
    return codes if bounds == FULL else _copied(r, codes, quant, bounds, trail)
