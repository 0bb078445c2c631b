"""A file that shows an internal error once more: the module as it was read, and the passes up to the one that failed.

``recon-opt --run-reproducer FILE`` runs it again. The text is that of the module, so it can be cut down by hand or by
``recon reduce``; the passes stand in comments above it. Nothing else of a command line is kept: a file that somebody
sends must not choose what is written where.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from sim.machine.errors import ReconError
from tools.files.text import write_text

_HEAD = "// A reproducer of an internal error"
_KEY = re.compile(r"// (\w+): (.*)")


def write_reproducer(
    read: Callable[[], ModuleOp], passes: Sequence[ModulePass], error: Exception, path: str | Path | None = None
) -> Path | None:
    """Write the module that ``read`` gives and the passes that led to the error; returns where.

    Without a ``path`` into a new folder for temporary files. None if it cannot be written, which is no second error.
    """
    with suppress(Exception):
        module = read()
        where = Path(path) if path is not None else Path(tempfile.mkdtemp(prefix="recon-")) / "reproducer.mlir"
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        pipeline = ",".join(map(str, passes))
        lines = [f"{_HEAD}: recon-opt --run-reproducer {where.name}", f"// error: {reason}", f"// pipeline: {pipeline}"]
        write_text(module, where, "".join(f"{line}\n" for line in lines))
        return where
    return None


def note_reproducer(
    error: Exception, read: Callable[[], ModuleOp], passes: Sequence[ModulePass], path: str | Path | None = None
) -> None:
    """Write a reproducer of an error, which then says how it is run."""
    where = write_reproducer(read, passes, error, path)
    if where is not None:
        error.add_note(f"  recon-opt --run-reproducer {where} shows it again")


def pipeline_in(path: str) -> str:
    """The passes that a reproducer asks for, as ``-p`` takes them; ReconError for a file that is none."""
    try:
        with open(path, encoding="utf-8") as file:
            head = [line.rstrip("\n") for line, _ in zip(file, range(3), strict=False)]
    except UnicodeDecodeError:
        raise ReconError(f"{path}: this is not a text file.") from None
    found = {match[1]: match[2] for line in head if (match := _KEY.fullmatch(line))}
    if not head or not head[0].startswith(_HEAD) or "pipeline" not in found:
        raise ReconError(f"{path}: this is no reproducer; recon-opt writes one when a pass fails in itself.")
    return found["pipeline"]
