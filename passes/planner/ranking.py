"""Plans, and which of several is best.

The planner's own clock sees waits through buffers, the program's sees every byte. Plans that the first finds close are
compared by the second, as long as they are small enough to be spelled out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from passes.planner.mapping import ConvMapping
from passes.planner.network import Layer, Network
from passes.planner.partition import Partition
from passes.planner.prefetch import Cost, Layout
from passes.planner.schedule import Schedule
from passes.planner.tuning import CLOSE, DOUBT, MOST_WEIGHED, TINY, TINY_CLOSE, WEIGHED_WORKS
from sim.machine.description import Machine


@dataclass(frozen=True, eq=False)
class Plan:
    """A network run in a way that is known to fit: how each convolution runs, which layers run together and what waits
    in DRAM, and the schedule of it all with its layout."""

    network: Network
    mappings: Mapping[Layer, ConvMapping]
    partition: Partition
    schedule: Schedule
    layout: Layout

    @property
    def works(self) -> int:
        """How many works it has."""
        return len(self.schedule.works)

    @property
    def is_tiny(self) -> bool:
        """Whether it costs next to nothing to make it and to weigh it."""
        return self.works <= TINY

    def is_same(self, other: Plan) -> bool:
        """Whether both become the same program."""
        one, two = self.layout, other.layout
        return self.schedule is other.schedule and (one.positions, one.addresses) == (two.positions, two.addresses)


Weigh = Callable[[Plan], int]
"""The cycles of the program that a plan becomes."""


@dataclass(frozen=True)
class Ranking:
    """Which of several plans is best by an objective."""

    machine: Machine
    objective: str

    def key(self, cost: Cost) -> tuple[int, ...]:
        """What is compared: the objective, then the other figures."""
        unit = self.machine.energy
        energy = cost.dram_bytes * unit.dram_fj_per_byte + cost.sram_bytes * unit.sram_fj_per_byte
        if self.objective == "dram":
            return cost.dram_bytes, cost.cycles, energy
        if self.objective == "energy":
            return energy, cost.cycles, cost.dram_bytes
        return cost.cycles, cost.dram_bytes, energy

    def best(self, plans: Sequence[Plan], weigh: Weigh | None, trusted: Plan | None = None) -> Plan:
        """The best of several plans, the earliest of equal ones.

        The plan's own clock sees waits through buffers; among plans that it finds close, and that are small enough to
        be spelled out, the clock of their programs decides. Where they are not, the ``trusted`` one stays, if there is
        one, it is a matter of cycles, and no other is better beyond doubt: bytes are exact.
        """
        close = self._close(plans)
        if weigh is None or len(close) < 2:
            return trusted if trusted is not None and self._is_doubtful(close[0], trusted) else close[0]
        weighed = {one: dataclasses.replace(one.layout.cost, cycles=weigh(one)) for one in close}
        return min(close, key=lambda one: self.key(weighed[one]))

    def _is_doubtful(self, one: Plan, trusted: Plan) -> bool:
        """Whether a plan may only seem better than the one that is trusted, with which it shares no partition."""
        if one.partition == trusted.partition:
            return False
        first, other = self.key(one.layout.cost)[0], self.key(trusted.layout.cost)[0]
        return self.objective == "cycles" and first * 1000 >= other * (1000 - DOUBT)

    def _close(self, plans: Sequence[Plan]) -> list[Plan]:
        """The plans that may be the best, the most promising first: as many as their size allows to weigh."""
        order = sorted(plans, key=lambda one: self.key(one.layout.cost))
        least = order[0].layout.cost
        found: list[Plan] = []
        works = 0
        for one in order:
            works += one.works
            if found and (len(found) >= MOST_WEIGHED or works > WEIGHED_WORKS):
                break
            doubtful = one.is_tiny or any(group.turns * group.stripes > 1 for group in one.partition.groups)
            nearness = max(CLOSE, TINY_CLOSE * 2 * TINY // max(2 * TINY, one.works)) if doubtful else CLOSE
            if self._is_close(one.layout.cost, least, nearness) and not any(one.is_same(other) for other in found):
                found.append(one)
            else:
                works -= one.works
        return found

    def _is_close(self, cost: Cost, least: Cost, thousandths: int) -> bool:
        first, best = self.key(cost)[0], self.key(least)[0]
        return first <= best if self.objective != "cycles" else first * 1000 <= best * (1000 + thousandths)
