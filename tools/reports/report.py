"""What a run says about its cost: totals above, a row per layer below, 100 columns wide."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from sim.machine.description import Machine
from sim.statistics import LayerStatistics, Statistics
from tools.reports.host_report import summary
from tools.terminal.console import count, shorten, table

WIDTH = 100
"""Columns a report takes at most."""


def totals(statistics: Statistics, machine: Machine) -> str:
    """The whole network's numbers, a line each."""
    s = statistics
    bound = f"  {s.cycles_per_bound:.2f} × bound ({_bound(s)})" if s.cycles_per_bound else ""
    frames = f"  {s.frames_per_second:,.1f} frames per second" if s.frames_per_second else ""
    used = f"  {100 * s.utilization:.1f} % of {machine.array.lanes} per cycle" if s.utilization is not None else ""
    rows = [
        ("model", f"{s.model} on {s.machine}"),
        ("cycles", f"{s.cycles:,}{bound}"),
        ("time", f"{_time(s.seconds)} at {s.clock_hz / 1e6:,.0f} MHz{frames}"),
        ("MACs", f"{s.macs:,}{used}"),
        ("DRAM", f"{s.dram_read_bytes:,} bytes read  {s.dram_write_bytes:,} written"),
        ("SRAM", _sram(s, machine)),
        ("reconfigured", f"{s.reconfigurations} times  {s.configuration_bytes:,} bytes of images"),
        ("program", f"{s.instructions:,} instructions  {s.program_bytes:,} bytes, loaded once"),
        ("host", summary(s.host)),
        ("energy", f"{s.energy.total_joules * 1e6:,.1f} µJ, an estimate from unit energies"),
    ]
    return "\n".join(shorten(f"{name:<13} {text}", WIDTH) for name, text in rows)


def _sram(s: Statistics, machine: Machine) -> str:
    fullest = f"{s.sram_peak_bytes:,} of {machine.sram.bytes:,} bytes at the fullest"
    return f"{fullest}  fragmentation of the rest {100 * s.sram_fragmentation:.0f} %"


def _bound(s: Statistics) -> str:
    which = "compute" if s.compute_bound_cycles >= s.dram_bound_cycles else "DRAM"
    return f"{s.bound_cycles:,} by {which}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


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


HEADER = ("layer", "operator and shape", "MACs", "ops/B", "configuration", "cycles", "DRAM B", "limited by")
"""Columns of the table by layer."""

LEGEND = "channels in → rows x columns x channels; d direct, w winograd; cycles: share of the critical path"
"""The line under the table."""

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


def layers(statistics: Statistics, width: int = WIDTH) -> str:
    """The table by layer, its two text columns cut to fit the width."""
    rows = [_row(layer) for layer in statistics.layers]
    widths = [max(len(row[column]) for row in (HEADER, *rows)) for column in range(len(HEADER))]
    room = width - sum(widths[2:]) - 2 * (len(widths) - 1)
    shape = min(widths[1], max(len(HEADER[1]), room - min(widths[0], 12)))
    name = max(6, room - shape)
    return table(HEADER, [(_middle(row[0], name), shorten(row[1], shape), *row[2:]) for row in rows], (2, 3, 5, 6))


def _row(layer: LayerStatistics) -> tuple[str, ...]:
    return (
        layer.name,
        operator(layer.op, layer.shape),
        count(layer.macs),
        "-" if layer.ops_per_byte is None else count(layer.ops_per_byte),
        layer.configuration.replace("direct ", "d ").replace("winograd ", "w ") or "-",
        f"{layer.cycles:,}",
        count(layer.dram_read_bytes + layer.dram_write_bytes),
        SHORT.get(layer.limited_by, layer.limited_by),
    )


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
