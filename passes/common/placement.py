"""Offline placement of buffers in one memory: addresses by lifetime, none overlapping while both live.

Dynamic storage allocation with known lifetimes is NP-hard, and easy in practice. Buffers are placed one after another,
each into a gap between those already placed that live at the same time; several orders and two choices of gap are
tried, and when a buffer finds no gap it moves to the front of the order and the placement starts again. Everything is
deterministic: equal inputs give equal addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

ALIGNMENT = 64
"""Every address is a multiple of this many bytes."""

_SHUFFLES = 24
"""Orders tried beyond the first four; the same ones every time."""

_WORK = 12_000
"""Buffers placed over all repeated attempts before giving up."""


def peak(sizes: Sequence[int] | Ints, births: Sequence[int] | Ints, deaths: Sequence[int] | Ints) -> tuple[int, int]:
    """(bytes, time) of the greatest demand: aligned sizes of the buffers alive at once; (0, 0) without buffers."""
    if not len(sizes):
        return 0, 0
    need = _aligned(sizes)
    times = np.concatenate([np.asarray(births, np.int64), np.asarray(deaths, np.int64) + 1])
    changes = np.concatenate([need, -need])
    order = np.lexsort((changes, times))
    demand = np.cumsum(changes[order])
    tightest = int(demand.argmax())
    return int(demand[tightest]), int(times[order][tightest])


def place(
    sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int], capacity: int, *, effort: int = 0
) -> list[int] | None:
    """Addresses in [0, capacity) for buffers of ``sizes`` bytes, alive from births to deaths (both included).

    ``effort`` is how many buffers may be placed over all attempts (0: the usual number). None when no placement was
    found; when the peak demand exceeds ``capacity`` none exists and it says so at once.
    """
    if not sizes:
        return []
    need, born, dead = _aligned(sizes), np.asarray(births, np.int64), np.asarray(deaths, np.int64)
    if peak(sizes, births, deaths)[0] > capacity // ALIGNMENT * ALIGNMENT:
        return None
    # Number the buffers by life and size, so that the caller's order changes nothing.
    canonical = np.lexsort((need, dead, born))
    need, born, dead = need[canonical], born[canonical], dead[canonical]
    budget = effort or max(_WORK, 6 * len(sizes))
    for order in _orders(need, born, dead):
        for best in (False, True):
            addresses, failed, placed = _attempt(need, born, dead, order, capacity, best)
            budget -= placed
            while failed is not None and budget > 0 and len(sizes) <= _WORK // 4:
                order = np.concatenate([[failed], order[order != failed]])
                before = failed
                addresses, failed, placed = _attempt(need, born, dead, order, capacity, best)
                budget -= max(placed, 16)
                if failed == before:
                    break
            if failed is None:
                found = np.empty_like(addresses)
                found[canonical] = addresses
                return found.tolist()
            if budget <= 0:
                return None
    return None


def fits(
    sizes: Sequence[int], births: Sequence[int], deaths: Sequence[int], addresses: Sequence[int], capacity: int
) -> bool:
    """Whether buffers at these addresses (−1: none) lie aligned within the capacity and never meet while both live."""
    need, born, dead, at = (np.asarray(column, np.int64) for column in (_aligned(sizes), births, deaths, addresses))
    if not len(at) or at.min() < 0 or (at % ALIGNMENT).any() or int((at + need).max()) > capacity:
        return not len(at)
    order = np.argsort(born, kind="stable")
    need, born, dead, at = need[order], born[order], dead[order], at[order]
    for index in range(1, len(at)):
        meets = (dead[:index] >= born[index]) & (at[:index] < at[index] + need[index])
        if (meets & (at[index] < at[:index] + need[:index])).any():
            return False
    return True


def _aligned(sizes: Sequence[int] | Ints) -> Ints:
    return -(-np.asarray(sizes, np.int64) // ALIGNMENT) * ALIGNMENT


def _orders(need: Ints, born: Ints, dead: Ints) -> Iterator[Ints]:
    """Orders in which to place: by area (bytes × lifetime), by size, by birth, by lifetime, then by blurred area."""
    life = dead - born + 1
    index = np.arange(len(need))
    yield np.lexsort((index, -need, -(need * life)))
    yield np.lexsort((index, born, -need))
    yield np.lexsort((index, -need, born))
    yield np.lexsort((index, -need, -life))
    dice = np.random.Generator(np.random.PCG64(len(need)))
    weight = need * life
    for _ in range(_SHUFFLES):
        # By area again, each area read with an error of up to a half.
        yield np.lexsort((index, -(weight * dice.integers(512, 1536, len(need)))))


def _attempt(
    need: Ints, born: Ints, dead: Ints, order: Ints, capacity: int, best: bool
) -> tuple[Ints, int | None, int]:
    """Place in order, each into the lowest gap that fits, or the tightest (``best``).

    Returns the addresses, the buffer that found no gap (None when all did) and how many were placed.
    """
    n = len(order)
    addresses = np.zeros(n, np.int64)
    starts, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    births, deaths = np.empty(n, np.int64), np.empty(n, np.int64)
    for count, index in enumerate(order.tolist()):
        size, birth, death = int(need[index]), int(born[index]), int(dead[index])
        alive = np.flatnonzero((births[:count] <= death) & (deaths[:count] >= birth))
        address = _gap(starts[alive], ends[alive], size, capacity, best)
        if address is None:
            return addresses, index, count
        addresses[index] = address
        at = int(np.searchsorted(starts[:count], address))
        for array, value in ((starts, address), (ends, address + size), (births, birth), (deaths, death)):
            array[at + 1 : count + 1] = array[at:count]
            array[at] = value
    return addresses, None, n


def _gap(starts: Ints, ends: Ints, size: int, capacity: int, best: bool) -> int | None:
    """Address of a gap of ``size`` bytes between the intervals, which are sorted by start."""
    if not len(starts):
        return 0 if size <= capacity else None
    reach = np.maximum.accumulate(ends)
    lower = np.concatenate(([0], reach))
    upper = np.concatenate((starts, [capacity]))
    room = upper - lower
    fits = np.flatnonzero(room >= size)
    if not len(fits):
        return None
    chosen = fits[room[fits].argmin()] if best else fits[0]
    return int(lower[chosen])
