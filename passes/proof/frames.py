"""The proof for frames in a row, for every number of them, from the first few.

Four laws make the frames of a text alike: the prologue waits for no frame and touches no port; no frame writes a byte
that the prologue wrote; none multiplies by weights or goes on with sums that another left; and what frames 0 to 2 may
do, all may, because what the configuration slots hold when a frame begins repeats from there on. Then a frame reads
what it wrote itself, what the prologue wrote and what was there before, so it computes what it would alone; and two
frames in a row without a race stand for any two. docs/machine.md, section 3, has the argument.
"""

from __future__ import annotations

import numpy as np

from passes.proof.hazards import DramMap, HazardError, Naming, label, prove
from passes.proof.limits import Images, obeys
from passes.proof.touched import DRAM, SPACES, STATE, Touched, touched
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.frame_order import FrameOrder, check, unrolled
from sim.machine.frames import Frames
from sim.machine.isa import BY_NAME, QUEUES, Instruction
from sim.machine.order import Ints

Program = tuple[Stream, Frames | None]
"""A text, and how it repeats (None: it does not)."""


def prove_program(program: Program, machine: Machine, dram: DramMap, images: Images, name: Naming) -> None:
    """HazardError unless a program is free of races, deadlock, unwritten bytes and instructions that the machine
    refuses, for every number of frames; ProgramError when its text cannot repeat at all. ``name`` says the layer of an
    instruction of the text."""
    stream, frames = program
    if frames is None:
        obeys(stream, machine, images, prove(stream, machine, dram, name), name)
        return
    check(stream, frames)
    pair = unrolled(stream, frames, 2, ports=False)

    def of_text(line: FrameOrder) -> Naming:
        return lambda index: name(int(line.text[index]))

    _prologue(pair, frames, machine, of_text(pair))
    _begins_anew(pair, of_text(pair))
    prove(pair.stream, machine, dram, of_text(pair), pair)
    few = unrolled(stream, frames, 3, ports=False)
    obeys(few.stream, machine, images, few.linear.tolist(), of_text(few), few)


def _prologue(line: FrameOrder, frames: Frames, machine: Machine, name: Naming) -> None:
    """What the prologue may wait for and touch, and that its bytes stay."""
    inside = line.frame < 0
    own = np.array([int((line.queue[inside] == number).sum()) for number in range(len(QUEUES))])
    late = np.argwhere(line.waits[inside] > own)
    if len(late):
        index, queue = late[0].tolist()
        raise HazardError(
            f"The prologue waits for a frame: {label(line.stream, index, name, line)} waits for instruction "
            f"{int(line.waits[index, queue])} of the queue {QUEUES[queue]}, and the prologue has {int(own[queue])}."
        )
    t = touched(line.stream, machine.configuration.image_bytes)
    early = inside[t.instruction]
    ports = early & (t.space == DRAM) & (t.start < frames.window + frames.window_bytes) & (t.end > frames.window)
    for at in np.flatnonzero(ports)[:1].tolist():
        raise HazardError(
            f"The prologue touches a port: {label(line.stream, int(t.instruction[at]), name, line)} reaches byte "
            f"{int(t.start[at]):#x} of DRAM, where inputs and outputs of every frame lie."
        )
    _bytes_stay(t, early, line, name)


def _begins_anew(line: FrameOrder, name: Naming) -> None:
    """That no frame multiplies by weights, or goes on with sums, that another frame left."""
    conv, fill = (BY_NAME[each] for each in ("conv", "fill"))
    passes, fills = (where[line.frame[where] == 0] for where in (line.stream.indices(e.opcode) for e in (conv, fill)))
    halves = {half: np.sort(fills[_column(line, fill, fills, "half") == half]) for half in (0, 1)}
    early = [
        (int(at), half)
        for half, filled in halves.items()
        for at in passes[_column(line, conv, passes, "half") == half][:1]
        if len(filled) and at < filled[0]
    ]
    for at, half in sorted(early)[:1]:
        raise HazardError(
            f"A frame multiplies by weights that another one left: {label(line.stream, at, name, line)} reads half "
            f"{half} of L1, and {label(line.stream, int(halves[half][0]), name, line)} fills it behind that."
        )
    if len(passes) and not _column(line, conv, passes[:1], "first")[0]:
        raise HazardError(
            f"A frame goes on with sums that it did not begin: {label(line.stream, int(passes[0]), name, line)} is the "
            "first pass of its frame."
        )


def _column(line: FrameOrder, row: Instruction, where: Ints, field: str) -> Ints:
    """A field of some instructions of one kind."""
    return line.stream.tables[row.opcode][field][line.stream.rows[where]].astype(np.int64)


def _bytes_stay(t: Touched, early: np.ndarray[tuple[int], np.dtype[np.bool_]], line: FrameOrder, name: Naming) -> None:
    kept = np.flatnonzero(early & t.write & (t.space != STATE))
    written = np.flatnonzero(~early & t.write & (t.space != STATE) & (line.frame[t.instruction] < 1))
    if not len(kept):
        return
    order = kept[np.argsort(t.start[kept], kind="stable")]
    reach = np.maximum.accumulate(t.end[order])
    for at in written.tolist():
        first = int(np.searchsorted(reach, t.start[at], side="right"))
        last = int(np.searchsorted(t.start[order], t.end[at], side="left"))
        for other in order[first:last].tolist():
            if t.space[other] == t.space[at] and t.end[other] > t.start[at]:
                byte = t.common(at, other)
                if byte is not None:
                    raise HazardError(
                        f"A frame overwrites what stays: {label(line.stream, int(t.instruction[at]), name, line)} "
                        f"writes byte {byte:#x} of {SPACES[t.space[at]]}, which "
                        f"{label(line.stream, int(t.instruction[other]), name, line)} wrote for all frames."
                    )
