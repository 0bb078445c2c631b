"""The search: how a network's convolutions are configured and its layers run, as the best of several plans.

A plan is the best of a search over partitions (``attempts``). Where plans are small, those of lesser searches are
candidates too: with less freedom, or for another objective. The planner's own measures are near the truth and not the
truth, so what is taken away from the planner sometimes misled it; the program's own clock decides (``ranking``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from passes.planner.attempts import PlanSearch, Workshop
from passes.planner.configure import ConvRequest, choices
from passes.planner.copies import arranged, mark
from passes.planner.mapping import ConvMapping, conv_shape
from passes.planner.network import Layer, Network
from passes.planner.options import Options
from passes.planner.pins import pins_of
from passes.planner.prefetch import Effort
from passes.planner.ranking import Plan, Ranking, Weigh
from passes.planner.streams import in_a_row
from passes.planner.tuning import (
    FEW,
    FRAME_SHARPNESS,
    MOST_TAPERED,
    MOST_WORKS,
    NEAR,
    SHARPNESS,
    TAPERS,
    TINY_CLOSE,
    WEIGHED_WORKS,
)
from sim.machine.description import Machine
from sim.machine.errors import ReconError


def configured(
    machine: Machine, network: Network, options: Options, weigh: Weigh | None = None
) -> dict[Layer, ConvMapping]:
    """How every convolution runs: in the configuration it has been given, else as the best plan of several choices has
    it, of which there are the fewer the larger the network is."""
    mark(network)
    every = [layer for layer in network.layers if layer.is_conv]
    layers = [layer for layer in every if layer.shared is layer]
    convolutions = [ConvRequest(layer.name, conv_shape(layer), layer.configuration) for layer in layers]
    moved = sum(one.shape.weight_bytes for one in convolutions)
    moved += sum(t.height * t.width * t.channels for t in (*network.inputs, *network.outputs))
    usable = options.usable(machine)
    if options.streams:
        moved = max(0, moved - usable.sram.bytes)
    images = max(1, options.batch, *(sum(other.shared is layer for other in every) for layer in layers[:1]))
    near = NEAR if options.measure == "cycles" else math.inf  # bytes may be worth any cycles
    sharpness = FRAME_SHARPNESS if options.streams else SHARPNESS
    ways = choices(usable, convolutions, moved // images, options.one_configuration, near, images, sharpness)
    chosen = [dict(zip(layers, way, strict=True)) for way in ways]
    found = [{layer: way[layer.shared] for layer in every} for way in chosen]
    if len(found) == 1 or options.level < 2:
        return found[0]
    quick = dataclasses.replace(options, level=1)
    trials: list[Plan] = []
    for mappings in found:
        try:
            trials.append(plan(machine, network, mappings, quick))
            least = min(one.layout.cost.cycles for one in trials)
            is_far = trials[-1].layout.cost.cycles * 1000 > least * (1000 + 2 * TINY_CLOSE)
            if (trials[-1].is_tiny and not is_far) or len(network.layers) <= FEW < trials[-1].works // 4:
                trials[-1] = plan(machine, network, mappings, options, weigh, is_trial=True)
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
    is_trial: bool = False,
) -> Plan:
    """The best plan found; of a trial, which is there to be compared, the last refinement is left out.

    Raises ReconError when the network does not fit in SRAM.
    """
    mark(network)
    network = arranged(options.usable(machine), network, mappings)
    if options.streams and options.residency:
        return _frames_in_a_row(machine, network, mappings, options, weigh)
    best = _alone(machine, network, mappings, options, weigh, is_trial)
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
    """The best plan for frames that follow each other."""
    if pins_of(options.pin)[0]:
        raise ReconError("Of frames in a row only configurations can be pinned.")
    usable = options.usable(machine)
    plans = in_a_row(usable, network, mappings, options)
    if not plans and options.batch > 1:
        raise ReconError(
            f"A batch of {options.batch} does not fit in SRAM: {machine.name} has {usable.sram.bytes:,} bytes. A "
            "smaller batch, or a machine with more SRAM, would help."
        )
    if not plans:
        best = _alone(machine, network, mappings, options, weigh)
        return dataclasses.replace(best, layout=dataclasses.replace(best.layout, stays=frozenset()))
    return Ranking(usable, options.measure).best(plans, weigh if options.level > 1 else None)


def _alone(
    machine: Machine,
    network: Network,
    mappings: Mapping[Layer, ConvMapping],
    options: Options,
    weigh: Weigh | None,
    is_trial: bool = False,
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
        plans += _of_lesser(workshop, options) if len(search.plans) > 1 or search.failure is not None else []
    plans += [twin for one in (list(plans) if best.is_tiny else [best]) for twin in search.late(one)]
    if best.works <= WEIGHED_WORKS and not (options.trials or is_trial):
        plans += _tapered(workshop, best, options)
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


def _tapered(workshop: Workshop, best: Plan, options: Options) -> list[Plan]:
    """The best plan with the weights of its last convolutions in smaller and smaller blocks, cut in the best way."""
    whole = {
        group.layers[0] for group in best.partition.groups if group.turns * group.stripes == len(group.layers) == 1
    }
    last = [layer for layer in best.mappings if layer in whole][-MOST_TAPERED:]
    found: list[Plan] = []
    for lanes in TAPERS:
        changed = {
            layer: best.mappings[layer].tapered(best.mappings[layer].configuration.k // lanes or 1) for layer in last
        }
        other = Workshop(workshop.machine, workshop.network, {**best.mappings, **changed}, workshop.pins)
        for effort in (Effort(clear=True, ahead=options.ahead), Effort(ahead=options.ahead)):
            try:
                found.append(other.plan(best.partition, other.layout(best.partition, effort)))
            except ReconError:
                continue
    return sorted(found, key=lambda one: Ranking(workshop.machine, options.measure).key(one.layout.cost))[:1]
