"""Many points on many processes: Dask's ``distributed``, on this machine or on a cluster that is running already.

Nothing between the processes is ours. The models go to each worker once, as a plugin of Dask's, which also reaches
workers that join later or take a dead one's place; a task is about a second of points, some hundred bytes each. Only
so many tasks are under way as keep every worker busy, so neither the scheduler's memory nor a worker's grows with the
number of points.

Imported when it is used: Dask belongs to the extra ``explore``.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from typing import Any

from dask import config
from distributed import Client, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker
from distributed.comm.core import CommClosedError

from sim.machine.errors import ReconError
from tools.explore.bundle import Bundle, Done, Point
from tools.explore.point import PointRow
from tools.explore.store import LOST, PointEffort

AHEAD = 8
"""Tasks under way for each worker."""

TASK = 1.0
"""CPU seconds that a task should take."""

MOST_TOGETHER = 64
"""Points in one task at most."""

PATIENCE = 30
"""Seconds that a scheduler may take to answer, and a worker to be there."""

DEATHS = 3
"""Processes that may die under one point before it is given up."""

ALONE = "alone"
"""The name of a task whose point is computed while no other is under way."""

PLUGIN = "recon-explore"


class _Models(WorkerPlugin):
    """Gives a worker its bundle, also one that takes a dead worker's place."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle

    def setup(self, worker: Worker) -> None:
        self.bundle.prepare()


def _compute(points: tuple[Point, ...]) -> list[Done]:
    """The task."""
    plugin: Any = get_worker().plugins[PLUGIN]
    return [plugin.bundle.compute(point) for point in points]


@contextmanager
def cluster(scheduler: str | None, workers: int) -> Generator[Client, None, None]:
    """A client of the scheduler at an address, or of ``workers`` processes on this machine; ReconError if nobody
    answers there."""
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
        "distributed.admin.tick.limit": "1h",
        # What watches the processes costs CPU for every second that they run, and nobody looks at it.
        "distributed.admin.tick.interval": "1s",
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.admin.system-monitor.interval": "5s",
    }
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters comes as an exception, and is told
    with config.set(settings):
        if scheduler is None:
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    host="127.0.0.1",
                    silence_logs=logging.CRITICAL,
                    memory_limit=0,
                ) as local,
                Client(local) as client,
            ):
                yield client
            return
        try:
            client = Client(scheduler, timeout=PATIENCE)
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError) as error:  # TimeoutError among them
            raise ReconError(
                f"--scheduler {scheduler}: no scheduler with a worker answers there within {PATIENCE} seconds: {error}."
            ) from None
        with client:
            yield client


def run(client: Client, bundle: Bundle, points: Iterable[Point]) -> Iterator[Done]:
    """Every point's row, as they come; a point under which process after process dies is ``lost``.

    Raises ReconError where the scheduler is gone; what came before has been given.
    """
    tasks = PointTasks(client, iter(points))
    try:
        client.register_plugin(_Models(bundle), name=PLUGIN)
        threads: Any = client.nthreads()
        tasks.submit(AHEAD * max(1, len(threads)))
        while tasks.under_way:
            yield from tasks.next()
    except (CancelledError, CommClosedError, OSError) as error:
        raise ReconError(
            f"The scheduler is gone ({type(error).__name__}); the rows that had come are in the store, and the same "
            "command goes on from there."
        ) from None


class PointTasks:
    """Points on their way, so many in a task as take about TASK seconds: a task costs the engine some milliseconds."""

    def __init__(self, client: Client, points: Iterator[Point]):
        self.client = client
        self.points = points
        self.under_way: dict[str, tuple[Point, ...]] = {}
        self.futures: Any = as_completed()
        self.suspects: list[Point] = []
        """Points of tasks under which processes died: they may have waited beside the one that was to blame."""
        self.count, self.seconds = 0, 0.0

    @property
    def together(self) -> int:
        """Points of a task, by what those so far have taken; one, before that is known."""
        return max(1, min(MOST_TOGETHER, int(TASK * self.count / self.seconds))) if self.seconds else 1

    def submit(self, tasks: int) -> None:
        """Send so many tasks more while there are points; when all others are back, the suspects, each alone."""
        for _ in range(tasks):
            if part := tuple(islice(self.points, self.together)):
                self.send(part, "points")
        if not self.under_way and self.suspects:
            self.send((self.suspects.pop(0),), ALONE)

    def send(self, part: tuple[Point, ...], name: str) -> None:
        future = self.client.submit(_compute, part, key=f"{name}-{len(part)}-{part[0].key}", pure=True)
        self.under_way[str(future.key)] = part
        self.futures.add(future)

    def next(self) -> list[Done]:
        """The rows of the next task that is done; none, where processes died under it in company."""
        future = next(self.futures)
        part = self.under_way.pop(str(future.key))
        found: list[Done] = []
        try:
            found = future.result()
        except KilledWorker as error:
            if str(future.key).startswith(ALONE):
                reason = f"{DEATHS + 1} processes that computed it alone died: {error}"
                found = [Done(part[0], PointRow(LOST, reason), PointEffort(0.0, "", 0, 0))]
            else:
                self.suspects += part
        except (CancelledError, CommClosedError):
            raise
        except Exception as error:  # evaluate lets none through: a worker without its models, or out of memory
            raise ReconError(f"A worker failed at its task ({type(error).__name__}: {error}).") from None
        self.count += len(found)
        self.seconds += sum(done.effort.cpu_seconds for done in found)
        self.submit(1)
        return found
