"""The plan as tile IR: works and loads in text order, rooms as alloc and free."""

from __future__ import annotations

from typing import Any

from xdsl.ir import Block, Operation, SSAValue

from dialects import tile
from dialects.recon import BlobAttr
from dialects.tile import AffineIndex, Slice
from passes.planner.network import Buffer, Network, Tensor
from passes.planner.prefetch import Layout
from passes.planner.rooms import Load, Room, Source
from passes.planner.schedule import Schedule
from passes.planner.works import ConvPass, Fill, LoadImage, Move, Store, Use, Vector, Work


class Speller:
    """Writes one schedule."""

    def __init__(self, network: Network, schedule: tile.ScheduleOp):
        self.schedule = schedule
        self.head: list[Operation] = []
        self.body: list[Operation] = []
        self.values: dict[Any, SSAValue] = {}
        self.dram: dict[Any, SSAValue] = {}
        given = dict(zip(network.input_ports, schedule.input_values, strict=True))
        for tensor in network.inputs:
            self.dram[tensor] = given[tensor.port]
        taken = dict(zip(network.output_ports, schedule.output_values, strict=True))
        self.outputs: dict[Any, SSAValue] = {tensor: taken[tensor.port] for tensor in network.outputs}

    def source(self, source: Source) -> SSAValue:
        """The DRAM value a load reads, made at the top of the schedule when first named."""
        if source not in self.dram:
            if isinstance(source, Tensor):
                op: Operation = tile.DramOp(source.type.dims[1:])
            elif isinstance(source, Buffer):
                op = tile.DramOp((source.height, source.width, source.channels))
            elif isinstance(source.value, BlobAttr):
                op = tile.ConstantOp(source.value, source.shape)
            else:
                op = tile.ImageOp(source.value, source.shape[0])
            self.head.append(op)
            self.dram[source] = op.results[0]
        return self.dram[source]

    def room(self, room: Room) -> SSAValue:
        """The value of a room that is alive; views are made when first named."""
        if room not in self.values:
            assert room.base is not None
            view = tile.ViewOp(self.room(room.base), room.shape)
            view.output.name_hint = _hint(room.name)
            self.body.append(view)
            self.values[room] = view.output
        return self.values[room]

    def alloc(self, room: Room, address: int) -> None:
        op = tile.AllocOp(room.shape, room.ring, address, room.part)
        op.output.name_hint = _hint(room.name)
        self.body.append(op)
        self.values[room] = op.output

    def load(self, load: Load) -> None:
        source, room = self.source(load.source), self.room(load.room)
        self.body.append(tile.LoadOp(room, load.target_slice, source, load.source_slice, load.layer or None))

    def work(self, work: Work) -> None:
        """The op of a work."""
        layer = work.layer or None
        match work:
            case Fill():
                op = tile.FillOp(
                    work.half,
                    self.room(work.weights),
                    work.slice,
                    work.configuration,
                    work.groups,
                    work.zero,
                    layer,
                )
                op.output.name_hint = "h"
                self.values[work] = op.output
                self.body.append(op)
            case ConvPass():
                self.body.append(self.conv(work))
            case Vector():
                self.body.append(self.vector(work))
            case Move():
                target, source = self.room(work.output), self.room(work.input)
                self.body.append(tile.MoveOp(target, work.write, source, work.read, work.sizes, layer))
            case Store():
                target, source = work.target, self.room(work.source)
                value = self.outputs[target] if target in self.outputs else self.source(target)
                into, out_of = Slice.of(work.target_offset, work.sizes), Slice.of(work.source_offset, work.sizes)
                self.body.append(tile.StoreOp(value, into, source, out_of, layer))
            case LoadImage():
                copy = self.room(work.copy) if work.copy is not None else None
                self.body.append(tile.LoadConfigOp(work.configuration, layer, copy))
            case Use():
                self.body.append(tile.UseOp(work.configuration, layer))

    def optional(self, room: Room | None) -> SSAValue | None:
        return self.room(room) if room is not None else None

    def conv(self, work: ConvPass) -> tile.ConvOp:
        finish = work.finish
        residual = finish.residual if finish is not None else None
        return tile.ConvOp(
            self.room(work.output),
            work.out,
            self.room(work.input),
            work.channels,
            self.values[work.half],
            work.window,
            groups=work.groups,
            pad_value=work.pad_value,
            first=work.first,
            params=self.optional(finish.params if finish is not None else None),
            params_offset=AffineIndex(finish.channel) if finish is not None else None,
            requantize=finish.requantize if finish is not None else None,
            residual=self.optional(residual.room if residual is not None else None),
            residual_offset=AffineIndex(residual.channel) if residual is not None else None,
            sum=residual.law if residual is not None else None,
            table=self.optional(finish.table if finish is not None else None),
            is_float=work.is_float,
            layer=work.layer or None,
        )

    def vector(self, work: Vector) -> tile.VectorOp:
        return tile.VectorOp(
            work.kind,
            self.room(work.output),
            work.out,
            self.room(work.lhs),
            AffineIndex(work.lhs_channel),
            rhs=self.optional(work.rhs),
            rhs_offset=AffineIndex(work.rhs_channel) if work.rhs is not None else None,
            params=self.optional(work.params),
            params_offset=AffineIndex(work.channel) if work.params is not None else None,
            table=self.optional(work.table),
            window=work.window,
            law=work.law,
            layer=work.layer or None,
        )

    def frame(self, schedule: Schedule, layout: Layout, stays: frozenset[Room]) -> tuple[Load, ...]:
        """What is done once, above the line; gives the loads that come with every frame."""
        for room in (room for room in schedule.lives if room in stays):
            self.alloc(room, layout.addresses[room])
        for work in schedule.before:
            self.work(work)
        for load in schedule.loads:
            if load.room.root in stays:
                self.load(load)
        self.body.append(tile.FrameOp())
        return tuple(load for load in schedule.loads if load.room.root not in stays)

    def write(self, schedule: Schedule, layout: Layout) -> None:
        """Fill the schedule's body."""
        births: dict[int, list[Room]] = {}
        deaths: dict[int, list[Room]] = {}
        for room, (first, last) in layout.lives.items():
            births.setdefault(first, []).append(room)
            deaths.setdefault(last, []).append(room)
        coming = schedule.loads
        if layout.stays is not None:
            coming = self.frame(schedule, layout, layout.stays)
        loads: dict[int, list[Load]] = {}
        for load, position in zip(coming, layout.positions, strict=True):
            loads.setdefault(position, []).append(load)
        for position, work in enumerate(schedule.works):
            for room in births.get(position, []):
                self.alloc(room, layout.addresses[room])
            for load in loads.get(position, []):
                self.load(load)
            self.work(work)
            if dying := deaths.get(position):
                self.body.append(tile.FreeOp([self.values[room] for room in dying]))
        block: Block = self.schedule.body.block
        block.add_ops([*self.head, *self.body])


def _hint(name: str) -> str | None:
    """A name the textual IR accepts, or None."""
    text = "".join(c if c.isalnum() or c in "_$.-" else "_" for c in name)
    return text if text and not text[0].isdigit() else f"t_{text}" if text else None
