"""Addresses while the plan is made: what is computed from above, what is loaded from below in a ring.

Activations are placed first, all lifetimes known, each as high as it fits. Loads then take the space below them in the
order of the load queue, each behind the one before (next fit), so that a load overwrites what has been dead longest and
weights of alike size leave no holes. A load for which there is no gap yet waits, instead of making the plan fail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from passes.plan.blocks import Room


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
        self.births[n], self.deaths[n] = room.first, room.last
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
        for orders in (
            lambda room: -room.bytes * (room.last - room.first + 1),
            lambda room: -room.bytes,
            lambda room: room.first,
        ):
            self.count = 0
            failed = None
            for room in sorted(rooms, key=orders):
                lower, upper = self.gaps(room.first, room.last)
                fitting = np.flatnonzero(upper - lower >= room.bytes)
                if not len(fitting):
                    failed = room
                    break
                self._put(room, (int(upper[fitting[-1]]) - room.bytes) // 64 * 64)
            if failed is None:
                return None
        return failed

    def ring(self, room: Room) -> bool:
        """Place a room behind the one loaded before it, or at the next gap from there on; False if there is none."""
        lower, upper = self.gaps(room.first, room.last)
        begin = np.maximum(lower, self.rover)
        ahead = np.flatnonzero(upper - begin >= room.bytes)
        if len(ahead):
            address = int(begin[ahead[0]])
        else:
            fitting = np.flatnonzero(upper - lower >= room.bytes)
            if not len(fitting):
                return False
            address = int(lower[fitting[0]])
        self._put(room, address)
        self.rover = address + room.bytes
        return True
