"""SRAM and DRAM: bytes, what of them has been written in this run, and the strided boxes instructions touch.

Every access passes ``Memory.read`` or ``Memory.write``: they check the range first, then that no byte is read before
it was written, and tell the observer (the sanitizer) when there is one. Stride gaps are no accesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import Fault
from sim.machine.isa import MOST_READ

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int8]

Fields = Mapping[str, Any]
"""The decoded fields of one instruction, by name."""


class Violation(Fault):
    """Why an instruction cannot be carried out; whoever runs the program adds instruction and layer."""


@dataclass(frozen=True)
class Box:
    """``rows`` × ``columns`` runs of ``run`` bytes, ``row_stride`` and ``column_stride`` bytes apart."""

    start: int
    rows: int
    row_stride: int
    columns: int
    column_stride: int
    run: int

    @property
    def end(self) -> int:
        """The address after its last byte."""
        return self.start + (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + self.run

    def overlaps_itself(self) -> bool:
        """Whether two of its runs share a byte."""
        dims = sorted(
            (stride, count)
            for stride, count in ((self.row_stride, self.rows), (self.column_stride, self.columns))
            if count > 1
        )
        if self.rows * self.columns * self.run > self.end - self.start:
            return True  # more bytes than there is room for: no need to look where, and no room to
        reach = self.run
        for stride, count in dims:
            if stride < reach:
                break
            reach += (count - 1) * stride
        else:
            return False
        starts = np.add.outer(
            np.arange(self.rows, dtype=np.int64) * self.row_stride,
            np.arange(self.columns, dtype=np.int64) * self.column_stride,
        ).ravel()
        starts.sort()
        return bool((np.diff(starts) < self.run).any())

    def once(self) -> Box:
        """The same bytes with fewer runs: rows and columns that repeat each other, or join, are one."""
        columns, run = self.columns, self.run
        if self.column_stride <= run:
            columns, run = 1, (columns - 1) * self.column_stride + run
        rows = 1 if self.row_stride == 0 else self.rows
        if columns == 1 and self.row_stride <= run:
            rows, run = 1, (rows - 1) * self.row_stride + run
        return Box(self.start, rows, self.row_stride, columns, self.column_stride, run)


def contiguous(start: int, size: int) -> Box:
    """A box of ``size`` bytes without gaps."""
    return Box(start, 1, 0, 1, 0, size)


Observer = Callable[["Memory", Box, bool], None]
"""Told of every access: the memory, the box and whether it is written."""


class Memory:
    """``size`` bytes named for messages, all unwritten at first.

    ``given`` bytes from 0 on are there from before the run. They have no marks of their own in ``written``, whose pages
    an operating system gives out when they are touched: a program's constants would double.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.data: Bytes = np.zeros(size, np.uint8)
        self.written: npt.NDArray[np.bool_] = np.zeros(size, np.bool_)
        self.given = 0
        self.observer: Observer | None = None

    def preset(self, address: int, data: Bytes) -> None:
        """Contents from before the run: constants and network inputs."""
        self.data[address : address + data.size] = data.ravel()
        if address == 0:
            self.given = max(self.given, data.size)
        else:
            self.written[address : address + data.size] = True

    def read(self, box: Box) -> Bytes:
        """uint8[rows, columns, run], a view; Violation when out of range or never written."""
        self._check_range(box, "reads")
        if (named := box.rows * box.columns * box.run) > (most := max(MOST_READ, self.size)):
            raise Violation(f"it reads {named:,} bytes of {self.name}, and no instruction may read more than {most:,}.")
        if self.given > box.start and box.end > self.given:
            self.written[box.start : self.given] = True
        if box.end > self.given and not _view(self.written, box.once()).all():
            known = _view(self.written, box)
            row, column, byte = np.argwhere(~known)[0].tolist()
            address = box.start + row * box.row_stride + column * box.column_stride + byte
            raise Violation(f"it reads byte {address:#x} of {self.name}, which no instruction of this run has written.")
        if self.observer is not None:
            self.observer(self, box, False)
        return _view(self.data, box)

    def write(self, box: Box, values: npt.NDArray[Any]) -> None:
        """Store int8 or uint8 values that have the box's shape; Violation when out of range or ambiguous."""
        self.check_write(box)
        if self.observer is not None:
            self.observer(self, box, True)
        _view(self.data, box)[...] = values.view(np.uint8).reshape(box.rows, box.columns, box.run)
        _view(self.written, box)[...] = True

    def check_write(self, box: Box) -> None:
        """Violation when a write of these bytes would be out of range or ambiguous."""
        self._check_range(box, "writes")
        if box.overlaps_itself():
            raise Violation(f"it writes some bytes of {self.name} twice: its strides let its own runs overlap.")

    def _check_range(self, box: Box, verb: str) -> None:
        if box.end > self.size:
            raise Violation(
                f"it {verb} bytes {box.start:#x} to {box.end - 1:#x} of {self.name}, which has {self.size:#x} bytes."
            )


def _view(data: npt.NDArray[Any], box: Box) -> npt.NDArray[Any]:
    return np.ndarray(
        (box.rows, box.columns, box.run),
        data.dtype,
        data,
        box.start,
        (box.row_stride, box.column_stride, 1),
    )


def slots(base: int, row_stride: int, ring: int, row: int, rows: int) -> list[tuple[int, int, int]]:
    """Consecutive stretches of an operand's rows: (address of the first, first row, number of rows).

    A ring buffer of ``ring`` rows wraps around at most once; Violation when the rows do not fit it.
    """
    if ring == 0:
        return [(base + row * row_stride, 0, rows)]
    if rows > ring:
        raise Violation(f"it names {rows} rows of a ring buffer that stores {ring}.")
    first = row % ring
    straight = min(rows, ring - first)
    pieces = [(base + first * row_stride, 0, straight)]
    if straight < rows:
        pieces.append((base, straight, rows - straight))
    return pieces


def operand_boxes(fields: Fields, name: str, rows: int, columns: int, channels: int) -> list[tuple[int, Box]]:
    """The boxes of a tensor operand with the index of their first row: one, or two where a ring wraps around."""
    stride, pixel = fields[f"{name}.row_stride"], fields[f"{name}.pixel_stride"]
    pieces = slots(fields[f"{name}.base"], stride, fields[f"{name}.ring"], fields[f"{name}.row"], rows)
    return [(first, Box(start, count, stride, columns, pixel, channels)) for start, first, count in pieces]


def read_operand(
    memory: Memory,
    fields: Fields,
    name: str,
    shape: tuple[int, int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    pad_value: int = 0,
) -> Codes:
    """int8[rows, columns, channels] of an operand: ``shape`` counts the padding (top, bottom, left, right).

    A view of the memory where it can be; Violation from the accesses, or when there is more padding than window.
    """
    top, bottom, left, right = pads
    rows, columns = shape[0] - top - bottom, shape[1] - left - right
    if rows < 0 or columns < 0:
        raise Violation(
            f"it pads {top} + {bottom} rows and {left} + {right} columns of a window of {shape[0]} × {shape[1]}."
        )
    if rows == 0 or columns == 0:
        return np.full(shape, pad_value, np.int8)
    boxes = operand_boxes(fields, name, rows, columns, shape[2])
    if len(boxes) == 1 and rows == shape[0] and columns == shape[1]:
        return memory.read(boxes[0][1]).view(np.int8)
    window = np.full(shape, pad_value, np.int8) if any(pads) else np.empty(shape, np.int8)
    for first, box in boxes:
        there = window[top + first : top + first + box.rows, left : left + columns]
        there[...] = memory.read(box).view(np.int8)
    return window


def write_operand(memory: Memory, fields: Fields, name: str, values: Codes) -> None:
    """Store int8[rows, columns, channels] where an operand lies."""
    rows, columns, channels = values.shape
    for first, box in operand_boxes(fields, name, rows, columns, channels):
        memory.write(box, values[first : first + box.rows])
