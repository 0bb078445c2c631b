"""The search for frames in a row: how many run together, by which stages, and which layers of one are fused.

Every layer alone comes first; where the activations of one frame crowd SRAM, layers are fused within each of a few
budgets. Of each more and less stays (``frames``). More frames together are tried as long as they pay.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

from passes.planner.batch import batched, for_all
from passes.planner.frames import code_bytes, layouts
from passes.planner.mapping import ConvMapping
from passes.planner.network import Layer, Network
from passes.planner.options import Options
from passes.planner.partition import Partition, Partitioner, alone
from passes.planner.ranking import Plan, Ranking
from passes.planner.schedule import schedule
from passes.planner.stages import BatchStage, one_stage, staged
from passes.planner.tuning import FRAME_BUDGETS, IMAGES, LONGEST, ROOMY, STAGE_BUDGETS, WORTH
from sim.machine.description import Machine
from sim.machine.errors import ReconError


def in_a_row(machine: Machine, network: Network, mappings: Mapping[Layer, ConvMapping], options: Options) -> list[Plan]:
    """Plans of a network for frames that follow each other, on the machine as they may use it; none if nothing fits."""
    ranking = Ranking(machine, options.measure)
    plans: list[Plan] = []
    least = 0
    has_copies = any(layer.original is not None for layer in network.layers)
    for images in (options.batch,) if options.batch else IMAGES[:1] if has_copies else IMAGES:
        made: list[Plan] = []
        for whole in _batches(machine, network, mappings, images):
            made += _of_a_batch(machine, whole, mappings, options)
            if made:
                break
        if images > 1 and not options.batch:
            made = [one for one in made if code_bytes(one.schedule) <= machine.instruction_memory.bytes]
        plans += made
        if not plans:
            break
        before, least = least, ranking.key(min((one.layout.cost for one in plans), key=ranking.key))[0]
        if options.level < 2 or 0 < options.trials <= len(plans):
            break
        if made and least * 1000 > before * (1000 - WORTH) > 0:
            break
    return plans


def _batches(
    machine: Machine, network: Network, mappings: Mapping[Layer, ConvMapping], images: int
) -> Iterator[Network]:
    """The network for so many images, by the stages that several budgets allow."""
    partitioner = Partitioner(machine, network, mappings, 1)
    opening = _opening(partitioner)
    if images == 1:
        yield batched(network, 1, opening, one_stage(len(network.layers), 1))
        return
    seen: set[tuple[BatchStage, ...]] = set()
    for share in STAGE_BUDGETS:
        stages = staged(partitioner, images, machine.sram.bytes * share // 100)
        if stages is not None and stages not in seen:
            seen.add(stages)
            yield batched(network, images, opening, stages)


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
