"""``predict-cycles``: what the laws of time make of a program, written where a person and a test can read it.

The clock is the simulator's own, and time depends on no value, so this is what a run takes. A pass that changes the
program forgets the number; ``recon compile`` refuses a text whose number is not that of its program.

    accel.program @main machine "edge4k" {
→   accel.program @main machine "edge4k" cycles 6075 {
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from passes.accel.placed import check_placed
from sim.machine import clock
from sim.machine import description as machines
from sim.machine.encoding import decode, encode
from sim.machine.steady import steady


@dataclass(frozen=True)
class PredictCyclesPass(ModulePass):
    """State the cycles of every program, of one with frames those of a frame in the steady state; ModelError while
    buffers have no addresses."""

    name = "predict-cycles"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        programs = accel.programs(op)
        check_placed(programs)
        codes = {program: encode(one.record() for one in program.instructions) for program in programs}
        size = sum(map(len, codes.values()))
        for program, code in codes.items():
            machine = machines.load(program.machine.data)
            if program.frames is not None:
                found = steady(machine, decode(code), program.frames)
                program.takes(-(-found.cycles // found.period))
            else:
                fetched = machine.instruction_memory.fetches(size)
                program.takes(clock.run(machine, decode(code), fetched=fetched).cycles)
