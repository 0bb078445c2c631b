"""Programs with one thing changed, and the proof for every input: what harms has to be refused, and nothing good.

    python -m tests.mutations.proven --programs 100 --seed 1

Programs of random networks (rings, views, fused chains and partial sums among them), of the same networks as frames in
a row, and of a model in several segments with the host between. A mutant is harmful when it stops, or answers otherwise
than the network does on an input tried: on frames, in any of the first three. Prints a table by kind of mutant.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from dialects.meaning import cnn as cnn_meaning
from passes.accel.check_hazards import check_program
from sim.machine.errors import ReconError
from sim.machine.program import MachineSegment, Program
from tests.conftest import ROOT
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import planned, random_machine, write_machine
from tests.passes.tile_to_accel.support import lower as lower_plan
from tests.tools.proof.mutants import KINDS, records_of
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.frames import run_frames
from tools.proof.prover import prove
from tools.validation.probes import entrances, probes

Tensors = Mapping[str, npt.NDArray[Any]]

WITH_HOST = ROOT / "tests" / "data" / "quantisers" / "mb3_brev_layerwise_qcdq.onnx"
"""A model of which parts between the machine's are on the host."""

INPUTS = 3

FORMS = ("one frame", "frames", "host")


@dataclass
class Row:
    """Mutants of one kind: how many, how many of them harmful, refused of those, and refused beyond them."""

    mutants: int = 0
    harmful: int = 0
    caught: int = 0
    others: int = 0


@dataclass
class ProofTable:
    """What became of all mutants, by kind; harmful ones that were proven, and good programs that were not."""

    programs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FORMS, 0))
    rows: dict[str, Row] = field(default_factory=lambda: {kind: Row() for kind in KINDS})
    missed: list[str] = field(default_factory=list[str])
    accused: list[str] = field(default_factory=list[str])

    @property
    def failures(self) -> list[str]:
        return [*self.missed, *self.accused]

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} of {form}" for form, count in self.programs.items())
        lines = [f"programs changed in one place and proven: {counts}",
                 f"{'kind':34}{'mutants':>9}{'harmful':>9}{'refused':>9}{'refused, not seen to harm':>27}"]  # fmt: skip
        every = Row()
        for kind, row in self.rows.items():
            lines.append(f"{kind:34}{row.mutants:9,}{row.harmful:9,}{row.caught:9,}{row.others:27,}")
            every.mutants, every.harmful = every.mutants + row.mutants, every.harmful + row.harmful
            every.caught, every.others = every.caught + row.caught, every.others + row.others
        lines.append(f"{'all':34}{every.mutants:9,}{every.harmful:9,}{every.caught:9,}{every.others:27,}")
        lines.append(f"good programs accused: {len(self.accused)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Case:
    """A good program with the module it computes, inputs to try, and what they give."""

    name: str
    module: ModuleOp
    program: Program
    inputs: Sequence[Tensors]
    expected: Sequence[Tensors]

    @classmethod
    def of(cls, name: str, module: ModuleOp, program: Program) -> Case:
        inputs = [given for _, given in probes(entrances(module), INPUTS, seed=1)]
        return cls(name, module, program, inputs, [cnn_meaning.evaluate(module, given) for given in inputs])

    def is_wrong(self, program: Program) -> bool:
        """Whether a program stops, or answers otherwise on an input tried."""
        segments = [part for part in program.segments if isinstance(part, MachineSegment)]
        try:
            if any(part.frames is not None for part in segments):
                found: Sequence[Tensors] = list(run_frames(program, list(self.inputs)))
            else:
                found = [run_program(program, given).outputs for given in self.inputs]
        except ReconError:
            return True
        pairs = zip(self.expected, found, strict=True)
        return any(not np.array_equal(made[name], values) for wanted, made in pairs for name, values in wanted.items())


def case(form: str, seed: int, folder: Path) -> Case | None:
    """The good program of a form and a seed; None where the network does not fit the machine."""
    if form == "host":
        return _with_host()
    module = random_net(seed)
    options: dict[str, Any] = {"frames": "stream", "batch": 1 + seed % 3} if form == "frames" else {}
    try:
        program = emit(lower_plan(planned(module, write_machine(random_machine(seed), folder), **options)))
    except ReconError:
        return None
    return Case.of(f"{form} {seed}", module, program)


@functools.cache
def _with_host() -> Case:
    context = make_context()
    module = read_module(WITH_HOST, context)
    lower(module, "cnn", context)
    return Case.of("host", module, compile_model(WITH_HOST))


def is_refused(program: Program, module: ModuleOp) -> bool:
    """Whether the static proof or the proof for every input finds fault with a program."""
    try:
        check_program(program)
        prove(program, module, rounds=1)
    except ReconError:
        return True
    return False


def compare(programs: int, seed: int, say: Callable[[str], None] = lambda _: None) -> ProofTable:
    """Mutants of every kind of so many programs of each form (one in ten of those with a host)."""
    table = ProofTable()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed * 10_000, seed * 10_000 + programs):
            for form in FORMS if number % 10 == 0 else FORMS[:2]:
                say(f"proofs: {form} {number}")
                made = case(form, number, Path(folder))
                if made is not None:
                    table.programs[form] += 1
                    _judge(made, table, random.Random(number))
    return table


def _judge(made: Case, table: ProofTable, dice: random.Random) -> None:
    if is_refused(made.program, made.module):
        table.accused.append(f"A good program ({made.name}) is refused by the proof for every input.")
        return
    segments = [part for part in made.program.segments if isinstance(part, MachineSegment)]
    for kind, mutate in KINDS.items():
        segment = dice.choice(segments)
        mutant = mutate(made.program, segment, records_of(segment), dice)
        if mutant is None:
            continue
        row, harmful, refused = table.rows[kind], made.is_wrong(mutant), is_refused(mutant, made.module)
        row.mutants += 1
        row.harmful += harmful
        row.caught += harmful and refused
        row.others += refused and not harmful
        if harmful and not refused:
            table.missed.append(f"A harmful mutant ({kind}) of {made.name} is proven.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations.proven", description="Break programs, prove them.")
    parser.add_argument("--programs", type=int, default=40, help="programs of each form (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="decides everything (default 1)")
    chosen = parser.parse_args()
    table = compare(chosen.programs, chosen.seed)
    print(table)
    for failure in table.failures:
        print(failure, file=sys.stderr)
    return 1 if table.failures else 0


if __name__ == "__main__":
    sys.exit(main())
