"""Walks of ``tile.move`` as operand fields: steps along logical axes become strides in bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dialects import tile
from dialects.tile_move import AXES
from passes.tile_to_accel.emission import Fields, Operands
from passes.tile_to_accel.plan_state import PlanBuffer
from passes.tile_to_accel.written import Places

ROW = 0


def places(origin: tuple[int, ...], walk: tile.Walk, sizes: tuple[int, int, int]) -> tuple[Places, Places, Places]:
    """Logical rows, columns and channels of a walk's elements; they broadcast to its sizes."""
    at: list[Places] = [np.full((1, 1, 1), start, np.int64) for start in origin]
    for dimension, ((axis, step), size) in enumerate(zip(walk.steps, sizes, strict=False)):
        at[axis] = at[axis] + np.expand_dims(np.arange(size) * step, (1, 2) if dimension == 0 else (0, 2))
    return at[0], at[1], at[2] + np.arange(sizes[2])


def walked(
    name: str,
    buffer: PlanBuffer,
    origin: tuple[int, int, int],
    walk: tile.Walk,
    sizes: tuple[int, int, int],
    complain: Callable[[str], None],
) -> tuple[Fields, Operands] | None:
    """Fields and address of operand ``name``; None after a complaint about a walk that the machine cannot make."""
    for axis, start, span, limit in zip(AXES, origin, walk.extent(sizes), buffer.dims, strict=True):
        if start < 0 or start + span > limit:
            complain(f"it walks {axis}s {start} to {start + span - 1} of {buffer}, which has {limit}.")
            return None
    if lacking := buffer.lacks(origin, walk.extent(sizes)):
        complain(f"it walks {lacking}.")
        return None
    _, width, depth = buffer.stored
    strides = (width * depth, depth, 1)
    row, column, channel = buffer.local(origin)
    offset = column * depth + channel
    fields: Fields = {
        f"{name}.row_stride": walk.steps[0][1] * strides[walk.steps[0][0]],
        f"{name}.pixel_stride": walk.steps[1][1] * strides[walk.steps[1][0]],
    }
    moving = [step for (axis, step), size in zip(walk.steps, sizes, strict=False) if axis == ROW and size > 1 and step]
    if not buffer.ring:
        offset += row * strides[ROW]
    elif not moving:
        offset += row % buffer.ring * strides[ROW]
    elif moving != [1] or walk.steps[0] != (ROW, 1):
        complain(
            f"it walks rows of {buffer}, a ring, and there the outer dimension can go from each row to the next only; "
            "move row by row."
        )
        return None
    elif sizes[0] > buffer.ring:
        complain(f"it walks {sizes[0]} rows of {buffer}, whose ring stores {buffer.ring}.")
        return None
    else:
        fields[f"{name}.ring"] = buffer.ring
        fields[f"{name}.row"] = row % buffer.ring
    return fields, [(f"{name}.base", buffer.value, offset)]
