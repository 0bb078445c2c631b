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
        self.made: dict[Room, list[tuple[int, int, int, str]]] = {}
        self.arrived: dict[Room, list[tuple[int, int, int]]] = {}

    def load(self, load: Load, ready: int = 0) -> None:
        """A load that may start when ``ready``."""
        self.moved += math.prod(load.sizes)
        self.channel = max(self.channel, ready) + self.busy_of(load)
        when = self.arrives = self.channel + self.machine.dram.latency
        self.arrived.setdefault(load.room.root, []).append((*load.rows, when))
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
                self._wrote(work, end, "array")
            case Vector() | Move():
                start = max(self.vector, self._reads(work, "vector"))
                end = self.vector = start + busy
                self._wrote(work, end, "vector")
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

    def _wrote(self, work: ConvPass | Vector | Move, end: int, engine: str) -> None:
        self.made.setdefault(work.output.root, []).append((*work.rows, end, engine))

    def _ready(self, room: Room, rows: Span, engine: str) -> int:
        """When the rows of a room are there, seen from an engine (its own writes are in order)."""
        root = room.root
        first, end = rows if room is root else EVERYTHING
        ready = 0
        for a, b, when in self.arrived.get(root, ()):
            if a < end and first < b and when > ready:
                ready = when
        for a, b, when, by in self.made.get(root, ()):
            if by != engine and a < end and first < b and when > ready:
                ready = when
        return ready
