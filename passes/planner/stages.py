"""The way of a batch through the network: stage by stage, in each of which some of its images run together.

Where all images fit they go through a layer together, so its weights come once and are filled into L1 once. Early
layers of a large network hold too much for that: there a stage of several layers runs for a few images after the other,
its weights stay from the first to the last of them or, if even that is too much, come again for each few. What waits
between stages is what all images have made. Dynamic programming over where stages begin and how many images run
together finds the least time of array and channel together within a budget of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passes.planner.candidates import mapped_cycles
from passes.planner.cost import block_cycles, fill_cycles
from passes.planner.network import Layer
from passes.planner.partition import Partitioner

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BatchStage:
    """Layers [first, end) of the network, run for ``together`` images after each other until all have passed.

    ``again`` says that weights come again for each of these few, instead of staying for all images.
    """

    first: int
    end: int
    together: int
    again: bool = False


def one_stage(layers: int, images: int) -> tuple[BatchStage, ...]:
    """All images through one layer after the other."""
    return (BatchStage(0, layers, images),)


def staged(partitioner: Partitioner, images: int, budget: int) -> tuple[BatchStage, ...] | None:
    """The stages of so many images that take the least time within a budget of bytes, None if there are none.

    ``partitioner`` is the one network's. Works of the vector unit are left out: they run beside the others.
    """
    sizes = Timetable(partitioner)
    count = len(partitioner.layers)
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    back: list[BatchStage | None] = [None] * (count + 1)
    for end in range(1, count + 1):
        for together in _divisors(images):
            for again in (False, True) if together < images else (False,):
                cost = best[:end] + sizes.cost(end, images, together, again)
                cost[sizes.bytes(end, images, together, again) > budget] = np.inf
                first = int(cost.argmin())
                if cost[first] < best[end]:
                    best[end], back[end] = cost[first], BatchStage(first, end, together, again)
    found: list[BatchStage] = []
    while count:
        stage = back[count]
        if stage is None:
            return None
        found.append(stage)
        count = stage.first
    return tuple(reversed(found))


def _divisors(images: int) -> Iterator[int]:
    """How many images may run together, the most first."""
    return (number for number in range(images, 0, -1) if images % number == 0)


class Timetable:
    """Bytes and cycles of the stages that end before a layer, for every layer that they could begin with."""

    def __init__(self, partitioner: Partitioner):
        layers = partitioner.layers
        self.machine = partitioner.machine
        self.rate = float(self.machine.dram_rate)
        self.live = np.array(partitioner.live(), np.float64)
        self.waiting = np.zeros(len(layers) + 1, np.float64)
        """Bytes of an image that are there when a layer begins; inputs come when they are first read."""
        for buffer, (birth, death) in partitioner.life.items():
            if any(tensor.is_input for tensor in buffer.tensors):
                birth = min((y.index for tensor in buffer.tensors for y in tensor.consumers), default=birth)
            self.waiting[birth + 1 : death + 1] += buffer.bytes
        self.passing = np.array([partitioner.least_weights(layer) for layer in layers], np.float64)
        self.weights = _sums([partitioner.weights(layer) for layer in layers])
        self.cycles = [self._cycles(partitioner, layer) for layer in layers]
        self.known: dict[int, Floats] = {}
        """By how many images run together: cycles of the array for an image, up to every layer."""

    def _cycles(self, partitioner: Partitioner, layer: Layer) -> tuple[float, float]:
        """Cycles of the array for an image, and those that its weights take on their way into L1."""
        if not layer.is_conv:
            return 0.0, 0.0
        mapping = partitioner.mappings[layer]
        filled = float(fill_cycles(self.machine, mapping.shape.weight_bytes))
        if mapping.is_split:
            return mapped_cycles(self.machine, mapping, 1), filled
        return sum(block_cycles(self.machine, mapping, block, mapping.shape.oy) for block in mapping.blocks), filled

    def bytes(self, end: int, images: int, together: int, again: bool) -> Floats:
        """The most bytes at once."""
        peak = _reach(self.live[:end])
        waiting = np.maximum(self.waiting[:end], self.waiting[end])
        passes = together == images or again
        weights = _reach(self.passing[:end]) if passes else self.weights[end] - self.weights[:end]
        return together * peak + (images - together) * waiting + weights

    def cost(self, end: int, images: int, together: int, again: bool) -> Floats:
        """Cycles of the array and of the channel."""
        visits = images // together
        if together not in self.known:
            self.known[together] = _sums([max(busy, filled / together) for busy, filled in self.cycles])
        array = images * (self.known[together][end] - self.known[together][:end])
        channel = (self.weights[end] - self.weights[:end]) * (visits if again else 1) / self.rate
        return array + channel


def _sums(values: Sequence[float]) -> Floats:
    """What the first n are together, for every n."""
    return np.concatenate(([0.0], np.cumsum(values)))


def _reach(values: Floats) -> Floats:
    """The most from each on to the last."""
    return np.maximum.accumulate(values[::-1])[::-1]
