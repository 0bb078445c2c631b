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
import time
from dataclasses import dataclass
from pathlib import Path

from networks import cached


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU seconds, seconds, and mebibytes at its largest."""

    cpu: float
    wall: float
    memory: float


def measure(*command: str) -> Cost:
    """Run a command to its end; SystemExit with its message when it fails."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{' '.join(command)}\n{errors.read().decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def main(network: str = "resnet50", machine: str = "edge4k") -> None:
    """Measure and print the table."""
    recon, recon_opt = (str(Path(sys.executable).parent / name) for name in ("recon", "recon-opt"))
    model = cached(network)
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/program.rbin"
        commands = (
            ("recon-opt --help", "0.5 s", (recon_opt, "--help")),
            ("ONNX to program", "8 s CPU, 1 GB",
             (recon, "compile", str(model), "-o", program, "--machine", machine, "--assume-int8")),
            ("run --timing-only", "1 s", (recon, "run", program, "--timing-only")),
            ("run, every value", "30 s", (recon, "run", program)),
        )  # fmt: skip
        print(f"{model.stem} on {machine}, {os.cpu_count()} cores")
        print(f"{'':20} {'CPU s':>7} {'s':>7} {'MiB':>7}  limit")
        for name, limit, command in commands:
            cost = measure(*command)
            print(f"{name:20} {cost.cpu:7.2f} {cost.wall:7.2f} {cost.memory:7.0f}  {limit}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
