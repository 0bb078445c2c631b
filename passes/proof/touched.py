"""All memory a program touches, in bulk: one row per strided block, straight from the decoded fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.encoding import Stream
from sim.machine.isa import BY_NAME, PARAMETER_BYTES, VECTOR_OPS
from sim.machine.laws import channel_bytes
from sim.machine.operations import Operation, operation

Ints = npt.NDArray[np.int64]

SPACES = ("SRAM", "DRAM", "the array's state")
SRAM, DRAM, STATE = range(len(SPACES))
STATES = ("half 0 of L1", "half 1 of L1", "the active configuration slot", "the shadow configuration slot")
"""What has no address: as bytes of a space of its own."""


@dataclass(frozen=True, eq=False)
class Touched:
    """Blocks: ``instruction`` touches rows × columns runs of ``run`` bytes of ``space`` from ``start``; int64[m] each,
    ``write`` bool[m]."""

    instruction: Ints
    space: Ints
    write: npt.NDArray[np.bool_]
    start: Ints
    rows: Ints
    row_stride: Ints
    columns: Ints
    column_stride: Ints
    run: Ints
    end: Ints

    def view(self, array: npt.NDArray[np.bool_], at: int) -> npt.NDArray[np.bool_]:
        """A block's bytes [rows, columns, run] as a view of an array that stands for its space."""
        shape = (int(self.rows[at]), int(self.columns[at]), int(self.run[at]))
        strides = (int(self.row_stride[at]), int(self.column_stride[at]), 1)
        return np.ndarray(shape, np.bool_, array, int(self.start[at]), strides)

    def common(self, a: int, b: int) -> int | None:
        """The lowest byte two blocks share, or None."""
        if self._beside(a, b):
            return None
        low = int(max(self.start[a], self.start[b]))
        high = int(min(self.end[a], self.end[b]))
        bytes_a, bytes_b = (self.covers(i, low, high) for i in (a, b))
        both = np.flatnonzero(bytes_a & bytes_b)
        return low + int(both[0]) if len(both) else None

    def _beside(self, a: int, b: int) -> bool:
        """Whether two blocks are other channels of the same pixels, as passes and vector tiles leave many."""
        pixel = int(self.column_stride[a])
        if pixel <= 0 or pixel != self.column_stride[b]:
            return False
        if any(self.rows[i] > 1 and self.row_stride[i] % pixel for i in (a, b)):
            return False
        shift = int(self.start[b] - self.start[a]) % pixel
        return bool(self.run[a] <= shift and shift + self.run[b] <= pixel)

    def covers(self, at: int, low: int, high: int) -> npt.NDArray[np.bool_]:
        """bool[high − low]: which bytes of an interval a block covers."""
        rows = self.start[at] + np.arange(self.rows[at]) * self.row_stride[at]
        starts = (rows[:, None] + np.arange(self.columns[at]) * self.column_stride[at]).ravel() - low
        run = self.run[at]
        starts = starts[(starts < high - low) & (starts + run > 0)]
        edges = np.zeros(high - low + 1, np.int64)
        np.add.at(edges, np.maximum(starts, 0), 1)
        np.add.at(edges, np.minimum(starts + run, high - low), -1)
        return np.cumsum(edges[:-1]) > 0


class _Collector:
    """Gathers blocks kind by kind."""

    def __init__(self) -> None:
        self.parts: list[list[Ints]] = []

    def block(
        self,
        where: Ints,
        space: int,
        write: bool,
        start: Any,
        rows: Any,
        row_stride: Any,
        columns: Any,
        column_stride: Any,
        run: Any,
    ) -> None:
        """Blocks of the instructions ``where``; those without rows or columns are none.

        Many parameters: a column of the table each.
        """
        columns_ = [where, space, int(write), start, rows, row_stride, columns, column_stride, run]
        part = [np.broadcast_to(np.asarray(c, np.int64), where.shape) for c in columns_]
        real = (part[4] > 0) & (part[6] > 0)
        self.parts.append([column[real] for column in part])

    def flat(self, where: Ints, space: int, write: bool, start: Any, size: Any) -> None:
        self.block(where, space, write, start, 1, 0, 1, 0, size)

    def ringed(
        self,
        where: Ints,
        write: bool,
        base: Ints,
        ring: Ints,
        row: Ints,
        rows: Any,
        stride: Ints,
        columns: Any,
        pixel: Ints,
        run: Any,
    ) -> None:
        """Rows of an SRAM operand, in two blocks where a ring wraps around.

        Many parameters: the numbers of an operand in the instruction.
        """
        rows = np.broadcast_to(rows, where.shape)
        first = np.where(ring > 0, row % np.maximum(ring, 1), row)
        straight = np.where(ring > 0, np.minimum(rows, ring - first), rows)
        self.block(where, SRAM, write, base + first * stride, straight, stride, columns, pixel, run)
        self.block(where, SRAM, write, base, rows - straight, stride, columns, pixel, run)

    def result(self) -> Touched:
        if not self.parts:
            self.parts.append([np.zeros(0, np.int64)] * 9)
        instruction, space, write, start, rows, row_stride, columns, column_stride, run = (
            np.concatenate(column) for column in zip(*self.parts, strict=True)
        )
        end = start + (rows - 1) * row_stride + (columns - 1) * column_stride + run
        return Touched(
            instruction, space, write.astype(np.bool_), start, rows, row_stride, columns, column_stride, run, end
        )


@dataclass(frozen=True)
class Rows:
    """Instructions of one kind, with their fields as int64 columns."""

    where: Ints
    table: npt.NDArray[Any]

    def __getitem__(self, name: str) -> Ints:
        return self.table[name].astype(np.int64)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Rows:
        return Rows(self.where[chosen], self.table[chosen])


def _operand(out: _Collector, f: Rows, name: str, write: bool, rows: Any, columns: Any, run: Any) -> None:
    out.ringed(
        f.where,
        write,
        f[f"{name}.base"],
        f[f"{name}.ring"],
        f[f"{name}.row"],
        rows,
        f[f"{name}.row_stride"],
        columns,
        f[f"{name}.pixel_stride"],
        run,
    )


def extent(f: Rows, dilated: bool) -> tuple[Ints, Ints]:
    """Rows and columns of the input that windows meet, padding not counted; negative where they have less."""
    dy, dx = (f["dy"], f["dx"]) if dilated else (1, 1)
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * dy + 1 - f["top"] - f["bottom"]
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * dx + 1 - f["left"] - f["right"]
    return rows, columns


def _copies(out: _Collector, f: Rows, load: bool) -> None:
    out.block(
        f.where, DRAM, not load, f["dram"], f["count2"], f["dram_stride2"], f["count1"], f["dram_stride1"], f["bytes"]
    )
    out.ringed(
        f.where,
        load,
        f["sram"],
        f["ring"],
        f["row"],
        f["count2"],
        f["sram_stride2"],
        f["count1"],
        f["sram_stride1"],
        f["bytes"],
    )


def _convolutions(out: _Collector, f: Rows) -> None:
    rows, columns = extent(f, True)
    _operand(out, f, "in", False, rows, columns, f["groups"] * f["inputs"])
    out.flat(f.where, STATE, False, f["half"], 1)
    out.flat(f.where, STATE, False, 2, 1)
    last = f.only(f["last"] > 0)
    channels = last["groups"] * last["outputs"]
    out.flat(last.where, SRAM, False, last["params"], PARAMETER_BYTES * channels)
    _operand(out, last, "out", True, last["oy"], last["ox"], channels * channel_bytes(last["last"]))
    added = last.only(last["residual"] > 0)
    _operand(out, added, "res", False, added["oy"], added["ox"], added["groups"] * added["outputs"])
    looked = last.only(last["has_table"] == 1)
    out.flat(looked.where, SRAM, False, looked["table"], 256)


def seen(row: Operation, f: Rows) -> tuple[Ints, Ints]:
    """Rows and columns that vector instructions of one operation read of their first operand."""
    match row.reads:
        case "window":
            return extent(f, False)
        case "image":
            return f["iy"], f["ix"]
        case "repeated":
            return -(-f["oy"] // f["sy"]), -(-f["ox"] // f["sx"])
        case _:
            return f["oy"], f["ox"]


def _vectors(out: _Collector, rows_of: Rows) -> None:
    for number, kind in enumerate(VECTOR_OPS):
        f = rows_of.only(rows_of["op"] == number)
        if not len(f.where):
            continue
        row = operation(kind)
        rows, columns = seen(row, f)
        _operand(out, f, "a", False, rows, columns, f["channels"])
        if row.binary:
            whole = f["b_broadcast"] == 0 if row.pixel else np.ones(len(f.where), np.bool_)
            _operand(out, f, "b", False, np.where(whole, f["oy"], 1), np.where(whole, f["ox"], 1), f["channels"])
        if row.side == "params":
            out.flat(f.where, SRAM, False, f["params"], PARAMETER_BYTES * f["channels"])
        if row.side == "table":
            out.flat(f.where, SRAM, False, f["table"], 256)
        _operand(out, f, "out", True, f["oy"], f["ox"], f["channels"])


def touched(stream: Stream, image_bytes: int) -> Touched:
    """Everything the instructions of a stream touch; ``image_bytes`` is the size of a configuration image."""
    out = _Collector()

    def rows(name: str) -> Rows:
        opcode = BY_NAME[name].opcode
        return Rows(stream.indices(opcode), stream.tables[opcode])

    _copies(out, rows("load"), True)
    _copies(out, rows("store"), False)
    images = rows("load_config")
    for space, code in ((DRAM, 0), (SRAM, 1)):
        chosen = images.only(images["space"] == code)
        out.flat(chosen.where, space, False, chosen["address"], image_bytes)
    out.flat(images.where, STATE, True, 3, 1)
    swaps = rows("configure")
    out.flat(swaps.where, STATE, False, 3, 1)
    out.flat(swaps.where, STATE, True, 2, 2)
    fills = rows("fill")
    out.block(
        fills.where,
        SRAM,
        False,
        fills["address"],
        fills["groups"] * fills["outputs"],
        fills["output_stride"],
        fills["fy"] * fills["fx"],
        fills["tap_stride"],
        fills["inputs"],
    )
    out.flat(fills.where, STATE, True, fills["half"], 1)
    _convolutions(out, rows("conv"))
    _vectors(out, rows("vector"))
    return out.result()
