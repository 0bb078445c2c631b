"""A batch: several images in one text, with one set of weights.

The network is there once for every image, its layers in the order of the one network, stage by stage (``stages``): in a
stage those of a few images stand beside each other (but for the first layers, which run in waves while inputs arrive),
then those of the next few. Twins share weights, parameters and configuration; everything else is their own. Ports hold
the images one below the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from passes.planner.mapping import ConvMapping
from passes.planner.network import Buffer, Layer, Network, Tensor
from passes.planner.stages import BatchStage
from passes.planner.stripes import Group


def batched(network: Network, images: int, opening: int, stages: Sequence[BatchStage]) -> Network:
    """The network for so many images; for one it is the network itself.

    The first ``opening`` layers run in waves, every image a layer behind the one before, so that its input arrives
    meanwhile and no layer directly follows the one whose result it reads.
    """
    if images == 1:
        return network
    copies = [_Copy(network, image) for image in range(images)]
    layers = in_stages([copy.layers for copy in copies], network.layers, opening, stages)
    for index, layer in enumerate(layers):
        layer.index = index

    def every(tensors: Sequence[Tensor]) -> list[Tensor]:
        return [copy.tensors[tensor] for tensor in tensors for copy in copies]

    return Network(
        layers=layers,
        inputs=every(network.inputs),
        outputs=every(network.outputs),
        constants=[(copy.tensors[tensor], op) for tensor, op in network.constants for copy in copies],
        tensors=every(network.tensors),
        buffers=[copy.buffers[buffer] for buffer in network.buffers for copy in copies],
    )


Twins = Mapping[Layer, Layer]
"""The layers of a copy, by those of the one network."""


def in_stages(copies: Sequence[Twins], one: Sequence[Layer], opening: int, stages: Sequence[BatchStage]) -> list[Layer]:
    """The layers of all copies of some layers in the order of the stages, each with its visit."""
    layers: list[Layer] = []
    visit = 0
    for stage in stages:
        opens = min(opening, stage.end) if stage.first == 0 else stage.first
        for few in range(0, len(copies), stage.together):
            visit += 1
            together = copies[few : few + stage.together]
            visited = [*_waves(together, one, opens if stage.first == 0 else 0)]
            visited += [twins[layer] for layer in one[opens : stage.end] for twins in together]
            for layer in visited:
                layer.visit, layer.fresh = visit, stage.again
            layers += visited
    return layers


def _waves(copies: Sequence[Twins], one: Sequence[Layer], opening: int) -> Iterator[Layer]:
    """The first layers of several images, each image a layer behind the one before."""
    for wave in range(opening + len(copies) - 1 if opening else 0):
        for image in reversed(range(len(copies))):
            if 0 <= wave - image < opening:
                yield copies[image][one[wave - image]]


class _Copy:
    """One image's buffers, tensors and layers, by those of the network."""

    def __init__(self, network: Network, image: int):
        self.buffers = {b: Buffer(b.name, b.height, b.width, b.channels) for b in network.buffers}
        self.tensors: dict[Tensor, Tensor] = {}
        for tensor in network.tensors:
            self.tensors[tensor] = Tensor(
                tensor.name,
                tensor.type,
                self.buffers[tensor.buffer],
                tensor.offset,
                is_input=tensor.is_input,
                is_output=tensor.is_output,
                constant=tensor.constant,
                image=image,
                original=tensor,
            )
        for buffer, copy in self.buffers.items():
            copy.tensors = [self.tensors[tensor] for tensor in buffer.tensors]
        self.layers: dict[Layer, Layer] = {}
        for layer in network.layers:
            inputs = [self.tensors[tensor] for tensor in layer.inputs]
            output = self.tensors[layer.output]
            whose = layer.shared
            twin = Layer(layer.index, layer.name, layer.kind, layer.op, inputs, output, layer.nodes, original=whose)
            self.layers[layer] = twin
        for tensor, copy in self.tensors.items():
            copy.producer = self.layers[tensor.producer] if tensor.producer is not None else None
            copy.consumers = [self.layers[layer] for layer in tensor.consumers]


def for_all(mappings: Mapping[Layer, ConvMapping], network: Network) -> Mapping[Layer, ConvMapping]:
    """The mapping of every layer of a batched network, from those of the network."""
    return {layer: mappings[layer.shared] for layer in network.layers if layer.shared in mappings}


def together(groups: Sequence[Group], spilled: frozenset[Buffer]) -> Iterator[list[Group]]:
    """Groups that run together: layers alone that are twins of one visit, where nothing of them waits in DRAM."""

    def key(group: Group) -> object:
        layer = group.layers[0]
        alone = len(group.layers) == 1 and group.stripes == group.turns == 1 and group.kept is None
        touched = {tensor.buffer for tensor in (*layer.inputs, layer.output)}
        return (layer.shared, layer.visit) if alone and layer.original and not touched & spilled else group

    for _, found in itertools.groupby(groups, key):
        yield list(found)
