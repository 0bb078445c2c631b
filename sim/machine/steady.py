"""The steady state of a segment with frames: when the clock repeats itself, and what a million frames take.

The clock runs over a few frames spelled out. Where every start, leave and completion of a frame is that of an earlier
one plus the same number of cycles, for more frames in a row than may be under way at once, all that decides what
happens next is the same as it was then, so everything later repeats: the state of queues, engines and channel is made
of these times alone. Frames near the end of the run do not count, because nothing follows them. From there on ``n``
frames take what fewer took plus whole periods, exactly; docs/machine.md has the argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from sim.machine import clock
from sim.machine.clock import Costs, Timeline
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.errors import Fault
from sim.machine.frame_order import FrameOrder, unrolled
from sim.machine.frames import Frames
from sim.machine.order import Ints

TRIED = (6, 12, 24, 48, 96, 192)
"""Frames that are spelled out, until the clock repeats itself among them."""

LONGEST = 6
"""Periods of so many frames are looked for."""


@dataclass(frozen=True, eq=False)
class Steady:
    """The rhythm of a segment: from frame ``first`` on every ``period`` frames take ``cycles``.

    ``line`` and ``timeline`` are a run of ``count`` frames in which that shows. ``latency`` are the cycles from the
    first start to the last completion of frame ``first`` (the longest of a period).
    """

    machine: Machine
    stream: Stream
    frames: Frames
    first: int
    period: int
    cycles: int
    latency: int
    count: int
    line: FrameOrder
    timeline: Timeline
    costs: Costs
    known: dict[int, int] = field(default_factory=dict)

    @property
    def per_frame(self) -> Fraction:
        """Cycles of a frame in the steady state."""
        return Fraction(self.cycles, self.period)

    @property
    def edges(self) -> int:
        """Cycles that are no frame's: ``total(n)`` is this and n frames, for n from ``count`` on."""
        return self.total(self.count) - self.count * self.cycles // self.period

    @property
    def epilogue(self) -> int:
        """The part of the edges at the end: what the last frame is under way beyond its own share."""
        return max(0, min(self.latency - -(-self.cycles // self.period), self.edges))

    @property
    def prologue(self) -> int:
        """The part of the edges before the frames have their rhythm; below 0 if the first ones are faster."""
        return self.edges - self.epilogue

    @property
    def begins(self) -> int:
        """The cycle in which frame ``first`` begins: its first start."""
        return int(self.timeline.start[self.line.frame == self.first].min())

    def total(self, count: int) -> int:
        """Cycles of ``count`` frames with their prologue, from the start to the last completion."""
        if count > self.count:
            periods = -(-(count - self.count) // self.period)
            return self.total(count - periods * self.period) + periods * self.cycles
        if count not in self.known:
            whole = count == self.count
            self.known[count] = self.timeline.cycles if whole else self.run(count)[1].cycles
        return self.known[count]

    def run(self, count: int) -> tuple[FrameOrder, Timeline]:
        """So many frames spelled out, and when each instruction runs."""
        return run(self.machine, self.stream, self.frames, count, self.costs)


def run(
    machine: Machine, stream: Stream, frames: Frames, count: int, costs: Costs, layers: tuple[str, ...] = ()
) -> tuple[FrameOrder, Timeline]:
    """So many frames spelled out, and when each instruction runs; ``costs`` are those of the text.

    What an instruction asks for is the same in every frame, since each fills before it multiplies, and the two halves
    of the window lie alike to bursts.
    """
    line = unrolled(stream, frames, count, layers)
    return line, clock.run(machine, line.stream, queues=line, cost=costs.only(line.text))


def steady(machine: Machine, stream: Stream, frames: Frames, layers: tuple[str, ...] = ()) -> Steady:
    """The rhythm of a segment; Fault when a wait can never be met, or when no rhythm shows (a load without a reader
    may run ahead for ever)."""
    costs = clock.costs(machine, unrolled(stream, frames, 1, layers))
    for count in TRIED:
        line, timeline = run(machine, stream, frames, count, costs, layers)
        times = _times(line, timeline, count)
        found = _repeats(times)
        if found is not None:
            first, period = found
            begins, ends = times[:, :, 0].min(axis=1), times[:, :, 2].max(axis=1)
            cycles = int(times[first + period, 0, 0] - times[first, 0, 0])
            latency = int((ends - begins)[first : first + period].max())
            return Steady(machine, stream, frames, first, period, cycles, latency, count, line, timeline, costs)
    raise Fault(
        f"The frames of this program find no rhythm within {TRIED[-1]}: something in it runs ahead of all that could "
        "hold it."
    )


def _times(line: FrameOrder, timeline: Timeline, count: int) -> Ints:
    """int64[frames, instructions, 3]: start, leave and completion of the body's instructions."""
    body = line.frame >= 0
    columns = np.stack([timeline.start[body], timeline.leave[body], timeline.end[body]], axis=1)
    return columns.reshape(count, -1, 3)


def _repeats(times: Ints) -> tuple[int, int] | None:
    """The first frame from which on the clock repeats, and after how many frames; None if it does not show."""
    count, size = times.shape[:2]
    if size == 0:
        return None
    begins, ends = times[:, :, 0].min(axis=1), times[:, :, 2].max(axis=1)
    # Frames under way together: those that begin before the first of them ends.
    together = max(int((begins[frame:] < ends[frame]).sum()) for frame in range(count))
    last = count - together
    for period in range(1, min(LONGEST, last - 1) + 1):
        moved = times[period:last] - times[: last - period]
        if len(moved) < together + period:
            continue
        same = (moved == moved[-1, 0, 0]).reshape(len(moved), -1).all(axis=1)
        first = len(same) - int(np.argmin(same[::-1])) if not same.all() else 0
        if len(same) - first >= together + period:
            return first, period
    return None
