"""The arithmetic laws of `docs/arithmetic.md`, one function per law, in plain numpy.

Everything here works on signed codes: a uint8 tensor has been shifted by 128, zero point included, before it arrives.
Codes travel as int64 arrays, so that no step can wrap unseen; scales travel as `np.float32`.
Float steps are written one per line with the width in which the step rounds, because the width is the law.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]

CODE_MIN, CODE_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def round_half_even(value: F32 | F64) -> Ints:
    """Round to the nearest integer, ties to even. Infinities become huge integers, NaN becomes 0."""
    return np.rint(np.clip(np.nan_to_num(value, nan=0.0), -(2.0**40), 2.0**40)).astype(np.int64)


def clamp(codes: Ints, low: int = CODE_MIN, high: int = CODE_MAX) -> Ints:
    """Saturate integers to `low..high`."""
    return np.clip(codes, low, high)


def quantise(value: F32, scale: np.float32, zero: int) -> Ints:
    """QuantizeLinear to int8 codes: one float32 division, round half to even, zero point, saturate."""
    with np.errstate(over="ignore"):
        ratio = (np.asarray(value, np.float32) / np.float32(scale)).astype(np.float32)
    return clamp(round_half_even(ratio) + zero)


def dequantise(codes: Ints, scale: F32 | np.float32, zero: Ints | int) -> F32:
    """DequantizeLinear: exact integer difference, one float32 multiply."""
    return np.asarray((codes - zero).astype(np.float32) * scale, np.float32)


def check_int32(values: Ints, what: str) -> Ints:
    """Return `values`; raise OverflowError where the machine would fault because one of them leaves int32."""
    if values.size and (int(values.min()) < INT32_MIN or int(values.max()) > INT32_MAX):
        raise OverflowError(f"{what} reaches {int(values.min())}..{int(values.max())}, which does not fit int32.")
    return values


def requantise_scale(scale_in: np.float32, scale_weight: F32, scale_out: np.float32) -> F32:
    """Scale per output channel: float32(float32(sx*sw) / sy)."""
    product = (np.float32(scale_in) * np.asarray(scale_weight, np.float32)).astype(np.float32)
    return (product / np.float32(scale_out)).astype(np.float32)


def requantise(accumulator: Ints, scale: F32, zero: int, low: int = CODE_MIN, high: int = CODE_MAX) -> Ints:
    """int32 sums (bias included) to codes: one float32 multiply. `scale` must broadcast against `accumulator`."""
    scaled = (accumulator.astype(np.float32) * scale).astype(np.float32)
    return clamp(round_half_even(scaled) + zero, low, high)


def bias_codes(bias: F32, scale_in: np.float32, scale_weight: F32) -> Ints:
    """A float bias in units of the accumulator: rne(float32(bias / float32(sx*sw)))."""
    unit = (np.float32(scale_in) * np.asarray(scale_weight, np.float32)).astype(np.float32)
    with np.errstate(over="ignore"):
        ratio = (np.asarray(bias, np.float32) / unit).astype(np.float32)
    return check_int32(round_half_even(ratio), "A bias")


def add(
    a: Ints,
    scale_a: np.float32,
    zero_a: int,
    b: Ints,
    scale_b: np.float32,
    zero_b: int,
    scale_out: np.float32,
    zero_out: int,
    low: int = CODE_MIN,
    high: int = CODE_MAX,
    sign_b: int = 1,
) -> Ints:
    """Sum (or, with `sign_b` -1, difference) of two code tensors; shapes broadcast.

    Many parameters: the numbers of the law, as the manual names them.
    """
    ratio_a = np.float32(np.float32(scale_a) / np.float32(scale_out))
    ratio_b = np.float32(sign_b) * np.float32(np.float32(scale_b) / np.float32(scale_out))
    fix = np.float32(float(zero_out) - (float(ratio_a) * zero_a + float(ratio_b) * zero_b))
    term_a = (a.astype(np.float32) * ratio_a).astype(np.float32)
    term_b = (b.astype(np.float32) * ratio_b).astype(np.float32)
    shifted = (term_b + fix).astype(np.float32)
    return clamp(round_half_even((term_a + shifted).astype(np.float32)), low, high)


def wide_sum(
    accumulator: Ints,
    scale: F32,
    b: Ints,
    quant_b: tuple[np.float32, int],
    quant_out: tuple[np.float32, int],
    bounds: tuple[int, int] = (CODE_MIN, CODE_MAX),
) -> Ints:
    """int32 sums plus a code tensor, rounded once; (scale, zero point) of each. `scale` is `requantise_scale`'s."""
    ratio = np.float32(quant_b[0] / quant_out[0])
    fix = np.float32(float(quant_out[1]) - float(ratio) * quant_b[1])
    scaled = (accumulator.astype(np.float32) * scale).astype(np.float32)
    shifted = ((b.astype(np.float32) * ratio).astype(np.float32) + fix).astype(np.float32)
    return clamp(round_half_even((scaled + shifted).astype(np.float32)), *bounds)


def mul(
    a: Ints,
    scale_a: np.float32,
    zero_a: int,
    b: Ints,
    scale_b: np.float32,
    zero_b: int,
    scale_out: np.float32,
    zero_out: int,
    low: int = CODE_MIN,
    high: int = CODE_MAX,
) -> Ints:
    """Product of two code tensors; shapes broadcast. The integer product is exact, then one float32 multiply, and
    one float32 add of the zero point before rounding.

    Many parameters: the numbers of the law, as the manual names them.
    """
    scale = np.float32(np.float32(np.float32(scale_a) * np.float32(scale_b)) / np.float32(scale_out))
    with np.errstate(over="ignore"):
        scaled = (((a - zero_a) * (b - zero_b)).astype(np.float32) * scale).astype(np.float32)
    return clamp(round_half_even((scaled + np.float32(zero_out)).astype(np.float32)), low, high)


def average_scale(scale_in: np.float32, scale_out: np.float32, count: Ints) -> F32:
    """Scale of a sum over `count` codes: float32(sx / float32(sy * float32(count)))."""
    divisor = (np.float32(scale_out) * count.astype(np.float32)).astype(np.float32)
    return (np.float32(scale_in) / divisor).astype(np.float32)


def affine(codes: Ints, factor: F32, offset: F32, zero: int, low: int = CODE_MIN, high: int = CODE_MAX) -> Ints:
    """Per-channel float32 factor, then float32 offset, each step rounded; `factor` and `offset` broadcast."""
    scaled = (codes.astype(np.float32) * factor).astype(np.float32)
    return clamp(round_half_even((scaled + offset).astype(np.float32)) + zero, low, high)


def affine_parameters(
    factor: F64, offset: F64, scale_in: np.float32, zero_in: int, scale_out: np.float32
) -> tuple[F32, F32]:
    """Parameters of `affine` for the real function `factor * x + offset`; float64, each rounded once."""
    gain = factor * float(scale_in)
    return (
        (gain / float(scale_out)).astype(np.float32),
        ((offset - gain * float(zero_in)) / float(scale_out)).astype(np.float32),
    )


def lrn(
    codes: Ints,
    size: int,
    alpha: float,
    beta: float,
    bias: float,
    scale_in: np.float32,
    zero_in: int,
    scale_out: np.float32,
    zero_out: int,
) -> Ints:
    """Local response normalisation over axis 1 of NC...; float64, rounded once; pow on distinct integers only.

    Many parameters: the numbers of the law, as the manual names them.
    """
    real = codes - zero_in
    channels = real.shape[1]
    squares = real * real
    sums = np.zeros_like(real)
    for channel in range(channels):
        first, last = max(0, channel - (size - 1) // 2), min(channels - 1, channel + size // 2)
        sums[:, channel] = squares[:, first : last + 1].sum(axis=1)
    distinct, where = np.unique(sums, return_inverse=True)
    unit = float(alpha) / size * (float(scale_in) * float(scale_in))
    powers = np.array([math.pow(float(bias) + unit * int(total), float(beta)) for total in distinct], np.float64)
    gain = float(scale_in) / float(scale_out)
    value = (real.astype(np.float64) * gain) / powers[where.reshape(real.shape)]
    return clamp(round_half_even(value) + zero_out)


def dequantised_codes(scale: np.float32, zero: int) -> F32:
    """The real values of the 256 codes, in the order -128..127."""
    return dequantise(np.arange(CODE_MIN, CODE_MAX + 1, dtype=np.int64), np.float32(scale), zero)


def apply_scalar(function: Callable[..., float], *tables: F32) -> F32:
    """One operator over float32 values: Python's float64 arithmetic, rounded once to float32.

    Overflow gives the infinity that C would give, a value outside the function's domain gives NaN.
    """
    results: list[float] = []
    for arguments in zip(*(np.asarray(table, np.float64).ravel().tolist() for table in tables), strict=True):
        try:
            results.append(function(*arguments))
        except OverflowError:
            results.append(math.inf)
        except (ValueError, ZeroDivisionError):
            results.append(math.nan)
    with np.errstate(over="ignore"):
        return np.array(results, np.float64).astype(np.float32).reshape(tables[0].shape)


def lookup(codes: Ints, table: Ints) -> Ints:
    """`table[code]` for a table of 256 codes in the order -128..127."""
    return table[codes - CODE_MIN]


def softmax(value: F32, axis: int) -> F32:
    """Softmax in float64 (`math.exp` of exact differences, sum from first to last), rounded once to float32."""
    moved = np.moveaxis(np.asarray(value, np.float32), axis, -1)
    rows = moved.reshape(-1, moved.shape[-1]).astype(np.float64)
    out = np.empty_like(rows)
    for index, row in enumerate(rows):
        top = float(row.max())
        powers = [math.exp(float(item) - top) for item in row]
        total = 0.0
        for power in powers:
            total += power
        out[index] = [power / total for power in powers]
    return np.moveaxis(out.astype(np.float32).reshape(moved.shape), -1, axis)
