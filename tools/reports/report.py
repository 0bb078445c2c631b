"""What a run says about its cost: totals above, a row per layer below.

On a terminal both take its width: the columns that matter least go first, and then names are cut. Into a file or a pipe
everything is written whole, for there is no screen that asks for less.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from sim.machine.description import Machine
from sim.machine.program import Program
from sim.statistics import LayerStatistics, Statistics
from tools.reports.host_report import summary
from tools.terminal.console import count, shorten, table

WIDTH = 100
"""Columns that lines of text take at most where no terminal says otherwise."""


def terminal_width() -> int | None:
    """Columns of the terminal on stdout, or as the variable COLUMNS says; None where there is neither."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return shutil.get_terminal_size((WIDTH, 0)).columns
    return None


def totals(statistics: Statistics, machine: Machine, width: int | None = None) -> str:
    """The whole network's numbers, a line each and longer ones in several."""
    s = statistics
    bound = f"  {s.cycles_per_bound:.2f} × bound ({_bound(s)})" if s.cycles_per_bound else ""
    apart = ", host time not included" if s.host_ops else ""
    frames = f"  {_rate(s.frames_per_second)} frames per second{apart}" if s.frames_per_second else ""
    used = f"  {100 * s.utilization:.1f} % of {machine.array.lanes} per cycle" if s.utilization is not None else ""
    rows = [
        ("model", f"{s.model} on {s.machine}"),
        ("cycles", f"{s.cycles:,}{bound}"),
        ("time", f"{seconds_text(s.seconds)} at {s.clock_hz / 1e6:,.0f} MHz{frames}"),
        *_frames(s),
        ("MACs", f"{s.macs:,}{used}"),
        ("DRAM", f"{s.dram_read_bytes:,} bytes read  {s.dram_write_bytes:,} written"),
        ("SRAM", _sram(s, machine)),
        ("reconfigured", f"{s.reconfigurations} times  {s.configuration_bytes:,} bytes of images"),
        ("program", f"{s.instructions:,} instructions  {s.program_bytes:,} bytes, loaded once"),
        ("host", summary(s.host)),
        ("energy", f"{s.energy.total_joules * 1e6:,.1f} µJ, an estimate from unit energies"),
    ]
    indent = 14 * " "
    lines: list[str] = []
    for name, text in rows:
        lines += textwrap.wrap(f"{name:<13} {text}", width or WIDTH, subsequent_indent=indent, break_on_hyphens=False,
                               drop_whitespace=True, replace_whitespace=False)  # fmt: skip
    return "\n".join(lines)


def rhythm_text(program: Program) -> str:
    """What frames in a row take, as the compiler predicts it."""
    r = program.rhythm
    assert r is not None
    frames = r.period * program.batch
    each = r.cycles / frames
    rate = _rate(program.machine.clock_hz / each)
    together = f" ({frames} together)" if frames > 1 else ""
    return (
        f"{each:,.0f} cycles each{together}, {rate} per second; prologue {r.prologue:,}, epilogue {r.epilogue:,}, "
        f"latency {r.latency:,} cycles; {r.resident_bytes:,} bytes stay, {r.frame_bytes // program.batch:,} come and go"
    )


def _frames(s: Statistics) -> list[tuple[str, str]]:
    """What is said of frames in a row: the cycles above are those of one body in the steady state."""
    f = s.frames
    if f is None:
        return []
    each = f"cycles above are {'a frame' if s.batch == 1 else f'{s.batch} frames'} of many"
    rest = f"prologue {f.prologue_cycles:,}  epilogue {f.epilogue_cycles:,}"
    return [
        (
            "frames",
            f"{f.frames:,} in {f.total_cycles:,} cycles ({seconds_text(f.total_cycles / s.clock_hz)}): {each}, {rest}",
        ),
        (
            "latency",
            f"{f.latency_cycles:,} cycles ({seconds_text(f.latency_seconds)}) from a frame's first load to its last",
        ),
        ("stays", f"{f.resident_bytes:,} bytes  {f.dram_bytes_per_frame:,.0f} cross the channel for each frame"),
    ]


def _rate(per_second: float) -> str:
    """Three digits that mean something: ``51,200``, ``87.3``, ``0.512``."""
    digits = max(0, 2 - math.floor(math.log10(per_second)))
    return f"{round(per_second, 2 - math.floor(math.log10(per_second))):,.{digits}f}"


def _sram(s: Statistics, machine: Machine) -> str:
    fullest = f"{s.sram_peak_bytes:,} of {machine.sram.bytes:,} bytes at the fullest"
    return f"{fullest}  fragmentation of the rest {100 * s.sram_fragmentation:.0f} %"


def _bound(s: Statistics) -> str:
    which = "compute" if s.compute_bound_cycles >= s.dram_bound_cycles else "DRAM"
    return f"{s.bound_cycles:,} by {which}"


def seconds_text(seconds: float) -> str:
    """``1.250 ms``, ``21.7 µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


def megabytes(size: float) -> str:
    """Millions of bytes with digits that say something: ``12.40``, ``0.0031``."""
    return f"{size / 1e6:.2f}" if size >= 1e5 else f"{size / 1e6:.4f}"


def outputs_table(outputs: Mapping[str, npt.NDArray[Any]]) -> str:
    """A row for each output of the model: its type and shape, its least and its greatest value."""
    rows = [
        (name, f"{tensor.dtype.name} {'x'.join(map(str, tensor.shape)) or 'scalar'}", *_reach(tensor))
        for name, tensor in outputs.items()
    ]
    return table(("output", "type and shape", "least", "greatest"), rows, (2, 3))


def _reach(tensor: npt.NDArray[Any]) -> tuple[str, str]:
    if not tensor.size:
        return "-", "-"
    least, greatest = tensor.min().item(), tensor.max().item()
    return (f"{least:.6g}", f"{greatest:.6g}") if tensor.dtype.kind == "f" else (f"{least}", f"{greatest}")


HEADER = (
    "layer", "operator and shape", "MACs", "ops/B", "configuration", "own", "used", "critical", "DRAM B", "limited by",
)  # fmt: skip
"""Columns of the table by layer."""

LEGEND = (
    "channels in → rows x columns x channels; d direct, w winograd; own: cycles in which its unit works; used: part of "
    "all lanes in them; critical: its share of the {:,} cycles, 0 where it hides behind others"
)
"""What stands under the table."""

_NUMBERS = (2, 3, 5, 6, 7, 8)
"""Columns that are numbers."""

_DISPENSABLE = (3, 8, 4)
"""Columns that a narrow terminal goes without, the first of them first."""

_LEAST = (10, 22)
"""Characters that names and shapes keep before another column goes."""


SHORT = {
    "conv2d": "conv",
    "fully_connected": "fc",
    "max_pool2d": "max_pool",
    "average_pool2d": "avg_pool",
    "global_average_pool": "global_avg",
    "reconfiguration": "reconfig",
    "dram": "DRAM",
}
"""Shorter words for operations and terms."""


def layers(statistics: Statistics, lanes: int, width: int | None = None) -> str:
    """The table by layer and its legend; ``width`` None cuts nothing, ``lanes`` are the machine's multipliers."""
    rows = [_row(layer, lanes) for layer in statistics.layers]
    columns = list(range(len(HEADER)))
    widths = [max(len(row[column]) for row in (HEADER, *rows)) for column in columns]
    if width is not None:
        for column in _DISPENSABLE:
            if _room(widths, columns, width) < sum(map(min, widths[:2], _LEAST)):
                columns.remove(column)
        room = _room(widths, columns, width)
        shape = min(widths[1], max(len(HEADER[1]), room - min(widths[0], _LEAST[0])))
        name = max(8, room - shape)
        rows = [(_middle(row[0], name), shorten(row[1], shape), *row[2:]) for row in rows]
    shown = [[row[column] for column in columns] for row in (HEADER, *rows)]
    numbers = [place for place, column in enumerate(columns) if column in _NUMBERS]
    legend = textwrap.wrap(LEGEND.format(statistics.cycles), width or WIDTH)
    return "\n".join([table(shown[0], shown[1:], numbers), *legend])


def _room(widths: Sequence[int], columns: Sequence[int], width: int) -> int:
    """What is left for the two columns of text."""
    return width - sum(widths[column] for column in columns[2:]) - 2 * (len(columns) - 1)


def _row(layer: LayerStatistics, lanes: int) -> tuple[str, ...]:
    own = layer.array_busy + layer.vector_busy
    return (
        layer.name,
        operator(layer.op, layer.shape),
        count(layer.macs),
        "-" if layer.ops_per_byte is None else count(layer.ops_per_byte),
        layer.configuration.replace("direct ", "d ").replace("winograd ", "w ") or "-",
        f"{own:,}",
        f"{100 * layer.macs / (lanes * layer.array_busy):.0f} %" if layer.array_busy and layer.macs else "-",
        f"{layer.cycles:,}",
        count(layer.dram_read_bytes + layer.dram_write_bytes),
        SHORT.get(layer.limited_by, layer.limited_by),
    )


def layers_as_data(statistics: Statistics) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Header and rows of the table by layer as data: the entries of the statistics, terms apart."""
    layers = statistics.to_json()["layers"]
    terms = list(statistics.layers[0].terms) if statistics.layers else []
    plain = [entry.name for entry in dataclasses.fields(LayerStatistics) if entry.name != "terms"]
    rows = [(*(layer[name] for name in plain), *(layer["terms"][term] for term in terms)) for layer in layers]
    return (*plain, *(f"terms.{term}" for term in terms)), rows


def operator(op: str, shape: str) -> str:
    """``conv 3x3/2 16→24x24x32`` for conv2d and ``48x48x16 -> 24x24x32 3x3/2``; other texts as they are."""
    op = SHORT.get(op, op)
    match = re.fullmatch(r"\d+x\d+x(\d+) -> (\d+x\d+x\d+) (\d+x\d+\S*)(?: in (\d+) groups)?", shape)
    if match is None:
        before, arrow, after = shape.partition(" -> ")
        return f"{op} {before}" if before == after or not arrow else f"{op} {before}→{after}"
    inputs, output, kernel, groups = match.groups()
    if groups == inputs:
        return f"depthwise {kernel} {output}"
    return " ".join([op, kernel, *([f"g{groups}"] if groups else []), f"{inputs}→{output}"])


def _middle(name: str, width: int) -> str:
    """A name cut in its middle: beginnings say what, ends say which."""
    if len(name) <= width:
        return name
    tail = width // 2
    return f"{name[: width - tail - 1]}…{name[-tail:]}"
