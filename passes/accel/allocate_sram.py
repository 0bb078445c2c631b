"""Give every buffer its address in SRAM, and every region its address in DRAM.

A buffer lives from its first use to its last; two may share bytes exactly when they do not live at the same time. Where
room allows it, a buffer also keeps clear of what died shortly before it: reusing bytes makes the new user wait for the
last old one, and room is free.

    %x = accel.buffer 200704 plan 0 9
→   %x = accel.buffer 200704 plan 0 9 at 401408
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from passes.accel import dram_layout
from passes.accel.sram_addresses import allocate
from passes.common import tally
from passes.common.notes import PLANNED_WITHIN, add_note
from sim.machine import description as machines


@dataclass(frozen=True)
class AllocateSramPass(ModulePass):
    """Place all buffers; ``limit`` is a capacity in bytes below the machine's. ModelError when they do not fit."""

    name = "allocate-sram"
    limit: int | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        programs = accel.programs(op)
        for program in programs:
            machine = machines.load(program.machine.data)
            program.takes(None)
            allocate(program, machine, min(self.limit or machine.sram.bytes, machine.sram.bytes))
            tally.count("buffers placed", len(list(program.buffers)))
            if self.limit and self.limit < machine.sram.bytes:
                add_note(op, PLANNED_WITHIN.format(self.limit))
        if programs:
            dram_layout.lay_out(programs, machines.load(programs[0].machine.data))
