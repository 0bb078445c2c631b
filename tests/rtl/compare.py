"""One program on the machine in RTL and on the simulator: what differs, in sentences.

The simulator says what every byte that some instruction wrote holds at the end, and when every instruction starts and
ends. Where the datapath of a pass was behind the law (``Verdict.late``), the clock is asked again with the time the
pass really took: everything else still has to agree to the cycle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np
import numpy.typing as npt

from rtl import bench
from rtl.bench import Job, Outcome
from sim.engine import Engine
from sim.machine import clock
from sim.machine.clock import Timeline
from sim.machine.encoding import decode
from sim.machine.isa import QUEUES
from sim.machine.order import Order, order
from sim.memory import Memory
from tests.rtl.cases import Case


@dataclass(frozen=True)
class Verdict:
    """``late``: per pass that took longer than the law, its index, the law's cycles and those beyond it.

    ``differences`` must be empty; ``cycles`` and ``instructions`` count what agreed, ``passes`` those of them that are
    passes of a convolution.
    """

    name: str
    cycles: int
    instructions: int
    passes: int
    late: tuple[tuple[int, int, int], ...]
    differences: tuple[str, ...]


def judge(cases: Sequence[Case]) -> list[Verdict]:
    """Run cases of one machine on both and compare."""
    known = [_reference(case) for case in cases]
    jobs = [
        Job(case.code, case.dram.tobytes(), 3 * timeline.cycles + 1000)
        for case, (_, _, timeline) in zip(cases, known, strict=True)
    ]
    outcomes = bench.run(cases[0].machine, jobs)
    return [_verdict(case, *one, out) for case, one, out in zip(cases, known, outcomes, strict=True)]


def _reference(case: Case) -> tuple[Order, Engine | None, Timeline]:
    queues = order(decode(case.code))
    engine: Engine | None = None
    if case.values:
        dram = Memory("DRAM", len(case.dram))
        dram.preset(0, case.dram)
        engine = Engine(case.machine, dram)
        for index in queues.linear.tolist():
            engine.execute(queues.stream.instruction(index).name, queues.stream.fields(index))
    return queues, engine, clock.run(case.machine, queues.stream, queues=queues)


def _verdict(case: Case, queues: Order, engine: Engine | None, law: Timeline, out: Outcome) -> Verdict:
    if out.fault:
        why = "a pass is laid out for another configuration" if out.fault == 1 else "it does not end"
        return Verdict(case.name, out.cycles, 0, 0, (), (f"the RTL stops at cycle {out.cycles}: {why}",))
    late: list[tuple[int, int, int]] = []
    busy = law.costs.busy.copy()
    array = queues.members[QUEUES.index("array")]
    took = out.ends[QUEUES.index("array")].astype(np.int64) - out.starts[QUEUES.index("array")]
    for index, cycles in zip(array.tolist(), took.tolist(), strict=True):
        beyond = cycles - int(busy[index])
        if beyond > 0:
            late.append((index, int(busy[index]), beyond))
            busy[index] = cycles
    if late:
        costs = dataclasses.replace(law.costs, busy=busy)
        with mock.patch.object(clock, "costs", return_value=costs):
            law = clock.run(case.machine, queues.stream, queues=queues)
    found = [*_times(queues, law, out), *_bytes(engine, out)]
    if sum(out.late) != sum(beyond for _, _, beyond in late):
        found.append(f"the RTL counts {out.late} cycles behind the law, and its passes took {late}")
    passes = sum(queues.stream.instruction(int(index)).name == "conv" for index in array)
    return Verdict(case.name, out.cycles, len(queues.stream), passes, tuple(late), tuple(found))


def _times(queues: Order, law: Timeline, out: Outcome) -> list[str]:
    found: list[str] = []
    for number, queue in enumerate(QUEUES):
        members = queues.members[number]
        for what, ours, theirs in (("starts", law.start, out.starts), ("ends", law.end, out.ends)):
            rtl = theirs[number].astype(np.int64)
            if len(rtl) != len(members):
                found.append(f"{len(rtl)} {what} of {len(members)} instructions in queue '{queue}'")
            elif (differs := np.flatnonzero(ours[members] != rtl)).size:
                first = int(differs[0])
                index = int(members[first])
                found.append(f"{queues.describe(index)} {what} at {ours[index]}, in RTL at {rtl[first]}")
    if out.cycles != law.cycles:
        found.append(f"{law.cycles} cycles, in RTL {out.cycles}")
    return found


def _bytes(engine: Engine | None, out: Outcome) -> list[str]:
    found: list[str] = []
    memories: list[tuple[Memory, npt.NDArray[np.uint8]]] = []
    if engine is not None:
        memories = [(engine.sram, out.sram), (engine.dram, out.dram)]
    for memory, rtl in memories:
        differs = np.flatnonzero(memory.written & (memory.data != rtl[: memory.size]))
        if differs.size:
            at = int(differs[0])
            found.append(
                f"{differs.size} of {memory.written.sum()} bytes of {memory.name}, first {at:#x}: "
                f"{memory.data[at]}, in RTL {rtl[at]}"
            )
    return found
