"""Weights stored as floats that lie on a grid of integers, as fake quantisers leave them: the integers, found again.

Nothing is rounded here: either every weight of a channel is the float32 product of one scale and a whole number of 8
bits, and then those are its codes, or the channel lies on no grid and the weights are float.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

MOST = 128
"""The greatest magnitude of a code."""

_TRIED = 64
"""Weights of a channel looked at before all of them are."""

_STEPS = 2
"""Neighbours of a scale in float32 that are tried: the scale itself was rounded, and so was the product."""


def on_grid(weights: F32, axis: int) -> tuple[npt.NDArray[np.int8], F32] | None:
    """Codes of the weights' shape and a scale per index of ``axis``; None where one channel lies on no grid."""
    rows = np.moveaxis(np.asarray(weights, np.float32), axis, 0)
    flat = rows.reshape(rows.shape[0], -1)
    if not np.isfinite(flat).all():
        return None
    codes, scales = np.zeros(flat.shape, np.int8), np.ones(flat.shape[0], np.float32)
    for row, (channel, into) in enumerate(zip(flat, codes, strict=True)):
        scale = _scale(channel)
        if scale is None:
            return None
        scales[row] = scale
        into[:] = np.rint(channel / scale)
    return np.moveaxis(codes.reshape(rows.shape), 0, axis), scales


def _scale(channel: F32) -> np.float32 | None:
    """The largest scale on whose grid all weights of a channel lie."""
    most = np.float32(np.abs(channel).max(initial=0))
    if most == 0:
        return np.float32(1)
    tried = [most / np.arange(1, MOST + 1, dtype=np.float32)]
    below = above = tried[0]
    for _ in range(_STEPS):
        below, above = np.nextafter(below, np.float32(0)), np.nextafter(above, np.float32(np.inf))
        tried += [below, above]
    scales = np.sort(np.concatenate(tried))[::-1]
    scales = scales[scales > 0]
    for scale in scales[_fit(channel[:_TRIED], scales)]:
        if _fit(channel, scale[None])[0]:
            return scale
    return None


def _fit(values: F32, scales: F32) -> npt.NDArray[np.bool_]:
    """For each scale, whether all values are its products with codes."""
    codes = np.rint(values / scales[:, None])
    inside = (codes >= -MOST) & (codes < MOST)
    return (inside & (codes * scales[:, None] == values)).all(axis=1)
