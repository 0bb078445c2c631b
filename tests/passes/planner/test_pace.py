"""The planner's own clock against the machine's: good to a few per cent, also where DRAM is met in short runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.emit import emit
from passes.planner import attempts
from passes.planner.cost import strided_cycles
from passes.planner.pace import Writings
from sim.machine import laws
from sim.machine.description import load
from sim.machine.errors import ReconError
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import planned, random_machine, write_machine
from tests.passes.tile_to_accel.support import lower


def test_expected_cycles_are_close_to_the_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    costs: list[int] = []
    original = attempts.prefetch

    def recorded(*arguments: Any, **options: Any) -> Any:
        layout = original(*arguments, **options)
        costs.append(layout.cost.cycles)
        return layout

    monkeypatch.setattr(attempts, "prefetch", recorded)
    ratios: list[float] = []
    for seed in range(500, 540):
        costs.clear()
        machine = "edge1k" if seed % 2 else write_machine(random_machine(seed), tmp_path)
        try:
            program = emit(lower(planned(random_net(seed), machine)))
        except ReconError:
            continue
        ratios.append(min(costs) / program.predicted_cycles)
    assert len(ratios) > 30
    assert 0.95 < np.median(ratios) < 1.05
    assert min(ratios) > 0.6
    assert max(ratios) < 1.4


def test_short_runs_take_whole_bursts() -> None:
    machine = load("edge4k")
    whole = strided_cycles(machine, (8, 8, 64), (0, 0, 0), (8, 8, 64))
    assert whole == int(laws.channel(machine, 1, 64))
    assert strided_cycles(machine, (8, 8, 64), (0, 0, 0), (8, 8, 4)) == int(laws.channel(machine, 64, 64)) == whole
    # Sixteen channels that lie across a burst's edge touch two bursts per pixel.
    assert strided_cycles(machine, (8, 8, 128), (0, 0, 56), (8, 8, 16)) == int(laws.channel(machine, 64, 128))


@pytest.mark.parametrize("seed", range(20))
def test_the_last_of_the_rows_that_are_read_counts_whatever_came_when(seed: int) -> None:
    dice = np.random.default_rng(seed)
    writings, every = Writings(), list[tuple[int, int, int]]()
    when = 0
    for _ in range(200):
        first = int(dice.integers(0, 40))
        end = first + int(dice.integers(1, 9))
        # The copy of an image can set the channel's clock back; engines never are.
        when = max(0, when + int(dice.integers(-5 if seed % 2 else 0, 20)))
        writings.add((first, end), when)
        every.append((first, end, when))
        low = int(dice.integers(0, 40))
        high, ready = low + int(dice.integers(1, 9)), int(dice.integers(0, 2)) * when // 2
        meets = [at for first, end, at in every if first < high and low < end]
        assert writings.there((low, high), ready) == max(ready, *meets, 0)


def test_a_reader_of_a_ring_looks_at_few_of_its_writings() -> None:
    looks = 0

    class Counted(int):
        def __le__(self, other: int) -> bool:
            nonlocal looks
            looks += 1
            return int(self) <= int(other)

    writings = Writings()
    for stripe in range(3000):
        writings.add((stripe, stripe + 1), Counted(stripe))
        writings.there((stripe, stripe + 1))
    assert looks <= 3000 * 3
