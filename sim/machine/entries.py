"""Values as they stand in a program file's JSON: what is not of the wanted kind is a ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast


def whole(value: Any) -> int:
    """A count."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def each(read: Callable[[Any], Any], values: Any) -> tuple[Any, ...]:
    """The members of a list, each as ``read`` gives it."""
    if not isinstance(values, list):
        raise ValueError(f"{values!r} is no list")
    return tuple(read(value) for value in cast("list[Any]", values))
