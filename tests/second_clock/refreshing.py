"""The machine's time on a channel that refreshes at some phase and finds rows open or closed as dice fall."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction

from sim.machine.description import Configuration, Machine
from tests.second_clock.clock import Clock, Record, Text
from tests.second_clock.laws import ChannelUse, Fields, cycles_to_move, ints, runs


class RefreshingClock(Clock):
    """A clock whose transfers move at the peak rate, open rows, and stand still during refreshes, the first of which
    begins at cycle ``phase`` of every interval. ``missing`` is the share of the rows touched that were closed."""

    def __init__(
        self,
        machine: Machine,
        records: Sequence[Record],
        configurations: Mapping[int, Configuration],
        text: Text | None,
        seed: int,
    ) -> None:
        super().__init__(machine, records, configurations, text)
        self.dice = random.Random(seed)
        self.phase = self.dice.randrange(machine.dram.refresh_interval)
        self.missing = self.dice.choice((0.0, 0.5, 1.0))

    def _leaves(self, taken: int, name: str, fields: Fields, cost: ChannelUse) -> int:
        dram = self.machine.dram
        if name == "load_config":
            (first,) = ints(fields, "address")
            pieces = [(first, first + self.machine.configuration.image_bytes)]
        else:
            pieces = list(runs(*ints(fields, "dram", "bytes", "count1", "count2", "dram_stride1", "dram_stride2")))
        peak = Fraction(dram.bytes_per_second, self.machine.clock_hz)
        left = max(cycles_to_move(cost.burst_bytes, peak), len(pieces))
        for start, end in pieces:
            for _ in range(start // dram.row_bytes, (end - 1) // dram.row_bytes + 1):
                left += self.dice.random() < self.missing and self.dice.randint(0, dram.row_miss)
        now, blocks = taken, dram.refresh_interval * dram.refresh_per_mille // 1000
        while left:
            into = (now - self.phase) % dram.refresh_interval
            if into < blocks:
                now += blocks - into
                continue
            moved = min(left, dram.refresh_interval - into)
            now, left = now + moved, left - moved
        return now
