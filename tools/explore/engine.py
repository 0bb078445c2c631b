"""Many points on many processes: Dask's ``distributed``, on this machine or on a cluster that is running already.

Nothing between the processes is ours. The models go to each worker once, as a plugin of Dask's, which also reaches
workers that join later or take a dead one's place; a task is a few hundred bytes. Only so many tasks are under way as
keep every worker busy, so neither the scheduler's memory nor a worker's grows with the number of points.

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

PATIENCE = 30
"""Seconds that a scheduler may take to answer, and a worker to be there."""

DEATHS = 3
"""Processes that may die under one point before it is given up."""

PLUGIN = "recon-explore"


class _Models(WorkerPlugin):
    """Gives a worker its bundle, also one that takes a dead worker's place."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle

    def setup(self, worker: Worker) -> None:
        self.bundle.prepare()


def _compute(point: Point) -> Done:
    """The task."""
    plugin: Any = get_worker().plugins[PLUGIN]
    return plugin.bundle.compute(point)


@contextmanager
def cluster(scheduler: str | None, workers: int) -> Generator[Client, None, None]:
    """A client of the scheduler at an address, or of ``workers`` processes on this machine; ReconError if nobody
    answers there."""
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.comm.timeouts.connect": f"{PATIENCE}s",
        "distributed.admin.tick.limit": "1h",
        # What watches the processes costs CPU for every second that they run, and nobody looks at it.
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
    waiting = iter(points)
    under_way: dict[str, Point] = {}
    try:
        client.register_plugin(_Models(bundle), name=PLUGIN)
        futures: Any = as_completed()

        def submit(count: int) -> None:
            for point in islice(waiting, count):
                future = client.submit(_compute, point, key=f"point-{point.key}", pure=True)
                under_way[str(future.key)] = point
                futures.add(future)

        threads: Any = client.nthreads()
        submit(AHEAD * max(1, len(threads)))
        while under_way:
            future = next(futures)
            point = under_way.pop(str(future.key))
            try:
                done: Done = future.result()
            except KilledWorker as error:
                reason = f"{DEATHS + 1} processes that computed it died: {error}"
                done = Done(point, PointRow(LOST, reason), PointEffort(0.0, "", 0, 0))
            submit(1)
            yield done
    except (CancelledError, CommClosedError, OSError) as error:
        raise ReconError(
            f"The scheduler is gone ({type(error).__name__}); the rows that had come are in the store, and the same "
            "command goes on from there."
        ) from None
