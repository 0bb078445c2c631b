"""Order the instructions: who must wait for whom, exactly, and in as few wait counts as do it.

Program order is meaning. Two instructions of different queues must keep that order when they touch a common byte, L1
half or configuration slot and one of them writes it. ``after`` names the latest such instruction of each other queue,
unless the queue's own history orders the two already; ``waits`` keeps of these only what the others do not imply.

Vector clocks make this cheap: a clock says how many instructions of each queue have certainly completed when an
instruction starts, so accesses older than that are never looked at again.

    %e4 = accel.conv in(%x) out(%y) {…} layer @c1
→   %e4 = accel.conv in(%x) out(%y) {…} after(%e1, %e3) waits <load 2> layer @c1     (%e3, a fill, waits for %e1)
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from passes.accel.placed import check_placed
from passes.accel.waits import assign
from passes.common import tally


@dataclass(frozen=True)
class AssignWaitsPass(ModulePass):
    """Give every instruction its ``after`` events and wait counts; ModelError while buffers have no addresses."""

    name = "assign-waits"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        programs = accel.programs(op)
        check_placed(programs)
        for program in programs:
            assign(program)
            program.takes(None)
            waits = sum(sum(map(bool, instruction.wait_counts)) for instruction in program.instructions)
            tally.count("waits", waits)
