"""What compiling and simulating cost on this computer: ``make bench``.

    python benchmarks/cost.py                ResNet-50 on edge4k
    python benchmarks/cost.py vgg19 edge1k   another network of ``networks.py``, another machine

Every row is one process, measured as the system accounts for it: CPU seconds of all its threads, seconds passed, peak
memory. The limits are the project's own, for two cores of an ordinary computer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from networks import cached


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU seconds, seconds, and mebibytes at its largest."""

    cpu: float
    wall: float
    memory: float


_LAUNCHER = """
import os, sys, time
start = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(process, 0)
print(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process that starts the measured one: a child's peak counts the memory of whoever started it."""


def measure(*command: str) -> Cost:
    """Run a command to its end; SystemExit with its message when it fails."""
    ended = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCHER, *command], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\n{ended.stderr}")
    return Cost(*map(float, ended.stdout.split()))


def main(network: str = "resnet50", machine: str = "edge4k") -> None:
    """Measure and print the table."""
    recon, recon_opt = (str(Path(sys.executable).parent / name) for name in ("recon", "recon-opt"))
    model = cached(network)
    with tempfile.TemporaryDirectory() as folder:
        program, page = f"{folder}/program.rbin", f"{folder}/report.html"
        commands = (
            ("recon-opt --help", "0.5 s", (recon_opt, "--help")),
            ("ONNX to program", "8 s CPU, 1 GB",
             (recon, "compile", str(model), "-o", program, "--machine", machine, "--assume-int8")),
            ("run --timing-only", "1 s", (recon, "run", program, "--timing-only")),
            ("run, every value", "30 s", (recon, "run", program)),
            ("report of a program", "5 s CPU", (recon, "report", program, "-o", page)),
            ("ONNX to report", "5 s CPU",
             (recon, "report", str(model), "-o", page, "--machine", machine, "--assume-int8", "--force")),
        )  # fmt: skip
        print(f"{model.stem} on {machine}, {os.cpu_count()} cores")
        print(f"{'':20} {'CPU s':>7} {'s':>7} {'MiB':>7}  limit")
        for name, limit, command in commands:
            cost = measure(*command)
            print(f"{name:20} {cost.cpu:7.2f} {cost.wall:7.2f} {cost.memory:7.0f}  {limit}", flush=True)
        print(f"the report has {Path(page).stat().st_size / 1e6:.1f} MB, of at most 8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
