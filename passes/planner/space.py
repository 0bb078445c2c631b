"""Addresses while the plan is made: what is computed from above, what is loaded around it.

Activations are placed first, all lifetimes known, each as high as it fits. Loads then take the space between them in
the order of the load queue, each where what it overwrites has been dead longest, and behind the one before where that
makes no difference, so that weights of alike size leave no holes. A load for which there is no gap yet waits, instead
of making the plan fail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from passes.common.placement import ALIGNMENT, place
from passes.planner.blocks import Room

SMALL = 96
"""A room of less than this part of SRAM goes where it fits most tightly, not to stand between large ones."""


def _area(room: Room) -> int:
    return -room.bytes * (room.last - room.first + 1)


def _size(room: Room) -> int:
    return -room.bytes


def _birth(room: Room) -> int:
    return room.first


_ORDERS = (_area, _size, _birth)
"""In which order rooms are placed from above: the first that succeeds."""


class Space:
    """SRAM over the time of a plan: rooms with addresses and lives (first … last item, both included)."""

    def __init__(self, capacity: int, rooms: int):
        self.capacity = capacity
        self.count = 0
        self.starts = np.zeros(rooms + 1, np.int64)
        self.ends = np.zeros(rooms + 1, np.int64)
        self.births = np.zeros(rooms + 1, np.int64)
        self.deaths = np.zeros(rooms + 1, np.int64)
        self.rover = 0

    def _put(self, room: Room, address: int) -> None:
        room.address = address
        n = self.count
        self.starts[n], self.ends[n] = address, address + room.bytes
        self.births[n], self.deaths[n] = room.first - room.clear, room.last
        self.count += 1

    def gaps(self, first: int, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Free stretches [from, to) of addresses over the whole of a life, lowest first."""
        n = self.count
        alive = np.flatnonzero((self.births[:n] <= last) & (self.deaths[:n] >= first))
        order = alive[np.argsort(self.starts[alive], kind="stable")]
        reach = np.maximum.accumulate(self.ends[order]) if len(order) else order
        lower = np.concatenate(([0], reach))
        upper = np.concatenate((self.starts[order], [self.capacity]))
        return lower, upper

    def from_above(self, rooms: Sequence[Room]) -> Room | None:
        """Place rooms whose lives are known, each as high as it fits; gives the first for which there is no place."""
        failed: Room | None = None
        for order in _ORDERS:
            self.count = 0
            failed = next((room for room in sorted(rooms, key=order) if not self._high(room)), None)
            if failed is None:
                break
        return failed

    def _high(self, room: Room) -> bool:
        lower, upper = self.gaps(room.first - room.clear, room.last)
        fitting = np.flatnonzero(upper - lower >= room.bytes)
        if not len(fitting):
            return False
        self._put(room, (int(upper[fitting[-1]]) - room.bytes) // ALIGNMENT * ALIGNMENT)
        return True

    def place(self, room: Room, finished: npt.NDArray[np.int64], now: int = 0) -> int:
        """Place a room that is loaded where it may be overwritten soonest; -1 if there is no gap over its whole life.

        ``finished`` holds the cycle at which each item so far completes: a room's space is free when the last item that
        used it has. ``now`` is the cycle from which on the channel could load. Gives the cycle from which on the load
        may write. Among places free equally soon the next one behind the last load is taken: what is loaded first is
        used first, so the free space stays in one piece.
        """
        lower, upper = self.gaps(room.first, room.last)
        small = room.bytes * SMALL < self.capacity
        fitting = np.flatnonzero(upper - lower >= room.bytes)
        if not len(fitting):
            return -1
        lower, upper = lower[fitting], upper[fitting]
        behind = np.minimum(np.maximum(lower, self.rover), upper - room.bytes)
        places = np.concatenate((behind, lower, upper - room.bytes))
        n = self.count
        before = np.flatnonzero(self.deaths[:n] < room.first)
        meets = (self.starts[before][None, :] < places[:, None] + room.bytes) & (
            places[:, None] < self.ends[before][None, :]
        )
        free = np.where(meets, finished[self.deaths[before]][None, :], 0).max(axis=1, initial=0)
        free = np.maximum(free, now)
        slack = np.tile(upper - lower - room.bytes, 3)
        if small:
            choice = int(np.lexsort((places, slack, free))[0])
        else:
            choice = int(np.lexsort((slack, (places - self.rover) % self.capacity, free))[0])
        address = int(places[choice]) // ALIGNMENT * ALIGNMENT
        self._put(room, address)
        if not small:
            self.rover = address + room.bytes
        return int(free[choice])

    def settle(self) -> bool:
        """Whether every room has its address; here each got it when it was placed."""
        return True


class Tally(Space):
    """The same, counting bytes only while the plan is made; addresses are found at its end, for all lives at once.

    For tight plans: a placement that knows every life leaves fewer holes, but it cannot tell a load when its space is
    free.
    """

    def __init__(self, capacity: int, items: int, rooms: Sequence[Room]):
        super().__init__(capacity, len(rooms))
        self.rooms = rooms
        self.usage = np.zeros(items + 1, np.int64)

    def _fits(self, room: Room) -> bool:
        life = slice(room.first, room.last + 1)
        if int(self.usage[life].max(initial=0)) + room.bytes > self.capacity:
            return False
        self.usage[life] += room.bytes
        return True

    def from_above(self, rooms: Sequence[Room]) -> Room | None:
        return next((room for room in sorted(rooms, key=_area) if not self._fits(room)), None)

    def place(self, room: Room, finished: npt.NDArray[np.int64], now: int = 0) -> int:
        return int(finished[max(0, room.first - 1)]) if self._fits(room) else -1

    def settle(self) -> bool:
        rooms = self.rooms
        addresses = place([r.bytes for r in rooms], [r.first for r in rooms], [r.last for r in rooms], self.capacity)
        for room, address in zip(rooms, addresses or (), strict=addresses is not None):
            room.address = address
        return addresses is not None
