"""Machine segments as they are shown: their instructions spelled out, when each ran, and which of them numbers count.

A segment that runs once is shown whole, and all of it counts. One whose text repeats is shown from its first cycle to
the end of the first frames that have found their rhythm, so that one sees how frames follow each other; what counts are
the frames of one period of it, as in the statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine.clock import Costs, Fetches, Timeline
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.order import Ints
from sim.machine.program import MachineSegment
from sim.machine.steady import Steady, steady
from sim.simulator import Run, SegmentRun

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Shown:
    """n instructions of a segment.

    ``text`` int64[n] is the instruction of the segment's text that each one is, ``frame`` int64[n] its frame (−1 in a
    prologue, 0 where nothing repeats), ``counted`` bool[n] whether numbers count it. Times are the clock's, in cycles
    from the segment's start; ``cause`` int64[n] is a place among these instructions (n + j: fetch j), ``critical``
    bool[n] whether it lies on the critical chain. ``buffers`` int64[b, 4] are those of the segment with places here for
    their first and last instruction, ``stays`` bool[b] those that stay from frame to frame. All that is shown lies in
    [0, ``cycles``).
    """

    segment: MachineSegment
    stream: Stream
    text_stream: Stream
    text: Ints
    frame: Ints
    counted: Bools
    start: Ints
    taken: Ints
    leave: Ints
    end: Ints
    cause: Ints
    critical: Bools
    costs: Costs
    fetches: Fetches
    buffers: Ints
    stays: Bools
    cycles: int
    period: int
    """Repetitions of the text that count; 0 where nothing repeats."""
    rhythm: int
    """Cycles that these take, one period after the other; 0 where nothing repeats."""

    def __len__(self) -> int:
        return len(self.text)

    @property
    def layer(self) -> Ints:
        """int64[n]: the layer of each instruction, a number of the layer table."""
        return self.segment.layer_of.astype(np.int64)[self.text]


def shown(machine: Machine, run: Run) -> tuple[Shown, ...]:
    """The machine segments of a run, in order."""
    return tuple(_once(part) if part.segment.frames is None else _repeated(machine, part) for part in run.segments)


def _once(part: SegmentRun) -> Shown:
    n, line = len(part.stream), part.timeline
    buffers = part.segment.buffers
    known = buffers[(buffers[:, 2:] < n).all(axis=1)]
    return Shown(
        segment=part.segment,
        stream=part.stream,
        text_stream=part.text,
        text=np.arange(n),
        frame=np.zeros(n, np.int64),
        counted=np.ones(n, np.bool_),
        start=line.start,
        taken=line.taken,
        leave=line.leave,
        end=line.end,
        cause=line.cause,
        critical=_critical(line),
        costs=line.costs,
        fetches=line.fetches,
        buffers=known,
        stays=np.zeros(len(known), np.bool_),
        cycles=line.cycles,
        period=0,
        rhythm=0,
    )


def _repeated(machine: Machine, part: SegmentRun) -> Shown:
    assert part.segment.frames is not None
    found = steady(machine, part.text, part.segment.frames)
    line, ran = found.line, found.timeline
    counted = (line.frame >= found.first) & (line.frame < found.first + found.period)
    until = int(ran.end[counted].max())
    kept = np.flatnonzero(ran.start < until)  # what a start waited for started before it: causes are kept as well
    place = np.full(len(ran.start) + 1, -1, np.int64)
    place[kept] = np.arange(len(kept))
    buffers, stays = _buffers(part.segment.buffers, found, kept)
    return Shown(
        segment=part.segment,
        stream=line.stream.only(kept),
        text_stream=part.text,
        text=line.text[kept],
        frame=line.frame[kept],
        counted=counted[kept],
        start=ran.start[kept],
        taken=ran.taken[kept],
        leave=ran.leave[kept],
        end=ran.end[kept],
        cause=place[ran.cause[kept]],
        critical=_critical(ran)[kept],
        costs=ran.costs.only(kept),
        fetches=ran.fetches,
        buffers=buffers,
        stays=stays,
        cycles=until,
        period=found.period,
        rhythm=found.cycles,
    )


def _critical(line: Timeline) -> Bools:
    critical = np.zeros(len(line.start), np.bool_)
    critical[[index for index, _, _ in line.critical() if index < len(critical)]] = True
    return critical


def _buffers(table: Ints, found: Steady, kept: Ints) -> tuple[Ints, Bools]:
    """Each frame's buffers, and those that the prologue fills once, with places among the instructions kept."""
    head, size = found.frames.prologue, len(found.stream)
    known = table[(table[:, 2:] < size).all(axis=1)]
    body = size - head
    last_frame = int(found.line.frame[kept].max(initial=-1))
    rows: list[tuple[int, int, int, int]] = []
    stays: list[bool] = []
    for address, length, first, last in known.tolist():
        frames = [0] if first < head else range(last_frame + 1)
        for frame in frames:
            begin = first if first < head else first + frame * body
            end = last if last < head else last + (last_frame if first < head else frame) * body
            # What is not shown any more begins after its end: the last instruction shown before it takes its place.
            low = int(np.searchsorted(kept, begin))
            high = int(np.searchsorted(kept, end, side="right")) - 1
            if low < len(kept) and kept[low] == begin:
                rows.append((address, length, low, high))
                stays.append(first < head <= last)
    return np.array(rows, np.int64).reshape(-1, 4), np.array(stays, np.bool_)
