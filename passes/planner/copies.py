"""Layers that are copies of each other: those of the images of a model's own batch, or of a network's several turns.

``split-batch`` writes every operation once for each image and numbers it, so the layers of a run of these are sorted by
their numbers. Where each image has the same work in the same order and none reads what another makes, they share
weights, parameters and configurations, and run as the images of ``--batch`` do: stage by stage, side by side.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from passes.planner.batch import Twins, in_stages
from passes.planner.mapping import ConvMapping
from passes.planner.network import Layer, Network
from passes.planner.partition import Partitioner
from passes.planner.stages import BatchStage, staged
from passes.planner.tensors import Tensor
from passes.planner.tuning import STAGE_BUDGETS
from sim.machine.description import Machine

_NUMBER = re.compile(r"\.(\d+)(\.seen|_copy|_\d+)*$")
"""The number of an image behind the name of a layer."""

_ORIGIN = {"layer", "nodes"}
"""Attributes of an operation that say where it is from, not what it does."""


def mark(network: Network) -> None:
    """Note of every layer that is a copy of which layer it is one; the first is one of itself."""
    for layer in network.layers:
        layer.original = None
    for copies in _runs(network.layers):
        if len(copies) > 1 and _are_copies(copies):
            for part in copies:
                for first, layer in zip(copies[0], part, strict=True):
                    layer.original = first


def arranged(machine: Machine, network: Network, mappings: Mapping[Layer, ConvMapping]) -> Network:
    """The network with its marked copies side by side, stage by stage; itself if it has none."""
    if all(layer.original is None for layer in network.layers):
        return network
    layers: list[Layer] = []
    for copies in _runs(network.layers):
        one = copies[0]
        if one[0].original is None:
            layers += sorted((layer for part in copies for layer in part), key=_place)
            continue
        stages = _stages(machine, _part(network, copies, len(layers)), mappings, len(copies))
        twins: list[Twins] = [dict(zip(one, part, strict=True)) for part in copies]
        layers += in_stages(twins, one, 0, stages)
    for index, layer in enumerate(layers):
        layer.index = index
    network.layers = layers
    return network


def _place(layer: Layer) -> int:
    return layer.index


def _runs(layers: Sequence[Layer]) -> Iterator[list[list[Layer]]]:
    """Runs of layers with a number and of those without, the layers of each number together."""
    for numbered, run in itertools.groupby(layers, key=lambda layer: _NUMBER.search(layer.name) is not None):
        found: dict[str, list[Layer]] = {}
        for layer in run:
            number = _NUMBER.search(layer.name)
            found.setdefault(number[1] if numbered and number is not None else "", []).append(layer)
        yield list(found.values())


def _are_copies(copies: Sequence[Sequence[Layer]]) -> bool:
    first = copies[0]
    whose = {layer: part for part in copies for layer in part}
    return all(
        len(part) == len(first)
        and all(_same_work(a, b) for a, b in zip(first, part, strict=True))
        and _corresponds(first, part)
        and all(whose.get(maker, part) is part for layer in part for maker in _makers(layer))
        for part in copies
    )


def _makers(layer: Layer) -> Iterator[Layer]:
    """The layers that make what a layer reads."""
    for tensor in layer.inputs:
        for other in tensor.buffer.tensors:
            if other.producer is not None and other.overlaps(tensor):
                yield other.producer


def _corresponds(first: Sequence[Layer], part: Sequence[Layer]) -> bool:
    """Whether layers of two copies read and make corresponding tensors."""
    tensors: dict[Tensor, Tensor] = {}
    for one, two in zip(first, part, strict=True):
        for a, b in zip((*one.inputs, one.output), (*two.inputs, two.output), strict=True):
            if tensors.setdefault(a, b) is not b or a.type != b.type:
                return False
    return True


def _same_work(one: Layer, two: Layer) -> bool:
    if one.kind != two.kind or len(one.inputs) != len(two.inputs):
        return False
    return _work(one) == _work(two)


def _work(layer: Layer) -> dict[str, object]:
    if layer.op is None:
        return {}
    given = {**layer.op.properties, **layer.op.attributes}
    return {name: value for name, value in given.items() if name not in _ORIGIN}


def _part(network: Network, copies: Sequence[Sequence[Layer]], before: int) -> Network:
    """The first of copies as a network of its own, its layers and their twins numbered from 0.

    All that stands before a run of copies counts as its first layer, all behind it as its last.
    """
    last = len(copies[0]) - 1
    for place, layer in enumerate(network.layers):
        layer.index = 0 if place < before else last
    for part in copies:
        for index, layer in enumerate(part):
            layer.index = index
    touched = {tensor.buffer for layer in copies[0] for tensor in (*layer.inputs, layer.output)}
    return Network(
        layers=list(copies[0]),
        inputs=[tensor for tensor in network.inputs if tensor.buffer in touched],
        outputs=[tensor for tensor in network.outputs if tensor.buffer in touched],
        constants=[],
        tensors=[tensor for tensor in network.tensors if tensor.buffer in touched],
        buffers=[buffer for buffer in network.buffers if buffer in touched],
    )


def _stages(machine: Machine, one: Network, mappings: Mapping[Layer, ConvMapping], count: int) -> Sequence[BatchStage]:
    """The stages of so many copies; one after the other where no others are found."""
    partitioner = Partitioner(machine, one, mappings, 1)
    for share in STAGE_BUDGETS:
        found = staged(partitioner, count, machine.sram.bytes * share // 100)
        if found is not None:
            return found
    return (BatchStage(0, len(one.layers), 1, again=True),)
