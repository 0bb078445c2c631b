"""Exact integer convolutions by float matrix products.

A float32 sum of integers is exact, in any order, while no partial sum can pass 2²⁴. Σ|w|·128 bounds them all, so a
reduction is cut into chunks below that bound, each one matrix product; chunks are added as integers.
The result never depends on the machine's configuration. Winograd is exact too (its accumulators wrap modulo 2³², and
4 × the convolution must fit int32), hence it is computed as the direct convolution it equals.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.memory import Codes

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float32] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
"""Exact integers, in the narrowest type that surely holds them."""

EXACT = 2**24
"""Integers of at most this magnitude are exact in float32."""
INT32 = 2**31
GATHERED = 2**21
"""Elements of the gathered input (im2col) worked on at a time, so that it stays in cache."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Contents of an L1 half: int16[groups, outputs, fy·fx·inputs], the zero point subtracted."""

    values: npt.NDArray[np.int16]

    @functools.cached_property
    def magnitude(self) -> int:
        """No sum of inputs × these weights exceeds this: 128 times the largest Σ|w| of an output channel."""
        return 128 * int(np.abs(self.values).sum(axis=2, dtype=np.int64).max())

    @functools.cached_property
    def matrices(self) -> list[tuple[int, int, Floats]]:
        """Chunks (from, to, float32[groups, to − from, outputs]) of the reduction, each exact in float32."""
        matrix = np.ascontiguousarray(self.values.transpose(0, 2, 1)).astype(np.float32)
        if self.magnitude <= EXACT:
            return [(0, matrix.shape[1], matrix)]
        worst = 128 * np.abs(self.values).max(axis=(0, 1)).astype(np.int64)
        chunks: list[tuple[int, int, Floats]] = []
        start = 0
        while start < len(worst):
            stop = start + int(np.searchsorted(np.cumsum(worst[start:]), EXACT, side="right"))
            chunks.append((start, stop, np.ascontiguousarray(matrix[:, start:stop])))
            start = stop
        return chunks


@dataclass(frozen=True)
class Window:
    """Output rectangle and geometry of a convolution or pool."""

    oy: int
    ox: int
    fy: int
    fx: int
    sy: int
    sx: int
    dy: int = 1
    dx: int = 1

    @property
    def rows(self) -> int:
        """Input rows seen, padding included."""
        return (self.oy - 1) * self.sy + (self.fy - 1) * self.dy + 1

    @property
    def columns(self) -> int:
        return (self.ox - 1) * self.sx + (self.fx - 1) * self.dx + 1


def narrow(bound: int) -> npt.DTypeLike:
    """The type of ``Sums`` for integers of at most this magnitude."""
    return np.float32 if bound <= EXACT else np.int32 if bound < INT32 else np.int64


def convolve(x: Codes, weights: Weights, window: Window) -> Sums:
    """Σ x·w per output: int8[window.rows, window.columns, groups·inputs] → [oy, ox, groups·outputs]."""
    groups, outputs, reduction = weights.values.shape
    inputs = reduction // (window.fy * window.fx)
    result = np.empty((window.oy, window.ox, groups * outputs), narrow(weights.magnitude))
    depthwise = inputs == 1 and groups > 1 and outputs <= 4 and weights.magnitude <= EXACT
    per_row = window.ox * groups * (reduction if not depthwise else 4)
    step = max(1, GATHERED // per_row)
    for start in range(0, window.oy, step):
        stop = min(window.oy, start + step)
        part = x[start * window.sy : (stop - 1) * window.sy + (window.fy - 1) * window.dy + 1]
        if depthwise:
            _by_taps(part, weights, window, result[start:stop])
        else:
            _by_products(part, weights, window, inputs, result[start:stop])
    return result


def taps(x: npt.NDArray[np.generic], window: Window, oy: int) -> npt.NDArray[np.generic]:
    """View [oy, ox, fy, fx, channels] of a padded window [rows, columns, channels]."""
    row, column, channel = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (oy, window.ox, window.fy, window.fx, x.shape[2]),
        (row * window.sy, column * window.sx, row * window.dy, column * window.dx, channel),
        writeable=False,
    )


def _by_products(x: Codes, weights: Weights, window: Window, inputs: int, out: npt.NDArray[np.generic]) -> None:
    groups, outputs, reduction = weights.values.shape
    oy = out.shape[0]
    pixels = oy * window.ox
    view = taps(x, window, oy)
    if groups == 1:
        gathered = view.astype(np.float32).reshape(1, pixels, reduction)
    else:
        split = view.reshape(*view.shape[:4], groups, inputs) if x.strides[2] == 1 else view
        gathered = np.ascontiguousarray(split.transpose(4, 0, 1, 2, 3, 5)).astype(np.float32)
        gathered = gathered.reshape(groups, pixels, reduction)
    total: npt.NDArray[np.generic] | None = None
    for start, stop, matrix in weights.matrices:
        product = np.matmul(gathered[:, :, start:stop], matrix)
        total = product.astype(out.dtype, copy=False) if total is None else total + product.astype(out.dtype)
    assert total is not None
    out[...] = total.transpose(1, 0, 2).reshape(oy, window.ox, groups * outputs)


def _by_taps(x: Codes, weights: Weights, window: Window, out: npt.NDArray[np.generic]) -> None:
    groups, outputs, _ = weights.values.shape
    oy = out.shape[0]
    view = taps(x.astype(np.float32), window, oy)
    factors = weights.values.astype(np.float32).reshape(groups, outputs, window.fy, window.fx)
    total = np.empty((oy, window.ox, groups), np.float32)
    product = np.empty_like(total)
    for output in range(outputs):
        total[...] = 0
        for row in range(window.fy):
            for column in range(window.fx):
                np.multiply(view[:, :, row, column], factors[:, output, row, column], out=product)
                np.add(total, product, out=total)
        out[:, :, output::outputs] = total
