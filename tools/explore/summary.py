"""What ``recon explore`` prints: the best machine for each model and for all, what generality costs, what moves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tools.explore.findings import Findings, ForAll
from tools.explore.space import DesignSpace, Goal
from tools.explore.store import StoredPoint
from tools.terminal.console import table

REASONS = 5
"""Reasons of refusals that are shown, the most frequent first."""

EFFECTS = 3
"""Parameters shown of each model."""


def summary(found: Findings, goal: Goal) -> str:
    """The whole text."""
    first, *more = sentences(found, goal)
    parts = [first, _best(found), " ".join(more), _effects(found), _refusals(found.rows)]
    return "\n\n".join(part for part in parts if part)


def extent(space: DesignSpace) -> str:
    """How much there is to do, before any of it is done; ReconError where that is nothing, or too much."""
    each = f"{counted(len(space.models), 'model')} with {counted(len(space.plannings), 'set')} of options"
    search = space.search
    if search is not None:
        points = counted(search.trials * len(space.models) * len(space.plannings), "point")
        return f"At most {points}: {each} on {counted(search.trials, 'machine')} of {space.size:,}, searched for."
    machines = space.machines()
    points = counted(sum(len(space.tried(one)) for one in machines) * len(space.plannings), "point")
    return f"{points}: {each} on {counted(len(machines), 'machine')} of {space.size:,}."


def counted(number: int, what: str) -> str:
    """``1 point``, ``2,000 points``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def sentences(found: Findings, goal: Goal) -> list[str]:
    """What there is to say, a sentence or two each."""
    count = sum(row.ok for row in found.rows)
    said = f"Best is the least {goal.least.text}" + (f" where {goal.where.text}" if goal.where is not None else "")
    return [
        f"{count:,} of {counted(len(found.rows), 'point')} {'has' if len(found.rows) == 1 else 'have'} a plan. {said}.",
        *_generality(found),
    ]


def label(row: StoredPoint, axes: Sequence[str]) -> str:
    """A machine by what varies: ``array.lanes=1024, sram.bytes=1048576``."""
    return ", ".join(f"{key}={row.values[key]}" for key in axes if row.values[key] not in (None, ""))


def _best(found: Findings) -> str:
    axes = list(found.axes)
    rows: list[list[str]] = []
    for name, best in found.best.items():
        rows.append([name, *(_figures(best.row, axes) if best is not None else ["none", "", "", "", ""])])
    if len(found.models) > 1:
        for name, row in found.for_all.rows.items() if found.for_all is not None else ():
            rows.append([f"all: {name}", *_figures(row, axes)])
    header = ("best for", "frames/s", "mm²", "mJ", "DRAM MB", "machine")
    return table(header, rows, range(1, 5))


def _figures(row: StoredPoint, axes: Sequence[str]) -> list[str]:
    v = row.values
    return [
        f"{v['frames_per_second']:.1f}",
        f"{v['area_mm2']:.1f}",
        f"{1e3 * v['energy_joules']:.3g}",
        f"{v['dram_bytes'] / 1e6:.2f}",
        label(row, axes) or str(v["machine"]),
    ]


def _generality(found: Findings) -> list[str]:
    if len(found.models) < 2:
        return []
    if found.for_all is None:
        return ["No machine of the space is good for all models."]
    lines = [f"One machine for all costs {_times(found.for_all)} the best for each."]
    if found.fixed is not None and found.free is not None:
        factor = found.fixed.mean / found.free.mean
        lines.append(
            f"The best array of one configuration costs {_times(found.fixed)}, the best that reconfigures "
            f"{_times(found.free)}: reconfiguration gives back a factor of {factor:.2f}."
        )
    return lines


def _times(best: ForAll) -> str:
    return f"{best.mean:.2f} times"


def _effects(found: Findings) -> str:
    rows = [
        [name, effect.key, f"{effect.span:.2f}", ", ".join(
            f"{value}: {factor:.2f}" for value, factor in zip(effect.values, effect.factors, strict=True))]
        for name, effects in found.effects.items()
        for effect in effects[:EFFECTS]
    ]  # fmt: skip
    return (
        table(("model", "what moves its time", "by", "seconds relative to the first value"), rows, (2,)) if rows else ""
    )


def _refusals(rows: Sequence[StoredPoint]) -> str:
    reasons = Counter(str(row.values["reason"]).splitlines()[0] for row in rows if not row.ok)
    if not reasons:
        return ""
    lines = [f"{count:,} × {reason}" for reason, count in reasons.most_common(REASONS)]
    rest = len(reasons) - len(lines)
    return "\n".join(["No plan:", *lines, *([f"and {rest:,} other reasons"] if rest > 0 else [])])
