"""The search: a few partitions of the network, each planned to the end, the best by the objective.

The space is small on purpose. Every layer alone comes first, then the same with the first layers fused over stripes,
which hides the arrival of a large input. Where activations crowd SRAM beyond ROOMY, layers are fused within each of a
few budgets. Last, long skips go to DRAM, the one that waits longest for its size first. Every candidate is laid out
with real addresses and paced by the machine's laws, so the one that is kept is known to fit, and its expected cycles
are those of its own text but for waits inside a buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from passes.planner.candidates import conv_shape
from passes.planner.configure import choose
from passes.planner.network import Buffer, Layer, Network
from passes.planner.options import Options
from passes.planner.partition import LONGEST, Partition, Partitioner, alone
from passes.planner.prefetch import FAR, Cost, prefetch
from passes.planner.schedule import Layout, Schedule
from sim.machine.description import Configuration, Machine
from sim.machine.errors import ReconError

ROOMY = 35
"""Per cent of SRAM: activations that never take more leave enough for prefetch, and only first layers are fused."""


@dataclass(frozen=True)
class Effort:
    """How a partition is laid out: how many items ahead loads may come, whether addresses are found at the end, and
    whether the vector unit's results keep clear of what is still read."""

    horizon: int
    tight: bool
    clear: bool


EFFORTS = (
    Effort(FAR, tight=False, clear=True),
    Effort(FAR, tight=False, clear=False),
    Effort(64, tight=True, clear=False),
    Effort(12, tight=True, clear=False),
    Effort(2, tight=True, clear=False),
)
"""In the order in which they are tried; far prefetch can leave SRAM in pieces, then a nearer one may fit."""

DOUBT = 30
"""Thousandths by which other groups must be faster: the plan's clock does not see every wait inside a ring buffer, and
the simpler partition is tried first."""

OPENING_DOUBT = 1
"""Thousandths by which a plan must be faster for stripes at the network's start."""

SKIP_DOUBT = 3
"""Thousandths by which a plan must be faster for long skips in DRAM."""

BUDGETS = (85, 70, 55, 100)
"""Per cent of SRAM that activations and the weights of fused layers may take, tried in turn."""


def configured(
    machine: Machine, network: Network, pinned: Mapping[str, Configuration], options: Options
) -> dict[Layer, Configuration]:
    """The configuration of every convolution: the pinned one by layer name, else the best path over the network."""
    convolutions = [layer for layer in network.layers if layer.is_conv]
    shapes = [(layer.name, conv_shape(layer)) for layer in convolutions]
    moved = sum(shape.weight_bytes for _, shape in shapes)
    moved += sum(t.height * t.width * t.channels for t in (*network.inputs, *network.outputs))
    found = choose(options.machine(machine), shapes, pinned, moved, single=options.one_configuration)
    return dict(zip(convolutions, found, strict=True))


class _Search:
    """The best schedule found so far, and what was tried."""

    def __init__(self, machine: Machine, network: Network, chosen: dict[Layer, Configuration], options: Options):
        self.machine = machine
        self.network = network
        self.chosen = chosen
        self.options = options
        self.best: tuple[tuple[int, ...], Schedule] | None = None
        self.failure: ReconError | None = None
        self.seen: set[Partition] = set()
        self.clear_pays: bool | None = None

    @property
    def is_over(self) -> bool:
        """Whether a schedule is found and no more are wanted."""
        return self.best is not None and (self.options.level < 2 or 0 < self.options.trials <= len(self.seen))

    def attempt(self, make: Callable[[], Partition], doubt: int) -> bool:
        """Lay out a partition; whether it is the best so far, by more than ``doubt`` thousandths."""
        if self.is_over:
            return False
        try:
            partition = make()
        except ReconError as error:
            self.failure = self.failure or error
            return False
        if partition in self.seen:
            return False
        self.seen.add(partition)
        schedule = Schedule(self.machine, self.network, self.chosen, partition.groups, partition.spilled)
        fresh = schedule.layout()
        found: tuple[tuple[int, ...], Layout] | None = None
        for effort in EFFORTS:
            if effort.clear and self.clear_pays is False:
                continue
            schedule.restore(fresh)
            try:
                cost = prefetch(
                    self.machine,
                    schedule.items,
                    schedule.pending,
                    ahead=self.options.ahead,
                    horizon=effort.horizon,
                    tight=effort.tight,
                    clear=effort.clear,
                )
            except ReconError as error:
                self.failure = self.failure or error
                if self.best is None or effort.clear:
                    continue
                break
            key = _key(cost, self.machine, self.options.objective)
            if found is not None:
                self.clear_pays = found[0] < key
            if found is None or key < found[0]:
                found = key, schedule.layout()
            # Keeping clear is worth it where it costs no prefetch, and the first crowded plan shows whether it does; a
            # nearer horizon only while nothing fits.
            if not (effort.clear and cost.crowded) or self.clear_pays:
                break
        if found is None or (self.best is not None and found[0][0] * 1000 >= self.best[0][0] * (1000 - doubt)):
            return False
        schedule.restore(found[1])
        self.best = found[0], schedule
        return True


def plan(machine: Machine, network: Network, chosen: dict[Layer, Configuration], options: Options) -> Schedule:
    """The best schedule found; its items and transfers have positions, its rooms addresses.

    Raises ReconError when the network does not fit in SRAM.
    """
    usable = options.machine(machine)
    partitioner = Partitioner(usable, network, chosen, LONGEST if options.fusion and options.residency else 1)
    search = _Search(usable, network, chosen, options)
    capacity = usable.sram.bytes

    opens = False

    def cut(budget: int, spilled: frozenset[Buffer]) -> Callable[[], Partition]:
        def made() -> Partition:
            found = partitioner.cut(capacity * budget // 100, spilled)
            return partitioner.opened(found, capacity * budget // 100) if opens else found

        return made

    if not options.residency:
        search.attempt(cut(100, partitioner.spillable()), 0)
    else:
        crowded = max(partitioner.live(), default=0) > capacity * ROOMY // 100
        streamed = partitioner.large_inputs() if crowded else frozenset[Buffer]()
        search.attempt(lambda: alone(network), 0)
        opens = search.attempt(lambda: partitioner.opened(alone(network), capacity), OPENING_DOUBT)
        kept = 100
        for budget in BUDGETS if crowded else ():
            if search.attempt(cut(budget, streamed), DOUBT):
                kept = budget
        for skips in partitioner.long_skips():
            search.attempt(cut(kept, skips | streamed), SKIP_DOUBT)
    if search.best is None:
        assert search.failure is not None
        raise search.failure
    return search.best[1]


def _key(cost: Cost, machine: Machine, objective: str) -> tuple[int, ...]:
    """What is compared: the objective, then the other figures."""
    energy = cost.dram_bytes * machine.energy.dram_fj_per_byte + cost.sram_bytes * machine.energy.sram_fj_per_byte
    if objective == "dram":
        return cost.dram_bytes, cost.cycles, energy
    if objective == "energy":
        return energy, cost.cycles, cost.dram_bytes
    return cost.cycles, cost.dram_bytes, energy
