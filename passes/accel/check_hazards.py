"""Prove the final program free of races, deadlock, reads of unwritten bytes and instructions that the machine refuses.

Part of every compile; it changes nothing. The proofs themselves (``passes.proof``: ``hazards``, then ``limits``) know
only the encoded instructions, so they serve for any program file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects import accel
from passes.accel.placed import check_placed
from passes.common import tally
from passes.common.problems import place_in_text
from passes.proof.frames import prove_program
from passes.proof.hazards import DramMap, HazardError
from passes.proof.limits import images_in
from sim.machine import description as machines
from sim.machine.description import Configuration
from sim.machine.encoding import EncodingError, decode, encode_one
from sim.machine.program import MachineSegment, Program


@dataclass(frozen=True)
class CheckHazardsPass(ModulePass):
    """HazardError names the instructions, their layers and the bytes in common; ModelError without addresses."""

    name = "check-hazards"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        programs = accel.programs(op)
        check_placed(programs)
        end = max((region.at + region.nbytes for program in programs for region in program.regions_in_dram), default=0)
        for program in programs:
            check(program, end)
            tally.count("instructions proven", len(list(program.instructions)))


def check_program(program: Program) -> None:
    """Prove every machine segment of a program file; HazardError says what is wrong."""
    for segment in program.segments:
        if isinstance(segment, MachineSegment):
            stream, layers = decode(segment.code), segment.layer_of.tolist()
            inputs, outputs = (
                [(r.address, r.address + r.bytes) for r in rs] for rs in (segment.inputs, segment.outputs)
            )
            dram = DramMap(program.dram_bytes, [(0, len(program.constants)), *inputs], outputs)
            names = [program.layers[layer].name for layer in layers]
            images = images_in(program.constants, program.machine.configuration.image_bytes)
            prove_program((stream, segment.frames), program.machine, dram, images, names.__getitem__)


def check(program: accel.ProgramOp, dram_bytes: int) -> None:
    """Prove one placed and ordered program; HazardError says what is wrong."""
    instructions = list(program.instructions)
    layers = [op.layer_name for op in instructions]
    written: list[tuple[int, int]] = []
    outputs: list[tuple[int, int]] = []
    images: dict[int, Configuration] = {}
    constants = 0
    for region in program.regions_in_dram:
        interval = (region.at, region.at + region.nbytes)
        if region.configuration is not None:
            images[region.at] = region.configuration.data
        if region.kind.data == "output":
            outputs.append(interval)
        elif region.kind.data != "scratch":
            written.append(interval)
            if region.kind.data != "input":
                constants = max(constants, interval[1])
    stream = decode(b"".join(map(_encoded, instructions)))
    dram = DramMap(dram_bytes, [(0, constants), *written], outputs)
    machine = machines.load(program.machine.data)
    for buffer in program.buffers:
        if (end := buffer.at + buffer.nbytes) > machine.sram.bytes:
            place = f"{where}: " if (where := place_in_text(buffer)) else ""
            raise HazardError(
                f"{place}{buffer.label} is bytes {buffer.at:,} to {end - 1:,} of SRAM, and {machine.name} has "
                f"{machine.sram.bytes:,}."
            )
    try:
        prove_program((stream, program.frames), machine, dram, images, lambda index: layers[index])
    except HazardError as error:
        raise HazardError(_in_the_text(str(error), program, instructions)) from None


def _encoded(op: accel.InstructionOp) -> bytes:
    """The instruction's bytes; HazardError, at its line, for a number that its field does not hold."""
    try:
        return encode_one(*op.record())
    except EncodingError as error:
        place = place_in_text(op)
        raise HazardError(f"{place}: {error}" if place else str(error)) from None


def _in_the_text(sentence: str, program: accel.ProgramOp, instructions: Sequence[accel.InstructionOp]) -> str:
    """A hazard in the words of the text: begins with its first instruction's line, names other lines and buffers."""
    indices = [int(number) for number in re.findall(r"instruction (\d+)", sentence)]
    places = {index: place_in_text(instructions[index]) for index in indices if index < len(instructions)}
    lives = program.lifetimes()

    def buffer(found: re.Match[str]) -> str:
        byte = int(found[1], 16)
        at = indices[0] if indices else 0
        owners = [op for op, (born, dead) in lives.items() if born <= at <= dead] if found[2] == "SRAM" else []
        owners = owners or [*(lives if found[2] == "SRAM" else program.regions_in_dram)]
        owner = next((op for op in owners if op.at <= byte < op.at + op.nbytes), None)
        return f"{found[0]} ({owner.label} + {byte - owner.at})" if owner is not None else found[0]

    def line(found: re.Match[str]) -> str:
        place = places.get(int(found[1]), "")
        return f"{found[0]}, at {place}" if place and int(found[1]) != indices[0] else found[0]

    sentence = re.sub(r"byte 0x([0-9a-f]+) of (SRAM|DRAM)", buffer, sentence)
    sentence = re.sub(r"instruction (\d+) \([^()]*", line, sentence)
    first = places.get(indices[0], "") if indices else ""
    return f"{first}: {sentence}" if first else sentence
