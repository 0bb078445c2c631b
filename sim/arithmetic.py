"""Requantisation and the other float steps of ``docs/arithmetic.md``, on whole arrays.

Every float32 operation is one numpy operation, hence one rounding; the functions here are the only place where the
simulator rounds. Codes are int8; ``lo`` and ``hi`` bound the output codes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.convolution import Sums, narrow
from sim.memory import Codes

Floats = npt.NDArray[np.float32]

_SAFE = 1e36
"""Factors up to this size, times an int8 code, stay finite: no NaN can arise from sums of such products."""


def finish(values: npt.NDArray[Any], zero_point: int, lo: int, hi: int, *, may_be_nan: bool = False) -> Codes:
    """clamp(rne(values) + zero_point, lo, hi); ``values`` (float32 or float64) is overwritten. NaN counts as 0."""
    if may_be_nan:
        values[np.isnan(values)] = 0
    np.rint(values, out=values)
    if zero_point:
        values += values.dtype.type(zero_point)
    np.maximum(values, values.dtype.type(lo), out=values)
    np.minimum(values, values.dtype.type(hi), out=values)
    return values.astype(np.int8)


def add_bias(sums: Sums, magnitude: int, bias: npt.NDArray[np.int32]) -> tuple[Sums, int]:
    """Exact sums + bias (int32 per channel, last axis), and the bound on their magnitude."""
    bound = magnitude + int(np.abs(bias.astype(np.int64)).max(initial=0))
    kind = narrow(bound)
    return sums.astype(kind) + bias.astype(kind), bound


def scaled(sums: Sums, scale: Floats) -> Floats:
    """float32(sum) · scale, little-endian: what ``requantise`` would round."""
    values = sums.astype("<f4")
    with np.errstate(over="ignore"):
        values *= scale
    return values


def requantise(sums: Sums, scale: Floats, zero_point: int, lo: int, hi: int) -> Codes:
    """clamp(rne(float32(sum) · scale) + zero_point, lo, hi); ``scale`` is finite and broadcasts."""
    values = sums.astype(np.float32)
    with np.errstate(over="ignore"):
        values *= scale
    return finish(values, zero_point, lo, hi)


def requantise_sum(sums: Sums, scale: Floats, other: Codes, rb: float, fix: float, lo: int, hi: int) -> Codes:
    """clamp(rne(float32(sum)·scale + (rb·other + fix)), lo, hi); the zero point is inside ``fix``."""
    values = sums.astype(np.float32)
    right = other.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        values *= scale
        right *= np.float32(rb)
        right += np.float32(fix)
        values += right
    return finish(values, 0, lo, hi, may_be_nan=True)


def add(a: Codes, b: Codes, ra: float, rb: float, fix: float, lo: int, hi: int) -> Codes:
    """clamp(rne(ra·a + (rb·b + fix)), lo, hi), four float32 roundings; the zero point is inside ``fix``."""
    with np.errstate(over="ignore", invalid="ignore"):
        left = a.astype(np.float32)
        left *= np.float32(ra)
        right = b.astype(np.float32)
        right *= np.float32(rb)
        right += np.float32(fix)
        values = left + right
    return finish(values, 0, lo, hi, may_be_nan=max(abs(ra), abs(rb), abs(fix)) > _SAFE)


def multiply(a: Codes, b: Codes, za: int, zb: int, scale: float, zero_point: int, lo: int, hi: int) -> Codes:
    """clamp(rne((a − za)·(b − zb) · scale + zero_point), lo, hi): the zero point is inside the rounding.

    Many parameters: the numbers of the law, as the manual names them.
    """
    left = a.astype(np.float32)
    left -= np.float32(za)
    right = b.astype(np.float32)
    right -= np.float32(zb)
    values = left * right
    with np.errstate(over="ignore"):
        values *= np.float32(scale)
        values += np.float32(zero_point)
    return finish(values, 0, lo, hi)


def rescale(x: Codes, za: int, factor: float, divisor: float, zero_point: int, lo: int, hi: int) -> Codes:
    """clamp(rne(((x − za)·factor) / divisor) + zero_point, lo, hi): two float32 roundings, or one if divisor is 1."""
    codes = np.arange(-128, 128).astype(np.float32) - np.float32(za)
    with np.errstate(over="ignore", invalid="ignore"):
        values = codes * np.float32(factor) / np.float32(divisor)
    table = finish(values, zero_point, lo, hi, may_be_nan=True)
    return look_up(x, table)


def average_scales(sx: float, sy: float, counts: npt.NDArray[np.int64]) -> Floats:
    """float32(sx / float32(sy · count)) for each count (at least 1)."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.float32(sx) / (np.float32(sy) * counts.astype(np.float32))


def average(sums: npt.NDArray[np.int64], scales: Floats, zero_point: int, lo: int, hi: int) -> Codes:
    """clamp(rne(float32(sum) · scale) + zero_point, lo, hi); scales that broadcast, any float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = sums.astype(np.float32) * scales
    return finish(values, zero_point, lo, hi, may_be_nan=True)


def affine(x: Codes, scale: Floats, offset: Floats, zero_point: int, lo: int, hi: int) -> Codes:
    """clamp(rne(x·scale[c] + offset[c]) + zero_point, lo, hi), two float32 roundings."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = x.astype(np.float32) * scale
        values += offset
    return finish(values, zero_point, lo, hi, may_be_nan=True)


def look_up(x: Codes, table: Codes) -> Codes:
    """table[x + 128]: 256 int8 values."""
    return np.take(np.roll(table, 128), x.view(np.uint8) if x.flags.c_contiguous else x.astype(np.uint8))


def lrn(
    x: Codes,
    za: int,
    size: int,
    alpha: float,
    beta: float,
    bias: float,
    sx: float,
    sy: float,
    zero_point: int,
    lo: int,
    hi: int,
) -> Codes:
    """Local response normalisation over the last axis: float64, rounded once.

    S = Σ (x − za)² over channels c − ⌊(size − 1)/2⌋ … c + ⌊size/2⌋ and
    y = ((x − za)·(sx/sy)) / (bias + (alpha/size)·sx²·S)^beta.

    Many parameters: the numbers of the law, as the manual names them.
    """
    real = x.astype(np.int64) - za
    channels = real.shape[-1]
    totals = np.zeros((*real.shape[:-1], channels + 1), np.int64)
    np.cumsum(real * real, axis=-1, out=totals[..., 1:])
    index = np.arange(channels)
    first, stop = np.maximum(index - (size - 1) // 2, 0), np.minimum(index + size // 2 + 1, channels)
    sums = totals[..., stop] - totals[..., first]
    distinct, where = np.unique(sums, return_inverse=True)
    unit = (alpha / size) * (sx * sx)
    powers = np.array([_power(bias + unit * total, beta) for total in distinct.tolist()], np.float64)
    gain = sx / sy
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        values = (real.astype(np.float64) * gain) / powers[where.reshape(real.shape)]
    return finish(values, zero_point, lo, hi, may_be_nan=True)


def _power(base: float, exponent: float) -> float:
    """math.pow, whose bits no CPU feature changes; overflow gives infinity, no real result NaN."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan
