"""Least and most cycles of a program on a channel that refreshes and opens rows when it must, instead of on average.

The clock runs on the average rate. Here a transfer moves at the peak rate, may find its rows open or closed, and stands
still whenever a refresh falls due; neither the phase of the refresh nor the state of the rows is known. ``interval``
bounds the cycles over all of them. The manual's section 4 has the law and why the bounds hold: transfers may change
places on the channel, so shorter ones can make a program take longer, and no single run is the extreme one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.machine import clock, laws
from sim.machine.clock import Timeline
from sim.machine.description import Machine
from sim.machine.encoding import decode
from sim.machine.errors import ProgramError
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import Ints, Order, order
from sim.machine.program import MachineSegment, Program
from sim.machine.text import AHEAD, pieces

_LOAD, _STORE = QUEUES.index("load"), QUEUES.index("store")


@dataclass(frozen=True)
class Interval:
    """Least and most cycles, whenever refresh and whatever row falls due."""

    least: int
    most: int

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.least + other.least, self.most + other.most)


def refresh(machine: Machine) -> int:
    """Cycles for which one refresh blocks the channel."""
    return machine.dram.refresh_interval * machine.dram.refresh_per_mille // 1000


def at_peak(machine: Machine, runs: Ints, bursts: Ints) -> Ints:
    """Cycles that transfers hold the channel when nothing interrupts them."""
    rate = Fraction(machine.dram.bytes_per_second, machine.clock_hz)
    moved = bursts.astype(object) * machine.dram.burst * rate.denominator
    return np.maximum((-(-moved // rate.numerator)).astype(np.int64), runs)


def rows_of(machine: Machine, queues: Order) -> tuple[Ints, Ints]:
    """int64[n] each: the runs of every transfer, and the rows of DRAM that they touch, a row once for each run."""
    runs, rows = np.zeros((2, len(queues.stream)), np.int64)
    names = ("dram", "bytes", "count1", "dram_stride1", "count2", "dram_stride2")
    for name in ("load", "store"):
        opcode = BY_NAME[name].opcode
        table = queues.stream.tables[opcode]
        each = zip(*(table[field].astype(np.int64).tolist() for field in names), strict=True)
        moves = [laws.transfer(machine.dram.row_bytes, *row) for row in each]
        where = queues.stream.indices(opcode)
        runs[where], rows[where] = [move.runs for move in moves], [move.bursts for move in moves]
    where = queues.stream.indices(BY_NAME["load_config"].opcode)
    runs[where], rows[where] = 1, machine.configuration.image_bytes // machine.dram.row_bytes + 2
    return runs, rows


def interval(machine: Machine, queues: Order, timeline: Timeline, fetched: bool) -> Interval:
    """The bounds of a segment that the clock ran as ``timeline``."""
    case = _Case(machine, queues, timeline, fetched)
    least, most = (int(case.longest(bounds).max(initial=0)) for bounds in (case.least, case.most))
    return Interval(max(least, case.channel()), case.interrupted(most + case.blocked()))


def of_program(program: Program) -> Interval:
    """The bounds of a whole program, its segments one after the other; Fault when a wait can never be met.

    ProgramError for frames in a row, whose border no interval crosses.
    """
    found = Interval(0, 0)
    for segment in program.segments:
        if not isinstance(segment, MachineSegment):
            continue
        if segment.frames is not None:
            raise ProgramError("An interval is about one frame: compile the model without --frames.")
        queues = order(decode(segment.code))
        fetched = program.machine.instruction_memory.fetches(program.code_bytes)
        timeline = clock.run(program.machine, queues.stream, queues=queues, fetched=fetched)
        found += interval(program.machine, queues, timeline, fetched)
    return found


class _Case:
    """A segment: n instructions, then the m fetches of its text, as one graph."""

    def __init__(self, machine: Machine, queues: Order, timeline: Timeline, fetched: bool) -> None:
        self.machine, self.order, self.timeline = machine, queues, timeline
        self.text = pieces(machine, queues.stream) if fetched else None
        cost, dram = timeline.costs, machine.dram
        runs, rows = rows_of(machine, queues)
        fetches = timeline.fetches
        one = np.ones(len(fetches.busy), np.int64)
        self.channels = np.concatenate((cost.channel, one.astype(np.bool_)))
        peak = at_peak(machine, np.concatenate((runs, one)), np.concatenate((cost.bursts, fetches.bursts)))
        rows = np.concatenate((rows, fetches.bytes // dram.row_bytes + 2))
        busy = np.concatenate((cost.busy, fetches.busy))
        self.peak = np.where(self.channels, peak, 0)
        stores = np.append(queues.queue, one * _LOAD) == _STORE
        turns = np.where(stores | stores.any(), dram.turn, 0)
        self.held = np.where(self.channels, peak + turns + rows * dram.row_miss, 0)
        """Cycles that a transfer holds the channel at most, refresh left out."""
        self.least = np.where(self.channels, peak, busy)
        self.most = np.where(self.channels, self.held, busy)
        self._wait_for_loads()

    def _wait_for_loads(self) -> None:
        """A store, and a fetch, waits for one load at most; a store for the longest that queues and waits allow."""
        loads, stores = self.order.members[_LOAD], self.order.members[_STORE]
        self.meets = np.zeros(len(stores), np.bool_)
        held = self.held[loads]
        before = self.order.happens_before
        seen = before[loads, _STORE]
        for position, store in enumerate(stores.tolist()):
            first, stop = int(before[store, _LOAD]), int(np.searchsorted(seen, position, side="right"))
            if first < stop:
                self.meets[position] = True
                self.most[store] += int(held[first:stop].max())
        self.most[len(self.order.stream) :] += int(held.max(initial=0))

    def blocked(self) -> int:
        """What loads on one way through the program wait for stores, and all transfers for fetches, at most: each of
        those keeps one transfer of a way waiting, no more."""
        n, stores = len(self.order.stream), self.order.members[_STORE]
        return int(self.held[stores][self.meets | (self.text is not None)].sum() + self.held[n:].sum())

    def channel(self) -> int:
        """The least cycles in which the channel carries everything: any ``refresh_interval`` has a whole refresh."""
        carried, blocks, every = int(self.peak.sum()), refresh(self.machine), self.machine.dram.refresh_interval
        left = carried
        while left < carried + left // every * blocks:
            left = carried + left // every * blocks
        return left + self.machine.dram.latency if carried else 0

    def interrupted(self, cycles: int) -> int:
        """The most cycles that work of so many takes when every refresh interrupts it."""
        blocks, every = refresh(self.machine), self.machine.dram.refresh_interval
        if not self.channels.any():
            return cycles
        until = cycles
        while until < cycles + -(-until // every) * blocks:
            until = cycles + -(-until // every) * blocks
        return until

    def longest(self, takes: Ints) -> Ints:
        """When each instruction and fetch completes if each takes so long and nobody waits for the channel."""
        queues, latency = self.order, self.machine.dram.latency
        n, cost = len(queues.stream), self.timeline.costs
        start, leave, end = ([0] * len(takes) for _ in range(3))
        members = [member.tolist() for member in queues.members]
        waits = [[(q, need) for q, need in enumerate(row) if need] for row in queues.waits.tolist()]
        queue, position = queues.queue.tolist(), queues.position.tolist()
        opcode = BY_NAME["load_config"].opcode
        slow = (queues.stream.opcodes == opcode) & ~cost.channel
        needs = self._needs()
        for index in self._sequence():
            time = 0
            if index < n:
                if position[index]:
                    ahead = members[queue[index]][position[index] - 1]
                    every = members[queue[index]][: position[index]] if slow[index] else ()
                    time = max([leave[ahead], *(end[each] for each in every)])
                time = max([time, *(end[members[q][need - 1]] for q, need in waits[index])])
                if self.text is not None:
                    time = max(time, end[n + int(self.text.until[index])])
            else:
                begun, done = needs[index - n]
                time = max([leave[index - 1] if index > n else 0, *(start[i] for i in begun), *(end[i] for i in done)])
            start[index], leave[index] = time, time + int(takes[index])
            end[index] = leave[index] + (latency if self.channels[index] else 0)
        return np.array(end, np.int64)

    def _needs(self) -> list[tuple[list[int], list[int]]]:
        """Of each fetch, the instructions that have to have started, and those that have to have completed."""
        text = self.text
        if text is None:
            return []
        found: list[tuple[list[int], list[int]]] = []
        for piece in range(len(text.busy)):
            begun = [int(text.first[piece - AHEAD])] if piece >= AHEAD else []
            gone = piece - text.window
            done = np.flatnonzero((text.since <= gone) & (text.until >= gone)).tolist() if gone >= 0 else []
            found.append((begun, done))
        return found

    def _sequence(self) -> Iterator[int]:
        """All instructions and fetches, each behind what it waits for: as the clock ran them."""
        timeline, n = self.timeline, len(self.order.stream)
        start = np.concatenate((timeline.start, timeline.fetches.start))
        end = np.concatenate((timeline.end, timeline.fetches.end))
        place = np.arange(len(start))
        place[self.order.linear] = np.arange(n)
        yield from np.lexsort((place, end, place >= n, start)).tolist()
