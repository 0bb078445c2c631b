"""The least time that the laws allow for a layer, however it is cut, ordered or configured.

A convolution is any set of ``conv`` passes that together meet every real product once: over groups, outputs, inputs,
rows, columns and kernel taps, each pass in a configuration of its own. A pass takes its overhead and its busiest
stream, so a layer takes no less than the passes' overheads, plus the larger of what its products and inputs cost at the
best rate any configuration has for them, and what its outputs cost. docs/bounds.md has the proof; a property test holds
it against every way of cutting small layers.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine.description import Configuration, Machine
from sim.machine.laws import FLOAT, GRANULE, ceil_div, channel_bytes
from sim.machine.operations import operation

Ints = npt.NDArray[np.int64]

_SAFE = 1 - 1e-9
"""Rates are float64: a bound is taken a little lower than they say."""

_BLOCK = 9
"""Taps of the 3 × 3 kernels that Winograd computes with 4 products per output."""


@dataclass(frozen=True)
class WindowAxis:
    """One axis of a sliding window: outputs, kernel, stride, dilation, padding before, size of the input."""

    outputs: int
    kernel: int
    stride: int
    dilation: int
    pad: int
    size: int

    def real(self) -> dict[int, int]:
        """How many outputs there are by the number of taps that meet a real input."""
        where = np.arange(self.outputs)[:, None] * self.stride - self.pad
        where = where + np.arange(self.kernel)[None, :] * self.dilation
        counts = ((where >= 0) & (where < self.size)).sum(axis=1)
        return {int(taps): int(outputs) for taps, outputs in zip(*np.unique(counts, return_counts=True), strict=True)}

    def phase(self, taps: int) -> int:
        """The most of so many consecutive taps that Winograd can take together: those a multiple of a stride apart."""
        return ceil_div(taps, self.stride // math.gcd(self.stride, self.dilation))


@dataclass(frozen=True)
class ConvSizes:
    """A layer's sizes: outputs and inputs are channels of one group; ``winograd`` whether its weights allow it,
    ``is_float`` whether its result is float32."""

    groups: int
    outputs: int
    inputs: int
    rows: WindowAxis
    columns: WindowAxis
    winograd: bool
    is_float: bool = False

    @property
    def weights(self) -> int:
        return self.groups * self.outputs * self.inputs * self.rows.kernel * self.columns.kernel


@functools.lru_cache(maxsize=8)
def _configurations(machine: Machine) -> tuple[Configuration, ...]:
    """Those among which the best rate is: what the machine lists, or all of the most lanes."""
    if machine.configurations:
        return machine.configurations
    lanes = 1 << (machine.array.lanes.bit_length() - 1)
    powers = [1 << i for i in range(lanes.bit_length())]
    algorithms = ("direct",) if machine.array.winograd == "none" else ("direct", "winograd")
    return tuple(
        Configuration(algorithm, g, k, r, lanes // (g * k * r))
        for algorithm, g, k, r in itertools.product(algorithms, powers, powers, powers)
        if g * k * r <= lanes
    )


@functools.lru_cache(maxsize=1024)
def convolution(machine: Machine, layer: ConvSizes) -> int:
    """The least cycles of the array for a convolution."""
    choices = _configurations(machine)
    g, k, r, p = (np.array([getattr(c, name) for c in choices], np.int64) for name in "gkrp")
    winograd = np.array([c.algorithm == "winograd" for c in choices])
    if not layer.winograd:
        g, k, r, p = (column[~winograd] for column in (g, k, r, p))
        winograd = winograd[~winograd]
    if not len(g):
        return 0
    g, k = np.minimum(g, layer.groups), np.minimum(k, layer.outputs)
    p = np.minimum(p, layer.rows.outputs * layer.columns.outputs)
    word = np.maximum(layer.inputs, GRANULE / g)
    total = 0.0
    for (fy, rows), (fx, columns) in itertools.product(layer.rows.real().items(), layer.columns.real().items()):
        if fy * fx == 0:
            continue
        taps = layer.rows.phase(fy) * layer.columns.phase(fx)
        reduction = layer.inputs * np.where(winograd | (not machine.array.flatten), 1, fy * fx)
        lanes = g * k * np.minimum(r, reduction) * p
        products = layer.groups * layer.outputs * layer.inputs * fy * fx / lanes
        step = 1 if layer.columns.dilation > 1 else min(layer.columns.stride, fx)
        read = layer.outputs / k * layer.groups * word * fy * step
        block = min(_BLOCK, taps)
        products = np.where(winograd, products * 4 / block, products)
        read = np.where(winograd, layer.outputs / k * layer.groups * word * fy * fx * 2 / block, read)
        cost = np.maximum(products, read / machine.streams.input)
        total += rows * columns * float(cost[~winograd | (taps > 4)].min(initial=math.inf))
    pixels = layer.rows.outputs * layer.columns.outputs
    run = layer.groups * layer.outputs * int(channel_bytes(FLOAT if layer.is_float else 1))
    written = pixels * GRANULE * ceil_div(run, GRANULE) / machine.streams.output
    passes = ceil_div(layer.weights, machine.array.half_words * machine.array.lanes)
    return int(machine.array.conv_overhead * passes + math.ceil(max(total, written) * _SAFE))


def vector(
    machine: Machine, kind: str, oy: int, ox: int, channels: int, rows: WindowAxis | None, columns: WindowAxis | None
) -> int:
    """The least cycles of the vector unit for an operation; windows are given for those that have them."""
    run = GRANULE * ceil_div(channels, GRANULE)
    elements = oy * ox * run
    if operation(kind).reads == "window" and rows is not None and columns is not None:
        seen = sum(taps * count for taps, count in rows.real().items())
        elements = max(
            elements, run * seen * sum(min(columns.stride, taps) * count for taps, count in columns.real().items())
        )
    elif operation(kind).reads == "image" and rows is not None and columns is not None:
        elements = max(elements, run * rows.size * columns.size)
    return machine.streams.vector_overhead + ceil_div(elements, machine.streams.vector)
