"""A layout for frames in a row: loads may come in the frame before, and rooms lie around the clock.

The load queue is in order and never stops at the border of a frame, so what stands first in the text may come while the
last works of the frame before are done, if its room is free by then. The reading is that of ``prefetch``, over a few
frames: a load is placed as soon as the channel would otherwise be idle, if there is room from there to its last reader.
In the last of these frames all has found its rhythm. Lives are then arcs around the frame, and addresses are found for
all of them at once: rooms that are alive at the same moment of a frame, whichever frame's they are, never meet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from passes.planner.pace import Pace
from passes.planner.prefetch import Cost, Layout
from passes.planner.refusals import DoesNotFit
from passes.planner.rooms import Load, Room
from passes.planner.schedule import Schedule
from passes.planner.tuning import FILLED, SLACKS
from passes.planner.works import LoadImage
from sim.machine.description import Machine

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

    ``cost.cycles`` are those of one frame in the rhythm. Bytes that fit together may leave no addresses for all, so
    less and less of what is left is filled until there are some. Raises DoesNotFit when a load that is due finds no
    room, or no addresses are found.
    """
    capacity = machine.sram.bytes - sum(room.bytes for room in stays)
    failure: DoesNotFit | None = None
    for share in FILLED:
        try:
            return _filled(machine, schedule, stays, capacity, capacity * share // 100, horizon)
        except DoesNotFit as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _filled(
    machine: Machine, schedule: Schedule, stays: Mapping[Room, int], capacity: int, filled: int, horizon: int
) -> Layout:
    """The layout with at most ``filled`` bytes of ``capacity`` taken at once."""
    loads = [load for load in schedule.loads if load.room.root not in stays]
    lives = {room: life for room, life in schedule.lives.items() if room not in stays}
    reading = _Reading(machine, dataclasses.replace(schedule, lives=lives), loads, filled, horizon)
    cycles, births = reading.read()
    firsts: dict[Room, int] = {}
    for load, birth in zip(loads, births, strict=True):
        firsts.setdefault(load.room.root, birth)
    arcs = [Arc(room, firsts.get(room, first), last) for room, (first, last) in lives.items()]
    addresses = _addresses(arcs, set(firsts), len(schedule.works), capacity)
    text = {arc.room: (max(0, arc.first), arc.last) for arc in arcs}
    positions = tuple(max(0, birth) for birth in births)
    cost = Cost(cycles, reading.pace.moved // FRAMES, reading.pace.streamed // FRAMES, reading.crowded)
    return Layout({**addresses, **stays}, text, positions, cost, frozenset(stays))


class _Reading:
    """Frames read from top to bottom, counting bytes of SRAM."""

    def __init__(self, machine: Machine, schedule: Schedule, loads: Sequence[Load], capacity: int, horizon: int):
        self.works, self.loads, self.lives = schedule.works, loads, schedule.lives
        self.capacity, self.horizon = capacity, horizon
        self.size = len(schedule.works)
        self.pace = Pace(machine, self.works * FRAMES)
        self.crowded = False
        loaded = {load.room.root for load in loads}
        once = np.zeros(self.size, np.int64)
        for room, (first, last) in self.lives.items():
            if room not in loaded:
                once[first : last + 1] += room.bytes
        self.usage = np.tile(once, FRAMES + 1)
        # The queue is in order: what comes for the next frame stands behind this one's last image.
        self.opens = max((at + 1 for at, work in enumerate(self.works) if isinstance(work, LoadImage)), default=0)
        self.placed: dict[tuple[Room, int], None] = {}
        self.arrivals: list[tuple[Room, tuple[int, int, int]]] = []

    def read(self) -> tuple[int, list[int]]:
        """Cycles of a frame, and the position of every load (below 0: in the frame before)."""
        count, size, pace = len(self.loads), self.size, self.pace
        births = np.zeros(count * FRAMES, np.int64)
        finished: list[int] = []
        done = 0
        for position, work in enumerate(self.works * FRAMES):
            if position % size == 0:
                finished.append(self._clock())
                self._forget(position // size * count)
            while done < count * FRAMES and self._comes(done, position):
                births[done] = position
                load = self.loads[done % count]
                pace.load(load)
                self.arrivals.append((load.room.root, pace.arrived[load.room.root][-1]))
                done += 1
            pace.do(position, work)
        finished.append(self._clock())
        last = FRAMES - 1
        return finished[-1] - finished[-2], (births[last * count :] - last * size).tolist()

    def _clock(self) -> int:
        return max(self.pace.array, self.pace.vector)

    def _forget(self, before: int) -> None:
        """Drop what only earlier frames read: all but what has come for this one."""
        self.pace.made.clear()
        self.pace.arrived.clear()
        for room, entry in self.arrivals[before:]:
            self.pace.arrived.setdefault(room, []).append(entry)

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
            self.crowded = True
        return fits


def _addresses(arcs: Sequence[Arc], loaded: Set[Room], size: int, capacity: int) -> Mapping[Room, int]:
    """Addresses in [0, capacity), found with as much slack as there is room for; DoesNotFit if there are none."""
    for part in SLACKS:
        slack = size // part if part else 0
        wide = [
            Arc(arc.room, max(arc.first - slack, arc.last - size + 1), arc.last) if arc.room in loaded else arc
            for arc in arcs
        ]
        for order in (_area, _bytes, _birth):
            found = _placed(sorted(wide, key=order), size, capacity)
            if found is not None:
                return found
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


def _placed(arcs: Sequence[Arc], size: int, capacity: int) -> Mapping[Room, int] | None:
    """Each arc in turn at the lowest address where it meets none that is alive when it is; None if one finds none."""
    first, length, start, end = np.zeros((4, len(arcs)), np.int64)
    for index, arc in enumerate(arcs):
        begin, long = arc.first % size, arc.last - arc.first + 1
        meets = ((begin - first[:index]) % size < length[:index]) | ((first[:index] - begin) % size < long)
        alive = np.flatnonzero(meets)
        order = alive[np.argsort(start[alive], kind="stable")]
        reach = np.maximum.accumulate(end[order]) if len(order) else order
        lower, upper = np.concatenate(([0], reach)), np.concatenate((start[order], [capacity]))
        fitting = np.flatnonzero(upper - lower >= arc.room.bytes)
        if not len(fitting):
            return None
        address = int(lower[fitting[0]])
        first[index], length[index], start[index], end[index] = begin, long, address, address + arc.room.bytes
    return {arc.room: int(address) for arc, address in zip(arcs, start, strict=True)}
