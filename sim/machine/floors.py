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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.machine.description import Configuration, Machine
from sim.machine.laws import GRANULE, ceil_div
from sim.machine.operations import operation

Ints = npt.NDArray[np.int64]

_SAFE = 1 - 1e-9
"""Rates are float64: a bound is taken a little lower than they say."""

_NEVER = 1e15
"""Cycles of a configuration that cannot compute a layer: more than any plan takes, and exact in float64."""

_PAIRED = 256
"""The most configurations of which all pairs are tried (65,536 of them); beyond, two count as any number."""

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

    def apart(self, taps: int) -> int:
        """Of so many consecutive taps, how many no two of which Winograd can take together: it takes taps that are a
        multiple of a stride apart."""
        return min(taps, self.stride // math.gcd(self.stride, self.dilation))


@dataclass(frozen=True)
class ConvSizes:
    """A layer's sizes: outputs and inputs are channels of one group; ``winograd`` whether its weights allow it.

    A float32 result counts as codes, a quarter of its bytes: a model does not say where its quantisers end.
    """

    groups: int
    outputs: int
    inputs: int
    rows: WindowAxis
    columns: WindowAxis
    winograd: bool

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


@dataclass(frozen=True)
class _Costs:
    """A convolution's share of the array: float64[border classes, configurations], the cycles that all pixels of a
    class take at the best rate of a configuration; cycles that its outputs take; cycles of its passes' overheads."""

    pixels: npt.NDArray[np.float64]
    written: float
    overheads: int

    def least(self, reached: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Cycles, when all pixels together take ``reached``."""
        return self.overheads + np.ceil(np.maximum(reached, self.written) * _SAFE).astype(np.int64)


@functools.lru_cache(maxsize=8)
def _columns(machine: Machine) -> Ints:
    """Winograd or not, g, k, r and p of all configurations: int64[5, configurations]."""
    rows = [(c.algorithm == "winograd", c.g, c.k, c.r, c.p) for c in _configurations(machine)]
    return np.array(rows, np.int64).T


@functools.lru_cache(maxsize=256)
def _costs(machine: Machine, layer: ConvSizes) -> _Costs:
    """A convolution in all configurations."""
    flags, g, k, r, p = _columns(machine)
    winograd = flags.astype(bool)
    g, k = np.minimum(g, layer.groups), np.minimum(k, layer.outputs)
    p = np.minimum(p, layer.rows.outputs * layer.columns.outputs)
    word = np.maximum(layer.inputs, GRANULE / g)
    classes: list[npt.NDArray[np.float64]] = []
    for (fy, rows), (fx, columns) in itertools.product(layer.rows.real().items(), layer.columns.real().items()):
        if fy * fx == 0:
            continue
        reduction = layer.inputs * np.where(winograd | (not machine.array.flatten), 1, fy * fx)
        lanes = g * k * np.minimum(r, reduction) * p
        products = layer.groups * layer.outputs * layer.inputs * fy * fx / lanes
        step = 1 if layer.columns.dilation > 1 else min(layer.columns.stride, fx)
        read = layer.outputs / k * layer.groups * word * fy * step
        apart = layer.rows.apart(fy) * layer.columns.apart(fx)
        tiles = max(
            fy * fx / min(_BLOCK, ceil_div(fy, layer.rows.apart(fy)) * ceil_div(fx, layer.columns.apart(fx))), apart
        )
        products = np.where(winograd, products * 4 * tiles / (fy * fx), products)
        read = np.where(winograd, layer.outputs / k * layer.groups * word * 2 * tiles, read)
        cost = np.maximum(products, read / machine.streams.input) * rows * columns
        classes.append(np.where(winograd & (not layer.winograd), _NEVER, cost))
    pixels = layer.rows.outputs * layer.columns.outputs
    written = pixels * GRANULE * ceil_div(layer.groups * layer.outputs, GRANULE) / machine.streams.output
    passes = ceil_div(layer.weights, machine.array.half_words * machine.array.lanes)
    return _Costs(np.array(classes).reshape(-1, len(winograd)), written, int(machine.array.conv_overhead * passes))


@functools.lru_cache(maxsize=1024)
def convolution(machine: Machine, layer: ConvSizes) -> int:
    """The least cycles of the array for a convolution, each of its passes in a configuration of its own."""
    costs = _costs(machine, layer)
    found = int(costs.least(costs.pixels.min(axis=1).sum()))
    return found if found < _NEVER else 0


def by_images(machine: Machine, layers: Sequence[ConvSizes]) -> tuple[int, int, int]:
    """The least cycles of the array for these convolutions with one configuration, with two, and with any number.

    Where one or two cannot compute them all, and where too many are worth a pair, it is what any number takes.
    """
    costs = [_costs(machine, layer) for layer in layers]
    if not costs:
        return 0, 0, 0
    whole = sum(convolution(machine, layer) for layer in layers)
    useful = _undominated(np.concatenate([each.pixels for each in costs]))
    one = int(np.array([each.least(each.pixels[:, useful].sum(axis=0)) for each in costs]).sum(axis=0).min())
    two = whole
    if len(useful) <= _PAIRED:
        pairs = np.zeros((len(useful), len(useful)), np.int64)
        for each in costs:
            pixels = each.pixels[:, useful]
            pairs += each.least(np.minimum(pixels[:, :, None], pixels[:, None, :]).sum(axis=0))
        two = int(pairs.min())
    two = two if two < _NEVER else whole
    return (one if one < _NEVER else two), two, whole


def _undominated(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Of float64[classes, configurations] those that no other is at least as good as everywhere."""
    kept: list[int] = []
    rows = np.unique(costs, axis=0)
    for index in np.argsort(rows.sum(axis=0), kind="stable").tolist():
        if not (rows[:, kept] <= rows[:, index, None]).all(axis=0).any():
            kept.append(index)
    return np.array(kept, np.int64)


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
