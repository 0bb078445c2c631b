"""Which of several plans is taken; and the law of ``test_nothing_beats_it`` on random networks.

More of them: ``RECON_NETWORKS=100-400 pytest tests/passes/planner/test_search.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passes.planner.network import Network
from passes.planner.partition import Partition
from passes.planner.prefetch import Cost, Layout
from passes.planner.schedule import Schedule
from passes.planner.search import Plan, Ranking
from sim.machine.description import load
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import random_machine, write_machine
from tests.passes.planner.test_nothing_beats_it import check

FIRST, LAST = map(int, os.environ.get("RECON_NETWORKS", "0-4").split("-"))


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_no_plan_of_a_random_network_is_better(seed: int, tmp_path: Path) -> None:
    machines = ("edge4k", "edge1k", write_machine(random_machine(seed), tmp_path))
    check(random_net(seed), machines[seed % 3])


def test_a_plan_that_only_seems_faster_does_not_replace_the_trusted_one() -> None:
    """The plan's own clock is doubted by a few per cent; bytes are not, and the program's clock is not."""
    empty, machine = Schedule((), (), {}), load("edge4k")
    nothing = Network([], [], [], [], [], [])

    def made(cycles: int, dram_bytes: int) -> Plan:
        layout = Layout({}, {}, (), Cost(cycles, dram_bytes, 0, crowded=False))
        return Plan(nothing, {}, Partition((), frozenset()), empty, layout)

    trusted, other = made(1000, 500), made(995, 400)
    assert Ranking(machine, "cycles").best([trusted, other], None, trusted) is trusted
    assert Ranking(machine, "cycles").best([trusted, other], None) is other
    assert Ranking(machine, "dram").best([trusted, other], None, trusted) is other
    assert Ranking(machine, "cycles").best([trusted, other], _times, trusted) is trusted


def _times(plan: Plan) -> int:
    return {1000: 970, 995: 980}[plan.layout.cost.cycles]
