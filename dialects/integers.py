"""Whole numbers as attributes. Attributes are values that nobody changes, so equal ones are made and checked once:
a large program holds a hundred thousand of them, and a few thousand that differ."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, i64


@functools.lru_cache(maxsize=1 << 16)
def integer(value: int) -> IntegerAttr:
    """A whole number as our operations hold it."""
    return IntegerAttr(int(value), i64)


@functools.lru_cache(maxsize=1 << 14)
def pair(first: int, second: int) -> DenseArrayBase:
    """Two of them."""
    return DenseArrayBase.from_list(i64, [int(first), int(second)])


def integers(values: Sequence[int]) -> DenseArrayBase:
    """As many as there are."""
    return DenseArrayBase.from_list(i64, list(values))
