"""What the rows of a space teach: the best machine for each model and for all, fronts, and what each parameter moves.

A *design* is a machine with the planner's options. The best design for a model keeps the goal's condition and has the
least cost; the best for all keeps it for every model and has the least geometric mean of its cost over each model's own
best, so that no model counts for more because its numbers are larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.machine.errors import ReconError
from tools.explore.expressions import Value
from tools.explore.space import Goal
from tools.explore.store import COLUMNS, MACHINE_KEYS, PLANNED, StoredPoint

FRONT = ("seconds", "area_mm2", "energy_joules")
"""What a front trades."""

Design = tuple[object, ...]


@dataclass(frozen=True)
class Best:
    """A design and what it costs by the goal; ``row`` is one of its rows."""

    row: StoredPoint
    cost: float

    @property
    def machine(self) -> str:
        """Its machine's name."""
        return str(self.row.values["machine"])


@dataclass(frozen=True)
class ForAll:
    """The best design for all models: its rows by model, and ``excess``, its cost over each model's own best."""

    rows: Mapping[str, StoredPoint]
    excess: Mapping[str, float]

    @property
    def mean(self) -> float:
        """The geometric mean of the excess: what generality costs."""
        return math.exp(sum(map(math.log, self.excess.values())) / len(self.excess))

    @property
    def row(self) -> StoredPoint:
        """The row of the first model."""
        return next(iter(self.rows.values()))


@dataclass(frozen=True)
class Effect:
    """What one parameter moves: for each of its values the factor on seconds, relative to its first."""

    key: str
    values: tuple[object, ...]
    factors: tuple[float, ...]

    @property
    def span(self) -> float:
        """The largest factor over the least."""
        return max(self.factors) / min(self.factors)


@dataclass(frozen=True)
class Findings:
    """Everything the page and the summary say; ``fixed`` and ``free`` are the best for all among arrays of one
    configuration and among the others, None where there are none that keep the goal."""

    models: tuple[str, ...]
    rows: tuple[StoredPoint, ...]
    axes: Mapping[str, tuple[object, ...]]
    best: Mapping[str, Best | None]
    for_all: ForAll | None
    fixed: ForAll | None
    free: ForAll | None
    fronts: Mapping[str, tuple[StoredPoint, ...]]
    effects: Mapping[str, tuple[Effect, ...]]

    def as_data(self) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """Header and all rows, as the store has them."""
        return tuple(COLUMNS), [tuple(row.values[name] for name in COLUMNS) for row in self.rows]


def findings(
    rows: Sequence[StoredPoint],
    goal: Goal,
    derived: Iterable[str] = (),
    together: Mapping[str, Sequence[str]] | None = None,
) -> Findings:
    """What rows teach, by a goal; ReconError where the goal names what no row has.

    ``derived`` keys follow from others and are no parameters of their own; keys that vary ``together`` are one, by its
    name.
    """
    models = tuple(dict.fromkeys(str(row.values["model"]) for row in rows))
    follow = set(derived)
    axes = {key: values for key, values in varying(rows).items() if key not in follow}
    of_model = {name: [row for row in rows if row.values["model"] == name and row.ok] for name in models}
    costs = {row.values["key"]: cost for row in rows if row.ok and (cost := cost_of(row, goal)) is not None}
    best: dict[str, Best | None] = {}
    for name, mine in of_model.items():
        good = [Best(row, costs[row.values["key"]]) for row in mine if row.values["key"] in costs]
        best[name] = min(good, key=lambda each: each.cost) if good else None
    return Findings(
        models,
        tuple(rows),
        axes,
        best,
        _for_all(rows, models, best, costs, lambda _: True),
        _for_all(rows, models, best, costs, is_fixed),
        _for_all(rows, models, best, costs, lambda row: not is_fixed(row)),
        {name: tuple(front(mine, FRONT)) for name, mine in of_model.items()},
        {name: tuple(_effects(mine, axes, together or {})) for name, mine in of_model.items()},
    )


def cost_of(row: StoredPoint, goal: Goal) -> float | None:
    """What a row costs by the goal, None where its condition does not hold."""
    names: dict[str, Value] = {name: value for name, value in row.values.items() if value is not None}
    if goal.where is not None and not goal.where.value(names):
        return None
    cost = goal.least.value(names)
    if isinstance(cost, str) or cost <= 0:
        raise ReconError(f'{goal.least.where}: "{goal.least.text}" must be a number above 0, not {cost!r}.')
    return float(cost)


def varying(rows: Iterable[StoredPoint]) -> dict[str, tuple[object, ...]]:
    """Keys of the machine and options of the planner that differ among rows, each with its values in order."""
    found: dict[str, tuple[object, ...]] = {}
    rows = list(rows)
    for key in (*MACHINE_KEYS, *PLANNED):
        values = {row.values[key] for row in rows}
        if len(values) > 1:
            found[key] = tuple(sorted(values, key=_by_size))
    return found


def is_fixed(row: StoredPoint) -> bool:
    """Whether the array takes one configuration only."""
    listed = str(row.values["array.configurations"])
    return bool(listed) and "+" not in listed


def design(row: StoredPoint) -> Design:
    """What rows of several models have in common that are one design."""
    return tuple(row.values[key] for key in (*MACHINE_KEYS, *PLANNED))


def _for_all(
    rows: Sequence[StoredPoint],
    models: Sequence[str],
    best: Mapping[str, Best | None],
    costs: Mapping[str, float],
    wanted: Callable[[StoredPoint], bool],
) -> ForAll | None:
    designs: dict[Design, dict[str, StoredPoint]] = {}
    for row in rows:
        if row.values["key"] in costs and wanted(row):
            designs.setdefault(design(row), {})[str(row.values["model"])] = row
    found: list[ForAll] = []
    for mine in designs.values():
        if len(mine) == len(models):
            excess: dict[str, float] = {}
            for name in models:
                own = best[name]
                assert own is not None
                excess[name] = costs[mine[name].values["key"]] / own.cost
            found.append(ForAll({name: mine[name] for name in models}, excess))
    return min(found, key=lambda each: each.mean) if found else None


def front(rows: Sequence[StoredPoint], measures: Sequence[str]) -> list[StoredPoint]:
    """The rows that no other is better than in one measure and as good in all, by the first measure; of equal ones the
    first."""
    kept: list[StoredPoint] = []
    points: list[tuple[float, ...]] = []
    for row in sorted(rows, key=lambda each: tuple(each.values[name] for name in measures)):
        point = tuple(float(row.values[name]) for name in measures)
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in points):
            kept.append(row)
            points.append(point)
    return kept


def parameters(
    rows: Sequence[StoredPoint], axes: Mapping[str, tuple[object, ...]], together: Mapping[str, Sequence[str]]
) -> dict[str, list[object]]:
    """What varies, with its value in each row.

    Keys that a space sets ``together`` are one parameter, told in one text; so are keys that happen to change together
    only: ``array.configurations, array.winograd``.
    """
    groups = {name: [key for key in keys if key in axes] for name, keys in together.items()}
    bundled = {key for keys in groups.values() for key in keys}
    groups = {name: keys for name, keys in groups.items() if keys} | {key: [key] for key in axes if key not in bundled}
    alike: dict[tuple[int, ...], list[str]] = {}
    values: dict[str, list[object]] = {}
    for name, keys in groups.items():
        told = [", ".join(str(row.values[key]) or "any" for key in keys) for row in rows]
        values[name] = [row.values[keys[0]] for row in rows] if len(keys) == 1 else [*told]
        order = list(dict.fromkeys(values[name]))
        if len(order) > 1:
            alike.setdefault(tuple(order.index(value) for value in values[name]), []).append(name)
    return {
        ", ".join(names): values[names[0]]
        if len(names) == 1
        else [", ".join(str(each) or "any" for each in one) for one in zip(*(values[n] for n in names), strict=True)]
        for names in alike.values()
    }


def _effects(
    rows: Sequence[StoredPoint], axes: Mapping[str, tuple[object, ...]], together: Mapping[str, Sequence[str]]
) -> list[Effect]:
    """Main effects: least squares of log2(seconds) on the values of every parameter, each a category of its own.

    Over a whole product these are ratios of geometric means; over a sample the others' imbalance is taken out.
    """
    given = parameters(rows, axes, together)
    present = {key: sorted(set(mine), key=_by_size) for key, mine in given.items()}
    if len(rows) < 2 or not present:
        return []
    columns = [np.ones(len(rows))]
    for key, values in present.items():
        columns += [np.array([value == one for one in given[key]], float) for value in values[1:]]
    seconds = np.log2(np.array([row.values["seconds"] for row in rows], float))
    solution = np.linalg.lstsq(np.stack(columns, axis=1), seconds, rcond=None)[0]
    found: list[Effect] = []
    place = 1
    for key, values in present.items():
        shifts = [0.0, *solution[place : place + len(values) - 1].tolist()]
        place += len(values) - 1
        found.append(Effect(key, tuple(values), tuple(2.0**shift for shift in shifts)))
    return sorted(found, key=lambda effect: -effect.span)


def _by_size(value: Any) -> tuple[bool, bool, Any]:
    return isinstance(value, str), value is not None, value
