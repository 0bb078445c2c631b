"""Which layers run together stripe by stripe, and what is spilled to DRAM.

Where all activations fit, every layer is a group of its own. Where they crowd SRAM beyond a budget, the crowded run of
layers is cut into groups by dynamic programming: each group with the fewest stripes that keep it within the budget, the
cut with the fewest array cycles. Only if no cut fits, the largest buffer of the tightest layer is spilled.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from passes.planner.candidates import mapped_cycles
from passes.planner.cost import swap_cycles, vector_guess
from passes.planner.mapping import ConvMapping
from passes.planner.nests import Nests
from passes.planner.network import Buffer, Layer, Network, Tensor
from passes.planner.refusals import DoesNotFit, smallest_tile
from passes.planner.stripes import Group, leaves, progress, rings
from passes.planner.tuning import HOPELESS, IDLE, LONGEST, MOST_OPENING, MOST_SKIPS, OPENING_GAIN, STRIPES, chunk_bytes
from sim.machine.description import Machine

INFINITE = float("inf")

FAR = 1 << 60
"""Bytes that are missing where the layer might still run in another way."""


@dataclass(frozen=True)
class Partition:
    """Groups in network order, and the buffers that live in DRAM."""

    groups: tuple[Group, ...]
    spilled: frozenset[Buffer]
    lean: bool = False
    """Whether configuration images come from DRAM each time, instead of staying in SRAM once they came twice."""


def alone(network: Network) -> Partition:
    """Every layer a group of its own, everything in SRAM."""
    return Partition(tuple(Group((layer,), 1) for layer in network.layers), frozenset())


class Partitioner:
    """Cuts one network for one machine and one choice of configurations."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        mappings: Mapping[Layer, ConvMapping],
        longest: int = LONGEST,
    ):
        self.nests: Nests | None = None
        """Where it is there, groups may turn over strips and parts, and stream their weights."""
        self.machine = machine
        self.longest = longest
        self.network = network
        self.mappings = mappings
        self.layers = network.layers
        self.life: dict[Buffer, tuple[int, int]] = {}
        for buffer in network.buffers:
            people = [p.index for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None]
            if people:
                first = 0 if any(t.is_input for t in buffer.tensors) else min(people)
                self.life[buffer] = (first, max(people))
        self.spilled: frozenset[Buffer] = frozenset()
        self.born: list[list[tuple[Buffer, int]]] = [[] for _ in network.layers]
        for buffer, (birth, death) in self.life.items():
            if buffer.is_inner:
                self.born[birth].append((buffer, death))
        self.touched: dict[tuple[int, int], frozenset[Buffer]] = {}
        self.known_rings: dict[tuple[int, int, int, frozenset[Buffer]], int] = {}
        self.known_cycles: dict[tuple[Layer, int], float] = {}
        self.known_weights: dict[Layer, int] = {}

    def live(self) -> list[int]:
        """Bytes of resident buffers alive at each layer, everything unstriped."""
        usage = np.zeros(len(self.layers) + 1, np.int64)
        for buffer, (first, last) in self.life.items():
            if buffer not in self.spilled:
                usage[first : last + 1] += buffer.bytes
        return [int(n) for n in usage[:-1]]

    def weights(self, layer: Layer) -> int:
        if layer not in self.known_weights:
            shape = self.mappings[layer].shape if layer.is_conv else None
            self.known_weights[layer] = shape.weight_bytes + shape.parameter_bytes if shape is not None else 0
        return self.known_weights[layer]

    def least_weights(self, layer: Layer) -> int:
        """Bytes of weights a layer needs at least while it runs alone: two blocks."""
        if not layer.is_conv:
            return 0
        mapping = self.mappings[layer]
        block = mapping.largest.channels * mapping.largest.inputs * mapping.shape.taps
        shape = mapping.shape
        return min(2 * max(block, chunk_bytes(self.machine)), shape.weight_bytes) + shape.parameter_bytes

    def can_stripe(self, layer: Layer) -> bool:
        return (
            layer.output.height > 1
            and (layer.is_conv or layer.vector.reads != "image")
            and not any(tensor.is_view for tensor in (*layer.inputs, layer.output))
        )

    def group(self, first: int, last: int, budget: int, resident: int) -> tuple[float, Group | None]:
        """The cheapest way to run layers first … last as one group within a budget of bytes, and its cycles.

        ``resident`` are the bytes of whole buffers that must lie in SRAM meanwhile: all but those inside the group.
        """
        layers = tuple(self.layers[first : last + 1])
        if first == last:
            layer = layers[0]
            touched = {t.buffer for t in (*layer.inputs, layer.output)} & self.spilled
            own = self.inner(first, last) + sum(buffer.bytes for buffer in touched) - self.shared(layer)
            if resident + own + self.least_weights(layer) <= budget:
                return self.cost(layers, self.cycles(layer, 1)), Group(layers, 1)
        found = self.striped(first, last, budget, resident)
        if self.nests is None or found[1] is not None:
            return found
        if first == last:
            return self.nests.single(layers[0], self.spilled, budget - resident - self.inner(first, last))
        inside = set(layers)
        moved = sum(self.moves(layer, inside) for layer in layers)
        return self.nests.fused(layers, self.spilled, moved, budget - resident)

    def cost(self, layers: tuple[Layer, ...], cycles: float) -> float:
        """What a group costs that reads its weights once and takes so many cycles of the engines.

        Where nothing but whole layers and stripes are at hand, weights are the same for every cut and left out, and
        activations count half, since much of them moves behind other work.
        """
        inside = set(layers)
        moved = sum(self.moves(layer, inside) for layer in layers)
        if self.nests is None:
            return cycles + float(moved / self.machine.dram_rate) / 2
        return self.nests.cost(cycles, moved + sum(self.weights(layer) for layer in layers))

    def striped(self, first: int, last: int, budget: int, resident: int) -> tuple[float, Group | None]:
        """The same in as few stripes as fit, all weights and all columns at once."""
        layers = tuple(self.layers[first : last + 1])
        if first == last and not self.can_stripe(layers[0]):
            return INFINITE, None
        fixed = resident + sum(self.weights(layer) for layer in layers)
        if fixed > budget:
            return INFINITE, None
        shortest = min(layer.output.height for layer in layers)
        tried = [stripes for stripes in STRIPES if stripes <= shortest]
        if not tried or self.ring_bytes(first, last, tried[-1]) > budget - fixed:
            return INFINITE, None
        low, high = 0, len(tried) - 1
        while low < high:
            middle = (low + high) // 2
            if self.ring_bytes(first, last, tried[middle]) <= budget - fixed:
                high = middle
            else:
                low = middle + 1
        return self.cost(layers, sum(self.cycles(layer, tried[high]) for layer in layers)), Group(layers, tried[high])

    def shared(self, layer: Layer) -> int:
        """Bytes that a layer's result takes over from an input."""
        old = layer.in_place
        return (
            layer.output.buffer.bytes if old is not None and not {old.buffer, layer.output.buffer} & self.spilled else 0
        )

    def needs(self, group: Group, spilled: frozenset[Buffer]) -> int:
        """Bytes of SRAM while a group of several layers runs: rings, all its weights, and the whole buffers alive."""
        first, last = group.layers[0].index, group.layers[-1].index
        stored = rings(group, progress(group, self.mappings), spilled)
        whole = sum(
            buffer.bytes
            for buffer, (birth, death) in self.life.items()
            if birth <= last and death >= first and buffer not in spilled and buffer not in stored
        )
        weights = sum(self.weights(layer) for layer in group.layers)
        return whole + weights + sum(rows * b.width * b.channels for b, rows in stored.items())

    def inner(self, first: int, last: int) -> int:
        """Bytes of whole buffers born at layer ``first`` that live only until layer ``last``, all inside."""
        return sum(b.bytes for b, death in self.born[first] if death <= last and b not in self.spilled)

    def inner_of_group(self, first: int, last: int) -> int:
        """Bytes of whole buffers that live only while layers first … last run."""
        return sum(self.inner(layer, last) for layer in range(first, last + 1))

    def moves(self, layer: Layer, inside: set[Layer]) -> int:
        """Bytes of the spilled tensors that a layer of a group loads and stores."""
        moved = 0
        if layer.output.buffer in self.spilled and leaves(layer, inside):
            moved += self.moved(layer.output)
        for tensor in layer.inputs:
            if tensor.buffer in self.spilled and tensor.producer not in inside:
                moved += self.moved(tensor)
        return moved

    def moved(self, tensor: Tensor) -> int:
        """Bytes the channel is busy with for a tensor of a spilled buffer: channels of a pixel are whole bursts."""
        if tensor.channels == tensor.buffer.channels:
            return tensor.height * tensor.width * tensor.channels
        burst = self.machine.dram.burst
        return tensor.height * tensor.width * -(-(tensor.channels + burst // 2) // burst) * burst

    def ring_bytes(self, first: int, last: int, stripes: int) -> int:
        """Bytes of the rings of layers first … last in so many stripes."""
        touched = frozenset[Buffer]()
        if self.spilled:
            if (first, last) not in self.touched:
                layers = self.layers[first : last + 1]
                self.touched[first, last] = frozenset(t.buffer for y in layers for t in (*y.inputs, y.output))
            touched = self.spilled & self.touched[first, last]
        key = (first, last, stripes, touched)
        if key not in self.known_rings:
            group = Group(tuple(self.layers[first : last + 1]), stripes)
            stored = rings(group, progress(group, self.mappings), touched)
            self.known_rings[key] = sum(rows * b.width * b.channels for b, rows in stored.items())
        return self.known_rings[key]

    def cycles(self, layer: Layer, stripes: int) -> float:
        """Engine cycles of a layer in so many stripes, refilling L1 for each."""
        if not layer.is_conv:
            return vector_guess(self.machine, layer.output.buffer.bytes)
        if (layer, stripes) not in self.known_cycles:
            found = mapped_cycles(self.machine, self.mappings[layer], stripes)
            self.known_cycles[layer, stripes] = found
        return self.known_cycles[layer, stripes]

    def large_inputs(self) -> frozenset[Buffer]:
        """Inputs that take a good part of SRAM: a group can read them row by row as they come, at no cost."""
        return frozenset(
            buffer
            for buffer in self.life
            if any(t.is_input for t in buffer.tensors)
            and self.can_spill(buffer)
            and buffer.bytes * 16 > self.machine.sram.bytes
        )

    def long_skips(self) -> list[frozenset[Buffer]]:
        """Buffers that lie idle for long: SRAM they take could hold weights instead, for two transfers of theirs.

        The first alone that waits longest for its size, then the first two, and so on, at most MOST_SKIPS sets.
        """
        found: list[tuple[int, Buffer]] = []
        for buffer in self.life:
            people = sorted({p.index for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None})
            idle = max((b - a for a, b in itertools.pairwise(people)), default=0)
            if idle >= IDLE and buffer.can_spill and buffer.bytes * 100 > self.machine.sram.bytes:
                found.append((idle * buffer.bytes, buffer))
        found.sort(key=lambda pair: (-pair[0], pair[1].name))
        sizes = {-(-len(found) * n // MOST_SKIPS) for n in range(1, MOST_SKIPS + 1)} - {0}
        return [frozenset(buffer for _, buffer in found[:size]) for size in sorted(sizes)]

    def opened(self, partition: Partition, budget: int) -> Partition:
        """The same with its first layers fused over stripes, where that hides more of the inputs' arrival.

        Layer after layer the array waits for the whole input; in stripes later layers work while it comes.
        """
        if self.longest == 1:
            return partition
        arriving = sum(t.buffer.bytes for t in self.network.inputs) / float(self.machine.dram_rate)
        most = float(OPENING_GAIN)
        best: Group | None = None
        layers: tuple[Layer, ...] = ()
        for group in partition.groups[:MOST_OPENING]:
            layers = (*layers, group.layers[0])
            touched = {tensor.buffer for tensor in (*layers[-1].inputs, layers[-1].output)}
            single = len(group.layers) == 1 and group.stripes == 1
            if not single or not self.can_stripe(layers[-1]) or touched & partition.spilled:
                break
            alone = max(arriving, self.cycles(layers[0], 1)) + sum(self.cycles(layer, 1) for layer in layers[1:])
            changes = sum(
                self.mappings[a].configuration != self.mappings[b].configuration
                for a, b in itertools.pairwise(layer for layer in (*layers, layers[0]) if layer.is_conv)
            )
            for stripes in STRIPES:
                if len(layers) < 2 or 2 * stripes > min(layer.output.height for layer in layers):
                    break
                busy = sum(self.cycles(layer, stripes) for layer in layers)
                busy += changes * stripes * swap_cycles(self.machine)
                gain = alone - max(arriving / stripes + busy, arriving + busy / stripes)
                opening = Group(layers, stripes)
                if gain > most and self.needs(opening, partition.spilled) <= budget:
                    most, best = gain, opening
        if best is None:
            return partition
        return Partition((best, *partition.groups[len(best.layers) :]), partition.spilled)

    def spillable(self) -> frozenset[Buffer]:
        """Buffers between layers that DRAM could hold: all but inputs, outputs, and those seen in another shape."""
        return frozenset(buffer for buffer in self.life if self.can_spill(buffer) and buffer.is_inner)

    def can_spill(self, buffer: Buffer) -> bool:
        """Whether a buffer can wait in DRAM: where layers work on strips and parts too, whatever its shape."""
        return buffer.can_wait if self.nests is not None else buffer.can_spill

    def cut(self, budget: int, spilled: frozenset[Buffer] = frozenset()) -> Partition:
        """The partition within a budget, with these buffers in DRAM at least.

        Raises ReconError when not even spilling everything helps.
        """
        self.spilled = frozenset()
        tally = _Tally(self)
        for buffer in spilled:
            tally.spill(buffer)
        self.spilled = spilled
        best: list[float] = [0.0]
        back: list[tuple[int, Group] | None] = [None]
        while True:
            found = self._cut(budget, tally, best, back)
            if isinstance(found, Partition):
                return found
            alive = [
                b
                for b, (birth, death) in self.life.items()
                if birth <= found <= death and b not in self.spilled and self.can_spill(b)
            ]
            if not alive:
                layer = self.layers[found]
                if self.nests is not None:
                    whole = tally.alive(found, found) - self.inner(found, found)
                    least = self.nests.least(layer, self.spilled)
                    raise smallest_tile(layer.name, least, whole, self.machine.sram.bytes)
                raise DoesNotFit(
                    f"Layer {layer.name} does not fit in SRAM in any number of stripes: {self.machine.name} has "
                    f"{self.machine.sram.bytes:,} bytes and its weights alone take {self.weights(layer):,}. "
                    "A machine with more SRAM would help.",
                    FAR,
                )
            near = self.layers[found]
            touched = {t.buffer for t in (*near.inputs, near.output)}
            # A long skip waits in DRAM at less cost than what the layer itself works on.
            chosen = max(alive, key=lambda b: (b not in touched, b.bytes, b.name))
            self.spilled |= {chosen}
            tally.spill(chosen)
            # The best cuts of the layers before it was made stay as they are.
            kept = self.life[chosen][0] + 1
            del best[kept:], back[kept:]

    def _cut(
        self, budget: int, tally: _Tally, best: list[float], back: list[tuple[int, Group] | None]
    ) -> Partition | int:
        """The best cut, or the layer at which there is none.

        ``best`` holds the cycles of the first n layers, cut best, and ``back`` where their last group starts, for the
        n known already; both are completed.
        """
        # Weights that come again for each stripe cost less than what the group keeps from going to DRAM and back.
        most = 2 if self.nests is not None else 0
        for last in range(len(best) - 1, len(self.layers)):
            least: tuple[float, int, Group] | None = None
            weights = inner = inner_bytes = failures = 0
            cycles = 0.0
            for first in range(last, max(-1, last - self.longest), -1):
                layer = self.layers[first]
                weights += self.weights(layer)
                if first < last:
                    inner_bytes += layer.output.buffer.bytes
                if first < last and (weights > budget + inner_bytes * most or not self.can_stripe(layer)):
                    break
                if first < last and not self.can_stripe(self.layers[last]):
                    break
                if (
                    first < last
                    and tally.live[first] <= budget // 2
                    and not (tally.spills[first] and tally.spills[last])
                ):
                    # Fusing what neither crowds SRAM nor meets DRAM saves nothing.
                    break
                inner += self.inner(first, last)
                cycles += self.cycles(layer, 1)
                if best[first] == INFINITE or (least is not None and best[first] + cycles >= least[0]):
                    continue
                resident = tally.alive(first, last) - inner
                if self.nests is not None and least is not None:
                    layers = tuple(self.layers[first : last + 1])
                    if best[first] + self.cost(layers, cycles) >= least[0]:
                        continue
                cost, group = self.group(first, last, budget, resident)
                failures = failures + 1 if group is None and first < last else 0
                if group is not None and (least is None or best[first] + cost < least[0]):
                    least = (best[first] + cost, first, group)
                if self.nests is not None and failures == HOPELESS:
                    break
            best.append(least[0] if least else INFINITE)
            back.append((least[1], least[2]) if least else None)
            if least is None and max(best[-self.longest :]) == min(best[-self.longest :]) == INFINITE:
                break
        if self.layers and back[-1] is None:
            reached = max(i for i, cost in enumerate(best) if cost < INFINITE)
            return max(range(reached, min(reached + 8, len(self.layers))), key=lambda i: int(tally.live[i]))
        groups: list[Group] = []
        position = len(self.layers)
        while position:
            step = back[position]
            assert step is not None
            position = step[0]
            groups.append(step[1])
        return Partition(tuple(reversed(groups)), self.spilled)


class _Tally:
    """Bytes of the buffers that are not spilled, by the layers between which they live."""

    def __init__(self, partitioner: Partitioner):
        count = len(partitioner.layers)
        self.life = partitioner.life
        self.live = np.array(partitioner.live(), np.int64)
        self.spills = [False] * count
        births, deaths = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
        for buffer, (birth, death) in self.life.items():
            births[birth] += buffer.bytes
            deaths[death + 1] += buffer.bytes
        self.born = np.cumsum(births)
        self.dead = np.cumsum(deaths)

    def alive(self, first: int, last: int) -> int:
        """Bytes of whole buffers alive at any of the layers first … last."""
        return int(self.born[last] - self.dead[first])

    def spill(self, buffer: Buffer) -> None:
        """Take a buffer out of the count."""
        birth, death = self.life[buffer]
        self.live[birth : death + 1] -= buffer.bytes
        self.born[birth:] -= buffer.bytes
        self.dead[death + 1 :] -= buffer.bytes
        for tensor in buffer.tensors:
            for layer in (tensor.producer, *tensor.consumers):
                if layer is not None:
                    self.spills[layer.index] = True
