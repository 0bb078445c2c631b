"""F(2×2, 3×3) as the array computes it: the numbers of the manual's section 5 in motion.

Kernels become U = (2G)·w·(2G)ᵀ in 12 bits, inputs V = Bᵀ·x·B in 10 bits; sixteen accumulators per tile and output add
U·V modulo 2³²; Aᵀ·M·A is 4 × the convolution. The engine convolves directly, which is quicker; a sanitized run computes
both, and they have to agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.memory import Codes, Violation

G2 = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.int64)
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.int64)

WEIGHT_BITS = 12
INPUT_BITS = 10

Sums = npt.NDArray[np.int32]
"""Accumulators: int32[4, 4, groups, tiles, outputs], modulo 2³²."""


def expand(weights: npt.NDArray[np.int16], groups: int) -> npt.NDArray[np.int64]:
    """U[4, 4, groups, inputs, outputs] of int16[groups, outputs, 9 · inputs], kernel row, column, channel."""
    kernels = weights.astype(np.int64).reshape(groups, weights.shape[1], 3, 3, -1)
    return _fits(np.einsum("ai,bj,gkijc->abgck", G2, G2, kernels), WEIGHT_BITS, "weight")


def spread(x: Codes, oy: int, ox: int, groups: int) -> npt.NDArray[np.int64]:
    """V[4, 4, groups, tiles, inputs] of an input window int8[oy + 2, ox + 2, channels], tiles row by row.

    A last tile that reaches beyond the window sees zeros there: what it makes of them is not kept.
    """
    tiles_y, tiles_x = -(-oy // 2), -(-ox // 2)
    whole = np.zeros((2 * tiles_y + 2, 2 * tiles_x + 2, x.shape[2]), np.int64)
    whole[: oy + 2, : ox + 2] = x
    row, column, channel = whole.strides
    shape = (4, 4, tiles_y, tiles_x, groups, x.shape[2] // groups)
    strides = (row, column, 2 * row, 2 * column, channel * shape[5], channel)
    view = np.lib.stride_tricks.as_strided(whole, shape, strides, writeable=False)
    made = np.einsum("ai,bj,ijyxgc->abgyxc", BT, BT, view)
    return _fits(made.reshape(4, 4, groups, tiles_y * tiles_x, shape[5]), INPUT_BITS, "input")


def _fits(values: npt.NDArray[np.int64], bits: int, what: str) -> npt.NDArray[np.int64]:
    least, most = int(values.min()), int(values.max())
    if least < -(1 << bits - 1) or most >= 1 << bits - 1:
        raise Violation(f"a {what} of Winograd, {max(least, most, key=abs)}, does not fit {bits} bits.")
    return values


def multiply(u: npt.NDArray[np.int64], v: npt.NDArray[np.int64], before: Sums | None) -> Sums:
    """Accumulators after a pass: those before it (None: zero) plus Σ over inputs of U·V.

    The products are summed in float64: below 2⁵³ as long as a pass has fewer than 2³³ inputs, so every sum is exact.
    """
    sums = np.matmul(v.astype(np.float64), u.astype(np.float64)).astype(np.int64)
    if before is not None:
        sums += before
    return sums.astype(np.int32)


def outputs(sums: Sums, oy: int, ox: int) -> npt.NDArray[np.int64]:
    """The convolution [oy, ox, groups · outputs], from the sixteen accumulators of each tile.

    Violation when 4 × it is no multiple of four, which a sum that left int32 can cause.
    """
    tiles_y, tiles_x = -(-oy // 2), -(-ox // 2)
    _, _, groups, _, channels = sums.shape
    parts = sums.astype(np.int64).reshape(4, 4, groups, tiles_y, tiles_x, channels)
    fourfold: npt.NDArray[Any] = np.einsum("ia,jb,abgyxk->yixjgk", AT, AT, parts).astype(np.int32)
    if (fourfold & 3).any():
        raise Violation("Winograd's accumulators do not make 4 × a convolution.")
    whole = (fourfold >> 2).astype(np.int64).reshape(2 * tiles_y, 2 * tiles_x, groups * channels)
    return whole[:oy, :ox]
