"""All problems of a model in one message: a user should not fix one only to be shown the next."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from dialects.text import place_in_text
from sim.machine.errors import ReconError

__all__ = ["ModelError", "Problems", "place_in_text", "split_place"]


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
        """One problem as a sentence; several as a headed list, equal sentences grouped with their places.

        What has a place in a text begins with it, in the form that editors know: ``plan.mlir:3:5: …``.
        """
        groups: dict[tuple[str, str], list[str]] = {}
        for where, sentence in self.found:
            line, rest = split_place(where)
            groups.setdefault((line, sentence), []).append(rest)
        lines = [(line, f"{_places(places)}{sentence}") for (line, sentence), places in groups.items()]
        if len(lines) == 1:
            ((line, text),) = lines
            return f"{line}: {self.subject}: {text}" if line else f"{self.subject}: {text}"
        listed = (f"{line}: error: {text}" if line else f"  - {text}" for line, text in lines)
        return f"{self.subject} has {len(lines)} problems:\n" + "\n".join(listed)

    def raise_if_any(self) -> None:
        """Raises ModelError with the whole list, if there is any."""
        if self.found:
            raise ModelError(self.message())


_PLACE = re.compile(r"(.+?:\d+:\d+)(?:, (.*))?", re.DOTALL)


def split_place(where: str) -> tuple[str, str]:
    """``plan.mlir:3:5, layer c`` as (``plan.mlir:3:5``, ``layer c``); the first is empty if there is no such place."""
    found = _PLACE.fullmatch(where)
    return (found[1], found[2] or "") if found else ("", where)


def _places(places: list[str], shown: int = 4) -> str:
    named = [place for place in places if place]
    if not named:
        return ""
    text = ", ".join(named[:shown])
    return f"{text}{f' and {len(named) - shown} more' if len(named) > shown else ''}: "
