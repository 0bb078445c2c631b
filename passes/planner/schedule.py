"""The order of the plan: every layer as items, tile by tile, with rooms for what it reads and writes.

Layers run one after the other in the network's order, everything between them in SRAM. A layer whose neighbour works on
another engine is cut into tiles, so that the two overlap: by output channels where its weights are cut anyway, else by
rows. A convolution's blocks alternate between the two L1 halves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dialects import cnn
from dialects.recon import BlobAttr
from dialects.tile import Affine, Slice
from passes.planner import numbers
from passes.planner.blocks import Constant, Item, Room, Transfer, rooms_of
from passes.planner.candidates import Blocking, ConvShape, chunk_bytes, conv_shape, evaluate
from passes.planner.images import with_images
from passes.planner.network import Buffer, Layer, Network, Tensor
from passes.planner.stripes import Group, Step, progress, read_outside, rings, row_multiple
from sim.machine import laws
from sim.machine.description import Configuration, Machine

PIECE = 48 * 1024
"""A load moves about this many bytes: small enough not to hold up a configuration image behind it."""

TILE_CYCLES = 1200
"""A layer that should overlap with another engine is cut into tiles of about this length, and at most MAX_TILES."""

MAX_TILES = 8


Layout = tuple[dict[Room, tuple[int, int]], list[int]]
"""First items and addresses of rooms, positions of transfers."""


def cuts(begin: int, stop: int, pieces: int, multiple: int = 1) -> list[tuple[int, int]]:
    """[first, end) of about equal pieces of begin … stop, each but the last a multiple of ``multiple`` long."""
    size = max(1, -(-(stop - begin) // max(1, pieces)))
    size = -(-size // multiple) * multiple
    return [(first, min(first + size, stop)) for first in range(begin, stop, size)]


def finished_rows(work: Sequence[Item]) -> list[tuple[int, int] | None]:
    """For each item of a layer the output rows that it completes: those that no later item writes."""
    found: list[tuple[int, int] | None] = []
    low, high = 0, 0
    for item in reversed(work):
        rows: tuple[int, int] | None = None
        if "out" in item.options:
            out: Slice = item.options["out"]
            first, end = out.offsets[0].constant, out.offsets[0].constant + out.sizes[0]
            if low == high:
                low = high = end
            # Items go from top to bottom, so what is written later reaches from some row to the last.
            if first < low:
                rows, low = (first, min(end, low)), first
        found.append(rows)
    return found[::-1]


class Schedule:
    """Builds the items of a network in order; ``items`` and ``transfers`` are the result."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        configurations: dict[Layer, Configuration],
        groups: Sequence[Group],
        spilled: frozenset[Buffer] = frozenset(),
    ):
        self.machine = machine
        self.network = network
        self.configurations = configurations
        self.spilled = spilled
        self.items: list[Item] = []
        self.rooms: dict[Buffer, Room] = {}
        self.local: dict[Buffer, Room] = {}
        self.views: dict[tuple[Room, tuple[int, ...]], Room] = {}
        self.weights: dict[Layer, list[tuple[Room, int, int]]] = {}
        self.constants: dict[Layer, dict[str, Room]] = {}
        self.blockings: dict[Layer, tuple[ConvShape, Blocking, list[tuple[int, int, int, int, int, int]]]] = {}
        self.busy_cycles: dict[tuple[Layer, int, int, int], int] = {}
        self.halves: list[tuple[Any, Item | None]] = [(None, None), (None, None)]
        self.next_half = 0
        self.pending: list[Transfer] = []
        self.stored: dict[Tensor, list[tuple[int, Item]]] = {}
        for tensor in network.inputs:
            if tensor.buffer not in spilled:
                self.load_input(tensor)
        for tensor, op in network.constants:
            if tensor.buffer not in spilled:
                source = Constant(op.value, tensor.type.dims[1:])
                self.pending.append(self.load_rows(tensor, source, 0, tensor.height))
        for tensor in network.outputs:
            if not _makers(tensor):
                self.items.append(self.store_item("", tensor, tensor, (0, tensor.height), (0, tensor.channels)))
        for group in groups:
            self.run(group)
        self.items, copies = with_images(machine, self.items)
        self.pending += copies
        self.settle()

    def run(self, group: Group) -> None:
        """The items of a group: its layers one after the other, stripe by stripe."""
        for layer in group.layers:
            self.pending += self.layer_constants(layer)
        steps = progress(group, self.configurations)
        self.local = {}
        for buffer, rows in rings(group, steps, self.spilled).items():
            shape = (buffer.height, buffer.width, buffer.channels)
            self.local[buffer] = Room(buffer.name, shape, ring=rows if rows < buffer.height else 0)
        loaded: dict[Tensor, int] = {}
        before: Item | None = None
        for step in steps:
            start = len(self.items)
            arriving = self.stream_in(group, step, loaded)
            for layer, first, end in step:
                old = layer.in_place
                if len(steps) == 1 and old is not None and old.buffer in self.rooms:
                    self.rooms.setdefault(layer.output.buffer, self.rooms[old.buffer])
                work = list(self.convolution(layer, first, end) if layer.is_conv else self.vector(layer, first, end))
                for item, finished in zip(work, finished_rows(work), strict=True):
                    self.items.append(item)
                    if finished is not None:
                        self.store(group, layer, *finished)
            opening = self.items[start]
            for transfer in arriving:
                transfer.need_item = opening
                transfer.after_items += [before] if before is not None else []
            before = opening
        self.local = {}

    def stream_in(self, group: Group, step: Step, loaded: dict[Tensor, int]) -> list[Transfer]:
        """Loads of the rows of spilled tensors that a step reads and no step before it did."""
        made = {layer.output for layer in group.layers}
        ends: dict[Tensor, tuple[int, Layer]] = {}
        for layer, first, end in step:
            for which, tensor in enumerate(layer.inputs):
                if tensor.buffer in self.spilled:
                    last = layer.input_rows(first, end, which)[1]
                    for part in parts(tensor):
                        if part not in made and last > ends.get(part, (0, layer))[0]:
                            ends[part] = (last, layer)
        arriving: list[Transfer] = []
        for part, (end, layer) in ends.items():
            first = loaded.get(part, 0)
            if end > first:
                room = self.local[part.buffer]
                room.loaded = True
                source, channel = (part, 0) if part.is_input else (part.buffer, part.offset)
                if part.constant is not None:
                    source, channel = Constant(part.constant.value, part.type.dims[1:]), 0
                sizes = (end - first, part.width, part.channels)
                transfer = Transfer(room, (first, 0, part.offset), source, (first, 0, channel), sizes, layer.name)
                # The rows must have been stored: all stores up to the first that reaches their end.
                written = [item for reached, item in self.stored.get(part, ()) if reached >= end]
                transfer.after_items += written[:1]
                arriving.append(transfer)
                loaded[part] = end
        self.pending += arriving
        return arriving

    # ------------------------------------------------------------------------------------------------------ rooms

    def room(self, tensor: Tensor) -> Room:
        """The room of a tensor's buffer, seen in the tensor's height and width (channels are the buffer's)."""
        buffer = tensor.buffer
        room = self.local.get(buffer) or self.rooms.get(buffer)
        if room is None:
            room = self.rooms[buffer] = Room(buffer.name, (buffer.height, buffer.width, buffer.channels))
        if (tensor.height, tensor.width) == (buffer.height, buffer.width):
            return room
        shape = tensor.type.dims[1:]
        if (room, shape) not in self.views:
            self.views[room, shape] = Room(tensor.name, shape, base=room)
        return self.views[room, shape]

    def load_rows(self, tensor: Tensor, source: Constant | Tensor, first: int, end: int) -> Transfer:
        room = self.room(tensor)
        room.root.loaded = True
        sizes = (end - first, tensor.width, tensor.channels)
        return Transfer(room, (first, 0, tensor.offset), source, (first, 0, 0), sizes, "")

    def load_input(self, tensor: Tensor) -> None:
        """The network's input, first rows first, so that the array starts early."""
        pieces = max(1, min(4 * MAX_TILES, tensor.buffer.bytes // (16 * 1024)))
        for first, end in cuts(0, tensor.height, pieces):
            self.pending.append(self.load_rows(tensor, tensor, first, end))

    def layer_constants(self, layer: Layer) -> list[Transfer]:
        """Parameters and tables of a layer, each in a room of its own."""
        found: dict[str, BlobAttr] = {}
        op: Any = layer.op
        if layer.is_conv:
            found["params"] = numbers.parameters(layer.conv, layer.inputs[0].type)
            if layer.conv.table is not None:
                found["table"] = layer.conv.table
        elif layer.kind == "affine":
            found["params"] = numbers.affine_parameters(op)
        elif layer.kind == "table":
            found["table"] = op.table
        rooms = self.constants[layer] = {}
        transfers: list[Transfer] = []
        for name, blob in found.items():
            room = Room(f"{layer.name}_{name}", blob.shape, loaded=True)
            zeros = (0,) * len(blob.shape)
            transfers.append(Transfer(room, zeros, Constant(blob, blob.shape), zeros, blob.shape, layer.name))
            rooms[name] = room
        return transfers

    # ------------------------------------------------------------------------------------------------------ items

    def meets_other_engine(self, layer: Layer) -> bool:
        """Whether a convolution reads from or writes for the vector unit or DRAM."""
        return (
            layer.output.is_output
            or any(t.is_input or any(not maker.is_conv for maker in _makers(t)) for t in layer.inputs)
            or any(not reader.is_conv for t in layer.output.buffer.tensors for reader in t.consumers)
        )

    def convolution(self, layer: Layer, begin: int, stop: int) -> Iterator[Item]:
        """Fills and passes of rows [begin, stop) of a convolution."""
        shape, blocking, blocks = self.cut_of(layer)
        if layer not in self.weights:
            self.weights[layer] = self.weight_rooms(layer, shape, blocks)
        weights = self.weights[layer]
        many_passes = blocking.inputs < shape.inputs
        multiple = row_multiple(layer, self.configurations)
        rows = stop - begin
        outer = [(begin, stop)]
        if many_passes and blocking.rows < rows:
            outer = cuts(begin, stop, -(-rows // blocking.rows), multiple)
        tiled = self.meets_other_engine(layer) and not many_passes
        for first, end in outer:
            for number, (group, groups, output, outputs, source, inputs) in enumerate(blocks):
                room, k_offset, c_offset = weights[number]
                k = group * shape.outputs + output
                half = self.fill(
                    layer,
                    number,
                    room,
                    Slice.of((k - k_offset, 0, 0, source - c_offset), (groups * outputs, shape.fy, shape.fx, inputs)),
                    groups,
                )
                yield from half[1]
                inner = [(first, end)]
                if tiled and (number == 0 or number == len(blocks) - 1):
                    busy = self.busy(layer, groups, outputs, inputs) * (end - first) // shape.oy
                    most = -(-MAX_TILES * (end - first) // shape.oy)
                    inner = cuts(first, end, min(most, max(1, busy // TILE_CYCLES)), multiple)
                for top, bottom in inner:
                    yield self.conv_item(
                        layer,
                        shape,
                        half[0],
                        (top, bottom),
                        k,
                        groups * outputs,
                        group * shape.inputs + source,
                        groups * inputs,
                        groups,
                        source == 0,
                        source + inputs == shape.inputs,
                    )

    def cut_of(self, layer: Layer) -> tuple[ConvShape, Blocking, list[tuple[int, int, int, int, int, int]]]:
        """A convolution's shape and its blocks."""
        if layer not in self.blockings:
            shape = conv_shape(layer)
            blocking = evaluate(self.machine, shape, (self.configurations[layer],)).blocking(0)
            self.blockings[layer] = shape, blocking, list(self.blocks(shape, blocking))
        return self.blockings[layer]

    def busy(self, layer: Layer, groups: int, outputs: int, inputs: int) -> int:
        """Cycles of one pass over all rows of a convolution."""
        key = (layer, groups, outputs, inputs)
        if key in self.busy_cycles:
            return self.busy_cycles[key]
        shape, c = self.blockings[layer][0], self.configurations[layer]
        cost = laws.conv(
            self.machine,
            winograd=c.algorithm == "winograd",
            g=c.g,
            k=c.k,
            r=c.r,
            p=c.p,
            groups=groups,
            outputs=outputs,
            inputs=inputs,
            fy=shape.fy,
            fx=shape.fx,
            sx=shape.sx,
            dx=shape.dx,
            oy=shape.oy,
            ox=shape.ox,
            last=1,
        )
        self.busy_cycles[key] = int(cost.busy)
        return self.busy_cycles[key]

    def blocks(self, shape: ConvShape, blocking: Blocking) -> Iterator[tuple[int, int, int, int, int, int]]:
        """(group, groups, output, outputs, input, inputs) of each block, in order."""
        for group in range(0, shape.groups, blocking.groups):
            groups = min(blocking.groups, shape.groups - group)
            for output in range(0, shape.outputs, blocking.outputs):
                outputs = min(blocking.outputs, shape.outputs - output)
                for source in range(0, shape.inputs, blocking.inputs):
                    yield group, groups, output, outputs, source, min(blocking.inputs, shape.inputs - source)

    def weight_rooms(
        self, layer: Layer, shape: ConvShape, blocks: list[tuple[int, int, int, int, int, int]]
    ) -> list[tuple[Room, int, int]]:
        """For each block its room, and the output and input channel the room starts at. Queues the loads."""
        op = layer.conv
        source = Constant(op.weights, op.weights.shape)
        taps = shape.fy * shape.fx
        chunk = chunk_bytes(self.machine)
        found: list[tuple[Room, int, int]] = []
        batch: list[tuple[int, int, int, int]] = []

        def flush() -> None:
            if not batch:
                return
            k, c = batch[0][0], batch[0][2]
            outputs = batch[-1][0] + batch[-1][1] - k
            inputs = batch[0][3]
            room = Room(f"{layer.name}_w{k}", (outputs, shape.fy, shape.fx, inputs), loaded=True)
            pieces = outputs * taps * inputs // PIECE
            for first, end in cuts(0, outputs, pieces):
                self.pending.append(
                    Transfer(
                        room,
                        (first, 0, 0, 0),
                        source,
                        (k + first, 0, 0, c),
                        (end - first, shape.fy, shape.fx, inputs),
                        layer.name,
                    )
                )
            found.extend([(room, k, c)] * len(batch))
            batch.clear()

        for group, groups, output, outputs, first, inputs in blocks:
            whole = inputs == shape.inputs
            if batch and not (whole and sum(part[1] for part in batch) * taps * inputs < chunk):
                flush()
            batch.append((group * shape.outputs + output, groups * outputs, first, inputs))
            if not whole:
                flush()
        flush()
        return found

    def fill(self, layer: Layer, number: int, room: Room, box: Slice, groups: int) -> tuple[Item, list[Item]]:
        """The fill that brings a block into L1, and the items to emit for it (none if it is there already)."""
        key = (layer, number)
        for held, item in self.halves:
            if held == key and item is not None:
                return item, []
        half = self.next_half
        item = Item(
            "fill",
            layer.name,
            {"weights": room},
            {
                "half": half,
                "slice": box,
                "configuration": self.configurations[layer],
                "groups": groups,
                "zero": layer.conv.weight_zero.value.data,
            },
        )
        self.halves[half] = (key, item)
        self.next_half = 1 - half
        return item, [item]

    def conv_item(
        self,
        layer: Layer,
        shape: ConvShape,
        half: Item,
        rows: tuple[int, int],
        k: int,
        outputs: int,
        c: int,
        inputs: int,
        groups: int,
        first: bool,
        last: bool,
    ) -> Item:
        op = layer.conv
        source, target = layer.inputs[0], layer.output
        self.next_half = 1 - half.options["half"]
        operands: dict[str, Any] = {"output": self.room(target), "input": self.room(source), "half": half}
        options: dict[str, Any] = {
            "out": Slice.of((rows[0], 0, target.offset + k), (rows[1] - rows[0], shape.ox, outputs)),
            "channels": Slice.of((source.offset + c,), (inputs,)),
            "window": layer.window,
            "groups": groups,
            "pad_value": source.type.zero.data,
            "first": first,
        }
        if last:
            operands["params"] = self.constants[layer]["params"]
            options |= {"params_offset": Affine(k), "requantize": numbers.requantize(op)}
            if op.sum is not None:
                residual = layer.inputs[1]
                operands["residual"] = self.room(residual)
                options |= {
                    "residual_offset": Affine(residual.offset + k),
                    "sum": numbers.residual_sum(op, residual.type),
                }
            if op.table is not None:
                operands["table"] = self.constants[layer]["table"]
        return Item("conv", layer.name, operands, options)

    def vector(self, layer: Layer, begin: int, stop: int) -> Iterator[Item]:
        """The tiles of rows [begin, stop) of a vector layer: by channels where its input comes so, else by rows."""
        output, source = layer.output, layer.inputs[0]
        kind = numbers.ISA_KIND.get(layer.kind, layer.kind)
        law = numbers.vector_law(layer.kind, layer.op, [t.type for t in layer.inputs], output.type)
        window = layer.window if layer.kind in ("max_pool2d", "average_pool2d") else None
        if layer.kind == "pad":
            window = cnn.WindowAttr.of(*layer.window_of_pad)
        if layer.kind == "resize" and isinstance(layer.op, cnn.ResizeOp):
            window = cnn.WindowAttr.of((1, 1), (0, 0, 0, 0), layer.op.factors.get_values())
        for rows, channels in self.vector_tiles(layer, begin, stop):
            operands: dict[str, Any] = {"output": self.room(output), "lhs": self.room(source)}
            options: dict[str, Any] = {
                "kind": kind,
                "law": law,
                "window": window,
                "lhs_offset": Affine(source.offset + channels[0]),
                "out": Slice.of(
                    (rows[0], 0, output.offset + channels[0]),
                    (rows[1] - rows[0], output.width, channels[1] - channels[0]),
                ),
            }
            if len(layer.inputs) > 1:
                operands["rhs"] = self.room(layer.inputs[1])
                options["rhs_offset"] = Affine(layer.inputs[1].offset + channels[0])
            for name in ("params", "table"):
                if name in self.constants[layer]:
                    operands[name] = self.constants[layer][name]
            if "params" in operands:
                options["params_offset"] = Affine(channels[0])
            yield Item("vector", layer.name, operands, options)

    def vector_tiles(self, layer: Layer, begin: int, stop: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """(rows, channels) of each tile."""
        output = layer.output
        everything = [((begin, stop), (0, output.channels))]
        if layer.kind in ("lrn", "channel_shuffle") or output.height == 1:
            return everything
        cycles = (stop - begin) * output.width * output.channels // self.machine.streams.vector
        pieces = min(MAX_TILES, cycles // (TILE_CYCLES // 4))
        if pieces <= 1:
            return everything
        rows = [(begin, stop)]
        sources = [self.channel_parts(tensor) for tensor in layer.inputs]
        if len(sources) == 1 and len(sources[0]) > 1:
            # What was joined first can be worked on while the last part is still being made, and that by rows.
            *early, last = sources[0]
            multiple = row_multiple(layer, self.configurations)
            late = (stop - begin) * output.width * (last[1] - last[0]) // self.machine.streams.vector
            tail = cuts(begin, stop, max(1, min(MAX_TILES, late // (TILE_CYCLES // 4))), multiple)
            return [(rows[0], (early[0][0], early[-1][1])), *((part, last) for part in tail)]
        makers = [maker for tensor in layer.inputs for maker in _makers(tensor) if maker.is_conv]
        if makers and all(self.block_count(maker) > 1 for maker in makers):
            return [((begin, stop), part) for part in cuts(0, output.channels, pieces, 16)]
        multiple = row_multiple(layer, self.configurations)
        return [(part, (0, output.channels)) for part in cuts(begin, stop, pieces, multiple)]

    def channel_parts(self, tensor: Tensor) -> list[tuple[int, int]]:
        """Channel ranges of a joined tensor by part, in the order in which they are made; they must be contiguous."""
        if tensor.is_view:
            return [(0, tensor.channels)]
        made = sorted(parts(tensor), key=lambda part: part.producer.index if part.producer is not None else -1)
        ranges = [
            (max(0, p.offset - tensor.offset), min(tensor.channels, p.offset - tensor.offset + p.channels))
            for p in made
        ]
        return ranges if ranges == sorted(ranges) else ranges[:1]

    def block_count(self, layer: Layer) -> int:
        return len(self.cut_of(layer)[2])

    def store(self, group: Group, layer: Layer, first: int, end: int) -> None:
        """Send finished rows of a layer to DRAM: spilled tensors, and network outputs when all of them is made.

        A spilled tensor that only this group reads is not stored: the group's own room holds it.
        """
        output = layer.output
        if output.buffer in self.spilled and read_outside(layer, set(group.layers)):
            everything = (output.offset, output.offset + output.channels)
            self.items.append(self.store_item(layer.name, output, output.buffer, (first, end), everything))
            self.stored.setdefault(output, []).append((end, self.items[-1]))
        for tensor in self.network.outputs:
            if tensor.buffer in self.spilled:
                # Its rows are here only now: what this layer makes of it leaves at once.
                low = max(tensor.offset, output.offset)
                high = min(tensor.offset + tensor.channels, output.offset + output.channels)
                if tensor.buffer is output.buffer and low < high:
                    part = (low - tensor.offset, high - tensor.offset)
                    self.items.append(self.store_item(layer.name, tensor, tensor, (first, end), part))
                continue
            makers = _makers(tensor)
            if makers and makers[-1] is layer and (tensor is output or end == output.height):
                rows = (first, end) if tensor is output else (0, tensor.height)
                self.items.append(self.store_item(layer.name, tensor, tensor, rows, (0, tensor.channels)))

    def store_item(
        self, name: str, tensor: Tensor, target: Tensor | Buffer, rows: tuple[int, int], channels: tuple[int, int]
    ) -> Item:
        """Send rows and channels (counted in the target) of a tensor to the network's output or a spilled buffer."""
        offset = tensor.offset if isinstance(target, Tensor) else 0
        options = {
            "target": target,
            "target_offset": (rows[0], 0, channels[0]),
            "source_offset": (rows[0], 0, offset + channels[0]),
            "sizes": (rows[1] - rows[0], tensor.width, channels[1] - channels[0]),
        }
        return Item("store", name, {"source": self.room(tensor)}, options)

    # ------------------------------------------------------------------------------------------------------- lives

    def settle(self) -> None:
        """Lifetimes of rooms, and for every transfer the first item that reads what it brings."""
        readers: dict[Room, list[int]] = {}
        positions = {item: position for position, item in enumerate(self.items)}
        for position, item in enumerate(self.items):
            for room in rooms_of(item):
                room.live_at(position)
                readers.setdefault(room.root, []).append(position)
        for transfer in self.pending:
            if transfer.need_item is not None:
                transfer.need = positions[transfer.need_item]
                transfer.earliest = max((positions[item] + 1 for item in transfer.after_items), default=0)
            else:
                transfer.need = self.first_reader(transfer, readers.get(transfer.room.root, []))
        self.pending = [t for t in self.pending if t.need >= 0]
        for transfer in self.pending:
            if not transfer.layer and len(transfer.sizes) == 3:
                transfer.layer = self.items[transfer.need].layer
        self.pending.sort(key=lambda t: t.need)

    def layout(self) -> Layout:
        """Where everything is now, to come back to it."""
        rooms = dict.fromkeys(room.root for item in self.items for room in rooms_of(item))
        return {room: (room.first, room.address) for room in rooms}, [t.position for t in self.pending]

    def restore(self, layout: Layout) -> None:
        """Put everything back where it was."""
        rooms, positions = layout
        for room, (first, address) in rooms.items():
            room.first, room.address = first, address
        for transfer, position in zip(self.pending, positions, strict=True):
            transfer.position = position

    def first_reader(self, transfer: Transfer, positions: list[int]) -> int:
        """The first item that reads any row of the transfer; −1 if none does."""
        if not positions:
            return -1
        if not isinstance(transfer.source, Tensor) or len(transfer.sizes) != 3:
            return positions[0]
        first = transfer.target[0]
        for position in positions:
            item = self.items[position]
            if item.kind != "conv" or item.operands["input"].root is not transfer.room.root:
                return position
            out: Slice = item.options["out"]
            (fy, _), (top, _, _, _), (sy, _), (dy, _) = item.options["window"].values
            end = (out.offsets[0].constant + out.sizes[0] - 1) * sy - top + (fy - 1) * dy + 1
            # A tile beside the image reads nothing, but names the room.
            if max(1, end) > first:
                return position
        return positions[-1]


def parts(tensor: Tensor) -> list[Tensor]:
    """The tensors that were written one by one and together make up a tensor: itself, or what was joined to it."""
    return [
        other
        for other in tensor.buffer.tensors
        if (other.is_given or (other.producer is not None and other.producer.output is other))
        and other.overlaps(tensor)
    ]


def _makers(tensor: Tensor) -> list[Layer]:
    """The layers that write any part of a tensor's channels."""
    found = [other.producer for other in tensor.buffer.tensors if other.producer is not None and other.overlaps(tensor)]
    return sorted(dict.fromkeys(found), key=lambda layer: layer.index)
