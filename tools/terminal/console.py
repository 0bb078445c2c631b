"""How the commands talk: answers on stdout, remarks and progress on stderr, as much as -q and -v ask for."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tools import DEFAULT_MACHINE
from tools.terminal.completion import machines

if TYPE_CHECKING:
    from rich.status import Status

BAR = 24
"""Columns of a progress bar."""

PATIENCE = 2.0
"""Seconds after which a tool says what it is doing."""

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More about what happens.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.", hidden=True)]

FORMS = ("text", "csv", "json")


def _form(text: str) -> str:
    if text not in FORMS:
        raise typer.BadParameter(f"'{text}' is none of {', '.join(FORMS)}")
    return text


Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="|".join(FORMS), help="Print a table for people, or the data alone.", callback=_form
    ),
]
Scale = Annotated[str | None, typer.Option(metavar="NUMBER[,…]", help="Pictures become (pixel - mean) * scale.")]
Mean = Annotated[str | None, typer.Option(metavar="NUMBER[,…]", help="See --scale.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value in the machine: sram.bytes=4MiB; repeatable."),
]
MachineName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A machine of 'recon machines' or a TOML file.  [default: edge4k]",
        autocompletion=machines,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Write even over a file that this command reads, or could not have written."),
]

InputShape = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=1,3,224,224", help="Shape of an input that the model leaves open; repeatable."),
]
AssumeInt8 = Annotated[
    bool,
    typer.Option("--assume-int8", help="Quantise a float model with made-up scales, to learn what it would cost."),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="Put in no quantiser where the model has none; the host computes there instead."),
]


class Talk:
    """Prints for one command."""

    def __init__(self, quiet: bool = False, verbose: bool = False):
        self.quiet = quiet
        self.verbose = verbose and not quiet

    def answer(self, text: str = "") -> None:
        """What was asked for."""
        typer.echo(text)

    def say(self, text: str = "") -> None:
        """What most people want to know, unless -q."""
        if not self.quiet:
            typer.echo(text)

    def detail(self, text: str) -> None:
        """What -v shows, on stderr."""
        if self.verbose:
            typer.echo(text, err=True)

    def note(self, text: str) -> None:
        """A remark on stderr, unless -q."""
        if not self.quiet:
            typer.echo(f"note: {text}", err=True)

    def warn(self, text: str) -> None:
        """What makes the answer doubtful, on stderr, also with -q."""
        typer.echo(f"warning: {text}", err=True)

    def machine(self, name: str | None, settings: Sequence[str] | None, default: str | None = None) -> str | None:
        """The machine of ``--machine`` and ``--set``, as the compiler takes it; remarks on a borrowed name.

        None where neither names one, unless there is a ``default``.
        """
        from sim.machine.description import borrowed_name, with_settings

        name = name or default or (DEFAULT_MACHINE if settings else None)
        if name is None:
            return None
        if remark := borrowed_name(name):
            self.note(remark)
        return with_settings(name, settings or [])

    @contextmanager
    def progress(self, doing: str) -> Generator[Progress, None, None]:
        """Shows what is being done once it takes longer than PATIENCE, if stderr is a terminal."""
        progress = Progress(doing, self.quiet)
        try:
            yield progress
        finally:
            progress.stop()


class Progress:
    """A line on the terminal that appears after PATIENCE seconds and goes when all is done."""

    def __init__(self, doing: str, quiet: bool):
        self._doing = doing
        self._status: Status | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        if not quiet:
            self._timer.start()

    def _show(self) -> None:
        from rich.console import Console

        console = Console(stderr=True)
        with self._lock:
            if console.is_terminal and not self._timer.finished.is_set():
                self._status = console.status(self._doing)
                self._status.start()

    def doing(self, what: str) -> None:
        """What is going on now."""
        with self._lock:
            self._doing = what
            if self._status is not None:
                self._status.update(what)

    def done(self, what: str, part: int, whole: int) -> None:
        """How far it has come, as a bar."""
        full = BAR * part // max(1, whole)
        self.doing(f"{what} {'━' * full}{'╌' * (BAR - full)} {100 * part // max(1, whole)} %")

    def counter(self, what: str) -> Callable[[int, int], None]:
        """``done`` of one thing."""
        return lambda part, whole: self.done(f"{what} ({part:,} of {whole:,})", part, whole)

    def stop(self) -> None:
        with self._lock:
            self._timer.cancel()
            if self._status is not None:
                self._status.stop()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """Columns as wide as their content, two spaces apart; ``numeric`` columns are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines: list[str] = []
    for row in (header, *rows):
        cells = [
            text.rjust(width) if column in numeric else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def rendered(content: object, header: Sequence[str], rows: Sequence[Sequence[object]], form: str) -> str:
    """``content`` as JSON, or the rows as CSV, without the last newline."""
    if form == "json":
        return json.dumps(content, indent=1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().rstrip("\n")


def shorten(text: str, width: int) -> str:
    """The text, its end cut to fit."""
    return text if len(text) <= width else text[: width - 1] + "…"


def count(number: float) -> str:
    """A number people can read: ``7.4M``, ``512``, ``1.20G``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(number) >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{unit}"
    return f"{number:.0f}"
