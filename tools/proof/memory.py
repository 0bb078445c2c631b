"""The memories that instructions name, filled with labels: boxes of bytes, rings, external memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.program import Program
from tools.proof.field import Labels, of_codes

Fields = Mapping[str, Any]
Element = TypeVar("Element", np.uint32, np.int8)


class NotProven(ReconError):
    """An instruction, and why what it does is no part of the model."""


@dataclass(frozen=True)
class Box:
    """``rows`` × ``columns`` runs of ``run`` bytes at strides from ``start``."""

    start: int
    rows: int
    row_stride: int
    columns: int
    column_stride: int
    run: int

    @property
    def end(self) -> int:
        return self.start + (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + self.run

    def of(self, plane: npt.NDArray[Element], origin: int = 0) -> npt.NDArray[Element]:
        """The view [rows, columns, run] of a plane that begins at address ``origin``."""
        if self.start < origin or self.end > origin + plane.size:
            raise NotProven(f"it touches bytes {self.start:#x} to {self.end - 1:#x}, beyond the memory.")
        size = plane.itemsize
        strides = (self.row_stride * size, self.column_stride * size, size)
        return np.ndarray(
            (self.rows, self.columns, self.run), plane.dtype, plane, (self.start - origin) * size, strides
        )


class LabelMemory:
    """A memory of labels from address ``origin`` on.

    Labels are kept inverted: a byte that nothing has written is zero, and pages that nothing touches are never there.
    """

    def __init__(self, name: str, size: int, origin: int = 0) -> None:
        self._name, self._origin = name, origin
        self._kept: Labels = np.zeros(size, np.uint32)

    def read(self, box: Box, out: Labels | None = None) -> Labels:
        """The labels [rows, columns, run] of a box; NotProven where a byte has none."""
        kept = box.of(self._kept, self._origin)
        if kept.size and not int(kept.min()):
            row, column, byte = np.argwhere(kept == 0)[0].tolist()
            address = box.start + row * box.row_stride + column * box.column_stride + byte
            raise NotProven(f"it reads byte {address:#x} of {self._name}, which nothing has written.")
        return np.invert(kept, out=out)

    def write(self, box: Box, labels: Labels) -> None:
        kept = box.of(self._kept, self._origin)
        np.invert(labels, out=kept)


class DramLabels:
    """External memory: constants as codes, labels for all that lies behind them."""

    def __init__(self, program: Program) -> None:
        self.constants = program.constants.view(np.int8)
        self.origin = self.constants.size
        self._behind = LabelMemory("DRAM", program.dram_bytes - self.origin, self.origin)

    def read(self, box: Box) -> Labels:
        return of_codes(box.of(self.constants)) if box.end <= self.origin else self._behind.read(box)

    def write(self, box: Box, labels: Labels) -> None:
        if box.start < self.origin:
            raise NotProven(f"it writes byte {box.start:#x} of DRAM, where the program's constants are.")
        self._behind.write(box, labels)


def slots(base: int, stride: int, ring: int, row: int, rows: int) -> list[tuple[int, int, int]]:
    """(first row, address, rows) of consecutive rows; two stretches where a ring wraps around."""
    if not ring:
        return [(0, base + row * stride, rows)]
    if rows > ring:
        raise NotProven(f"it names {rows} rows of a ring that stores {ring}.")
    straight = min(rows, ring - row % ring)
    found = [(0, base + row % ring * stride, straight)]
    return found if straight == rows else [*found, (straight, base, rows - straight)]


def rows_of(fields: Fields, name: str, rows: int, columns: int, channels: int) -> list[tuple[int, Box]]:
    """(first row, box) of an operand's rows, in one stretch or two."""
    stride, pixel = fields[f"{name}.row_stride"], fields[f"{name}.pixel_stride"]
    stretches = slots(fields[f"{name}.base"], stride, fields[f"{name}.ring"], fields[f"{name}.row"], rows)
    return [(first, Box(address, count, stride, columns, pixel, channels)) for first, address, count in stretches]
