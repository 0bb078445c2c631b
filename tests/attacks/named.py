"""Files that once hung, flooded or crashed a tool, each made by a function, and how each is answered today.

A file is right if the tool refuses it in a sentence: exit code 1, ``error:`` and no defect of the tool on standard
error, nothing on standard output and nothing written, within ``SECONDS`` of processor time and ``BYTES`` of memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.named_models import MODELS
from tests.attacks.named_others import OTHERS
from tests.attacks.processes import Ended, run, tool

SECONDS = 2.0
BYTES = 500 << 20

NAMED: dict[str, Callable[[Path], Sequence[str]]] = {**MODELS, **OTHERS}
"""By what the file is: fills a folder and returns the command."""


@dataclass(frozen=True)
class Answer:
    """How a file was answered, and what is wrong with that; "" if nothing is."""

    name: str
    ended: Ended
    wrong: str

    def row(self) -> str:
        """A line of the table."""
        said = " ".join(self.ended.err.split()).removeprefix("error: ")
        took = f"{self.ended.seconds:4.1f} s {self.ended.bytes >> 20:4} MB"
        return f"{self.name:<44} {took}  {said[:90]}"


def answers(names: Sequence[str] = tuple(NAMED)) -> Iterator[Answer]:
    """Each file in a folder and a process of its own."""
    for name in names:
        with tempfile.TemporaryDirectory() as kept:
            folder = Path(kept)
            arguments = list(NAMED[name](folder))
            if arguments[0] in ("recon", "recon-opt"):
                arguments[:1] = tool(arguments[0])
            before = {path.name for path in folder.iterdir()}
            ended = run(arguments, folder)
            left = {path.name for path in folder.iterdir()} - before
            yield Answer(name, ended, _wrong(ended, left))


def _wrong(ended: Ended, left: set[str]) -> str:
    if ended.code != 1:
        return f"it ended with {ended.code}"
    if "itself failed" in ended.err or "Traceback" in ended.err or "error: " not in ended.err or ended.out:
        return f"it said {(ended.out + ended.err)[-200:]!r}"
    if left:
        return f"it left {', '.join(sorted(left))}"
    if ended.seconds > SECONDS or ended.bytes > BYTES:
        return f"it took {ended.seconds:.1f} s and {ended.bytes >> 20:,} MB"
    return ""
