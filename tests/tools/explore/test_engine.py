"""Whatever is killed, no row is lost and none is there twice; any number of processes gives the rows of one."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sim.machine.errors import ReconError
from tests.conftest import ROOT
from tests.tools.explore.support import alone, table, written
from tools.explore.bundle import Bundle, Done, Point
from tools.explore.explore import Exploration
from tools.explore.frontend import version
from tools.explore.space_file import read_space
from tools.explore.store import COLUMNS, PointStore

pytest.importorskip("distributed", reason="pip install -e '.[explore]'")

from distributed import Client

from tools.explore import engine

BIN = Path(sys.executable).parent
WAIT = 120.0


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("space"))


@pytest.fixture(scope="module")
def expected(space: Path) -> list[tuple[object, ...]]:
    rows = table(alone(space, space.with_suffix(".alone.sqlite")))
    assert len(rows) == 16
    status = list(COLUMNS).index("status")
    assert {row[status] for row in rows} == {"ok", "refused"}
    return rows


@pytest.fixture
def start() -> Generator[Callable[..., subprocess.Popen[str]], None, None]:
    """Starts processes that are killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def run(*command: str | Path) -> subprocess.Popen[str]:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=ROOT,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def explore(space: Path, store: Path, *more: str) -> Sequence[str | Path]:
    return (BIN / "recon", "explore", space, "-o", store, *more)


def processes(store: Path, running: subprocess.Popen[str]) -> list[int]:
    """The processes of the rows that are kept, once there are any."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until and running.poll() is None:
        if store.exists():
            connection = sqlite3.connect(store, timeout=WAIT)
            try:
                found = connection.execute("SELECT DISTINCT process FROM effort").fetchall()
            except sqlite3.OperationalError:  # the table is not made yet
                found = []
            finally:
                connection.close()
            if found:
                return [int(process.rpartition(":")[2]) for (process,) in found]
        time.sleep(0.02)
    raise AssertionError(f"no row came: {running.communicate()}")


def test_four_processes_of_which_one_is_killed_give_the_rows_of_one(
    space: Path, expected: list[tuple[object, ...]], tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    store = tmp_path / "rows.sqlite"
    client = start(*explore(space, store, "--workers", "4"))
    os.kill(processes(store, client)[0], signal.SIGKILL)
    out, err = client.communicate(timeout=WAIT)
    assert (client.returncode, err) == (0, "")
    assert "16 rows in" in out
    assert table(store) == expected


def test_of_two_runs_into_one_store_one_is_killed_and_the_store_is_whole(
    space: Path, expected: list[tuple[object, ...]], tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    store = tmp_path / "rows.sqlite"
    first = start(*explore(space, store, "--workers", "1"))
    second = start(*explore(space, store, "--workers", "1"))
    processes(store, first)
    first.kill()
    assert all(row in expected for row in table(store))
    out, err = second.communicate(timeout=WAIT)
    assert (second.returncode, err) == (0, "")
    assert table(store) == expected
    again = start(*explore(space, store, "--workers", "1"))
    out, err = again.communicate(timeout=WAIT)
    assert (again.returncode, err) == (0, "")
    assert "16 rows in" in out
    assert "16 of them from before" in out


def running_cluster(start: Callable[..., subprocess.Popen[str]], file: Path) -> tuple[subprocess.Popen[str], str]:
    """A scheduler with a worker, started as anybody starts them, and its address."""
    scheduler = start(
        BIN / "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file
    )
    start(BIN / "dask", "worker", "--scheduler-file", file, "--nthreads", "1", "--no-dashboard", "--no-nanny")
    until = time.monotonic() + WAIT
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return scheduler, json.loads(file.read_text())["address"]


def test_a_killed_scheduler_is_told_of_and_another_one_goes_on_from_what_came(
    space: Path, expected: list[tuple[object, ...]], tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    store = tmp_path / "rows.sqlite"
    scheduler, address = running_cluster(start, tmp_path / "first.json")
    client = start(*explore(space, store, "--scheduler", address))
    processes(store, client)
    scheduler.kill()
    _, err = client.communicate(timeout=WAIT)
    assert client.returncode == 1
    assert err.startswith("error: The scheduler is gone (")
    assert err.endswith("the rows that had come are in the store, and the same command goes on from there.\n")
    kept = table(store)
    assert 0 < len(kept) < len(expected)
    assert all(row in expected for row in kept)
    _, address = running_cluster(start, tmp_path / "second.json")
    client = start(*explore(space, store, "--scheduler", address))
    out, err = client.communicate(timeout=WAIT)
    assert (client.returncode, err) == (0, "")
    assert f"16 rows in {store}, {len(kept)} of them from before" in out
    assert table(store) == expected


@dataclass
class Deadly(Bundle):
    """One machine takes the process with it."""

    def compute(self, point: Point) -> Done:
        if "sram.bytes=8192" in point.machine and "systolic" in point.machine:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(point)


@dataclass
class Failing(Bundle):
    """A worker that cannot do its work."""

    def compute(self, point: Point) -> Done:
        raise OSError("no space left on device")


@pytest.fixture(scope="module")
def one_worker() -> Generator[Client, None, None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "DEATHS", 0)
        with engine.cluster(None, 1) as client:
            yield client


def test_a_point_that_kills_its_process_is_lost_and_takes_none_with_it(
    space: Path, expected: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_worker: Client
) -> None:
    monkeypatch.setattr(engine, "DEATHS", 0)
    monkeypatch.setattr(engine.PointTasks, "together", 4)
    exploration = Exploration(read_space(space), PointStore(tmp_path / "rows.sqlite"))
    exploration.bundle = Deadly(exploration.models, exploration.bundle.bases, exploration.space.area, version())
    points = [p for p in exploration.points(exploration.space.machines()) if "array.lanes=256" in p.machine]
    rows = exploration.explore(one_worker, points).rows
    lost = [row.values for row in rows if row.values["status"] == "lost"]
    assert len(rows) == len(points) == 8
    assert [str(values["reason"])[:40] for values in lost] == ["1 processes that computed it alone died:"]
    kept = [row for row in table(tmp_path / "rows.sqlite") if row[list(COLUMNS).index("status")] != "lost"]
    assert len(kept) == 7
    assert all(row in expected for row in kept)
    assert len(exploration.store.known([point.key for point in points])) == 7


@pytest.mark.parametrize(
    ("kind", "made_by", "message"),
    [
        (Failing, version(), "A worker failed at its task (OSError: no space left on device)."),
        (Bundle, "older", "A worker has another version of recon than this client; install the same on both."),
    ],
)
def test_what_a_worker_cannot_do_is_told(
    space: Path, tmp_path: Path, one_worker: Client, kind: type[Bundle], made_by: str, message: str
) -> None:
    exploration = Exploration(read_space(space), PointStore(tmp_path / "rows.sqlite"))
    exploration.bundle = kind(exploration.models, exploration.bundle.bases, exploration.space.area, made_by)
    with pytest.raises(ReconError) as error:
        exploration.explore(one_worker, exploration.points(exploration.space.machines()))
    assert str(error.value) == message
