"""Which rows a buffer holds at every point of a plan, so that reading what is not there is refused where it is read.

The meaning of a plan must not depend on where its buffers lie: memory that nobody wrote, or whose ring slot another row
has taken, holds whatever was there before. Every stored row remembers the logical row that was written to it last; the
elements of a row do so one by one only where a tile writes a part of it, which keeps the cost of usual plans small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_NEVER = -1

Places = npt.NDArray[np.int64]
"""Logical rows, columns or channels; the three of a walk broadcast to its sizes."""


class Written:
    """The contents of one tensor: of a buffer in SRAM (``ring`` rows are stored, 0: all) or of a region of DRAM."""

    def __init__(self, dims: Sequence[int], ring: int = 0):
        self.dims = tuple(dims)
        self.ring = ring
        stored = ring or self.dims[0]
        self.rows: npt.NDArray[np.int32] = np.full((stored, *(1 for _ in self.dims[1:])), _NEVER, np.int32)
        self.missing = [stored]
        """Elements of ``rows`` without contents, shared with views."""

    def view(self, dims: Sequence[int]) -> Written:
        """The same bytes under another shape; neither is a ring."""
        self._apart()
        other = Written((1,))
        other.dims = tuple(dims)
        other.rows, other.missing = self.rows.reshape(other.dims), self.missing
        return other

    def fill(self) -> None:
        """All of it has contents: an input, a constant."""
        self.rows[...] = 0
        self.missing[0] = 0

    def write(self, offsets: Sequence[int], sizes: Sequence[int]) -> None:
        """A box in logical coordinates gets contents; it lies within the tensor, and in no more rows than the ring."""
        if not self.ring and not self.missing[0]:
            return
        if tuple(sizes[1:]) != self.dims[1:]:
            self._apart()
        index = self._index(offsets, sizes)
        self.missing[0] -= int((self.rows[index] == _NEVER).sum())
        self.rows[index] = self._labels(offsets[0], sizes[0])

    def problem(self, offsets: Sequence[int], sizes: Sequence[int]) -> tuple[int, int | None] | None:
        """The first row of a box that is not there, with the row in its slot (None: nothing was written there)."""
        if not self.ring and not self.missing[0]:
            return None
        held = self.rows[self._index(offsets, sizes)]
        wrong = held != self._labels(offsets[0], sizes[0])
        if not wrong.any():
            return None
        at = tuple(np.argwhere(wrong)[0])
        holds = int(held[at])
        return offsets[0] + int(at[0]), None if holds == _NEVER else holds

    def flat_problem(self, start: int, size: int) -> tuple[int, int | None] | None:
        """The same for ``size`` bytes from byte ``start`` on of a tensor that is no ring."""
        stride = math.prod(self.dims[1:])
        first, last = start // stride, -(-(start + size) // stride)
        zeros = (0,) * (len(self.dims) - 1)
        found = self.problem((first, *zeros), (last - first, *self.dims[1:]))
        if found is None or (start % stride == 0 and size % stride == 0):
            return found
        self._apart()
        wrong = np.flatnonzero(self.rows.reshape(-1)[start : start + size] == _NEVER)
        return ((start + int(wrong[0])) // stride, None) if len(wrong) else None

    def scatter(self, rows: Places, columns: Places, channels: Places) -> None:
        """Single elements, the combinations of these logical places, get contents."""
        if not self.ring and not self.missing[0]:
            return
        self._apart()
        index = (rows % self.ring if self.ring else rows, columns, channels)
        self.missing[0] -= int((self.rows[index] == _NEVER).sum())
        self.rows[index] = rows if self.ring else 0

    def gathered(self, rows: Places, columns: Places, channels: Places) -> tuple[int, int | None] | None:
        """As ``problem``, for single elements."""
        if not self.ring and not self.missing[0]:
            return None
        self._apart()
        held = self.rows[(rows % self.ring if self.ring else rows, columns, channels)]
        wrong = held != (rows if self.ring else 0)
        if not wrong.any():
            return None
        at = tuple(np.argwhere(wrong)[0])
        holds = int(held[at])
        return int(np.broadcast_to(rows, held.shape)[at]), None if holds == _NEVER else holds

    def _apart(self) -> None:
        """From now on element by element."""
        whole = (self.rows.shape[0], *self.dims[1:])
        if self.rows.shape != whole:
            self.missing[0] *= math.prod(self.dims[1:])
            self.rows = np.broadcast_to(self.rows, whole).copy()

    def _index(self, offsets: Sequence[int], sizes: Sequence[int]) -> tuple[slice | npt.NDArray[np.int64], ...]:
        first = np.arange(offsets[0], offsets[0] + sizes[0]) % self.ring if self.ring else None
        rows = first if first is not None else slice(offsets[0], offsets[0] + sizes[0])
        if all(n == 1 for n in self.rows.shape[1:]) and self.rows.shape[1:] != self.dims[1:]:
            return (rows, *(slice(None) for _ in self.dims[1:]))
        return (rows, *(slice(o, o + n) for o, n in zip(offsets[1:], sizes[1:], strict=True)))

    def _labels(self, first: int, count: int) -> npt.NDArray[np.int32] | int:
        """What the rows are called in ``rows``: by their number in a ring, else 0."""
        if not self.ring:
            return 0
        return np.arange(first, first + count, dtype=np.int32).reshape(-1, *(1 for _ in self.dims[1:]))
