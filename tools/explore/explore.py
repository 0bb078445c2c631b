"""A space explored: models prepared once, points that the store lacks computed, rows kept as they come."""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.machine.description import load
from sim.machine.errors import ReconError
from tools.explore.bundle import Bundle, Done, Point
from tools.explore.frontend import PreparedModel, base_text, prepare, version
from tools.explore.point import key_of
from tools.explore.space import DesignSpace, SpaceChoice, machine_values
from tools.explore.store import PointStore, StoredPoint, flat

if TYPE_CHECKING:
    from distributed import Client

MISSING = "This needs Dask and Optuna, which are not installed: pip install 'recon-compiler[explore]'."

COMMIT = 0.5
"""Seconds after which rows that came are kept: what a kill can cost."""

Report = Callable[[str], None]
Counter = Callable[[int, int], None]


@dataclass(frozen=True)
class Explored:
    """Rows of a space in the order of its points, how many of them were there before, and what all took in CPU
    seconds."""

    rows: tuple[StoredPoint, ...]
    found: int
    cpu_seconds: float


class Exploration:
    """A space, its models at the ``cnn`` level, and the store that it fills."""

    def __init__(self, space: DesignSpace, store: PointStore, report: Report | None = None):
        self.space, self.store = space, store
        self.models: dict[str, PreparedModel] = {}
        self.digests: dict[str, str] = {}
        for entry in space.models:
            if report is not None:
                report(f"reading {entry.name}")
            made = prepare(entry.file, entry.name, entry.assume_int8, entry.input_shapes)
            gc.collect()  # IR is full of circles, and a model may be large
            if made.digest in self.models:
                raise ReconError(
                    f"{space.where}: the models {self.models[made.digest].name} and {entry.name} are the same."
                )
            self.models[made.digest] = made
            self.digests[entry.name] = made.digest
        self.bundle = Bundle(self.models, {base: base_text(base) for base in space.bases}, space.area, version())

    def points(self, machines: Iterable[SpaceChoice]) -> list[Point]:
        """Every model with every planning on every machine: all of a machine, then all of the next."""
        found: list[Point] = []
        for choice in machines:
            machine = load(choice.machine)
            for digest in (self.digests[entry.name] for entry in self.space.tried(choice)):
                for planning in self.space.plannings:
                    key = key_of(digest, machine, planning, self.space.area, self.bundle.version)
                    found.append(Point(key, digest, choice.machine, planning))
        return list({point.key: point for point in found}.values())

    def explore(self, client: Client, points: Sequence[Point], counter: Counter | None = None) -> Explored:
        """The rows of these points, those that the store lacks computed first."""
        keys = [point.key for point in points]
        known = self.store.known(keys)
        missing = [point for point in points if point.key not in known]
        if counter is not None:
            counter(len(known), len(points))
        from tools.explore.engine import run

        for count, batch in _batches(run(client, self.bundle, missing) if missing else iter(())):
            self.store.add((self.flat(done), done.effort) for done in batch)
            if counter is not None:
                counter(len(known) + count, len(points))
        return Explored(tuple(self.store.rows(keys)), len(known), self.store.cpu_seconds(keys))

    def kept(self) -> Explored | None:
        """The rows of the space if the store has them all and nothing is left to compute."""
        if self.space.search is not None:
            return None
        keys = [point.key for point in self.points(self.space.machines())]
        if self.store.known(keys) != set(keys):
            return None
        return Explored(tuple(self.store.rows(keys)), len(keys), self.store.cpu_seconds(keys))

    def all_rows(self, client: Client, counter: Counter | None = None) -> Explored:
        """Every point of the space, or those that its search walks to."""
        if self.space.search is None:
            return self.explore(client, self.points(self.space.machines()), counter)
        from tools.explore.search import search

        found: list[Explored] = []
        total = self.space.search.trials * len(self.models) * len(self.space.plannings)

        def rows_of(machines: Sequence[SpaceChoice]) -> list[list[StoredPoint]]:
            before = sum(len(each.rows) for each in found)
            points = {choice: self.points([choice]) for choice in machines}

            def counting(part: int, _whole: int) -> None:
                if counter is not None:
                    counter(before + part, total)

            found.append(self.explore(client, [point for mine in points.values() for point in mine], counting))
            by_key = {row.values["key"]: row for row in found[-1].rows}
            return [[by_key[point.key] for point in mine if point.key in by_key] for mine in points.values()]

        search(self.space, self.space.search, rows_of)
        rows = {row.values["key"]: row for each in found for row in each.rows}
        return Explored(tuple(rows.values()), sum(each.found for each in found), self.store.cpu_seconds(list(rows)))

    def flat(self, done: Done) -> StoredPoint:
        """What was computed, as the store keeps it."""
        machine = {**machine_values(load(done.point.machine)), "name": load(done.point.machine).name}
        model = self.models[done.point.model]
        return flat(
            done.point.key, (model.name, model.digest), machine, done.point.planning, self.bundle.version, done.row
        )


def _batches(rows: Iterator[Done]) -> Iterator[tuple[int, list[Done]]]:
    """Rows as they come, in batches of COMMIT seconds, each with how many have come in all."""
    batch: list[Done] = []
    count, last = 0, time.monotonic()
    try:
        for row in rows:
            batch.append(row)
            count += 1
            if time.monotonic() - last >= COMMIT:
                yield count, batch
                batch, last = [], time.monotonic()
    except ReconError:
        if batch:
            yield count, batch
        raise
    if batch:
        yield count, batch


def check_installed() -> None:
    """ReconError if the extra is missing."""
    try:
        importlib.import_module("distributed")
        importlib.import_module("optuna")
    except ImportError:
        raise ReconError(MISSING) from None
