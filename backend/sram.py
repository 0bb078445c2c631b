"""How full SRAM gets, and in how many pieces what is free then lies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dialects import accel
from sim.machine.program import SramUse


def buffer_table(program: accel.ProgramOp) -> npt.NDArray[np.int64]:
    """int64[b, 4]: address, bytes, first and last instruction of every buffer of a placed program, in its order."""
    rows = [(buffer.at, buffer.nbytes, first, last) for buffer, (first, last) in program.lifetimes().items()]
    return np.array(sorted(rows, key=lambda row: (row[2], row[0])), np.int64).reshape(-1, 4)


def sram_use(programs: Iterable[accel.ProgramOp], capacity: int) -> SramUse:
    """Of placed programs, the moment at which most bytes of ``capacity`` are taken."""
    fullest = SramUse(0, capacity, capacity)
    for program in programs:
        lives = program.lifetimes()
        changes = sorted(
            [(first, buffer.nbytes) for buffer, (first, _) in lives.items()]
            + [(last + 1, -buffer.nbytes) for buffer, (_, last) in lives.items()]
        )
        taken, most, moment = 0, 0, 0
        for time, change in changes:
            taken += change
            if taken > most:
                most, moment = taken, time
        if most > fullest.peak_bytes:
            alive = [b for b, (first, last) in lives.items() if first <= moment <= last]
            fullest = _at(alive, capacity)
    return fullest


def _at(alive: Iterable[accel.BufferOp], capacity: int) -> SramUse:
    spans = sorted((buffer.at, buffer.at + buffer.nbytes) for buffer in alive)
    reached, taken, largest = 0, 0, 0
    for start, end in [*spans, (capacity, capacity)]:
        largest = max(largest, start - reached)
        taken += max(0, end - max(start, reached))
        reached = max(reached, end)
    return SramUse(taken, capacity - taken, largest)
