"""The clock: when each instruction starts and completes, by the laws of time, whatever values flow.

Array, weights and vector instructions start when their queue and their waits allow and complete after their busy
cycles. Loads and stores take the one DRAM channel in order of readiness (ties: load first), after a turn when the
direction changes; the next of the queue is ready when a transfer leaves the channel, and it completes one latency
later. A ``load_config`` from SRAM does not take the channel; it reads SRAM, so it starts when everything before it in
the load queue has *completed*. A text that the instruction memory does not hold is fetched over the same channel
(``text``); an instruction then starts once all of it has come.

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
from sim.machine.errors import Fault
from sim.machine.isa import BY_NAME, QUEUES, VECTOR_OPS
from sim.machine.operations import operation
from sim.machine.order import Ints, Order, order
from sim.machine.text import AHEAD, Pieces, pieces

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
class Fetches:
    """The fetches of a text, in order; int64[m] each: ``start``, ``taken``, ``leave``, ``end`` and ``cause`` as of
    instructions, ``first`` the first instruction in each, ``busy``, ``bytes`` and ``bursts`` on the channel."""

    start: Ints
    taken: Ints
    leave: Ints
    end: Ints
    cause: Ints
    first: Ints
    busy: Ints
    bytes: Ints
    bursts: Ints


@dataclass(frozen=True, eq=False)
class Timeline:
    """When n instructions ran; int64[n] each, in cycles, and the m ``fetches`` of their text (0 of one that is held).

    ``start`` (a transfer: when the channel is its own, the turn included), ``taken`` (start, plus the turn of a
    transfer), ``leave`` (when engine or channel is free again), ``end`` (completion). ``cause`` is the instruction (n +
    j: the fetch j) that the start waited for last, −1 for none; ``by_leave`` whether it waited for it to leave rather
    than to complete.
    """

    start: Ints
    taken: Ints
    leave: Ints
    end: Ints
    cause: Ints
    by_leave: npt.NDArray[np.bool_]
    costs: Costs
    fetches: Fetches

    def only(self, which: npt.NDArray[Any]) -> Timeline:
        """When some instructions ran; their causes stay numbers in the whole."""
        start, taken, leave, end, cause = (c[which] for c in (self.start, self.taken, self.leave, self.end, self.cause))
        return Timeline(start, taken, leave, end, cause, self.by_leave[which], self.costs.only(which), self.fetches)

    @property
    def cycles(self) -> int:
        """The last completion."""
        return int(self.end.max(initial=0))

    def critical(self) -> list[tuple[int, int, int]]:
        """(instruction, from, to): stretches that cover [0, cycles) without gap or overlap, earliest first.

        Number n + j is the fetch j.
        """
        start = np.concatenate((self.start, self.fetches.start))
        cause = np.concatenate((self.cause, self.fetches.cause))
        chain: list[tuple[int, int, int]] = []
        index = int(self.end.argmax()) if len(self.end) else -1
        until = self.cycles
        while index >= 0:
            begin = int(start[index])
            if until > begin:
                chain.append((index, begin, until))
            until = min(until, begin)
            index = int(cause[index])
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
    """The state of one walk through the program: queue heads, engines and channel, and how much of the text has come.

    Fetch j of a text that is fetched stands behind the n instructions, as number n + j.
    """

    def __init__(self, machine: Machine, order: Order, cost: Costs, text: Pieces | None) -> None:
        n = len(order.stream)
        fetches = len(text.busy) if text is not None else 0
        self.instructions = n
        self.text = text
        self.fetched = 0
        self.until: list[int] = text.until.tolist() if text is not None else []
        self.since: list[int] = text.since.tolist() if text is not None else []
        self.undone = np.zeros(fetches, np.int64)
        for touched in (text.since, text.until) if text is not None else ():
            np.add.at(self.undone, touched, 1)
        self.ran = [False] * n
        self.last: list[int] = [-1] * fetches
        """Of each piece, the instruction in it that completes last, of those that have run."""
        self.machine = machine
        self.members = [member.tolist() for member in order.members]
        self.waits = [
            [(queue, need) for queue, need in enumerate(row) if need] if any(row) else []
            for row in order.waits.tolist()
        ]
        self.busy: list[int] = cost.busy.tolist() + (text.busy.tolist() if text is not None else [])
        self.takes_channel: list[bool] = cost.channel.tolist()
        self.head = [0] * len(QUEUES)
        self.start, self.taken, self.leave, self.end, self.cause = ([0] * (n + fetches) for _ in range(5))
        self.by_leave = [False] * (n + fetches)
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
        if self.text is not None and self.until[index] >= self.fetched:
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
        if self.text is not None and self.end[came := self.instructions + self.until[index]] > time:
            time, cause, by_leave = self.end[came], came, False
        return time, cause, by_leave

    def fetch(self) -> tuple[int, int, bool] | None:
        """(cycle, cause, by_leave) from which the next fetch may take the channel; None if that is not known yet, or
        nothing is left to fetch."""
        text, piece = self.text, self.fetched
        if text is None or piece == len(text.busy):
            return None
        time, cause, by_leave = 0, -1, False
        if piece:
            cause = self.instructions + piece - 1
            time, by_leave = self.leave[cause], True
        if piece >= AHEAD:
            opens = int(text.first[piece - AHEAD])
            if not self.ran[opens]:
                return None
            if self.start[opens] > time:
                time, cause, by_leave = self.start[opens], opens, True
        if piece >= text.window:
            if self.undone[piece - text.window]:
                return None
            last = self.last[piece - text.window]
            if self.end[last] > time:
                time, cause, by_leave = self.end[last], last, False
        return time, cause, by_leave

    def done(self, index: int) -> None:
        """Count an instruction that has run to the pieces of text it lies in."""
        if self.text is None:
            return
        self.ran[index] = True
        for piece in (self.since[index], self.until[index]):
            self.undone[piece] -= 1
            if self.last[piece] < 0 or self.end[index] > self.end[self.last[piece]]:
                self.last[piece] = index

    def engine(self, queue: int, index: int) -> None:
        """Start and complete an instruction that does not take the channel."""
        ready = self.readiness(queue, index, completed=queue == _LOAD)
        self.start[index], self.cause[index], self.by_leave[index] = ready
        self.taken[index] = ready[0]
        self.leave[index] = self.end[index] = ready[0] + self.busy[index]
        self.head[queue] += 1
        self.done(index)

    def transfer(self, queue: int, index: int, ready: tuple[int, int, bool]) -> None:
        """Give the channel to a load, a store or (as a load) a fetch."""
        if self.channel_free > ready[0]:
            ready = (self.channel_free, self.channel_user, True)
        turn = self.machine.dram.turn if queue != self.channel_queue else 0
        self.start[index], self.cause[index], self.by_leave[index] = ready
        self.taken[index] = ready[0] + turn
        self.leave[index] = self.taken[index] + self.busy[index]
        self.end[index] = self.leave[index] + self.machine.dram.latency
        self.channel_free, self.channel_user, self.channel_queue = self.leave[index], index, queue
        if index >= self.instructions:
            self.fetched += 1
            return
        self.head[queue] += 1
        self.done(index)

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
        if (come := self.fetch()) is not None:
            ready.insert(0, (come, _LOAD, self.instructions + self.fetched))
        if not ready:
            raise Fault(
                "The program stands still: an instruction waits for one so far behind it in the text that the "
                "instruction memory, a window on it, does not get there; waits must name what stands before them."
            )
        first = min(ready, key=lambda candidate: (candidate[0][0], candidate[1]))
        self.transfer(first[1], first[2], first[0])


def run(
    machine: Machine,
    stream: Stream,
    *,
    queues: Order | None = None,
    cost: Costs | None = None,
    fetched: bool = False,
) -> Timeline:
    """Run the clock over a decoded stream (or its ``Order``, and what its instructions cost, if they are known), its
    text held in the instruction memory or ``fetched``.

    Fault when a wait can never be met, naming the instructions that stand still.
    """
    queues = queues or order(stream)
    n = len(queues.linear)
    cost = cost or costs(machine, queues)
    text = pieces(machine, stream) if fetched else None
    walk = _Walk(machine, queues, cost, text)
    while sum(walk.head) < n:
        while walk.advance():
            pass
        if sum(walk.head) < n:
            walk.arbitrate()
    start, taken, leave, end, cause = np.array([walk.start, walk.taken, walk.leave, walk.end, walk.cause], np.int64)
    about = (text.first, text.busy, text.bytes, text.bursts) if text is not None else np.zeros((4, 0), np.int64)
    fetches = Fetches(start[n:], taken[n:], leave[n:], end[n:], cause[n:], *about)
    by_leave = np.array(walk.by_leave[:n], np.bool_)
    return Timeline(start[:n], taken[:n], leave[:n], end[:n], cause[:n], by_leave, cost, fetches)


def attribute(
    timeline: Timeline, layer_of: npt.NDArray[np.uint32], layers: int, within: tuple[int, int] | None = None
) -> Ints:
    """int64[layers, terms]: cycles of the critical chain by layer and term, those of [from, to) where ``within`` says
    so; they add up to ``timeline.cycles``, or to the cycles within."""
    shares = np.zeros((layers, len(TERMS)), np.int64)
    n = len(timeline.start)
    first, end = within or (0, timeline.cycles)
    for index, start, stop in timeline.critical():
        share = min(stop, end) - max(start, first)
        if share > 0:
            fetched = index >= n  # the layer that the text is for waits for it
            layer = layer_of[int(timeline.fetches.first[index - n]) if fetched else index]
            shares[int(layer), _DRAM if fetched else int(timeline.costs.term[index])] += share
    return shares
