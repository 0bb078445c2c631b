"""A layout for frames in a row: loads may come in the frame before, and rooms lie around the clock.

The load queue is in order and never stops at the border of a frame, so what stands first in the text may come while the
last works of the frame before are done, if its room is free by then. The reading is that of ``prefetch``, over a few
frames: a load is placed as soon as the channel would otherwise be idle, if there is room from there to its last reader.
In the last of these frames all has found its rhythm. Lives are then arcs around the frame, and addresses are found for
all of them at once: rooms that are alive at the same moment of a frame, whichever frame's they are, never meet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passes.planner.pace import Pace
from passes.planner.prefetch import Cost, Layout
from passes.planner.refusals import DoesNotFit
from passes.planner.rooms import Load, Room
from passes.planner.schedule import Schedule
from passes.planner.works import LoadImage
from sim.machine.description import Machine

Ints = npt.NDArray[np.int64]

FRAMES = 3
"""Frames that are read; the last but one is taken."""


@dataclass(frozen=True)
class Arc:
    """A room's life around a frame of ``size`` works: from ``first`` (below 0: in the frame before) to ``last``."""

    room: Room
    first: int
    last: int


def around(machine: Machine, schedule: Schedule, stays: Mapping[Room, int], horizon: int = 1 << 30) -> Layout:
    """A layout of a schedule whose frames follow each other; ``stays`` are the addresses of the rooms that stay.

    ``cost.cycles`` are those of one frame in the rhythm. Bytes that fit together may leave no addresses for all where
    they come as early as that; a load for which there are none then comes later, and the frames are read once more.
    Raises DoesNotFit when a load that is due finds no room, or no addresses are found.
    """
    capacity = machine.sram.bytes - sum(room.bytes for room in stays)
    loads = [load for load in schedule.loads if load.room.root not in stays]
    lives = {room: life for room, life in schedule.lives.items() if room not in stays}
    inner = dataclasses.replace(schedule, lives=lives)
    reading = _Reading(machine, inner, loads, capacity, horizon)
    cycles, births = reading.read()
    firsts: dict[Room, int] = {}
    needs: dict[Room, int] = {}
    for load, birth in zip(loads, births, strict=True):
        firsts.setdefault(load.room.root, birth)
        needs.setdefault(load.room.root, load.need)
    made = [Arc(room, *life) for room, life in lives.items() if room not in firsts]
    loaded = [Arc(room, first, lives[room][1]) for room, first in firsts.items()]
    addresses, later = _addresses(made, loaded, needs, len(schedule.works), capacity)
    if later != loaded:
        firsts = {arc.room: arc.first for arc in later}
        births = np.maximum.accumulate(
            [max(b, firsts[y.room.root]) for y, b in zip(loads, births, strict=True)]
        ).tolist()
        reading = _Reading(machine, inner, loads, capacity, horizon)
        cycles, births = reading.read(births)
    text = {arc.room: (max(0, arc.first), arc.last) for arc in (*made, *later)}
    positions = tuple(max(0, birth) for birth in births)
    cost = Cost(cycles, reading.pace.moved // FRAMES, reading.pace.streamed // FRAMES, reading.refused >= 0)
    return Layout({**addresses, **stays}, text, positions, cost, frozenset(stays))


class _Reading:
    """Frames read from top to bottom, counting bytes of SRAM."""

    def __init__(self, machine: Machine, schedule: Schedule, loads: Sequence[Load], capacity: int, horizon: int):
        self.works, self.loads, self.lives = schedule.works, loads, schedule.lives
        self.capacity, self.horizon = capacity, horizon
        self.size = len(schedule.works)
        self.pace = Pace(machine, schedule.works, FRAMES)
        self.refused = -1
        """The last load for which there was no room."""
        loaded = {load.room.root for load in loads}
        once = np.zeros(self.size, np.int64)
        for room, (first, last) in self.lives.items():
            if room not in loaded:
                once[first : last + 1] += room.bytes
        self.usage = np.tile(once, FRAMES + 1)
        # The queue is in order: what comes for the next frame stands behind this one's last image.
        self.opens = max((at + 1 for at, work in enumerate(self.works) if isinstance(work, LoadImage)), default=0)
        self.placed: dict[tuple[Room, int], None] = {}
        self.arrivals: list[tuple[Load, int]] = []

    def read(self, given: Sequence[int] = ()) -> tuple[int, list[int]]:
        """Cycles of a frame, and the position of every load (below 0: in the frame before), where it is not given."""
        count, size, pace = len(self.loads), self.size, self.pace
        births = np.zeros(count * FRAMES, np.int64)
        finished: list[int] = []
        done = 0
        for position, work in enumerate(self.works * FRAMES):
            if position % size == 0:
                finished.append(self._clock())
                self._forget(position // size * count)
            while done < count * FRAMES and self._stands(done, position, given):
                births[done] = position
                load = self.loads[done % count]
                # What found no room before waits for what left it now.
                pace.load(load, int(pace.finished_at[position - 1]) if done == self.refused else 0)
                self.arrivals.append((load, pace.arrives))
                done += 1
            pace.do(position, work)
        finished.append(self._clock())
        last = FRAMES - 1
        return finished[-1] - finished[-2], (births[last * count :] - last * size).tolist()

    def _clock(self) -> int:
        return max(self.pace.array, self.pace.vector)

    def _forget(self, before: int) -> None:
        """Drop what only earlier frames read: all but what has come for this one."""
        self.pace.written.clear()
        for load, when in self.arrivals[before:]:
            self.pace.wrote(load.room, load.rows, when, "channel")

    def _stands(self, index: int, position: int, given: Sequence[int]) -> bool:
        """Whether a load stands before the work at this position: where it is said, or where it may come."""
        if not given:
            return self._comes(index, position)
        frame, load = divmod(index, len(self.loads))
        if given[load] + frame * self.size > position:
            self.refused = index
            return False
        return True

    def _comes(self, index: int, position: int) -> bool:
        """Whether a load stands before the work at this position; DoesNotFit if it must and finds no room."""
        frame, load = index // len(self.loads), self.loads[index % len(self.loads)]
        begins = frame * self.size
        due = load.need + begins <= position
        if not due:
            earliest = begins + load.earliest if load.earliest else begins - self.size + self.opens
            far = load.need + begins > position + self.horizon
            if far or earliest > position or self.pace.channel > self.pace.array:
                return False
        room = load.room.root
        if (room, frame) in self.placed:
            return True
        last = self.lives[room][1] + begins
        life = slice(position, last + 1)
        fits = last - position < self.size and int(self.usage[life].max(initial=0)) + room.bytes <= self.capacity
        if fits:
            self.usage[life] += room.bytes
            self.placed[room, frame] = None
        elif due:
            raise DoesNotFit(
                f"Layer {load.layer} does not fit in SRAM beside what stays: {room.name} takes {room.bytes:,} bytes of "
                f"the {self.capacity:,} that are left.",
                room.bytes,
            )
        else:
            self.refused = index
        return fits


class _Circle:
    """Addresses on the circle of a frame's works: arcs that share a moment of it never meet."""

    def __init__(self, count: int, size: int, capacity: int):
        self.size, self.capacity = size, capacity
        self.first, self.length, self.start, self.end = np.zeros((4, count), np.int64)
        self.rooms: list[Room] = []

    def gaps(self, arc: Arc) -> tuple[Ints, Ints]:
        """Free stretches [from, to) of addresses all along an arc that are long enough for its room, lowest first."""
        placed = slice(0, len(self.rooms))
        begin, long = arc.first % self.size, arc.last - arc.first + 1
        meets = (begin - self.first[placed]) % self.size < self.length[placed]
        meets |= (self.first[placed] - begin) % self.size < long
        alive = np.flatnonzero(meets)
        order = alive[np.argsort(self.start[alive], kind="stable")]
        reach = np.maximum.accumulate(self.end[order]) if len(order) else order
        lower, upper = np.concatenate(([0], reach)), np.concatenate((self.start[order], [self.capacity]))
        fitting = upper - lower >= arc.room.bytes
        return lower[fitting], upper[fitting]

    def ends(self, arc: Arc, until: int) -> Ints:
        """The moments behind the beginning of an arc, up to another, at which a room's life is over, in order."""
        placed = slice(0, len(self.rooms))
        after = (self.first[placed] + self.length[placed] - arc.first) % self.size
        return np.unique(after[(after > 0) & (after <= until - arc.first)]) + arc.first

    def put(self, arc: Arc, address: int) -> None:
        count = len(self.rooms)
        self.first[count], self.length[count] = arc.first % self.size, arc.last - arc.first + 1
        self.start[count], self.end[count] = address, address + arc.room.bytes
        self.rooms.append(arc.room)

    @property
    def addresses(self) -> dict[Room, int]:
        return dict(zip(self.rooms, self.start.tolist(), strict=False))


def _addresses(
    made: Sequence[Arc], loaded: Sequence[Arc], needs: Mapping[Room, int], size: int, capacity: int
) -> tuple[dict[Room, int], list[Arc]]:
    """Addresses in [0, capacity) for what works make and for what is loaded, and the lives of the latter, in the order
    of the load queue; DoesNotFit if there are none."""
    for order in (_area, _bytes, _birth):
        circle = _Circle(len(made) + len(loaded), size, capacity)
        if all(_low(circle, arc) for arc in sorted(made, key=order)):
            found = _around(circle, loaded, needs)
            if found is not None:
                return circle.addresses, found
    raise DoesNotFit(
        f"The plan's buffers fit the {capacity:,} bytes of SRAM at every moment of a frame, but no addresses were "
        "found for them all.",
        0,
    )


def _area(arc: Arc) -> int:
    return -arc.room.bytes * (arc.last - arc.first + 1)


def _bytes(arc: Arc) -> int:
    return -arc.room.bytes


def _birth(arc: Arc) -> int:
    return arc.first


def _low(circle: _Circle, arc: Arc) -> bool:
    """Place an arc as low as it fits."""
    lower, _ = circle.gaps(arc)
    if len(lower):
        circle.put(arc, int(lower[0]))
    return len(lower) > 0


def _around(circle: _Circle, loaded: Sequence[Arc], needs: Mapping[Room, int]) -> list[Arc] | None:
    """Place what is loaded, each behind the one before, so that it comes where what was there has been dead longest;
    one that finds no gap comes later. None if there is no gap even when it is needed."""
    found: list[Arc] = []
    rover = least = 0
    for number, arc in enumerate(loaded):
        arc = dataclasses.replace(arc, first=max(arc.first, least)) if number else arc
        for first in (arc.first, *circle.ends(arc, needs[arc.room]).tolist()):
            arc = dataclasses.replace(arc, first=first)
            lower, upper = circle.gaps(arc)
            if len(lower):
                break
        else:
            return None
        behind = np.flatnonzero(upper >= rover + arc.room.bytes)
        address = max(int(lower[behind[0]]), rover) if len(behind) else int(lower[0])
        circle.put(arc, address)
        found.append(arc)
        rover, least = address + arc.room.bytes, arc.first
    return found
