"""The machine's time, stepped cycle by cycle, from the manual's sections 1 to 4.

Slow on purpose; ``laws`` counts what each instruction asks for. Times are cycles since the start of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim.machine.description import Configuration, Machine
from sim.machine.isa import INSTRUCTIONS
from tests.second_clock.laws import ChannelUse, Fields, conv_cost, fill_busy, transfer_cost, vector_busy

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


@dataclass
class _Queue:
    """An in-order stream: its instructions, the next to start, and how many have completed."""

    indices: list[int] = field(default_factory=list)
    next: int = 0
    free: bool = True
    completed: int = 0


FETCH = -1
"""Stands for the next fetch among instructions that ask for the channel."""

_SIZES = {"u8": 1, "i8": 1, "u16": 2, "u32": 4, "f32": 4}


class Text:
    """Where the instructions lie in a text that is fetched, and how far the fetching has come."""

    def __init__(self, machine: Machine, records: Sequence[Record]) -> None:
        self.size = machine.instruction_memory.fetch
        self.window = machine.instruction_memory.bytes // self.size
        self.pieces: list[list[int]] = []
        self.last_piece: list[int] = []
        self.end = 0
        for index, (name, _) in enumerate(records):
            row = next(row for row in INSTRUCTIONS if row.name == name)
            for _ in range(1 + 2 * len(QUEUES) + sum(_SIZES[each.type] for each in row.fields)):
                piece = self.end // self.size
                if piece == len(self.pieces):
                    self.pieces.append([])
                if self.pieces[piece][-1:] != [index]:
                    self.pieces[piece].append(index)
                self.end += 1
            self.last_piece.append(len(self.pieces) - 1)
        self.next = self.there = self.asked = 0
        self.is_free = True

    def place(self, piece: int) -> dict[str, int]:
        """Address and bytes of a piece; the text begins at a whole burst, here at 0."""
        first = piece * self.size
        return {"dram": first, "bytes": min(self.size, self.end - first)}


class Clock:
    """The state of the machine between two cycles.

    ``configurations`` says what image each ``load_config`` brings, by the position of the instruction; ``text`` is
    there where instructions are fetched.
    """

    def __init__(
        self,
        machine: Machine,
        records: Sequence[Record],
        configurations: Mapping[int, Configuration],
        text: Text | None = None,
    ) -> None:
        self.machine = machine
        self.records = [(name, {**_ABSENT[name], **fields}) for name, fields in records]
        self.configurations = configurations
        self.now = 0
        self.timings = [Timing(i, name, QUEUE_OF[name]) for i, (name, _) in enumerate(records)]
        self.queues = {name: _Queue() for name in QUEUES}
        for timing in self.timings:
            self.queues[timing.queue].indices.append(timing.index)
        self.text = text
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
        while self._completions() | self._starts() | self._asks():
            pass  # what takes 0 cycles completes where it started, and may let others start
        if self.channel_until is None and self.asking:
            self._grant(min(self.asking, key=self._turn))

    def _turn(self, index: int) -> tuple[int, int]:
        """Who asks first comes first, of those a fetch before a load before a store."""
        if index < 0:
            assert self.text is not None
            return self.text.asked, 0
        return self.timings[index].start, 2 if self.records[index][0] == "store" else 1

    def _asks(self) -> bool:
        """Whether the next piece of text begins to ask for the channel now."""
        text = self.text
        if text is None or not text.is_free or text.next == len(text.pieces):
            return False
        piece = text.next
        if piece >= 8 and self.timings[text.pieces[piece - 8][0]].start < 0:
            return False
        if piece >= text.window and not self.done.issuperset(text.pieces[piece - text.window]):
            return False
        text.is_free, text.asked = False, self.now
        self.asking.append(FETCH)
        return True

    def _completions(self) -> bool:
        complete = sorted(i for i, at in self.running.items() if at == self.now)
        for index in complete:
            del self.running[index]
            if index <= FETCH:
                assert self.text is not None
                self.text.there += 1
            else:
                self._complete(index)
        for name in [q for q, at in self.frees.items() if at == self.now]:
            del self.frees[name]
            if name in self.queues:
                self.queues[name].free = True
            elif self.text is not None:
                self.text.is_free = True
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
        if self.text is not None and self.text.last_piece[index] >= self.text.there:
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
        if index == FETCH:
            self._fetch()
            return
        name, fields = self.records[index]
        timing = self.timings[index]
        cost = transfer_cost(self.machine, name, fields)
        timing.granted = self.now
        timing.taken = timing.granted + (self.machine.dram.turn if cost.writes != self.channel_writes else 0)
        timing.left = self._leaves(timing.taken, name, fields, cost)
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

    def _leaves(self, taken: int, _name: str, _fields: Fields, cost: ChannelUse) -> int:
        """When the channel is free again of a transfer that began to move at ``taken``."""
        return taken + cost.cycles

    def _fetch(self) -> None:
        """Give the free channel to the next piece of text."""
        assert self.text is not None
        fields = {**_COPY, **self.text.place(self.text.next)}
        cost = transfer_cost(self.machine, "load", fields)
        taken = self.now + (self.machine.dram.turn if self.channel_writes else 0)
        left = self._leaves(taken, "load", fields, cost)
        self.channel_writes = False
        self.channel_until = self.frees["text"] = left
        # Fetches are numbered downwards, so that those under way together stay apart.
        self.running[FETCH - self.text.next] = left + self.machine.dram.latency
        self.text.next += 1
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
    fetched: bool = False,
) -> Result:
    """Time a program; ClockError when it cannot end.

    ``configurations`` holds the configuration each ``load_config`` brings, by its position among ``records``;
    ``fetched`` says that its text is not in the instruction memory when it begins.
    """
    text = Text(machine, records) if fetched else None
    return Clock(machine, records, configurations or {}, text).run(jump)
