"""Geometry of tiles: what a window meets at the edge of a tensor, and boxes as the strided copies of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """What the windows of consecutive outputs meet along one axis.

    ``count`` real positions from ``start`` on, with ``before`` padded positions ahead of them and ``after`` behind.
    """

    start: int
    count: int
    before: int
    after: int


def span(output: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int, size: int) -> Span:
    """The span of ``outputs`` windows from ``output`` on, over an axis of ``size`` positions padded by ``pad`` before.

    The pads are those these windows really meet: a tile in the middle has none.
    """
    first = output * stride - pad
    last = first + (outputs - 1) * stride + (kernel - 1) * dilation
    total = last - first + 1
    before = min(total, max(0, -first))
    after = min(total - before, max(0, last - (size - 1)))
    return Span(max(first, 0), total - before - after, before, after)


def clip(offset: int, size: int, limit: int) -> tuple[int, int]:
    """(first, count) of the part of [offset, offset + size) that lies in [0, limit); count is 0 when nothing does."""
    first = max(offset, 0)
    return first, max(0, min(offset + size, limit) - first)


@dataclass(frozen=True)
class Copy:
    """A box as the machine copies it: ``count2`` rows of ``count1`` stretches of ``bytes`` bytes, strides per side."""

    bytes: int
    count1: int
    stride1: tuple[int, int]
    count2: int
    stride2: tuple[int, int]


def copy(sizes: Sequence[int], sides: tuple[Sequence[int], Sequence[int]], keep_rows: bool) -> Copy | None:
    """The copy of a box of ``sizes`` between two dense arrays of shapes ``sides``; None if it needs more dimensions.

    Dimensions contiguous on both sides merge; with ``keep_rows`` the first one stays apart, as a ring buffer needs it.
    """
    strides = [_strides(shape) for shape in sides]
    dimensions: list[tuple[int, int, int]] = []
    for axis, size in enumerate(sizes):
        here = (size, strides[0][axis], strides[1][axis])
        if size == 1 and not (keep_rows and axis == 0):
            continue
        if dimensions and not (keep_rows and len(dimensions) == 1):
            outer = dimensions[-1]
            if outer[1] == size * here[1] and outer[2] == size * here[2]:
                dimensions[-1] = (outer[0] * size, here[1], here[2])
                continue
        dimensions.append(here)
    if dimensions and dimensions[-1][1:] == (1, 1) and not (keep_rows and len(dimensions) == 1):
        run = dimensions.pop()[0]
    else:
        run = 1
    rows = dimensions.pop(0) if keep_rows or len(dimensions) == 2 else (1, 0, 0)
    middle = dimensions.pop(0) if dimensions else (1, 0, 0)
    if dimensions:
        return None
    return Copy(run, middle[0], (middle[1], middle[2]), rows[0], (rows[1], rows[2]))


def _strides(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return strides


def flat(offsets: Sequence[int], shape: Sequence[int]) -> int:
    """Byte offset of an element of a dense int8 array."""
    position = 0
    for offset, size in zip(offsets, shape, strict=True):
        position = position * size + offset
    return position
