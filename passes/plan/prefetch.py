"""When each constant is loaded: in the order of need, as early as the channel and room allow.

The load queue is in order and also brings configuration images, each of which must wait until the slot it overwrites
has been left. A load that stood too early in the text would hold up the image behind it, so the text follows the
clock: reading the plan from top to bottom, a load is placed as soon as the channel would otherwise be idle before the
array gets to the next item, if there is room for what it brings from here to its last reader. Because hardware waits
only for real conflicts, this keeps the channel busy with what is needed next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from passes.plan.blocks import Item, Room, Transfer, rooms_of
from passes.plan.pace import Pace
from sim.errors import ReconError
from sim.machine import Machine


class DoesNotFit(ReconError):
    """The plan needs more SRAM than there is at some item."""

    def __init__(self, message: str, position: int, demand: int):
        super().__init__(message)
        self.position = position
        self.demand = demand


def prefetch(machine: Machine, items: Sequence[Item], transfers: Sequence[Transfer], capacity: int) -> int:
    """Give every transfer its position (the item before which it stands); returns the cycles the plan should take.

    ``transfers`` come in order of need, ``capacity`` is in bytes. Rooms that transfers fill start to live at their
    first transfer. Raises DoesNotFit, naming the item and the rooms alive there, when even loading everything at the
    last moment needs more.
    """
    usage = np.zeros(len(items) + 1, np.int64)
    rooms: dict[Room, None] = {}
    for item in items:
        for room in rooms_of(item):
            rooms[room.root] = None
    for room in rooms:
        if not room.loaded:
            usage[room.first : room.last + 1] += room.bytes
    placed: set[Room] = set()
    pace = Pace(machine, items)
    crowded = False
    upcoming = 0
    for position, item in enumerate(items):
        while upcoming < len(transfers):
            transfer = transfers[upcoming]
            due = transfer.need <= position
            if not due and (pace.channel > pace.array or transfer.earliest > position):
                break
            room = transfer.room.root
            if room not in placed:
                demand = usage[position : room.last + 1] + room.bytes
                if demand.max() > capacity:
                    if due:
                        tight = position + int(demand.argmax())
                        message = _message(items, rooms, placed, room, tight, capacity)
                        raise DoesNotFit(message, tight, int(demand.max()))
                    crowded = True
                    break
                room.first = position
                usage[position : room.last + 1] += room.bytes
                placed.add(room)
            transfer.position = position
            pace.load(transfer, pace.array if crowded else 0)
            crowded = False
            upcoming += 1
        pace.do(position, item)
    return pace.finished


def _message(
    items: Sequence[Item], rooms: dict[Room, None], placed: set[Room], room: Room, position: int, capacity: int
) -> str:
    alive = [r for r in rooms if r.first <= position <= r.last and (not r.loaded or r in placed or r is room)]
    alive.sort(key=lambda r: -r.bytes)
    demand = sum(r.bytes for r in alive)
    listed = ", ".join(f"{r.name} {r.bytes:,}" for r in alive[:6])
    return (
        f"Layer {items[position].layer} does not fit in SRAM: it needs {demand:,} bytes at once and there are "
        f"{capacity:,} ({demand - capacity:,} too many). The largest buffers are {listed} bytes. "
        "A machine with more SRAM, or a smaller input, would help."
    )
