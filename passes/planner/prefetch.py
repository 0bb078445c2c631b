"""When each constant is loaded: in the order of need, as early as the channel and room allow.

The load queue is in order and also brings configuration images, each of which must wait until the slot it overwrites
has been left. A load that stood too early in the text would hold up the image behind it, so the text follows the
clock: reading the plan from top to bottom, a load is placed as soon as the channel would otherwise be idle before the
array gets to the next work, if there is room for what it brings from here to its last reader. Because hardware waits
only for real conflicts, this keeps the channel busy with what is needed next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passes.planner.lives import Life
from passes.planner.pace import Pace
from passes.planner.refusals import DoesNotFit
from passes.planner.rooms import Load, Room
from passes.planner.schedule import Schedule
from passes.planner.space import Space, Stay, Tally
from passes.planner.works import ConvPass, Fill, LoadImage, Move, Use, Vector, Work
from sim.machine.description import Machine

FAR = 1 << 30
"""A horizon beyond any plan."""


@dataclass(frozen=True)
class Effort:
    """How a schedule is laid out: how many works ahead of its first reader a load may come, which keeps SRAM free of
    what is not needed soon; whether addresses are found at the end (``tight``, see ``Tally``); whether what the vector
    unit writes keeps clear of the space that the layer before it still reads; and whether a load may come ahead of its
    layer at all."""

    horizon: int = FAR
    tight: bool = False
    clear: bool = False
    ahead: bool = True


@dataclass(frozen=True)
class Cost:
    """What a plan should take: cycles, bytes over the DRAM channel, bytes over the SRAM streams.

    ``crowded`` says whether any load had to wait for room.
    """

    cycles: int
    dram_bytes: int
    sram_bytes: int
    crowded: bool

    def per(self, images: int) -> Cost:
        """What one of so many images costs."""
        cycles, dram, sram = (-(-each // images) for each in (self.cycles, self.dram_bytes, self.sram_bytes))
        return Cost(cycles, dram, sram, self.crowded)


@dataclass(frozen=True)
class Layout:
    """Where and when, for one schedule: addresses and lives of rooms, for every load the work before which it stands,
    and what it should cost.

    ``stays`` are the rooms whose loads are done once, before the first of many frames; they have no life and their
    loads no position. None for a plan that does not repeat.
    """

    addresses: Mapping[Room, int]
    lives: Mapping[Room, Life]
    positions: tuple[int, ...]
    cost: Cost
    stays: frozenset[Room] | None = None


def prefetch(machine: Machine, schedule: Schedule, effort: Effort = Effort()) -> Layout:
    """A layout of a schedule; rooms that loads fill start to live at their first load.

    Raises DoesNotFit, naming the work and the rooms alive there, when a load that is due finds no room.
    """
    return _Prefetch(machine, schedule, effort).layout()


class _Prefetch:
    """One reading of a schedule from top to bottom."""

    def __init__(self, machine: Machine, schedule: Schedule, effort: Effort):
        self.schedule = schedule
        self.effort = effort
        self.capacity = machine.sram.bytes
        self.lives = dict(schedule.lives)
        self.loaded = {load.room.root for load in schedule.loads}
        self.ready: dict[Room, int] = {}
        """Rooms that have their place, and the cycle from which on a load may write them."""
        self.space: Space = (
            Tally(self.capacity, len(schedule.works), self.lives) if effort.tight else Space(self.capacity)
        )
        self.pace = Pace(machine, schedule.works)
        self.waited = False
        self.images = _images(schedule.works)
        self.passes = _passes(schedule.works)

    def layout(self) -> Layout:
        works, loads = self.schedule.works, self.schedule.loads
        self._place_results()
        positions: list[int] = []
        for position, work in enumerate(works):
            while len(positions) < len(loads):
                load = loads[len(positions)]
                if not self._may_come(load, position) or not self._has_room(load, position):
                    break
                positions.append(position)
                self.pace.load(load, self.ready[load.room.root])
            self.pace.do(position, work)
        addresses = self.space.settle()
        if addresses is None:
            raise DoesNotFit(
                f"The plan's buffers fit the {self.capacity:,} bytes of SRAM at every moment, but no addresses were "
                "found for them all. A machine with more SRAM, or a smaller input, would help.",
                0,
            )
        pace = self.pace
        cost = Cost(pace.finished, pace.moved, pace.streamed, self.waited)
        return Layout(addresses, self.lives, tuple(positions), cost)

    def _place_results(self) -> None:
        """Rooms that works write, from above; all their lives are known."""
        clear = _clearances(self.schedule.works, self.lives) if self.effort.clear else {}
        stays = [Stay(room, *life, clear.get(room, 0)) for room, life in self.lives.items() if room not in self.loaded]
        lost = self.space.from_above(stays)
        if lost is not None:
            raise self._does_not_fit(lost.room, lost.first)

    def _may_come(self, load: Load, position: int) -> bool:
        """Whether a load should stand before the work at this position, if there is room for it."""
        if load.need <= position:
            return True
        if position in self.images:
            # What the next pass reads goes ahead of an image, what is read behind its use only while its slot is held.
            following, use = self.images[position]
            need = self.passes.get(load.need, load.need)
            if following < use and need <= following and load.earliest <= position and self.effort.ahead:
                return True
            if need > use and self.pace.channel + self.pace.busy_of(load) > self.pace.swapped:
                return False
        if self.pace.channel > self.pace.array or load.earliest > position:
            return False
        far = load.need > position + self.effort.horizon
        return not far and (self.effort.ahead or load.layer == self.schedule.works[position].layer)

    def _has_room(self, load: Load, position: int) -> bool:
        """Whether a load's room has its place, now or already; DoesNotFit if there is none and the load is due."""
        room = load.room.root
        if room not in self.ready:
            stay = Stay(room, position, self.lives[room][1])
            free = self.space.place(stay, self.pace.finished_at, self.pace.channel)
            self.lives[room] = (stay.first, stay.last)
            if free < 0:
                if load.need <= position:
                    raise self._does_not_fit(room, position)
                self.waited = True
                return False
            self.ready[room] = free
        return True

    def _does_not_fit(self, room: Room, position: int) -> DoesNotFit:
        alive = [
            other
            for other, (first, last) in self.lives.items()
            if other is room or (first <= position <= last and (other not in self.loaded or other in self.ready))
        ]
        alive.sort(key=lambda r: -r.bytes)
        demand, capacity = sum(r.bytes for r in alive), self.capacity
        listed = ", ".join(f"{r.name} {r.bytes:,}" for r in alive[:6])
        gap = f"{demand - capacity:,} too many" if demand > capacity else "enough in all, but not in one piece"
        layer = self.schedule.works[position].layer
        subject = f"Layer {layer}" if layer else "The plan"
        return DoesNotFit(
            f"{subject} does not fit in SRAM: it needs {demand:,} bytes at once and there are "
            f"{capacity:,} ({gap}). The largest buffers are {listed} bytes. "
            "A machine with more SRAM, or a smaller input, would help.",
            max(0, demand - capacity),
        )


def _images(works: Sequence[Work]) -> dict[int, tuple[int, int]]:
    """For the place of every configuration image the next pass, and the work that makes the image active."""
    found: dict[int, tuple[int, int]] = {}
    following = use = FAR
    for position in reversed(range(len(works))):
        match works[position]:
            case ConvPass():
                following = position
            case Use():
                use = position
            case LoadImage():
                found[position] = following, use
            case _:
                pass
    return found


def _passes(works: Sequence[Work]) -> dict[int, int]:
    """For the position of every fill that of the first pass over its weights."""
    fills = {work: position for position, work in enumerate(works) if isinstance(work, Fill)}
    found: dict[int, int] = {}
    for position, work in enumerate(works):
        if isinstance(work, ConvPass):
            found.setdefault(fills[work.half], position)
    return found


def _clearances(works: Sequence[Work], lives: Mapping[Room, Life]) -> dict[Room, int]:
    """For what a vector layer writes first: works of the layer before it, from whose beginning its room is kept."""
    clear: dict[Room, int] = {}
    begins = 0
    for position, work in enumerate(works):
        if position and work.layer != works[position - 1].layer:
            previous, begins = begins, position
            if isinstance(work, Vector | Move) and lives[work.output.root][0] == position:
                clear[work.output.root] = position - previous
    return clear
