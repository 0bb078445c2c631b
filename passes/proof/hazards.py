"""A proof, from a program file's instructions alone, that nothing in it depends on time.

For straight-line programs this is decidable and exact: every wait can be met; any two instructions that touch a common
byte, L1 half or configuration slot, one of them writing, are ordered by queues and waits; and nothing is read before it
is written. Nothing here knows how the waits were found.

Races are looked for among concurrent pairs only. For an instruction of queue A, those of queue B that are neither
ordered before nor after it are one contiguous stretch of B (both orders are monotone along a queue), so all candidate
pairs come from two bisections per instruction; memory is cut into pages, so that only accesses near each other meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passes.proof.touched import DRAM, SPACES, SRAM, STATE, STATES, Touched, touched
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.errors import ReconError
from sim.machine.frame_order import FrameOrder
from sim.machine.isa import BY_OPCODE, MOST_READ, QUEUES

Ints = npt.NDArray[np.int64]
Naming = Callable[[int], str]

_PAGE = 16
"""Bits of an address within a page."""
_BATCH = 1 << 20
"""Candidate pairs looked at at once."""


class HazardError(ReconError):
    """A program whose result would depend on time, or that would stop."""


@dataclass(frozen=True)
class DramMap:
    """What is in DRAM before the program runs and what must be written when it ends: intervals [start, end)."""

    dram_bytes: int
    written: Sequence[tuple[int, int]]
    outputs: Sequence[tuple[int, int]]


def prove(
    stream: Stream,
    machine: Machine,
    dram: DramMap,
    name: Naming | None = None,
    line: FrameOrder | None = None,
) -> Sequence[int]:
    """HazardError for a wait that cannot be met, a race, a byte read before it is written or an output left unwritten.

    Returns one order of execution, which stands for all. ``name`` says an instruction's provenance in messages (its
    layer), given its index. ``line`` says that the stream is frames spelled out, with waits of its own; messages then
    name the instructions of the text.
    """
    proof = _Proof(stream, machine, dram, name or (lambda _: ""), line)
    proof.order()
    proof.ranges()
    proof.races()
    proof.unwritten()
    return proof.sequence


def label(stream: Stream, index: int, name: Naming, line: FrameOrder | None = None) -> str:
    """``instruction 12 (conv, layer c1, frame 1)``."""
    parts = [stream.instruction(index).name, f"layer {name(index)}" if name(index) else ""]
    if line is not None:
        frame = int(line.frame[index])
        parts.append(f"frame {frame}" if frame >= 0 else "prologue")
    number = index if line is None else int(line.text[index])
    return f"instruction {number} ({', '.join(filter(None, parts))})"


class _Proof:
    def __init__(self, stream: Stream, machine: Machine, dram: DramMap, name: Naming, line: FrameOrder | None):
        self.stream = stream
        self.line = line
        self.machine = machine
        self.dram = dram
        self.name = name
        n = len(stream)
        number = np.zeros(256, np.int64)
        for opcode, row in BY_OPCODE.items():
            number[opcode] = QUEUES.index(row.queue)
        self.queue: Ints = number[stream.opcodes]
        self.members = [np.flatnonzero(self.queue == queue) for queue in range(len(QUEUES))]
        self.position = np.zeros(n, np.int64)
        for member in self.members:
            self.position[member] = np.arange(len(member))
        self.waits = np.zeros((n, len(QUEUES)), np.int64)
        for opcode, table in stream.tables.items():
            where = stream.indices(opcode)
            for queue, text in enumerate(QUEUES):
                self.waits[where, queue] = table[f"wait.{text}"]
        if line is not None:
            self.waits = line.waits
        self.touched: Touched = touched(stream, machine.configuration.image_bytes)
        self.clock: Ints = np.zeros((n, len(QUEUES)), np.int64)
        self.sequence: list[int] = []

    def label(self, index: int) -> str:
        """``instruction 12 (conv, layer c1)``."""
        return label(self.stream, index, self.name, self.line)

    # ------------------------------------------------------------------------------------------------------ order

    def order(self) -> None:
        """A sequence that respects queues and waits, and what each instruction knows to be completed at its start."""
        members = [member.tolist() for member in self.members]
        waits = [[(q, need) for q, need in enumerate(row) if need] for row in self.waits.tolist()]
        queues = self.queue.tolist()
        clocks: list[list[int]] = [[0] * len(QUEUES) for _ in queues]
        done = [0] * len(QUEUES)
        moved = True
        while moved:
            moved = False
            for queue in range(len(QUEUES)):
                mine = members[queue]
                while done[queue] < len(mine) and all(done[q] >= need for q, need in waits[mine[done[queue]]]):
                    index = mine[done[queue]]
                    before = list(clocks[mine[done[queue] - 1]]) if done[queue] else [0] * len(QUEUES)
                    for other, need in waits[index]:
                        before = list(map(max, before, clocks[members[other][need - 1]]))
                        before[other] = max(before[other], need)
                    before[queue] = done[queue]
                    clocks[index] = before
                    self.sequence.append(index)
                    done[queue] += 1
                    moved = True
        if len(self.sequence) < len(queues):
            raise HazardError(self._deadlock(done))
        self.clock = np.array(clocks, np.int64).reshape(len(queues), len(QUEUES))

    def _deadlock(self, done: list[int]) -> str:
        stuck: list[str] = []
        for queue, count in enumerate(done):
            if count == len(self.members[queue]):
                continue
            index = int(self.members[queue][count])
            for other, need in enumerate(self.waits[index].tolist()):
                if need > done[other]:
                    has = len(self.members[other])
                    why = f"there are {has}" if need > has else f"only {done[other]} ever do"
                    stuck.append(
                        f"{self.label(index)} waits for {need} instructions of the queue {QUEUES[other]} to "
                        f"complete, and {why}"
                    )
        return "The program stands still: " + "; ".join(stuck) + "."

    # ----------------------------------------------------------------------------------------------------- ranges

    def ranges(self) -> None:
        """Every access lies in its memory, writes no byte twice for want of room, and reads none without end."""
        t = self.touched
        limits = np.array([self.machine.sram.bytes, self.dram.dram_bytes, len(STATES)])
        bad = np.flatnonzero(t.end > limits[t.space])
        if len(bad):
            at = int(bad[0])
            raise HazardError(
                f"The program leaves the machine: {self.label(int(t.instruction[at]))} touches bytes up to "
                f"{int(t.end[at]) - 1:#x} of {SPACES[t.space[at]]}, which has {int(limits[t.space[at]]):#x}."
            )
        named = t.rows.astype(np.float64) * t.columns * t.run  # beyond 2**63 there are counts, too
        most = np.maximum(MOST_READ, limits)[t.space]
        for at in np.flatnonzero(named > np.where(t.write, t.end - t.start, most)).tolist()[:1]:
            why = "writes some bytes twice: its strides let its own runs overlap"
            if not t.write[at]:
                count = int(t.rows[at]) * int(t.columns[at]) * int(t.run[at])
                what = f"reads {count:,} bytes of {SPACES[t.space[at]]}"
                why = f"{what}, and no instruction may read more than {int(most[at]):,}"
            raise HazardError(f"The program stops the machine: {self.label(int(t.instruction[at]))} {why}.")

    # ------------------------------------------------------------------------------------------------------ races

    def races(self) -> None:
        """No two unordered instructions touch a common byte, one of them writing."""
        t = self.touched
        useful = np.ones(len(t.start), np.bool_)
        for space in range(len(SPACES)):
            here = t.space == space
            writes = here & t.write
            low = int(t.start[writes].min()) if writes.any() else 0
            high = int(t.end[writes].max()) if writes.any() else 0
            useful &= ~here | ((t.end > low) & (t.start < high))
        entries, pages = _paged(t, np.flatnonzero(useful))
        queue = self.queue[t.instruction[entries]]
        for first in range(len(QUEUES)):
            for second in range(first + 1, len(QUEUES)):
                a, b = queue == first, queue == second
                if a.any() and b.any():
                    self._races(first, second, (entries[a], pages[a]), (entries[b], pages[b]))

    def _races(self, first: int, second: int, a: tuple[Ints, Ints], b: tuple[Ints, Ints]) -> None:
        t = self.touched
        length = len(self.members[second]) + 1
        keys = b[1] * length + self.position[t.instruction[b[0]]]
        order = np.argsort(keys, kind="stable")
        keys, others = keys[order], b[0][order]
        mine = t.instruction[a[0]]
        begin = self.clock[mine, second]
        stop = np.searchsorted(self.clock[self.members[second], first], self.position[mine], side="right")
        low = np.searchsorted(keys, a[1] * length + begin)
        high = np.maximum(low, np.searchsorted(keys, a[1] * length + stop))
        for left, right in _pairs(a[0], low, high):
            there = others[right]
            near = (t.start[left] < t.end[there]) & (t.start[there] < t.end[left]) & (t.write[left] | t.write[there])
            for x, y in zip(left[near].tolist(), there[near].tolist(), strict=True):
                common = t.common(x, y)
                if common is not None:
                    raise HazardError(self._race(x, y, common))

    def _race(self, x: int, y: int, byte: int) -> str:
        t = self.touched
        if t.instruction[x] > t.instruction[y]:
            x, y = y, x
        verbs = ["writes" if t.write[i] else "reads" for i in (x, y)]
        low, high = max(int(t.start[x]), int(t.start[y])), min(int(t.end[x]), int(t.end[y]))
        where = (
            f"{STATES[byte]}"
            if t.space[x] == STATE
            else f"byte {byte:#x} of {SPACES[t.space[x]]} (they meet between {low:#x} and {high - 1:#x})"
        )
        return (
            f"The program has a race: {self.label(int(t.instruction[x]))} {verbs[0]} and "
            f"{self.label(int(t.instruction[y]))} {verbs[1]} {where}, and no chain of waits orders the two."
        )

    # -------------------------------------------------------------------------------------------------- unwritten

    def unwritten(self) -> None:
        """Nothing is read before it is written, and every output is written in the end.

        Without races the order of execution does not matter, so one order decides.
        """
        t = self.touched
        fixed = max((end for start, end in self.dram.written if start == 0), default=0)
        dram = np.zeros(self.dram.dram_bytes, np.bool_)
        for start, end in self.dram.written:
            dram[start:end] = True
        known = {SRAM: np.zeros(self.machine.sram.bytes, np.bool_), DRAM: dram, STATE: np.zeros(len(STATES), np.bool_)}
        order = np.empty(len(self.stream), np.int64)
        order[self.sequence] = np.arange(len(self.stream))
        steps = np.lexsort((t.write, order[t.instruction]))
        for at in steps.tolist():
            space = int(t.space[at])
            view = t.view(known[space], at)
            if t.write[at]:
                view[...] = True
            elif not (space == DRAM and t.end[at] <= fixed) and not view.all():
                raise HazardError(self._unwritten(at, view))
        for start, end in self.dram.outputs:
            if not dram[start:end].all():
                byte = start + int(np.flatnonzero(~dram[start:end])[0])
                raise HazardError(f"The program ends and byte {byte:#x} of DRAM, in an output, was never written.")

    def _unwritten(self, at: int, view: npt.NDArray[np.bool_]) -> str:
        t = self.touched
        row, column, byte = np.argwhere(~view)[0].tolist()
        address = int(t.start[at] + row * t.row_stride[at] + column * t.column_stride[at] + byte)
        where = STATES[address] if t.space[at] == STATE else f"byte {address:#x} of {SPACES[t.space[at]]}"
        return f"The program reads what it has not written: {self.label(int(t.instruction[at]))} reads {where}."


def _paged(t: Touched, entries: Ints) -> tuple[Ints, Ints]:
    """Every access once per page it spans; a page's number counts in its space."""
    first = t.start[entries] >> _PAGE
    count = ((t.end[entries] - 1) >> _PAGE) - first + 1
    repeated = np.repeat(entries, count)
    offset = np.arange(len(repeated)) - np.repeat(np.cumsum(count) - count, count)
    return repeated, (np.repeat(first, count) + offset) * len(SPACES) + t.space[repeated]


def _pairs(left: Ints, low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """(left[i], j) for every i and j in [low[i], high[i]), in batches."""
    count = high - low
    bounds = np.cumsum(count)
    begin = 0
    while begin < len(left):
        base = int(bounds[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(bounds, base + _BATCH, side="right")))
        part = count[begin:end]
        total = int(part.sum())
        if total:
            offset = np.arange(total) - np.repeat(np.cumsum(part) - part, part)
            yield np.repeat(left[begin:end], part), np.repeat(low[begin:end], part) + offset
        begin = end
