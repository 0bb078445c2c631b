"""A search over partitions of one network in one set of configurations.

The space is small on purpose. Every layer alone comes first, then the same with the first layers fused over stripes,
which hides the arrival of a large input. Where activations crowd SRAM beyond ROOMY, layers are fused within each of a
few budgets. Last, long skips go to DRAM, the one that waits longest for its size first. Every candidate is laid out
with real addresses and paced by the machine's laws, so the one that is kept is known to fit, and its expected cycles
are those of its own text but for waits inside a buffer.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from passes.planner.mapping import ConvMapping
from passes.planner.nests import Nests
from passes.planner.network import Buffer, Layer, Network
from passes.planner.options import Options
from passes.planner.partition import Partition, Partitioner, alone
from passes.planner.pins import Pins
from passes.planner.prefetch import Effort, Layout, prefetch
from passes.planner.ranking import Plan, Ranking
from passes.planner.refusals import nearest
from passes.planner.residency import settled
from passes.planner.schedule import Schedule, schedule
from passes.planner.tuning import (
    BUDGETS,
    DOUBT,
    HORIZONS,
    LEAN,
    LONGEST,
    OPENING_DOUBT,
    ROOMY,
    SKIP_DOUBT,
    TIGHT_BUDGETS,
    WEIGHED_WORKS,
)
from sim.machine.description import Machine
from sim.machine.errors import ReconError


def efforts() -> tuple[Effort, ...]:
    """Ways to place a schedule's loads, in the order in which they are tried."""
    return Effort(clear=True), Effort(), *(Effort(horizon, tight=True) for horizon in HORIZONS)


@dataclass
class Workshop:
    """What several searches make of one network in one set of configurations, each thing once."""

    machine: Machine
    network: Network
    mappings: Mapping[Layer, ConvMapping]
    pins: Pins
    schedules: dict[Partition, Schedule] = field(default_factory=dict[Partition, Schedule])
    layouts: dict[tuple[Partition, Effort], Layout | ReconError] = field(
        default_factory=dict[tuple[Partition, Effort], Layout | ReconError]
    )
    plans: dict[tuple[Partition, int], Plan] = field(default_factory=dict[tuple[Partition, int], Plan])

    def schedule(self, partition: Partition) -> Schedule:
        if partition not in self.schedules:
            made = schedule(self.machine, self.network, self.mappings, partition)
            self.schedules[partition] = self.pins.hurried(made)
        return self.schedules[partition]

    def layout(self, partition: Partition, effort: Effort) -> Layout:
        """The layout of a partition's schedule. Raises ReconError when it does not fit."""
        key = partition, effort
        if key not in self.layouts:
            try:
                self.layouts[key] = prefetch(self.machine, self.schedule(partition), effort)
            except ReconError as error:
                self.layouts[key] = error
        found = self.layouts[key]
        if isinstance(found, ReconError):
            raise found
        return found

    def plan(self, partition: Partition, layout: Layout) -> Plan:
        made = Plan(self.network, self.mappings, partition, self.schedule(partition), layout)
        return self.plans.setdefault((partition, id(layout)), made)


class PlanSearch:
    """The best plan found so far by the planner's own clock, and what was tried."""

    def __init__(self, workshop: Workshop, options: Options):
        self.workshop = workshop
        self.options = options
        longest = LONGEST if options.fusion and options.residency else 1
        self.partitioner = Partitioner(workshop.machine, workshop.network, workshop.mappings, longest)
        self.ranking = Ranking(workshop.machine, options.measure)
        self.best: tuple[tuple[int, ...], Plan] | None = None
        self.plans: list[Plan] = []
        self.failure: ReconError | None = None
        self.seen: set[Partition] = set()
        self.clear_pays: bool | None = None
        """Whether keeping clear is worth it where it costs prefetch; None until a crowded plan has shown it."""

    def run(self) -> None:
        """Try all partitions that the options allow."""
        partitioner, capacity = self.partitioner, self.workshop.machine.sram.bytes
        if self.options.residency:
            self._try_partitions(capacity)
        else:
            self.attempt(lambda: partitioner.cut(capacity, partitioner.spillable()), 0)
        if self.best is None:
            self._try_nests(capacity)

    @property
    def is_over(self) -> bool:
        """Whether a plan is found and no more are wanted."""
        return self.best is not None and (self.options.level < 2 or 0 < self.options.trials <= len(self.seen))

    def attempt(self, make: Callable[[], Partition], doubt: int) -> bool:
        """Lay out a partition; whether it is the best so far, by more than ``doubt`` thousandths."""
        if self.is_over:
            return False
        try:
            partition = self.workshop.pins.applied(make(), self.partitioner)
        except ReconError as error:
            self.failure = nearest(self.failure, error)
            return False
        if partition in self.seen:
            return False
        self.seen.add(partition)
        found = self._laid_out(partition)
        if found is None:
            return False
        self.plans.append(self.workshop.plan(partition, found[1]))
        if self.options.measure != "cycles":
            doubt = 0  # bytes are exact
        if self.best is not None and found[0][0] * 1000 >= self.best[0][0] * (1000 - doubt):
            return False
        self.best = found[0], self.plans[-1]
        return True

    def late(self, best: Plan) -> list[Plan]:
        """The same with every load coming when its layer does: on a small network that can leave more room."""
        if not self.options.ahead or best.works > WEIGHED_WORKS:
            return []
        found: list[Plan] = []
        for clear in (True, False) if best.is_tiny else (False,):
            try:
                layout = self.workshop.layout(best.partition, Effort(clear=clear, ahead=False))
            except ReconError:
                continue
            found.append(self.workshop.plan(best.partition, layout))
        return found

    def _laid_out(self, partition: Partition) -> tuple[tuple[int, ...], Layout] | None:
        """The best layout of a partition, None if it does not fit.

        A nearer horizon is tried only while nothing fits. Keeping clear is worth it where it costs no prefetch, and
        the first crowded plan shows whether it does.
        """
        found: tuple[tuple[int, ...], Layout] | None = None
        for effort in efforts():
            if effort.clear and self.clear_pays is False:
                continue
            try:
                layout = self.workshop.layout(partition, dataclasses.replace(effort, ahead=self.options.ahead))
            except ReconError as error:
                self.failure = nearest(self.failure, error)
                if self.best is None or effort.clear:
                    continue
                break
            key = self.ranking.key(layout.cost)
            if found is not None:
                self.clear_pays = found[0] < key
            if found is None or key < found[0]:
                found = key, layout
            if not (effort.clear and layout.cost.crowded) or self.clear_pays:
                break
        return found

    def _try_nests(self, capacity: int) -> None:
        """Groups that turn over strips and parts of their tensors and stream their weights, within several budgets."""
        partitioner = self.partitioner
        partitioner.nests = Nests(partitioner.machine, partitioner.mappings)
        small = partitioner.machine.configuration.image_bytes * LEAN > capacity
        for budget in TIGHT_BUDGETS:

            def cut(budget: int = capacity * budget // 100) -> Partition:
                given = partitioner.large_inputs()
                if self.options.residency:
                    found = settled(partitioner, budget, given)
                else:
                    found = partitioner.cut(budget, partitioner.spillable() | given)
                return dataclasses.replace(found, lean=small)

            if self.attempt(cut, 0):
                break
        partitioner.nests = None

    def _try_partitions(self, capacity: int) -> None:
        """Every layer alone, the first ones fused, what crowds SRAM fused within several budgets, long skips in
        DRAM."""
        partitioner = self.partitioner
        crowded = max(partitioner.live(), default=0) > capacity * ROOMY // 100
        streamed = partitioner.large_inputs() if crowded else frozenset[Buffer]()
        whole = alone(self.workshop.network)
        self.attempt(lambda: whole, 0)
        opens = self.attempt(lambda: partitioner.opened(whole, capacity), OPENING_DOUBT)

        def cut(per_cent: int, spilled: frozenset[Buffer]) -> Partition:
            budget = capacity * per_cent // 100
            found = partitioner.cut(budget, spilled)
            return partitioner.opened(found, budget) if opens else found

        kept = 100
        for budget in BUDGETS if crowded else ():
            if self.attempt(functools.partial(cut, budget, streamed), DOUBT):
                kept = budget
        for skips in partitioner.long_skips():
            self.attempt(functools.partial(cut, kept, skips | streamed), SKIP_DOUBT)
