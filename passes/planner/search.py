"""The search: how a network's convolutions are configured and its layers run, as the best of several plans.

A plan is the best of a search over partitions (``attempts``). Where plans are small, those of lesser searches are
candidates too: with less freedom, or for another objective. The planner's own measures are near the truth and not the
truth, so what is taken away from the planner sometimes misled it; the program's own clock decides (``ranking``).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

from passes.planner.attempts import PlanSearch, Workshop
from passes.planner.batch import batched, for_all
from passes.planner.configure import ConvRequest, choices
from passes.planner.frames import code_bytes, layouts
from passes.planner.mapping import ConvMapping, conv_shape
from passes.planner.network import Layer, Network
from passes.planner.options import Options
from passes.planner.partition import Partition, Partitioner, alone
from passes.planner.pins import pins_of
from passes.planner.ranking import Plan, Ranking, Weigh
from passes.planner.schedule import schedule
from passes.planner.tuning import (
    FEW,
    FRAME_BUDGETS,
    IMAGES,
    LONGEST,
    MOST_WORKS,
    NEAR,
    ROOMY,
    WEIGHED_WORKS,
    WORTH,
)
from sim.machine.description import Machine
from sim.machine.errors import ReconError


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
    near = NEAR if options.measure == "cycles" else math.inf  # bytes may be worth any cycles
    ways = choices(usable, convolutions, moved, options.one_configuration, near)
    found = [dict(zip(layers, way, strict=True)) for way in ways]
    if len(found) == 1 or options.level < 2:
        return found[0]
    quick = dataclasses.replace(options, level=1)
    trials: list[Plan] = []
    for mappings in found:
        try:
            trials.append(plan(machine, network, mappings, quick))
            if trials[-1].is_tiny or len(network.layers) <= FEW:
                trials[-1] = plan(machine, network, mappings, options, weigh)
        except ReconError:
            continue
        if sum(one.works for one in trials) > MOST_WORKS:
            break
    ranking = Ranking(usable, options.measure)
    return dict(ranking.best(trials, weigh).mappings) if trials else found[0]


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
    workshop = Workshop(usable, network, mappings, pins_of(options.pin)[0])
    search = PlanSearch(workshop, options)
    search.run()
    if search.best is None:
        assert search.failure is not None
        raise search.failure
    # What was found by its own clock with due doubt comes first, so that it is kept where the others are no better.
    best = search.best[1]
    if weigh is None or options.level < 2:
        return best
    plans = [best, *search.plans]
    if best.works <= WEIGHED_WORKS and not options.trials:
        plans += _of_lesser(workshop, options)
    plans += [twin for one in (list(plans) if best.is_tiny else [best]) for twin in search.late(one)]
    return search.ranking.best(list(dict.fromkeys(plans)), weigh, trusted=best)


def _of_lesser(workshop: Workshop, options: Options) -> list[Plan]:
    """Plans that the planner makes with less freedom or for something else: cheap ones, and sometimes better."""
    found: list[Plan] = []
    for changes in ({"objective": "dram"}, {"objective": "cycles"}, {"fusion": False}, {"residency": False}):
        lesser = dataclasses.replace(options, **changes)
        if lesser != options:
            search = PlanSearch(workshop, lesser)
            search.run()
            found += search.plans
    return found
