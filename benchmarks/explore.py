"""What many points cost on this computer: ``make explore``.

    python benchmarks/explore.py                 500 points of the space of many_machines.toml
    python benchmarks/explore.py --points 10000  all of it: a quarter of an hour of CPU

Printed is what was measured. CPU seconds are the system's, of all processes; memory is the most that any worker had
taken. The first points once more, with one process, with four, and with a run that is killed on the way and started
again, must give the same rows bit for bit, and a few must give what ``recon compile`` and ``recon run`` say.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tools.explore.bundle import Point
from tools.explore.engine import cluster
from tools.explore.explore import Exploration, Explored
from tools.explore.space_file import read_space
from tools.explore.store import PointStore
from tools.reports.compare import Study
from tools.runtime import run_program

ROOT = Path(__file__).resolve().parent.parent
SPACE = Path(__file__).parent / "many_machines.toml"
ALL = 10_000
AGAIN = 100
"""Points that are computed again, by one process and by four."""
CHECKED = 5
"""Points that are compiled by the whole road as well."""


def everybody() -> float:
    """CPU seconds so far of this process and of all that it started and that live."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def line(name: str, text: str) -> None:
    """A line of the table."""
    print(f"{name:24} {text}", flush=True)


class Overhead:
    """What the engine takes beside the points, from the first rows that come to the last."""

    def __init__(self, exploration: Exploration):
        self.work = exploration.store.connection.execute
        self.begun = self.seen()
        self.first: tuple[float, float] | None = None
        self.last = self.begun

    def seen(self) -> tuple[float, float]:
        """CPU seconds of all processes, and of the points."""
        (work,) = self.work("SELECT COALESCE(SUM(cpu_seconds), 0) FROM effort").fetchone()
        return everybody(), work

    def __call__(self, count: int, whole: int) -> None:
        """Called with every batch of rows."""
        if self.first is None or count == whole:
            seen = self.seen()
            if seen[1] > self.begun[1]:
                self.first, self.last = self.first or seen, seen

    @property
    def starting(self) -> float:
        """CPU seconds before the first rows came, beside their own."""
        assert self.first is not None
        return self.first[0] - self.begun[0] - (self.first[1] - self.begun[1])

    @property
    def share(self) -> float:
        """CPU beyond the points, over theirs."""
        assert self.first is not None
        everything, work = (last - first for first, last in zip(self.first, self.last, strict=True))
        return (everything - work) / work


def growth(store: Path) -> None:
    """CPU and memory after an eighth, a quarter, half and all of each worker's points."""
    connection = sqlite3.connect(store)
    rows = connection.execute("SELECT process, place, cpu_seconds, peak_bytes FROM effort ORDER BY process, place")
    found = rows.fetchall()
    connection.close()
    most: dict[str, int] = {}
    for process, place, _, _ in found:
        most[process] = max(place, most.get(process, 0))
    for share in (8, 4, 2, 1):
        there = [row for row in found if row[1] * share <= most[row[0]]]
        work, peak = sum(row[2] for row in there), max(row[3] for row in there)
        line(
            f"after {len(there):,} points",
            f"{work:7,.1f} CPU s, {1e3 * work / len(there):.1f} ms each; {peak / 2**20:,.0f} MiB a worker",
        )


def part(folder: Path, points: int) -> Path:
    """The space file with fewer machines: the first ones that are drawn."""
    text = SPACE.read_text(encoding="utf-8").replace('"../', f'"{ROOT}/')
    path = folder / "part.toml"
    path.write_text(text.replace("sample = 2000", f"sample = {max(1, points // 5)}"), encoding="utf-8")
    return path


def table(store: Path, keys: Sequence[str]) -> list[tuple[object, ...]]:
    """All that the store says of these points."""
    connection = sqlite3.connect(store)
    wanted = set(keys)
    rows = [row for row in connection.execute("SELECT * FROM points ORDER BY key") if row[0] in wanted]
    connection.close()
    return rows


def again(path: Path, folder: Path, workers: int) -> list[tuple[object, ...]]:
    """The rows of a space, computed by so many processes."""
    store = folder / f"by{workers}.sqlite"
    exploration = Exploration(read_space(path), PointStore(store))
    points = exploration.points(exploration.space.machines())
    with cluster(None, workers) as client:
        exploration.explore(client, points)
    exploration.store.close()
    return table(store, [point.key for point in points])


def killed(path: Path, folder: Path, keys: Sequence[str]) -> tuple[list[tuple[object, ...]], int]:
    """The rows of a run that is killed and started again, and how many of them the second run found; SystemExit where
    it did not find all that were there."""
    store = folder / "killed.sqlite"
    command = [sys.executable, "-m", "tools.main", "explore", str(path), "-o", str(store), "--workers", "2"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    kept = 0
    while kept < len(keys) // 3 and first.poll() is None:
        time.sleep(0.1)
        if store.exists():
            try:
                kept = len(table(store, keys))
            except sqlite3.OperationalError:  # the tables are not made yet
                continue
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = len(table(store, keys))
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    if f", {kept} of them from before;" not in said:
        raise SystemExit(f"{kept} rows were there when the run was killed; the next one says: {said}")
    return table(store, keys), kept


def same(folder: Path) -> list[tuple[object, ...]]:
    """Compute the first points in three ways; their rows, SystemExit if one differs."""
    path = part(folder, AGAIN)
    by_one = again(path, folder, 1)
    if again(path, folder, 4) != by_one:
        raise SystemExit("The rows of four processes differ from those of one.")
    line("4 processes against 1", f"{len(by_one)} rows, the same bit for bit")
    rows, kept = killed(path, folder, [str(row[0]) for row in by_one])
    if rows != by_one:
        raise SystemExit("The rows of a run that was killed and started again differ from those of one process.")
    line("killed, started again", f"{kept} rows were there and stayed, {len(rows) - kept} came; the same bit for bit")
    return by_one


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
    parser.add_argument("--store", type=Path, metavar="FILE", help="where the rows are kept; goes on where it was")
    arguments = parser.parse_args()
    space = read_space(SPACE)
    space = dataclasses.replace(space, sample=max(1, min(arguments.points, ALL) // len(space.models)))
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store or Path(folder, "points.sqlite")
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        exploration = Exploration(space, PointStore(path))
        points = exploration.points(space.machines())
        front = time.process_time() - start
        line("points", f"{len(points):,}: {len(space.models)} models on {space.sample:,} machines of {space.size:,}")
        line("front end, once", f"{front:.1f} CPU s")
        by_one = same(Path(folder))
        overhead, wall = Overhead(exploration), time.monotonic()
        with cluster(None, arguments.workers) as client:
            explored = exploration.explore(client, points, overhead)
        wall = time.monotonic() - wall
        work = explored.cpu_seconds
        line("with a plan", f"{sum(row.ok for row in explored.rows):,}; the others are rows with their reason")
        line(
            "points per CPU second",
            f"{len(points) / work:.1f} ({work:,.1f} CPU s, {wall:,.0f} s on {arguments.workers} workers)",
        )
        growth(path)
        line("starting", f"{overhead.starting:.1f} CPU s, once: the processes, and every model to each of them")
        line("engine", f"{100 * overhead.share:.1f} % of CPU beyond the points: client, scheduler and workers")
        if not set(by_one) <= set(table(path, [str(row[0]) for row in by_one])):
            raise SystemExit("The rows of one process differ from those of the run.")
        line("whole road", check(exploration, points, explored))


if __name__ == "__main__":
    main()
