"""Race detection while a program runs: exact on bytes, blind to time.

Two instructions race when they touch the same bytes of SRAM or DRAM, the same L1 half or the same configuration slot,
at least one writes, and neither is ordered before the other by queue order and waits. ``Order.happens_before`` gives
the ordering as vector clocks.

For every byte the sanitizer keeps, per queue, the position (counted from 1) of the last instruction that read it and of
the last that wrote it. A queue is in order, so when its last access is ordered before an instruction all its earlier
ones are: one comparison with a maximum per queue decides. Instructions execute in an order that respects the waits,
hence a race is found at the later of the two, whichever that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sim.engine import Engine, ignore
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import Order
from sim.memory import Box, Memory, Violation


@dataclass
class _State:
    """The last accesses of an L1 half or a configuration slot, per queue, counted from 1; 0 is never."""

    read: list[int] = field(default_factory=lambda: [0] * len(QUEUES))
    written: list[int] = field(default_factory=lambda: [0] * len(QUEUES))


class _Shadow:
    """The last accesses of the bytes low … high − 1 of a memory: per queue one array, made when it is first needed."""

    def __init__(self, low: int, high: int, kind: npt.DTypeLike) -> None:
        self.low = low
        self.high = high
        self.kind = kind
        self.last: dict[tuple[int, bool], npt.NDArray[np.unsignedinteger]] = {}

    def view(self, queue: int, write: bool, box: Box, make: bool) -> npt.NDArray[np.unsignedinteger] | None:
        """The positions kept for a box's bytes; None when there are none and none are to be made."""
        array = self.last.get((queue, write))
        if array is None:
            if not make:
                return None
            array = self.last[queue, write] = np.zeros(self.high - self.low, self.kind)
        return np.ndarray(
            (box.rows, box.columns, box.run),
            array.dtype,
            array,
            (box.start - self.low) * array.itemsize,
            (box.row_stride * array.itemsize, box.column_stride * array.itemsize, array.itemsize),
        )


class Sanitizer:
    """Watches an engine; ``begin`` names the instruction whose accesses come next. Raises Violation at a race."""

    def __init__(self, order: Order, engine: Engine) -> None:
        self.order = order
        self.index = -1
        longest = max((len(member) for member in order.members), default=0)
        kind = np.uint16 if longest < 2**16 else np.uint32
        self.shadows = {
            id(engine.sram): _Shadow(0, engine.sram.size, kind),
            id(engine.dram): _Shadow(*_stored(order, engine.dram.size), kind),
        }
        self.states: dict[str, _State] = {}
        engine.sram.observer = engine.dram.observer = self._memory
        engine.touch = self._state

    def leave(self, engine: Engine) -> None:
        """Watch no more."""
        engine.sram.observer = engine.dram.observer = None
        engine.touch = ignore

    def begin(self, index: int) -> None:
        """The instruction that executes next."""
        self.index = index
        self.queue = int(self.order.queue[index])
        self.position = int(self.order.position[index])
        self.clock: list[int] = self.order.happens_before[index].tolist()

    def _memory(self, memory: Memory, box: Box, write: bool) -> None:
        shadow = self.shadows[id(memory)]
        if box.end <= shadow.low or box.start >= shadow.high:
            return
        if box.start < shadow.low or box.end > shadow.high:
            for part in _clip(box, shadow.low, shadow.high):
                self._memory(memory, part, write)
            return
        for queue in range(len(QUEUES)):
            if queue == self.queue:
                continue
            for written in (True, False) if write else (True,):
                last = shadow.view(queue, written, box, make=False)
                if last is not None and int(last.max()) > self.clock[queue]:
                    row, column, byte = np.argwhere(last > self.clock[queue])[0].tolist()
                    address = box.start + row * box.row_stride + column * box.column_stride + byte
                    where = f"byte {address:#x} of {memory.name}"
                    raise self._race(queue, int(last[row, column, byte]), written, write, where)
        mine = shadow.view(self.queue, write, box, make=True)
        assert mine is not None
        mine[...] = self.position + 1

    def _state(self, resource: str, write: bool) -> None:
        state = self.states.setdefault(resource, _State())
        where = resource if resource.startswith("L1") else f"the {resource} configuration slot"
        for queue in range(len(QUEUES)):
            for written, last in ((True, state.written), (False, state.read)):
                if queue != self.queue and (written or write) and last[queue] > self.clock[queue]:
                    raise self._race(queue, last[queue], written, write, where)
        (state.written if write else state.read)[self.queue] = self.position + 1

    def _race(self, queue: int, position: int, written: bool, write: bool, where: str) -> Violation:
        other = int(self.order.members[queue][position - 1])
        here, there = ("writes" if write else "reads"), ("writes" if written else "reads")
        return Violation(
            f"a race: it {here} {where}, which {self.order.describe(other)} {there}, and no chain of waits orders "
            "the two; one of them must wait for the other."
        )


def _stored(order: Order, size: int) -> tuple[int, int]:
    """The range of DRAM that stores write; nothing outside it can race."""
    table = order.stream.tables[BY_NAME["store"].opcode]
    if not len(table):
        return 0, 0
    column = {name: table[name].astype(np.int64) for name in table.dtype.names or ()}
    ends = (
        column["dram"]
        + (column["count2"] - 1) * column["dram_stride2"]
        + (column["count1"] - 1) * column["dram_stride1"]
        + column["bytes"]
    )
    return int(column["dram"].min()), min(size, int(ends.max()))


def _clip(box: Box, low: int, high: int) -> list[Box]:
    """The runs of a box that lie in low … high − 1, as boxes of one run."""
    parts: list[Box] = []
    for row in range(box.rows):
        for column in range(box.columns):
            start = box.start + row * box.row_stride + column * box.column_stride
            first, stop = max(start, low), min(start + box.run, high)
            if first < stop:
                parts.append(Box(first, 1, 0, 1, 0, stop - first))
    return parts
