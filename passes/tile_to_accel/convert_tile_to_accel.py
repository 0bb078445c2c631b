"""Spell a plan out: every tile op, in every turn of its loops, becomes the one instruction it stands for.

Nothing is decided here. What this pass adds is geometry (which rows and columns a tile's windows meet, where a ring
stores them) and the proof, from the text alone, that the machine can do what the plan says; all problems are reported
together.

    tile.conv %y[8, 0, 0] [8, 56, 64] = %x[0] [64], %h window <3x3 pad 1 1 1 1> params %p[0] requantize <…> layer @c1
→   %e = accel.conv in(%x + 25088) params(%p) out(%y + 28672) {outputs = 64, inputs = 64, fy = 3, fx = 3, oy = 8, …}
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import tile
from passes.tile_to_accel.lowering import lower


@dataclass(frozen=True)
class ConvertTileToAccelPass(ModulePass):
    """Lower every ``tile.schedule`` to an ``accel.program``; ModelError lists everything the machine cannot do."""

    name = "convert-tile-to-accel"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        schedules = [inner for inner in op.body.block.ops if isinstance(inner, tile.ScheduleOp)]
        for schedule in schedules:
            program = lower(schedule)
            op.body.block.insert_op_before(program, schedule)
            schedule.detach()
            schedule.erase()
