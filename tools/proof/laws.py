"""The parameters of the arithmetic page that are computed in float32, written from that page alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]

IDENTITY = np.arange(-128, 128).astype(np.int8)
"""The table that changes nothing."""


def convolution_scale(sx: float, sw: Floats, sy: float, count: int) -> Floats:
    """s[c] = f32(f32(sx · sw[c]) / f32(sy · f32(n))), sections 3 and 6."""
    return np.float32(sx) * sw.astype(np.float32) / (np.float32(sy) * np.float32(count))


def sum_ratios(
    a: tuple[float, int], b: tuple[float, int], y: tuple[float, int], sign: int
) -> tuple[float, float, float]:
    """(ra, rb, fix) of a sum or, with ``sign`` −1, of a difference, section 5; pairs are scale and zero point."""
    ra = float(np.float32(a[0]) / np.float32(y[0]))
    rb = sign * float(np.float32(b[0]) / np.float32(y[0]))
    return ra, rb, float(np.float32(y[1] - (ra * a[1] + rb * b[1])))


def product_scale(sa: float, sb: float, sy: float) -> float:
    """s = f32(f32(sa · sb) / sy), section 6."""
    return float(np.float32(np.float32(sa) * np.float32(sb)) / np.float32(sy))


def mean_scale(sx: float, sy: float, counts: npt.NDArray[np.int64]) -> Floats:
    """s[n] = f32(sx / f32(sy · f32(n))), section 6."""
    with np.errstate(all="ignore"):
        return np.float32(sx) / (np.float32(sy) * np.maximum(counts, 1).astype(np.float32))


def move_table(sx: float, zx: int, sy: float, zy: int, lo: int, hi: int) -> Codes:
    """The 256 codes of a requantised copy, section 2: f32((x − zx)·sx) divided by sy, rounded, clamped."""
    codes = np.arange(-128, 128)
    if (sx, zx) == (sy, zy):
        return np.clip(codes, lo, hi).astype(np.int8)
    with np.errstate(all="ignore"):
        ratio = (codes - zx).astype(np.float32) * np.float32(sx) / np.float32(sy)
    whole = np.clip(np.nan_to_num(np.rint(ratio.astype(np.float64)), nan=0.0), -1e9, 1e9)
    return np.clip(whole + zy, lo, hi).astype(np.int8)


def mean_table(sx: float, zx: int, sy: float, zy: int, lo: int, hi: int) -> Codes:
    """The 256 codes of the mean of one position, section 6: f32((x − zx) · s[1]), rounded, clamped."""
    with np.errstate(all="ignore"):
        values = (np.arange(-128, 128) - zx).astype(np.float32) * mean_scale(sx, sy, np.array(1, np.int64))
    whole = np.clip(np.nan_to_num(np.rint(values.astype(np.float64)), nan=0.0), -1e9, 1e9)
    return np.clip(whole + zy, lo, hi).astype(np.int8)


def counted(outputs: int, kernel: int, stride: int, before: int, size: int) -> npt.NDArray[np.int64]:
    """How many positions of each window along one axis lie inside an image of ``size`` behind ``before`` of padding."""
    first = np.arange(outputs, dtype=np.int64) * stride - before
    return np.maximum(np.minimum(first + kernel, size) - np.maximum(first, 0), 0)
