"""The order of the plan: every layer as works, group by group and stripe by stripe, with the loads that feed them.

Layers run one after the other in the network's order, everything between them in SRAM. A layer whose neighbour works on
another engine is cut into tiles, so that the two overlap: by output channels where its weights are cut anyway, else by
rows. A convolution's blocks alternate between the two L1 halves. A schedule says in which order and what for; when
loads come and where rooms lie is decided on it (``prefetch``), and it is not changed by that.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from passes.planner.batch import together
from passes.planner.conv_works import ConvWorks
from passes.planner.images import NEVER, TWICE, in_rhythm, with_images
from passes.planner.layer_constants import constants_of
from passes.planner.lives import Arrival, Life, lives_of, settled
from passes.planner.mapping import Box, ConvMapping, Span, cuts
from passes.planner.move_works import move_works
from passes.planner.network import Buffer, Layer, Network, Tensor, makers
from passes.planner.partition import Partition
from passes.planner.rooms import ActivationRooms, Constant, Load, Room
from passes.planner.stripes import Group, Step, progress, read_outside, rings
from passes.planner.tensors import parts
from passes.planner.tuning import MAX_TILES, first_rows_bytes
from passes.planner.turns import Turn, turns
from passes.planner.vector_works import VectorWorks
from passes.planner.works import ConvPass, Move, Store, Vector, Work
from sim.machine.description import Machine


@dataclass(frozen=True)
class Schedule:
    """Works in order, loads in order of need, and between which works each room lives; ``before`` is what frames in a
    row ask to be done once."""

    works: tuple[Work, ...]
    loads: tuple[Load, ...]
    lives: Mapping[Room, Life]
    before: tuple[Work, ...] = ()


def schedule(
    machine: Machine,
    network: Network,
    mappings: Mapping[Layer, ConvMapping],
    partition: Partition,
    frames: bool = False,
) -> Schedule:
    """The works of a network, its layers run in the groups of a partition: once, or as one of many frames."""
    builder = _Builder(machine, network, mappings, partition.spilled)
    builder.ports()
    for groups in together(partition.groups, partition.spilled):
        if len(groups) == 1:
            builder.run(groups[0])
        else:
            builder.twins(groups)
    before: list[Work] = []
    if frames:
        before, works, copies = in_rhythm(machine, builder.works)
    else:
        works, copies = with_images(machine, builder.works, often=NEVER if partition.lean else TWICE)
    arrivals = [*builder.arrivals, *(Arrival(load) for load in copies)]
    return Schedule(tuple(works), tuple(settled(works, arrivals)), lives_of(works), tuple(before))


def finished_rows(work: Sequence[Work]) -> list[Span | None]:
    """For each work of a layer the output rows that it completes: those that no later one writes."""
    found: list[Span | None] = []
    low, high = 0, 0
    for one in reversed(work):
        rows: Span | None = None
        if isinstance(one, Move):
            rows = one.completes
        elif isinstance(one, ConvPass | Vector):
            first, end = one.rows
            if low == high:
                low = high = end
            # Works go from top to bottom, so what is written later reaches from some row to the last.
            if first < low:
                rows, low = (first, min(end, low)), first
        found.append(rows)
    return found[::-1]


@dataclass
class _Builder:
    """What is emitted so far."""

    machine: Machine
    network: Network
    mappings: Mapping[Layer, ConvMapping]
    spilled: frozenset[Buffer]
    works: list[Work] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    stored: dict[Tensor, list[Store]] = field(default_factory=dict)
    rooms: ActivationRooms = field(default_factory=ActivationRooms)
    shared: dict[Layer, Mapping[str, Room]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.conv_works = ConvWorks(self.machine, self.rooms, self.mappings)
        self.vector_works = VectorWorks(self.machine, self.rooms, self.mappings)

    def ports(self) -> None:
        """Loads of inputs and constants, and of outputs those that no layer makes."""
        for tensor in self.network.inputs:
            if tensor.buffer not in self.spilled:
                pieces = max(1, min(4 * MAX_TILES, tensor.buffer.bytes // first_rows_bytes()))
                for rows in cuts(0, tensor.height, pieces):
                    self.load_rows(tensor, tensor, rows)
        for tensor, op in self.network.constants:
            if tensor.buffer not in self.spilled:
                self.load_rows(tensor, Constant(op.value, tensor.type.dims[1:]), (0, tensor.height))
        for tensor in self.network.outputs:
            if not makers(tensor):
                self.store_box("", tensor, tensor, _all_of(tensor))

    def load_rows(self, tensor: Tensor, source: Constant | Tensor, rows: Span) -> None:
        sizes = (rows[1] - rows[0], tensor.width, tensor.channels)
        room, target = self.rooms.of(tensor), (rows[0], 0, tensor.offset)
        first = rows[0] + (source.first_row if isinstance(source, Tensor) else 0)
        self.arrivals.append(Arrival(Load(room, target, source, (first, 0, 0), sizes, "")))

    def constants(self, layer: Layer) -> Mapping[str, Room]:
        """A layer's parameters and table, which come once however many images it has."""
        if layer.shared not in self.shared:
            self.shared[layer.shared], loads = constants_of(layer.shared, (0, layer.output.channels))
            self.arrivals += [Arrival(load) for load in loads]
        return self.shared[layer.shared]

    def twins(self, groups: Sequence[Group]) -> None:
        """The works of a layer of several images, each alone in its group."""
        layers = [group.layers[0] for group in groups]
        constants = self.constants(layers[0])
        for layer in layers:
            if layer.in_place is not None:
                self.rooms.take_over(layer.in_place.buffer, layer.output.buffer)
        box = _all_of(layers[0].output)
        if layers[0].is_conv:
            made: list[tuple[Layer, Work]] = list(self.conv_works.together(layers, box, constants))
            self.arrivals += [Arrival(load) for load in self.conv_works.loads]
            self.conv_works.loads.clear()
        else:
            made = [(layer, work) for layer in layers for work in self.moved(layer, box, constants)]
        done = {layer: iter(finished_rows([work for one, work in made if one is layer])) for layer in layers}
        of = dict(zip(layers, groups, strict=True))
        for layer, work in made:
            self.works.append(work)
            if (finished := next(done[layer])) is not None:
                self.store(of[layer], next(turns(of[layer], self.mappings)), layer, finished)

    def moved(self, layer: Layer, box: Box, constants: Mapping[str, Room]) -> list[Work]:
        """The works of a layer that is no convolution."""
        if layer.kind == "move":
            return list(move_works(layer, box, self.rooms))
        return list(self.vector_works.works(layer, box, constants))

    def run(self, group: Group) -> None:
        """The works of a group: its layers one after the other, stripe by stripe, in every turn."""
        steps = progress(group, self.mappings)
        rows = rings(group, steps, self.spilled)
        constants: dict[Layer, Mapping[str, Room]] = {}
        before: Work | None = None
        for turn in turns(group, self.mappings):
            for layer in group.layers:
                if group.parts > 1:
                    constants[layer], loads = constants_of(layer, turn.made[layer][1])
                    self.arrivals += [Arrival(load) for load in loads]
                elif layer not in constants:
                    constants[layer] = self.constants(layer)
            for buffer, count in ((b, n) for b, n in rows.items() if b in turn.held):
                shape = (buffer.height, buffer.width, buffer.channels)
                ring = count if count < buffer.height else 0
                self.rooms.local[buffer] = Room(buffer.name, shape, ring, part=turn.part(buffer))
            loaded: dict[Tensor, int] = {}
            for whole in steps:
                step = [(layer, first, end) for layer, first, end in whole if turn.makes(layer)]
                if not step:
                    continue
                start = len(self.works)
                arriving = self.stream_in(group, turn, step, loaded)
                for layer, first, end in step:
                    if len(steps) == group.turns == 1 and layer.in_place is not None:
                        self.rooms.take_over(layer.in_place.buffer, layer.output.buffer)
                    self.make(group, turn, layer, (first, end), constants[layer])
                for arrival in arriving:
                    arrival.opens = self.works[start]
                    arrival.after += [before] if before is not None else []
                before = self.works[start]
        self.rooms.local.clear()

    def make(self, group: Group, turn: Turn, layer: Layer, rows: Span, constants: Mapping[str, Room]) -> None:
        """Output rows of a layer in a turn, and their way to DRAM."""
        box = Box(rows, *turn.made[layer])
        if layer.is_conv:
            kept = None if group.kept is None else group.kept[group.layers.index(layer)]
            work: list[Work] = list(self.conv_works.works(layer, box, constants, kept))
            self.arrivals += [Arrival(load) for load in self.conv_works.loads]
            self.conv_works.loads.clear()
        else:
            work = self.moved(layer, box, constants)
        for one, finished in zip(work, finished_rows(work), strict=True):
            self.works.append(one)
            if finished is not None:
                self.store(group, turn, layer, finished)

    def stream_in(self, group: Group, turn: Turn, step: Step, loaded: dict[Tensor, int]) -> list[Arrival]:
        """Loads of the rows of spilled tensors that a step reads and no step of the turn did before it."""
        made = {layer.output for layer in group.layers}
        ends: dict[Tensor, tuple[int, Layer]] = {}
        for layer, first, end in step:
            for which, tensor in enumerate(layer.inputs):
                if tensor.buffer in self.spilled:
                    last = layer.input_rows(first, end, which)[1]
                    for part in parts(tensor):
                        if part not in made and last > ends.get(part, (0, layer))[0]:
                            ends[part] = (last, layer)
        arriving: list[Arrival] = []
        for part, (end, layer) in ends.items():
            first = loaded.get(part, 0)
            (left, right), (low, high) = turn.held[part.buffer]
            low, high = max(low, part.offset), min(high, part.offset + part.channels)
            if end <= first or low >= high:
                continue
            source, channel = (part, low - part.offset) if part.is_input else (part.buffer, low)
            if part.constant is not None:
                source, channel = Constant(part.constant.value, part.type.dims[1:]), low - part.offset
            sizes = (end - first, right - left, high - low)
            room, target = self.rooms.local[part.buffer], (first, left, low)
            above = part.first_row if source is part else 0
            load = Load(room, target, source, (above + first, left, channel), sizes, layer.name)
            # The box must have been stored: all stores up to the last that meets it.
            meets = (store for store in reversed(self.stored.get(part, ())) if _meets(store, load))
            arriving.append(Arrival(load, after=list[Work](itertools.islice(meets, 1))))
            loaded[part] = end
        self.arrivals += arriving
        return arriving

    def store(self, group: Group, turn: Turn, layer: Layer, rows: Span) -> None:
        """Send finished rows of a layer to DRAM: spilled tensors, and network outputs when all of them is made.

        A spilled tensor that only this group reads is not stored: the group's own room holds it.
        """
        output, channels = layer.output, turn.made[layer][1]
        columns = turn.own.get(layer, (0, 0))
        low, high = output.offset + channels[0], output.offset + channels[1]
        if output.buffer in self.spilled and read_outside(layer, set(group.layers)):
            store = self.store_box(layer.name, output, output.buffer, Box(rows, columns, (low, high)))
            self.stored.setdefault(output, []).extend(store)
        for tensor in self.network.outputs:
            if tensor.buffer in self.spilled or (tensor is output and group.turns > 1):
                # Its box is here only now: what this layer makes of it leaves at once.
                first, end = max(tensor.offset, low), min(tensor.offset + tensor.channels, high)
                if tensor.buffer is output.buffer and first < end:
                    part = (first - tensor.offset, end - tensor.offset)
                    self.store_box(layer.name, tensor, tensor, Box(rows, columns, part))
                continue
            last = makers(tensor)[-1:]
            done = rows[1] == output.height and self.is_last(turn, layer)
            if last == [layer] and (tensor is output or done):
                made = rows if tensor is output else (0, tensor.height)
                self.store_box(layer.name, tensor, tensor, Box(made, (0, tensor.width), (0, tensor.channels)))

    def is_last(self, turn: Turn, layer: Layer) -> bool:
        """Whether no later turn makes any of a layer's output."""
        (_, end), (_, high) = turn.made[layer]
        return end == layer.output.width and high == layer.output.channels

    def store_box(self, name: str, tensor: Tensor, target: Tensor | Buffer, box: Box) -> list[Store]:
        """Send a box (channels counted in the target) of a tensor to the network's output or a spilled buffer."""
        if box.columns[0] >= box.columns[1]:
            return []
        offset = tensor.offset if isinstance(target, Tensor) else 0
        (first, end), (left, right), (low, high) = box.rows, box.columns, box.channels
        store = Store(
            layer=name,
            target=target,
            target_offset=(first + (target.first_row if isinstance(target, Tensor) else 0), left, low),
            source=self.rooms.of(tensor),
            source_offset=(first, left, offset + low),
            sizes=(end - first, right - left, high - low),
        )
        self.works.append(store)
        return [store]


def _all_of(tensor: Tensor) -> Box:
    return Box((0, tensor.height), (0, tensor.width), (0, tensor.channels))


def _meets(store: Store, load: Load) -> bool:
    """Whether a load reads rows and columns that a store wrote."""
    return all(
        a < b + m and b < a + n
        for a, n, b, m in zip(store.target_offset[:2], store.sizes, load.origin, load.sizes, strict=False)
    )
