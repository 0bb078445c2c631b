"""The planner's own clock against the machine's: good to a few per cent, also where DRAM is met in short runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.emit import emit
from passes.planner import attempts
from passes.planner.cost import strided_cycles
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
