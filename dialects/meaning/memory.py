"""The memories of a plan that is run as text: what lies in them, and which logical row was written where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects import tile
from dialects.meaning.kernels import Int8
from dialects.meaning.steps import MeaningError

Array = npt.NDArray[Any]
Index = Sequence[int]

NEVER = -1
"""The row of what nothing has written."""


@dataclass
class PlanDram:
    """A tensor in DRAM and which of its elements have been written."""

    data: Int8
    written: npt.NDArray[np.bool_]


@dataclass
class PlanSram:
    """A buffer: stored rows, and per element the logical row last written there (0 where rows do not matter)."""

    data: Int8
    rows: npt.NDArray[np.int32]
    dims: tuple[int, ...]
    ring: int
    name: str
    origin: tuple[int, ...] = ()
    """Logical coordinates of the first element stored; empty: the origin."""

    def slots(self, start: int, count: int) -> Array:
        """Where rows start … start + count − 1 lie."""
        rows = np.arange(start, start + count)
        if self.ring and count > self.ring:
            raise MeaningError(f"{count} rows of {self.name} do not fit its ring of {self.ring}")
        return rows % self.ring if self.ring else rows

    def read(self, offsets: Index, sizes: Index) -> Int8:
        """A copy of a box; MeaningError when part of it was never written or belongs to another row by now."""
        slots, inner = self.slots(offsets[0], sizes[0]), self.inner(offsets, sizes)
        held = self.rows[(slots, *inner)]
        wanted = np.arange(offsets[0], offsets[0] + sizes[0]) if self.ring else np.zeros(sizes[0])
        wrong = held != wanted.reshape(-1, *(1 for _ in inner))
        if wrong.any():
            at = np.argwhere(wrong)[0]
            row, holds = offsets[0] + int(at[0]), int(held[tuple(at)])
            if holds == NEVER:
                raise MeaningError(f"it reads row {row} of {self.name}, which nothing has written")
            raise MeaningError(f"it reads row {row} of {self.name}, whose slot holds row {holds}")
        return self.data[(slots, *inner)]

    def write(self, offsets: Index, values: Int8) -> None:
        """Store a box."""
        slots, inner = self.slots(offsets[0], values.shape[0]), self.inner(offsets, values.shape)
        self.data[(slots, *inner)] = values
        rows = np.arange(offsets[0], offsets[0] + values.shape[0]) if self.ring else np.zeros(values.shape[0])
        self.rows[(slots, *inner)] = rows.reshape(-1, *(1 for _ in inner))

    def walk(self, walk: tile.Walk, indices: Index, sizes: Index) -> tuple[Array, tuple[Array, ...]]:
        """Logical rows of a walk's elements, and where they lie: each an array that broadcasts to ``sizes``."""
        at = [np.array(start).reshape(1, 1, 1) for start in walk.at(indices)]
        for dimension, ((axis, step), size) in enumerate(zip(walk.steps, sizes, strict=False)):
            shape = [1, 1, 1]
            shape[dimension] = size
            at[axis] = at[axis] + (np.arange(size) * step).reshape(shape)
        at[2] = at[2] + np.arange(sizes[2])
        for axis in (1, 2) if self.origin else ():
            at[axis] = at[axis] - self.origin[axis]
            if at[axis].min() < 0 or at[axis].max() >= self.data.shape[axis]:
                raise MeaningError(f"it walks what {self.name} does not store")
        rows = np.broadcast_to(at[0], sizes)
        return rows, (rows % self.ring if self.ring else rows, at[1], at[2])

    def inner(self, offsets: Index, sizes: Index) -> tuple[slice, ...]:
        """Where a box's columns and channels lie; MeaningError for those that are not stored."""
        starts = [a - b for a, b in zip(offsets, self.origin or (0,) * len(offsets), strict=True)]
        for axis in range(1, len(starts)):
            if starts[axis] < 0 or starts[axis] + sizes[axis] > self.data.shape[axis]:
                raise MeaningError(f"it touches what {self.name} does not store")
        return tuple(slice(a, a + n) for a, n in zip(starts[1:], sizes[1:], strict=True))

    def gather(self, walk: tile.Walk, indices: Index, sizes: Index) -> Int8:
        """What a walk reads; MeaningError when part of it was never written or belongs to another row by now."""
        rows, place = self.walk(walk, indices, sizes)
        held = self.rows[place]
        wrong = held != (rows if self.ring else np.zeros_like(rows))
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0])
            row, holds = int(rows[at]), int(held[at])
            if holds == NEVER:
                raise MeaningError(f"it reads row {row} of {self.name}, which nothing has written")
            raise MeaningError(f"it reads row {row} of {self.name}, whose slot holds row {holds}")
        return self.data[place]

    def scatter(self, walk: tile.Walk, indices: Index, values: Int8) -> None:
        """Store values along a walk."""
        rows, place = self.walk(walk, indices, values.shape)
        self.data[place] = values
        self.rows[place] = rows if self.ring else np.zeros_like(rows)


def fresh(dims: tuple[int, ...]) -> PlanDram:
    """A tensor in DRAM that nothing has written."""
    return PlanDram(np.zeros(dims, np.int8), np.zeros(dims, np.bool_))
