"""The machine's time, stepped cycle by cycle, from the manual's sections 1 to 4.

Slow on purpose. Where the manual gives a closed formula, the quantity it stands for is counted instead: pixel blocks,
row pieces, input columns, words, granules, runs and bursts are enumerated. All numbers are integers or exact rationals;
times are cycles since the start of the program.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sim.machine.description import Configuration, Machine

QUEUES = ("load", "store", "weights", "array", "vector")
"""The five queues; the order is that of the reports only."""

QUEUE_OF = {
    "load": "load",
    "store": "store",
    "load_config": "load",
    "configure": "array",
    "fill": "weights",
    "conv": "array",
    "vector": "vector",
}

DIRECT, WINOGRAD = 0, 1
COPY, ADD, MUL, MAX_POOL, AVERAGE_POOL, GLOBAL_AVERAGE_POOL, AFFINE, TABLE, RESIZE, LRN, SHUFFLE = range(11)
GRANULE = 16
"""Bytes (or channels) to which the streams round a run of channels up."""

Fields = Mapping[str, int | float]
Record = tuple[str, Fields]


class ClockError(Exception):
    """The program cannot run: a wait that can never be met, or a convolution without configuration."""


@dataclass
class Timing:
    """When one instruction did what, in cycles.

    ``start`` is the first cycle at which the queue was ready and the waits were met: a transfer then asks for the
    channel. ``completion`` is when its effects appear. For transfers only: ``granted`` is when the channel was its own,
    ``taken`` when the turn before it (if any) was over, ``left`` when the channel was free for the next.
    """

    index: int
    name: str
    queue: str
    start: int = -1
    completion: int = -1
    granted: int | None = None
    taken: int | None = None
    left: int | None = None


@dataclass
class Result:
    """Times of all instructions in the order of the program, and the totals.

    ``cycles`` is the last completion, ``steps`` the cycles that were looked at. ``read_bytes`` and ``written_bytes``
    count the bytes moved over the DRAM channel, ``read_burst_bytes`` and ``written_burst_bytes`` the whole bursts that
    carried them.
    """

    timings: list[Timing]
    cycles: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    read_burst_bytes: int = 0
    written_burst_bytes: int = 0
    steps: int = 0

    def queue(self, name: str) -> list[Timing]:
        """The instructions of one queue, in its order."""
        return [timing for timing in self.timings if timing.queue == name]


# --- counting -------------------------------------------------------------------------------------------------------


def blocks(count: int, size: int) -> list[int]:
    """Cut ``count`` things into blocks of ``size``; the lengths of the blocks, the last perhaps shorter."""
    lengths: list[int] = []
    while count > 0:
        lengths.append(min(size, count))
        count -= size
    return lengths


def cycles_to_move(amount: int | Fraction, rate: int | Fraction) -> int:
    """Whole cycles until ``amount`` has passed at ``rate`` per cycle."""
    exact = Fraction(amount) / Fraction(rate)
    whole = exact.numerator // exact.denominator
    return whole if whole == exact else whole + 1


def granules(channels: int) -> int:
    """Bytes of a run of ``channels`` bytes in whole granules."""
    return sum(GRANULE for _ in range(0, channels, GRANULE))


@functools.lru_cache(maxsize=4096)
def row_pieces(rows: int, columns: int, p: int) -> tuple[tuple[int, ...], ...]:
    """The pieces into which blocks of ``p`` consecutive pixels fall at the ends of rows, each as its x positions."""
    pieces: dict[tuple[int, int], list[int]] = {}
    for pixel in range(rows * columns):
        y, x = divmod(pixel, columns)
        pieces.setdefault((pixel // p, y), []).append(x)
    return tuple(tuple(piece) for piece in pieces.values())


@functools.lru_cache(maxsize=4096)
def input_columns(rows: int, columns: int, p: int, taps: int, stride: int, shared: bool) -> int:
    """Input columns fetched per kernel row: neighbours within a row piece share them, or (not ``shared``) nothing."""
    fetched = 0
    for piece in row_pieces(rows, columns, p):
        if shared:
            fetched += len({x * stride + tap for x in piece for tap in range(taps)})
        else:
            fetched += sum(1 for _ in piece for _ in range(taps))
    return fetched


@functools.lru_cache(maxsize=4096)
def reduction_steps(algorithm: int, inputs: int, fy: int, fx: int, r: int, flatten: bool) -> int:
    """Cycles one block of groups, outputs and pixels spends on its reduction, counted over its elements."""
    if algorithm == WINOGRAD:
        return sum(1 for _ in range(4 * 4) for _ in blocks(inputs, r))
    if flatten:
        return len({element // r for element in range(fy * fx * inputs)})
    return len({(tap, channel // r) for tap in range(fy * fx) for channel in range(inputs)})


@dataclass(frozen=True)
class ConvCost:
    """What a convolution pass costs: MAC cycles, bytes in and out, words of a half, accumulators, busy cycles."""

    steps: int
    mac: int
    segs: int
    cols: int
    bytes_in: int
    bytes_out: int
    words: int
    accumulators: int
    busy: int


def conv_cost(machine: Machine, configuration: Configuration, conv: Fields) -> ConvCost:
    """The law of ``conv`` for the fields of one instruction under the active configuration."""
    algorithm = WINOGRAD if configuration.algorithm == "winograd" else DIRECT
    groups, outputs, inputs = _ints(conv, "groups", "outputs", "inputs")
    fy, fx, sx, dx, oy, ox = _ints(conv, "fy", "fx", "sx", "dx", "oy", "ox")
    last = bool(conv["last"])
    if algorithm == WINOGRAD:  # tiles of 2 by 2 outputs, each from 4 by 4 inputs
        height, width = len(blocks(oy, 2)), len(blocks(ox, 2))
        rows, taps, stride, shared = 4, 4, 2, True
    else:
        height, width = oy, ox
        rows, taps, stride, shared = fy, fx, sx, dx == 1 or fx == 1
    group_blocks = blocks(groups, configuration.g)
    output_blocks = blocks(outputs, configuration.k)
    pixel_blocks = blocks(height * width, configuration.p)
    steps = reduction_steps(algorithm, inputs, fy, fx, configuration.r, machine.array.flatten)
    words = sum(steps for _ in group_blocks for _ in output_blocks)
    mac = sum(words for _ in pixel_blocks)
    cols = input_columns(height, width, configuration.p, taps, stride, shared)
    word = sum(granules(block * inputs) for block in group_blocks)
    bytes_in = sum(cols * word for _ in output_blocks for _ in range(rows))
    bytes_out = bytes_added = 0
    if last:
        bytes_in += 8 * groups * outputs
        bytes_out = oy * ox * granules(groups * outputs)
        bytes_added = bytes_out if conv.get("residual") else 0
    busy = machine.array.conv_overhead + max(
        mac,
        cycles_to_move(bytes_in, machine.streams.input),
        cycles_to_move(bytes_out, machine.streams.output),
        cycles_to_move(bytes_added, machine.streams.residual),
    )
    accumulators = groups * outputs * height * width * (16 if algorithm == WINOGRAD else 1)
    segs = len(row_pieces(height, width, configuration.p))
    return ConvCost(steps, mac, segs, cols, bytes_in, bytes_out, words, accumulators, busy)


def fill_busy(machine: Machine, fill: Fields) -> int:
    """The law of ``fill``: weights in SRAM are plain, one byte each, whatever the algorithm."""
    groups, outputs, inputs, fy, fx = _ints(fill, "groups", "outputs", "inputs", "fy", "fx")
    held = sum(inputs for _ in range(groups * outputs) for _ in range(fy * fx))
    return machine.streams.fill_overhead + cycles_to_move(held, machine.streams.weights)


def vector_busy(machine: Machine, vector: Fields) -> int:
    """The law of ``vector``: the larger of the elements written and those read by one tensor operand."""
    op, oy, ox, channels, fy, fx, sx, iy, ix = _ints(vector, "op", "oy", "ox", "channels", "fy", "fx", "sx", "iy", "ix")
    run = granules(channels)
    written = oy * ox * run
    if op in (MAX_POOL, AVERAGE_POOL):
        span = len(range(0, (ox - 1) * sx + fx))  # from the first window's first column to the last one's last
        read = sum(span * run for _ in range(oy) for _ in range(fy))
    elif op == GLOBAL_AVERAGE_POOL:
        read = sum(run for _ in range(iy) for _ in range(ix))
    else:
        read = oy * ox * run  # a second operand is as large as the first, or one pixel
    return machine.streams.vector_overhead + cycles_to_move(max(written, read), machine.streams.vector)


Interval = tuple[int, int]
"""First address and the address after the last."""


def runs(dram: int, length: int, count1: int, count2: int, stride1: int, stride2: int) -> Iterator[Interval]:
    """The runs of a strided copy in DRAM: a dimension whose elements all touch end to end merges with the one inside.

    The dimensions are ``length`` bytes, ``count1`` of them ``stride1`` bytes apart and ``count2`` of those ``stride2``
    apart.
    """
    row = _merged([(i * stride1, i * stride1 + length) for i in range(count1)])
    if len(row) == 1:
        start, end = row[0]
        yield from _merged([(dram + j * stride2 + start, dram + j * stride2 + end) for j in range(count2)])
        return
    for j in range(count2):
        for start, end in row:
            yield dram + j * stride2 + start, dram + j * stride2 + end


def _merged(pieces: list[Interval]) -> list[Interval]:
    """One interval if every piece begins where the one before it ends, else the pieces as they are."""
    for before, after in itertools.pairwise(pieces):
        if before[1] != after[0]:
            return pieces
    return [(pieces[0][0], pieces[-1][1])]


@dataclass(frozen=True)
class Transfer:
    """What a transfer asks of the channel: its direction, the bytes moved, the bytes of its bursts, its cycles."""

    writes: bool
    bytes: int
    burst_bytes: int
    cycles: int


def transfer_cost(machine: Machine, name: str, fields: Fields) -> Transfer:
    """The law of the channel for a ``load``, a ``store`` or a ``load_config`` from DRAM."""
    if name == "load_config":
        (address,) = _ints(fields, "address")
        pieces: Iterable[Interval] = [(address, address + machine.configuration.image_bytes)]
    else:
        pieces = runs(*_ints(fields, "dram", "bytes", "count1", "count2", "dram_stride1", "dram_stride2"))
    burst = machine.dram.burst
    number = moved = touched = 0
    for first, end in pieces:
        number += 1
        moved += end - first
        at = first - first % burst
        while at < end:
            touched += 1
            at += burst
    time = max(cycles_to_move(burst * touched, machine.dram_rate), number)
    return Transfer(name == "store", moved, burst * touched, time)


def _ints(fields: Fields, *names: str) -> list[int]:
    return [int(fields[name]) for name in names]


# --- stepping -------------------------------------------------------------------------------------------------------


@dataclass
class _Queue:
    """An in-order stream: its instructions, the next to start, and how many have completed."""

    indices: list[int] = field(default_factory=list)
    next: int = 0
    free: bool = True
    completed: int = 0


class Clock:
    """The state of the machine between two cycles.

    ``configurations`` says what image each ``load_config`` brings, by the position of the instruction.
    """

    def __init__(
        self, machine: Machine, records: Sequence[Record], configurations: Mapping[int, Configuration]
    ) -> None:
        self.machine = machine
        self.records = [(name, {**_ABSENT[name], **fields}) for name, fields in records]
        self.configurations = configurations
        self.now = 0
        self.timings = [Timing(i, name, QUEUE_OF[name]) for i, (name, _) in enumerate(records)]
        self.queues = {name: _Queue() for name in QUEUES}
        for timing in self.timings:
            self.queues[timing.queue].indices.append(timing.index)
        self.result = Result(self.timings)
        self.running: dict[int, int] = {}  # instruction -> cycle of its completion
        self.frees: dict[str, int] = {}  # queue -> cycle at which its next instruction may start
        self.done: set[int] = set()
        self.asking: list[int] = []  # transfers that are ready and have not taken the channel
        self.channel_until: int | None = None
        self.channel_writes = False
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None

    def run(self, jump: bool) -> Result:
        """Run to the end; with ``jump`` cycles between two events are skipped, else every cycle is stepped."""
        while len(self.done) < len(self.records):
            self.cycle()
            if len(self.done) == len(self.records):
                break
            events = [*self.running.values(), *self.frees.values()]
            if self.channel_until is not None:
                events.append(self.channel_until)
            if not events:
                raise ClockError(f"cycle {self.now}: waits that can never be met: {self._stuck()}")
            self.now = min(events) if jump else self.now + 1
        self.result.cycles = max((timing.completion for timing in self.timings), default=0)
        return self.result

    def cycle(self) -> None:
        """Everything that happens in cycle ``now``: completions, then starts, then the channel's choice."""
        self.result.steps += 1
        while self._completions() | self._starts():
            pass  # what takes 0 cycles completes where it started, and may let others start
        if self.channel_until is None and self.asking:
            self._grant(min(self.asking, key=lambda i: (self.timings[i].start, self.records[i][0] == "store")))

    def _completions(self) -> bool:
        complete = sorted(i for i, at in self.running.items() if at == self.now)
        for index in complete:
            del self.running[index]
            self._complete(index)
        for name in [q for q, at in self.frees.items() if at == self.now]:
            del self.frees[name]
            self.queues[name].free = True
        if self.channel_until == self.now:
            self.channel_until = None
        return bool(complete)

    def _starts(self) -> bool:
        started = False
        for queue in self.queues.values():
            if queue.free and queue.next < len(queue.indices) and self._met(queue.indices[queue.next]):
                self._start(queue, queue.indices[queue.next])
                started = True
        return started

    def _met(self, index: int) -> bool:
        """Whether an instruction at the head of its free queue may start.

        ``load_config`` from SRAM follows transfers that have left the channel but not completed. No wait can name its
        own queue, yet queue order has to order it behind a load of the image: it starts once they have completed.
        """
        name, fields = self.records[index]
        queue = self.queues[QUEUE_OF[name]]
        if name == "load_config" and fields["space"] == 1 and queue.completed < queue.next:
            return False
        return all(self.queues[name].completed >= fields[f"wait.{name}"] for name in QUEUES)

    def _start(self, queue: _Queue, index: int) -> None:
        name, fields = self.records[index]
        timing = self.timings[index]
        timing.start = self.now
        queue.next += 1
        queue.free = False
        if name in ("load", "store") or (name == "load_config" and fields["space"] == 0):
            self.asking.append(index)
            return
        timing.completion = self.now + self._busy(name, fields)
        self.running[index] = timing.completion
        self.frees[timing.queue] = timing.completion

    def _busy(self, name: str, fields: Fields) -> int:
        if name == "load_config":
            return self.machine.configuration.sram_load
        if name == "configure":
            return self.machine.configuration.swap
        if name == "fill":
            return fill_busy(self.machine, fields)
        if name == "vector":
            return vector_busy(self.machine, fields)
        if self.active is None:
            raise ClockError(f"cycle {self.now}: a conv starts and no configuration is active")
        return conv_cost(self.machine, self.active, fields).busy

    def _grant(self, index: int) -> None:
        """Give the free channel to a transfer: a turn if the direction changes, then its bursts."""
        self.asking.remove(index)
        name, fields = self.records[index]
        timing = self.timings[index]
        cost = transfer_cost(self.machine, name, fields)
        timing.granted = self.now
        timing.taken = timing.granted + (self.machine.dram.turn if cost.writes != self.channel_writes else 0)
        timing.left = timing.taken + cost.cycles
        timing.completion = timing.left + self.machine.dram.latency
        self.channel_writes = cost.writes
        self.channel_until = timing.left
        self.running[index] = timing.completion
        self.frees[timing.queue] = timing.left
        if cost.writes:
            self.result.written_bytes += cost.bytes
            self.result.written_burst_bytes += cost.burst_bytes
        else:
            self.result.read_bytes += cost.bytes
            self.result.read_burst_bytes += cost.burst_bytes

    def _complete(self, index: int) -> None:
        """Effects of an instruction appear, and its queue's count goes up."""
        name = self.records[index][0]
        self.done.add(index)
        self.queues[QUEUE_OF[name]].completed += 1
        if name == "load_config":
            self.shadow = self.configurations[index]
        elif name == "configure":
            self.active, self.shadow = self.shadow, self.active

    def _stuck(self) -> str:
        heads = [queue.indices[queue.next] for queue in self.queues.values() if queue.next < len(queue.indices)]
        return ", ".join(f"instruction {index} ({self.records[index][0]})" for index in heads)


_NO_WAITS = {f"wait.{name}": 0 for name in QUEUES}
_COPY = {"count1": 1, "count2": 1, "dram_stride1": 0, "dram_stride2": 0}
_WINDOW = {"fy": 1, "fx": 1, "sy": 1, "sx": 1, "oy": 1, "ox": 1}
_CHANNELS = {"groups": 1, "outputs": 1, "inputs": 1}

_ABSENT: dict[str, dict[str, int]] = {
    "load": {**_NO_WAITS, **_COPY, "dram": 0, "bytes": 1},
    "store": {**_NO_WAITS, **_COPY, "dram": 0, "bytes": 1},
    "load_config": {**_NO_WAITS, "space": 0, "address": 0},
    "configure": {**_NO_WAITS},
    "fill": {**_NO_WAITS, **_CHANNELS, "fy": 1, "fx": 1},
    "conv": {**_NO_WAITS, **_CHANNELS, **_WINDOW, "dx": 1, "first": 0, "last": 0},
    "vector": {**_NO_WAITS, **_WINDOW, "op": 0, "channels": 1, "iy": 0, "ix": 0},
}
"""What the fields that matter to time hold where a record leaves them out: 0, or the least legal value above it."""


def run(
    machine: Machine,
    records: Sequence[Record],
    configurations: Mapping[int, Configuration] | None = None,
    jump: bool = False,
) -> Result:
    """Time a program; ClockError when it cannot end.

    ``configurations`` holds the configuration each ``load_config`` brings, by its position among ``records``.
    """
    return Clock(machine, records, configurations or {}).run(jump)
