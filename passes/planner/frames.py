"""Frames in a row: which constants stay on chip for all of them, for the fewest cycles of a frame.

A byte that stays takes SRAM in every moment of a frame and saves its time on the channel in each. Parameters, tables
and images stay before all weights: they are small, and a transfer of their own each. Of the weights those stay that the
channel could not bring while their layer works: every layer may stream as many bytes as a common rate allows for its
cycles, and the rest of it stays, so that what still comes each frame is spread over it and needs little room to wait
in. How much stays is tried, from as much as activations leave down to nothing, and the plan's own program decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from passes.planner.cost import busy_cycles
from passes.planner.prefetch import Layout
from passes.planner.rooms import Constant, Room
from passes.planner.round import around
from passes.planner.schedule import Schedule
from passes.planner.tuning import FRAME_SHARES, PATIENCE
from passes.planner.works import ConvPass, Fill, LoadImage, Move, Store, Use, Vector
from sim.machine.description import Machine
from sim.machine.encoding import layout
from sim.machine.errors import ReconError
from sim.machine.isa import BY_NAME


def layouts(machine: Machine, ordered: Schedule) -> Iterator[Layout]:
    """Layouts of a schedule for frames in a row, with less and less that stays."""
    candidates = _constants(ordered)
    weights = sum(room.bytes for room in candidates)
    room_left = machine.sram.bytes - _peak(ordered, candidates)
    seen: set[frozenset[Room]] = set()
    least, worse = 0, 0
    for share in FRAME_SHARES:
        kept = _kept(machine, ordered, candidates, min(weights, room_left * share // 100))
        if frozenset(kept) in seen:
            continue
        seen.add(frozenset(kept))
        try:
            found = around(machine, ordered, _stacked(kept, machine.sram.bytes))
        except ReconError:
            continue
        yield found
        worse = worse + 1 if least and found.cost.cycles >= least else 0
        least = min(least or found.cost.cycles, found.cost.cycles)
        if len(kept) == len(candidates) or worse == PATIENCE:
            return  # nothing is left to stay, or less that stays has cost more again and again


def code_bytes(ordered: Schedule) -> int:
    """Bytes of the instructions that a schedule becomes."""
    names = [_INSTRUCTIONS[type(work)] for work in (*ordered.before, *ordered.works)] + ["load"] * len(ordered.loads)
    return sum(layout(BY_NAME[name].opcode).itemsize for name in names)


_INSTRUCTIONS: Mapping[type, str] = {
    Fill: "fill",
    ConvPass: "conv",
    Vector: "vector",
    Move: "vector",
    Store: "store",
    LoadImage: "load_config",
    Use: "configure",
}


def _constants(ordered: Schedule) -> list[Room]:
    """Rooms that loads of constants fill, once and nothing else does, in order of need."""
    written = {work.output.root for work in ordered.works if isinstance(work, ConvPass | Vector | Move)}
    others = {load.room.root for load in ordered.loads if not isinstance(load.source, Constant)}
    rooms = dict.fromkeys(load.room.root for load in ordered.loads if isinstance(load.source, Constant))
    return [room for room in rooms if room not in others and room not in written and not room.again]


def _peak(ordered: Schedule, constants: Sequence[Room]) -> int:
    """Most bytes that all other rooms take at once."""
    taken = [0] * (len(ordered.works) + 1)
    for room, (first, last) in ordered.lives.items():
        if room not in constants:
            taken[first] += room.bytes
            taken[last + 1] -= room.bytes
    most = now = 0
    for change in taken:
        now += change
        most = max(most, now)
    return most


def _kept(machine: Machine, ordered: Schedule, constants: Sequence[Room], most: int) -> list[Room]:
    """The rooms that stay, at most so many bytes."""
    layer_of = {load.room.root: load.layer for load in ordered.loads}
    weights = {work.weights.root for work in ordered.works if isinstance(work, Fill)}
    small = sorted((room for room in constants if room not in weights), key=lambda room: room.bytes)
    kept: list[Room] = []
    for room in small:
        if room.bytes <= most:
            kept.append(room)
            most -= room.bytes
    cycles: dict[str, int] = {}
    busy, _ = busy_cycles(machine, ordered.works)
    for work, each in zip(ordered.works, busy, strict=True):
        if isinstance(work, ConvPass):
            cycles[work.layer] = cycles.get(work.layer, 0) + each
    layers: dict[str, list[Room]] = {}
    for room in constants:
        if room in weights:
            layers.setdefault(layer_of[room], []).append(room)
    return kept + _spread(layers, cycles, most)


def _spread(layers: Mapping[str, Sequence[Room]], cycles: Mapping[str, int], most: int) -> list[Room]:
    """Of every layer's rooms those beyond what a common rate brings in its cycles: the smallest rate at which what
    stays is at most so many bytes."""
    # A layer's n-th room from its end streams once the rate reaches the bytes of those n over its cycles.
    steps: list[tuple[float, int, Room]] = []
    number = 0
    for name, rooms in layers.items():
        streamed = 0
        for room in reversed(rooms):
            streamed += room.bytes
            steps.append((streamed / max(1, cycles.get(name, 0)), number, room))
            number += 1
    kept: list[Room] = []
    for _, _, room in sorted(steps, key=lambda step: (-step[0], step[1])):
        if room.bytes <= most:
            kept.append(room)
            most -= room.bytes
    return kept


def _stacked(rooms: Sequence[Room], capacity: int) -> Mapping[Room, int]:
    """Rooms one below the other from the top of SRAM."""
    found: dict[Room, int] = {}
    for room in rooms:
        capacity -= room.bytes
        found[room] = capacity
    return found
