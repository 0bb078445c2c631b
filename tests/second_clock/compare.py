"""The simulator's clock against the second one: cycle for cycle, instruction by instruction, queue by queue."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.machine import clock as simulator_clock
from sim.machine import configuration_image, encoding, program
from sim.machine.description import Configuration, Machine
from sim.machine.frames import Frames
from sim.machine.steady import steady
from tests.second_clock import clock
from tests.second_clock.clock import Record
from tests.second_clock.frames import spelled

FRAMES = 4
"""Frames of a program file that are compared."""

Instant = tuple[int, int, int, int]
"""Cycles of one instruction: when its engine or the channel became its own, when a turn after that was over, when the
next could have engine or channel, when its effects appeared."""


@dataclass(frozen=True)
class Comparison:
    """How far the two models agree on a program: a line of text for every disagreement."""

    instructions: int
    cycles: int
    steps: int
    disagreements: tuple[str, ...]


def compare(
    machine: Machine,
    records: Sequence[Record],
    configurations: Mapping[int, Configuration],
    jump: bool = False,
    fetched: bool = False,
) -> Comparison:
    """Run both models over a program; ``configurations``, ``jump`` and ``fetched`` as in ``clock.run``."""
    theirs = simulator_clock.run(machine, encoding.decode(encoding.encode(records)), fetched=fetched)
    return agreement(machine, records, theirs, clock.run(machine, records, configurations, jump, fetched))


def compare_frames(
    machine: Machine,
    records: Sequence[Record],
    frames: Frames,
    count: int,
    configurations: Mapping[int, Configuration],
    jump: bool = True,
) -> Comparison:
    """Run both models over so many frames of a text; ``configurations`` are those of the text.

    The simulator's repeat by its own account, and the total that it derives from their rhythm is compared as well.
    """
    stream = encoding.decode(encoding.encode(records))
    found = steady(machine, stream, frames)
    theirs = found.run(count)[1]
    line, places = spelled(records, frames, count)
    brought = {at: configurations[place] for at, place in enumerate(places) if place in configurations}
    ours = clock.run(machine, line, brought, jump)
    made = agreement(machine, line, theirs, ours)
    if found.total(count) == ours.cycles:
        return made
    wrong = f"cycles of {count} frames from their rhythm: simulator {found.total(count)}, second clock {ours.cycles}"
    return dataclasses.replace(made, disagreements=(*made.disagreements, wrong))


def agreement(
    machine: Machine, records: Sequence[Record], theirs: simulator_clock.Timeline, ours: clock.Result
) -> Comparison:
    """How far two runs of the same instructions agree."""
    found: list[str] = []
    for timing in (timing for queue in clock.QUEUES for timing in ours.queue(queue)):
        i = timing.index
        if timing.granted is None or timing.taken is None or timing.left is None:
            mine: Instant = (timing.start, timing.start, timing.completion, timing.completion)
        else:
            mine = (timing.granted, timing.taken, timing.left, timing.completion)
        column = (theirs.start, theirs.taken, theirs.leave, theirs.end)
        other: Instant = (int(column[0][i]), int(column[1][i]), int(column[2][i]), int(column[3][i]))
        if mine != other:
            found.append(f"{timing.queue} instruction {i} ({timing.name}): simulator {other}, second clock {mine}")
    names = [name for name, _ in records]
    totals = {
        "cycles": (theirs.cycles, ours.cycles),
        "bytes read": (
            sum(_of(theirs.costs.dram_bytes, names, False)) + int(theirs.fetches.bytes.sum()),
            ours.read_bytes,
        ),
        "bytes written": (sum(_of(theirs.costs.dram_bytes, names, True)), ours.written_bytes),
        "burst bytes read": (
            machine.dram.burst * (sum(_of(theirs.costs.bursts, names, False)) + int(theirs.fetches.bursts.sum())),
            ours.read_burst_bytes,
        ),
        "burst bytes written": (
            machine.dram.burst * sum(_of(theirs.costs.bursts, names, True)),
            ours.written_burst_bytes,
        ),
    }
    found += [f"{what}: simulator {a}, second clock {b}" for what, (a, b) in totals.items() if a != b]
    return Comparison(len(records), ours.cycles, ours.steps, tuple(found))


def _of(column: simulator_clock.Ints, names: Sequence[str], stores: bool) -> list[int]:
    return [value for value, name in zip(column.tolist(), names, strict=True) if (name == "store") == stores]


def compare_program(path: str | Path, jump: bool = True) -> list[Comparison]:
    """Compare the two models on every machine segment of a program file."""
    held = program.load(path)
    results: list[Comparison] = []
    for segment in held.segments:
        if isinstance(segment, program.MachineSegment):
            records = encoding.decode(segment.code).records()
            brought = configurations_of(held.machine, records, held.constants.tobytes())
            if segment.frames is not None:
                results.append(compare_frames(held.machine, records, segment.frames, FRAMES, brought, jump))
                continue
            fetched = held.machine.instruction_memory.fetches(held.code_bytes)
            results.append(compare(held.machine, records, brought, jump, fetched))
    return results


def configurations_of(machine: Machine, records: Sequence[Record], constants: bytes) -> dict[int, Configuration]:
    """What image each ``load_config`` of a real program brings, by its position.

    An image in DRAM is among the constants. One in SRAM was brought there by an earlier instruction of the same, in
    order queue: the latest load that covers the address says where in DRAM it came from.
    """
    size = machine.configuration.image_bytes
    brought: dict[int, Configuration] = {}
    loads: list[tuple[int, int, int]] = []  # SRAM address, DRAM address, bytes of a dense load
    for index, (name, fields) in enumerate(records):
        if name == "load" and fields["ring"] == 0:
            length, count1, count2 = (int(fields[key]) for key in ("bytes", "count1", "count2"))
            dense = all(
                (count1 == 1 or fields[f"{side}_stride1"] == length)
                and (count2 == 1 or fields[f"{side}_stride2"] == length * count1)
                for side in ("dram", "sram")
            )
            if dense:
                loads.append((int(fields["sram"]), int(fields["dram"]), length * count1 * count2))
        elif name == "load_config":
            address = int(fields["address"])
            if fields["space"] == 1:
                sources = [
                    dram + address - sram
                    for sram, dram, length in loads
                    if sram <= address and address + size <= sram + length
                ]
                address = sources[-1]
            brought[index] = configuration_image.decode(constants[address : address + size])
    return brought
