"""Long lines of printed IR break where a person would break them.

Decisions. One operation is one line as long as a wide window shows it whole, which is what ``CHECK`` lines of tests
want; only longer ones break, into pieces that a page shows. White space outside strings means nothing in MLIR, so
breaking works on lines of text, whatever operation they hold and in which form. A line breaks before a word that
begins a part (``window``, ``params``, ``layer``, ``->``), never between that word and what it speaks of, and inside
brackets, behind a comma, only where nothing outside them fills the line. What follows a break stands four columns
deeper. Strings stay whole, so a line with a long string stays long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

LONGEST = 200
"""Columns of a line that stays whole."""

WIDTH = 120
"""Columns of the pieces of a longer one."""

_DEEPER = " " * 4
_OPEN, _CLOSE = "([{<", ")]}>"


class BrokenLines:
    """Writes to a stream, breaking the lines that are longer than ``LONGEST`` columns; ``finish`` writes the last."""

    def __init__(self, stream: IO[str]):
        self.stream = stream
        self.rest = ""

    def write(self, text: str, /) -> int:
        if "\n" not in text:
            self.rest += text
            return len(text)
        *lines, rest = (self.rest + text).split("\n")
        self.rest = rest
        for line in lines:
            self.stream.write("\n".join(broken(line)) + "\n")
        return len(text)

    def finish(self) -> None:
        """Write what stands behind the last end of a line."""
        self.stream.write("\n".join(broken(self.rest)))
        self.rest = ""


def broken(line: str) -> Iterator[str]:
    """The line, or if it is long its pieces of at most ``WIDTH`` columns, as far as it can be broken."""
    if len(line) <= LONGEST:
        yield line
        return
    indent = " " * (len(line) - len(line.lstrip(" ")))
    places = list(_places(line))
    start, margin = 0, ""
    while len(line) - start + len(margin) > WIDTH:
        ahead = [(depth, at) for depth, at in places if at > start]
        fitting = [(depth, at) for depth, at in ahead if at - start + len(margin) <= WIDTH]
        if not ahead:
            break
        at = _best(fitting, start) if fitting else min(at for _, at in ahead)
        yield margin + line[start:at]
        start, margin = at + 1, indent + _DEEPER
    yield margin + line[start:]


def _best(places: list[tuple[int, int]], start: int) -> int:
    """The last place in as few brackets as fill a third of the line; if none does, the last of all."""
    for depth in sorted({depth for depth, _ in places}):
        last = max(at for other, at in places if other == depth)
        if last - start >= WIDTH // 3:
            return last
    return max(at for _, at in places)


def _places(line: str) -> Iterator[tuple[int, int]]:
    """Spaces at which the line may break, each with the number of brackets that it stands in."""
    depth, quoted, words = 0, False, 0
    for at, letter in enumerate(line):
        if quoted:
            quoted = letter != '"' or _escaped(line, at)
        elif letter == '"':
            quoted = True
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE and not line.startswith("->", at - 1):
            depth -= 1
        elif letter == " " and at and line[at - 1] != " ":
            words += 1
            behind = line[at + 1 : at + 3]
            starts = behind[:1].isalpha() or behind == "->" or behind == ": "
            if line[at - 1] == "," or (not depth and starts and not _is_head(line, at, words)):
                yield depth, at


def _escaped(line: str, at: int) -> bool:
    """Whether the quote there is a letter of its string."""
    slashes = len(line[:at]) - len(line[:at].rstrip("\\"))
    return bool(slashes % 2)


def _is_head(line: str, at: int, words: int) -> bool:
    """Whether the space stands before or right behind the operation's name, or behind what belongs to the next word."""
    return words == 1 or line[:at].endswith((" =", "->", " :")) or (words == 3 and " = " in line[:at])
