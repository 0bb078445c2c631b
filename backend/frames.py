"""Frames of a program: where its text repeats, and what frames in a row take.

A program with ``accel.frame`` is one machine segment: what its SRAM holds from frame to frame would be gone if another
segment ran between, and every segment starts on an empty machine. Host segments before and behind it are no matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dialects import accel
from sim.machine import clock
from sim.machine.description import Machine
from sim.machine.encoding import decode
from sim.machine.errors import ReconError
from sim.machine.frames import Rhythm
from sim.machine.isa import BY_NAME
from sim.machine.program import MachineSegment, Segment
from sim.machine.steady import Steady, steady


class FramesError(ReconError):
    """A program whose frames cannot follow each other."""


def dram_bytes(programs: Iterable[accel.ProgramOp]) -> int:
    """Bytes of DRAM that placed programs take; FramesError where ports of odd frames would lie upon other regions."""
    end = 0
    for program in programs:
        regions = program.regions_in_dram
        end = max(end, max((region.at + region.nbytes for region in regions), default=0))
        if program.prologue is None:
            continue
        start, size = accel.window(regions)
        end = max(end, start + 2 * size)
        for region in regions:
            inside = region.at < start + 2 * size and start < region.at + region.nbytes
            if inside and region.kind.data not in ("input", "output"):
                raise FramesError(
                    f"{region.label} lies at {region.at}, among the ports of @{program.sym_name.data}, which take the "
                    f"bytes {start} to {start + 2 * size - 1} of DRAM in turns; place the program with allocate-sram."
                )
    return end


def timed(segments: Sequence[Segment], machine: Machine) -> tuple[int, Rhythm | None]:
    """The cycles of all machine segments, those of one frame of many where they repeat, and then their rhythm."""
    parts = [segment for segment in segments if isinstance(segment, MachineSegment)]
    repeated = next((part for part in parts if part.frames is not None), None)
    if repeated is None or repeated.frames is None:
        fetched = machine.instruction_memory.fetches(sum(len(part.code) for part in parts))
        return sum(clock.run(machine, decode(part.code), fetched=fetched).cycles for part in parts), None
    if len(parts) > 1:
        raise FramesError(
            f"The model has {len(parts)} machine segments with host operators between them ("
            + ", ".join(part.name for part in parts)
            + "); frames in a row need one segment, because every segment starts on an empty machine. 'recon check' "
            "says what runs on the host and why; compile without --frames."
        )
    found = steady(machine, decode(repeated.code), repeated.frames)
    rhythm = Rhythm(
        prologue=found.prologue,
        cycles=found.cycles,
        period=found.period,
        epilogue=found.epilogue,
        latency=found.latency,
        resident_bytes=_moved(found, -1),
        frame_bytes=_moved(found, found.first),
    )
    return -(-found.cycles // found.period), rhythm


def _moved(found: Steady, frame: int) -> int:
    """Bytes over the DRAM channel in a frame; −1: those that the prologue loads into SRAM, which stay."""
    mine = found.line.frame == frame
    if frame < 0:
        mine &= found.line.stream.opcodes == BY_NAME["load"].opcode
    return int(found.timeline.costs.dram_bytes[np.flatnonzero(mine)].sum())
