"""The plan as tile IR: items and transfers in text order, rooms as alloc and free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.ir import Block, Operation, SSAValue

from dialects import tile
from dialects.recon import BlobAttr
from dialects.tile import Slice
from passes.planner.blocks import Item, Room, Source, Transfer, rooms_of
from passes.planner.network import Buffer, Network, Tensor


class Speller:
    """Writes one schedule."""

    def __init__(self, network: Network, schedule: tile.ScheduleOp):
        self.schedule = schedule
        self.head: list[Operation] = []
        self.body: list[Operation] = []
        self.values: dict[Any, SSAValue] = {}
        self.dram: dict[Any, SSAValue] = {}
        for tensor, value in zip(network.inputs, schedule.input_values, strict=True):
            self.dram[tensor] = value
        self.outputs: dict[Any, SSAValue] = dict(zip(network.outputs, schedule.output_values, strict=True))

    def source(self, source: Source) -> SSAValue:
        """The DRAM value a transfer reads, made at the top of the schedule when first named."""
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

    def alloc(self, room: Room) -> None:
        op = tile.AllocOp(room.shape, room.ring, room.address)
        op.output.name_hint = _hint(room.name)
        self.body.append(op)
        self.values[room] = op.output

    def load(self, transfer: Transfer) -> None:
        source, room = self.source(transfer.source), self.room(transfer.room)
        self.body.append(
            tile.LoadOp(room, transfer.target_slice, source, transfer.source_slice, transfer.layer or None)
        )

    def item(self, item: Item) -> None:
        operands = {
            name: self.room(operand) if isinstance(operand, Room) else self.values[operand]
            for name, operand in item.operands.items()
        }
        options = dict(item.options)
        layer = item.layer or None
        if item.kind == "store":
            target, sizes = options["target"], options["sizes"]
            value = self.outputs[target] if target in self.outputs else self.source(target)
            self.body.append(
                tile.StoreOp(
                    value,
                    Slice.of(options["target_offset"], sizes),
                    operands["source"],
                    Slice.of(options["source_offset"], sizes),
                    layer,
                )
            )
        elif item.kind == "fill":
            op = tile.FillOp(layer=layer, **operands, **options)
            op.output.name_hint = "h"
            self.values[item] = op.output
            self.body.append(op)
        else:
            made = {"conv": tile.ConvOp, "vector": tile.VectorOp, "use": tile.UseOp, "load_config": tile.LoadConfigOp}
            self.body.append(made[item.kind](layer=layer, **operands, **options))

    def write(self, items: Sequence[Item], transfers: Sequence[Transfer]) -> None:
        """Fill the schedule's body."""
        births: dict[int, list[Room]] = {}
        deaths: dict[int, list[Room]] = {}
        rooms: dict[Room, None] = {}
        for item in items:
            for room in rooms_of(item):
                rooms[room.root] = None
        for room in rooms:
            births.setdefault(room.first, []).append(room)
            deaths.setdefault(room.last, []).append(room)
        loads: dict[int, list[Transfer]] = {}
        for transfer in transfers:
            loads.setdefault(transfer.position, []).append(transfer)
        for position, item in enumerate(items):
            for room in births.get(position, []):
                self.alloc(room)
            for transfer in loads.get(position, []):
                self.load(transfer)
            self.item(item)
            if dying := deaths.get(position):
                self.body.append(tile.FreeOp([self.values[room] for room in dying]))
        block: Block = self.schedule.body.block
        block.add_ops([*self.head, *self.body])


def _hint(name: str) -> str | None:
    """A name the textual IR accepts, or None."""
    text = "".join(c if c.isalnum() or c in "_$.-" else "_" for c in name)
    return text if text and not text[0].isdigit() else f"t_{text}" if text else None
