"""What a proof for every input costs beside one functional run, and that every certificate holds: ``make prove``.

    python benchmarks/proofs.py                        every network, corpus and fixture on edge4k; some minutes
    python benchmarks/proofs.py resnet50 nudenet       these
    python benchmarks/proofs.py --machine edge1k NAME  on another machine
    python benchmarks/proofs.py --frames NAME          programs of frames in a row

The networks are those of ``networks.py`` with seeded weights, the corpus what ``make models`` left in the cache, the
fixtures the files under tests/data. Each subject is compiled in a process of its own, which then forks twice: one child
runs the program on an input, one proves it against the model's cnn level. Seconds are of the processor, mebibytes what
the child had at its largest beyond what it began with, so neither reading the model nor compiling counts. ``looked up``
says that no product was taken, ``products`` that a pass was no box of the model. Exit status 1 after any failure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

import numpy as np
import onnx
from figures import geometric_mean
from model_files import CACHE
from networks import NETWORKS, cached

from sim.machine.errors import ReconError
from sim.machine.program import MachineSegment, Port, Program
from tools import certificate
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.options import Planning
from tools.proof.book import Book, Unmatched
from tools.proof.machine import NotProven
from tools.proof.prover import compared, prove

ROOT = Path(__file__).resolve().parent.parent
NOT_HERE = ("chain", "vgg19_features", "fcn_resnet50")
"""Synthetic, or another size of what is in the table."""


@dataclass
class Row:
    """One subject; ``problem`` where it could not be proven or compiled.

    Seconds of the processor and MiB of a run and of a proof; ``certified`` cycles of bound3, and what is wrong with it.
    """

    name: str
    problem: str = ""
    instructions: int = 0
    run: tuple[float, float] = (0.0, 0.0)
    proof: tuple[float, float] = (0.0, 0.0)
    looked_up: bool = False
    cycles: int = 0
    certified: int = 0
    faults: str = ""

    @property
    def ratio(self) -> float:
        return self.proof[0] / self.run[0]


def subjects() -> dict[str, tuple[str, bool]]:
    """Files by name, and whether quantisers have to be made up. Networks stand by their name until they are built."""
    found = {name: ("", True) for name in NETWORKS if name not in NOT_HERE}
    corpus = sorted((CACHE / "quantised").glob("*.onnx"))
    fixtures = [
        path for folder in ("models", "quantisers") for path in sorted((ROOT / "tests/data" / folder).glob("*"))
    ]
    return found | {path.stem: (str(path), False) for path in (*corpus, *fixtures) if path.suffix == ".onnx"}


def measured(name: str, machine: str, batch: int) -> Row:
    """The row of one subject, in this process."""
    row = Row(name)
    path, assumed = subjects()[name]
    try:
        model = path or str(cached(name))
        options = Planning(frames="stream", batch=batch) if batch else None
        program = compile_model(model, machine, assume_int8=assumed, options=options)
        context = make_context()
        module = read_module(model, context)
        lower(module, "cnn", context, assume_int8=assumed)
    except ReconError as error:
        return dataclasses.replace(row, problem=" ".join(str(error).split()))
    row.instructions = sum(len(part.layer_of) for part in program.segments if isinstance(part, MachineSegment))
    row.certified = program.bounds.bound3
    inputs = {port.name: _noise(port) for port in program.inputs}

    def simulated() -> int:
        return run_program(program, inputs).statistics.cycles

    def proven() -> str:
        try:
            prove(program, module)
        except NotProven as error:
            return str(error)
        return ""

    row.run, row.cycles = _in_child(simulated)
    row.proof, row.problem = _in_child(proven)
    row.looked_up = _is_looked_up(program, module)
    row.faults = "; ".join(certificate.check(program.to_bytes(), onnx.load(model)))[:300]
    return row


def _noise(port: Port) -> Any:
    numbers = np.random.default_rng(1)
    if port.dtype.startswith("float"):
        return numbers.standard_normal(port.shape).astype(port.dtype)
    return numbers.integers(0, 100, port.shape).astype(port.dtype)


def _in_child(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """(processor seconds, MiB beyond the start) of work in a forked process, and what it gave."""

    def child(pipe: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        before = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        began = time.process_time()
        made = work()
        took = time.process_time() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        pipe.send(((took, max(0.0, most - before)), made))

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(there,))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def _is_looked_up(program: Program, module: Any) -> bool:
    try:
        compared(program, module, Book(0))
    except (Unmatched, NotProven):
        return False
    return True


def line(row: Row) -> str:
    """A row for the terminal."""
    if row.problem:
        return f"{row.name:26} {row.problem[:300]}"
    how = "looked up" if row.looked_up else "products"
    certificate_is = row.faults or "holds"
    return (
        f"{row.name:26}{row.instructions:9,}{row.run[0]:9.3f}{row.proof[0]:9.3f}{row.ratio:7.2f}{row.run[1]:9.0f}"
        f"{row.proof[1]:9.0f}  {how:11}{row.cycles:13,}{row.certified:13,}  {certificate_is}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="What a proof costs beside one functional run.")
    parser.add_argument("names", nargs="*", help="subjects; all without any")
    parser.add_argument("--machine", default="edge4k")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="programs of frames in a row, N a batch")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = chosen.names or list(subjects())
    if chosen.one:
        print(json.dumps(dataclasses.asdict(measured(names[0], chosen.machine, chosen.frames))))
        return 0
    print(f"{'on ' + chosen.machine:26}{'instr.':>9}{'run s':>9}{'proof s':>9}{'÷':>7}{'run MiB':>9}{'MiB':>9}  "
          f"{'how':11}{'cycles':>13}{'bound3':>13}  certificate")  # fmt: skip
    rows: list[Row] = []
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--machine", chosen.machine, "--frames", str(chosen.frames)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = (done.stdout.strip().splitlines() or [""])[-1]
        said = (done.stderr.strip().splitlines() or [""])[-1]
        rows.append(Row(**json.loads(last)) if done.returncode == 0 else Row(name, problem=said or "it said nothing"))
        print(line(rows[-1]), flush=True)
    proven = [row for row in rows if not row.problem]
    if proven:
        print(
            f"{len(proven)} of {len(rows)} proven for every input; geometric mean of seconds over a run's "
            f"{geometric_mean(row.ratio for row in proven):.2f}, most {max(row.ratio for row in proven):.2f}"
        )
    return 1 if any(row.problem or row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
