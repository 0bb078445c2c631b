"""When things are needed in a plan: the lives of rooms, and the first work that reads what a load brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from passes.planner.rooms import Load, Room
from passes.planner.works import ConvPass, LoadImage, Move, Vector, Work

Life = tuple[int, int]
"""First and last work of a plan that touch a room, by position."""


@dataclass
class Arrival:
    """A load while the plan is made. A stripe of a spilled tensor comes for the work that ``opens`` its step, and
    stands behind those in ``after``: the store of its rows, and what opened the step before."""

    load: Load
    opens: Work | None = None
    after: list[Work] = field(default_factory=list)


def lives_of(works: Sequence[Work]) -> dict[Room, Life]:
    """Between which works each room is touched, views as what they view, in order of first use."""
    lives: dict[Room, Life] = {}
    for position, work in enumerate(works):
        for room in work.rooms:
            root = room.root
            lives[root] = (lives[root][0] if root in lives else position, position)
    return lives


def settled(works: Sequence[Work], arrivals: Sequence[Arrival]) -> list[Load]:
    """The loads in order of need, each with the works between which it may stand; what nobody reads is left out."""
    readers: dict[Room, list[int]] = {}
    positions = {work: position for position, work in enumerate(works)}
    for position, work in enumerate(works):
        for room in work.rooms:
            readers.setdefault(room.root, []).append(position)
    loads: list[Load] = []
    for arrival in arrivals:
        load, earliest = arrival.load, 0
        if arrival.opens is not None:
            need = positions[arrival.opens]
            earliest = max((positions[work] + 1 for work in arrival.after), default=0)
        else:
            need = _first_reader(works, load, readers.get(load.room.root, []))
        if need >= 0:
            layer = load.layer or (works[need].layer if len(load.sizes) == 3 else "")
            loads.append(dataclasses.replace(load, layer=layer, need=need, earliest=earliest))
    return sorted(loads, key=lambda load: load.need)


def _first_reader(works: Sequence[Work], load: Load, positions: Sequence[int]) -> int:
    """The first work that reads any row of the load, or writes beside it in its room; −1 if none does."""
    root, first = load.room.root, load.rows[0]
    for position in positions:
        work = works[position]
        if isinstance(work, LoadImage) or (isinstance(work, ConvPass | Vector | Move) and work.output.root is root):
            return position
        # A tile beside the image reads nothing, but names the room.
        if any(room.root is root and (room is not root or max(1, rows[1]) > first) for room, rows in work.reads):
            return position
    return positions[-1] if positions else -1


def loaded_rooms(loads: Sequence[Load]) -> Mapping[Room, None]:
    """The rooms that a load, rather than a work, writes first."""
    return dict.fromkeys(load.room.root for load in loads)
