"""Reading Conv, Gemm and MatMul: sums of products that wait for their QuantizeLinear."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dialects.onnx import NodeOp, shape_of
from passes.common.grid import on_grid
from passes.common.windows import window_of
from passes.onnx_to_cnn.context import Conversion, float32_vector
from passes.onnx_to_cnn.folded import folded
from passes.onnx_to_cnn.values import Affine, Array, ByChannel, Codes, Known, KnownCodes, Meaning, Sums, Unsupported
from passes.onnx_to_cnn.view import View, flat

Int64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


def weights_of(r: Conversion, node: NodeOp, index: int, axis: int = 0) -> KnownCodes:
    """The quantised constant in an operand; Unsupported if it is computed, or float and on no grid of integers.

    ``axis`` is that of the output channels.
    """
    meaning = r.operand(node, index)
    if isinstance(meaning, KnownCodes):
        if meaning.element not in ("i8", "ui8"):
            raise Unsupported(f"Its weights are {meaning.element}; the machine multiplies int8 weights.")
        return meaning
    if isinstance(meaning, Known):
        if (found := on_grid(np.asarray(meaning.array, np.float32), axis)) is not None:
            codes, scales = found
            return KnownCodes(codes, scales, np.zeros(scales.shape, np.int64), axis, "i8")
        raise Unsupported("Its weights are float, and lie on no grid of 8-bit integers; quantise them to int8 as well.")
    raise Unsupported("Its weights are computed at run time; the machine needs constant weights.")


def per_channel(weights: KnownCodes, axis: int, count: int) -> tuple[F32, Int64]:
    """Scales and zero points, one per output channel (``axis`` of the weights)."""
    if weights.scale.size > 1 and weights.axis % weights.codes.ndim != axis:
        raise Unsupported(
            "Its weights have one scale per input channel; one per output channel, or one for all, works."
        )
    return np.broadcast_to(weights.scale, (count,)), np.broadcast_to(weights.zero, (count,))


def read_conv(r: Conversion, node: NodeOp) -> Meaning:
    """Conv over one or two spatial axes."""
    operand, groups = r.operand(node, 0), node.get_int("group", 1)
    alone = isinstance(operand, ByChannel) and operand.axis == 1 and groups == operand.meant.scale.size
    own = operand if isinstance(operand, ByChannel) and alone else None
    codes = own.codes if own is not None else r.codes(operand, node)
    weights = weights_of(r, node, 1)
    shape = codes.shape
    if len(shape) not in (3, 4):
        raise Unsupported(f"It convolves over {len(shape) - 2} axes; the machine convolves over one or two.")
    k = weights.codes.shape[0]
    scale, zero = per_channel(weights, 0, k)
    if own is not None:
        scale = with_scales(own, scale)
    window = window_of(node, shape[2:], weights.codes.shape[2:])
    lead = () if len(shape) == 4 else (1,)
    none = () if len(shape) == 4 else (0,)
    taps = weights.codes.reshape(k, weights.codes.shape[1], *lead, *weights.codes.shape[2:]).transpose(0, 2, 3, 1)
    top_left, bottom_right = (*none, *window.before), (*none, *window.after)
    sums = Sums(
        shape=(shape[0], k, *window.outputs),
        trail=(node,),
        codes=codes,
        weights=taps,
        weight_scale=scale,
        weight_zero=zero,
        bias=np.zeros(k, np.int64),
        window=(
            (*lead, *window.kernel),
            (top_left[0], bottom_right[0], top_left[1], bottom_right[1]),
            (*lead, *window.strides),
            (*lead, *window.dilations),
        ),
        groups=groups,
        place=lambda: r.place(codes),
        result=View.canonical((shape[0], k, *window.outputs)),
        input_scale=codes.quant.scale,
    )
    return with_operand_bias(r, node, folded(r, node, sums), 2, 1.0)


def with_scales(value: ByChannel, scale: F32) -> F32:
    """Scales of weights, one channel of the tensor per group, that take the tensor's into them: exact, as what stands
    in its place is a power of two."""
    each = np.repeat(value.meant.scale, scale.size // value.meant.scale.size)
    return ((each * scale).astype(np.float32) / np.float32(value.codes.quant.scale)).astype(np.float32)


def read_gemm(r: Conversion, node: NodeOp) -> Meaning:
    """Gemm with a constant right side."""
    codes = r.codes(r.operand(node, 0), node)
    if node.get_int("transA", 0):
        codes = codes.seen(codes.view.transposed((1, 0)))
    transposed = bool(node.get_int("transB", 0))
    sums = _product(r, node, codes, weights_of(r, node, 1, 0 if transposed else 1), transposed)
    alpha = np.float32(node.get_float("alpha", 1.0))
    if alpha != 1:
        sums = _scaled_by_alpha(sums, alpha)
    return with_operand_bias(r, node, sums, 2, node.get_float("beta", 1.0))


def read_matmul(r: Conversion, node: NodeOp) -> Meaning:
    """MatMul of an activation by a constant matrix, on either side."""
    first, second = r.operand(node, 0), r.operand(node, 1)
    if isinstance(first, Known | KnownCodes) and len(shape_of(node.inputs[1])) > 1:
        return _constant_left(r, node, r.codes(second, node))
    codes = r.codes(first, node)
    if not isinstance(second, Known | KnownCodes):
        raise Unsupported("It multiplies two computed matrices; the machine multiplies by constant weights only.")
    return _product(r, node, codes, weights_of(r, node, 1, len(shape_of(node.inputs[1])) - 1), False)


def _constant_left(r: Conversion, node: NodeOp, codes: Codes) -> Meaning:
    """A·X as (Xᵀ·Aᵀ)ᵀ: only the view turns, so the output channels stand on the axis before the last."""
    rank = len(codes.shape)
    turned = (*range(rank - 2), rank - 1, rank - 2)
    weights = weights_of(r, node, 0, len(shape_of(node.inputs[0])) - 2)
    sums = _product(r, node, codes.seen(codes.view.transposed(turned)), weights, True)
    shape = tuple(sums.shape[axis] for axis in turned)
    return replace(sums, shape=shape, result=sums.result.transposed(turned), channel_axis=rank - 2)


def _product(r: Conversion, node: NodeOp, codes: Codes, weights: KnownCodes, transposed: bool) -> Sums:
    matrix, axis = weights.codes, weights.axis % max(weights.codes.ndim, 1)
    while matrix.ndim > 2 and matrix.shape[0] == 1:
        matrix, axis = matrix[0], axis - 1
    if matrix.ndim != 2:
        raise Unsupported(f"Its weights have {weights.codes.ndim} axes; a matrix of weights works.")
    known = replace(weights, codes=matrix if transposed else matrix.T, axis=axis if transposed else 1 - axis)
    k, depth = known.codes.shape
    scale, zero = per_channel(known, 0, k)
    last = len(codes.shape) - 1
    axis_atoms = codes.view.logical[last]
    memory_order = [atom for atom in flat(codes.view.memory) if atom in axis_atoms]
    taps = known.codes
    if tuple(memory_order) != axis_atoms and codes.storage.source is None:  # the weights move, not the tensor
        sizes = [atom.size for atom in axis_atoms]
        taps = taps.reshape(k, *sizes).transpose(0, *(1 + axis_atoms.index(atom) for atom in memory_order))
        taps = taps.reshape(k, depth)
        logical = (*codes.view.logical[:last], tuple(memory_order))
        codes = Codes(codes.storage, View(logical, codes.view.memory), codes.quant)
    rows = math.prod(codes.shape[:last])
    lead = tuple(range(codes.shape[0] == 1, last))  # what is no batch of 1 are rows of one product, whose weights stay
    spec = (tuple(range(last - len(lead))), (), lead, (last,))
    result = (*codes.shape[:last], k)
    logical = tuple(View.canonical(result).logical)
    memory = (flat([logical[axis] for axis in spec[0]]), (), flat([logical[axis] for axis in lead]), logical[last])
    placed = codes
    return Sums(
        shape=result,
        trail=(node,),
        codes=codes,
        weights=taps.reshape(k, 1, 1, depth),
        weight_scale=scale,
        weight_zero=zero,
        bias=np.zeros(k, np.int64),
        window=None if rows == 1 else ((1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
        groups=1,
        place=lambda: r.place(placed, spec),
        result=View(logical, memory),
        channel_axis=last,
        input_scale=codes.quant.scale,
    )


def _scaled_by_alpha(sums: Sums, alpha: np.float32) -> Sums:
    """s = f32(f32(f32(alpha·sx)·sw)/sy) as weight scales sw' with f32(sx·sw') = f32(f32(alpha·sx)·sw)."""
    sx = np.float32(sums.input_scale)
    wanted = np.float32(alpha * sx) * sums.weight_scale
    found = (wanted / sx).astype(np.float32)
    for candidate in (found, np.nextafter(found, np.float32(0)), np.nextafter(found, np.float32(np.inf))):
        found = np.where(sx * candidate == wanted, candidate, found)
    if not np.array_equal(sx * found, wanted):
        raise Unsupported("Its alpha has no exact place in the weights' scales; multiply the weights by it.")
    return replace(sums, weight_scale=found)


def with_operand_bias(r: Conversion, node: NodeOp, sums: Sums, index: int, beta: float) -> Sums:
    if node.operand(index) is None:
        return sums
    meaning = r.operand(node, index)
    vector = shape_of(node.inputs[index]) == (sums.weights.shape[0],)  # one per channel, wherever channels stand
    if isinstance(meaning, Known | KnownCodes) and not vector and not is_bias(sums, meaning):
        raise Unsupported("Its bias varies from row to row of its result; the machine adds one number per output "
                          "channel.")  # fmt: skip
    if beta != 1.0:
        real = r.known(node, index)
        meaning = Known(np.asarray(real * np.float32(beta), np.float32)) if real is not None else meaning
    return with_bias(sums, meaning)


def is_bias(sums: Sums, meaning: Known | KnownCodes) -> bool:
    """Whether a constant is one number, or one per output channel of these sums."""
    shape = meaning.array.shape if isinstance(meaning, Known) else meaning.codes.shape
    return channel_vector(shape, sums.shape, sums.channel_axis)


def channel_vector(shape: tuple[int, ...], of: tuple[int, ...], axis: int) -> bool:
    """Whether a constant of this shape broadcasts over ``of`` as one number or one per index of ``axis``."""
    if math.prod(shape) == 1:
        return True
    aligned = (1,) * (len(of) - len(shape)) + tuple(shape)
    return len(shape) <= len(of) and all(n == 1 or (at == axis and n == of[at]) for at, n in enumerate(aligned))


def with_bias(sums: Sums, meaning: Meaning) -> Sums:
    """Sums plus a constant per channel, by the rules of section 3."""
    sums = undivided(sums)
    k = sums.weights.shape[0]
    unit = (np.float32(sums.input_scale) * sums.weight_scale).astype(np.float32)
    exact = float(np.float32(sums.input_scale)) * sums.weight_scale.astype(np.float64)
    if isinstance(meaning, KnownCodes) and meaning.element == "i32" and not meaning.zero.any():
        given = np.broadcast_to(meaning.scale.astype(np.float64), (k,))
        if (np.abs(given - exact) <= 1e-4 * exact).all():
            bias = np.broadcast_to(meaning.codes.astype(np.int64).reshape(-1), (k,))
            return replace(sums, bias=sums.bias + bias, origin=None)
    if isinstance(meaning, KnownCodes):
        real = meaning.real
    elif isinstance(meaning, Known):
        real = float32_vector(meaning.array)
    else:
        raise Unsupported("Its bias is computed at run time; the machine needs a constant bias.")
    codes = bias_codes(np.broadcast_to(real.reshape(-1), (k,)), unit)
    return replace(sums, bias=sums.bias + codes, origin=None)


def undivided(sums: Sums) -> Sums:
    """A mean as the sum that it is, whose weights are that much smaller: what a bias or a factor belongs to."""
    return replace(sums, weight_scale=sums.weight_scale / np.float32(sums.count), count=1) if sums.count > 1 else sums


def bias_codes(real: Array, unit: F32) -> Int64:
    """B[c] = rne(f32(b / f32(sx·sw))); Unsupported if one leaves int32."""
    with np.errstate(all="ignore"):
        ratio = np.rint((np.asarray(real, np.float32) / unit).astype(np.float32)).astype(np.float64)
    if not np.isfinite(ratio).all() or (np.abs(ratio) > 2**31 - 1).any():
        raise Unsupported("Its bias does not fit 32 bits in units of input scale times weight scale; the scale of its "
                          "input or of its weights is far too small.")  # fmt: skip
    return ratio.astype(np.int64)


def settled(sums: Sums) -> tuple[Array, F32, Int64]:
    """(weights, scales, bias) after a real factor and offset have been folded in (section 3)."""
    if sums.factor is None or sums.offset is None:
        return sums.weights, sums.weight_scale, sums.bias
    real = sums.bias * float(np.float32(sums.input_scale)) * sums.weight_scale.astype(np.float64)
    dead = sums.factor == 0
    scale = (sums.factor * sums.weight_scale.astype(np.float64)).astype(np.float32)
    scale = np.where(dead, sums.weight_scale, scale)
    b = (sums.factor * real + sums.offset).astype(np.float32)
    weights = np.where(dead[:, None, None, None], sums.weight_zero[:, None, None, None], sums.weights)
    return weights, scale, bias_codes(b, (np.float32(sums.input_scale) * scale).astype(np.float32))


def one_zero_point(weights: Array, zeros: Int64) -> tuple[npt.NDArray[np.int8], int]:
    """The same differences w − zw[c] with one zero point for all channels, 0 if that is possible.

    Unsupported if no zero point keeps all weights within 8 bits.
    """
    if np.unique(zeros).size <= 1:
        return np.ascontiguousarray(weights, np.int8), int(zeros[0]) if zeros.size else 0
    real = weights.astype(np.int16) - zeros.astype(np.int16)[:, None, None, None]
    low, high = -128 - int(real.min()), 127 - int(real.max())
    if low > high:
        raise Unsupported("Its weights have a zero point per channel, and no single one keeps them within 8 bits; the "
                          "machine has one per layer. Quantise the weights symmetrically.")  # fmt: skip
    zero = min(max(0, low), high)
    return (real + zero).astype(np.int8), zero


def within_reach(
    weights: Array, zero: int, bias: Int64, input_zero: int, steps: npt.NDArray[np.float64], bounds: tuple[int, int]
) -> Int64:
    """Biases that leave int32 with their sums, and saturate whatever the input, made as small as saturates, too.

    ``steps`` are output codes per unit of a sum (section 3's ``s``), ``bounds`` the least and greatest code, both less
    the zero point. Channels whose sums fit, or do not always saturate, keep their bias.
    """
    real = weights.astype(np.int64) - zero
    each = real.reshape(real.shape[0], -1)
    rest = np.sort(np.stack([each * (-128 - input_zero), each * (127 - input_zero)]), axis=0).sum(axis=2)
    ends = rest + bias  # the least and greatest sum
    fits = np.abs(each).sum(axis=1) * 128 + np.abs(bias - input_zero * each.sum(axis=1)) <= 2**31 - 1
    low, high = bounds
    found = bias.copy()
    for channel in np.flatnonzero(~fits & (steps != 0)):
        step = float(steps[channel])
        above, below = ((high + 2) / step, (low - 2) / step) if step > 0 else ((low - 2) / step, (high + 2) / step)
        if ends[0, channel] > above:
            found[channel] = math.ceil(above) - rest[0, channel]
        elif ends[1, channel] < below:
            found[channel] = math.floor(below) - rest[1, channel]
    return found


Composition = Callable[[Array, Array], tuple[Array, Array]]
"""What an operator with constants makes of A and D in A·v + D."""


def composed(value: Sums | Affine, compose: Composition) -> Sums | Affine:
    """The value behind one more linear operator, composed in float64."""
    value = undivided(value) if isinstance(value, Sums) else value
    k = value.weights.shape[0] if isinstance(value, Sums) else value.factor.shape[0]
    a = np.ones(k) if value.factor is None else value.factor
    d = np.zeros(k) if value.offset is None else value.offset
    factor, offset = compose(a, d)
    made = {"factor": np.broadcast_to(factor, (k,)), "offset": np.broadcast_to(offset, (k,))}
    return replace(value, **made, origin=None) if isinstance(value, Sums) else replace(value, **made)
