"""What each configuration would cost each convolution, by the machine's law, in bulk.

A convolution is split into *blocks*: as many weights as one half of L1 holds. Its cost in a configuration is the sum
over its blocks of the longer of the pass and the fill of the next block, because fills of the idle half overlap.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from passes.planner.cost import Lanes, block_cycles, conv_cost, fill_cycles, reduction_words
from passes.planner.mapping import Axis, ConvMapping, ConvShape, Loop
from passes.planner.tuning import MOST_BLOCKS, block_bytes, weights_bytes
from sim.machine.description import Configuration, Machine
from sim.machine.laws import ceil_div

NEVER = 1 << 50
"""Cost of what cannot be done."""

Ints = npt.NDArray[np.int64]


@functools.lru_cache(maxsize=16)
def configurations(machine: Machine) -> tuple[Configuration, ...]:
    """The configurations worth considering: those the machine lists, or all that use every lane."""
    if machine.configurations:
        return tuple(c for c in machine.configurations if machine.refusal(c) is None)
    powers = [1 << i for i in range(machine.array.lanes.bit_length())]
    lanes = 1 << (machine.array.lanes.bit_length() - 1)
    found: list[Configuration] = []
    algorithms = ("direct",) if machine.array.winograd == "none" else ("direct", "winograd")
    for algorithm in algorithms:
        for g, k, r in itertools.product(powers, repeat=3):
            if g * k * r <= lanes:
                found.append(Configuration(algorithm, g, k, r, lanes // (g * k * r)))
    return tuple(found)


class _Cut(NamedTuple):
    """Sizes of a block for every configuration; ``rows`` and ``columns`` the most a pass may have (0: no limit)."""

    groups: Ints
    outputs: Ints
    inputs: Ints
    rows: Ints
    columns: Ints
    passes: Ints


@dataclass(frozen=True, eq=False)
class Table:
    """Costs of one convolution shape in n configurations: cycles int64[n], and how each cuts it."""

    shape: ConvShape
    choices: tuple[Configuration, ...]
    cycles: Ints
    cut: _Cut

    def mapping(self, index: int) -> ConvMapping:
        """How the convolution runs in a configuration that can run it."""
        groups, outputs, inputs, rows, columns, _ = (int(column[index]) for column in self.cut)
        configuration = self.choices[index]
        loops = [Loop(Axis.GROUP, groups), Loop(Axis.OUTPUT, outputs), Loop(Axis.INPUT, inputs)]
        if inputs < self.shape.inputs:
            # The sums of these rows wait in the accumulators from one pass to the next.
            together = 2 if configuration.algorithm == "winograd" else 1
            if columns:
                loops.insert(0, Loop(Axis.COLUMN, columns, together))
            loops.insert(0, Loop(Axis.ROW, rows, together))
        return ConvMapping(self.shape, configuration, tuple(loops))


@functools.lru_cache(maxsize=4096)
def cost_table(machine: Machine, shape: ConvShape, choices: tuple[Configuration, ...] = (), images: int = 1) -> Table:
    """Cycles of a convolution in each of the given configurations (none given: all worth considering), NEVER where it
    does not fit; for one of several images, which share the fills of a reduction that is not cut."""
    choices = choices or configurations(machine)
    lanes = Lanes.columns(choices)
    cut = _cut(machine, shape, lanes)
    several = cut.passes > 1
    row_tiles = np.where(several, ceil_div(shape.oy, np.maximum(np.minimum(cut.rows, shape.oy), 1)), 1)
    oy = np.where(several, np.minimum(np.maximum(cut.rows, 1), shape.oy), shape.oy)
    ox = np.where(cut.columns > 0, cut.columns, shape.ox)
    row_tiles = row_tiles * ceil_div(shape.ox, ox)
    inputs = np.maximum(cut.inputs, 1)

    def blocks(groups: Ints, outputs: Ints) -> Ints:
        busy = conv_cost(machine, shape, lanes, groups, outputs, inputs, (oy, ox)).busy
        filled = fill_cycles(machine, groups * outputs * cut.inputs * shape.taps)
        return np.maximum(busy, np.where(several, filled, ceil_div(filled, images))) * cut.passes * row_tiles

    group_count, group_rest = shape.groups // cut.groups, shape.groups % cut.groups
    output_count, output_rest = shape.outputs // cut.outputs, shape.outputs % cut.outputs
    cycles = group_count * output_count * blocks(cut.groups, cut.outputs)
    cycles = cycles + np.where(group_rest > 0, blocks(np.maximum(group_rest, 1), cut.outputs), 0) * output_count
    cycles = cycles + group_count * np.where(output_rest > 0, blocks(cut.groups, np.maximum(output_rest, 1)), 0)
    never = (cut.inputs < 1) | ((lanes.winograd == 1) & (not shape.winograd)) | (several & (cut.rows < 1))
    return Table(shape, choices, np.where(never, NEVER, cycles), cut)


def _cut(machine: Machine, s: ConvShape, lanes: Lanes) -> _Cut:
    """The blocks of a convolution in each configuration: as much as a half of L1 and the accumulators hold."""
    wino, g, k, r, _ = lanes
    limit = machine.array.half_words
    whole = reduction_words(machine, s, lanes, s.inputs)
    k_blocks = ceil_div(s.outputs, k)
    # One pass over the whole reduction where it fits a half; else the reduction is cut too.
    held = np.maximum(weights_bytes(machine) // (np.minimum(k, s.outputs) * s.taps), 1)
    fits = (whole <= limit) & (s.inputs <= held)
    direct = limit * r // s.taps if machine.array.flatten else (limit // s.taps) * r
    deepest = np.minimum(np.where(wino, (limit // 16) * r, direct), held)
    passes = np.where(fits, 1, ceil_div(s.inputs, np.maximum(deepest, 1)))
    inputs = np.where(fits, s.inputs, np.minimum(deepest, r * ceil_div(ceil_div(s.inputs, passes), r)))
    passes = np.where(fits, 1, ceil_div(s.inputs, np.maximum(inputs, 1)))
    step = np.maximum(reduction_words(machine, s, lanes, np.maximum(inputs, 1)), 1)
    per_half = np.maximum(limit // step, 1)
    many_groups = fits & (k_blocks * whole <= limit) & (s.groups > 1)
    most = max(block_bytes(machine), min(s.weight_bytes // MOST_BLOCKS, weights_bytes(machine)))
    light = np.maximum(most // np.maximum(k * inputs * s.taps, 1), 1)
    outputs = np.where(
        many_groups, s.outputs, np.minimum(s.outputs, np.where(fits, np.minimum(per_half, light), 1) * k)
    )
    light = np.maximum(most // np.maximum(g * s.outputs * inputs * s.taps, 1), 1)
    groups = np.where(
        many_groups, np.minimum(s.groups, np.minimum(limit // np.maximum(k_blocks * whole, 1), light) * g), 1
    )
    pixels_per_row = np.where(wino, 16 * ceil_div(s.ox, 2) / 2, s.ox)
    rows = np.where(passes == 1, 0, machine.array.accumulators // np.maximum(outputs * pixels_per_row, 1))
    rows = np.where((passes > 1) & (wino == 1), rows // 2 * 2, rows).astype(np.int64)
    # Where not even one row (a pair, for Winograd) fits the accumulators, a row is cut too.
    together = np.where(wino == 1, 2, 1)
    columns = machine.array.accumulators // np.maximum(outputs * np.where(wino == 1, 16, 1), 1) * together
    cut = (passes > 1) & (rows < together) & (columns > 0)
    return _Cut(groups, outputs, inputs, np.where(cut, together, rows), np.where(cut, columns, 0), passes)


@functools.lru_cache(maxsize=16)
def _places(machine: Machine) -> Mapping[Configuration, int]:
    """Where each configuration stands among those worth considering."""
    return {configuration: place for place, configuration in enumerate(configurations(machine))}


def entry(machine: Machine, shape: ConvShape, configuration: Configuration) -> tuple[Table, int]:
    """A convolution in one configuration: its place in the table of all, which most who ask have seen already."""
    place = _places(machine).get(configuration)
    if place is None:
        return cost_table(machine, shape, (configuration,)), 0
    return cost_table(machine, shape), place


@functools.lru_cache(maxsize=4096)
def mapping_of(machine: Machine, shape: ConvShape, configuration: Configuration) -> ConvMapping:
    """How a convolution runs in a configuration."""
    table, place = entry(machine, shape, configuration)
    return table.mapping(place)


def mapped_cycles(machine: Machine, mapping: ConvMapping, stripes: int) -> float:
    """Cycles of the array for a convolution in so many stripes, each of which fills L1 again."""
    if stripes == 1:
        table, place = entry(machine, mapping.shape, mapping.configuration)
        return float(table.cycles[place])
    block = mapping.largest
    busy = block_cycles(machine, mapping, block, ceil_div(mapping.shape.oy, stripes))
    filled = int(fill_cycles(machine, block.channels * block.inputs * mapping.shape.taps))
    return float(max(busy, filled) * len(mapping.blocks) * stripes)
