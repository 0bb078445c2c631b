"""The parts of ``make verify`` that attack the tools: files made to hang, flood or fool them, and signals."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.attacks.broken_models import BYTES, REFUSED, RIGHT, SECONDS, broken_models
from tests.attacks.flips import FOUND, HARMLESS, flips
from tests.attacks.kills import Killed, kill_often
from tests.attacks.named import NAMED, answers
from tests.fuzz.__main__ import CORPUS, NAMES, fuzz, installed
from tests.fuzz.judging import Finding, judge
from tests.fuzz.readers import READERS
from tests.verify.lengths import Length
from tests.verify.tally import Say, Tally


def named(length: Length, tally: Tally, say: Say) -> None:
    """Files that once hung, flooded or crashed a tool, each in a process of its own."""
    names = list(NAMED)[:: max(1, len(NAMED) // length.named)]
    rows = [f"{'a file':<46} {'took':>13}  how it is refused"]
    longest = most = 0.0
    for answer in answers(names):
        say(f"{answer.name}")
        tally.named += 1
        tally.named_refused += not answer.wrong
        longest, most = max(longest, answer.ended.seconds), max(most, answer.ended.bytes)
        rows.append(answer.row())
        if answer.wrong:
            tally.failures.append(f"{answer.name}: {answer.wrong}")
    rows.append(f"{'at most':<44} {longest:4.1f} s {int(most) >> 20:4} MB")
    tally.tables.append("\n".join(rows))


def bits(length: Length, tally: Tally, say: Say) -> None:
    """Flipped bits of a program and of a side file: found, or nothing that is read is another."""
    say("flipped bits")
    for name, found in flips(length.flips, length.seed).items():
        tally.flips += found.total()
        tally.flips_found += found[FOUND]
        tally.flips_harmless += found[HARMLESS]
        if missed := found.total() - found[FOUND] - found[HARMLESS]:
            tally.failures.append(f"{missed:,} of {found.total():,} flipped bits of a {name} change what is read.")


def models(length: Length, tally: Tally, say: Say) -> None:
    """Damaged models: refused, or right in every pass; each within its time and memory."""
    for one in broken_models(length.broken, length.seed):
        say(f"damaged model {one.number + 1:,} of {length.broken:,}")
        tally.broken += 1
        tally.broken_refused += one.verdict == REFUSED
        tally.broken_right += one.verdict == RIGHT
        if one.wrong:
            took = f"{one.seconds:.1f} s of {SECONDS} and {one.bytes >> 20:,} MB of {BYTES >> 20:,}"
            tally.failures.append(f"damaged model {one.number} ({one.origin}): {one.verdict} ({took})")


def kills(length: Length, tally: Tally, say: Say) -> None:
    """Tools ended at random moments: no file is a part, nothing is lost, nobody prints a traceback."""
    result = Killed()
    for result in kill_often(length.kills, length.seed):
        say(f"{result.ends.total():,} of {length.kills:,} tools ended")
    tally.kills += result.ends.total()
    tally.failures += result.wrong
    tally.tables.append(result.table())


def readers(length: Length, tally: Tally, say: Say) -> None:
    """Everything that reads a file: the corpora, and inputs made by atheris where it is installed."""
    rows = [f"{'reader':<10}{'corpus':>9}{'fuzzed':>9}{'taken':>9}{'refused':>9}{'findings':>9}"]
    guided = length.fuzzed if installed() else 0
    with tempfile.TemporaryDirectory() as folder:
        made = {one.reader: one for one in fuzz(NAMES, guided, length.seed, Path(folder))} if guided else {}
    for name in NAMES:
        say(f"the corpus of {name}")
        paths, findings = sorted((CORPUS / name).glob("*")), list[str]()
        for path in paths:
            try:
                judge(READERS[name], path.read_bytes())
            except Finding as finding:
                findings.append(f"{path.name}: {finding}")
        one = made.get(name)
        findings += [f"{where}: {what}" for where, what in (one.findings.items() if one else ())]
        numbers = (len(paths), one.executions, one.taken, one.refused) if one else (len(paths), 0, 0, 0)
        rows.append(f"{name:<10}" + "".join(f"{number or '-':>9}" for number in (*numbers, len(findings))))
        tally.fuzzed += len(paths) + (one.executions if one else 0)
        tally.failures += [f"reader {name}: {finding}" for finding in findings]
    if length.fuzzed and not guided:
        rows.append("no inputs are made: atheris is not installed; 'make fuzz' installs it.")
    tally.tables.append("\n".join(rows))
