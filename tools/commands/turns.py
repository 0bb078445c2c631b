"""recon compile with several models: what it asks of them, and what it says of their round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sim.machine.errors import ReconError
from tools.options import Planning
from tools.terminal.console import Talk

if TYPE_CHECKING:
    from sim.machine.program import Program


def only_for_one(models: Sequence[str], asked: Mapping[str, object]) -> None:
    """ReconError for an option that was given and is for one model."""
    for option, given in asked.items():
        if given:
            raise ReconError(f"--{option} is for one model; {len(models)} models take turns here.")


def take_turns(
    models: Sequence[str],
    times: Sequence[str],
    machine: str | None,
    assume_int8: bool,
    options: Planning,
    talk: Talk,
) -> Program:
    """The program of several models, and on the terminal the rate of each and what turns cost."""
    from tools.reports.report import rhythm_text
    from tools.together import compile_together, turns_of

    with talk.progress("compiling") as progress:

        def report(step: str) -> None:
            talk.detail(step)
            progress.doing(step)

        found = compile_together(models, turns_of(times), machine, assume_int8, options, report)
    program = found.program
    for note in program.notes:
        talk.note(note)
    for line in found.lines():
        talk.say(line)
    if program.rhythm is not None:
        talk.say(f"rounds in a row: {rhythm_text(program)}")
    return program
