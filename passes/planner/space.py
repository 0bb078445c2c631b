"""Addresses while the plan is made: what is computed from above, what is loaded around it.

Activations are placed first, all lifetimes known, each as high as it fits. Loads then take the space between them in
the order of the load queue, each where what it overwrites has been dead longest, and behind the one before where that
makes no difference, so that weights of alike size leave no holes. A load for which there is no gap yet waits, instead
of making the plan fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passes.common.placement import ALIGNMENT, place
from passes.planner.rooms import Room


@dataclass(frozen=True)
class Stay:
    """A room from one work to another, both included.

    Its space should be nobody's already ``clear`` works before, so that writing it waits for no reader.
    """

    room: Room
    first: int
    last: int
    clear: int = 0

    @property
    def bytes(self) -> int:
        return self.room.bytes


def _area(stay: Stay) -> int:
    return -stay.bytes * (stay.last - stay.first + 1)


def _size(stay: Stay) -> int:
    return -stay.bytes


def _birth(stay: Stay) -> int:
    return stay.first


_ORDERS = (_area, _size, _birth)
"""In which order rooms are placed from above: the first that succeeds."""


class Space:
    """SRAM over the time of a plan: rooms with addresses and lives (first … last work, both included)."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.addresses: dict[Room, int] = {}
        self.taken = np.zeros((4, 256), np.int64)
        """Of every stay: where it starts and ends, first work (with its clearance) and last."""
        self.rover = 0

    def _put(self, stay: Stay, address: int) -> None:
        count = len(self.addresses)
        if count == self.taken.shape[1]:
            self.taken = np.concatenate((self.taken, np.zeros_like(self.taken)), axis=1)
        self.taken[:, count] = address, address + stay.bytes, stay.first - stay.clear, stay.last
        self.addresses[stay.room] = address

    def gaps(self, first: int, last: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Free stretches [from, to) of addresses over the whole of a life, lowest first."""
        starts, ends, births, deaths = self.taken[:, : len(self.addresses)]
        alive = np.flatnonzero((births <= last) & (deaths >= first))
        order = alive[np.argsort(starts[alive], kind="stable")]
        reach = np.maximum.accumulate(ends[order]) if len(order) else order
        lower = np.concatenate(([0], reach))
        upper = np.concatenate((starts[order], [self.capacity]))
        return lower, upper

    def from_above(self, stays: Sequence[Stay]) -> Stay | None:
        """Place rooms whose lives are known, each as high as it fits; gives the first for which there is no place."""
        failed: Stay | None = None
        for order in _ORDERS:
            self.addresses.clear()
            failed = next((stay for stay in sorted(stays, key=order) if not self._high(stay)), None)
            if failed is None:
                break
        return failed

    def _high(self, stay: Stay) -> bool:
        lower, upper = self.gaps(stay.first - stay.clear, stay.last)
        fitting = np.flatnonzero(upper - lower >= stay.bytes)
        if not len(fitting):
            return False
        self._put(stay, (int(upper[fitting[-1]]) - stay.bytes) // ALIGNMENT * ALIGNMENT)
        return True

    def place(self, stay: Stay, finished: npt.NDArray[np.int64], now: int = 0) -> int:
        """Place a room that is loaded where it may be overwritten soonest; -1 if there is no gap over its whole life.

        ``finished`` holds the cycle at which each work so far completes: a room's space is free when the last work that
        used it has. ``now`` is the cycle from which on the channel could load. Gives the cycle from which on the load
        may write. Among places free equally soon the next one behind the last load is taken: what is loaded first is
        used first, so the free space stays in one piece.
        """
        lower, upper = self.gaps(stay.first, stay.last)
        fitting = np.flatnonzero(upper - lower >= stay.bytes)
        if not len(fitting):
            return -1
        lower, upper = lower[fitting], upper[fitting]
        behind = np.minimum(np.maximum(lower, self.rover), upper - stay.bytes)
        places = np.concatenate((behind, lower, upper - stay.bytes))
        starts, ends, _, deaths = self.taken[:, : len(self.addresses)]
        before = np.flatnonzero(deaths < stay.first)
        meets = (starts[before][None, :] < places[:, None] + stay.bytes) & (places[:, None] < ends[before][None, :])
        free = np.where(meets, finished[deaths[before]][None, :], 0).max(axis=1, initial=0)
        free = np.maximum(free, now)
        slack = np.tile(upper - lower - stay.bytes, 3)
        choice = int(np.lexsort((slack, (places - self.rover) % self.capacity, free))[0])
        address = int(places[choice]) // ALIGNMENT * ALIGNMENT
        self._put(stay, address)
        self.rover = address + stay.bytes
        return int(free[choice])

    def settle(self) -> Mapping[Room, int] | None:
        """The address of every room, None if none were found; here each got it when it was placed."""
        return self.addresses


class Tally(Space):
    """The same, counting bytes only while the plan is made; addresses are found at its end, for all lives at once.

    For tight plans: a placement that knows every life leaves fewer holes, but it cannot tell a load when its space is
    free.
    """

    def __init__(self, capacity: int, works: int, rooms: Iterable[Room]):
        super().__init__(capacity)
        self.stays: dict[Room, Stay | None] = dict.fromkeys(rooms)
        self.usage = np.zeros(works + 1, np.int64)

    def _fits(self, stay: Stay) -> bool:
        life = slice(stay.first, stay.last + 1)
        if int(self.usage[life].max(initial=0)) + stay.bytes > self.capacity:
            return False
        self.usage[life] += stay.bytes
        self.stays[stay.room] = stay
        return True

    def from_above(self, stays: Sequence[Stay]) -> Stay | None:
        return next((stay for stay in sorted(stays, key=_area) if not self._fits(stay)), None)

    def place(self, stay: Stay, finished: npt.NDArray[np.int64], now: int = 0) -> int:
        return int(finished[max(0, stay.first - 1)]) if self._fits(stay) else -1

    def settle(self) -> Mapping[Room, int] | None:
        stays = [stay for stay in self.stays.values() if stay is not None]
        addresses = place([s.bytes for s in stays], [s.first for s in stays], [s.last for s in stays], self.capacity)
        return dict(zip((stay.room for stay in stays), addresses, strict=True)) if addresses is not None else None
