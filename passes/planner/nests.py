"""How a group runs that does not fit as it is: turns over strips or channels, weights that come again.

A layer by itself always has such a nest, down to one row of a narrow strip with a block of weights, so that a machine
refuses only what its smallest tile exceeds. The choice weighs what is read again (weights for each step, columns at
the edges of strips, an input for each part of the channels) and what the array loses on small tiles, by the machine's
laws. Groups of several layers turn over strips only, and stream the weights for which no room is left.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from passes.planner.cost import Lanes, conv_cost, fill_cycles
from passes.planner.mapping import ConvMapping
from passes.planner.network import Buffer, Layer, Tensor
from passes.planner.stripes import Group, progress, rings, row_multiple
from passes.planner.tuning import COUNTS, FIRST_STRIPES, MOST_STRIPS, SHORTER, chunk_bytes
from passes.planner.turns import Turn, channels_read, turns
from sim.machine.description import Machine
from sim.machine.laws import ceil_div


class Nests:
    """Finds nests for groups of one network on one machine."""

    def __init__(self, machine: Machine, mappings: Mapping[Layer, ConvMapping]):
        self.machine = machine
        self.mappings = mappings
        self._known: dict[tuple[object, ...], tuple[int, float]] = {}
        self._known_rows: dict[tuple[object, ...], Mapping[Buffer, int]] = {}
        self._known_turns: dict[tuple[object, ...], list[Turn]] = {}

    def cost(self, cycles: Any, moved: Any) -> Any:
        """What a group costs whose engines take so many cycles while so many bytes move, numbers or arrays: the longer
        of the two, and a little of the shorter, which never hides quite."""
        channel = moved / float(self.machine.dram_rate)
        return np.maximum(cycles, channel) + SHORTER * np.minimum(cycles, channel)

    # ------------------------------------------------------------------------------------------- several layers

    def fused(
        self, layers: tuple[Layer, ...], spilled: frozenset[Buffer], moved: int, budget: int
    ) -> tuple[float, Group | None]:
        """The cheapest nest of several layers within a budget of bytes for rooms and weights, and its cost; ``moved``
        are the bytes of its spilled tensors, each once."""
        touched = frozenset(t.buffer for y in layers for t in (*y.inputs, y.output)) & spilled
        weights = [self.weight_bytes(layer) for layer in layers]
        params = sum(self.parameter_bytes(layer) for layer in layers)
        passing = max((self.passing(layer) for layer in layers), default=0)
        room = budget - params - min(passing, sum(weights))
        if room <= 0:
            return float("inf"), None
        height = min(layer.output.height for layer in layers)
        width = min(layer.output.width for layer in layers)
        best: tuple[float, Group | None] = (float("inf"), None)
        for strips in COUNTS:
            if strips > min(MOST_STRIPS, width):
                break
            fitting = self._fewest(layers, touched, strips, height, room)
            for stripes in fitting[:FIRST_STRIPES]:
                rooms, cycles = self._measured(layers, touched, stripes, strips)
                kept = self._kept(weights, budget - params - rooms, passing)
                again = sum(w - k for w, k in zip(weights, kept, strict=True)) * (strips * stripes - 1)
                cost = float(self.cost(cycles, moved + sum(weights) + again))
                if cost < best[0]:
                    everything = all(w == k for w, k in zip(weights, kept, strict=True))
                    best = cost, Group(layers, stripes, strips, 1, None if everything and strips == 1 else kept)
            if fitting:
                break
        return best

    def _fewest(
        self, layers: tuple[Layer, ...], touched: frozenset[Buffer], strips: int, height: int, room: int
    ) -> list[int]:
        """Numbers of stripes whose rooms fit, fewest first."""
        tried = [stripes for stripes in COUNTS if stripes <= height]
        if self._measured(layers, touched, tried[-1], strips)[0] > room:
            return []
        low, high = 0, len(tried) - 1
        while low < high:
            middle = (low + high) // 2
            if self._measured(layers, touched, tried[middle], strips)[0] <= room:
                high = middle
            else:
                low = middle + 1
        return tried[low:]

    def _measured(
        self, layers: tuple[Layer, ...], touched: frozenset[Buffer], stripes: int, strips: int
    ) -> tuple[int, float]:
        """Bytes of the rooms of a group of its own turns, and cycles of its engines."""
        key = (layers[0], layers[-1], touched, stripes, strips)
        if key not in self._known:
            # With weights that come again rooms hold just what is touched, so that is what is measured.
            group = Group(layers, stripes, strips, 1, (0,) * len(layers))
            rows = self._rows(group, touched)
            found = self._turns(group)
            bytes_ = max(_room_bytes(rows, turn) for turn in found)
            cycles = sum(self.cycles(layer, stripes, [t.made[layer][0] for t in found]) for layer in layers)
            self._known[key] = bytes_, cycles
        return self._known[key]

    def _rows(self, group: Group, touched: frozenset[Buffer]) -> Mapping[Buffer, int]:
        """Rows of its rooms, which are the same for any number of strips but one in one step."""
        key = (group.layers[0], group.layers[-1], touched, group.stripes, group.stripes == 1 and group.strips > 1)
        if key not in self._known_rows:
            self._known_rows[key] = rings(group, progress(group, self.mappings), touched)
        return self._known_rows[key]

    def _turns(self, group: Group) -> list[Turn]:
        """Its turns, which are the same for any number of stripes."""
        key = (group.layers[0], group.layers[-1], group.strips)
        if key not in self._known_turns:
            self._known_turns[key] = list(turns(group, self.mappings))
        return self._known_turns[key]

    @staticmethod
    def _kept(weights: Sequence[int], room: int, passing: int) -> tuple[int, ...]:
        """Bytes of each layer's weights that stay: all, or the largest give up what there is no room for."""
        kept = list(weights)
        if sum(kept) <= room:
            return tuple(kept)
        missing = sum(kept) + passing - room
        for index in sorted(range(len(kept)), key=lambda i: -kept[i]):
            given = min(kept[index], max(0, missing))
            kept[index] -= given
            missing -= given
        return tuple(kept)

    # --------------------------------------------------------------------------------------------- one layer

    def single(self, layer: Layer, spilled: frozenset[Buffer], budget: int) -> tuple[float, Group | None]:
        """The cheapest nest of one layer within a budget, and its cost."""
        touched = frozenset(t.buffer for t in (*layer.inputs, layer.output)) & spilled
        grid = self._grid(layer)
        if not len(grid):
            return float("inf"), None
        stripes, strips, parts = grid.T
        rooms = self._rooms(layer, touched, stripes, strips, parts)
        params = ceil_div(self.parameter_bytes(layer), parts)
        part = self._part_bytes(layer, parts)
        passing = np.minimum(self.passing(layer), part)
        left = budget - rooms - params
        if (left < np.minimum(part, passing)).all():
            passing = np.minimum(ceil_div(passing, 2), part)  # no room is read while the next comes
        kept = np.where(part <= left, part, np.maximum(left - passing, 0))
        again = (part - kept) * parts * (stripes * strips - 1)
        moved = again + self._input_traffic(layer, touched, stripes, strips, parts)
        cost = self.cost(self._cycles(layer, stripes, strips, parts), moved + self.weight_bytes(layer))
        cost = np.where(left >= np.where(part <= left, part, passing), cost, np.inf)
        for index in np.argsort(cost, kind="stable")[:8]:
            if not np.isfinite(cost[index]):
                break
            group = Group((layer,), int(stripes[index]), int(strips[index]), int(parts[index]), (int(kept[index]),))
            rows = rings(group, progress(group, self.mappings), touched)
            exact = max(_room_bytes(rows, turn) for turn in turns(group, self.mappings))
            if exact + int(params[index]) + int(min(passing[index] + kept[index], part[index])) <= budget:
                return float(cost[index]), group
        return float("inf"), None

    def least(self, layer: Layer, spilled: frozenset[Buffer]) -> int:
        """Bytes of the smallest nest of a layer: what a machine must have beside the tensors that stay whole."""
        touched = frozenset(t.buffer for t in (*layer.inputs, layer.output)) & spilled
        stripes, strips, parts = self._grid(layer).T
        rooms = self._rooms(layer, touched, stripes, strips, parts)
        passing = np.minimum(ceil_div(self.passing(layer), 2), self._part_bytes(layer, parts))
        return int((rooms + ceil_div(self.parameter_bytes(layer), parts) + passing).min())

    def _part_bytes(self, layer: Layer, parts: np.ndarray) -> np.ndarray:
        """Bytes of the weights of the largest part."""
        if not layer.is_conv:
            return np.zeros_like(parts)
        mapping = self.mappings[layer]
        largest = mapping.largest
        per_output = largest.channels * mapping.shape.inputs * mapping.shape.taps
        blocks = ceil_div(mapping.shape.groups * mapping.shape.outputs, largest.channels)
        return np.minimum(ceil_div(blocks, parts) * per_output, mapping.shape.weight_bytes)

    def _grid(self, layer: Layer) -> np.ndarray:
        """The nests that a layer can have: int64[n, 3], stripes, strips and parts."""
        output = layer.output
        seen = any(tensor.is_view for tensor in (*layer.inputs, output))
        whole = not layer.is_conv and layer.vector.reads == "image"
        rows = 1 if seen or whole else output.height // row_multiple(layer, self.mappings)
        columns = 1 if seen or whole else output.width // row_multiple(layer, self.mappings, 1)
        if layer.is_conv:
            mapping = self.mappings[layer]
            channels = len({block.first_channel(mapping.shape) for block in mapping.blocks})
        elif layer.kind == "move" or layer.vector.channels == "all" or seen:
            channels = 1
        else:
            channels = output.channels
        axes = [[n for n in COUNTS if n <= max(1, most)] for most in (rows, columns, channels)]
        return np.array(np.meshgrid(*axes, indexing="ij"), np.int64).reshape(3, -1).T

    def _rooms(
        self, layer: Layer, touched: frozenset[Buffer], stripes: np.ndarray, strips: np.ndarray, parts: np.ndarray
    ) -> np.ndarray:
        """About the bytes of the rooms of a layer."""
        total = np.zeros(len(stripes), np.int64)
        held: dict[Buffer, np.ndarray] = {}
        tensors: list[tuple[Tensor, int]] = [(layer.output, -1), *((t, i) for i, t in enumerate(layer.inputs))]
        for tensor, which in tensors:
            if tensor.buffer not in touched:
                continue
            rows, columns, channels = self._extent(layer, which, stripes, strips, parts)
            size = rows * columns * channels
            held[tensor.buffer] = np.maximum(held.get(tensor.buffer, total), size)
        return sum(held.values(), total)

    def _extent(
        self, layer: Layer, which: int, stripes: np.ndarray, strips: np.ndarray, parts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and channels that a room of the output (−1) or an input stores."""
        tensor = layer.output if which < 0 else layer.inputs[which]
        tall = _rounded(layer.output.height, stripes, row_multiple(layer, self.mappings))
        wide = _rounded(layer.output.width, strips, row_multiple(layer, self.mappings, 1))
        channels = ceil_div(tensor.channels, parts)
        if which < 0:
            rows = np.where(stripes > 1, 2 * tall, tall)
            return np.minimum(rows, tensor.height), np.minimum(wide, tensor.width), channels
        if channels_read(layer, which, (0, 1)) == (0, tensor.channels):
            channels = np.full_like(parts, tensor.channels)
        if layer.kind == "move":
            return np.full_like(parts, tensor.height), np.full_like(parts, tensor.width), channels
        m, d, _, e, _ = layer.reach[which]
        rows = np.where(stripes > 1, ((2 * tall - 1) * m) // d + e, tensor.height)
        m, d, _, e, _ = layer.reach_across[which]
        columns = ((wide - 1) * m) // d + e
        return np.minimum(rows, tensor.height), np.minimum(columns, tensor.width), channels

    def _input_traffic(
        self, layer: Layer, touched: frozenset[Buffer], stripes: np.ndarray, strips: np.ndarray, parts: np.ndarray
    ) -> np.ndarray:
        """Bytes the channel moves for a layer's spilled inputs and output, whole bursts."""
        burst = self.machine.dram.burst
        moved = np.zeros(len(stripes), np.int64)
        for which, tensor in [(-1, layer.output), *enumerate(layer.inputs)]:
            if tensor.buffer not in touched or (which >= 0 and tensor in layer.inputs[:which]):
                continue
            _, columns, channels = self._extent(layer, which, stripes, strips, parts)
            packed = channels == tensor.buffer.channels
            run = np.where(packed, columns * channels, channels)
            count = np.where(packed, tensor.height, tensor.height * columns)
            whole = packed & (columns == tensor.buffer.width)
            bursts = np.where(whole, run, (run + burst // 2 + burst - 1) // burst * burst)
            again = parts * strips
            moved = moved + np.maximum(count * bursts, (count * float(self.machine.dram_rate)).astype(np.int64)) * again
        return moved

    def _cycles(self, layer: Layer, stripes: np.ndarray, strips: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Cycles of the engine that runs a layer."""
        tall = _rounded(layer.output.height, stripes, row_multiple(layer, self.mappings))
        wide = _rounded(layer.output.width, strips, row_multiple(layer, self.mappings, 1))
        steps = ceil_div(layer.output.height, tall) * ceil_div(layer.output.width, wide)
        if not layer.is_conv:
            elements = layer.output.buffer.bytes / self.machine.streams.vector / 4
            return elements + steps * parts * self.machine.streams.vector_overhead
        mapping = self.mappings[layer]
        block, lanes = mapping.largest, Lanes.of(mapping.configuration)
        busy = conv_cost(
            self.machine, mapping.shape, lanes, block.groups, block.outputs, block.inputs, (tall, wide)
        ).busy
        filled = fill_cycles(self.machine, block.channels * block.inputs * mapping.shape.taps)
        return np.maximum(busy, filled) * len(mapping.blocks) * steps

    # ------------------------------------------------------------------------------------------------- layers

    def cycles(self, layer: Layer, stripes: int, columns: Sequence[tuple[int, int]]) -> float:
        """Cycles of the engine that runs a layer in so many stripes, for strips of these columns."""
        total = 0.0
        for first, end in columns:
            total += self._strip_cycles(layer, stripes, end - first)
        return total

    @functools.lru_cache(maxsize=65536)  # noqa: B019  (one object per search)
    def _strip_cycles(self, layer: Layer, stripes: int, width: int) -> float:
        output = layer.output
        if width <= 0:
            return 0.0
        tall = -(-output.height // stripes)
        if not layer.is_conv:
            share = width / output.width
            elements = output.buffer.bytes * share / self.machine.streams.vector / 4
            return elements + stripes * self.machine.streams.vector_overhead
        mapping = self.mappings[layer]
        block, lanes = mapping.largest, Lanes.of(mapping.configuration)
        cost = conv_cost(self.machine, mapping.shape, lanes, block.groups, block.outputs, block.inputs, (tall, width))
        filled = fill_cycles(self.machine, block.channels * block.inputs * mapping.shape.taps)
        return float(max(int(cost.busy), filled)) * len(mapping.blocks) * stripes

    def weight_bytes(self, layer: Layer) -> int:
        return self.mappings[layer].shape.weight_bytes if layer.is_conv else 0

    def parameter_bytes(self, layer: Layer) -> int:
        """Bytes of a layer's parameters and table, about."""
        return 8 * layer.output.channels + 256 if layer.is_conv or layer.vector.side != "none" else 0

    def passing(self, layer: Layer) -> int:
        """Bytes of weights in SRAM while they pass through: one room that is read while the next comes."""
        if not layer.is_conv:
            return 0
        mapping = self.mappings[layer]
        block = mapping.largest.channels * mapping.largest.inputs * mapping.shape.taps
        return min(2 * max(block, chunk_bytes(self.machine)), mapping.shape.weight_bytes)


def _rounded(size: int, pieces: np.ndarray, multiple: int) -> np.ndarray:
    """The length of the longest of about equal pieces, each a multiple."""
    return np.minimum(size, ceil_div(ceil_div(size, pieces), multiple) * multiple)


def _room_bytes(rows: Mapping[Buffer, int], turn: Turn) -> int:
    return sum(count * turn.area(buffer) for buffer, count in rows.items())
