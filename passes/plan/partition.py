"""Which layers run together stripe by stripe, and what is spilled to DRAM.

Where all activations fit, every layer is a group of its own. Where they crowd SRAM beyond a budget, the crowded run of
layers is cut into groups by dynamic programming: each group with the fewest stripes that keep it within the budget, the
cut with the fewest array cycles. Only if no cut fits, the largest buffer of the tightest layer is spilled.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from passes.plan.candidates import ConvShape, conv_shape, evaluate
from passes.plan.network import Buffer, Layer, Network
from passes.plan.stripes import Group, leaves, progress, rings
from sim import laws
from sim.errors import ReconError
from sim.machine import Configuration, Machine

STRIPES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of stripes that are tried."""

IDLE = 8
"""A tensor that waits for so many layers waits long."""

LONGEST = 28
"""Most layers of a group."""

INFINITE = float("inf")


@dataclass(frozen=True)
class Partition:
    """Groups in network order, and the buffers that live in DRAM."""

    groups: tuple[Group, ...]
    spilled: frozenset[Buffer]


def alone(network: Network) -> Partition:
    """Every layer a group of its own, everything in SRAM."""
    return Partition(tuple(Group((layer,), 1) for layer in network.layers), frozenset())


class Partitioner:
    """Cuts one network for one machine and one choice of configurations."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        configurations: Mapping[Layer, Configuration],
        longest: int = LONGEST,
    ):
        self.machine = machine
        self.longest = longest
        self.network = network
        self.configurations = configurations
        self.layers = network.layers
        self.life: dict[Buffer, tuple[int, int]] = {}
        for buffer in network.buffers:
            people = [p.index for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None]
            if people:
                first = 0 if any(t.is_input for t in buffer.tensors) else min(people)
                self.life[buffer] = (first, max(people))
        self.spilled: frozenset[Buffer] = frozenset()

    def live(self) -> list[int]:
        """Bytes of resident buffers alive at each layer, everything unstriped."""
        usage = np.zeros(len(self.layers) + 1, np.int64)
        for buffer, (first, last) in self.life.items():
            if buffer not in self.spilled:
                usage[first : last + 1] += buffer.bytes
        return [int(n) for n in usage[:-1]]

    def weights(self, layer: Layer) -> int:
        return conv_shape(layer).weight_bytes + 8 * layer.output.channels if layer.is_conv else 0

    def least_weights(self, layer: Layer) -> int:
        """Bytes of weights a layer needs at least while it runs alone: two blocks."""
        if not layer.is_conv:
            return 0
        shape = conv_shape(layer)
        blocking = evaluate(self.machine, shape, (self.configurations[layer],)).blocking(0)
        block = blocking.groups * blocking.outputs * blocking.inputs * shape.fy * shape.fx
        return min(2 * max(block, 96 * 1024), shape.weight_bytes) + 8 * layer.output.channels

    def can_stripe(self, layer: Layer) -> bool:
        return (
            layer.output.height > 1
            and layer.kind != "global_average_pool"
            and not any(tensor.is_view for tensor in (*layer.inputs, layer.output))
        )

    def resident(self, first: int, last: int) -> int:
        """Bytes of whole buffers that must lie in SRAM while layers first … last run as one group."""
        total = 0
        for buffer, (birth, death) in self.life.items():
            if buffer in self.spilled or death < first or birth > last:
                continue
            if not (birth >= first and death <= last and buffer.is_inner):
                total += buffer.bytes
        return total

    def group(self, first: int, last: int, budget: int) -> tuple[float, Group | None]:
        """The cheapest way to run layers first … last as one group within a budget of bytes, and its cycles."""
        layers = tuple(self.layers[first : last + 1])
        if first == last:
            layer = layers[0]
            touched = {t.buffer for t in (*layer.inputs, layer.output)}
            inner = sum(
                b.bytes
                for b, (birth, death) in self.life.items()
                if (birth >= first and death <= last) or (b in touched and b in self.spilled)
            )
            if self.resident(first, last) + inner + self.least_weights(layer) <= budget:
                return self.cycles(layer, 1) + self.traffic(layer, {layer}), Group(layers, 1)
        if not all(self.can_stripe(layer) for layer in layers):
            return INFINITE, None
        fixed = self.resident(first, last) + sum(self.weights(layer) for layer in layers)
        if fixed > budget:
            return INFINITE, None
        shortest = min(layer.output.height for layer in layers)
        traffic = sum(self.traffic(layer, set(layers)) for layer in layers)
        tried = [stripes for stripes in STRIPES if stripes <= shortest]
        if not tried or not self.fits(layers, tried[-1], budget - fixed):
            return INFINITE, None
        low, high = 0, len(tried) - 1
        while low < high:
            middle = (low + high) // 2
            if self.fits(layers, tried[middle], budget - fixed):
                high = middle
            else:
                low = middle + 1
        return traffic + sum(self.cycles(layer, tried[high]) for layer in layers), Group(layers, tried[high])

    def traffic(self, layer: Layer, inside: set[Layer]) -> float:
        """Channel cycles of the spilled tensors a layer of a group loads and stores, at their share of the total."""
        moved = 0
        if layer.output.buffer in self.spilled and leaves(layer, inside):
            moved += layer.output.height * layer.output.width * layer.output.channels
        for tensor in layer.inputs:
            if tensor.buffer in self.spilled and tensor.producer not in inside:
                moved += tensor.height * tensor.width * tensor.channels
        return float(moved / self.machine.dram_rate) / 2

    def fits(self, layers: tuple[Layer, ...], stripes: int, room: int) -> bool:
        """Whether the rings of a group take no more than so many bytes."""
        group = Group(layers, stripes)
        stored = rings(group, progress(group, self.configurations), self.spilled)
        return sum(rows * b.width * b.channels for b, rows in stored.items()) <= room

    def cycles(self, layer: Layer, stripes: int) -> float:
        """Engine cycles of a layer in so many stripes, refilling L1 for each."""
        if not layer.is_conv:
            return layer.output.buffer.bytes / self.machine.streams.vector / 4
        return _cycles(self.machine, conv_shape(layer), self.configurations[layer], stripes)

    def long_skips(self) -> frozenset[Buffer]:
        """Buffers that lie idle for long: SRAM they take could hold weights instead, for two transfers of theirs."""
        found: set[Buffer] = set()
        for buffer in self.life:
            people = sorted({p.index for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None})
            idle = max((b - a for a, b in itertools.pairwise(people)), default=0)
            if idle >= IDLE and buffer.can_spill and buffer.bytes * 100 > self.machine.sram.bytes:
                found.add(buffer)
        return frozenset(found)

    def spillable(self) -> frozenset[Buffer]:
        """Buffers between layers that DRAM could hold: all but inputs, outputs, and those seen in another shape."""
        return frozenset(buffer for buffer in self.life if buffer.can_spill and buffer.is_inner)

    def cut(self, budget: int, spilled: frozenset[Buffer] = frozenset()) -> Partition:
        """The partition within a budget, with these buffers in DRAM at least.

        Raises ReconError when not even spilling everything helps.
        """
        self.spilled = spilled
        while True:
            found = self._cut(budget)
            if isinstance(found, Partition):
                return found
            alive = [
                b
                for b, (birth, death) in self.life.items()
                if birth <= found <= death and b not in self.spilled and b.can_spill
            ]
            if not alive:
                layer = self.layers[found]
                raise ReconError(
                    f"Layer {layer.name} does not fit in SRAM in any number of stripes: {self.machine.name} has "
                    f"{self.machine.sram.bytes:,} bytes and its weights alone take {self.weights(layer):,}. "
                    "A machine with more SRAM would help."
                )
            near = self.layers[found]
            touched = {t.buffer for t in (*near.inputs, near.output)}
            # A long skip waits in DRAM at less cost than what the layer itself works on.
            self.spilled |= {max(alive, key=lambda b: (b not in touched, b.bytes, b.name))}

    def _cut(self, budget: int) -> Partition | int:
        """The best cut, or the layer at which there is none."""
        live = self.live()
        spills = [any(t.buffer in self.spilled for t in (*layer.inputs, layer.output)) for layer in self.layers]
        best: list[float] = [0.0]
        back: list[tuple[int, Group] | None] = [None]
        for last in range(len(self.layers)):
            least: tuple[float, int, Group] | None = None
            weights = 0
            for first in range(last, max(-1, last - self.longest), -1):
                weights += self.weights(self.layers[first])
                if first < last and (weights > budget or not self.can_stripe(self.layers[first])):
                    break
                if first < last and live[first] <= budget // 2 and not (spills[first] and spills[last]):
                    # Fusing what neither crowds SRAM nor meets DRAM saves nothing.
                    break
                if best[first] == INFINITE:
                    continue
                cost, group = self.group(first, last, budget)
                if group is not None and (least is None or best[first] + cost < least[0]):
                    least = (best[first] + cost, first, group)
            best.append(least[0] if least else INFINITE)
            back.append((least[1], least[2]) if least else None)
        if back[-1] is None:
            reached = max(i for i, cost in enumerate(best) if cost < INFINITE)
            return max(range(reached, min(reached + 8, len(self.layers))), key=lambda i: live[i])
        groups: list[Group] = []
        position = len(self.layers)
        while position:
            step = back[position]
            assert step is not None
            position = step[0]
            groups.append(step[1])
        return Partition(tuple(reversed(groups)), self.spilled)


@functools.lru_cache(maxsize=8192)
def _cycles(machine: Machine, shape: ConvShape, configuration: Configuration, stripes: int) -> float:
    table = evaluate(machine, shape, (configuration,))
    if stripes == 1:
        return float(table.cycles[0])
    blocking = table.blocking(0)
    blocks = (
        -(-shape.groups // blocking.groups)
        * -(-shape.outputs // blocking.outputs)
        * -(-shape.inputs // blocking.inputs)
    )
    c = configuration
    rows = -(-shape.oy // stripes)
    cost = laws.conv(
        machine,
        winograd=c.algorithm == "winograd",
        g=c.g,
        k=c.k,
        r=c.r,
        p=c.p,
        groups=blocking.groups,
        outputs=blocking.outputs,
        inputs=blocking.inputs,
        fy=shape.fy,
        fx=shape.fx,
        sx=shape.sx,
        dx=shape.dx,
        oy=rows,
        ox=shape.ox,
        last=1,
    )
    filled = laws.fill(machine, blocking.groups * blocking.outputs * blocking.inputs * shape.fy * shape.fx)
    return float(max(int(cost.busy), int(filled)) * blocks * stripes)
