"""What the benchmark's table is made of: plans of one network for several machines, and what compiling it costs."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from cost import Cost, measure
from networks import cached

from sim.machine.clock import TERMS
from sim.machine.description import MACHINES
from sim.machine.errors import ReconError
from tools.options import Planning
from tools.reports.compare import Study
from tools.runtime import run_program

LIMIT = 2 * 2**20
"""The SRAM limit of the second column."""

VARIANTS: Mapping[str, tuple[str, Planning]] = {
    "edge4k": ("edge4k", Planning()),
    "edge4k 2MiB": ("edge4k", Planning(sram_limit=LIMIT)),
    "edge4k-fixed": ("edge4k-fixed", Planning()),
    "peer4k": ("peer4k", Planning()),
}
"""Machines and options of the table by what it calls them."""

DRAM4 = "edge4k DRAM x4"
DRAM4_DIRECT = "edge4k DRAM x4, no Winograd"


@dataclass(frozen=True)
class Figures:
    """One network on one machine; ``problem`` says why there is no plan, and then nothing else means anything."""

    cycles: int = 0
    predicted: int = 0
    bound: int = 1
    bound2: int = 1
    bound3: int = 1
    dram_bytes: int = 0
    terms: Mapping[str, int] | None = None
    problem: str = ""

    @property
    def per_bound(self) -> float:
        return self.cycles / self.bound

    @property
    def per_bound3(self) -> float:
        return self.cycles / self.bound3

    @property
    def per_bound2(self) -> float:
        return self.cycles / self.bound2


Results = dict[str, dict[str, Figures]]
"""By network, then by variant."""


def figures(study: Study, machine: str, options: Planning) -> Figures:
    """Plan, lower and time one network."""
    try:
        program = study.program(machine, options)
    except ReconError as error:
        return Figures(problem=str(error))
    s = run_program(program, timing_only=True).statistics
    return Figures(
        cycles=s.cycles,
        predicted=s.predicted_cycles,
        bound=s.bound_cycles,
        bound2=s.bound2_cycles,
        bound3=s.bound3_cycles,
        dram_bytes=s.dram_read_bytes + s.dram_write_bytes,
        terms={term: sum(layer.terms[term] for layer in s.layers) for term in TERMS},
    )


def network_figures(name: str, winograd: bool) -> Iterator[tuple[str, Figures]]:
    """Every variant of a network, as it is done; with ``winograd`` also both of the machine with fast DRAM."""
    study = Study(cached(name), assume_int8=True)
    for variant, (machine, options) in VARIANTS.items():
        yield variant, figures(study, machine, options)
    if winograd:
        with fast_dram() as machine:
            yield DRAM4, figures(study, machine, Planning())
            yield DRAM4_DIRECT, figures(study, machine, Planning(winograd=False))


@contextmanager
def fast_dram() -> Generator[str, None, None]:
    """The file of a machine like edge4k with four times the DRAM rate."""
    lines = (MACHINES / "edge4k.toml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("bytes_per_second"):
            rate = int(line.partition("=")[2].partition("#")[0].replace("_", ""))
            lines[number] = f"bytes_per_second = {4 * rate}"
        elif line.startswith("name"):
            lines[number] = 'name = "edge4k-dram4"'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "edge4k-dram4.toml")
        path.write_text("\n".join(lines), encoding="utf-8")
        yield str(path)


def compile_cost(name: str) -> Cost:
    """What a fresh ``recon compile`` of a network takes."""
    recon = str(Path(sys.executable).parent / "recon")
    with tempfile.TemporaryDirectory() as folder:
        return measure(recon, "compile", str(cached(name)), "-o", f"{folder}/program.rbin", "--assume-int8", "-q")


@dataclass(frozen=True)
class Growth:
    """CPU seconds from the model to the program for a chain of ``length`` convolutions."""

    length: int
    seconds: float

    @property
    def per_n_log_n(self) -> float:
        """Microseconds per n·log2 n."""
        return 1e6 * self.seconds / (self.length * math.log2(self.length))


def growth(lengths: Iterable[int]) -> Iterator[Growth]:
    """Chains of several lengths; what a process does only once is done before."""
    Study(cached("chain-2"), assume_int8=True).program("edge4k")
    for length in lengths:
        path = cached(f"chain-{length}")
        start = time.process_time()
        Study(path, assume_int8=True).program("edge4k")
        yield Growth(length, time.process_time() - start)


def geometric_mean(values: Iterable[float]) -> float:
    """Of at least one positive number; NaN for none."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan
