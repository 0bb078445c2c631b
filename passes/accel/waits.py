"""Who must wait for whom: the order of a program's instructions by vector clocks (see ``assign_waits``)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dialects import accel
from passes.accel.footprint import Box, accesses, intersect, resources
from passes.common.problems import ModelError
from sim.machine import description as machines
from sim.machine.isa import INTEGERS, QUEUES

_QUEUES = range(len(QUEUES))
_MOST = INTEGERS["u16"][1]
_WHOLE = Box(0, 1, 0, 1, 0, 1, 1)


@dataclass
class _Entry:
    """One access: position in its queue and the box touched."""

    position: int
    box: Box


@dataclass
class _Place:
    """A buffer, a DRAM region, an L1 half or a slot: its accesses per queue, oldest first, and those it overlaps."""

    start: int = 0
    end: int = 1
    last_use: int = 0
    reads: list[list[_Entry]] = field(default_factory=lambda: [[] for _ in _QUEUES])
    writes: list[list[_Entry]] = field(default_factory=lambda: [[] for _ in _QUEUES])
    neighbours: list[list[_Place]] = field(default_factory=lambda: [[] for _ in _QUEUES])
    latest: list[int] = field(default_factory=lambda: [-1] * len(QUEUES))


class _Entered:
    """Places in the order in which they were touched first, with their addresses in bulk."""

    def __init__(self) -> None:
        self.places: list[_Place] = []
        self.spans = np.zeros((2, 64), np.int64)

    def add(self, place: _Place) -> list[_Place]:
        """Enter a place; gives the earlier ones at the same addresses."""
        count = len(self.places)
        if count == self.spans.shape[1]:
            self.spans = np.concatenate((self.spans, np.zeros_like(self.spans)), axis=1)
        starts, ends = self.spans[:, :count]
        found = [self.places[i] for i in np.flatnonzero((starts < place.end) & (ends > place.start))]
        self.spans[:, count] = place.start, place.end
        self.places.append(place)
        return found


def assign(program: accel.ProgramOp) -> None:
    """Order one program; ModelError when it has more instructions than a wait can count.

    Of a program with frames two are looked at, which stand for all: what the second waits for in the first, every frame
    waits for in the one before. Counts then begin with a whole body, so that they can name that one.
    """
    instructions = list(program.instructions)
    image_bytes = machines.load(program.machine.data).configuration.image_bytes
    head = program.prologue
    body = instructions[head:] if head is not None else []
    found = _Assigner([*instructions, *body], image_bytes).run()
    each = [sum(op.queue == queue for op in body) for queue in QUEUES]
    for index, op in enumerate(instructions):
        events, counts = found[index]
        waits = [count + more if count else 0 for count, more in zip(counts, each, strict=True)]
        if head is not None and index >= head:
            waits = list(map(max, waits, found[index + len(body)][1]))
        if max(waits) > _MOST:
            queue = QUEUES[waits.index(max(waits))]
            raise ModelError(
                f"The program's frames have {each[QUEUES.index(queue)]:,} instructions in the queue {queue} and a wait "
                f"counts to {_MOST:,}, two frames on; take larger tiles."
            )
        op.order([instructions[event].event for event in sorted(events)], tuple(waits))


Found = list[tuple[list[int], tuple[int, ...]]]
"""For each instruction those it depends on directly, and its wait counts per queue."""


class _Assigner:
    def __init__(self, instructions: list[accel.InstructionOp], image_bytes: int):
        self.instructions = instructions
        self.image_bytes = image_bytes
        self.places: dict[object, _Place] = {}
        self.placed: dict[type[accel.MemoryOp], _Entered] = {accel.BufferOp: _Entered(), accel.DramOp: _Entered()}
        self.members: list[list[int]] = [[] for _ in _QUEUES]
        self.clocks: list[list[int]] = []
        self.found: Found = []
        self.last_use: dict[object, int] = {}
        for index, op in enumerate(instructions):
            for _, memory, _ in op.operands_in_memory():
                self.last_use[memory] = index

    def run(self) -> Found:
        for index, op in enumerate(self.instructions):
            self.order(index, op)
        for queue in _QUEUES:
            if len(self.members[queue]) > _MOST:
                raise ModelError(
                    f"The program has {len(self.members[queue]):,} instructions in the queue {QUEUES[queue]} and a "
                    f"wait counts to {_MOST:,}; take larger tiles."
                )
        return self.found

    def order(self, index: int, op: accel.InstructionOp) -> None:
        """Find the instructions this one depends on, then record its own accesses."""
        queue = QUEUES.index(op.queue)
        mine = self.members[queue]
        clock = list(self.clocks[mine[-1]]) if mine else [0] * len(QUEUES)
        clock[queue] = len(mine)
        touched = self.touched(index, op)
        needs = list(clock)
        for place, write, boxes in touched:
            for box in boxes:
                self.search(place, queue, write, box, needs, index)
        direct = [(other, needs[other]) for other in _QUEUES if needs[other] > clock[other]]
        events = [self.members[other][count - 1] for other, count in direct]
        kept = [
            (other, count)
            for (other, count), event in zip(direct, events, strict=True)
            if not any(self.clocks[e][other] >= count for e in events if e != event)
        ]
        for event in events:
            for other, count in enumerate(self.clocks[event]):
                clock[other] = max(clock[other], count)
        waits = [0] * len(QUEUES)
        for other, count in direct:
            clock[other] = max(clock[other], count)
        for other, count in kept:
            waits[other] = count
        self.clocks.append(clock)
        position = len(mine)
        mine.append(index)
        for place, write, boxes in touched:
            entries = (place.writes if write else place.reads)[queue]
            entries.extend(_Entry(position, box) for box in boxes)
            place.latest[queue] = position
        self.found.append((events, tuple(waits)))

    def touched(self, index: int, op: accel.InstructionOp) -> list[tuple[_Place, bool, tuple[Box, ...]]]:
        """What the instruction touches: place, whether it writes, absolute boxes. Constants are left out: nothing
        writes them."""
        name, fields = op.MNEMONIC, op.named()
        owners: dict[str, accel.MemoryOp] = {}
        for place, memory, offset in op.operands_in_memory():
            owners[place] = memory
            fields[place] = memory.at + offset
        found: list[tuple[_Place, bool, tuple[Box, ...]]] = []
        for access in accesses(name, fields, self.image_bytes):
            owner = owners[access.field]
            if isinstance(owner, accel.DramOp) and owner.kind.data in ("constant", "image"):
                continue
            entered = self.places.get(owner) or self.enter(owner)
            found.append((entered, access.write, access.boxes))
        for resource, write in resources(name, fields):
            state = self.places.setdefault(resource, _Place())
            state.last_use = len(self.instructions)
            found.append((state, write, (_WHOLE,)))
        return found

    def enter(self, owner: accel.MemoryOp) -> _Place:
        """A buffer or region is touched for the first time: find the earlier ones at the same addresses."""
        place = _Place(owner.at, owner.at + owner.nbytes, self.last_use[owner])
        self.places[owner] = place
        for other in self.placed[type(owner)].add(place):
            for queue in _QUEUES:
                place.neighbours[queue].append(other)
                other.neighbours[queue].append(place)
        return place

    def search(self, place: _Place, queue: int, write: bool, box: Box, needs: list[int], index: int) -> None:
        """Raise ``needs`` to the latest conflicting access of every other queue."""
        _scan(place, queue, write, box, needs)
        neighbours = place.neighbours[queue]
        if not neighbours:
            return
        done = False
        for other in neighbours:
            relevant = any(other.latest[q] >= needs[q] for q in _QUEUES if q != queue)
            if relevant:
                _scan(other, queue, write, box, needs)
            elif other.last_use < index:
                done = True
        if done:
            place.neighbours[queue] = [
                other
                for other in neighbours
                if other.last_use >= index or any(other.latest[q] >= needs[q] for q in _QUEUES if q != queue)
            ]


def _scan(place: _Place, queue: int, write: bool, box: Box, needs: list[int]) -> None:
    for other in _QUEUES:
        if other == queue or place.latest[other] < needs[other]:
            continue
        for entries in (place.writes[other], place.reads[other]) if write else (place.writes[other],):
            for entry in reversed(entries):
                if entry.position < needs[other]:
                    break
                if intersect(box, entry.box):
                    needs[other] = entry.position + 1
                    break
