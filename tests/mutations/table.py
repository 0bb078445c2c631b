"""Mutants by kind, judged by trying every legal interleaving and by proof, sanitizer and comparison of outputs.

A harmful mutant is *broken* when the order of its instructions, unwritten bytes or its own structure harm it: proof and
sanitizer must both find it. It is *well formed and different* when only values are wrong (an address shifted to other
valid bytes, say): no proof without values can find it, so the run must stop or its outputs differ. A harmless mutant
that proof or sanitizer rejects must really hold a race, one whose outcome nobody sees: the manual forbids it all the
same. All other rejections are accusations of good programs.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from passes.accel.check_hazards import check_program
from passes.proof.hazards import HazardError
from sim.machine.encoding import Record, decode, encode
from sim.machine.errors import Fault
from sim.machine.program import MachineSegment, Program
from sim.simulator import simulate
from tests.mutations.interleavings import Case, Harm, Outputs, Verdict, judge
from tests.mutations.mutate import KINDS
from tests.mutations.small_programs import SmallProgram, small_program
from tests.passes.tile_to_accel.support import random_inputs

Inputs = Mapping[str, npt.NDArray[np.int8]]
RUNS = 2
"""Inputs that every program and mutant runs on."""
LEAST_HARMFUL = 0.3
"""Share of a kind's mutants that must be harmful, or the kind tests nothing."""
ENOUGH = 10
"""Accused good programs after which the comparison gives up."""


def proof_rejects(program: Program) -> str:
    """What the proof says against a program, or ``""``."""
    try:
        check_program(program)
    except HazardError as error:
        return str(error)
    return ""


def run(program: Program, inputs: Inputs) -> tuple[str, Mapping[str, npt.NDArray[np.int8]]]:
    """Why the sanitized run stops, or ``""`` and the outputs."""
    try:
        return "", simulate(program, inputs, sanitize=True).tensors
    except Fault as fault:
        return str(fault), {}


def changed(made: SmallProgram, records: Sequence[Record]) -> tuple[Program, MachineSegment]:
    """A small program with other instructions."""
    layers, buffers = np.zeros(len(records), np.uint32), np.zeros((0, 4), np.int64)
    segment = dataclasses.replace(made.segment, code=encode(records), layer_of=layers, buffers=buffers)
    return dataclasses.replace(made.program, segments=(segment,)), segment


@dataclass
class Good:
    """A good program with its inputs and the outputs it must give."""

    made: SmallProgram
    records: Sequence[Record]
    inputs: tuple[Inputs, ...]
    outputs: Outputs
    accused: str
    states: int

    @classmethod
    def of(cls, seed: int) -> Good:
        made = small_program(seed)
        program, segment = made.program, made.segment
        records = decode(segment.code).records()
        inputs = tuple(random_inputs(program, number) for number in range(RUNS))
        runs = [run(program, given) for given in inputs]
        outputs = tuple({name: tensors[name] for name in (r.name for r in segment.outputs)} if not fault else {}
                        for fault, tensors in runs)  # fmt: skip
        verdict = judge(Case.of(program, segment, records), inputs, outputs)
        accused = "; ".join(filter(None, [proof_rejects(program), *(fault for fault, _ in runs)]))
        if verdict.harm is not Harm.NONE or verdict.racing:
            accused += f"; not a good program: {verdict}"
        return cls(made, list(records), inputs, outputs, accused, verdict.states)


@dataclass(frozen=True)
class Result:
    """A mutant, what it really does, and who noticed."""

    seed: int
    kind: str
    records: Sequence[Record]
    verdict: Verdict
    proof: str
    sanitizer: str
    differs: bool

    @property
    def harmful(self) -> bool:
        return self.verdict.harm is not Harm.NONE

    @property
    def broken(self) -> bool:
        """Harmful by order, unwritten bytes or structure."""
        return self.harmful and not self.verdict.harm.by_values

    @property
    def missed(self) -> list[str]:
        """Who should have noticed and did not."""
        if self.broken:
            return [name for name, found in (("proof", self.proof), ("sanitizer", self.sanitizer)) if not found]
        return ["comparison"] if self.harmful and not (self.sanitizer or self.differs) else []

    @property
    def accused(self) -> list[str]:
        """Who accuses it although it breaks no law; a stop because of values is no accusation."""
        if self.broken or self.verdict.racing:
            return []
        by_values = self.verdict.harm is Harm.VALUE
        return [
            name for name, found in (("proof", self.proof), ("sanitizer", self.sanitizer and not by_values)) if found
        ]


def examine(good: Good, kind: str, records: Sequence[Record]) -> Result:
    """Judge one mutant."""
    program, segment = changed(good.made, records)
    verdict = judge(Case.of(program, segment, decode(segment.code).records()), good.inputs, good.outputs)
    sanitizer, differs = "", False
    for given, wanted in zip(good.inputs, good.outputs, strict=True):
        stop, tensors = run(program, given)
        sanitizer = sanitizer or stop
        differs |= not stop and any(not np.array_equal(tensors[name], wanted[name]) for name in wanted)
    return Result(good.made.seed, kind, records, verdict, proof_rejects(program), sanitizer, differs)


@dataclass
class Row:
    """Counts of one kind."""

    mutants: int = 0
    harmful: int = 0
    broken: int = 0
    by_proof: int = 0
    by_sanitizer: int = 0
    different: int = 0
    by_comparison: int = 0
    races: int = 0

    def add(self, result: Result) -> None:
        self.mutants += 1
        self.harmful += result.harmful
        self.broken += result.broken
        self.by_proof += bool(result.broken and result.proof)
        self.by_sanitizer += bool(result.broken and result.sanitizer)
        self.different += result.harmful and not result.broken
        self.by_comparison += bool(result.harmful and not result.broken and not result.missed)
        self.races += not result.harmful and result.verdict.racing


@dataclass
class Table:
    """The whole comparison."""

    rows: dict[str, Row] = field(default_factory=lambda: {kind: Row() for kind in KINDS})
    harms: Counter[Harm] = field(default_factory=Counter[Harm])
    programs: int = 0
    instructions: int = 0
    states: int = 0
    good_accused: list[str] = field(default_factory=list[str])
    missed: list[Result] = field(default_factory=list[Result])
    accused: list[Result] = field(default_factory=list[Result])

    @property
    def dull(self) -> list[str]:
        """Kinds with too few harmful mutants."""
        return [kind for kind, row in self.rows.items() if row.harmful < LEAST_HARMFUL * row.mutants]

    @property
    def failures(self) -> int:
        return len(self.good_accused) + len(self.missed) + len(self.accused)

    def add(self, result: Result) -> None:
        self.rows[result.kind].add(result)
        self.harms[result.verdict.harm] += 1
        self.states += result.verdict.states
        if result.missed:
            self.missed.append(result)
        if result.accused:
            self.accused.append(result)

    def __str__(self) -> str:
        total = Row()
        lines = [
            "| kind | mutants | harmful | broken | by proof | by sanitizer | different | by outputs | silent races |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for kind, row in [*self.rows.items(), ("all", total)]:
            share = f"{row.harmful} ({100 * row.harmful // max(1, row.mutants)} %)"
            cells = [row.mutants, share, row.broken, row.by_proof, row.by_sanitizer, row.different, row.by_comparison,
                     row.races]  # fmt: skip
            lines.append(f"| {kind} | " + " | ".join(map(str, cells)) + " |")
            if row is not total:
                for name in vars(total):
                    setattr(total, name, getattr(total, name) + getattr(row, name))
        lines.append("")
        lines.append(
            f"{self.programs:,} good programs of {self.instructions:,} instructions, {len(self.good_accused)} accused; "
            f"{total.mutants:,} mutants, {len(self.missed)} missed, {len(self.accused)} accused without cause; "
            f"{self.states:,} states visited."
        )
        lines.append("; ".join(f"{harm.value}: {count:,}" for harm, count in self.harms.most_common()))
        return "\n".join(lines)


def compare(mutants: int, seed: int = 1, progress: Callable[[int], None] | None = None) -> Table:
    """About ``mutants`` mutants, equally many of each kind, a few from each good program; the seed decides all."""
    table = Table()
    each = -(-mutants // len(KINDS))
    number = seed * 1_000_000
    while any(row.mutants < each for row in table.rows.values()):
        number += 1
        good = Good.of(number)
        table.programs += 1
        table.instructions += len(good.records)
        table.states += good.states
        if good.accused:
            table.good_accused.append(f"program {number}: {good.accused}")
            if len(table.good_accused) == ENOUGH:
                break
            continue
        dice = random.Random(f"mutants {number}")
        seen = {encode(good.records)}
        for kind, mutation in KINDS.items():
            for _ in range(min(3, each - table.rows[kind].mutants)):
                records = mutation(good.records, dice)
                if records is None or (code := encode(records)) in seen:
                    continue
                seen.add(code)
                table.add(examine(good, kind, records))
        if progress is not None:
            progress(sum(row.mutants for row in table.rows.values()))
    return table
