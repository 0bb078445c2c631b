"""How far every engine has come at a point of the plan: the machine's laws on works and loads.

Each engine's order and busy times are exact. Waits are seen through rooms instead of bytes: a reader waits for the rows
it reads, a fill for its half. Good to a few per cent, in milliseconds; the cycles that are reported come from the
finished program.
"""

from __future__ import annotations

import math

import numpy as np

from passes.planner.cost import busy_cycles, strided_cycles
from passes.planner.mapping import Span
from passes.planner.rooms import Load, Room, dram_shape
from passes.planner.works import EVERYTHING, ConvPass, Fill, LoadImage, Move, Store, Use, Vector, Work
from sim.machine.description import Machine


class Writings:
    """When which rows of a room were last written, by one engine or by the channel.

    A ring over all stripes of a large picture is written and read thousands of times: rows that are written again count
    once, and a reader looks from the latest writing back, until it meets one of its rows.
    """

    def __init__(self) -> None:
        self._when: dict[Span, int] = {}
        """The latest writing last."""
        self._latest = 0
        self._in_order = True

    def add(self, rows: Span, when: int) -> None:
        """These rows are there from a cycle on."""
        self._in_order = self._in_order and when >= self._latest
        self._latest = max(when, self._latest)
        self._when[rows] = max(when, self._when.pop(rows, 0))

    def there(self, rows: Span, ready: int = 0) -> int:
        """When all of these rows are there, or ``ready`` if that is later."""
        if self._latest <= ready:
            return ready
        first, end = rows
        for (low, high), when in reversed(self._when.items()):
            if low < end and first < high and when > ready:
                ready = when
            if self._in_order and when <= ready:
                break
        return ready


class Pace:
    """The engines' clocks while a plan is read from top to bottom."""

    def __init__(self, machine: Machine, works: tuple[Work, ...], frames: int = 1):
        self.machine = machine
        busy, streamed = busy_cycles(machine, works)
        self.busy, self.streamed = busy * frames, streamed * frames
        self.moving: dict[Load, int] = {}
        self.moved = 0
        self.array = 0
        self.weights = 0
        self.vector = 0
        self.channel = 0
        self.arrives = 0
        """When the last load is complete."""
        self.finished = 0
        self.finished_at = np.zeros(len(self.busy) + 1, np.int64)
        self.slot_ready = 0
        self.swapped = 0
        self.halves = [0, 0]
        self.filled: dict[Fill, int] = {}
        self.written: dict[Room, dict[str, Writings]] = {}
        """By room and by who writes it, an engine or the channel, which is no reader."""

    def load(self, load: Load, ready: int = 0) -> None:
        """A load that may start when ``ready``."""
        self.moved += math.prod(load.sizes)
        self.channel = max(self.channel, ready) + self.busy_of(load)
        when = self.arrives = self.channel + self.machine.dram.latency
        self.wrote(load.room, load.rows, when, "channel")
        self.finished = max(self.finished, when)

    def busy_of(self, load: Load) -> int:
        """Cycles for which a load keeps the channel."""
        if load not in self.moving:
            shape = dram_shape(load.source)
            self.moving[load] = strided_cycles(self.machine, shape, load.origin, load.sizes)
        return self.moving[load]

    def do(self, position: int, work: Work) -> None:
        """The work at this position."""
        busy = self.busy[position]
        match work:
            case Fill():
                start = max(self.weights, self.halves[work.half], self._reads(work, ""))
                end = self.weights = self.filled[work] = start + busy
            case ConvPass():
                start = max(self.array, self.filled[work.half], self._reads(work, "array"))
                end = self.array = self.halves[work.half.half] = start + busy
                self.wrote(work.output, work.rows, end, "array")
            case Vector() | Move():
                start = max(self.vector, self._reads(work, "vector"))
                end = self.vector = start + busy
                self.wrote(work.output, work.rows, end, "vector")
            case Use():
                end = self.array = self.swapped = max(self.array, self.slot_ready) + busy
            case LoadImage(copy=None):
                self.channel = max(self.channel, self.swapped) + busy
                end = self.slot_ready = self.channel + self.machine.dram.latency
                self.moved += self.machine.configuration.image_bytes
            case LoadImage():
                # A copy takes no channel, but begins when all that was loaded before is there.
                end = self.channel = self.slot_ready = max(self.arrives, self.swapped) + busy
            case Store():
                ready = self._reads(work, "store")
                # The channel goes on loading while a store waits for its data; only its own time and the turns are lost
                self.moved += math.prod(work.sizes)
                self.channel += busy + 2 * self.machine.dram.turn
                end = max(self.channel, ready + busy) + self.machine.dram.latency
        self.finished_at[position] = end
        self.finished = max(self.finished, end)

    def _reads(self, work: Fill | ConvPass | Vector | Move | Store, engine: str) -> int:
        """When all that a work reads is there."""
        return max(self._ready(room, rows, engine) for room, rows in work.reads)

    def wrote(self, room: Room, rows: Span, end: int, by: str) -> None:
        """Rows of a room are there, from an engine or from the channel."""
        self.written.setdefault(room.root, {}).setdefault(by, Writings()).add(rows, end)

    def _ready(self, room: Room, rows: Span, engine: str) -> int:
        """When the rows of a room are there, seen from an engine (its own writes are in order)."""
        root = room.root
        span = rows if room is root else EVERYTHING
        ready = 0
        for by, writings in self.written.get(root, {}).items():
            if by != engine:
                ready = writings.there(span, ready)
        return ready
