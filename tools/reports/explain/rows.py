"""How trials are written: tables, shares, and sentences that fit the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tools.reports.explain.trials import Trial
from tools.reports.report import WIDTH
from tools.terminal.console import count, table


def trials_table(trials: Sequence[Trial], cycles: int, *, promises: bool) -> str:
    """A row for each trial, beside a run of so many cycles, and why some have no plan."""
    header = ("planned", *(("promised",) if promises else ()), "measured", "difference", "DRAM bytes", "options")
    rows: list[tuple[str, ...]] = []
    for trial in trials:
        promised = ("-" if trial.promised is None else f"{trial.promised:,}",) if promises else ()
        moved = "-" if trial.dram_bytes is None else count(trial.dram_bytes)
        rows.append((trial.what, *promised, *measured(trial, cycles), moved, trial.options))
    text = table(header, rows, range(1, len(header) - 1))
    problems = [f"{trial.what}: {trial.problem}" for trial in trials if trial.problem]
    return "\n".join([text, *wrapped(problems)])


def measured(trial: Trial, cycles: int) -> tuple[str, str]:
    """The cycles of a trial and how they differ."""
    if trial.cycles is None:
        return "no plan", "-"
    return f"{trial.cycles:,}", f"{100 * (trial.cycles - cycles) / max(1, cycles):+.1f} %"


def share(part: float, whole: float) -> str:
    """A part in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def wrapped(sentences: Sequence[str]) -> list[str]:
    """Sentences as indented lines."""
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", initial_indent="  ")
    ]
