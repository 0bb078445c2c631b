"""The search: a few partitions of the network, each planned to the end, the best by the objective.

The space is small on purpose. Where all activations leave room (ROOMY), every layer alone is a partition whose loads
are never late, and nothing else is tried. Where they crowd SRAM, layers are fused within each of a few budgets, with
long skips on chip or in DRAM. Every candidate is laid out with real addresses and paced by the machine's laws, so the
one that is kept is known to fit, and its expected cycles are those of its own text but for waits inside a buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from passes.plan.candidates import conv_shape
from passes.plan.configure import choose
from passes.plan.network import Buffer, Layer, Network
from passes.plan.options import Options
from passes.plan.partition import LONGEST, Partition, Partitioner, alone
from passes.plan.prefetch import FAR, Cost, prefetch
from passes.plan.schedule import Schedule
from sim.errors import ReconError
from sim.machine import Configuration, Machine

ROOMY = 35
"""Per cent of SRAM: activations that never take more leave enough for prefetch, and nothing is fused."""


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

DOUBT = 3
"""Per cent: the plan's clock does not see every wait inside a buffer, and the simpler partition is tried first."""

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


def partitions(
    machine: Machine, network: Network, chosen: dict[Layer, Configuration], options: Options
) -> Iterator[Partition | ReconError]:
    """Candidates in the order in which they are tried; an error where a budget admits none."""
    partitioner = Partitioner(machine, network, chosen, LONGEST if options.fusion else 1)
    if not options.residency:
        yield _attempt(partitioner, 100, partitioner.spillable())
        return
    yield alone(network)
    crowded = max(partitioner.live(), default=0) > machine.sram.bytes * ROOMY // 100
    streamed = partitioner.large_inputs() if crowded else frozenset[Buffer]()
    if crowded:
        for budget in BUDGETS:
            yield _attempt(partitioner, budget, streamed)
    if skips := partitioner.long_skips():
        for budget in (100, *(BUDGETS if crowded else ())):
            yield _attempt(partitioner, budget, skips | streamed)


def _attempt(partitioner: Partitioner, budget: int, spilled: frozenset[Buffer]) -> Partition | ReconError:
    try:
        return partitioner.cut(partitioner.machine.sram.bytes * budget // 100, spilled)
    except ReconError as error:
        return error


def plan(machine: Machine, network: Network, chosen: dict[Layer, Configuration], options: Options) -> Schedule:
    """The best schedule found; its items and transfers have positions, its rooms addresses.

    Raises ReconError when the network does not fit in SRAM.
    """
    usable = options.machine(machine)
    best: tuple[tuple[int, ...], Schedule] | None = None
    failure: ReconError | None = None
    seen: set[Partition] = set()
    found: Partition | None = None
    for partition in partitions(usable, network, chosen, options):
        if isinstance(partition, ReconError):
            failure = failure or partition
            continue
        if partition in seen:
            continue
        if best is not None and (options.level < 2 or 0 < options.trials <= len(seen)):
            break
        seen.add(partition)
        for effort in EFFORTS:
            try:
                schedule = Schedule(usable, network, chosen, partition.groups, partition.spilled)
                cost = prefetch(
                    usable,
                    schedule.items,
                    schedule.pending,
                    ahead=options.ahead,
                    horizon=effort.horizon,
                    tight=effort.tight,
                    clear=effort.clear,
                )
            except ReconError as error:
                failure = failure or error
                if best is None or effort.clear:
                    continue
                break
            key = _key(cost, usable, options.objective)
            if best is None or _clearly_less(key, best[0], first=partition is found):
                best, found = (key, schedule), partition
            # Keeping clear is worth it where it costs no prefetch; a nearer horizon only while nothing fits.
            if not (effort.clear and cost.crowded):
                break
    if best is None:
        assert failure is not None
        raise failure
    return best[1]


def _clearly_less(key: tuple[int, ...], best: tuple[int, ...], first: bool) -> bool:
    """Whether a plan is better; another partition than the best one's must be so by more than the clock's error."""
    return key < best if first else key[0] * 100 < best[0] * (100 - DOUBT)


def _key(cost: Cost, machine: Machine, objective: str) -> tuple[int, ...]:
    """What is compared: the objective, then the other figures."""
    energy = cost.dram_bytes * machine.energy.dram_fj_per_byte + cost.sram_bytes * machine.energy.sram_fj_per_byte
    if objective == "dram":
        return cost.dram_bytes, cost.cycles, energy
    if objective == "energy":
        return energy, cost.cycles, cost.dram_bytes
    return cost.cycles, cost.dram_bytes, energy
