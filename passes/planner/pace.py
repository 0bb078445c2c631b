"""How far every engine has come at a point of the plan: the machine's laws on items and loads.

Each engine's order and busy times are exact. Waits are seen through rooms instead of bytes: a reader waits for the rows
it reads, a fill for its half. Good to a few per cent, in milliseconds; the cycles that are reported come from the
finished program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dialects.tile import Slice
from passes.planner.blocks import Constant, Item, Room, Source, Transfer
from passes.planner.network import Tensor
from sim.machine import laws
from sim.machine.description import Machine

EVERYTHING = (0, 1 << 30)


def busy_cycles(machine: Machine, items: Sequence[Item]) -> tuple[list[int], int]:
    """Cycles each item keeps its engine busy (stores: the DRAM channel), and the bytes convolutions stream in all."""
    streamed = 0
    cycles = [0] * len(items)
    convolutions: list[tuple[int, ...]] = []
    where: list[int] = []
    for position, item in enumerate(items):
        options = item.options
        if item.kind == "conv":
            c = item.operands["half"].options["configuration"]
            (fy, fx), _, (_, sx), (_, dx) = options["window"].values
            (oy, ox, k), groups = options["out"].sizes, options["groups"]
            inputs = options["channels"].sizes[0]
            convolutions.append(
                (
                    c.algorithm == "winograd",
                    c.g,
                    c.k,
                    c.r,
                    c.p,
                    groups,
                    k // groups,
                    inputs // groups,
                    fy,
                    fx,
                    sx,
                    dx,
                    oy,
                    ox,
                    "requantize" in options,
                )
            )
            where.append(position)
        elif item.kind == "fill":
            cycles[position] = int(laws.fill(machine, math.prod(options["slice"].sizes)))
        elif item.kind == "use":
            cycles[position] = laws.configure(machine)
        elif item.kind == "load_config":
            direct = channel_cycles(machine, machine.configuration.image_bytes)
            cycles[position] = machine.configuration.sram_load if "copy" in item.operands else direct
        elif item.kind == "store":
            shape = dram_shape(options["target"])
            cycles[position] = strided_cycles(machine, shape, options["target_offset"], options["sizes"])
        else:
            cycles[position] = vector_cycles(machine, item)
    if convolutions:
        names = (
            "winograd",
            "g",
            "k",
            "r",
            "p",
            "groups",
            "outputs",
            "inputs",
            "fy",
            "fx",
            "sx",
            "dx",
            "oy",
            "ox",
            "last",
        )
        columns = np.array(convolutions, np.int64).T
        cost = laws.conv(machine, **dict(zip(names, columns, strict=True)))
        for position, value in zip(where, cost.busy.tolist(), strict=True):
            cycles[position] = value
        streamed = int(cost.input_bytes.sum() + cost.output_bytes.sum())
    return cycles, streamed


def vector_cycles(machine: Machine, item: Item) -> int:
    """Cycles of a vector item."""
    options = item.options
    oy, ox, channels = options["out"].sizes
    window = options["window"]
    (fy, fx), _, (sy, sx), _ = window.values if window is not None else ((1, 1), (), (1, 1), ())
    iy, ix = item.operands["lhs"].shape[:2]
    return int(
        laws.vector(machine, options["kind"], oy=oy, ox=ox, channels=channels, fy=fy, fx=fx, sy=sy, sx=sx, iy=iy, ix=ix)
    )


def channel_cycles(machine: Machine, size: int) -> int:
    """Cycles the DRAM channel needs for a contiguous, aligned transfer."""
    return int(laws.channel(machine, 1, laws.ceil_div(size, machine.dram.burst)))


def dram_shape(source: Source) -> tuple[int, ...]:
    """The shape in DRAM of what a transfer reads or a store writes."""
    if isinstance(source, Constant):
        return source.shape
    return source.type.dims[1:] if isinstance(source, Tensor) else (source.height, source.width, source.channels)


def strided_cycles(machine: Machine, shape: tuple[int, ...], origin: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Cycles the DRAM channel needs for a box of an array: every run touches whole bursts."""
    if sizes[1:] == shape[1:]:
        return channel_cycles(machine, math.prod(sizes))
    *outer, inner, run = sizes
    *_, columns, row = shape
    *_, column, first = origin
    moved = laws.transfer(machine.dram.burst, column * row + first, run, inner, row, math.prod(outer), row * columns)
    return int(laws.channel(machine, moved.runs, moved.bursts))


class Pace:
    """The engines' clocks while a plan is read from top to bottom."""

    def __init__(self, machine: Machine, items: Sequence[Item]):
        self.machine = machine
        self.busy, self.streamed = busy_cycles(machine, items)
        self.moved = 0
        self.array = 0
        self.weights = 0
        self.vector = 0
        self.channel = 0
        self.finished = 0
        self.finished_at = np.zeros(len(items) + 1, np.int64)
        self.slot_ready = 0
        self.swapped = 0
        self.halves = [0, 0]
        self.filled: dict[Item, int] = {}
        self.made: dict[Room, list[tuple[int, int, int, str]]] = {}
        self.arrived: dict[Room, list[tuple[int, int, int]]] = {}

    def load(self, transfer: Transfer, ready: int = 0) -> None:
        """A load that may start when ``ready``."""
        size = math.prod(transfer.sizes)
        self.moved += size
        shape = dram_shape(transfer.source)
        self.channel = max(self.channel, ready) + strided_cycles(self.machine, shape, transfer.origin, transfer.sizes)
        first = transfer.target[0]
        when = self.channel + self.machine.dram.latency
        self.arrived.setdefault(transfer.room.root, []).append((first, first + transfer.sizes[0], when))
        self.finished = max(self.finished, when)

    def do(self, position: int, item: Item) -> None:
        """The item at this position."""
        busy = self.busy[position]
        if item.kind == "fill":
            half = item.options["half"]
            box: Slice = item.options["slice"]
            rows = (box.offsets[0].constant, box.offsets[0].constant + box.sizes[0])
            start = max(self.weights, self.halves[half], self._ready(item.operands["weights"], rows, ""))
            end = self.weights = self.filled[item] = start + busy
        elif item.kind == "conv":
            start = max(self.array, self.filled[item.operands["half"]], self._operands(item, "array"))
            end = self.array = self.halves[item.operands["half"].options["half"]] = start + busy
            self._wrote(item, end, "array")
        elif item.kind == "vector":
            end = self.vector = max(self.vector, self._operands(item, "vector")) + busy
            self._wrote(item, end, "vector")
        elif item.kind == "use":
            end = self.array = self.swapped = max(self.array, self.slot_ready) + busy
        elif item.kind == "load_config":
            end = self.channel = self.slot_ready = max(self.channel, self.swapped) + busy
            if "copy" not in item.operands:
                self.moved += self.machine.configuration.image_bytes
        else:
            first = item.options["source_offset"][0]
            ready = self._ready(item.operands["source"], (first, first + item.options["sizes"][0]), "store")
            # The channel goes on loading while a store waits for its data; only its own time and the turns are lost.
            self.moved += math.prod(item.options["sizes"])
            self.channel += busy + 2 * self.machine.dram.turn
            end = max(self.channel, ready + busy) + self.machine.dram.latency
        self.finished_at[position] = end
        self.finished = max(self.finished, end)

    def _operands(self, item: Item, engine: str) -> int:
        out: Slice = item.options["out"]
        rows = out.offsets[0].constant, out.offsets[0].constant + out.sizes[0]
        ready = 0
        for name, room in item.operands.items():
            if isinstance(room, Room) and name != "output":
                ready = max(ready, self._ready(room, _rows(item, name, rows), engine))
        return ready

    def _wrote(self, item: Item, end: int, engine: str) -> None:
        out: Slice = item.options["out"]
        first = out.offsets[0].constant
        self.made.setdefault(item.operands["output"].root, []).append((first, first + out.sizes[0], end, engine))

    def _ready(self, room: Room, rows: tuple[int, int], engine: str) -> int:
        """When the rows of a room are there, seen from an engine (its own writes are in order)."""
        first, end = rows
        root = room.root
        if room is not root:
            first, end = EVERYTHING
        ready = 0
        for a, b, when in self.arrived.get(root, ()):
            if a < end and first < b and when > ready:
                ready = when
        for a, b, when, by in self.made.get(root, ()):
            if by != engine and a < end and first < b and when > ready:
                ready = when
        return ready


def _rows(item: Item, name: str, rows: tuple[int, int]) -> tuple[int, int]:
    """Rows of an operand that an item reads for its output rows."""
    if name in ("params", "table") or item.options.get("kind") in ("global_average_pool", "mul"):
        return EVERYTHING
    window: Any = item.options.get("window")
    if window is None or name in ("residual", "rhs"):
        return rows
    (fy, _), (top, _, _, _), (sy, _), (dy, _) = window.values
    if item.options.get("kind") == "resize":
        return rows[0] // sy, (rows[1] - 1) // sy + 1
    return rows[0] * sy - top, (rows[1] - 1) * sy - top + (fy - 1) * dy + 1
