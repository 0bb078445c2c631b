"""Queues and waits of a program: which instruction comes before which, whatever the clock says.

``happens_before`` is the transitive closure of queue order and waits as vector clocks; ``linear`` is one order of
execution that respects it. Values do not depend on which such order is taken, as long as the program has no races.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine.assembly import line
from sim.machine.encoding import Stream
from sim.machine.errors import Fault
from sim.machine.isa import BY_OPCODE, QUEUES

Ints = npt.NDArray[np.int64]

QUEUE_NUMBER = {name: number for number, name in enumerate(QUEUES)}


@dataclass(frozen=True, eq=False)
class Order:
    """Queues of a stream of n instructions.

    ``queue`` int64[n] is each instruction's queue by number, ``position`` int64[n] its place in that queue, ``waits``
    int64[n, 5] its wait counts and ``members`` per queue the instructions in it, in order. ``layers`` names each
    instruction's layer for messages; it may be empty.
    """

    stream: Stream
    queue: Ints
    position: Ints
    waits: Ints
    members: tuple[Ints, ...]
    layers: tuple[str, ...] = ()

    def describe(self, index: int) -> str:
        """``instruction 7 of layer 'stem' (conv …)``: an instruction as messages name it."""
        text = line(self.stream.instruction(index).name, self.stream.fields(index))
        layer = f" of layer '{self.layers[index]}'" if self.layers else ""
        return f"instruction {index}{layer} ({text})"

    def fault(self, index: int, reason: str) -> Fault:
        """The Fault of an instruction: its number, its layer, its text and why the machine stops."""
        description = self.describe(index)
        return Fault(f"{description[0].upper()}{description[1:]} stops the machine: {reason}")

    @functools.cached_property
    def linear(self) -> Ints:
        """int64[n]: the instructions in an order of execution, the stream's own wherever the waits allow it.

        Raises Fault when a wait can never be met, naming the instructions that stand still.
        """
        n = len(self.stream)
        counts = np.zeros((n, len(QUEUES)), np.int64)
        if n:
            counts[np.arange(n), self.queue] = 1
            counts = np.cumsum(counts, axis=0) - counts
        if bool((self.waits <= counts).all()):
            return np.arange(n)
        return self._sort()

    def _sort(self) -> Ints:
        done = [0] * len(QUEUES)
        members = [member.tolist() for member in self.members]
        waits = self.waits.tolist()
        order: list[int] = []
        while len(order) < len(self.stream):
            ready = [
                members[queue][done[queue]]
                for queue in range(len(QUEUES))
                if done[queue] < len(members[queue])
                and all(need <= have for need, have in zip(waits[members[queue][done[queue]]], done, strict=True))
            ]
            if not ready:
                raise Fault(self._deadlock(done))
            first = min(ready)
            order.append(first)
            done[int(self.queue[first])] += 1
        return np.array(order, np.int64)

    def _deadlock(self, done: list[int]) -> str:
        stuck: list[str] = []
        for queue, count in enumerate(done):
            if count == len(self.members[queue]):
                continue
            index = int(self.members[queue][count])
            for other, need in enumerate(self.waits[index].tolist()):
                if need > done[other]:
                    has = len(self.members[other])
                    why = f"and its program has {has}" if need > has else f"and it stays at {done[other]}"
                    stuck.append(
                        f"{self.describe(index)} waits until queue {QUEUES[other]} has completed {need}, {why}"
                    )
        return "A wait can never be met: " + "; ".join(stuck) + "."

    @functools.cached_property
    def happens_before(self) -> Ints:
        """int64[n, 5]: how many instructions of each queue have certainly completed when an instruction starts.

        Instruction j is ordered before i exactly when ``position[j] < happens_before[i, queue[j]]``.
        """
        clocks = np.zeros((len(self.stream), len(QUEUES)), np.int64)
        for index in self.linear.tolist():
            clock = clocks[index]
            queue, position = int(self.queue[index]), int(self.position[index])
            if position:
                np.maximum(clock, clocks[self.members[queue][position - 1]], out=clock)
            for other, need in enumerate(self.waits[index].tolist()):
                if need:
                    np.maximum(clock, clocks[self.members[other][need - 1]], out=clock)
                    clock[other] = max(clock[other], need)
            clock[queue] = position
        return clocks


def order(stream: Stream, layers: tuple[str, ...] = ()) -> Order:
    """Queues, positions and waits of a decoded stream; ``layers`` may name each instruction's layer."""
    n = len(stream)
    queue_of = np.zeros(256, np.int64)
    for opcode, row in BY_OPCODE.items():
        queue_of[opcode] = QUEUE_NUMBER[row.queue]
    queue = queue_of[stream.opcodes]
    waits = np.zeros((n, len(QUEUES)), np.int64)
    for opcode, table in stream.tables.items():
        where = stream.indices(opcode)
        for number, name in enumerate(QUEUES):
            waits[where, number] = table[f"wait.{name}"]
    members = tuple(np.flatnonzero(queue == number) for number in range(len(QUEUES)))
    position = np.zeros(n, np.int64)
    for member in members:
        position[member] = np.arange(len(member))
    return Order(stream, queue, position, waits, members, layers)
