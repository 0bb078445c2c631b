"""When each constant is loaded: as early as room and order allow.

The load queue is in order, so loads stand in the order of their first readers, and each as early in the text as the
rooms alive from there to its reader leave space for it. Because the text's order is the queue's order and hardware
waits only for real conflicts, this keeps the DRAM channel busy with what is needed next: while memory-hungry layers
work later, compute-hungry layers now.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.errors import ReconError

from passes.plan.blocks import Item, Room, Transfer, rooms_of


class DoesNotFit(ReconError):
    """The plan needs more SRAM than there is at some item."""

    def __init__(self, message: str, position: int, demand: int):
        super().__init__(message)
        self.position = position
        self.demand = demand


def prefetch(items: Sequence[Item], transfers: Sequence[Transfer], capacity: int) -> None:
    """Give every transfer its position: the item before which it stands.

    ``capacity`` in bytes. Rooms that transfers fill start to live at their first transfer. Raises DoesNotFit, naming
    the item and the rooms alive there, when even loading everything at the last moment needs more.
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
    floor = 0
    for transfer in transfers:
        room = transfer.room.root
        first = max(floor, transfer.earliest)
        if room not in placed:
            need = transfer.need
            size = room.bytes
            crowded = np.flatnonzero(usage[first : room.last + 1] > capacity - size)
            late = crowded[crowded + first >= need]
            if len(late):
                position = first + int(late[0])
                raise DoesNotFit(_message(items, rooms, room, position, capacity), position, int(usage[position]) + size)
            if len(crowded):
                first = first + int(crowded[-1]) + 1
            first = min(first, need)
            room.first = first
            usage[first : room.last + 1] += size
            placed.add(room)
        transfer.position = min(first, transfer.need)
        floor = transfer.position


def _message(items: Sequence[Item], rooms: dict[Room, None], room: Room, position: int, capacity: int) -> str:
    alive = [r for r in rooms if r.first >= 0 and r.first <= position <= r.last and (not r.loaded or r is room)]
    alive.sort(key=lambda r: -r.bytes)
    demand = sum(r.bytes for r in alive) + (0 if room in alive else room.bytes)
    listed = ", ".join(f"{r.name} {r.bytes:,}" for r in alive[:6])
    return (
        f"Layer {items[position].layer} does not fit in SRAM: it needs {demand:,} bytes at once and there are "
        f"{capacity:,} ({demand - capacity:,} too many). The largest buffers are {listed} bytes. "
        "A machine with more SRAM, or a smaller input, would help."
    )
