"""Movements of codes as the vector unit's copies: a list of pieces for each operation of the cnn dialect that moves.

A movement is a nest of loops: every dimension walks one axis of the result and one axis of an operand by constant
steps. Three dimensions of a nest make a piece, one copy of the machine (the innermost a run of channels); the others
are spelled out. So slices, spatial joins, interleaving, transposition, repeated and chosen pixels are one thing here,
and what they cost is the number of their pieces and of the elements in them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xdsl.ir import Operation

from dialects import cnn
from dialects.tile import Steps

ROW, COLUMN, CHANNEL = range(3)

MOST_PIECES = 512
"""Copies that one movement may take; more would fill the instruction memory."""

Place = tuple[int, int, int]


@dataclass(frozen=True)
class Piece:
    """One copy: ``sizes`` elements of operand ``source``; walks from ``write`` and ``read`` by their steps."""

    source: int
    sizes: Place
    write: Place
    write_steps: Steps
    read: Place
    read_steps: Steps

    @property
    def written(self) -> tuple[int, int]:
        """Rows [first, end) of the result that it touches."""
        return _walked(self.write[0], self.write_steps, self.sizes, ROW)

    @property
    def taken(self) -> tuple[int, int]:
        """Rows [first, end) of the operand that it touches."""
        return self.reads(ROW)

    def reads(self, axis: int) -> tuple[int, int]:
        """Rows or columns [first, end) of the operand that it touches."""
        return _walked(self.read[axis], self.read_steps, self.sizes, axis)

    def part(self, dimension: int, first: int, count: int) -> Piece:
        """The indices [first, first + count) of the outer (0) or middle (1) dimension."""
        sizes = list(self.sizes)
        sizes[dimension] = count
        return replace(
            self,
            sizes=(sizes[0], sizes[1], sizes[2]),
            write=_moved(self.write, self.write_steps[dimension], first),
            read=_moved(self.read, self.read_steps[dimension], first),
        )

    def between(self, begin: int, stop: int, axis: int = ROW) -> list[Piece]:
        """The parts of it that lie in rows (columns) [begin, stop) of the result."""
        along = [d for d in (0, 1) if self.write_steps[d][0] == axis and self.sizes[d] > 1]
        if not along:
            return [self] if begin <= self.write[axis] < stop else []
        if len(along) == 2:  # columns may be walked by both dimensions
            singly = (self.part(0, index, 1) for index in range(self.sizes[0]))
            return [part for one in singly for part in one.between(begin, stop, axis)]
        (dimension,) = along
        step, start = self.write_steps[dimension][1], self.write[axis]
        first = max(0, -(-(begin - start) // step))
        end = min(self.sizes[dimension], -(-(stop - start) // step))
        return [self.part(dimension, first, end - first)] if end > first else []

    def singly(self, write_ring: bool, read_ring: bool) -> list[Piece]:
        """As pieces that a ring buffer can hold: its rows are walked one by one in the outer dimension, or not."""
        for ring, steps in ((write_ring, self.write_steps), (read_ring, self.read_steps)):
            for dimension, ((axis, step), size) in enumerate(zip(steps, self.sizes, strict=False)):
                if ring and axis == ROW and size > 1 and step and (dimension == 1 or step != 1):
                    parts = [self.part(dimension, i, 1) for i in range(size)]
                    return [small for part in parts for small in part.singly(write_ring, read_ring)]
        return [self]


def _walked(start: int, steps: Steps, sizes: Place, along: int) -> tuple[int, int]:
    return start, start + sum(s * (n - 1) for (axis, s), n in zip(steps, sizes, strict=False) if axis == along) + 1


def _moved(place: Place, step: tuple[int, int], count: int) -> Place:
    moved = list(place)
    moved[step[0]] += step[1] * count
    return moved[0], moved[1], moved[2]


@dataclass(frozen=True)
class CopyLoop:
    """``size`` turns; each goes ``step`` elements further along ``axis``, in the result and in the operand."""

    size: int
    write: tuple[int, int]
    read: tuple[int, int]

    def over(self, inner: CopyLoop) -> CopyLoop | None:
        """This loop around ``inner`` as one, where both walk on evenly; else None."""
        if self.write == (inner.write[0], inner.write[1] * inner.size) and self.read == (
            inner.read[0],
            inner.read[1] * inner.size,
        ):
            return CopyLoop(self.size * inner.size, inner.write, inner.read)
        return None


def nest(source: int, loops: Sequence[CopyLoop], write: Place = (0, 0, 0), read: Place = (0, 0, 0)) -> Iterator[Piece]:
    """The pieces of a nest of loops from these places on."""
    merged: list[CopyLoop] = []
    for loop in (loop for loop in loops if loop.size > 1):
        joined = merged[-1].over(loop) if merged else None
        if joined is not None:
            merged[-1] = joined
        else:
            merged.append(loop)
    runs = [loop for loop in merged if loop.write == loop.read == (CHANNEL, 1)]
    run = max(runs, key=lambda loop: loop.size, default=CopyLoop(1, (CHANNEL, 1), (CHANNEL, 1)))
    rest = sorted((loop for loop in merged if loop is not run), key=lambda loop: -loop.size)
    counted: list[CopyLoop] = []
    for loop in rest:
        # Rows of the result are walked by one dimension only, so that a piece can be cut by rows.
        if len(counted) < 2 and not (loop.write[0] == ROW and any(other.write[0] == ROW for other in counted)):
            counted.append(loop)
    spelled = [loop for loop in rest if loop not in counted]
    counted.sort(key=lambda loop: (loop.write[0] != ROW, -loop.write[1]))
    counted += [CopyLoop(1, (COLUMN, 1), (COLUMN, 1))] * (2 - len(counted))
    outer, middle = counted
    for turn in itertools.product(*(range(loop.size) for loop in spelled)):
        to, start = write, read
        for loop, index in zip(spelled, turn, strict=True):
            to, start = _moved(to, loop.write, index), _moved(start, loop.read, index)
        sizes = (outer.size, middle.size, run.size)
        yield Piece(source, sizes, to, (outer.write, middle.write), start, (outer.read, middle.read))


def _box(source: int, dims: Sequence[int], write: Place, to: Place, read: Place, start: Place) -> Iterator[Piece]:
    """A box of ``dims`` rows, columns and channels: steps and origin in the result, then in the operand."""
    loops = [CopyLoop(size, (axis, write[axis]), (axis, read[axis])) for axis, size in enumerate(dims)]
    return nest(source, loops, to, start)


def _slice(op: cnn.SliceOp) -> Iterator[Piece]:
    _, *offsets = op.offsets.get_values()
    _, *steps = op.steps.get_values()
    return _box(0, op.result_tensor.dims[1:], (1, 1, 1), (0, 0, 0), _place(steps), _place(offsets))


def _place(values: Sequence[int]) -> Place:
    a, b, c = values
    return a, b, c


def _concat(op: cnn.ConcatOp) -> Iterator[Piece]:
    axis, offset = op.axis.value.data - 1, 0
    for source, value in enumerate(op.inputs):
        dims = cnn.tensor_of(value).dims[1:]
        to = [0, 0, 0]
        to[axis] = offset
        yield from _box(source, dims, (1, 1, 1), _place(to), (1, 1, 1), (0, 0, 0))
        offset += dims[axis]


def _interleave(op: cnn.InterleaveOp) -> Iterator[Piece]:
    fy, fx = op.factors.get_values()
    for source, value in enumerate(op.inputs):
        kind = value.type.in_memory if isinstance(value.type, cnn.FloatType) else cnn.tensor_of(value)
        yield from _box(source, kind.dims[1:], (fy, fx, 1), (source // fx, source % fx, 0), (1, 1, 1), (0, 0, 0))


def _transpose(op: cnn.TransposeOp) -> Iterator[Piece]:
    sizes, order = op.sizes, op.permutation.get_values()
    reads = _walks(sizes, cnn.tensor_of(op.input).dims[1:])
    writes = _walks([sizes[i] for i in order], op.result_tensor.dims[1:])
    loops = [CopyLoop(sizes[i], writes[at], reads[i]) for at, i in enumerate(order)]
    return nest(0, loops)


def _walks(sizes: Sequence[int], dims: Sequence[int]) -> list[tuple[int, int]]:
    """Axis and step of each factor of a shape that lies in ``dims`` in row-major order."""
    found: list[tuple[int, int]] = []
    axis, step = CHANNEL, 1
    for size in reversed(sizes):
        while axis > ROW and step == dims[axis] and size > 1:
            axis, step = axis - 1, 1
        found.append((axis, step))
        step *= size
    return found[::-1]


def _select(op: cnn.SelectOp) -> Iterator[Piece]:
    for parts in itertools.product(*(progressions(indices) for indices in op.indices)):
        loops = [CopyLoop(part.count, (axis, part.step), (axis, part.by)) for axis, part in enumerate(parts)]
        to = _place([part.at for part in parts])
        yield from nest(0, loops, to, _place([part.first for part in parts]))


@dataclass(frozen=True)
class Progression:
    """Positions at, at + step, … hold the indices first, first + by, …, ``count`` of them."""

    at: int
    step: int
    first: int
    by: int
    count: int


@functools.lru_cache(maxsize=1024)
def progressions(indices: tuple[int, ...]) -> tuple[Progression, ...]:
    """Few progressions that together hold a list of indices, every position once; indices may repeat and fall."""
    best: list[Progression] | None = None
    for step in range(1, min(len(indices), 16) + 1):
        found = [part for at in range(step) for part in _runs(indices, at, step)]
        if best is None or len(found) < len(best):
            best = found
    return tuple(best or [])


def _runs(indices: Sequence[int], at: int, step: int) -> Iterator[Progression]:
    """The even stretches of every ``step``-th index from position ``at`` on."""
    while at < len(indices):
        count, by = 1, 1
        if at + step < len(indices) and indices[at + step] >= indices[at]:
            by = indices[at + step] - indices[at]
            while at + count * step < len(indices) and indices[at + count * step] == indices[at] + by * count:
                count += 1
        yield Progression(at, step, indices[at], by, count)
        at += count * step


_PIECES: Mapping[type[Operation], Callable[..., Iterator[Piece]]] = {
    cnn.SliceOp: _slice,
    cnn.ConcatOp: _concat,
    cnn.InterleaveOp: _interleave,
    cnn.TransposeOp: _transpose,
    cnn.SelectOp: _select,
}

MOVES = tuple(_PIECES)
"""Operations that are movements; some are free where tensors share a buffer."""


def pieces(op: Operation) -> tuple[Piece, ...]:
    """The copies of a movement, in order. KeyError for an operation that is none."""
    return tuple(_PIECES[type(op)](op))


def between(whole: Sequence[Piece], first: int, end: int, axis: int = ROW) -> list[Piece]:
    """What of a movement makes rows (columns) [first, end) of its result."""
    return [part for piece in whole for part in piece.between(first, end, axis)]


def taken(whole: Sequence[Piece], first: int, end: int, sources: Sequence[int], axis: int = ROW) -> tuple[int, int]:
    """Rows (columns) [from, to) of an operand, which stands at these places, that rows (columns) [first, end) of the
    result are made of; (0, 0) if none are."""
    spans = [part.reads(axis) for part in between(whole, first, end, axis) if part.source in sources]
    return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else (0, 0)


def of_channels(op: cnn.SliceOp) -> bool:
    """Whether a slice is some channels, one after the other, of all pixels."""
    whole, part = cnn.tensor_of(op.input).dims, op.result_tensor.dims
    return part[:3] == whole[:3] and (op.steps.get_values()[3] == 1 or part[3] == 1)


def count(op: Operation) -> int:
    """How many copies a movement takes; 0 for an operation that is none."""
    return sum(1 for _ in _PIECES[type(op)](op)) if type(op) in _PIECES else 0


def elements(piece: Piece) -> int:
    """Elements it moves."""
    return math.prod(piece.sizes)
