"""Frames spelled out: the straight line that a prologue and so many bodies are.

Everything that knows straight lines (clock, proof, sanitizer) knows frames by it. The law is docs/machine.md's: a wait
in frame t is met t·B counts later than in frame 0, where B is the number of instructions that the queue waited for has
in the body, and completions are counted from B on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine.encoding import Stream
from sim.machine.errors import ProgramError
from sim.machine.frames import Frames
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import Ints, Order, order

PORTS = ("load", "store")
"""The instructions whose DRAM addresses take turns."""


@dataclass(frozen=True, eq=False)
class FrameOrder(Order):
    """Queues of a text that is spelled out frame by frame.

    ``text`` int64[n] is the instruction of the text that each one is, ``frame`` int64[n] its frame, −1 in the prologue.
    """

    text: Ints = None  # pyright: ignore[reportAssignmentType]
    frame: Ints = None  # pyright: ignore[reportAssignmentType]

    def describe(self, index: int) -> str:
        """``instruction 7 of layer 'stem' in frame 2 (conv …)``."""
        said = super().describe(index).replace(f"instruction {index}", f"instruction {int(self.text[index])}", 1)
        frame = int(self.frame[index])
        where = f" in frame {frame}" if frame >= 0 else " in the prologue"
        head, bracket, rest = said.partition(" (")
        return f"{head}{where}{bracket}{rest}"


def check(stream: Stream, frames: Frames) -> None:
    """ProgramError when a text of these instructions cannot repeat so, whatever they do.

    Frames run in the order of their text, so nothing waits for what stands below it, and a text names the half of the
    window that even frames see.
    """
    if frames.prologue > len(stream):
        raise ProgramError(
            f"The prologue has {frames.prologue} instructions and the whole text {len(stream)}; compile the model "
            "again."
        )
    pair = unrolled(stream, frames, 2, ports=False)
    counts = np.zeros_like(pair.waits)
    counts[np.arange(len(counts)), pair.queue] = 1
    counts = np.cumsum(counts, axis=0) - counts
    late = np.argwhere(pair.waits > counts)
    if len(late):
        index, queue = late[0].tolist()
        raise ProgramError(
            f"{pair.describe(index).capitalize()} waits for {int(pair.waits[index, queue])} instructions of the queue "
            f"{QUEUES[queue]}, and {int(counts[index, queue])} stand before it; frames run in the order of their text."
        )
    end = frames.window + frames.window_bytes
    for name in PORTS:
        dram = stream.tables[BY_NAME[name].opcode]["dram"].astype(np.int64)
        beyond = np.flatnonzero((dram >= end) & (dram < end + frames.window_bytes))
        if len(beyond):
            index = int(stream.indices(BY_NAME[name].opcode)[beyond[0]])
            raise ProgramError(
                f"Instruction {index}, {name}, names byte {int(dram[beyond[0]]):#x} of DRAM, where the ports of odd "
                f"frames lie; a text names those of even ones, from {frames.window:#x} on."
            )


def per_frame(text: Order, frames: Frames) -> Ints:
    """int64[5]: instructions of each queue in the body."""
    return np.bincount(text.queue[frames.prologue :], minlength=len(QUEUES))


def unrolled(
    stream: Stream, frames: Frames, count: int, layers: tuple[str, ...] = (), *, ports: bool = True
) -> FrameOrder:
    """The straight line that prologue and ``count`` bodies are, its waits counted from the first instruction.

    ``layers`` names the layer of each instruction of the text. With ``ports`` the addresses of odd frames are those of
    the upper half; without, every frame names the lower one.
    """
    body = order(stream)
    n, head = len(stream), frames.prologue
    text = np.concatenate([np.arange(head), np.tile(np.arange(head, n), count)])
    frame = np.concatenate([np.full(head, -1), np.repeat(np.arange(count), n - head)])
    each = per_frame(body, frames)
    queue = body.queue[text]
    # Counted from B on; nothing to wait for remains where that is before the program.
    shift = (np.maximum(frame, 0)[:, None] - 1) * each[None, :]
    waits = np.where(body.waits[text] > 0, np.maximum(0, body.waits[text] + shift), 0)
    members = tuple(np.flatnonzero(queue == number) for number in range(len(QUEUES)))
    position = np.zeros(len(text), np.int64)
    for member in members:
        position[member] = np.arange(len(member))
    line = _line(stream, frames, text, frame if ports else np.zeros_like(frame))
    return FrameOrder(
        line, queue, position, waits, members, tuple(layers[i] for i in text.tolist()) if layers else (), text, frame
    )


def _line(stream: Stream, frames: Frames, text: Ints, frame: Ints) -> Stream:
    """The stream of the instructions ``text`` in their frames."""
    line = stream.only(text)
    for name in PORTS:
        opcode = BY_NAME[name].opcode
        line.tables[opcode]["dram"] = turned(line.tables[opcode]["dram"], frame[line.indices(opcode)], frames)
    return line


def turned(dram: npt.NDArray[np.uint32], frame: Ints | int, frames: Frames) -> npt.NDArray[np.uint32]:
    """Where addresses of loads and stores go in a frame."""
    inside = (dram >= frames.window) & (dram < frames.window + frames.window_bytes)
    return np.where(inside & (np.asarray(frame) % 2 == 1), dram + np.uint32(frames.window_bytes), dram)
