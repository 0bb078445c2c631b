"""Runs beside each other: of frames in a row what one of them takes, so that it can be compared with any other run.

Statistics of a program whose text repeats are of as many frames as have one rhythm together, and two programs seldom
have the same number. Here everything is divided by it; whole numbers are rounded, so layers may miss the total by some
cycles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sim.statistics import LayerStatistics, Statistics
from tools.reports.report import seconds_text

_OF_ALL = (
    "cycles", "bound_cycles", "compute_bound_cycles", "dram_bound_cycles", "bound2_cycles", "bound3_cycles",
    "array_bound_cycles", "vector_bound_cycles", "macs", "dram_read_bytes", "dram_write_bytes", "dram_burst_bytes",
    "configuration_bytes", "program_read_bytes",
)  # fmt: skip
"""Numbers of a run that grow with the frames they are of."""

_OF_LAYER = ("cycles", "macs", "array_busy", "vector_busy", "channel_busy", "dram_read_bytes", "dram_write_bytes")
"""Those of a layer."""

HEADER = ("frames in a row", "cycles each", "per second", "latency", "prologue", "stays", "DRAM B each")
"""Columns of ``rows``."""


def per_frame(s: Statistics) -> Statistics:
    """The statistics of one frame; the same ones where frames are not in a row."""
    if s.frames is None or s.batch == 1:
        return s
    e, n = s.energy, s.batch
    parts = {name: getattr(e, name) / n for name in ("array_joules", "sram_joules", "dram_joules", "total_joules")}
    return dataclasses.replace(
        s,
        **{name: round(getattr(s, name) / n) for name in _OF_ALL},
        seconds=s.seconds / n,
        batch=1,
        energy=dataclasses.replace(e, **parts),
        layers=tuple(_layer(layer, n) for layer in s.layers),
    )


def _layer(layer: LayerStatistics, n: int) -> LayerStatistics:
    terms = {term: round(cycles / n) for term, cycles in layer.terms.items()}
    return dataclasses.replace(layer, terms=terms, **{name: round(getattr(layer, name) / n) for name in _OF_LAYER})


def rows(runs: Sequence[tuple[str, Statistics]]) -> list[list[str]]:
    """A row of HEADER for each run (by its name, its statistics as they are or of one frame) of frames in a row."""
    found: list[list[str]] = []
    for name, s in runs:
        f = s.frames
        if f is None:
            continue
        found.append(
            [name, f"{f.cycles_per_frame:,.0f}", f"{f.frames_per_second:,.0f}",
             seconds_text(f.latency_seconds), f"{f.prologue_cycles:,}", f"{f.resident_bytes:,}",
             f"{f.dram_bytes_per_frame:,.0f}"]
        )  # fmt: skip
    return found
