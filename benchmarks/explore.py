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
AGAIN = 200
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


class Growth:
    """CPU and memory after an eighth, a quarter, half and all of the points; told as soon as they are there."""

    def __init__(self, store: Path, points: int):
        self.connection = sqlite3.connect(store)
        self.marks = [points // part for part in (8, 4, 2, 1)]
        self.first: tuple[float, float] | None = None
        self.last = (0.0, 0.0)

    def __call__(self, count: int, _all: int) -> None:
        """Called with every batch of rows."""
        if not count or (self.first is not None and not (self.marks and count >= self.marks[0])):
            return
        rows, work, peak = self.connection.execute(
            "SELECT COUNT(*), SUM(cpu_seconds), MAX(peak_bytes) FROM effort"
        ).fetchone()
        self.last = everybody(), work
        self.first = self.first or self.last
        if count >= self.marks[0]:
            self.marks.pop(0)
            per = 1e3 * work / rows
            line(f"  after {rows:,}", f"{work:7,.1f} CPU s, {per:5.1f} ms a point, {peak / 2**20:,.0f} MiB a worker")

    @property
    def overhead(self) -> float:
        """CPU beyond the points, over theirs, from the first rows to the last."""
        assert self.first is not None
        everything, work = (last - first for first, last in zip(self.first, self.last, strict=True))
        return (everything - work) / work


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


def killed(path: Path, folder: Path, keys: Sequence[str]) -> tuple[list[tuple[object, ...]], int, str]:
    """The rows of a run that is killed and started again, how many there were when it was, and what the second said."""
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
    return table(store, keys), kept, said.partition(": ")[0] if ": " in said else said


def same(stored: Path, folder: Path) -> None:
    """Compute the first points again in three ways; SystemExit if a row differs."""
    path = part(folder, AGAIN)
    by_one = again(path, folder, 1)
    keys = [str(row[0]) for row in by_one]
    big = table(stored, keys)
    if big and big != by_one:
        raise SystemExit("The rows of one process differ from those of the run.")
    if again(path, folder, 4) != by_one:
        raise SystemExit("The rows of four processes differ from those of one.")
    line("4 processes against 1", f"{len(by_one)} rows the same bit for bit; {len(big)} of them as in the run above")
    rows, kept, said = killed(path, folder, keys)
    if rows != by_one:
        raise SystemExit("The rows of a run that was killed and started again differ from those of one process.")
    line("killed and started again", f"{kept} rows were there; then: {said}; the same bit for bit")


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
    space = dataclasses.replace(space, sample=max(1, min(arguments.points, ALL) // len(space.models)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "points.sqlite")
        start = time.process_time()
        exploration = Exploration(space, PointStore(path))
        points = exploration.points(space.machines())
        front = time.process_time() - start
        line("points", f"{len(points):,}: {len(space.models)} models on {space.sample:,} machines of {space.size:,}")
        line("front end, once", f"{front:.1f} CPU s")
        growth = Growth(path, len(points))
        before, wall = everybody(), time.monotonic()
        with cluster(None, arguments.workers) as client:
            explored = exploration.explore(client, points, growth)
        wall = time.monotonic() - wall
        work = explored.cpu_seconds
        line("with a plan", f"{sum(row.ok for row in explored.rows):,}; the others are rows with their reason")
        line(
            "points per CPU second",
            f"{len(points) / work:.1f} ({work:,.1f} CPU s, {wall:,.0f} s on {arguments.workers} workers)",
        )
        assert growth.first is not None
        starting = growth.first[0] - before - growth.first[1]
        line("starting", f"{starting:.1f} CPU s, once: the processes, and every model to each of them")
        line("engine", f"{100 * growth.overhead:.1f} % of CPU beyond the points: client, scheduler and workers")
        line("whole road", check(exploration, points, explored))
        same(path, Path(folder))


if __name__ == "__main__":
    main()
