"""Two programs layer by layer: before and after a change of the compiler, of the machine or of the network.

Layers are the same where they bear one name. What a layer costs is told twice: its share of the critical path, which
adds up to the run, and its own cycles, those of the unit that works longest for it, which hide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.machine.errors import ReconError
from sim.machine.program import load
from sim.statistics import LayerStatistics, Statistics
from tools.driver import Report
from tools.options import Planning
from tools.reports.compare import Study
from tools.reports.compare_report import grid
from tools.reports.per_frame import HEADER, per_frame, rows
from tools.reports.report import megabytes, operator
from tools.runtime import run_program

LAYERS = 12
"""Layers shown, those whose share of the critical path changed most."""

CLIFF = 1.5
"""A layer falls off a cliff where its own cycles for a multiply-accumulate grow by more than this factor …"""

NOTABLE = 0.01
"""… and it takes at least this part of the run."""


@dataclass(frozen=True)
class LayerChange:
    """One layer before and after; None where it is not there."""

    name: str
    before: LayerStatistics | None
    after: LayerStatistics | None
    new_shape: bool
    """Whether nothing before had its operator and shape."""

    @property
    def operator(self) -> str:
        """What it is, for people; as it is after the change where it is in both."""
        layer = self.after or self.before
        assert layer is not None
        return operator(layer.op, layer.shape)

    @property
    def difference(self) -> int:
        """Cycles by which its share of the critical path grew."""
        before, after = (layer.cycles if layer is not None else 0 for layer in (self.before, self.after))
        return after - before

    @property
    def slowdown(self) -> float | None:
        """The factor on its own cycles per multiply-accumulate (per layer if it has none); None without both, and where
        another operator bears the name."""
        if self.before is None or self.after is None or not own(self.before):
            return None
        kinds = {operator(layer.op, layer.shape).rpartition(" ")[0] for layer in (self.before, self.after)}
        if len(kinds) > 1:
            return None
        return own(self.after) / own(self.before) / (self.after.macs / self.before.macs if self.before.macs else 1)


def own(layer: LayerStatistics) -> int:
    """Cycles of the unit that works longest for a layer."""
    return max(layer.array_busy, layer.vector_busy, layer.channel_busy)


@dataclass(frozen=True)
class Changes:
    """Two runs and their layers, in the order of the later run; those that are gone stand at the end."""

    before: Statistics
    after: Statistics
    layers: tuple[LayerChange, ...]

    @property
    def growth(self) -> float:
        """How much slower the run became: 0.02 for two per cent more cycles."""
        return self.after.cycles / self.before.cycles - 1 if self.before.cycles else 0.0

    @property
    def cliffs(self) -> list[LayerChange]:
        """Layers that fell off a cliff."""
        found = [each for each in self.layers if each.after is not None and (each.slowdown or 0) > CLIFF]
        return [each for each in found if each.after and own(each.after) >= NOTABLE * self.after.cycles]

    def as_data(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Header and a row per layer."""
        columns = ("cycles", "own_cycles", "macs", "dram_bytes", "configuration")
        header = ("layer", "operator", *(f"{name}_{when}" for when in ("before", "after") for name in columns))
        return header, [
            (each.name, each.operator, *_figures(each.before), *_figures(each.after)) for each in self.layers
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        header, rows = self.as_data()
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "growth": self.growth,
            "cliffs": [each.name for each in self.cliffs],
            "new_shapes": [each.name for each in self.layers if each.new_shape],
            "layers": [dict(zip(header, row, strict=True)) for row in rows],
        }


def _figures(layer: LayerStatistics | None) -> tuple[Any, ...]:
    if layer is None:
        return (None,) * 5
    moved = layer.dram_read_bytes + layer.dram_write_bytes
    return layer.cycles, own(layer), layer.macs, moved, layer.configuration


def changes(before: Statistics, after: Statistics) -> Changes:
    """What is different between two runs; of frames in a row, between one frame and another."""
    before, after = per_frame(before), per_frame(after)
    old = {layer.name: layer for layer in before.layers}
    new = {layer.name: layer for layer in after.layers}
    shapes = {operator(layer.op, layer.shape) for layer in before.layers}
    return Changes(
        before,
        after,
        tuple(
            LayerChange(
                name,
                old.get(name),
                new.get(name),
                name in new and operator(new[name].op, new[name].shape) not in shapes,
            )
            for name in [*new, *(name for name in old if name not in new)]
        ),
    )


def statistics_of(
    path: str,
    machine: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    planning: Planning | None = None,
    report: Report | None = None,
) -> Statistics:
    """The timed run of a program file, or of a model planned for a machine."""
    if Path(path).suffix in (".onnx", ".mlir"):
        program = Study(path, input_shapes, assume_int8, report).program(machine, planning)
    else:
        program = load(path)
    return run_program(program, timing_only=True).statistics


def percentage(text: str) -> float:
    """``2%`` or ``2`` as 0.02; ReconError for anything else."""
    try:
        value = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise ReconError(f"--fail-above {text}: write a percentage such as 2%.")
    return value


def verdict(found: Changes, allowed: float) -> str | None:
    """Why a run is slower than allowed, with the layers that made it so; None where it is not."""
    if found.growth <= allowed:
        return None
    slower = sorted((each for each in found.layers if each.difference > 0), key=lambda each: -each.difference)[:3]
    names = ", ".join(f"{each.name} {each.difference:+,}" for each in slower)
    return (
        f"{found.after.model} takes {found.after.cycles:,} cycles, {100 * found.growth:.2f} % more than the "
        f"{found.before.cycles:,} before, and --fail-above allows {100 * allowed:g} %. The layers that grew most on "
        f"the critical path: {names}."
    )


def report(found: Changes, width: int | None) -> str:
    """The tables."""
    b, a = found.before, found.after
    runs = [
        [s.model, s.machine, f"{s.cycles:,}", f"{s.macs:,}", megabytes(s.dram_read_bytes + s.dram_write_bytes),
         f"{1e6 * s.energy.total_joules:.4g}"]
        for s in (b, a)
    ]  # fmt: skip
    parts = [
        grid(f"Before and after: {100 * found.growth:+.2f} % cycles",
             ("model", "machine", "cycles", "MACs", "DRAM MB", "µJ"), runs, texts=2, width=width)
    ]  # fmt: skip
    if many := rows([("before", b), ("after", a)]):
        parts.append(grid("The numbers above and below are of one frame", HEADER, many, width=width))
    moved = sorted((each for each in found.layers if each.difference), key=lambda each: -abs(each.difference))
    shown = [
        [each.name, each.operator, _cell(each.before), _cell(each.after), f"{each.difference:+,}", _slowdown(each)]
        for each in moved[:LAYERS]
    ]
    header = ("layer", "operator and shape", "before", "after", "change", "own")
    title = "Largest changes by layer, in cycles of the critical path; own: factor on the layer's own cycles per MAC"
    parts.append(grid(title, header, shown, texts=2, width=width) if shown else "No layer changed its share.")
    return "\n\n".join([*parts, *remarks(found)])


def remarks(found: Changes) -> list[str]:
    """Layers that came, went, have a new shape, or fell off a cliff."""
    lists = {
        "layers only before": [each.name for each in found.layers if each.after is None],
        "layers only after": [each.name for each in found.layers if each.before is None],
        "shapes that nothing had before": [each.name for each in found.layers if each.new_shape],
        "fell off a cliff": [each.name for each in found.cliffs],
    }
    return [
        f"{said}: {', '.join(names[:LAYERS])}" + (f" and {len(names) - LAYERS} more" if len(names) > LAYERS else "")
        for said, names in lists.items()
        if names
    ]


def _cell(layer: LayerStatistics | None) -> str:
    return "-" if layer is None else f"{layer.cycles:,}"


def _slowdown(each: LayerChange) -> str:
    return "-" if each.slowdown is None else f"{each.slowdown:.2f}"
