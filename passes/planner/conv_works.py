"""A convolution as works: fills of blocks into the two L1 halves in turn, and the passes over each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dialects.tile import Slice
from passes.planner import numbers
from passes.planner.cost import block_cycles
from passes.planner.layer_constants import weight_rooms
from passes.planner.mapping import Block, Box, ConvMapping, Span, cuts
from passes.planner.network import Layer, makers
from passes.planner.rooms import ActivationRooms, Load, Room
from passes.planner.tuning import MAX_TILES, TILE_CYCLES, block_bytes
from passes.planner.works import ConvPass, Fill, Finish, Residual
from sim.machine.description import Machine


def meets_other_engine(layer: Layer) -> bool:
    """Whether a convolution reads from or writes for the vector unit or DRAM."""
    return (
        layer.output.is_output
        or any(t.is_input or any(not maker.is_conv for maker in makers(t)) for t in layer.inputs)
        or any(not reader.is_conv for t in layer.output.buffer.tensors for reader in t.consumers)
    )


@dataclass
class Halves:
    """What the two halves of L1 hold, and which is written next."""

    held: tuple[tuple[Layer, Block, Fill] | None, tuple[Layer, Block, Fill] | None] = (None, None)
    following: int = 0

    def find(self, layer: Layer, block: Block) -> Fill | None:
        """The fill that brought a block, if it is there still."""
        return next((one[2] for one in self.held if one is not None and one[:2] == (layer.shared, block)), None)

    def put(self, layer: Layer, block: Block, fill: Fill) -> None:
        one = layer.shared, block, fill
        self.held = (one, self.held[1]) if fill.half == 0 else (self.held[0], one)
        self.following = 1 - fill.half


class ConvWorks:
    """Makes the works of convolutions, in the order of the plan: it knows which weights L1 holds."""

    def __init__(self, machine: Machine, rooms: ActivationRooms, mappings: Mapping[Layer, ConvMapping]):
        self.machine = machine
        self.rooms = rooms
        self.mappings = mappings
        self.loads: list[Load] = []
        self._weights: dict[tuple[Layer, int], dict[Block, tuple[Room, int, int]]] = {}
        self._halves = Halves()

    def works(
        self, layer: Layer, box: Box, constants: Mapping[str, Room], kept: int | None = None
    ) -> Iterator[Fill | ConvPass]:
        """Fills and passes that make a box of a convolution's output; queues the loads of its weights.

        ``kept`` bytes of weights stay until all is made (None: all of them), the others come again for each box.
        """
        for _, work in self.together([layer], box, constants, kept):
            yield work

    def together(
        self, layers: Sequence[Layer], box: Box, constants: Mapping[str, Room], kept: int | None = None
    ) -> Iterator[tuple[Layer, Fill | ConvPass]]:
        """The same for a layer of several images: all work with a block before the next one comes, but for reductions
        in several passes, which nothing may part. Beside another engine it is image by image, so that the other works
        on one while the array makes the next, if the weights are few enough to come into L1 again for each. Every work
        with the image's layer that it is for."""
        mapping = self.mappings[layers[0]]
        box = mapping.counted(box)
        weights = self._placed(layers[0], mapping, kept, box.channels)
        few = mapping.shape.weight_bytes <= min(2 * block_bytes(self.machine), self.machine.sram.bytes // 32)
        apart = len(layers) > 1 and few and meets_other_engine(layers[0])
        for steps in [list(mapping.steps(box))] if apart else _whole(mapping, box):
            for layer in layers:
                for rows, columns, block in steps:
                    part, place = Box(rows, columns, box.channels), weights[block]
                    yield from ((layer, work) for work in self._step(layer, part, block, place, constants))

    def _step(
        self, layer: Layer, box: Box, block: Block, place: tuple[Room, int, int], constants: Mapping[str, Room]
    ) -> Iterator[Fill | ConvPass]:
        mapping = self.mappings[layer]
        fill = self._halves.find(layer, block)
        if fill is None:
            fill = self._fill(layer, mapping, block, place)
            yield fill
        tiles = [box.rows]
        first = block.first_channel(mapping.shape)
        is_edge = first == box.channels[0] or first + block.channels == box.channels[1]
        if meets_other_engine(layer) and not mapping.is_split and is_edge:
            tiles = self._tiles(mapping, block, box.rows)
        for tile in tiles:
            self._halves.following = 1 - fill.half
            yield self._pass(layer, mapping, block, Box(tile, box.columns, box.channels), fill, constants)

    def _placed(
        self, layer: Layer, mapping: ConvMapping, kept: int | None, channels: Span
    ) -> Mapping[Block, tuple[Room, int, int]]:
        """The rooms of these blocks: those that stay from before, and new ones."""
        blocks = [block for block in mapping.blocks if block.within(mapping.shape, channels)]
        whose = layer if kept is not None else layer.shared
        stay = self._weights.setdefault((whose, layer.visit if layer.fresh else 0), {})
        missing = [block for block in blocks if block not in stay]
        found, loads = weight_rooms(self.machine, layer.shared, mapping, missing, again=layer.fresh)
        self.loads += loads
        # What stays is what was used first, room by room, of the blocks of this box.
        room_left = (1 << 60) if kept is None else kept
        counted = {stay[block][0] for block in blocks if block in stay}
        room_left -= sum(room.size for room in counted)
        for block, placed in found.items():
            if placed[0] not in counted and placed[0].size <= room_left:
                counted.add(placed[0])
                room_left -= placed[0].size
            if placed[0] in counted:
                stay[block] = placed
        return {**stay, **found}

    def _tiles(self, mapping: ConvMapping, block: Block, rows: Span) -> list[Span]:
        """Rows cut so that another engine can work on some while the array makes others."""
        count, height = rows[1] - rows[0], mapping.shape.oy
        busy = block_cycles(self.machine, mapping, block, height) * count // height
        most = -(-MAX_TILES * count // height)
        return cuts(*rows, min(most, max(1, busy // TILE_CYCLES)), mapping.rows_together)

    def _fill(self, layer: Layer, mapping: ConvMapping, block: Block, place: tuple[Room, int, int]) -> Fill:
        shape = mapping.shape
        room, k, c = place
        box = Slice.of(
            (block.first_channel(shape) - k, 0, 0, block.input - c), (block.channels, shape.fy, shape.fx, block.inputs)
        )
        zero = layer.conv.weight_zero.value.data
        fill = Fill(layer.name, self._halves.following, room, box, mapping.configuration, block.groups, zero)
        self._halves.put(layer, block, fill)
        return fill

    def _pass(
        self, layer: Layer, mapping: ConvMapping, block: Block, box: Box, fill: Fill, constants: Mapping[str, Room]
    ) -> ConvPass:
        (first, end), (left, right) = box.rows, box.columns
        shape = mapping.shape
        source, target = layer.inputs[0], layer.output
        k, c = block.first_channel(shape), block.group * shape.inputs + block.input
        place, depth = k * shape.channel_bytes, block.channels * shape.channel_bytes
        is_last = block.input + block.inputs == shape.inputs
        return ConvPass(
            layer=layer.name,
            output=self.rooms.of(target),
            out=Slice.of((first, left, target.offset + place), (end - first, right - left, depth)),
            input=self.rooms.of(source),
            channels=Slice.of((source.offset + c,), (block.groups * block.inputs,)),
            half=fill,
            window=layer.window,
            groups=block.groups,
            pad_value=source.type.zero.data,
            first=block.input == 0,
            finish=self._finish(layer, k, box.channels[0], constants) if is_last else None,
            is_float=shape.is_float,
        )

    def _finish(self, layer: Layer, k: int, base: int, constants: Mapping[str, Room]) -> Finish:
        """What follows the sums of channels from k on; the parameters begin with those of channel ``base``."""
        op = layer.conv
        residual: Residual | None = None
        if op.sum is not None:
            other = layer.inputs[1]
            residual = Residual(self.rooms.of(other), other.offset + k, numbers.residual_sum(op, other.type))
        return Finish(constants["params"], k - base, numbers.requantize(op), residual, constants.get("table"))


def _whole(mapping: ConvMapping, box: Box) -> Iterator[list[tuple[Span, Span, Block]]]:
    """The steps that make a box, those of one reduction together."""
    steps: list[tuple[Span, Span, Block]] = []
    for rows, columns, block in mapping.steps(box):
        steps.append((rows, columns, block))
        if block.input + block.inputs == mapping.shape.inputs:
            yield steps
            steps = []
