"""What a run says about its cost: totals above, a row per layer below, 100 columns wide."""

from __future__ import annotations

from sim.machine import Machine
from sim.statistics import LayerStatistics, Statistics
from tools.console import count, shorten, table

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
        ("reconfigured", f"{s.reconfigurations} times  {s.configuration_bytes:,} bytes of images"),
        ("program", f"{s.instructions:,} instructions  {s.program_bytes:,} bytes, loaded once"),
        ("host", f"{s.host_ops} operators{': ' if s.host_ops else ''}{', '.join(s.host_operators)}"),
        ("energy", f"{s.energy.total_joules * 1e6:,.1f} µJ, an estimate from unit energies"),
    ]
    return "\n".join(shorten(f"{name:<13} {text}", WIDTH) for name, text in rows)


def _bound(s: Statistics) -> str:
    which = "compute" if s.compute_bound_cycles >= s.dram_bound_cycles else "DRAM"
    return f"{s.bound_cycles:,} by {which}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


HEADER = ("layer", "operator and shape", "MACs", "ops/B", "configuration", "cycles", "DRAM B", "limited by")
"""Columns of the table by layer."""

_FIXED = {1: 30, 4: 24, 7: 15}
"""Widest a text column may get; the layer's name takes what is left."""


def layers(statistics: Statistics) -> str:
    """The table by layer."""
    rows = [_row(layer) for layer in statistics.layers]
    for column, width in _FIXED.items():
        rows = [(*row[:column], shorten(row[column], width), *row[column + 1 :]) for row in rows]
    others = sum(max(len(row[column]) for row in (HEADER, *rows)) + 2 for column in range(1, len(HEADER)))
    room = max(6, WIDTH - others)
    rows = [(_middle(row[0], room), *row[1:]) for row in rows]
    return table(HEADER, rows, numeric=(2, 3, 5, 6))


def _row(layer: LayerStatistics) -> tuple[str, ...]:
    return (
        layer.name,
        f"{layer.op} {layer.shape}".replace(" -> ", "→"),
        count(layer.macs),
        "-" if layer.ops_per_byte is None else count(layer.ops_per_byte),
        layer.configuration.replace("direct ", "d ").replace("winograd ", "w ") or "-",
        f"{layer.cycles:,}",
        count(layer.dram_read_bytes + layer.dram_write_bytes),
        {"input": "input stream", "output": "output stream", "dram": "DRAM"}.get(layer.limited_by, layer.limited_by),
    )


def _middle(name: str, width: int) -> str:
    """A name cut at its beginning, since its end tells layers apart."""
    return name if len(name) <= width else "…" + name[-(width - 1) :]
