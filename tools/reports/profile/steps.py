"""Every instruction of a program as it ran: when, on what, for which layer, and what it waited for.

The machine segments of a program follow one another; cycles and instruction numbers here count through all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import QUEUE_NUMBER, Ints
from sim.machine.program import Program, Region
from sim.simulator import Run, SegmentRun

Bools = npt.NDArray[np.bool_]

KINDS = ("weights", "input", "output", "spill", "configuration")
"""What a transfer carries: constants of layers, the segment's inputs and outputs, activations that wait in DRAM, and
configuration images."""

WEIGHTS, INPUT, OUTPUT, SPILL, CONFIGURATION = range(len(KINDS))

STALLS = ("dram", "reconfiguration", "fill", "array", "vector")
"""What an idle engine waited for: a transfer, a configuration, weights on their way into the array, a convolution, or
the vector unit."""


@dataclass(frozen=True, eq=False)
class Steps:
    """n instructions; int64[n] each unless said otherwise, times in cycles.

    ``segment`` and ``index`` say which machine segment's which instruction it is; ``queue`` is a number of QUEUES and
    ``layer`` one of the layer table. ``start``, ``taken``, ``leave``, ``end``, ``cause`` are the clock's
    (``sim.machine.clock.Timeline``), ``critical`` bool[n] says whether it lies on the critical chain. ``kind`` is a
    number of KINDS for what moves bytes of DRAM, −1 for the rest. ``macs`` counts multiply-accumulates of a ``conv``
    with padding and whatever is computed twice. ``buffers`` int64[b, 4] is the table of SRAM buffers.
    """

    segment: Ints
    index: Ints
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
    cycles: int
    """The last completion."""
    begins: tuple[int, ...]
    """The cycle in which each machine segment begins."""

    def __len__(self) -> int:
        return len(self.start)


def steps(program: Program, run: Run) -> Steps:
    """The instructions of a run, which may have been timed only."""
    parts: list[dict[str, Ints | Bools]] = []
    done, cycles, begins = 0, 0, list[int]()
    for number, segment in enumerate(run.segments):
        parts.append(_part(program, segment, number, done, cycles))
        begins.append(cycles)
        done += len(segment.stream)
        cycles += segment.timeline.cycles
    names = [field.name for field in fields(Steps)][: -len(("cycles", "begins"))]
    empty = _nothing(names)
    columns = {name: np.concatenate([part[name] for part in (*parts, empty)]) for name in names}
    return Steps(**columns, cycles=cycles, begins=tuple(begins))  # pyright: ignore[reportArgumentType]


def _nothing(names: list[str]) -> dict[str, Ints | Bools]:
    none: dict[str, Ints | Bools] = {name: np.zeros(0, np.int64) for name in names}
    none.update({name: np.zeros(0, np.bool_) for name in ("critical", "channel", "winograd")})
    none["buffers"] = np.zeros((0, 4), np.int64)
    return none


def _part(program: Program, run: SegmentRun, number: int, done: int, begin: int) -> dict[str, Ints | Bools]:
    stream, line, cost = run.stream, run.timeline, run.timeline.costs
    n = len(stream)
    queue_of = np.zeros(256, np.int64)
    for row in BY_NAME.values():
        queue_of[row.opcode] = QUEUE_NUMBER[row.queue]
    critical = np.zeros(n, np.bool_)
    critical[[index for index, _, _ in line.critical() if index < len(critical)]] = True
    buffers = run.segment.buffers
    known = buffers[(buffers[:, 2:] < n).all(axis=1)]
    return {
        "segment": np.full(n, number, np.int64),
        "index": np.arange(n),
        "opcode": stream.opcodes.astype(np.int64),
        "queue": queue_of[stream.opcodes],
        "layer": run.segment.layer_of.astype(np.int64),
        "start": line.start + begin,
        "taken": line.taken + begin,
        "leave": line.leave + begin,
        "end": line.end + begin,
        "cause": np.where(line.cause >= 0, line.cause + done, -1),
        "critical": critical,
        "term": cost.term,
        "busy": cost.busy,
        "channel": cost.channel,
        "kind": _kinds(program, run),
        "dram_bytes": cost.dram_bytes,
        "bursts": cost.bursts,
        "sram_bytes": cost.sram_read + cost.sram_written,
        "compute": cost.compute,
        "winograd": cost.winograd,
        "macs": _macs(run),
        "buffers": known + np.array([0, 0, done, done]),
    }


def _kinds(program: Program, run: SegmentRun) -> Ints:
    """What each instruction carries, by the DRAM address it touches."""
    stream = run.stream
    kind = np.full(len(stream), -1, np.int64)
    for name in ("load", "store"):
        where = stream.indices(BY_NAME[name].opcode)
        address = stream.tables[BY_NAME[name].opcode]["dram"].astype(np.int64)
        found = np.where(address < program.constants.size, WEIGHTS, SPILL)
        for regions, code in ((run.segment.inputs, INPUT), (run.segment.outputs, OUTPUT)):
            found[_inside(address, regions)] = code
        kind[where] = found
    where = stream.indices(BY_NAME["load_config"].opcode)
    from_dram = run.timeline.costs.dram_bytes[where] > 0
    kind[where[from_dram]] = CONFIGURATION
    return kind


def _inside(address: Ints, regions: tuple[Region, ...]) -> Bools:
    inside = np.zeros(len(address), np.bool_)
    for region in regions:
        inside |= (address >= region.address) & (address < region.address + region.bytes)
    return inside


def _macs(run: SegmentRun) -> Ints:
    opcode = BY_NAME["conv"].opcode
    table = run.stream.tables[opcode]
    factors = [table[name].astype(np.int64) for name in ("groups", "outputs", "inputs", "fy", "fx", "oy", "ox")]
    macs = np.zeros(len(run.stream), np.int64)
    macs[run.stream.indices(opcode)] = np.prod(factors, axis=0, dtype=np.int64)
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
    cause = np.array([_CAUSE_OF_QUEUE[name] for name in QUEUES], np.int64)[steps.queue]
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
                rows += _walk(queue, -1, idle_from, int(steps.end[last]), last, start, cause)
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
