"""Windows, copies and footprints against counting every byte."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from passes.accel.footprint import Box, box, intersect
from passes.common.geometry import clip, copy, flat, span

small = st.integers(1, 4)


@given(
    st.integers(0, 9), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 6),
    st.integers(1, 20),
)  # fmt: skip
def test_span_counts_what_windows_meet(
    first: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int, size: int
) -> None:
    low = first * stride - pad
    high = (first + outputs - 1) * stride - pad + (kernel - 1) * dilation
    positions = list(range(low, high + 1))
    real = [p for p in positions if 0 <= p < size]
    found = span(first, outputs, kernel, stride, dilation, pad, size)
    assert found.count == len(real)
    assert found.before + found.count + found.after == len(positions)
    if real:
        assert found.start == real[0]
        assert found.before == sum(p < 0 for p in positions)


@given(st.integers(-8, 12), st.integers(1, 9), st.integers(1, 10))
def test_clip(offset: int, size: int, limit: int) -> None:
    inside = [p for p in range(offset, offset + size) if 0 <= p < limit]
    first, count = clip(offset, size, limit)
    assert count == len(inside)
    assert not inside or first == inside[0]


@given(st.lists(st.tuples(small, small, small), min_size=1, max_size=4), st.booleans())
def test_copy_visits_the_bytes_of_the_box_in_step(axes: list[tuple[int, int, int]], keep_rows: bool) -> None:
    sizes = [size for size, _, _ in axes]
    sides = tuple([size + extra[side] - 1 for size, *extra in axes] for side in (0, 1))
    made = copy(sizes, (sides[0], sides[1]), keep_rows)
    wanted = [
        tuple(flat(position, shape) for shape in sides)
        for position in itertools.product(*(range(size) for size in sizes))
    ]
    if made is None:
        return
    found = [
        tuple(row * made.stride2[side] + column * made.stride1[side] + byte for side in (0, 1))
        for row in range(made.count2) for column in range(made.count1) for byte in range(made.bytes)
    ]  # fmt: skip
    assert found == wanted
    if keep_rows:
        assert made.count2 == sizes[0]


def test_copies_are_as_short_as_they_can_be() -> None:
    whole = copy([4, 5, 6], ([9, 5, 6], [9, 5, 6]), False)
    assert whole is not None
    assert (whole.bytes, whole.count1, whole.count2) == (120, 1, 1)
    assert copy([2, 2, 2, 2], ([2, 3, 3, 3], [2, 3, 3, 3]), False) is None


boxes = st.tuples(st.integers(0, 90), small, st.integers(1, 40), small, st.integers(1, 12), st.integers(1, 6))


def covered(parts: tuple[int, int, int, int, int, int]) -> set[int]:
    start, rows, row_stride, columns, column_stride, run = parts
    return {
        start + row * row_stride + column * column_stride + byte
        for row in range(rows) for column in range(columns) for byte in range(run)
    }  # fmt: skip


@settings(max_examples=400)
@given(boxes, boxes, st.booleans())
def test_intersect_is_exact(
    a: tuple[int, int, int, int, int, int], b: tuple[int, int, int, int, int, int], same: bool
) -> None:
    if same:
        b = (b[0], b[1], a[2], b[3], a[4], b[5])
    assert intersect(box(*a), box(*b)) == bool(covered(a) & covered(b))


def test_channel_slices_do_not_meet() -> None:
    left, right = box(0, 56, 56 * 64, 56, 64, 32), box(32, 56, 56 * 64, 56, 64, 32)
    assert not intersect(left, right)
    assert intersect(left, box(31, 1, 0, 1, 0, 1))
    assert box(0, 4, 32, 4, 8, 8) == Box(0, 1, 0, 1, 0, 128, 128)


def test_flat_is_row_major() -> None:
    shape = (3, 4, 5)
    for position in np.ndindex(shape):
        assert flat(position, shape) == np.ravel_multi_index(position, shape)
    assert math.prod(shape) - 1 == flat((2, 3, 4), shape)
