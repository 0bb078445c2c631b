"""Every instruction of a program as it ran: when, on what, for which layer, and what it waited for.

The machine segments of a program follow one another; cycles and places here count through all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from sim.machine.clock import TERMS
from sim.machine.encoding import Stream
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import QUEUE_NUMBER, Ints
from sim.machine.program import Program, Region
from tools.reports.profile.shown import Bools, Shown

KINDS = ("weights", "input", "output", "spill", "configuration", "program")
"""What a transfer carries: constants of layers, the segment's inputs and outputs, activations that wait in DRAM,
configuration images, and instructions of a text that is fetched while it runs."""

WEIGHTS, INPUT, OUTPUT, SPILL, CONFIGURATION, PROGRAM = range(len(KINDS))

STALLS = ("dram", "reconfiguration", "fill", "array", "vector", "program")
"""What an idle engine waited for: a transfer, a configuration, weights on their way into the array, a convolution, the
vector unit, or its own instructions."""


FETCH = 0
"""In place of an opcode: a fetch of instructions, which no queue holds."""

NO_QUEUE = -1
"""In place of a queue: that of a fetch."""


@dataclass(frozen=True, eq=False)
class Steps:
    """n instructions and, behind them all, the m fetches of texts that no instruction memory holds; int64[n + m] each
    unless said otherwise, times in cycles.

    ``segment`` and ``index`` say which machine segment's which instruction it is, ``frame`` which frame's (−1 in a
    prologue); ``counted`` bool says whether numbers count it (``tools.reports.profile.shown``). ``queue`` is a number
    of QUEUES or NO_QUEUE and ``layer`` one of the layer table. ``start``, ``taken``, ``leave``, ``end``, ``cause`` are
    the clock's (``sim.machine.clock.Timeline``), ``critical`` bool says whether it lies on the critical chain. ``kind``
    is a number of KINDS for what moves bytes of DRAM, −1 for the rest. ``macs`` counts multiply-accumulates of a
    ``conv`` with padding and whatever is computed twice. ``buffers`` int64[b, 4] is the table of SRAM buffers,
    ``stays`` bool[b] says which stay from frame to frame.
    """

    segment: Ints
    index: Ints
    frame: Ints
    counted: Bools
    opcode: Ints
    queue: Ints
    layer: Ints
    start: Ints
    taken: Ints
    leave: Ints
    end: Ints
    cause: Ints
    critical: Bools
    term: Ints
    busy: Ints
    channel: Bools
    kind: Ints
    dram_bytes: Ints
    bursts: Ints
    sram_bytes: Ints
    compute: Ints
    winograd: Bools
    macs: Ints
    buffers: Ints
    stays: Bools
    cycles: int
    """The end of what is shown: the last completion, or that of the frames that count."""
    begins: tuple[int, ...]
    """The cycle in which each machine segment begins."""
    period: int
    """Repetitions of the text that count; 0 where nothing repeats."""
    rhythm: int
    """Cycles that these take, one period after the other; 0 where nothing repeats."""

    def __len__(self) -> int:
        return len(self.start)


_FLAGS = ("critical", "channel", "winograd", "counted")


def steps(program: Program, segments: Sequence[Shown]) -> Steps:
    """The instructions of a run as they are shown."""
    total = sum(len(segment) for segment in segments)
    parts: list[dict[str, Ints | Bools]] = []
    texts: list[dict[str, Ints | Bools]] = []
    buffers, stays = [np.zeros((0, 4), np.int64)], [np.zeros(0, np.bool_)]
    done, cycles, fetched, begins = 0, 0, total, list[int]()
    for number, segment in enumerate(segments):
        parts.append(_part(program, segment, number, (done, cycles, fetched)))
        texts.append(_fetches(segment, number, (done, cycles, fetched)))
        buffers.append(segment.buffers + np.array([0, 0, done, done]))
        stays.append(segment.stays)
        begins.append(cycles)
        done += len(segment)
        fetched += len(segment.fetches.start)
        cycles += segment.cycles
    empty: dict[str, Ints | Bools] = {name: np.zeros(0, np.int64) for name in _NAMES}
    empty.update({name: np.zeros(0, np.bool_) for name in _FLAGS})
    columns = {name: np.concatenate([part[name] for part in (*parts, *texts, empty)]) for name in _NAMES}
    repeats = len(segments) == 1 and segments[0].period > 0  # a text that repeats is the only machine segment
    return Steps(
        **columns,  # pyright: ignore[reportArgumentType]
        buffers=np.concatenate(buffers),
        stays=np.concatenate(stays),
        cycles=cycles,
        begins=tuple(begins),
        period=segments[0].period if repeats else 0,
        rhythm=segments[0].rhythm if repeats else 0,
    )


_NAMES = [
    field.name
    for field in fields(Steps)
    if field.name not in ("buffers", "stays", "cycles", "begins", "period", "rhythm")
]


def _cause(segment: Shown, cause: Ints, done: int, fetched: int) -> Ints:
    """Places in the whole for those in a segment."""
    n = len(segment)
    return np.where(cause < 0, -1, np.where(cause < n, cause + done, cause - n + fetched))


def _part(program: Program, shown: Shown, number: int, offsets: tuple[int, int, int]) -> dict[str, Ints | Bools]:
    """The instructions of a segment; ``offsets`` are instructions, cycles and fetches before those of it."""
    stream, cost = shown.stream, shown.costs
    done, begin, fetched = offsets
    n = len(stream)
    queue_of = np.zeros(256, np.int64)
    for row in BY_NAME.values():
        queue_of[row.opcode] = QUEUE_NUMBER[row.queue]
    return {
        "segment": np.full(n, number, np.int64),
        "index": shown.text,
        "frame": shown.frame,
        "counted": shown.counted,
        "opcode": stream.opcodes.astype(np.int64),
        "queue": queue_of[stream.opcodes],
        "layer": shown.layer,
        "start": shown.start + begin,
        "taken": shown.taken + begin,
        "leave": shown.leave + begin,
        "end": shown.end + begin,
        "cause": _cause(shown, shown.cause, done, fetched),
        "critical": shown.critical,
        "term": cost.term,
        "busy": cost.busy,
        "channel": cost.channel,
        "kind": _kinds(program, shown)[shown.text],
        "dram_bytes": cost.dram_bytes,
        "bursts": cost.bursts,
        "sram_bytes": cost.sram_read + cost.sram_written,
        "compute": cost.compute,
        "winograd": cost.winograd,
        "macs": _macs(shown.text_stream)[shown.text],
    }


def _fetches(shown: Shown, number: int, offsets: tuple[int, int, int]) -> dict[str, Ints | Bools]:
    """The fetches of a segment's text, each for the layer of the first instruction in it."""
    come = shown.fetches
    done, begin, fetched = offsets
    m = len(come.start)
    zero, yes, no = np.zeros(m, np.int64), np.ones(m, np.bool_), np.zeros(m, np.bool_)
    return {
        "segment": np.full(m, number, np.int64),
        "index": np.arange(m),
        "frame": zero,
        "counted": yes,
        "opcode": np.full(m, FETCH, np.int64),
        "queue": np.full(m, NO_QUEUE, np.int64),
        "layer": shown.layer[come.first] if m else zero,
        "start": come.start + begin,
        "taken": come.taken + begin,
        "leave": come.leave + begin,
        "end": come.end + begin,
        "cause": _cause(shown, come.cause, done, fetched),
        "critical": no,
        "term": np.full(m, TERMS.index("dram"), np.int64),
        "busy": come.busy,
        "channel": yes,
        "kind": np.full(m, PROGRAM, np.int64),
        "dram_bytes": come.bytes,
        "bursts": come.bursts,
        "sram_bytes": zero,
        "compute": zero,
        "winograd": no,
        "macs": zero,
    }


def _kinds(program: Program, shown: Shown) -> Ints:
    """What each instruction of a segment's text carries, by the DRAM address it names."""
    stream, segment = shown.text_stream, shown.segment
    kind = np.full(len(stream), -1, np.int64)
    for name in ("load", "store"):
        where = stream.indices(BY_NAME[name].opcode)
        address = stream.tables[BY_NAME[name].opcode]["dram"].astype(np.int64)
        found = np.where(address < program.constants.size, WEIGHTS, SPILL)
        for regions, code in ((segment.inputs, INPUT), (segment.outputs, OUTPUT)):
            found[_inside(address, regions)] = code
        kind[where] = found
    table = stream.tables[BY_NAME["load_config"].opcode]
    where = stream.indices(BY_NAME["load_config"].opcode)
    kind[where[table["space"] == 0]] = CONFIGURATION
    return kind


def _inside(address: Ints, regions: tuple[Region, ...]) -> Bools:
    inside = np.zeros(len(address), np.bool_)
    for region in regions:
        inside |= (address >= region.address) & (address < region.address + region.bytes)
    return inside


def _macs(stream: Stream) -> Ints:
    opcode = BY_NAME["conv"].opcode
    table = stream.tables[opcode]
    factors = [table[name].astype(np.int64) for name in ("groups", "outputs", "inputs", "fy", "fx", "oy", "ox")]
    macs = np.zeros(len(stream), np.int64)
    macs[stream.indices(opcode)] = np.prod(factors, axis=0, dtype=np.int64)
    return macs


@dataclass(frozen=True, eq=False)
class Stalls:
    """m stretches in which a queue's next instruction could not start; int64[m] each, times in cycles.

    ``queue`` stood still before instruction ``before`` from ``start`` to ``end``, and ``cause``, a number of STALLS, is
    what the instruction ``of`` was doing then. ``before`` is −1 after the array's last instruction of a segment; other
    queues that are through are no longer waiting.
    """

    queue: Ints
    before: Ints
    start: Ints
    end: Ints
    cause: Ints
    of: Ints


_CAUSE_OF_QUEUE = {"load": 0, "store": 0, "weights": 2, "array": 3, "vector": 4}


def causes(steps: Steps) -> Ints:
    """int64[n]: which of STALLS an instruction is to those that wait for it."""
    cause = np.array([_CAUSE_OF_QUEUE[name] for name in QUEUES], np.int64)[np.maximum(steps.queue, 0)]
    cause[steps.opcode == FETCH] = STALLS.index("program")
    for name in ("load_config", "configure"):
        cause[steps.opcode == BY_NAME[name].opcode] = STALLS.index("reconfiguration")
    return cause


def stalls(steps: Steps) -> Stalls:
    """Every stretch in which a queue stood still, cut where what it waited for changes.

    The instruction that a start waited for was itself waiting or at work; walking back along these causes, as the
    critical chain does, covers the whole stretch.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    start, cause, leave = steps.start.tolist(), steps.cause.tolist(), steps.leave.tolist()
    for segment, begin in enumerate(steps.begins):
        here = np.flatnonzero(steps.segment == segment)
        if not len(here):
            continue
        last = int(here[steps.end[here].argmax()])
        for queue in range(len(QUEUES)):
            idle_from = begin
            for index in here[steps.queue[here] == queue].tolist():
                if start[index] > idle_from:
                    rows += _walk(queue, index, idle_from, start[index], cause[index], start, cause)
                idle_from = leave[index]
            if queue == QUEUE_NUMBER["array"]:
                if not steps.period:
                    rows += _walk(queue, -1, idle_from, int(steps.end[last]), last, start, cause)
                elif not (steps.counted & (steps.queue == queue)).any():  # an array that never works waits all the time
                    until = int(steps.end[last])
                    rows += _walk(queue, -1, until - steps.rhythm, until, last, start, cause)
    table = np.array(rows, np.int64).reshape(-1, 5)
    queues, before, begins, ends, of = table.T
    return Stalls(queues, before, begins, ends, causes(steps)[of], of)


def _walk(
    queue: int, before: int, low: int, until: int, cause: int, starts: list[int], causes: list[int]
) -> list[tuple[int, int, int, int, int]]:
    rows: list[tuple[int, int, int, int, int]] = []
    while until > low and cause >= 0:
        begin = max(starts[cause], low)
        if until > begin:
            rows.append((queue, before, begin, until, cause))
            until = begin
        cause = causes[cause]
    return rows[::-1]
