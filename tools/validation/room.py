"""Whether this computer has the memory to run a module in numpy: said before it is tried, and of which tensor."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue

from dialects import accel, cnn, tile
from dialects.text import place_in_text
from sim.machine.errors import ReconError

BYTES_PER_ELEMENT = 16
"""Of the largest tensor while an operation runs: its codes as int64, and the sums before they are rounded."""


def check_room(module: ModuleOp) -> None:
    """ReconError for a module whose largest tensor, as the interpreters hold it, takes more memory than there is."""
    found = [(math.prod(dims), op, what, dims) for op, what, dims in _tensors(module)]
    if not found:
        return
    elements, op, what, dims = max(found, key=lambda one: one[0])
    needed, there = elements * BYTES_PER_ELEMENT, _memory()
    if needed > there:
        place = f"{where}: " if (where := place_in_text(op)) else ""
        raise ReconError(
            f"{place}{what} of {'x'.join(map(str, dims))} takes {needed:,} bytes to compute with in numpy, and this "
            f"computer has {there:,}; validate the module with a smaller image."
        )


def _memory() -> int:
    """Bytes of memory of this computer; without bound where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 1 << 62


def _tensors(module: ModuleOp) -> Iterator[tuple[Operation, str, tuple[int, ...]]]:
    for op in module.walk():
        if isinstance(op, accel.DramOp):
            yield op, "the region", op.dims
        for value in (*op.results, *(argument for region in op.regions for b in region.blocks for argument in b.args)):
            if dims := _dims(value.type):
                yield op, _said(value), dims


def _said(value: SSAValue) -> str:
    return f"%{value.name_hint}" if value.name_hint else "a tensor"


def _dims(kind: Attribute) -> tuple[int, ...]:
    if isinstance(kind, cnn.TensorType | cnn.FloatType | tile.DramType | tile.SramType):
        return kind.dims
    return tuple(kind.get_shape()) if isinstance(kind, TensorType) and kind.has_static_shape() else ()
