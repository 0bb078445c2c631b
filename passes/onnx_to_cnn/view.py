"""Where the elements of an ONNX tensor lie in an NHWC value: layout as bookkeeping instead of as operations.

A tensor's axes are made of *atoms*, indivisible factors of its shape. A view says in which order the atoms stand in
the ONNX tensor (by axis) and in which order they lie in memory (by N, H, W, C). Reshape and Transpose regroup and
reorder the logical side only; bytes move when an operation wants its operand in a certain order, and then by the
cheapest of: nothing, a reshape, a channel shuffle, a transpose. So Transposes cancel, a Flatten before a matrix product
costs nothing, and Reshape-Transpose-Reshape turns out to be a channel shuffle or depth-to-space by itself.

    [1, 64, 28, 28] → Reshape [1, 4, 16, 28, 28] → Transpose 0 2 1 3 4 → Reshape [1, 64, 28, 28]
    memory: N | H | W | g·c      logical: N | c·g | H | W      hence: shuffle with 4 groups
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(eq=False, frozen=True)
class Atom:
    """A factor of an axis; two atoms are the same only if they are the same object."""

    size: int


Axis = tuple[Atom, ...]
MemoryAxes = tuple[Axis, Axis, Axis, Axis]
"""Atoms of N, H, W and C."""


def size_of(axis: Axis) -> int:
    """Elements along an axis."""
    return math.prod(atom.size for atom in axis)


def flat(axes: Sequence[Axis]) -> Axis:
    """All atoms in order."""
    return tuple(atom for axis in axes for atom in axis)


def _axes(shape: Sequence[int]) -> list[Axis]:
    return [(Atom(n),) if n > 1 else () for n in shape]


@dataclass(frozen=True)
class View:
    """``logical`` atoms by ONNX axis, ``memory`` atoms by N, H, W, C. Axes of size 1 have no atoms."""

    logical: tuple[Axis, ...]
    memory: MemoryAxes

    @staticmethod
    def canonical(shape: Sequence[int]) -> View:
        """A new tensor of this ONNX shape (N, C, spatial …) lying as NHWC."""
        logical = tuple(_axes(shape))
        return View(logical, standard(logical))

    @staticmethod
    def row_major(shape: Sequence[int]) -> View:
        """A tensor that the host still holds, in ONNX order."""
        logical = tuple(_axes(shape))
        return View(logical, ((), (), (), flat(logical)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The ONNX shape."""
        return tuple(size_of(axis) for axis in self.logical)

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """N, H, W, C in memory."""
        n, h, w, c = (size_of(axis) for axis in self.memory)
        return n, h, w, c

    def transposed(self, order: Sequence[int]) -> View:
        """ONNX's Transpose."""
        return View(tuple(self.logical[axis] for axis in order), self.memory)

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """ONNX's Reshape; None where the new axes cut across atoms in a way that no order of factors expresses."""
        pending = list(flat(self.logical))
        pieces: dict[Atom, Axis] = {}
        axes: list[Axis] = []
        for wanted in shape:
            taken: list[Atom] = []
            while wanted > 1:
                if not pending:
                    return None
                atom = pending.pop(0)
                if wanted % atom.size == 0:
                    taken.append(atom)
                    wanted //= atom.size
                elif atom.size % wanted == 0:
                    outer, inner = Atom(wanted), Atom(atom.size // wanted)
                    _split(pieces, atom, (outer, inner))
                    taken.append(outer)
                    pending.insert(0, inner)
                    wanted = 1
                else:
                    return None
            axes.append(tuple(taken))
        if pending:
            return None
        n, h, w, c = (_refined(axis, pieces) for axis in self.memory)
        return View(tuple(axes), (n, h, w, c))


def _split(pieces: dict[Atom, Axis], atom: Atom, parts: Axis) -> None:
    for whole, factors in pieces.items():
        if atom in factors:
            at = factors.index(atom)
            pieces[whole] = (*factors[:at], *parts, *factors[at + 1 :])
            return
    pieces[atom] = parts


def _refined(axis: Axis, pieces: dict[Atom, Axis]) -> Axis:
    return tuple(part for atom in axis for part in pieces.get(atom, (atom,)))


def standard(logical: Sequence[Axis]) -> MemoryAxes:
    """NHWC of an ONNX tensor: axis 0 is N, axis 1 is C, the last is W, what is between is H."""
    rank = len(logical)
    if rank == 1:
        return (), (), (), logical[0]
    n = logical[0] if rank else ()
    c = logical[1] if rank > 1 else ()
    w = logical[-1] if rank > 2 else ()
    return n, flat(logical[2:-1]), w, c


@dataclass(frozen=True)
class Step:
    """One operation that brings memory into another order: ``reshape``, ``shuffle`` (``argument`` the groups) or
    ``transpose`` (``argument`` the order of the ``factors``)."""

    kind: str
    dims: tuple[int, int, int, int]
    argument: tuple[int, ...] = ()
    factors: tuple[int, ...] = ()


def steps_between(have: MemoryAxes, want: MemoryAxes) -> list[Step]:
    """The operations from one order in memory to another: none, or the cheapest that does it."""
    wanted = (size_of(want[0]), size_of(want[1]), size_of(want[2]), size_of(want[3]))
    if have == want:
        return []
    if flat(have) == flat(want):
        return [Step("reshape", wanted)]
    if have[:3] == want[:3]:
        for cut in range(1, len(have[3])):
            if have[3][cut:] + have[3][:cut] == want[3]:
                return [Step("shuffle", wanted, (size_of(have[3][:cut]),))]
    place = {atom: at for at, atom in enumerate(flat(have))}
    order = tuple(place[atom] for atom in flat(want))
    return [Step("transpose", wanted, order, tuple(atom.size for atom in flat(have)))]
