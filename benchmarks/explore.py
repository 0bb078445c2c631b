"""What many points cost on this computer: ``make explore``.

    python benchmarks/explore.py                 500 points of the space of many_machines.toml
    python benchmarks/explore.py --points 10000  all of it: some hours

Printed is what was measured; only the last line is projected, and says so. CPU seconds are the system's, of all
processes; memory is each worker's peak.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

import psutil
from networks import cached

from tools.explore.bundle import Point
from tools.explore.engine import cluster
from tools.explore.explore import Exploration, Explored
from tools.explore.space_file import read_space
from tools.explore.store import PointStore
from tools.reports.compare import Study
from tools.runtime import run_program

SPACE = Path(__file__).parent / "many_machines.toml"
ALL = 10_000
CHECKED = 5
"""Points that are compiled by the whole road as well."""


def everybody() -> float:
    """CPU seconds so far of this process and of all that it started and that live."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def line(name: str, text: str) -> None:
    """A line of the table."""
    print(f"{name:26} {text}", flush=True)


def quarters(store: Path) -> tuple[float, float, int, int]:
    """CPU seconds per point and the workers' peak bytes in the first and in the last quarter of each worker's points.

    The first points of a worker, which open the models, are left out of the seconds.
    """
    connection = sqlite3.connect(store)
    rows = connection.execute("SELECT process, place, cpu_seconds, peak_bytes FROM effort ORDER BY process, place")
    by_process: dict[str, list[tuple[int, float, int]]] = {}
    for process, place, seconds, peak in rows:
        by_process.setdefault(process, []).append((place, seconds, peak))
    connection.close()
    first: list[float] = []
    last: list[float] = []
    peaks: list[tuple[int, int]] = []
    for mine in by_process.values():
        part = max(1, len(mine) // 4)
        first += [seconds for place, seconds, _ in mine[: part + 10] if place > 10]
        last += [seconds for _, seconds, _ in mine[-part:]]
        peaks.append((mine[part - 1][2], mine[-1][2]))
    mean = [sum(values) / max(1, len(values)) for values in (first, last)]
    return mean[0], mean[1], max(early for early, _ in peaks), max(late for _, late in peaks)


def check(exploration: Exploration, points: Sequence[Point], explored: Explored) -> str:
    """Compile a few points by the whole road, proofs included, and run their programs; SystemExit if one differs."""
    rows = {row.values["key"]: row.values for row in explored.rows if row.ok}
    files = {
        made.digest: entry for made, entry in zip(exploration.models.values(), exploration.space.models, strict=True)
    }
    drawn = random.Random(0).sample([point for point in points if point.key in rows], CHECKED)
    for point in drawn:
        entry = files[point.model]
        study = Study(entry.file, assume_int8=entry.assume_int8)
        found = run_program(study.program(point.machine, point.planning), timing_only=True).statistics
        row = rows[point.key]
        if (found.cycles, found.energy.total_joules) != (row["cycles"], row["energy_joules"]):
            raise SystemExit(f"{point}: the whole road says {found.cycles:,} cycles, the row {row['cycles']:,}.")
    return f"{len(drawn)} points compiled by 'recon compile' and simulated: the same cycles and joules"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What many points cost on this computer.")
    parser.add_argument("--points", type=int, default=500, metavar="N", help=f"at most {ALL:,}")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    arguments = parser.parse_args()
    space = read_space(SPACE)
    for entry in space.models:
        cached(entry.file.stem)
    space = dataclasses.replace(space, sample=max(1, min(arguments.points, ALL) // len(space.models)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "points.sqlite")
        start = time.process_time()
        exploration = Exploration(space, PointStore(path))
        points = exploration.points(space.machines())
        front = time.process_time() - start
        line("points", f"{len(points):,} of {len(space.models)} models on {space.sample:,} machines")
        line("front end, once", f"{front:.1f} CPU s")
        keys = [point.key for point in points]
        seen: list[tuple[float, float]] = []

        def sample(count: int, _all: int) -> None:
            if count and (not seen or count == len(points)):  # with the first rows, and with the last
                seen.append((everybody(), exploration.store.cpu_seconds(keys)))

        before = everybody()
        wall = time.monotonic()
        with cluster(None, arguments.workers) as client:
            explored = exploration.explore(client, points, sample)
        wall = time.monotonic() - wall
        work = explored.cpu_seconds
        (first, done), (last, _) = seen[0], seen[-1]
        running, starting = last - first - (work - done), first - before - done
        early, late, small, large = quarters(path)
        line("with a plan", f"{sum(row.ok for row in explored.rows):,}; the others are rows with their reason")
        line(
            "points per CPU second",
            f"{len(points) / work:.2f} ({work:,.1f} CPU s, {wall:,.1f} s on {arguments.workers} workers)",
        )
        line("growth", f"{early:.3f} CPU s per point in a worker's first quarter, {late:.3f} in its last")
        line(
            "memory of a worker", f"peak {small / 2**20:,.0f} MiB after a quarter, {large / 2**20:,.0f} MiB at the end"
        )
        line("starting", f"{starting:.1f} CPU s, once: the processes, and every model to each of them")
        line("engine", f"{100 * running / (work - done):.1f} % of CPU beyond the points: client, scheduler and workers")
        line("whole road", check(exploration, points, explored))
        if len(points) < ALL:
            hours = ALL * work / len(points) / 3600
            line(f"{ALL:,} points, projected", f"{hours:.2f} CPU hours, {hours / 2:.2f} hours on 2 free cores")


if __name__ == "__main__":
    main()
