"""Exact integer kernels in numpy, on plain arrays: the arithmetic page, one function per law.

Activations are int8 NHWC, weights int8 KRSC (output channel, row, column, input channel of the group). Products are
summed by float BLAS on integers, in float32 where every partial sum provably stays below 2^24 and in float64 where it
does not, so sums are exact and fast. Scales are float32, one rounding per step as the page writes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

Pads = tuple[int, int, int, int]
"""Top, bottom, left, right."""

_EXACT = 2**24
_BLOCK = 1 << 24
"""Elements of gathered input worked on at a time."""


# --- runtime scalars ---------------------------------------------------------------------------------------------


def requantise_scale(input_scale: float, weight_scales: npt.ArrayLike, output_scale: float, count: int = 1) -> F32:
    """s[c] = f32(f32(sx · sw[c]) / f32(sy · f32(n))), n = 1 but for means."""
    product = np.float32(input_scale) * np.asarray(weight_scales, np.float32)
    return np.asarray(product / (np.float32(output_scale) * np.float32(count)), np.float32)


def add_ratios(sa: float, za: int, sb: float, zb: int, sy: float, zy: int, subtract: bool = False
               ) -> tuple[float, float, float]:  # fmt: skip
    """(ra, rb, fix) of the add law, float32 values; ``subtract`` negates rb."""
    ra = float(np.float32(sa) / np.float32(sy))
    rb = float(np.float32(sb) / np.float32(sy)) * (-1.0 if subtract else 1.0)
    return ra, rb, float(np.float32(zy - (ra * za + rb * zb)))


def mul_scale(sa: float, sb: float, sy: float) -> float:
    """s = f32(f32(sa · sb) / sy)."""
    return float(np.float32(sa) * np.float32(sb) / np.float32(sy))


def average_scale(sx: float, sy: float, count: npt.ArrayLike) -> F32:
    """s[n] = f32(sx / f32(sy · f32(n)))."""
    with np.errstate(over="ignore", divide="ignore"):  # near the end of float32 it is 0; of no pixel it has no number
        return np.asarray(np.float32(sx) / (np.float32(sy) * np.asarray(count, np.float32)), np.float32)


# --- one tensor to codes -----------------------------------------------------------------------------------------


def _codes(value: Array, zero: int, lo: int, hi: int) -> Int8:
    """clamp(rne(value) + zero, lo, hi); NaN counts as 0. ``value`` is a float array and is overwritten."""
    np.rint(value, out=value)
    np.nan_to_num(value, copy=False, nan=0.0, posinf=1e9, neginf=-1e9)
    np.clip(value, -1e9, 1e9, out=value)  # beyond, the zero point changes nothing
    value += zero
    return np.clip(value, lo, hi, out=value).astype(np.int8)


def quantise(value: npt.ArrayLike, scale: float, zero: int, lo: int = -128, hi: int = 127) -> Int8:
    """Q(v; s, z): one float32 division."""
    with np.errstate(all="ignore"):
        ratio = np.asarray(value, np.float32) / np.float32(scale)
    return _codes(np.array(ratio, np.float64), zero, lo, hi)


def dequantise(x: Int8, scale: float, zero: int) -> F32:
    """DQ(x; s, z): an exact difference, one float32 multiply."""
    return (x.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)


def scaled(acc: Int64, scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """f32(f32(acc) · s): a convolution's result before anything rounds it."""
    return np.asarray(acc).astype(np.float32) * scale


def requantise(acc: Array, scale: npt.ArrayLike, zero: int, lo: int = -128, hi: int = 127) -> Int8:
    """clamp(rne(f32(f32(acc) · s)) + zy, lo, hi); ``scale`` broadcasts over the last axis."""
    value = acc.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 it saturates
        value *= np.asarray(scale, np.float32)
    np.rint(value, out=value)
    # A float32 below 2^24 takes the zero point exactly, and anything larger saturates all the same.
    value += np.float32(zero)
    return np.clip(value, np.float32(lo), np.float32(hi)).astype(np.int8)


def table_lookup(x: Int8, table: Int8) -> Int8:
    """y = T[x + 128]."""
    return np.take(table, x.view(np.uint8) ^ np.uint8(128))


# --- convolution -------------------------------------------------------------------------------------------------


def pad_image(x: Int8, pads: Pads, value: int) -> Int8:
    """Rows and columns of ``value`` around the image."""
    top, bottom, left, right = pads
    if not any(pads):
        return x
    n, h, w, c = x.shape
    padded = np.full((n, h + top + bottom, w + left + right, c), value, np.int8)
    padded[:, top : top + h, left : left + w] = x
    return padded


def output_size(x: Array, kernel: Sequence[int], pads: Pads, strides: Sequence[int], dilations: Sequence[int]
                ) -> tuple[int, int]:  # fmt: skip
    """Output rows and columns of a window over NHWC, floor rounding."""
    _, h, w, _ = x.shape
    rows = (h + pads[0] + pads[1] - (kernel[0] - 1) * dilations[0] - 1) // strides[0] + 1
    return rows, (w + pads[2] + pads[3] - (kernel[1] - 1) * dilations[1] - 1) // strides[1] + 1


def accumulate(
    x: Int8,
    weights: Int8,
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
    pad_value: int = 0,
    weight_zero: int = 0,
) -> Int64:
    """The machine's own sums Σ x·(w − zw) on raw codes, padded positions being ``pad_value``: int64 [N, OH, OW, K].

    Exact; whether they fit int32 is the caller's to judge (``fits_int32``).

    Many parameters: the numbers of the law, as the manual names them.
    """
    k, fy, fx, ct = weights.shape
    oh, ow = output_size(x, (fy, fx), pads, strides, dilations)
    padded = pad_image(x, pads, pad_value)
    taps = weights.astype(np.int64) - weight_zero
    reach = int(np.abs(taps).sum(axis=(1, 2, 3)).max()) * 128 if taps.size else 0
    dtype: type[Any] = np.float32 if reach < _EXACT else np.float64
    n = x.shape[0]
    result = np.empty((n, oh, ow, k), np.int64)
    depthwise = ct == 1 and k == groups
    rows = max(1, _BLOCK // max(1, ow * (fy * fx * ct if not depthwise else k)))
    kernels = taps.astype(dtype)
    for image in range(n):
        for start in range(0, oh, rows):
            count = min(rows, oh - start)
            strip = padded[image, start * strides[0] :]
            block = _depthwise if depthwise else _grouped
            result[image, start : start + count] = block(strip, kernels, count, ow, strides, dilations, groups)
    return result


def _tap(strip: Int8, i: int, j: int, count: int, ow: int, strides: Sequence[int], dilations: Sequence[int]) -> Int8:
    top, left = i * dilations[0], j * dilations[1]
    return strip[
        top : top + (count - 1) * strides[0] + 1 : strides[0], left : left + (ow - 1) * strides[1] + 1 : strides[1]
    ]


def _depthwise(strip: Int8, kernels: Array, count: int, ow: int, strides: Sequence[int], dilations: Sequence[int],
               _groups: int) -> Array:  # fmt: skip
    k, fy, fx, _ = kernels.shape
    total = np.zeros((count, ow, k), kernels.dtype)
    for i in range(fy):
        for j in range(fx):
            total += _tap(strip, i, j, count, ow, strides, dilations) * kernels[:, i, j, 0]
    return total


def _grouped(strip: Int8, kernels: Array, count: int, ow: int, strides: Sequence[int], dilations: Sequence[int],
             groups: int) -> Array:  # fmt: skip
    k, fy, fx, ct = kernels.shape
    kt = k // groups
    total = np.empty((count * ow, k), kernels.dtype)
    for g in range(groups):
        gathered = np.empty((count, ow, fy, fx, ct), kernels.dtype)
        for i in range(fy):
            for j in range(fx):
                gathered[:, :, i, j] = _tap(strip, i, j, count, ow, strides, dilations)[:, :, g * ct : (g + 1) * ct]
        matrix = kernels[g * kt : (g + 1) * kt].reshape(kt, -1)
        total[:, g * kt : (g + 1) * kt] = gathered.reshape(count * ow, -1) @ matrix.T
    return total.reshape(count, ow, k)


def machine_bias(bias: npt.ArrayLike, weights: Int8, input_zero: int, weight_zero: int = 0) -> Int64:
    """What the machine carries: bias[c] = B[c] − zx · Σ(w − zw)."""
    sums = weights.astype(np.int64).sum(axis=(1, 2, 3)) - weight_zero * math.prod(weights.shape[1:])
    return np.asarray(bias, np.int64) - input_zero * sums


def fits_int32(acc: Int64) -> bool:
    """Whether every sum fits the machine's 32 bits."""
    return acc.size == 0 or (int(acc.min()) >= -(2**31) and int(acc.max()) < 2**31)


def conv2d(
    x: Int8,
    weights: Int8,
    bias: npt.ArrayLike,
    scale: npt.ArrayLike,
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
    input_zero: int = 0,
    weight_zero: int = 0,
    output_zero: int = 0,
    lo: int = -128,
    hi: int = 127,
) -> Int8:
    """Convolution and requantisation. ``bias`` int32 [K] without the input's zero point, ``scale`` float32 [K].

    Raises OverflowError where the machine would fault because a sum leaves int32.

    Many parameters: the numbers of the law, as the manual names them.
    """
    acc = accumulate(x, weights, pads, strides, dilations, groups, input_zero, weight_zero)
    if not fits_int32(acc):
        raise OverflowError("a sum of products does not fit int32")
    acc += machine_bias(bias, weights, input_zero, weight_zero)
    if not fits_int32(acc):
        raise OverflowError("a sum of products with its bias does not fit int32")
    return requantise(acc, scale, output_zero, lo, hi)


# --- elementwise -------------------------------------------------------------------------------------------------


def add(a: Int8, b: Int8, ratios: tuple[float, float, float], lo: int = -128, hi: int = 127) -> Int8:
    """f32(f32(ra·a) + f32(f32(rb·b) + fix)), rounded and clamped; ``ratios`` as ``add_ratios`` gives them."""
    ra, rb, fix = (np.float32(v) for v in ratios)
    first, second = a.astype(np.float32), b.astype(np.float32)
    first *= ra
    second *= rb
    second += fix
    return _codes(np.asarray(first + second, np.float32), 0, lo, hi)


def requantise_sum(acc: Array, scale: npt.ArrayLike, other: Int8, ratios: tuple[float, float, float], lo: int = -128,
                   hi: int = 127) -> Int8:  # fmt: skip
    """f32(f32(f32(acc)·s) + f32(f32(rb·b) + fix)), rounded and clamped: the residual joins before the rounding."""
    _, rb, fix = (np.float32(v) for v in ratios)
    first, second = acc.astype(np.float32), other.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        first *= np.asarray(scale, np.float32)
        second *= rb
        second += fix
        return _codes(np.asarray(first + second, np.float32), 0, lo, hi)


def mul(a: Int8, za: int, b: Int8, zb: int, scale: float, zero: int, lo: int = -128, hi: int = 127) -> Int8:
    """The exact integer product, one float32 multiply, the zero point inside the rounding; shapes broadcast.

    Many parameters: the numbers of the law, as the manual names them.
    """
    value = ((a.astype(np.int32) - za) * (b.astype(np.int32) - zb)).astype(np.float32)
    with np.errstate(over="ignore"):
        value *= np.float32(scale)
        value += np.float32(zero)
    return _codes(value, 0, lo, hi)


def affine(x: Int8, scale: F32, offset: F32, zero: int, lo: int = -128, hi: int = 127) -> Int8:
    """clamp(rne(f32(f32(x)·a[c]) + b[c]) + zy, lo, hi): a float32 multiply, then a float32 add."""
    value = x.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 it saturates, and no number counts as 0
        value *= scale
        value += offset
    return _codes(value, zero, lo, hi)


def affine_parameters(factor: npt.ArrayLike, offset: npt.ArrayLike, sx: float, zx: int, sy: float) -> tuple[F32, F32]:
    """(a, b) of the affine law for the real function factor·v + offset; float64 inside, each rounded once."""
    gain = np.asarray(factor, np.float64) * sx
    return (gain / sy).astype(np.float32), ((np.asarray(offset, np.float64) - gain * zx) / sy).astype(np.float32)


# --- windows -----------------------------------------------------------------------------------------------------


def _over_taps(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], size: tuple[int, int],
               combine: Callable[[Array, Array], Array]) -> Array:  # fmt: skip
    result: Array | None = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilations[0], j * dilations[1]
            piece = x[:, top : top + (size[0] - 1) * strides[0] + 1 : strides[0],
                      left : left + (size[1] - 1) * strides[1] + 1 : strides[1]]  # fmt: skip
            result = piece.copy() if result is None else combine(result, piece)
    assert result is not None
    return result


def max_pool(x: Int8, kernel: Sequence[int], pads: Pads = (0, 0, 0, 0), strides: Sequence[int] = (1, 1),
             dilations: Sequence[int] = (1, 1)) -> Int8:  # fmt: skip
    """The greatest code of each window; padding is −128 and never wins."""
    size = output_size(x, kernel, pads, strides, dilations)
    return _over_taps(pad_image(x, pads, -128), kernel, strides, dilations, size, np.maximum)


def average_pool(
    x: Int8,
    kernel: Sequence[int],
    zx: int,
    sx: float,
    sy: float,
    zy: int,
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    count_pads: bool = False,
    lo: int = -128,
    hi: int = 127,
) -> Int8:
    """The mean of each window; ``count_pads`` counts padded positions in the divisor.

    Many parameters: the numbers of the law, as the manual names them.
    """
    size = output_size(x, kernel, pads, strides, (1, 1))
    top, bottom, left, right = pads
    margins = ((0, 0), (top, bottom), (left, right), (0, 0))
    total = _over_taps(np.pad(x.astype(np.int32) - zx, margins), kernel, strides, (1, 1), size, np.add)
    inside = np.ones((1, *x.shape[1:3], 1), np.int32)
    inside = np.pad(inside, margins, constant_values=1 if count_pads else 0)
    count = _over_taps(inside, kernel, strides, (1, 1), size, np.add)
    return requantise(total, average_scale(sx, sy, np.maximum(count, 1)), zy, lo, hi)


def global_average_pool(x: Int8, zx: int, sx: float, sy: float, zy: int, lo: int = -128, hi: int = 127) -> Int8:
    """The mean over all pixels, [N, 1, 1, C]."""
    total = (x.astype(np.int64) - zx).sum(axis=(1, 2), keepdims=True)
    return requantise(total, average_scale(sx, sy, x.shape[1] * x.shape[2]), zy, lo, hi)


def lrn(x: Int8, size: int, alpha: float, beta: float, bias: float, sx: float, zx: int, sy: float, zy: int,
        lo: int = -128, hi: int = 127) -> Int8:  # fmt: skip
    """Local response normalisation over channels; float64, `math.pow` once per distinct sum of squares.

    Many parameters: the numbers of the law, as the manual names them.
    """
    real = x.astype(np.int64) - zx
    channels = x.shape[-1]
    before, after = (size - 1) // 2, size // 2
    running = np.zeros((*x.shape[:-1], channels + 1), np.int64)
    np.cumsum(real * real, axis=-1, out=running[..., 1:])
    at = np.arange(channels)
    sums = running[..., np.minimum(channels, at + after + 1)] - running[..., np.maximum(0, at - before)]
    u = (alpha / size) * (sx * sx)
    most = int(sums.max()) if sums.size else 0
    present = np.zeros(most + 1, np.bool_)
    present[sums] = True
    powers = np.ones(most + 1, np.float64)
    for s in np.flatnonzero(present):
        powers[s] = _power(bias + u * int(s), beta)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _codes(real * (sx / sy) / powers[sums], zy, lo, hi)


def _power(base: float, exponent: float) -> float:
    """As IEEE has it where `math.pow` raises: infinite beyond float64 and for a pole, else no number."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


# --- movement ----------------------------------------------------------------------------------------------------


def resize(x: Int8, factors: Sequence[int]) -> Int8:
    """out[y, x] = in[y // fy, x // fx]."""
    return np.repeat(np.repeat(x, factors[0], axis=1), factors[1], axis=2)


def shuffle(x: Int8, groups: int) -> Int8:
    """Channels seen as [groups, C/groups], transposed."""
    n, h, w, c = x.shape
    return np.ascontiguousarray(x.reshape(n, h, w, groups, c // groups).swapaxes(3, 4)).reshape(n, h, w, c)


def box(x: Int8, offsets: Sequence[int], sizes: Sequence[int], steps: Sequence[int]) -> Int8:
    """A strided box of the tensor."""
    parts = (slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offsets, sizes, steps, strict=True))
    return np.ascontiguousarray(x[tuple(parts)])
