"""What each resource of one machine is worth to one model: each resource halved and doubled, planned anew and timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.machine.description import Machine, load, schema_rows, with_settings
from sim.machine.errors import ReconError
from tools.explore.area import AreaCosts
from tools.explore.point import PointRow, evaluate
from tools.explore.space import machine_values
from tools.options import Planning
from tools.reports.compare import Study
from tools.terminal.console import shorten, table

NO_RESOURCE = ("energy.mac_fj", "energy.sram_fj_per_byte", "energy.dram_fj_per_byte", "dram.bytes", "dram.burst",
               "instruction_memory.bytes", "configuration.image_bytes")  # fmt: skip
"""Numbers of a machine file that cost energy, bound what can be run at all, or are sizes of a format."""


@dataclass(frozen=True)
class Change:
    """One resource at another value: the whole run planned for it. ``row.reason`` says why where there is no plan."""

    value: int
    row: PointRow


@dataclass(frozen=True)
class Resource:
    """A key of the machine, its value, and the run at half and at twice as much (None where that is no value);
    ``seconds`` is the run as the machine is."""

    key: str
    value: int
    halved: Change | None
    doubled: Change | None
    seconds: float

    @property
    def span(self) -> float:
        """How much it matters: the largest change of time in either direction, as a factor."""
        others = [change.row.seconds for change in (self.halved, self.doubled) if change is not None]
        return max((max(other / self.seconds, self.seconds / other) for other in others if other), default=1.0)


@dataclass(frozen=True)
class Sensitivity:
    """A model on a machine, and its resources, those that matter most first."""

    model: str
    machine: str
    now: PointRow
    resources: tuple[Resource, ...]

    def as_data(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Header and a row for each resource and change."""
        measures = ("cycles", "seconds", "energy_joules", "area_mm2", "dram_bytes")
        header = ("resource", "change", "value", "problem", *measures)
        rows: list[tuple[Any, ...]] = [("", "now", "", "", *(getattr(self.now, name) for name in measures))]
        for each in self.resources:
            for said, change in (("halved", each.halved), ("doubled", each.doubled)):
                if change is not None:
                    figures = (getattr(change.row, name) for name in measures)
                    rows.append((each.key, said, change.value, change.row.reason, *figures))
        return header, rows

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        header, rows = self.as_data()
        found = [dict(zip(header, row, strict=True)) for row in rows]
        return {"model": self.model, "machine": self.machine, "now": found[0], "changes": found[1:]}


def resources(machine: Machine) -> list[str]:
    """The keys that are halved and doubled: all numbers above 0 that time depends on."""
    values = machine_values(machine)
    return [key for key, kind, _ in schema_rows() if kind == "int" and values[key] and key not in NO_RESOURCE]


def sensitivity(
    study: Study, name: str, machine: str, planning: Planning, counter: Callable[[int, int], None] | None = None
) -> Sensitivity:
    """Plan a model for a machine and for all its neighbours; ReconError where the machine itself cannot run it."""
    base, area = load(machine), AreaCosts()

    def at(*settings: str) -> PointRow:
        return evaluate(study.module, study.context, with_settings(machine, settings), planning, area)

    now = at()
    if now.status != "ok":
        raise ReconError(now.reason)
    values, keys = machine_values(base), resources(base)
    found: list[Resource] = []
    for number, key in enumerate(keys):
        if counter is not None:
            counter(number, len(keys))
        value = int(values[key])
        changes = [
            Change(other, at(f"{key}={other}")) if other >= 1 else None
            for other in (value // 2 if value % 2 == 0 else 0, 2 * value)
        ]
        found.append(Resource(key, value, changes[0], changes[1], now.seconds or 0.0))
    return Sensitivity(name, base.name, now, tuple(sorted(found, key=lambda each: -each.span)))


def report(found: Sensitivity, width: int | None) -> str:
    """The table: what halving and doubling each resource does to time, energy and area."""
    now = found.now
    assert now.seconds is not None
    head = (
        f"{found.model} on {found.machine}: {1e3 * now.seconds:.3f} ms, {1e3 * (now.energy_joules or 0):.3g} mJ, "
        f"{now.area_mm2:.1f} mm² (estimates)"
    )
    rows = [
        [each.key, f"{each.value:,}", *_changes(each.halved, now), *_changes(each.doubled, now)]
        for each in found.resources
    ]
    header = ("resource", "now", "half: time", "energy", "mm²", "twice: time", "energy", "mm²")
    notes = list(
        dict.fromkeys(
            f"{each.key}={change.value}: {change.row.reason.splitlines()[0]}"
            for each in found.resources
            for change in (each.halved, each.doubled)
            if change is not None and change.row.status != "ok"
        )
    )
    shown = [shorten(note, width) if width else note for note in notes]
    return "\n".join([head, "", table(header, rows, range(1, 8)), *([""] if shown else []), *shown])


def _changes(change: Change | None, now: PointRow) -> tuple[str, str, str]:
    if change is None:
        return "", "", ""
    if change.row.status != "ok":
        return "no plan", "", ""
    time, energy = (_share(getattr(change.row, name), getattr(now, name)) for name in ("seconds", "energy_joules"))
    difference = (change.row.area_mm2 or 0.0) - (now.area_mm2 or 0.0)
    return time, energy, f"{difference:+.1f}" if abs(difference) >= 0.05 else "="


def _share(value: float, now: float) -> str:
    change = 100 * (value / now - 1)
    return f"{change:+.1f} %" if abs(change) >= 0.05 else "="
