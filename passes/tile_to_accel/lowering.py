"""One ``tile.schedule`` as one ``accel.program``: a walk over its text, a handler per op, an instruction per turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xdsl.ir import Operation

from dialects import accel, tile
from passes.common.problems import ModelError, place_in_text
from passes.tile_to_accel import convolutions, copies, memory, vectors
from passes.tile_to_accel.emission import Emission, Where
from sim.machine import description as machines

Handler = Callable[[Emission, Any, Sequence[int]], None]
"""Lowers an op in the turn that the indices say."""

HANDLERS: Mapping[type[Operation], Handler] = {
    tile.ConstantOp: memory.constant,
    tile.DramOp: memory.scratch,
    tile.ImageOp: memory.image,
    tile.AllocOp: memory.alloc,
    tile.ViewOp: memory.view,
    tile.FreeOp: memory.free,
    tile.FrameOp: memory.frame,
    tile.LoadOp: copies.move,
    tile.StoreOp: copies.move,
    tile.LoadConfigOp: copies.load_config,
    tile.UseOp: copies.use,
    tile.FillOp: convolutions.fill,
    tile.ConvOp: convolutions.conv,
    tile.VectorOp: vectors.vector,
    tile.MoveOp: vectors.walk,
}


def lower(schedule: tile.ScheduleOp) -> accel.ProgramOp:
    """The program of one schedule; ModelError names every op that the machine cannot carry out, MachineFileError an
    unknown machine."""
    e = Emission(schedule, machines.load(schedule.machine.data))
    total = sum(tile.trips(op) for op in schedule.body.block.ops)
    if total > tile.MAX_INSTRUCTIONS:
        longest = place_in_text(max(schedule.body.block.ops, key=tile.trips))
        raise ModelError(
            f"{f'{longest}: ' if longest else ''}{e.problems.subject} unrolls to {total:,} instructions and at most "
            f"{tile.MAX_INSTRUCTIONS:,} are allowed; take larger tiles or fewer turns."
        )
    memory.ports(e, schedule)
    for op, indices in tile.unrolled(schedule.body.block):
        e.where = Where(op, indices)
        handler = HANDLERS.get(type(op))
        if handler is None:
            e.complain("a schedule holds ops of the tile dialect only.")
        else:
            handler(e, op, indices)
    e.problems.raise_if_any()
    _check_outputs(e, schedule)
    e.missing.raise_if_any()
    body = e.program.body.block
    for buffer, state in e.buffers:
        last = state.freed if state.freed is not None else len(e.instructions)
        buffer.plan_between(state.born, last)
        body.add_op(buffer)
    body.add_ops(e.instructions[: e.prologue])
    if e.prologue is not None:
        body.add_op(accel.FrameOp())
        body.add_ops(e.instructions[e.prologue :])
    return e.program


def _check_outputs(e: Emission, schedule: tile.ScheduleOp) -> None:
    """Every output is written whole."""
    e.where = Where(schedule, ())
    for value in schedule.output_values:
        written = e.in_dram[value]
        if (found := written.problem((0,) * len(written.dims), written.dims)) is not None:
            e.missing.add(
                str(e.where),
                f"it never stores row {found[0]} of {memory.said(value)}; a plan writes all of its outputs.",
            )
