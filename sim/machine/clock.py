"""The clock: when each instruction starts and completes, by the laws of time, whatever values flow.

Array, weights and vector instructions start when their queue and their waits allow and complete after their busy
cycles. Loads and stores take the one DRAM channel in order of readiness (ties: load first), after a turn when the
direction changes; the next of the queue is ready when a transfer leaves the channel, and it completes one latency
later. A ``load_config`` from SRAM does not take the channel; it reads SRAM, so it starts when everything before it in
the load queue has *completed*.

The configuration of a ``conv`` is the one its half was last laid out for: a program in which that is not also the
active one faults when it is executed.

**Where the cycles go.** Every start is the completion of another instruction, or the moment a transfer left the
channel, or cycle 0; that instruction is the start's *cause*. Walking back from the last completion along the causes
therefore covers every cycle of [0, cycles) exactly once (``critical``): each instruction on the way is charged from its
own start to its completion, or, where the next one only waited for the channel, to the moment it left the channel. Turn
and latency are the transfer's own. The charge goes to the instruction's binding term: for a ``conv`` the longest of its
four streams (compute, then input, then output, then the residual, which is input, at a tie), overheads included. There
are no gaps to charge to waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine import laws
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.isa import BY_NAME, QUEUES, VECTOR_OPS
from sim.machine.operations import operation
from sim.machine.order import Ints, Order, order

TERMS = ("compute", "input", "output", "weights", "vector", "dram", "reconfiguration")
"""What can bind an instruction's busy time, by number."""

_COMPUTE, _INPUT, _OUTPUT, _WEIGHTS, _VECTOR, _DRAM, _RECONFIGURATION = range(len(TERMS))
_LOAD, _STORE = QUEUES.index("load"), QUEUES.index("store")
_ENGINES = [QUEUES.index(name) for name in ("weights", "array", "vector")]


@dataclass(frozen=True, eq=False)
class Costs:
    """What each of n instructions asks of the machine; int64[n] each.

    ``busy`` cycles of its engine or of the channel; ``term`` (an index of TERMS) what binds them; ``channel`` whether
    it takes the DRAM channel; ``dram_bytes`` moved there, ``bursts`` touched; ``sram_read`` and ``sram_written`` bytes
    of its streams as the laws count them; of a ``conv`` also ``compute``, the cycles its multiplications keep the
    array, and ``winograd``, whether they are those of that algorithm.
    """

    busy: Ints
    term: Ints
    channel: npt.NDArray[np.bool_]
    dram_bytes: Ints
    bursts: Ints
    sram_read: Ints
    sram_written: Ints
    compute: Ints
    winograd: npt.NDArray[np.bool_]

    def only(self, which: npt.NDArray[Any]) -> Costs:
        """Those of some instructions, by a mask or by numbers."""
        return Costs(*(getattr(self, name)[which] for name in Costs.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Timeline:
    """When n instructions ran; int64[n] each, in cycles.

    ``start`` (a transfer: when the channel is its own, the turn included), ``taken`` (start, plus the turn of a
    transfer), ``leave`` (when engine or channel is free again), ``end`` (completion). ``cause`` is the instruction that
    the start waited for last, −1 for none; ``by_leave`` whether it waited for it to leave rather than to complete.
    """

    start: Ints
    taken: Ints
    leave: Ints
    end: Ints
    cause: Ints
    by_leave: npt.NDArray[np.bool_]
    costs: Costs

    def only(self, which: npt.NDArray[Any]) -> Timeline:
        """When some instructions ran; their causes stay numbers in the whole."""
        start, taken, leave, end, cause = (c[which] for c in (self.start, self.taken, self.leave, self.end, self.cause))
        return Timeline(start, taken, leave, end, cause, self.by_leave[which], self.costs.only(which))

    @property
    def cycles(self) -> int:
        """The last completion."""
        return int(self.end.max(initial=0))

    def critical(self) -> list[tuple[int, int, int]]:
        """(instruction, from, to): stretches that cover [0, cycles) without gap or overlap, earliest first."""
        chain: list[tuple[int, int, int]] = []
        index = int(self.end.argmax()) if len(self.end) else -1
        until = self.cycles
        while index >= 0:
            start = int(self.start[index])
            if until > start:
                chain.append((index, start, until))
            until = min(until, start)
            index = int(self.cause[index])
        return chain[::-1]


def costs(machine: Machine, order: Order) -> Costs:
    """The cost of every instruction, by the laws, computed in bulk; Fault when a conv's half was never filled."""
    stream = order.stream
    n = len(stream)
    busy, term, dram_bytes, bursts, sram_read, sram_written, compute = np.zeros((7, n), np.int64)
    channel, winograd = np.zeros((2, n), np.bool_)
    result = Costs(busy, term, channel, dram_bytes, bursts, sram_read, sram_written, compute, winograd)
    _copy_costs(machine, stream, result)
    _fill_costs(machine, stream, result)
    _conv_costs(machine, order, result)
    _vector_costs(machine, stream, result)
    where = stream.indices(BY_NAME["configure"].opcode)
    result.busy[where] = laws.configure(machine)
    result.term[where] = _RECONFIGURATION
    return result


def _columns(stream: Stream, name: str, *fields: str) -> tuple[Ints, list[Ints]]:
    """Where the instructions of one kind stand, and some of their fields as int64 columns."""
    opcode = BY_NAME[name].opcode
    table = stream.tables[opcode]
    return stream.indices(opcode), [table[field].astype(np.int64) for field in fields]


def _copy_costs(machine: Machine, stream: Stream, result: Costs) -> None:
    burst = machine.dram.burst
    names = ("dram", "bytes", "count1", "dram_stride1", "count2", "dram_stride2")
    for name in ("load", "store"):
        where, columns = _columns(stream, name, *names)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        moves = [laws.transfer(burst, *row) for row in rows]
        runs = np.array([move.runs for move in moves], np.int64)
        result.bursts[where] = [move.bursts for move in moves]
        result.dram_bytes[where] = [move.bytes for move in moves]
        result.busy[where] = laws.channel(machine, runs, result.bursts[where])
        result.channel[where] = True
        result.term[where] = _DRAM
        (result.sram_written if name == "load" else result.sram_read)[where] = result.dram_bytes[where]
    where, (space, address) = _columns(stream, "load_config", "space", "address")
    size = machine.configuration.image_bytes
    bursts = np.where(space == 0, (address + size - 1) // burst - address // burst + 1, 0)
    result.bursts[where] = bursts
    result.dram_bytes[where] = np.where(space == 0, size, 0)
    result.sram_read[where] = np.where(space == 0, 0, size)
    result.channel[where] = space == 0
    result.busy[where] = np.where(space == 0, laws.channel(machine, 1, bursts), machine.configuration.sram_load)
    result.term[where] = _RECONFIGURATION


def _fill_costs(machine: Machine, stream: Stream, result: Costs) -> None:
    where, columns = _columns(stream, "fill", "groups", "outputs", "inputs", "fy", "fx")
    size = np.prod(columns, axis=0, dtype=np.int64)
    result.busy[where] = laws.fill(machine, size)
    result.term[where] = _WEIGHTS
    result.sram_read[where] = size


def _conv_costs(machine: Machine, order: Order, result: Costs) -> None:
    stream = order.stream
    names = ("groups", "outputs", "inputs", "fy", "fx", "sx", "dx", "oy", "ox", "last", "residual")
    where, columns = _columns(stream, "conv", *names)
    if not len(where):
        return
    layout = _layouts(order, where)
    asked = dict(zip(names, columns, strict=True))
    cost = laws.conv(machine, winograd=layout[0], g=layout[1], k=layout[2], r=layout[3], p=layout[4], **asked)
    streams = np.stack([cost.compute, cost.input, cost.output, cost.residual])
    result.busy[where] = cost.busy
    result.term[where] = np.array([_COMPUTE, _INPUT, _OUTPUT, _INPUT])[streams.argmax(axis=0)]
    result.sram_read[where] = cost.input_bytes + cost.residual_bytes
    result.sram_written[where] = cost.output_bytes
    result.compute[where] = cost.compute
    result.winograd[where] = layout[0] == 1


def _layouts(order: Order, where: Ints) -> list[Ints]:
    """Algorithm, g, k, r and p that the half of each conv was last laid out for, in execution order."""
    stream = order.stream
    place = np.empty(len(stream), np.int64)
    place[order.linear] = np.arange(len(stream))
    fills, (half_of_fill, *layouts) = _columns(stream, "fill", "half", "algorithm", "g", "k", "r", "p")
    (half_of_conv,) = _columns(stream, "conv", "half")[1]
    chosen = np.zeros(len(where), np.int64)
    for half in (0, 1):
        rows = np.flatnonzero(half_of_fill == half)
        mine = np.flatnonzero(half_of_conv == half)
        last = np.searchsorted(place[fills[rows]], place[where[mine]]) - 1
        if (last < 0).any():
            index = int(where[mine[int(np.flatnonzero(last < 0)[0])]])
            raise order.fault(index, f"half {half} of L1 is empty; a fill must come before.")
        if len(mine):
            chosen[mine] = rows[last]
    return [column[chosen] for column in layouts]


def _vector_costs(machine: Machine, stream: Stream, result: Costs) -> None:
    names = ("oy", "ox", "channels", "fy", "fx", "sy", "sx", "iy", "ix")
    where, (op, *columns) = _columns(stream, "vector", "op", *names)
    for number in np.unique(op).tolist():
        mine = np.flatnonzero(op == number)
        asked = {name: column[mine] for name, column in zip(names, columns, strict=True)}
        busy = laws.vector(machine, VECTOR_OPS[number], **asked)
        result.busy[where[mine]] = busy
        written = asked["oy"] * asked["ox"] * laws.GRANULE * laws.ceil_div(asked["channels"], laws.GRANULE)
        operands = 2 if operation(VECTOR_OPS[number]).binary else 1
        elements = (busy - machine.streams.vector_overhead) * machine.streams.vector
        result.sram_read[where[mine]] = operands * elements
        result.sram_written[where[mine]] = written
    result.term[where] = _VECTOR


class _Walk:
    """The state of one walk through the program: queue heads, engines and channel."""

    def __init__(self, machine: Machine, order: Order, cost: Costs) -> None:
        n = len(order.stream)
        self.machine = machine
        self.members = [member.tolist() for member in order.members]
        self.waits = [
            [(queue, need) for queue, need in enumerate(row) if need] if any(row) else []
            for row in order.waits.tolist()
        ]
        self.busy: list[int] = cost.busy.tolist()
        self.takes_channel: list[bool] = cost.channel.tolist()
        self.head = [0] * len(QUEUES)
        self.start, self.taken, self.leave, self.end, self.cause = ([0] * n for _ in range(5))
        self.by_leave = [False] * n
        self.channel_free = 0
        self.channel_user = -1
        self.channel_queue = _LOAD

    def waiting(self, queue: int) -> int | None:
        """The head of a queue if its waits are resolved."""
        position = self.head[queue]
        if position == len(self.members[queue]):
            return None
        index = self.members[queue][position]
        for other, need in self.waits[index]:
            if self.head[other] < need:
                return None
        return index

    def readiness(self, queue: int, index: int, *, completed: bool = False) -> tuple[int, int, bool]:
        """(cycle, cause, by_leave) from which an instruction's queue and waits allow it to start."""
        time, cause, by_leave = 0, -1, False
        position = self.head[queue]
        if position:
            cause = self.members[queue][position - 1]
            time, by_leave = (self.end[cause], False) if completed else (self.leave[cause], True)
        for other, need in self.waits[index]:
            waited = self.members[other][need - 1]
            if self.end[waited] > time:
                time, cause, by_leave = self.end[waited], waited, False
        return time, cause, by_leave

    def engine(self, queue: int, index: int) -> None:
        """Start and complete an instruction that does not take the channel."""
        ready = self.readiness(queue, index, completed=queue == _LOAD)
        self.start[index], self.cause[index], self.by_leave[index] = ready
        self.taken[index] = ready[0]
        self.leave[index] = self.end[index] = ready[0] + self.busy[index]
        self.head[queue] += 1

    def transfer(self, queue: int, index: int, ready: tuple[int, int, bool]) -> None:
        """Give the channel to a load or store."""
        if self.channel_free > ready[0]:
            ready = (self.channel_free, self.channel_user, True)
        turn = self.machine.dram.turn if queue != self.channel_queue else 0
        self.start[index], self.cause[index], self.by_leave[index] = ready
        self.taken[index] = ready[0] + turn
        self.leave[index] = self.taken[index] + self.busy[index]
        self.end[index] = self.leave[index] + self.machine.dram.latency
        self.channel_free, self.channel_user, self.channel_queue = self.leave[index], index, queue
        self.head[queue] += 1

    def advance(self) -> bool:
        """Run everything that needs no channel as far as it goes; whether anything ran."""
        moved = False
        for queue in (*_ENGINES, _LOAD):
            while (index := self.waiting(queue)) is not None and not self.takes_channel[index]:
                self.engine(queue, index)
                moved = True
        return moved

    def arbitrate(self) -> None:
        """Give the channel to the transfer that is ready first.

        A head whose waits are open depends on a transfer that has not run, so it becomes ready after those that are.
        """
        heads = [(queue, self.waiting(queue)) for queue in (_LOAD, _STORE)]
        ready = [(self.readiness(queue, index), queue, index) for queue, index in heads if index is not None]
        first = min(ready, key=lambda candidate: (candidate[0][0], candidate[1]))
        self.transfer(first[1], first[2], first[0])


def run(machine: Machine, stream: Stream, *, queues: Order | None = None, cost: Costs | None = None) -> Timeline:
    """Run the clock over a decoded stream (or its ``Order``, and what its instructions cost, if they are known).

    Fault when a wait can never be met, naming the instructions that stand still.
    """
    queues = queues or order(stream)
    n = len(queues.linear)
    cost = cost or costs(machine, queues)
    walk = _Walk(machine, queues, cost)
    while sum(walk.head) < n:
        while walk.advance():
            pass
        if sum(walk.head) < n:
            walk.arbitrate()
    start, taken, leave, end, cause = np.array([walk.start, walk.taken, walk.leave, walk.end, walk.cause], np.int64)
    return Timeline(start, taken, leave, end, cause, np.array(walk.by_leave, np.bool_), cost)


def attribute(
    timeline: Timeline, layer_of: npt.NDArray[np.uint32], layers: int, within: tuple[int, int] | None = None
) -> Ints:
    """int64[layers, terms]: cycles of the critical chain by layer and term, those of [from, to) where ``within`` says
    so; they add up to ``timeline.cycles``, or to the cycles within."""
    shares = np.zeros((layers, len(TERMS)), np.int64)
    first, end = within or (0, timeline.cycles)
    for index, start, stop in timeline.critical():
        share = min(stop, end) - max(start, first)
        if share > 0:
            shares[int(layer_of[index]), int(timeline.costs.term[index])] += share
    return shares
