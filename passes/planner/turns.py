"""What each turn of a group makes: a strip of columns, or a part of the channels, of every tensor it touches.

A strip of the group's results needs a wider one of the tensors before them; these columns are computed again in the
next strip, while rows are kept. Rooms of a turn store its columns and channels only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from passes.planner.mapping import ConvMapping, Span, cuts
from passes.planner.network import Buffer, Layer, Tensor
from passes.planner.stripes import Group, leaves, row_multiple

CHANNELS = 16
"""A part of a layer of the vector unit has a multiple of so many channels, as streams count them."""


@dataclass(frozen=True)
class Turn:
    """``made`` are the columns and channels of its output that a layer makes, ``own`` the columns of them that leave;
    ``held`` the columns and channels of a buffer that are touched at all (channels counted in the buffer)."""

    made: Mapping[Layer, tuple[Span, Span]]
    own: Mapping[Layer, Span]
    held: Mapping[Buffer, tuple[Span, Span]]

    def makes(self, layer: Layer) -> bool:
        """Whether a layer makes anything: narrow tensors have fewer columns than there are strips."""
        first, end = self.made[layer][0]
        return first < end

    def part(self, buffer: Buffer) -> tuple[int, ...]:
        """Columns and channels that a room of a held buffer stores; empty for all."""
        columns, channels = self.held[buffer]
        whole = columns == (0, buffer.width) and channels == (0, buffer.channels)
        return () if whole else (*columns, *channels)

    def area(self, buffer: Buffer) -> int:
        """Bytes of a row of such a room; 0 for a buffer that is not touched."""
        columns, channels = self.held.get(buffer, ((0, 0), (0, 0)))
        return (columns[1] - columns[0]) * (channels[1] - channels[0])


def turns(group: Group, mappings: Mapping[Layer, ConvMapping]) -> Iterator[Turn]:
    """The turns of a group, in order."""
    if group.turns == 1 and group.kept is None:
        yield _everything(group)
        return
    whole = [(0, layer.output.channels) for layer in group.layers]
    for channels in channel_parts(group, mappings) if group.parts > 1 else [whole[0]]:
        wanted = dict(zip(group.layers, [channels] if group.parts > 1 else whole, strict=True))
        for strip in range(group.strips):
            yield _strip(group, mappings, strip, wanted)


def channel_parts(group: Group, mappings: Mapping[Layer, ConvMapping]) -> list[Span]:
    """The channels that each part of a layer makes: whole blocks of a convolution's weights."""
    (layer,) = group.layers
    if not layer.is_conv:
        return cuts(0, layer.output.channels, group.parts, min(CHANNELS, -(-layer.output.channels // group.parts)))
    mapping = mappings[layer]
    starts = list(dict.fromkeys(block.first_channel(mapping.shape) for block in mapping.blocks))
    starts.append(mapping.shape.groups * mapping.shape.outputs)
    size = mapping.shape.channel_bytes
    return [(starts[first] * size, starts[end] * size) for first, end in cuts(0, len(starts) - 1, group.parts)]


def _everything(group: Group) -> Turn:
    made = {y: ((0, y.output.width), (0, y.output.channels)) for y in group.layers}
    buffers = {tensor.buffer for layer in group.layers for tensor in (*layer.inputs, layer.output)}
    held = {buffer: ((0, buffer.width), (0, buffer.channels)) for buffer in buffers}
    return Turn(made, {layer: columns for layer, (columns, _) in made.items()}, held)


def _strip(group: Group, mappings: Mapping[Layer, ConvMapping], strip: int, channels: Mapping[Layer, Span]) -> Turn:
    """The turn that makes these channels of one strip."""
    inside = set(group.layers)
    made: dict[Layer, tuple[Span, Span]] = {}
    own: dict[Layer, Span] = {}
    for layer in reversed(group.layers):
        width, multiple = layer.output.width, row_multiple(layer, mappings, 1)
        first, end = width, 0
        if leaves(layer, inside):
            first, end = own[layer] = _share(width, multiple, strip, group.strips)
        for reader, (columns, _) in made.items():
            for which, tensor in enumerate(reader.inputs):
                if tensor.buffer is layer.output.buffer:
                    low, high = reader.input_columns(*columns, which)
                    first, end = min(first, low), max(end, high)
        first, end = first // multiple * multiple, min(width, -(-end // multiple) * multiple)
        made[layer] = (first, max(end, first)), channels[layer]
    held: dict[Buffer, tuple[Span, Span]] = {}
    for layer in group.layers:
        columns, wanted = made[layer]
        _widen(held, layer.output, columns, wanted)
        for which, tensor in enumerate(layer.inputs):
            _widen(held, tensor, layer.input_columns(*columns, which), channels_read(layer, which, wanted))
    return Turn(made, own, held)


def _share(width: int, multiple: int, strip: int, strips: int) -> Span:
    """The columns of a strip."""
    pieces = -(-width // multiple)
    return pieces * strip // strips * multiple, min(width, pieces * (strip + 1) // strips * multiple)


def channels_read(layer: Layer, which: int, wanted: Span) -> Span:
    """Channels of an input that these channels of the output are made of."""
    tensor = layer.inputs[which]
    if layer.is_conv and which == 0:
        outputs, inputs = layer.output.channels // layer.groups, tensor.channels // layer.groups
        return wanted[0] // outputs * inputs, -(-wanted[1] // outputs) * inputs
    if layer.kind == "move" or (not layer.is_conv and layer.vector.channels == "all"):
        return 0, tensor.channels
    return wanted


def _widen(held: dict[Buffer, tuple[Span, Span]], tensor: Tensor, columns: Span, channels: Span) -> None:
    """Count columns and channels of a tensor to what is touched of its buffer."""
    if columns[0] >= columns[1]:
        return
    buffer, low, high = tensor.buffer, tensor.offset + channels[0], tensor.offset + channels[1]
    if tensor.is_view:
        columns, low, high = (0, buffer.width), 0, buffer.channels
    (a, b), (c, d) = held.get(buffer, (columns, (low, high)))
    held[buffer] = (min(a, columns[0]), max(b, columns[1])), (min(c, low), max(d, high))
