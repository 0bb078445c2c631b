"""What each configuration would cost each convolution, by the machine's law, in bulk.

A convolution is split into *blocks*: as many weights as one half of L1 holds. Its cost in a configuration is the sum
over its blocks of the longer of the pass and the fill of the next block, because fills of the idle half overlap.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects import cnn
from passes.planner.network import Layer
from sim.machine import laws
from sim.machine.description import Configuration, Machine
from sim.machine.laws import ceil_div

BLOCK = 80 * 1024
"""A block has at most about this many bytes of weights, so that work starts while the next ones still arrive."""

CHUNK = 96 * 1024
"""Blocks of weights share a room up to this many bytes: small enough to leave early."""

SHARE = 8
"""Neither is larger than this part of SRAM."""

NEVER = 1 << 50
"""Cost of what cannot be done."""


def block_bytes(machine: Machine) -> int:
    """About the most bytes of weights in a block."""
    return min(BLOCK, machine.sram.bytes // SHARE)


def chunk_bytes(machine: Machine) -> int:
    """About the most bytes of weights in a room of several blocks."""
    return min(CHUNK, machine.sram.bytes // SHARE)


@dataclass(frozen=True)
class ConvShape:
    """The numbers of a convolution that its cost depends on."""

    groups: int
    outputs: int
    inputs: int
    fy: int
    fx: int
    sy: int
    sx: int
    dy: int
    dx: int
    oy: int
    ox: int
    winograd: bool

    @property
    def weight_bytes(self) -> int:
        return self.groups * self.outputs * self.inputs * self.fy * self.fx

    def macs(self, height: int, width: int, top: int, left: int) -> int:
        """Multiply-accumulates whose input is real, for an input of height × width padded by top and left."""
        rows = _taps(self.oy, self.fy, self.sy, self.dy, top, height)
        columns = _taps(self.ox, self.fx, self.sx, self.dx, left, width)
        return rows * columns * self.groups * self.outputs * self.inputs


def _taps(outputs: int, kernel: int, stride: int, dilation: int, pad: int, size: int) -> int:
    """Pairs of output position and kernel tap that meet a real input, along one axis."""
    where = np.arange(outputs)[:, None] * stride - pad + np.arange(kernel)[None, :] * dilation
    return int(((where >= 0) & (where < size)).sum())


def conv_shape(layer: Layer) -> ConvShape:
    """The shape of a convolution layer; Winograd is allowed only where it is proven exact."""
    op = layer.conv
    (fy, fx), _, (sy, sx), (dy, dx) = layer.window.values
    groups = layer.groups
    inputs = layer.inputs[0].channels // groups
    outputs = layer.output.channels // groups
    allowed = (fy, fx, sy, sx, dy, dx) == (3, 3, 1, 1, 1, 1) and _winograd_is_exact(op)
    return ConvShape(groups, outputs, inputs, fy, fx, sy, sx, dy, dx, layer.output.height, layer.output.width, allowed)


def weights_of(op: cnn.Conv2dOp | cnn.FullyConnectedOp) -> npt.NDArray[np.int8]:
    """Weights KxRxSxC as int8."""
    return np.frombuffer(op.weights.data.buffer(), np.int8).reshape(op.weights.shape)


def _winograd_is_exact(op: cnn.Conv2dOp | cnn.FullyConnectedOp) -> bool:
    """Whether four times the convolution provably fits int32 in every channel (and weights have zero point 0)."""
    if op.weight_zero.value.data:
        return False
    count = op.weights.data.size // op.weights.shape[0]
    if 4 * 128 * 128 * count < 2**31:
        return True
    if op.weights.data.data is None:
        return False
    most = np.abs(weights_of(op).astype(np.int32)).reshape(op.weights.shape[0], -1).sum(axis=1).max()
    return int(most) * 128 * 4 < 2**31


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


@dataclass(frozen=True)
class Blocking:
    """How a convolution is cut in a configuration.

    ``groups``, ``outputs`` (per group) and ``inputs`` (per group) of one block; ``rows`` the most output rows a pass
    may have because its accumulators must hold them (0: no limit). Where a block has fewer than all outputs or inputs
    of a group, it has one group.
    """

    groups: int
    outputs: int
    inputs: int
    rows: int


@dataclass(frozen=True, eq=False)
class Table:
    """Costs of one convolution shape in n configurations: cycles int64[n] and the blocking numbers behind them."""

    cycles: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    inputs: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def blocking(self, index: int) -> Blocking:
        return Blocking(*(int(column[index]) for column in (self.groups, self.outputs, self.inputs, self.rows)))


@functools.lru_cache(maxsize=4096)
def evaluate(machine: Machine, shape: ConvShape, choices: tuple[Configuration, ...]) -> Table:
    """Cycles of a convolution in each of the given configurations, NEVER where it does not fit."""
    s = shape
    columns: Any = np.array([(c.algorithm == "winograd", c.g, c.k, c.r, c.p) for c in choices], np.int64).reshape(-1, 5)
    wino, g, k, r, p = columns.T
    limit = machine.array.half_words
    taps_first = (s.fy, s.fx)
    whole = laws.steps(machine, wino, r, s.inputs, *taps_first)
    k_blocks = ceil_div(s.outputs, k)
    # One pass over the whole reduction where it fits a half; else the reduction is cut too.
    fits = whole <= limit
    if machine.array.flatten:
        deepest = np.where(wino, (limit // 16) * r, limit * r // (s.fy * s.fx))
    else:
        deepest = np.where(wino, (limit // 16) * r, (limit // (s.fy * s.fx)) * r)
    passes = np.where(fits, 1, ceil_div(s.inputs, np.maximum(deepest, 1)))
    inputs = np.where(fits, s.inputs, np.minimum(deepest, r * ceil_div(ceil_div(s.inputs, passes), r)))
    passes = np.where(fits, 1, ceil_div(s.inputs, np.maximum(inputs, 1)))
    step = np.maximum(laws.steps(machine, wino, r, np.maximum(inputs, 1), *taps_first), 1)
    per_half = np.maximum(limit // step, 1)
    many_groups = fits & (k_blocks * whole <= limit) & (s.groups > 1)
    light = np.maximum(block_bytes(machine) // np.maximum(k * inputs * s.fy * s.fx, 1), 1)
    outputs = np.where(
        many_groups, s.outputs, np.minimum(s.outputs, np.where(fits, np.minimum(per_half, light), 1) * k)
    )
    light = np.maximum(block_bytes(machine) // np.maximum(g * s.outputs * inputs * s.fy * s.fx, 1), 1)
    groups = np.where(
        many_groups, np.minimum(s.groups, np.minimum(limit // np.maximum(k_blocks * whole, 1), light) * g), 1
    )
    pixels_per_row = np.where(wino, 16 * ceil_div(s.ox, 2) / 2, s.ox)
    rows = np.where(passes == 1, 0, machine.array.accumulators // np.maximum(outputs * pixels_per_row, 1))
    rows = np.where((passes > 1) & (wino == 1), rows // 2 * 2, rows).astype(np.int64)
    row_tiles = np.where(passes == 1, 1, ceil_div(s.oy, np.maximum(np.minimum(rows, s.oy), 1)))
    oy = np.where(passes == 1, s.oy, np.minimum(np.maximum(rows, 1), s.oy))

    def block_cycles(block_groups: Any, block_outputs: Any) -> Any:
        cost = laws.conv(
            machine,
            winograd=wino,
            g=g,
            k=k,
            r=r,
            p=p,
            groups=block_groups,
            outputs=block_outputs,
            inputs=np.maximum(inputs, 1),
            fy=s.fy,
            fx=s.fx,
            sx=s.sx,
            dx=s.dx,
            oy=oy,
            ox=s.ox,
            last=1,
        )
        filled = laws.fill(machine, block_groups * block_outputs * inputs * s.fy * s.fx)
        return np.maximum(cost.busy, filled) * passes * row_tiles

    group_count, group_rest = s.groups // groups, s.groups % groups
    output_count, output_rest = s.outputs // outputs, s.outputs % outputs
    cycles = group_count * output_count * block_cycles(groups, outputs)
    cycles = cycles + np.where(group_rest > 0, block_cycles(np.maximum(group_rest, 1), outputs), 0) * output_count
    cycles = cycles + group_count * np.where(output_rest > 0, block_cycles(groups, np.maximum(output_rest, 1)), 0)
    never = (inputs < 1) | ((wino == 1) & (not s.winograd)) | ((passes > 1) & (rows < 1))
    cycles = np.where(never, NEVER, cycles)
    return Table(cycles, groups, outputs, inputs, rows)
