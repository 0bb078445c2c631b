"""A tool in a process of its own: how it ended, what it said, and what it took."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes of one unit in which the system states the peak of a process's memory."""

GRACE = 300.0
"""Seconds after which a process is ended, however busy the computer is otherwise."""

MOST_MEMORY = 6 << 30
"""Bytes of address space that a process is given: what asks for more must not take the computer with it."""


@dataclass(frozen=True)
class Ended:
    """``code`` is negative for a signal; ``seconds`` of processor time; ``bytes`` of memory at most."""

    code: int
    out: str
    err: str
    seconds: float
    bytes: int


def tool(name: str = "recon") -> list[str]:
    """The command ``recon`` or ``recon-opt`` as it is installed, whatever the path of this process."""
    entry = {"recon": "main", "recon-opt": "opt"}[name]
    return [sys.executable, "-c", f"import sys, recon; sys.argv[0] = '{name}'; recon.{entry}()"]


def environment() -> dict[str, str]:
    """One thread, so that processor time is what the work takes; and this checkout."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def run(arguments: Sequence[str], folder: Path, cpu_seconds: int = 60) -> Ended:
    """Run a command in a folder, with limits that keep the computer alive."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))

    out, err = folder / ".out", folder / ".err"
    with out.open("wb") as said, err.open("wb") as complained:
        process = subprocess.Popen(
            arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=complained, env=environment(),
            preexec_fn=limit,
        )  # fmt: skip
    alarm = threading.Timer(GRACE, process.kill)
    alarm.start()
    _, status, used = os.wait4(process.pid, 0)
    alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    texts = [path.read_text(errors="replace") for path in (out, err)]
    for path in (out, err):
        path.unlink()
    seconds = used.ru_utime + used.ru_stime
    return Ended(process.returncode, texts[0], texts[1], seconds, used.ru_maxrss * UNIT)
