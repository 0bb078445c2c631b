"""A tool in a process of its own: how it ended, what it said, and what it took."""

from __future__ import annotations

import os
import resource
import signal
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


_LAUNCH = """
import os, sys
child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{status} {used.ru_utime + used.ru_stime} {used.ru_maxrss}")
"""
"""Starts a command from a small process: the peak of memory of a new process counts that of the one it came from."""


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

    out, err, used = folder / ".out", folder / ".err", folder / ".used"
    with out.open("wb") as said, err.open("wb") as complained:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _LAUNCH, str(used), *arguments], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=said, stderr=complained, env=environment(), preexec_fn=limit, start_new_session=True,
        )  # fmt: skip
    alarm = threading.Timer(GRACE, os.killpg, (process.pid, signal.SIGKILL))
    alarm.start()
    process.wait()
    alarm.cancel()
    status, seconds, peak = used.read_text().split() if used.exists() else (str(signal.SIGKILL), "inf", "0")
    texts = [path.read_text(errors="replace") for path in (out, err)]
    for path in (out, err, used):
        path.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(int(status)), texts[0], texts[1], float(seconds), int(peak) * UNIT)
