"""Compare the simulator's clock with the second one over many random programs, or over compiled ones.

    python -m tests.second_clock --programs 5000 --seed 1
    python -m tests.second_clock model.rbin

Prints one row of a table: programs, instructions, disagreements. Exit status 1 when there are any.
"""

from __future__ import annotations

import argparse
import sys
import time

from sim.machine import description as machine
from tests.second_clock.compare import Comparison, compare, compare_program
from tests.second_clock.random_programs import odd_machine, random_program

_SUMMARY = "Compare the simulator's clock with the second one over random programs, or over compiled ones."


def random_comparison(number: int, instructions: int, jump: bool) -> Comparison:
    """The ``number``-th random program, the machines taking turns; every fifth runs on a machine made up for it."""
    names = machine.names()
    chosen = machine.load(names[number % len(names)])
    if number % 5 == 4:
        chosen = odd_machine(chosen, number)
    made = random_program(chosen, number, instructions)
    return compare(chosen, made.records, made.configurations, jump)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.second_clock", description=_SUMMARY)
    parser.add_argument("files", nargs="*", help="program files to compare instead of random programs")
    parser.add_argument("--programs", type=int, default=100, help="random programs (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="the first program's number, in units of --programs")
    parser.add_argument("--instructions", type=int, default=150, help="instructions of each (default 150)")
    parser.add_argument("--step", action="store_true", help="step every cycle instead of jumping to the next event")
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    programs = instructions = disagreements = cycles = steps = 0
    if chosen.files:
        cases = ((path, c) for path in chosen.files for c in compare_program(path, not chosen.step))
    else:
        numbers = range(chosen.seed * chosen.programs, (chosen.seed + 1) * chosen.programs)
        cases = ((f"program {n}", random_comparison(n, chosen.instructions, not chosen.step)) for n in numbers)
    for where, result in cases:
        programs += 1
        instructions += result.instructions
        cycles += result.cycles
        steps += result.steps
        disagreements += len(result.disagreements)
        for line in result.disagreements[:3]:
            print(f"{where}: {line}", file=sys.stderr)
    print(f"| {programs:,} programs | {instructions:,} instructions | {disagreements:,} disagreements |")
    seconds = time.monotonic() - began
    print(f"{cycles:,} cycles, {steps:,} of them stepped, in {seconds:.1f} s", file=sys.stderr)
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
