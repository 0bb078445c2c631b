"""Values of command line options, read once for all tools."""

from __future__ import annotations

from collections.abc import Iterable

from sim.errors import ReconError


def input_shapes(options: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """``["data=1,3,224,224"]`` as shapes by input name; ReconError says what is wrong with one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for option in options:
        name, equals, text = option.rpartition("=")
        try:
            dims = tuple(int(number) for number in text.split(","))
        except ValueError:
            dims = ()
        if not equals or not name or not dims or min(dims) < 1:
            raise ReconError(f"--input-shape {option}: write NAME=1,3,224,224, with whole numbers of at least 1.")
        if name in shapes:
            raise ReconError(f"--input-shape: the input '{name}' is given twice.")
        shapes[name] = dims
    return shapes
