"""Prove the final program free of races, deadlock and reads of unwritten bytes, from its encoded instructions.

Part of every compile; it changes nothing. The proof itself (``passes.hazards``) knows only addresses and waits, so it
serves for any program file.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from passes.hazards import Memory, prove
from sim import machine as machines
from sim.encoding import decode, encode


@dataclass(frozen=True)
class CheckHazardsPass(ModulePass):
    """HazardError names the instructions, their layers and the bytes in common."""

    name = "check-hazards"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        programs = accel.programs(op)
        end = max((region.at + region.nbytes for program in programs for region in program.regions_in_dram), default=0)
        for program in programs:
            check(program, end)


def check(program: accel.ProgramOp, dram_bytes: int) -> None:
    """Prove one placed and ordered program; HazardError says what is wrong."""
    instructions = list(program.instructions)
    layers = [op.layer_name for op in instructions]
    written: list[tuple[int, int]] = []
    outputs: list[tuple[int, int]] = []
    constants = 0
    for region in program.regions_in_dram:
        interval = (region.at, region.at + region.nbytes)
        if region.kind.data == "output":
            outputs.append(interval)
        elif region.kind.data != "scratch":
            written.append(interval)
            if region.kind.data != "input":
                constants = max(constants, interval[1])
    stream = decode(encode(op.record() for op in instructions))
    memory = Memory(dram_bytes, [(0, constants), *written], outputs)
    prove(stream, machines.load(program.machine.data), memory, lambda index: layers[index])
