"""Memory of a plan as memory of a program: regions of DRAM, buffers in SRAM, and which bytes of them are written."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from dialects import accel, tile
from passes.tile_to_accel.emission import Emission
from passes.tile_to_accel.plan_state import PlanBuffer
from passes.tile_to_accel.written import Written
from sim.machine.description import Configuration


def said(value: SSAValue) -> str:
    """A region of DRAM in a message."""
    return f"%{value.name_hint}" if value.name_hint else "a region"


def region(e: Emission, value: SSAValue, op: accel.DramOp, key: object = None) -> None:
    """Give a value its region of DRAM; what has the same ``key`` has the same region."""
    written = e.in_dram[value] = Written(tile.buffer_type(value).dims)
    if op.kind.data == "constant":
        written.fill()
    if key is not None and key in e.shared:
        e.dram[value] = e.shared[key]
        return
    op.output.name_hint = value.name_hint
    e.program.body.block.add_op(op)
    e.dram[value] = op
    if key is not None:
        e.shared[key] = op


def ports(e: Emission, schedule: tile.ScheduleOp) -> None:
    """The regions of a schedule's inputs and outputs, each with a name of its own."""
    inputs = len(schedule.input_values)
    taken: set[str] = set()
    for number, argument in enumerate(schedule.body.block.args):
        kind = "input" if number < inputs else "output"
        name = argument.name_hint or f"{kind}{number - (0 if kind == 'input' else inputs)}"
        while name in taken:
            name += "_"
        taken.add(name)
        region(e, argument, accel.DramOp(kind, tile.buffer_type(argument).dims, port=name))
        if kind == "input":
            e.in_dram[argument].fill()


def image_of(e: Emission, configuration: Configuration) -> accel.DramOp:
    """The region that holds the image of a configuration."""
    if configuration not in e.shared:
        op = accel.DramOp("image", (e.machine.configuration.image_bytes,), configuration=configuration)
        op.output.name_hint = str(configuration).replace(" ", "_")
        e.program.body.block.add_op(op)
        e.shared[configuration] = op
    return e.shared[configuration]


def constant(e: Emission, op: tile.ConstantOp, _indices: Sequence[int]) -> None:
    if op.output not in e.dram:
        region(e, op.output, accel.DramOp("constant", value=op.value), op.value)


def scratch(e: Emission, op: tile.DramOp, _indices: Sequence[int]) -> None:
    dims = tile.buffer_type(op.output).dims
    if op.output not in e.dram:
        region(e, op.output, accel.DramOp("scratch", dims))
    e.in_dram[op.output] = Written(dims)  # what an earlier turn stored is not its own


def image(e: Emission, op: tile.ImageOp, _indices: Sequence[int]) -> None:
    size, wanted = tile.buffer_type(op.output).dims, (e.machine.configuration.image_bytes,)
    if size != wanted:
        e.complain(
            f"a configuration image of {e.machine.name} has {wanted[0]:,} bytes, not {'x'.join(map(str, size))}."
        )
    e.dram[op.output] = image_of(e, op.configuration.data)
    e.in_dram[op.output] = Written(size)
    e.in_dram[op.output].fill()


def alloc(e: Emission, op: tile.AllocOp, _indices: Sequence[int]) -> None:
    kind = op.output.type
    address = op.address.value.data if op.address is not None else None
    buffer = accel.BufferOp(kind.nbytes, address=address)
    buffer.output.name_hint, buffer.location = op.output.name_hint, op.location
    name, written = op.output.name_hint or "", Written(kind.stored, kind.ring.data)
    state = PlanBuffer(buffer.output, kind.dims, kind.ring.data, name, len(e.instructions), written)
    if kind.part.data:
        state.part = kind.origin, kind.stored
    e.state.alloc(op.output, state)
    e.buffers.append((buffer, state))


def view(e: Emission, op: tile.ViewOp, _indices: Sequence[int]) -> None:
    source = e.state.buffer(op.input)
    if source is not None:
        dims = tile.buffer_type(op.output).dims
        name, written = op.output.name_hint or source.name, source.written.view(dims)
        e.state.buffers[op.output] = PlanBuffer(
            source.value, dims, 0, name, source.born, written, source.root or source
        )


def frame(e: Emission, _op: tile.FrameOp, _indices: Sequence[int]) -> None:
    e.prologue = len(e.instructions)
    e.state.frame()


def free(e: Emission, op: tile.FreeOp, _indices: Sequence[int]) -> None:
    for value in op.buffers:
        e.state.free(value, len(e.instructions))
