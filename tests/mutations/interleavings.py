"""What a small program can do, found by trying every legal order: the verdict that proof and sanitizer answer to.

A *legal interleaving* is any order of starts and completions that queue order and waits allow; time never orders. An
instruction may start once all before it in its queue have completed and its waits are met; it reads its operands when
it starts, its effects appear when it completes, and its operands must not change in between. (Loads may overlap loads,
and stores stores. That changes nothing here: no instruction of a queue reads what one before it in that queue may still
be writing, since loads read DRAM and write SRAM, stores the reverse, and a load_config from SRAM waits.)

A program is *harmful* when some legal interleaving stands still; changes an operand of an instruction under way; reads
what was not written or leaves an output unwritten; stops the machine in any other way; gives other outputs than another
interleaving; or gives other outputs than the program it was made from.

How every interleaving is tried:

* A state is the number of instructions completed per queue. In it, exactly the next instruction of each queue whose
  waits are met may be under way, and any set of these at once (a start changes nothing). So the states reachable by
  completions, each with all that may be under way in it, are all there is; ``states`` visits every one.
* Two instructions are *concurrent* when both may be under way in one state. If one of such a pair reads what the other
  writes, the other can complete while the first is under way: harmful, no matter which values.
* If concurrent instructions have nothing in common that one of them writes, then neighbouring completions can be
  exchanged without effect, and two instructions that do have something in common always complete in the same order (if
  both orders were possible, the union of their predecessors would be a state in which both may be under way). So all
  interleavings are one, and one is executed. This is the only reduction.
* Otherwise (concurrent instructions write the same bytes, and nobody reads them meanwhile) ``outcomes`` executes all
  interleavings, remembering states by their completions and by the contents of the whole machine.

Values come from the simulator's engine, one instruction at a time; the order, the bytes an instruction touches and what
of them was written are worked out here from the manual, with nothing of proof or sanitizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.engine import Engine
from sim.machine.encoding import Record
from sim.machine.isa import BY_NAME, QUEUES, VECTOR_OPS
from sim.machine.operations import operation
from sim.machine.program import MachineSegment, Program
from sim.memory import Memory, Violation

Codes = npt.NDArray[np.int8]
Fields = Mapping[str, Any]
Places = frozenset[tuple[str, int]]
"""Bytes touched, as (memory, address); an L1 half or a slot is byte 0, 1 or 2, 3 of ``state``."""
Counts = tuple[int, ...]
Outputs = tuple[Mapping[str, Codes], ...]
"""The outputs for each set of inputs."""


class Harm(Enum):
    """Why a program is harmful, or that it is not."""

    NONE = "none"
    DEADLOCK = "it can stand still"
    OPERAND = "an operand changes under way"
    ORDER = "the outcome depends on the order"
    UNWRITTEN = "it reads or leaves bytes unwritten"
    STRUCTURE = "it stops the machine, whatever the values"
    VALUE = "it stops the machine, because of the values"
    DIFFERENT = "well formed, and other outputs"

    @property
    def by_values(self) -> bool:
        """Whether only values show it: no proof without them can."""
        return self in (Harm.VALUE, Harm.DIFFERENT)


@dataclass(frozen=True)
class Verdict:
    """What trying all interleavings found; ``racing``: concurrent instructions touch what one of them writes (they may
    do so without harm, when both write and nobody sees which was last)."""

    harm: Harm
    racing: bool
    states: int
    detail: str = ""


# ------------------------------------------------------------------------------------------------- what is touched


def _box(rows: Sequence[int], columns: int, column_stride: int, run: int) -> set[tuple[str, int]]:
    return {("SRAM", row + x * column_stride + byte) for row in rows for x in range(columns) for byte in range(run)}


def _rows(base: int, stride: int, ring: int, first: int, rows: int) -> list[int]:
    """Where the rows of an operand begin: in a ring of N, row y lies in slot y mod N."""
    return [base + ((first + y) % ring if ring else first + y) * stride for y in range(rows)]


def _tensor(f: Fields, name: str, rows: int, columns: int, channels: int) -> set[tuple[str, int]]:
    begins = _rows(f[f"{name}.base"], f[f"{name}.row_stride"], f[f"{name}.ring"], f[f"{name}.row"], rows)
    return _box(begins, columns, f[f"{name}.pixel_stride"], channels)


def _met(f: Fields, dy: int, dx: int) -> tuple[int, int]:
    """Rows and columns of the input that a window meets, padding not counted."""
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * dy + 1 - f["top"] - f["bottom"]
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * dx + 1 - f["left"] - f["right"]
    return max(0, rows), max(0, columns)


def _flat(memory: str, start: int, size: int) -> set[tuple[str, int]]:
    return {(memory, start + byte) for byte in range(size)}


def touches(name: str, f: Fields, image_bytes: int) -> tuple[Places, Places]:
    """(read, written) by an instruction."""
    reads: set[tuple[str, int]] = set()
    writes: set[tuple[str, int]] = set()
    if name in ("load", "store"):
        rows = [f["dram"] + y * f["dram_stride2"] for y in range(f["count2"])]
        dram = {("DRAM", at) for _, at in _box(rows, f["count1"], f["dram_stride1"], f["bytes"])}
        rows = _rows(f["sram"], f["sram_stride2"], f["ring"], f["row"], f["count2"])
        sram = _box(rows, f["count1"], f["sram_stride1"], f["bytes"])
        reads, writes = (dram, sram) if name == "load" else (sram, dram)
    elif name == "load_config":
        reads, writes = _flat("SRAM" if f["space"] else "DRAM", f["address"], image_bytes), {("state", 3)}
    elif name == "configure":
        reads = writes = {("state", 2), ("state", 3)}
    elif name == "fill":
        rows = [f["address"] + k * f["output_stride"] for k in range(f["groups"] * f["outputs"])]
        reads, writes = _box(rows, f["fy"] * f["fx"], f["tap_stride"], f["inputs"]), {("state", f["half"])}
    elif name == "conv":
        channels = f["groups"] * f["outputs"]
        reads = {("state", f["half"]), ("state", 2)}
        rows_met, columns_met = _met(f, f["dy"], f["dx"])
        reads |= _tensor(f, "in", rows_met, columns_met, f["groups"] * f["inputs"])
        if f["last"]:
            reads |= _flat("SRAM", f["params"], 8 * channels)
            reads |= _tensor(f, "res", f["oy"], f["ox"], channels) if f["residual"] else set()
            reads |= _flat("SRAM", f["table"], 256) if f["has_table"] else set()
            writes = _tensor(f, "out", f["oy"], f["ox"], channels * (4 if f["last"] == 2 else 1))
    else:
        row, oy, ox, channels = operation(VECTOR_OPS[f["op"]]), f["oy"], f["ox"], f["channels"]
        met = {"box": (oy, ox), "window": _met(f, 1, 1), "image": (f["iy"], f["ix"])}
        met["repeated"] = -(-oy // f["sy"]), -(-ox // f["sx"])
        reads = _tensor(f, "a", *met[row.reads], channels)
        if row.binary:
            reads |= _tensor(f, "b", *((1, 1) if row.pixel and f["b_broadcast"] else (oy, ox)), channels)
        reads |= _flat("SRAM", f["params"], 8 * channels) if row.side == "params" else set()
        reads |= _flat("SRAM", f["table"], 256) if row.side == "table" else set()
        writes = _tensor(f, "out", oy, ox, channels)
    return frozenset(reads), frozenset(writes)


# ------------------------------------------------------------------------------------------------------- the order


@dataclass(frozen=True)
class Case:
    """A program's instructions with what decides their order, and what lies around them."""

    program: Program
    segment: MachineSegment
    records: tuple[Record, ...]
    members: tuple[tuple[int, ...], ...]
    waits: tuple[Counts, ...]
    reads: tuple[Places, ...]
    writes: tuple[Places, ...]

    @classmethod
    def of(cls, program: Program, segment: MachineSegment, records: Sequence[Record]) -> Case:
        queue = [BY_NAME[name].queue for name, _ in records]
        touched = [touches(name, fields, program.machine.configuration.image_bytes) for name, fields in records]
        return cls(
            program,
            segment,
            tuple(records),
            tuple(tuple(i for i, other in enumerate(queue) if other == q) for q in QUEUES),
            tuple(tuple(int(fields[f"wait.{q}"]) for q in QUEUES) for _, fields in records),
            tuple(reads for reads, _ in touched),
            tuple(writes for _, writes in touched),
        )

    def under_way(self, done: Counts) -> list[tuple[int, int]]:
        """(queue, instruction) of all that may be under way when ``done`` instructions of each queue have completed."""
        return [
            (queue, members[done[queue]])
            for queue, members in enumerate(self.members)
            if done[queue] < len(members)
            and all(need <= have for need, have in zip(self.waits[members[done[queue]]], done, strict=True))
        ]

    def states(self) -> Iterator[tuple[Counts, list[tuple[int, int]]]]:
        """Every state that some interleaving reaches, with what may be under way in it."""
        todo: list[Counts] = [(0,) * len(self.members)]
        seen = set(todo)
        while todo:
            done = todo.pop()
            under_way = self.under_way(done)
            yield done, under_way
            for queue, _ in under_way:
                after = _completed(done, queue)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)

    def one_order(self) -> list[int]:
        """One interleaving's completions: the whole program's, unless it can stand still."""
        done: Counts = (0,) * len(self.members)
        order: list[int] = []
        while under_way := self.under_way(done):
            queue, index = under_way[0]
            order.append(index)
            done = _completed(done, queue)
        return order


def _completed(done: Counts, queue: int) -> Counts:
    return (*done[:queue], done[queue] + 1, *done[queue + 1 :])


# ------------------------------------------------------------------------------------------------------- the values


class _Machine:
    """The machine's contents as a value: saved, restored and compared."""

    def __init__(self, case: Case, inputs: Mapping[str, Codes]):
        self.case = case
        dram = Memory("DRAM", case.program.dram_bytes)
        dram.preset(0, case.program.constants)
        for region in case.segment.inputs:
            dram.preset(region.address, inputs[region.name].view(np.uint8))
        self.engine = Engine(case.program.machine, dram)

    def save(self) -> tuple[Any, ...]:
        e = self.engine
        memories = (e.sram.data.copy(), e.sram.written.copy(), e.dram.data.copy(), e.dram.written.copy())
        return (*memories, list(e.halves), e.active, e.shadow, e.accumulators)

    def restore(self, saved: tuple[Any, ...]) -> None:
        e = self.engine
        e.sram.data[...], e.sram.written[...], e.dram.data[...], e.dram.written[...] = saved[:4]
        e.halves, e.active, e.shadow, e.accumulators = list(saved[4]), *saved[5:]

    def contents(self) -> bytes:
        """A digest of everything the machine holds."""
        e = self.engine
        digest = hashlib.blake2b(digest_size=16)
        for array in (e.sram.data, e.sram.written, e.dram.data, e.dram.written):
            digest.update(array.tobytes())
        for half in e.halves:
            digest.update(b"-" if half is None else f"{half.layout} {half.extents}".encode())
            digest.update(b"" if half is None else half.weights.values.tobytes())
        digest.update(f"{e.active} {e.shadow}".encode())
        if e.accumulators is not None:
            digest.update(f"{e.accumulators.tile}".encode() + e.accumulators.sums.astype(np.int64).tobytes())
        return digest.digest()

    def execute(self, index: int) -> None:
        """Complete an instruction; Violation when it stops the machine."""
        name, fields = self.case.records[index]
        self.engine.execute(name, fields)

    def outputs(self) -> dict[str, Codes]:
        dram = self.engine.dram
        found: dict[str, Codes] = {}
        for region in self.case.segment.outputs:
            part = slice(region.address, region.address + region.bytes)
            if not dram.written[part].all():
                raise Violation(f"the output '{region.name}' has bytes that no instruction has written.")
            found[region.name] = dram.data[part].view(np.int8).reshape(region.shape).copy()
        return found


def outcomes(case: Case, inputs: Mapping[str, Codes], most: int = 200_000) -> tuple[list[dict[str, Codes] | str], int]:
    """The distinct outcomes of all interleavings, outputs or the reason of a stop, and the states visited.

    Nothing is left out: every order of completions is executed, states of equal completions and contents once.
    """
    machine = _Machine(case, inputs)
    begin: Counts = (0,) * len(case.members)
    todo: list[tuple[Counts, tuple[Any, ...]]] = [(begin, machine.save())]
    seen: set[tuple[Counts, bytes]] = {(begin, machine.contents())}
    ends: dict[bytes, dict[str, Codes] | str] = {}
    while todo:
        done, saved = todo.pop()
        under_way = case.under_way(done)
        if not under_way:
            machine.restore(saved)
            try:
                result: dict[str, Codes] | str = machine.outputs() if _ended(case, done) else "it stands still"
                key = b"".join(v.tobytes() for v in result.values()) if isinstance(result, dict) else result.encode()
            except Violation as violation:
                result, key = str(violation), str(violation).encode()
            ends[key] = result
        for queue, index in under_way:
            machine.restore(saved)
            try:
                machine.execute(index)
            except Violation as violation:
                ends[str(violation).encode()] = f"instruction {index}: {violation}"
                continue
            state = (_completed(done, queue), machine.contents())
            if state not in seen:
                if len(seen) >= most:
                    raise RuntimeError(f"more than {most} states")
                seen.add(state)
                todo.append((state[0], machine.save()))
    return list(ends.values()), len(seen)


def _ended(case: Case, done: Counts) -> bool:
    return all(count == len(members) for count, members in zip(done, case.members, strict=True))


# ------------------------------------------------------------------------------------------------------ the verdict


def run_once(case: Case, inputs: Mapping[str, Codes]) -> dict[str, Codes]:
    """The outputs of one interleaving; Violation when it stops."""
    machine = _Machine(case, inputs)
    for index in case.one_order():
        machine.execute(index)
    return machine.outputs()


def judge(case: Case, inputs: Sequence[Mapping[str, Codes]], wanted: Outputs | None) -> Verdict:
    """The verdict on a program; without ``wanted`` outputs only what needs no comparison."""
    states = 0
    pairs: set[tuple[int, int]] = set()
    for done, under_way in case.states():
        states += 1
        if not under_way and not _ended(case, done):
            return Verdict(Harm.DEADLOCK, False, states, f"after {done}")
        pairs |= {(a, b) for _, a in under_way for _, b in under_way if a < b}
    for a, b in sorted(pairs):
        if case.writes[a] & case.reads[b] or case.reads[a] & case.writes[b]:
            return Verdict(Harm.OPERAND, True, states, f"instructions {a} and {b}")
    racing = {(a, b) for a, b in pairs if case.writes[a] & case.writes[b]}
    if racing:
        return _judge_all(case, inputs, wanted, states, f"instructions {min(racing)} write the same bytes")
    if (missing := _unwritten(case)) is not None:
        return Verdict(Harm.UNWRITTEN, False, states, missing)
    for number, given in enumerate(inputs):
        try:
            made = run_once(case, given)
        except Violation as violation:
            return Verdict(_stop(str(violation)), False, states, str(violation))
        if wanted is not None and not _same(made, wanted[number]):
            return Verdict(Harm.DIFFERENT, False, states)
    return Verdict(Harm.NONE, False, states)


def _judge_all(
    case: Case, inputs: Sequence[Mapping[str, Codes]], wanted: Outputs | None, states: int, detail: str
) -> Verdict:
    """The verdict on a program in which concurrent instructions write the same bytes: every order is executed."""
    harm = Harm.NONE
    for number, given in enumerate(inputs):
        ends, visited = outcomes(case, given)
        states += visited
        if len(ends) > 1:
            return Verdict(Harm.ORDER, True, states, detail)
        (end,) = ends
        if isinstance(end, str):
            harm = _stop(end) if harm is Harm.NONE else harm
        elif wanted is not None and not _same(end, wanted[number]):
            harm = Harm.DIFFERENT
    return Verdict(harm, True, states, detail)


def _unwritten(case: Case) -> str | None:
    """The first read of a byte that was not written, or output byte that never is, in the one order there is."""
    written = {("DRAM", byte) for byte in range(len(case.program.constants))} | {("state", 2), ("state", 3)}
    for region in case.segment.inputs:
        written |= _flat("DRAM", region.address, region.bytes)
    for index in case.one_order():
        if missing := case.reads[index] - written:
            return f"instruction {index} reads {min(missing)}"
        written |= case.writes[index]
    for region in case.segment.outputs:
        if missing := _flat("DRAM", region.address, region.bytes) - written:
            return f"the output {region.name} lacks {min(missing)}"
    return None


_BY_VALUES = ("does not fit int32", "is no finite number")


def _stop(sentence: str) -> Harm:
    if "written" in sentence:
        return Harm.UNWRITTEN
    return Harm.VALUE if any(text in sentence for text in _BY_VALUES) else Harm.STRUCTURE


def _same(a: Mapping[str, Codes], b: Mapping[str, Codes]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in b)
