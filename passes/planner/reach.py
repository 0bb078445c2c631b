"""Which rows or columns of its inputs a layer reads for some of its output: the one place that knows windows.

Along one axis everything but a movement is a line: m, d, o, e and the input's size say that output position p reads e
positions from p·m//d − o on, as far as there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialects import cnn
from passes.planner.movement import ROW, taken

if TYPE_CHECKING:
    from passes.planner.network import Layer

Reach = tuple[int, int, int, int, int]
"""(m, d, o, e, size)."""


def reaches(layer: Layer, axis: int) -> tuple[Reach, ...]:
    """For each input of a layer that is no movement, its reach along rows (axis 0) or columns (axis 1)."""
    found: list[Reach] = []
    row = None if layer.is_conv else layer.vector
    for which, tensor in enumerate(layer.inputs):
        size = tensor.height if axis == ROW else tensor.width
        m, d, o, e = 1, 1, 0, 1
        if row is not None and (
            row.reads == "image" or (row.pixel and which == 1 and (tensor.height, tensor.width) == (1, 1))
        ):
            m, e = 0, size
        elif which == 0 and isinstance(layer.op, cnn.ResizeOp):
            d = layer.op.factors.get_values()[axis]
        elif which == 0 and layer.kind == "pad":
            o = layer.window_of_pad[1][2 * axis]
        elif which == 0 and (row is None or row.reads == "window"):
            kernel, pads, strides, dilations = layer.window.values
            m, o, e = strides[axis], pads[2 * axis], (kernel[axis] - 1) * dilations[axis] + 1
        found.append((m, d, o, e, size))
    return tuple(found)


def read_span(layer: Layer, axis: int, span: tuple[int, int], which: int, reach: tuple[Reach, ...]) -> tuple[int, int]:
    """Positions [from, to) of an input that a span of the output reads, clipped to the tensor; (0, 0) if none are."""
    first, end = span
    if layer.kind == "move":
        same = [at for at, tensor in enumerate(layer.inputs) if tensor is layer.inputs[which]]
        return taken(layer.pieces, first, end, same, axis)
    m, d, o, e, size = reach[which]
    return max(0, first * m // d - o), max(1, min(size, (end - 1) * m // d - o + e))
