"""The search: a few partitions of the network, each planned to the end, the best by the objective.

The space is small on purpose. Every layer alone comes first, then the same with the first layers fused over stripes,
which hides the arrival of a large input. Where activations crowd SRAM beyond ROOMY, layers are fused within each of a
few budgets. Last, long skips go to DRAM, the one that waits longest for its size first. Every candidate is laid out
with real addresses and paced by the machine's laws, so the one that is kept is known to fit, and its expected cycles
are those of its own text but for waits inside a buffer.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from passes.planner.batch import batched, for_all
from passes.planner.configure import ConvRequest, choices
from passes.planner.frames import code_bytes, layouts
from passes.planner.mapping import ConvMapping, conv_shape
from passes.planner.nests import Nests
from passes.planner.network import Buffer, Layer, Network
from passes.planner.options import Options
from passes.planner.partition import Partition, Partitioner, alone
from passes.planner.pins import Pins, pins_of
from passes.planner.prefetch import Cost, Effort, Layout, prefetch
from passes.planner.refusals import nearest
from passes.planner.residency import settled
from passes.planner.schedule import Schedule, schedule
from passes.planner.tuning import (
    BUDGETS,
    CLOSE,
    DOUBT,
    FRAME_BUDGETS,
    HORIZONS,
    IMAGES,
    LEAN,
    LONGEST,
    MOST_WEIGHED,
    MOST_WORKS,
    OPENING_DOUBT,
    ROOMY,
    SKIP_DOUBT,
    TIGHT_BUDGETS,
    TINY,
    TINY_CLOSE,
    WEIGHED_WORKS,
    WORTH,
)
from sim.machine.description import Machine
from sim.machine.errors import ReconError


def efforts() -> tuple[Effort, ...]:
    """Ways to place a schedule's loads, in the order in which they are tried."""
    return Effort(clear=True), Effort(), *(Effort(horizon, tight=True) for horizon in HORIZONS)


@dataclass(frozen=True)
class Plan:
    """A network run in a way that is known to fit: how each convolution runs, which layers run together and what waits
    in DRAM, and the schedule of it all with its layout."""

    network: Network
    mappings: Mapping[Layer, ConvMapping]
    partition: Partition
    schedule: Schedule
    layout: Layout


Weigh = Callable[[Plan], int]
"""The cycles of the program that a plan becomes."""


def configured(
    machine: Machine, network: Network, options: Options, weigh: Weigh | None = None
) -> dict[Layer, ConvMapping]:
    """How every convolution runs: in the configuration it has been given, else as the best plan of several choices has
    it, of which there are the fewer the larger the network is."""
    layers = [layer for layer in network.layers if layer.is_conv]
    convolutions = [ConvRequest(layer.name, conv_shape(layer), layer.configuration) for layer in layers]
    moved = sum(one.shape.weight_bytes for one in convolutions)
    moved += sum(t.height * t.width * t.channels for t in (*network.inputs, *network.outputs))
    usable = options.usable(machine)
    if options.streams:
        moved = max(0, moved - usable.sram.bytes)
    ways = choices(usable, convolutions, moved, options.one_configuration)
    found = [dict(zip(layers, way, strict=True)) for way in ways]
    if len(found) == 1 or options.level < 2:
        return found[0]
    quick = dataclasses.replace(options, level=1)
    trials: list[Plan] = []
    for mappings in found:
        try:
            trials.append(plan(machine, network, mappings, quick))
            if len(trials[-1].schedule.works) <= TINY:
                trials[-1] = plan(machine, network, mappings, options, weigh)
        except ReconError:
            continue
        if sum(len(one.schedule.works) for one in trials) > MOST_WORKS:
            break
    ranking = Ranking(usable, options.measure)
    return dict(ranking.best(trials, weigh).mappings) if trials else found[0]


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
        one and it is a matter of cycles: bytes are exact.
        """
        order = sorted(plans, key=lambda one: self.key(one.layout.cost))
        least = order[0].layout.cost
        works = max(len(one.schedule.works) for one in order)
        close = [one for one in order if self._is_close(one.layout.cost, least, TINY_CLOSE if works <= TINY else CLOSE)]
        close = close[: min(MOST_WEIGHED, WEIGHED_WORKS // max(1, works))]
        if weigh is None or len(close) < 2:
            return trusted if trusted is not None and self.objective == "cycles" else order[0]
        weighed = {id(one): dataclasses.replace(one.layout.cost, cycles=weigh(one)) for one in close}
        return min(close, key=lambda one: self.key(weighed[id(one)]))

    def _is_close(self, cost: Cost, least: Cost, thousandths: int) -> bool:
        first, best = self.key(cost)[0], self.key(least)[0]
        return first <= best if self.objective != "cycles" else first * 1000 <= best * (1000 + thousandths)


class _Search:
    """The best plan found so far, and what was tried."""

    def __init__(self, machine: Machine, partitioner: Partitioner, options: Options, pins: Pins):
        self.machine = machine
        self.partitioner = partitioner
        self.network = partitioner.network
        self.mappings = partitioner.mappings
        self.options = options
        self.pins = pins
        self.ranking = Ranking(machine, options.measure)
        self.best: tuple[tuple[int, ...], Plan] | None = None
        self.plans: list[Plan] = []
        self.failure: ReconError | None = None
        self.seen: set[Partition] = set()
        self.clear_pays: bool | None = None
        """Whether keeping clear is worth it where it costs prefetch; None until a crowded plan has shown it."""

    @property
    def is_over(self) -> bool:
        """Whether a plan is found and no more are wanted."""
        return self.best is not None and (self.options.level < 2 or 0 < self.options.trials <= len(self.seen))

    def attempt(self, make: Callable[[], Partition], doubt: int) -> bool:
        """Lay out a partition; whether it is the best so far, by more than ``doubt`` thousandths."""
        if self.is_over:
            return False
        try:
            partition = self.pins.applied(make(), self.partitioner)
        except ReconError as error:
            self.failure = nearest(self.failure, error)
            return False
        if partition in self.seen:
            return False
        self.seen.add(partition)
        ordered = self.pins.hurried(schedule(self.machine, self.network, self.mappings, partition))
        found = self.laid_out(ordered)
        if found is None:
            return False
        self.plans.append(Plan(self.network, self.mappings, partition, ordered, found[1]))
        if self.options.measure != "cycles":
            doubt = 0  # bytes are exact
        if self.best is not None and found[0][0] * 1000 >= self.best[0][0] * (1000 - doubt):
            return False
        self.best = found[0], self.plans[-1]
        return True

    def late(self, best: Plan) -> list[Plan]:
        """The same with every load coming when its layer does: on a small network that can leave more room."""
        if not self.options.ahead or len(best.schedule.works) > WEIGHED_WORKS:
            return []
        try:
            layout = prefetch(self.machine, best.schedule, Effort(ahead=False))
        except ReconError:
            return []
        return [dataclasses.replace(best, layout=layout)]

    def laid_out(self, ordered: Schedule) -> tuple[tuple[int, ...], Layout] | None:
        """The best layout of a schedule, None if it does not fit.

        A nearer horizon is tried only while nothing fits. Keeping clear is worth it where it costs no prefetch, and
        the first crowded plan shows whether it does.
        """
        found: tuple[tuple[int, ...], Layout] | None = None
        for effort in efforts():
            if effort.clear and self.clear_pays is False:
                continue
            try:
                layout = prefetch(self.machine, ordered, dataclasses.replace(effort, ahead=self.options.ahead))
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


def plan(
    machine: Machine,
    network: Network,
    mappings: Mapping[Layer, ConvMapping],
    options: Options,
    weigh: Weigh | None = None,
) -> Plan:
    """The best plan found. Raises ReconError when the network does not fit in SRAM."""
    if options.streams and options.residency:
        return _frames_in_a_row(machine, network, mappings, options, weigh)
    best = _alone(machine, network, mappings, options, weigh)
    if not options.repeats:
        return best
    return dataclasses.replace(best, layout=dataclasses.replace(best.layout, stays=frozenset()))


def _frames_in_a_row(
    machine: Machine,
    network: Network,
    mappings: Mapping[Layer, ConvMapping],
    options: Options,
    weigh: Weigh | None,
) -> Plan:
    """The best plan for frames that follow each other: by itself or several together, every layer alone or what crowds
    SRAM fused, with more and less that stays."""
    usable = options.usable(machine)
    ranking = Ranking(usable, options.measure)
    plans: list[Plan] = []
    least = 0
    if pins_of(options.pin)[0]:
        raise ReconError("Of frames in a row only configurations can be pinned.")
    for images in (options.batch,) if options.batch else IMAGES:
        opening = _opening(Partitioner(usable, network, mappings, 1))
        made = _of_a_batch(usable, batched(network, images, opening), mappings, options)
        if images > 1 and not options.batch:
            made = [one for one in made if code_bytes(one.schedule) <= usable.instruction_memory.bytes]
        plans += made
        if not plans:
            break
        before, least = least, ranking.key(min((one.layout.cost for one in plans), key=ranking.key))[0]
        if options.level < 2 or 0 < options.trials <= len(plans) or least * 1000 > before * (1000 - WORTH) > 0:
            break
    if not plans and options.batch > 1:
        raise ReconError(
            f"A batch of {options.batch} does not fit in SRAM: {machine.name} has {usable.sram.bytes:,} bytes. A "
            "smaller batch, or a machine with more SRAM, would help."
        )
    if not plans:
        best = _alone(machine, network, mappings, options, weigh)
        return dataclasses.replace(best, layout=dataclasses.replace(best.layout, stays=frozenset()))
    return ranking.best(plans, weigh if options.level > 1 else None)


def _opening(partitioner: Partitioner) -> int:
    """Layers at the start that take as long as the inputs need to arrive."""
    rate = float(partitioner.machine.dram_rate)
    arriving = sum(tensor.buffer.bytes for tensor in partitioner.network.inputs) / rate
    for count, layer in enumerate(partitioner.layers):
        if arriving <= 0:
            return count
        arriving -= partitioner.cycles(layer, 1)
    return len(partitioner.layers)


def _of_a_batch(
    machine: Machine, network: Network, mappings: Mapping[Layer, ConvMapping], options: Options
) -> list[Plan]:
    """Plans of a network, or of several images of one, for frames that follow each other; costs are those of a
    frame."""
    mapped = for_all(mappings, network)
    partitioner = Partitioner(machine, network, mapped, LONGEST if options.fusion else 1)
    capacity = machine.sram.bytes
    crowded = max(partitioner.live(), default=0) > capacity * ROOMY // 100 and network.images == 1
    made: list[Callable[[], Partition]] = [lambda: alone(network)]
    made += [functools.partial(partitioner.cut, capacity * share // 100) for share in FRAME_BUDGETS if crowded]
    plans: list[Plan] = []
    seen: set[Partition] = set()
    for make in made:
        try:
            partition = make()
        except ReconError:
            continue
        if partition not in seen:
            seen.add(partition)
            ordered = schedule(machine, network, mapped, partition, frames=True)
            for layout in layouts(machine, ordered):
                each = dataclasses.replace(layout, cost=layout.cost.per(network.images))
                plans.append(Plan(network, mapped, partition, ordered, each))
    return plans


def _alone(
    machine: Machine,
    network: Network,
    mappings: Mapping[Layer, ConvMapping],
    options: Options,
    weigh: Weigh | None,
) -> Plan:
    """The best plan found for one frame by itself."""
    usable = options.usable(machine)
    partitioner = Partitioner(usable, network, mappings, LONGEST if options.fusion and options.residency else 1)
    search = _Search(usable, partitioner, options, pins_of(options.pin)[0])
    capacity = usable.sram.bytes
    if not options.residency:
        search.attempt(lambda: partitioner.cut(capacity, partitioner.spillable()), 0)
    else:
        _try_partitions(search, partitioner, capacity)
    if search.best is None and options.residency:
        _try_nests(search, partitioner, capacity)
    if search.best is None:
        assert search.failure is not None
        raise search.failure
    # What was found by its own clock with due doubt comes first, so that it is kept where the others are no better.
    best = search.best[1]
    if weigh is None or options.level < 2:
        return best
    plans = [best, *(one for one in search.plans if one is not best)]
    late = plans if len(best.schedule.works) <= TINY else plans[:1]
    return search.ranking.best([*plans, *(twin for one in late for twin in search.late(one))], weigh, trusted=best)


def _try_nests(search: _Search, partitioner: Partitioner, capacity: int) -> None:
    """Groups that turn over strips and parts of their tensors and stream their weights, within several budgets."""
    partitioner.nests = Nests(partitioner.machine, partitioner.mappings)
    small = partitioner.machine.configuration.image_bytes * LEAN > capacity
    for budget in TIGHT_BUDGETS:

        def cut(budget: int = budget) -> Partition:
            found = settled(partitioner, capacity * budget // 100, partitioner.large_inputs())
            return dataclasses.replace(found, lean=small)

        if search.attempt(cut, 0):
            break
    partitioner.nests = None


def _try_partitions(search: _Search, partitioner: Partitioner, capacity: int) -> None:
    """Every layer alone, the first ones fused, what crowds SRAM fused within several budgets, long skips in DRAM."""
    crowded = max(partitioner.live(), default=0) > capacity * ROOMY // 100
    streamed = partitioner.large_inputs() if crowded else frozenset[Buffer]()
    whole = alone(search.network)
    search.attempt(lambda: whole, 0)
    opens = search.attempt(lambda: partitioner.opened(whole, capacity), OPENING_DOUBT)

    def cut(per_cent: int, spilled: frozenset[Buffer]) -> Partition:
        budget = capacity * per_cent // 100
        found = partitioner.cut(budget, spilled)
        return partitioner.opened(found, budget) if opens else found

    kept = 100
    for budget in BUDGETS if crowded else ():
        if search.attempt(functools.partial(cut, budget, streamed), DOUBT):
            kept = budget
    for skips in partitioner.long_skips():
        search.attempt(functools.partial(cut, kept, skips | streamed), SKIP_DOUBT)
