"""All problems of a model in one message: a user should not fix one only to be shown the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects.builtin import FileLineColLoc
from xdsl.ir import Operation

from sim.machine.errors import ReconError


class ModelError(ReconError):
    """A model that cannot be read or cannot run on the machine."""


@dataclass
class Problems:
    """Collects sentences; ``raise_if_any`` raises them together, in the order they were found, duplicates once.

    ``subject`` names the model in the message's first line.
    """

    subject: str
    found: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, where: str, sentence: str) -> None:
        """``where`` is what it is about (a node, an input), ``sentence`` what is wrong and what would help."""
        if (where, sentence) not in self.found:
            self.found.append((where, sentence))

    def __bool__(self) -> bool:
        return bool(self.found)

    def message(self) -> str:
        """One problem as a sentence; several as a headed list, equal sentences grouped with their places."""
        groups: dict[str, list[str]] = {}
        for where, sentence in self.found:
            groups.setdefault(sentence, []).append(where)
        lines = [f"{_places(places)}{sentence}" for sentence, places in groups.items()]
        if len(lines) == 1:
            return f"{self.subject}: {lines[0]}"
        return f"{self.subject} has {len(lines)} problems:\n" + "\n".join(f"  - {line}" for line in lines)

    def raise_if_any(self) -> None:
        """Raises ModelError with the whole list, if there is any."""
        if self.found:
            raise ModelError(self.message())


def place_in_text(op: Operation) -> str:
    """``plan.mlir:3:5`` for an operation that was read from text, else nothing."""
    where = op.location
    if not isinstance(where, FileLineColLoc):
        return ""
    return f"{where.filename.data}:{where.line.data}:{where.column.data}"


def _places(places: list[str], shown: int = 4) -> str:
    named = [place for place in places if place]
    if not named:
        return ""
    text = ", ".join(named[:shown])
    return f"{text}{f' and {len(named) - shown} more' if len(named) > shown else ''}: "
