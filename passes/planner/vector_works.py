"""A layer of the vector unit as works: tile by tile, so that it overlaps with what feeds it and what reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dialects import cnn
from dialects.tile import Slice
from passes.planner import numbers
from passes.planner.mapping import Box, ConvMapping, Span, cuts
from passes.planner.network import Layer, Tensor, makers
from passes.planner.rooms import ActivationRooms, Room
from passes.planner.stripes import row_multiple
from passes.planner.tensors import parts
from passes.planner.tuning import MAX_TILES, TILE_CYCLES
from passes.planner.works import Vector
from sim.machine.description import Machine


class VectorWorks:
    """Makes the works of vector layers."""

    def __init__(self, machine: Machine, rooms: ActivationRooms, mappings: Mapping[Layer, ConvMapping]):
        self.machine = machine
        self.rooms = rooms
        self.mappings = mappings

    def works(self, layer: Layer, box: Box, constants: Mapping[str, Room]) -> Iterator[Vector]:
        """Operations that make a box of the output."""
        output, source = layer.output, layer.inputs[0]
        second = layer.inputs[1] if len(layer.inputs) > 1 else None
        law = numbers.vector_law(layer.op, [t.type for t in layer.inputs], output.type)
        left, right = box.columns
        for rows, (first, end) in self._tiles(layer, box):
            yield Vector(
                layer=layer.name,
                kind=layer.vector.name,
                output=self.rooms.of(output),
                out=Slice.of((rows[0], left, output.offset + first), (rows[1] - rows[0], right - left, end - first)),
                lhs=self.rooms.of(source),
                lhs_channel=source.offset + first,
                law=law,
                window=_window(layer),
                rhs=self.rooms.of(second) if second is not None else None,
                rhs_channel=second.offset + first if second is not None else 0,
                params=constants.get("params"),
                channel=first - box.channels[0],
                table=constants.get("table"),
            )

    def _tiles(self, layer: Layer, box: Box) -> list[tuple[Span, Span]]:
        """(rows, channels) of each tile: by channels where its input comes so, else by rows."""
        output, span, everything = layer.output, box.rows, box.channels
        count, width = span[1] - span[0], box.columns[1] - box.columns[0]
        if layer.vector.channels == "all" or output.height == 1:
            return [(span, everything)]
        pieces = self._pieces(count * width * (everything[1] - everything[0]))
        if pieces <= 1:
            return [(span, everything)]
        multiple = row_multiple(layer, self.mappings)
        if width < output.width or everything != (0, output.channels):
            return [(part, everything) for part in cuts(*span, pieces, multiple)]
        sources = [channel_parts(tensor) for tensor in layer.inputs]
        if len(sources) == 1 and len(sources[0]) > 1:
            # What was joined first can be worked on while the last part is still being made, and that by rows.
            *early, last = sources[0]
            late = self._pieces(count * output.width * (last[1] - last[0]))
            tail = cuts(*span, max(1, late), multiple)
            return [(span, (early[0][0], early[-1][1])), *((part, last) for part in tail)]
        convolutions = [maker for tensor in layer.inputs for maker in makers(tensor) if maker.is_conv]
        if convolutions and all(len(self.mappings[maker].blocks) > 1 for maker in convolutions):
            return [(span, part) for part in cuts(0, output.channels, pieces, 16)]
        return [(part, everything) for part in cuts(*span, pieces, multiple)]

    def _pieces(self, elements: int) -> int:
        """Tiles for so many elements: each a good part of a convolution's, so that neither waits long."""
        return min(MAX_TILES, elements // self.machine.streams.vector // (TILE_CYCLES // 4))


def _window(layer: Layer) -> cnn.WindowAttr | None:
    if isinstance(layer.op, cnn.PadOp):
        return cnn.WindowAttr.of(*layer.window_of_pad)
    if isinstance(layer.op, cnn.ResizeOp):
        return cnn.WindowAttr.of((1, 1), (0, 0, 0, 0), layer.op.factors.get_values())
    return layer.window if layer.vector.windowed else None


def channel_parts(tensor: Tensor) -> list[Span]:
    """Channel ranges of a joined tensor by part, in the order in which they are made; they must be contiguous."""
    if tensor.is_view:
        return [(0, tensor.channels)]
    made = sorted(parts(tensor), key=lambda part: part.producer.index if part.producer is not None else -1)
    ranges = [
        (max(0, p.offset - tensor.offset), min(tensor.channels, p.offset - tensor.offset + p.channels)) for p in made
    ]
    return ranges if ranges == sorted(ranges) else ranges[:1]
