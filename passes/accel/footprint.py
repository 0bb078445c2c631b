"""Which bytes an instruction reads and writes: boxes of equally spaced runs, and whether two boxes share a byte.

A box is rows × columns of contiguous runs. Stride gaps belong to nobody, so the channel slices of a concatenation and
the slots of a ring do not collide; ``intersect`` is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sim.machine.isa import PARAMETER_BYTES, VECTOR_OPS
from sim.machine.laws import channel_bytes
from sim.machine.operations import operation

Number = int | float


class Box(NamedTuple):
    """``rows`` × ``columns`` runs of ``run`` bytes from ``start`` on; ``end`` is the byte after the last.

    Always as few dimensions as it has: runs that touch are merged, a count of 1 has stride 0.
    """

    start: int
    rows: int
    row_stride: int
    columns: int
    column_stride: int
    run: int
    end: int


def box(start: int, rows: int, row_stride: int, columns: int, column_stride: int, run: int) -> Box:
    """The box in its shortest form."""
    if columns == 1 or column_stride == run:
        run, columns, column_stride = run * columns, 1, 0
    if rows > 1 and columns == 1 and row_stride == run:
        run, rows = run * rows, 1
    elif rows > 1 and columns > 1 and row_stride == columns * column_stride:
        columns, rows = columns * rows, 1
    if rows == 1:
        row_stride = 0
    if columns == 1 and rows > 1:
        rows, row_stride, columns, column_stride = 1, 0, rows, row_stride
    end = start + (rows - 1) * row_stride + (columns - 1) * column_stride + run
    return Box(start, rows, row_stride, columns, column_stride, run, end)


def intersect(a: Box, b: Box) -> bool:
    """Whether two boxes share a byte."""
    if a.start >= b.end or b.start >= a.end:
        return False
    if a.columns == b.columns == 1:
        return True
    outer = _common(a.rows, a.row_stride, b.rows, b.row_stride)
    inner = _common(a.columns, a.column_stride, b.columns, b.column_stride)
    if outer is None or inner is None:
        return _share_runs(a, b)
    return _share_lattice(a, b, outer, inner)


def _common(count_a: int, stride_a: int, count_b: int, stride_b: int) -> int | None:
    """The stride two dimensions have in common: a count of 1 takes any."""
    if count_a == 1:
        return stride_b
    return stride_a if count_b == 1 or stride_a == stride_b else None


def _share_lattice(a: Box, b: Box, outer: int, inner: int) -> bool:
    """Boxes with the same strides: look for a difference of rows R and columns C with
    −b.run < b.start − a.start + R·outer + C·inner < a.run."""
    delta = b.start - a.start
    least, most = -(a.columns - 1), b.columns - 1
    if outer == 0:
        rows = range(1)
    else:
        low = (-delta - b.run - most * inner) // outer + 1
        high = -((delta - a.run + least * inner) // outer) - 1
        rows = range(max(low, -(a.rows - 1)), min(high, b.rows - 1) + 1)
    for row in rows:
        rest = delta + row * outer
        if inner == 0:
            if -b.run < rest < a.run:
                return True
            continue
        low = max(least, (-b.run - rest) // inner + 1)
        high = min(most, -((rest - a.run) // inner) - 1)
        if low <= high:
            return True
    return False


def _share_runs(a: Box, b: Box) -> bool:
    """Boxes of different strides: every run of the one with fewer against the runs of the other, by bisection."""
    import numpy as np

    def starts(x: Box) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        rows = np.arange(x.rows, dtype=np.int64) * x.row_stride
        columns = np.arange(x.columns, dtype=np.int64) * x.column_stride
        result = (x.start + rows[:, None] + columns[None, :]).ravel()
        result.sort()
        return result

    if a.rows * a.columns > b.rows * b.columns:
        a, b = b, a
    many, few = starts(b), starts(a)
    after = np.searchsorted(many, few + a.run)
    before = np.searchsorted(many, few - b.run, side="right")
    return bool((after > before).any())


class Access(NamedTuple):
    """An operand's bytes: the address field it hangs on, whether it is written, and its boxes."""

    field: str
    write: bool
    boxes: tuple[Box, ...]


Fields = Mapping[str, Number]


def _operand(f: Fields, name: str, rows: int, columns: int, channels: int, write: bool = False) -> Access:
    base, stride, pixel = int(f[f"{name}.base"]), int(f[f"{name}.row_stride"]), int(f[f"{name}.pixel_stride"])
    ring, row = int(f[f"{name}.ring"]), int(f[f"{name}.row"])
    return Access(f"{name}.base", write, _ringed(base, rows, stride, columns, pixel, channels, ring, row))


def _ringed(
    start: int, rows: int, stride: int, columns: int, pixel: int, run: int, ring: int, row: int
) -> tuple[Box, ...]:
    """Many parameters: the numbers of an operand in the instruction."""
    first = row % ring if ring else row
    straight = min(rows, ring - first) if ring else rows
    boxes = (box(start + first * stride, straight, stride, columns, pixel, run),)
    if straight < rows:
        boxes += (box(start, rows - straight, stride, columns, pixel, run),)
    return boxes


def _flat(f: Fields, name: str, size: int) -> Access:
    return Access(name, False, (box(int(f[name]), 1, 0, 1, 0, size),))


def _window(f: Fields, dy: int, dx: int) -> tuple[int, int]:
    rows = (int(f["oy"]) - 1) * int(f["sy"]) + (int(f["fy"]) - 1) * dy + 1 - int(f["top"]) - int(f["bottom"])
    columns = (int(f["ox"]) - 1) * int(f["sx"]) + (int(f["fx"]) - 1) * dx + 1 - int(f["left"]) - int(f["right"])
    return rows, columns


def _copy(f: Fields, load: bool) -> list[Access]:
    run, columns, rows = int(f["bytes"]), int(f["count1"]), int(f["count2"])
    dram = box(int(f["dram"]), rows, int(f["dram_stride2"]), columns, int(f["dram_stride1"]), run)
    sram = _ringed(
        int(f["sram"]),
        rows,
        int(f["sram_stride2"]),
        columns,
        int(f["sram_stride1"]),
        run,
        int(f["ring"]),
        int(f["row"]),
    )
    return [Access("dram", not load, (dram,)), Access("sram", load, sram)]


def _conv(f: Fields) -> list[Access]:
    channels = int(f["groups"]) * int(f["outputs"])
    oy, ox = int(f["oy"]), int(f["ox"])
    rows, columns = _window(f, int(f["dy"]), int(f["dx"]))
    found: list[Access] = []
    if rows > 0 and columns > 0:
        found.append(_operand(f, "in", rows, columns, int(f["groups"]) * int(f["inputs"])))
    if f["last"]:
        found.append(_flat(f, "params", PARAMETER_BYTES * channels))
        if f["residual"]:
            found.append(_operand(f, "res", oy, ox, channels))
        if f["has_table"]:
            found.append(_flat(f, "table", 256))
        found.append(_operand(f, "out", oy, ox, channels * int(channel_bytes(f["last"])), True))
    return found


def _vector(f: Fields) -> list[Access]:
    row = operation(VECTOR_OPS[int(f["op"])])
    oy, ox, channels = int(f["oy"]), int(f["ox"]), int(f["channels"])
    rows, columns = oy, ox
    match row.reads:
        case "window":
            rows, columns = _window(f, 1, 1)
        case "image":
            rows, columns = int(f["iy"]), int(f["ix"])
        case "repeated":
            rows, columns = -(-oy // int(f["sy"])), -(-ox // int(f["sx"]))
        case _:
            pass
    found: list[Access] = []
    if rows > 0 and columns > 0:
        found.append(_operand(f, "a", rows, columns, channels))
    if row.binary:
        pixels = (1, 1) if row.pixel and f["b_broadcast"] else (oy, ox)
        found.append(_operand(f, "b", *pixels, channels))
    if row.side == "params":
        found.append(_flat(f, "params", PARAMETER_BYTES * channels))
    if row.side == "table":
        found.append(_flat(f, "table", 256))
    found.append(_operand(f, "out", oy, ox, channels, True))
    return found


def accesses(name: str, f: Fields, image_bytes: int) -> list[Access]:
    """The memory an instruction touches, from its fields; ``image_bytes`` is the size of a configuration image."""
    if name in ("load", "store"):
        return _copy(f, name == "load")
    if name == "conv":
        return _conv(f)
    if name == "vector":
        return _vector(f)
    if name == "fill":
        rows, taps = int(f["groups"]) * int(f["outputs"]), int(f["fy"]) * int(f["fx"])
        start = box(int(f["address"]), rows, int(f["output_stride"]), taps, int(f["tap_stride"]), int(f["inputs"]))
        return [Access("address", False, (start,))]
    return [_flat(f, "address", image_bytes)] if name == "load_config" else []


def resources(name: str, f: Fields) -> list[tuple[str, bool]]:
    """The L1 halves and configuration slots an instruction touches, and whether it changes them."""
    if name == "fill":
        return [(f"half {int(f['half'])}", True)]
    if name == "conv":
        return [(f"half {int(f['half'])}", False), ("active", False)]
    if name == "load_config":
        return [("shadow", True)]
    return [("shadow", True), ("active", True)] if name == "configure" else []
