"""The laws of the search, and what breaks them: nothing taken away from the full planner makes its plan better.

Each objective is best at its own figure, by the statistics of the program: no lower level, no plan without one of the
planner's freedoms, no other objective is better at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from passes.planner.options import FREEDOMS, Options, options_from
from sim.machine.errors import ReconError
from tests.passes.planner.support import program_of
from tools.runtime import run_program

MEASURES = ("cycles", "dram", "energy")
"""Objectives that differ for one frame."""


@dataclass(frozen=True)
class Measured:
    """What a program takes: cycles, bytes over the DRAM channel, joules."""

    cycles: int
    dram: int
    energy: float


def measured(module: ModuleOp, machine: str, options: Options) -> Measured | None:
    """The figures of a module's program, None where there is no plan."""
    try:
        program = program_of(module, machine, options)
    except ReconError:
        return None
    found = run_program(program, timing_only=True).statistics
    return Measured(found.cycles, found.dram_read_bytes + found.dram_write_bytes, found.energy.total_joules)


def lesser() -> Iterator[tuple[str, Options]]:
    """Every level below, and every freedom taken away."""
    yield from ((f"-O{level}", Options(level=level)) for level in (0, 1))
    yield from ((f"without {name}", options_from(without=[name])) for name in FREEDOMS)


def beaten(module: ModuleOp, machine: str, objectives: Sequence[str] = MEASURES) -> dict[str, float]:
    """What is better at an objective than the plan for it, and how many times; 0 where the full planner has none."""
    full = {objective: measured(module, machine, Options(objective=objective)) for objective in objectives}
    others = {name: measured(module, machine, options) for name, options in lesser()}
    found: dict[str, float] = {}
    for objective, best in full.items():
        for name, other in {**others, **full}.items():
            if other is None:
                continue
            if best is None:
                found[f"{objective}: {name}"] = 0
            elif (ratio := getattr(best, objective) / getattr(other, objective)) > 1:
                found[f"{objective}: {name}"] = ratio
    return found
