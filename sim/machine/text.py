"""The text of a program and the instruction memory: held whole, or fetched piece by piece while the program runs.

A text that the memory holds is there when the model is loaded. Any other lies in DRAM, and the sequencer fetches it in
order, ``instruction_memory.fetch`` bytes at a time, into a memory that is a ring of such pieces. The manual's section
on order has the law; ``clock`` runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine import laws
from sim.machine.description import Machine
from sim.machine.encoding import Stream, layout
from sim.machine.isa import BY_OPCODE

Ints = npt.NDArray[np.int64]

AHEAD = 8
"""A piece is fetched once the first instruction of the piece so many before it has started."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """A text of n instructions in m pieces: ``since`` and ``until`` int64[n] are the pieces with an instruction's first
    and last byte, ``first`` int64[m] the first instruction that begins in a piece or reaches into it; ``bytes``,
    ``bursts`` and ``busy`` int64[m] what the channel carries and how long. ``window`` pieces are in memory at once."""

    since: Ints
    until: Ints
    first: Ints
    bytes: Ints
    bursts: Ints
    busy: Ints
    window: int


def pieces(machine: Machine, stream: Stream) -> Pieces:
    """The pieces of a text; it begins at a whole burst, and so does every fetch of whole bursts."""
    memory, burst = machine.instruction_memory, machine.dram.burst
    sizes = np.zeros(256, np.int64)
    for opcode in BY_OPCODE:
        sizes[opcode] = layout(opcode).itemsize
    ends = np.cumsum(sizes[stream.opcodes])
    begins = ends - sizes[stream.opcodes]
    total = int(ends[-1]) if len(ends) else 0
    starts = np.arange(0, total, memory.fetch, dtype=np.int64)
    stops = np.minimum(starts + memory.fetch, total)
    bursts = (stops - 1) // burst - starts // burst + 1
    return Pieces(
        since=begins // memory.fetch,
        until=(ends - 1) // memory.fetch,
        first=np.searchsorted(ends, starts, side="right"),
        bytes=stops - starts,
        bursts=bursts,
        busy=laws.channel(machine, 1, bursts),
        window=memory.bytes // memory.fetch,
    )
