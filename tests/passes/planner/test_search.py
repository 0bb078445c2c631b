"""Which of several plans is taken."""

from __future__ import annotations

from passes.planner.network import Network
from passes.planner.partition import Partition
from passes.planner.prefetch import Cost, Layout
from passes.planner.ranking import Plan, Ranking
from passes.planner.schedule import Schedule
from sim.machine.description import load


def test_a_plan_that_only_seems_faster_does_not_replace_the_trusted_one() -> None:
    """The plan's own clock is doubted by a few per cent; bytes are not, and the program's clock is not."""
    empty, machine = Schedule((), (), {}), load("edge4k")
    nothing = Network([], [], [], [], [], [])

    def made(cycles: int, dram_bytes: int, lean: bool = False) -> Plan:
        layout = Layout({}, {}, (), Cost(cycles, dram_bytes, 0, crowded=False))
        return Plan(nothing, {}, Partition((), frozenset(), lean), empty, layout)

    trusted, other = made(1000, 500), made(995, 400, lean=True)
    assert Ranking(machine, "cycles").best([trusted, other], None, trusted) is trusted
    assert Ranking(machine, "cycles").best([trusted, other], None) is other
    assert Ranking(machine, "dram").best([trusted, other], None, trusted) is other
    assert Ranking(machine, "cycles").best([trusted, other], _times, trusted) is trusted
    alike = made(960, 400)  # of the same groups; only what waits inside them is doubtful
    assert Ranking(machine, "cycles").best([trusted, alike], None, trusted) is alike


def _times(plan: Plan) -> int:
    return {1000: 970, 995: 980}[plan.layout.cost.cycles]
