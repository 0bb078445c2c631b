"""How one convolution is run, as a value: its shape, the configuration of the array, and the loop nest around it.

A nest is data: loops from the outermost to the innermost, each over one axis in steps of a size. Everything that walks
a convolution (its blocks of weights, its passes, what it costs) walks this nest, so another order or another axis is
another value and not another program. Every convolution has the same order today: rows (and columns, where a row is
too much) as accumulators bound a pass, then groups, output channels and input channels. The nest makes one box of the
output; which boxes there are, and whether the weights of one stay for the next, is its group's to say (``stripes``).
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dialects import cnn
from dialects.cnn_attributes import FLOAT_BYTES
from passes.planner.network import Layer
from sim.machine.description import Configuration
from sim.machine.isa import PARAMETER_BYTES
from sim.machine.laws import ceil_div

Span = tuple[int, int]
"""Positions [first, end) along one axis."""


@dataclass(frozen=True)
class Box:
    """Rows, columns and channels of a layer's output."""

    rows: Span
    columns: Span
    channels: Span


def cuts(begin: int, stop: int, pieces: int, multiple: int = 1) -> list[Span]:
    """[first, end) of about equal pieces of begin … stop, each but the last a multiple of ``multiple`` long."""
    size = max(1, ceil_div(stop - begin, max(1, pieces)))
    size = ceil_div(size, multiple) * multiple
    return [(first, min(first + size, stop)) for first in range(begin, stop, size)]


@dataclass(frozen=True)
class ConvShape:
    """The numbers of a convolution that its cost depends on; outputs and inputs are channels of one group.

    ``winograd`` says whether F(2x2, 3x3) is exact for it, ``residual`` whether it adds one, ``is_float`` whether its
    result is float32.
    """

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
    residual: bool = False
    is_float: bool = False

    @property
    def channel_bytes(self) -> int:
        """Bytes of one channel of an output pixel."""
        return FLOAT_BYTES if self.is_float else 1

    @property
    def taps(self) -> int:
        return self.fy * self.fx

    @property
    def weight_bytes(self) -> int:
        return self.groups * self.outputs * self.inputs * self.taps

    @property
    def parameter_bytes(self) -> int:
        """Bias and scale of every output channel."""
        return PARAMETER_BYTES * self.groups * self.outputs

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
    outputs = op.weights.shape[0] // groups
    allowed = (fy, fx, sy, sx, dy, dx) == (3, 3, 1, 1, 1, 1) and _winograd_is_exact(op)
    oy, ox, residual = layer.output.height, layer.output.width, op.residual is not None
    return ConvShape(groups, outputs, inputs, fy, fx, sy, sx, dy, dx, oy, ox, allowed, residual, op.is_float)


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


class Axis(enum.Enum):
    """What a loop of a nest runs over."""

    ROW = "output rows"
    COLUMN = "output columns"
    GROUP = "groups"
    OUTPUT = "output channels of a group"
    INPUT = "input channels of a group"


@dataclass(frozen=True)
class Loop:
    """A loop over one axis in steps of ``size``.

    With ``multiple`` the steps are about equal instead, none longer than ``size``, each but the last a multiple of it.
    With ``taper`` the last of them is cut in halves again and again, down to pieces of so much.
    """

    axis: Axis
    size: int
    multiple: int = 0
    taper: int = 0

    def steps(self, span: Span) -> list[Span]:
        """The steps over a span, in order."""
        begin, stop = span
        if self.multiple:
            return cuts(begin, stop, ceil_div(stop - begin, self.size), self.multiple)
        found = [(first, min(first + self.size, stop)) for first in range(begin, stop, self.size)]
        while self.taper and found[-1][1] - found[-1][0] > self.taper:
            first, end = found.pop()
            found += cuts(first, end, 2, self.taper)
        return found


def walk(loops: Sequence[Loop], spans: dict[Axis, Span]) -> Iterator[dict[Axis, Span]]:
    """The spans that each step of a nest covers, in the order in which it runs."""
    if not loops:
        yield spans
        return
    for step in loops[0].steps(spans[loops[0].axis]):
        yield from walk(loops[1:], {**spans, loops[0].axis: step})


@dataclass(frozen=True)
class Block:
    """Weights that one fill brings into a half of L1: ``groups`` from ``group`` on, of each ``outputs`` × ``inputs``.

    Where it has fewer than all outputs or inputs of a group, it has one group.
    """

    group: int
    groups: int
    output: int
    outputs: int
    input: int
    inputs: int

    @property
    def channels(self) -> int:
        """Output channels in all."""
        return self.groups * self.outputs

    def within(self, shape: ConvShape, channels: Span) -> bool:
        """Whether its output channels are some of these."""
        first = self.first_channel(shape)
        return channels[0] <= first and first + self.channels <= channels[1]

    def first_channel(self, shape: ConvShape) -> int:
        """Its first output channel, counted over all groups."""
        return self.group * shape.outputs + self.output


@dataclass(frozen=True)
class ConvMapping:
    """A convolution of ``shape`` in a configuration: ``loops`` from the outermost on; a step is a fill and its passes.

    ``loops`` name each axis at most once; an axis without a loop is covered whole by every step.
    """

    shape: ConvShape
    configuration: Configuration
    loops: tuple[Loop, ...]

    def size(self, axis: Axis) -> int:
        """The most one step covers of an axis."""
        span = self._spans[axis]
        return min([span[1], *(loop.size for loop in self.loops if loop.axis is axis)])

    @property
    def _spans(self) -> dict[Axis, Span]:
        s = self.shape
        sizes = (s.oy, s.ox, s.groups, s.outputs, s.inputs)
        axes = (Axis.ROW, Axis.COLUMN, Axis.GROUP, Axis.OUTPUT, Axis.INPUT)
        return {axis: (0, size) for axis, size in zip(axes, sizes, strict=True)}

    @functools.cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of its weights, each once, in the order in which they are first used."""
        loops = [loop for loop in self.loops if loop.axis not in (Axis.ROW, Axis.COLUMN)]
        return tuple(_block(spans) for spans in walk(loops, self._spans))

    @functools.cached_property
    def largest(self) -> Block:
        """The first block, which no other exceeds."""
        return self.blocks[0]

    @property
    def rows_together(self) -> int:
        """Output rows that the array makes together."""
        return 2 if self.configuration.algorithm == "winograd" else 1

    @property
    def is_split(self) -> bool:
        """Whether a reduction takes several passes, with the accumulators holding what is between them."""
        return self.size(Axis.INPUT) < self.shape.inputs

    @property
    def is_tapered(self) -> bool:
        """Whether the last of its weights come in smaller and smaller blocks."""
        return any(loop.taper for loop in self.loops)

    def tapered(self, smallest: int) -> ConvMapping:
        """The same with its last output channels in blocks of half the size each, down to ``smallest`` channels: when
        the last byte of a network has come, little is left to do with it."""
        if self.shape.groups > 1 or self.is_split:
            return self
        loops = [dataclasses.replace(loop, taper=smallest) if loop.axis is Axis.OUTPUT else loop for loop in self.loops]
        return dataclasses.replace(self, loops=tuple(loops))

    def counted(self, box: Box) -> Box:
        """A box of the output tensor, its channels counted in those of the convolution: floats are bytes there."""
        size = self.shape.channel_bytes
        return Box(box.rows, box.columns, (box.channels[0] // size, box.channels[1] // size))

    def steps(self, box: Box) -> Iterator[tuple[Span, Span, Block]]:
        """What the nest does to make a box of the output: rows, columns and block of every step, in order.

        The channels of the box begin and end with a block.
        """
        for spans in walk(self.loops, {**self._spans, Axis.ROW: box.rows, Axis.COLUMN: box.columns}):
            block = _block(spans)
            if block.within(self.shape, box.channels):
                yield spans[Axis.ROW], spans[Axis.COLUMN], block


def _block(spans: dict[Axis, Span]) -> Block:
    (group, groups), (output, outputs), (first, inputs) = (
        (span[0], span[1] - span[0]) for span in (spans[Axis.GROUP], spans[Axis.OUTPUT], spans[Axis.INPUT])
    )
    return Block(group, groups, output, outputs, first, inputs)
