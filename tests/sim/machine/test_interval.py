"""Whenever a refresh falls due and whatever rows are closed, the time of a program lies within its interval."""

from __future__ import annotations

import dataclasses
import random

import pytest

from sim.machine import clock, description
from sim.machine.description import Machine
from sim.machine.encoding import decode, encode
from sim.machine.interval import Interval, interval
from sim.machine.order import order
from tests.second_clock.clock import Text
from tests.second_clock.random_programs import RandomProgram, odd_machine, random_program
from tests.second_clock.refreshing import RefreshingClock
from tests.sim.support import SMALL, changed


def machine_of(seed: int) -> Machine:
    """A machine whose refreshes and rows matter to short programs; every other fetches its text."""
    dice = random.Random(seed)
    base = odd_machine(description.load(dice.choice(description.names())), seed)
    dram = dataclasses.replace(
        base.dram,
        refresh_interval=dice.choice((1, 7, 100, 3000)),
        refresh_per_mille=dice.randrange(400),
        row_bytes=dice.choice((64, 500, 4096)),
        row_miss=dice.randrange(60),
    )
    memory = dataclasses.replace(base.instruction_memory, bytes=8192, fetch=256)
    return dataclasses.replace(base, dram=dram, instruction_memory=memory)


def bounds(machine: Machine, made: RandomProgram, fetched: bool) -> tuple[Interval, int]:
    """The interval of a program, and what the clock of average rates says."""
    queues = order(decode(encode(made.records)))
    timeline = clock.run(machine, queues.stream, queues=queues, fetched=fetched)
    return interval(machine, queues, timeline, fetched), timeline.cycles


@pytest.mark.parametrize("seed", range(24))
def test_any_phase_of_refresh_lies_within(seed: int) -> None:
    machine, fetched = machine_of(seed), seed % 2 == 1
    made = random_program(machine, seed, 100)
    found, average = bounds(machine, made, fetched)
    assert found.least <= found.most
    for phase in range(8):
        text = Text(machine, made.records) if fetched else None
        run = RefreshingClock(machine, made.records, made.configurations, text, phase).run(jump=True)
        assert found.least <= run.cycles <= found.most
    if (
        machine.dram.refresh_interval >= 100
    ):  # the mean of refreshes, each transfer rounded up, is no more than the most
        assert average <= found.most + machine.dram.refresh_interval + len(made.records)


def one_load() -> tuple[Machine, RandomProgram]:
    """64 KiB at 64 bytes a cycle, in rows of 4 KiB; a refresh of 100 cycles in every 1,000."""
    dram = {"refresh_interval": 1000, "refresh_per_mille": 100, "row_bytes": 4096, "row_miss": 10}
    machine = changed(SMALL, dram=dram)
    return machine, RandomProgram(machine, 0, [("load", {"dram": 4096, "bytes": 65536})], {}, {})


def test_what_each_number_is_for() -> None:
    """At least one refresh in 1,024 cycles, then the latency; at most 16 rows to open and two refreshes."""
    machine, made = one_load()
    assert bounds(machine, made, False)[0] == Interval(1024 + 100 + 10, 1024 + 16 * 10 + 10 + 2 * 100)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [("refresh_interval", 2000, (1034, 1394)), ("row_bytes", 8192, (1134, 1324)), ("row_miss", 0, (1134, 1234)),
     ("refresh_per_mille", 0, (1034, 1194))],
)  # fmt: skip
def test_each_key_changes_the_interval(key: str, value: int, found: tuple[int, int]) -> None:
    machine, made = one_load()
    assert bounds(changed(machine, dram={key: value}), made, False)[0] == Interval(*found)
