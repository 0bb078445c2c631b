"""The one form of an error: ``plan.mlir:3:5: error: …`` where it has a place in a text, which editors know to find."""

from __future__ import annotations

import re


def as_error(text: str) -> str:
    """The text of an error as it is printed; its place, if it has one, stands at its beginning already."""
    found = re.match(r"([^\n]+?:\d+:\d+): ", text)
    return f"{found[1]}: error: {text[found.end() :]}" if found else f"error: {text}"
