"""A hypothesis strategy for quantised models: small graphs of most operators, at the edges of what ONNX allows.

A model grows operator by operator from a pool of int8 tensors that any later operator may take, so that branches,
shared tensors and several outputs come by themselves. Scales are drawn around what a result's values would fill, from a
hundredth of it (everything saturates) to thirty times (a few codes are used), zero points up to the ends of int8.
Hypothesis draws every choice, so a failure shrinks to few operators on small tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.passes.onnx_to_cnn.graphs import Graph

Draw = Callable[[Any], Any]

MOST_OPERATORS = 6
MOST_SIDE = 12
MOST_CHANNELS = 20

FILLS = (1.0, 0.5, 2.0, 0.01, 30.0)
"""How much of the range of its codes a result fills, as a factor on the scale that would fill it."""

ZEROS = (0, -128, 127, 3, -77)

FUNCTIONS = ("Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Relu", "Elu", "Abs", "Exp")


@dataclass(frozen=True)
class Tensor:
    """A dequantised int8 tensor of the graph, batch 1; ``scale`` of its codes. ``hosted``: an operator of the host
    had a part in it, whose last bits are up to ONNX Runtime."""

    name: str
    shape: tuple[int, ...]
    scale: float
    hosted: bool = False

    @property
    def sides(self) -> tuple[int, ...]:
        return self.shape[2:]


@dataclass
class Made:
    """A model, its inputs, and whether an operator of the host is part of it."""

    graph: Graph
    hosted: bool

    def model(self) -> Any:
        return self.graph.model(14)


class _Growing:
    """A graph on its way, with the pool of tensors in it."""

    def __init__(self, draw: Draw):
        self.draw = draw
        self.graph = Graph(draw(st.integers(0, 2**16)), draw(st.booleans()))
        self.pool: list[Tensor] = []
        self.read: set[str] = set()

    def one(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def maybe(self) -> bool:
        return self.draw(st.booleans())

    def input(self, shape: tuple[int, ...]) -> Tensor:
        scale = self.one((0.05, 0.001, 1.5))
        made = Tensor(self.graph.input(*shape, scale=scale, zero=self.one(ZEROS)), shape, scale)
        self.pool.append(made)
        return made

    def take(self, fits: Callable[[Tensor], bool] = lambda _: True) -> Tensor | None:
        """A tensor of the pool, the newest first; None if none fits."""
        found = [each for each in reversed(self.pool) if fits(each)]
        if not found:
            return None
        self.read.add((made := self.one(found)).name)
        return made

    def image(self) -> Tensor | None:
        return self.take(lambda t: len(t.shape) == 4)

    def give(self, real: str, shape: tuple[int, ...], natural: float, *operands: Tensor, hosted: bool = False) -> None:
        """Quantise a result whose real values lie within about 127 times ``natural``."""
        scale = float(np.float32(max(natural, 1e-6) * self.one(FILLS)))
        name = self.graph.requantised(real, scale, self.one(ZEROS))
        self.pool.append(Tensor(name, shape, scale, hosted or any(each.hosted for each in operands)))

    def same(self, real: str, shape: tuple[int, ...], operand: Tensor) -> None:
        """A movement, requantised or not."""
        if self.maybe():
            self.pool.append(Tensor(real, shape, operand.scale, operand.hosted))
        else:
            self.give(real, shape, operand.scale, operand)

    def clipped(self, real: str) -> str:
        """A Relu or a Clip behind a result, or nothing."""
        g, kind = self.graph, self.one(("", "Relu", "Clip"))
        if kind == "Clip":
            return g.node("Clip", real, g.constant(np.float32(-0.5)), g.constant(np.float32(self.one((3, 0.1)))))
        return g.node("Relu", real) if kind else real


# ------------------------------------------------------------------------------------------------- operators


def _window(w: _Growing, size: int, most: int) -> tuple[int, int, int, int, int, int]:
    """Kernel, stride, dilation, pads before and after, and results along one axis; pads are smaller than the kernel."""
    kernel = w.number(1, min(most, size + 2))
    dilation = w.number(1, 3) if kernel > 1 else 1
    reach = (kernel - 1) * dilation + 1
    before, after = (w.number(0, min(2, kernel - 1)) for _ in range(2))
    while reach > size + before + after:
        kernel, dilation = max(1, kernel - 1), 1
        reach, before, after = kernel, min(before, kernel - 1), min(after, kernel - 1)
    stride = w.number(1, 3)
    return kernel, stride, dilation, before, after, (size + before + after - reach) // stride + 1


def _conv(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, channels = w.graph, x.shape[1]
    group = w.one([n for n in (1, channels, 2, 3, 4) if channels % n == 0])
    outputs = group * w.number(1, max(1, MOST_CHANNELS // group))
    rows, columns = (_window(w, size, 5) for size in x.sides)
    weights = g.weights(outputs, channels // group, rows[0], columns[0], zero=w.one((0, 0, 7)))
    bias = [g.vector(outputs, low=-3, high=3)] if w.maybe() else []
    y = g.node("Conv", x.name, weights, *bias, group=group, strides=[rows[1], columns[1]],
               dilations=[rows[2], columns[2]], pads=[rows[3], columns[3], rows[4], columns[4]])  # fmt: skip
    taps = channels // group * rows[0] * columns[0]
    natural = x.scale * 0.01 * 75 * taps**0.5
    if w.maybe():
        skip = [t for t in w.pool if t.shape == (1, outputs, rows[5], columns[5])]
        if skip:
            other = w.one(skip)
            w.read.add(other.name)
            y = g.requantised(w.clipped(y), natural, w.one(ZEROS))
            w.give(w.clipped(g.node("Add", y, other.name)), other.shape, natural + other.scale, x, other)
            return
    w.give(w.clipped(y), (1, outputs, rows[5], columns[5]), natural, x)


def _transposed(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, channels, outputs = w.graph, x.shape[1], w.number(1, 8)
    sides: list[tuple[int, int, int]] = []
    for size in x.sides:
        kernel, stride = w.number(1, 4), w.number(1, 3)
        pad = w.number(0, (kernel - 1) // 2)
        sides.append((kernel, stride, pad if (size - 1) * stride + kernel - 2 * pad > 0 else 0))
    shape = tuple((size - 1) * s + k - 2 * p for size, (k, s, p) in zip(x.sides, sides, strict=True))
    (kh, sh, ph), (kw, sw, pw) = sides
    if max(shape) > 3 * MOST_SIDE:
        return
    y = g.node("ConvTranspose", x.name, g.weights(channels, outputs, kh, kw, axis=1), strides=[sh, sw],
               pads=[ph, pw, ph, pw])  # fmt: skip
    w.give(w.clipped(y), (1, outputs, *shape), x.scale * 0.01 * 75 * (channels * kh * kw) ** 0.5, x)


def _pool(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    kind = w.one(("MaxPool", "AveragePool"))
    rows, columns = (_window(w, size, 4) for size in x.sides)
    given: dict[str, Any] = {"kernel_shape": [rows[0], columns[0]], "strides": [rows[1], columns[1]],
                             "pads": [rows[3], columns[3], rows[4], columns[4]]}  # fmt: skip
    if kind == "MaxPool":
        given["dilations"] = [rows[2], columns[2]]
        shape = (*x.shape[:2], rows[5], columns[5])
    else:
        given["count_include_pad"] = int(w.maybe())
        shape = (*x.shape[:2], *((size + a + b - k) // s + 1 for size, (k, s, _, a, b, _) in
                                 zip(x.sides, (rows, columns), strict=True)))  # fmt: skip
    w.give(w.graph.node(kind, x.name, **given), shape, x.scale, x)


def _whole(w: _Growing) -> None:
    x = w.image()
    if x is not None:
        y = w.graph.node("GlobalAveragePool", x.name)
        w.give(y, (*x.shape[:2], 1, 1), x.scale / 4, x)


def _pair(w: _Growing) -> None:
    x = w.take()
    if x is None:
        return
    thin = (1, x.shape[1], *(1 for _ in x.sides))
    y = w.take(lambda t: t.shape in (x.shape, thin))
    assert y is not None  # x itself fits
    kind = w.one(("Add", "Sub", "Mul", "Max", "Min"))
    natural = {"Mul": 90 * x.scale * y.scale, "Add": x.scale + y.scale, "Sub": x.scale + y.scale}
    operands = (x, y) if w.maybe() else (y, x)
    real = w.graph.node(kind, *(each.name for each in operands))
    w.give(w.clipped(real), x.shape, natural.get(kind, max(x.scale, y.scale)), x, y)


def _function(w: _Growing) -> None:
    x = w.take()
    if x is None:
        return
    kind, g = w.one((*FUNCTIONS, "SiLU")), w.graph
    y = g.node("Mul", x.name, g.node("Sigmoid", x.name)) if kind == "SiLU" else g.node(kind, x.name)
    natural = {"Sigmoid": 1 / 127, "Tanh": 1 / 127, "Exp": 0.1}.get(kind, x.scale)
    w.give(y, x.shape, natural, x)


def _factors(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, channels = w.graph, x.shape[1]
    y = g.node("Mul", x.name, g.vector(channels, 1, 1))
    w.give(w.clipped(g.node("Add", y, g.vector(1, channels, 1, 1))), x.shape, x.scale, x)


def _concat(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    axis = w.one((1, 2, 3))

    def fits(t: Tensor) -> bool:
        return len(t.shape) == 4 and all(a == b for at, (a, b) in enumerate(zip(t.shape, x.shape, strict=True))
                                         if at != axis)  # fmt: skip

    y = w.take(fits)
    assert y is not None
    shape = list(x.shape)
    shape[axis] += y.shape[axis]
    if shape[axis] > 3 * MOST_CHANNELS:
        return
    w.give(w.graph.node("Concat", x.name, y.name, axis=axis), tuple(shape), max(x.scale, y.scale), x, y)


def _slice(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, axis = w.graph, w.one((1, 2, 3))
    size = x.shape[axis]
    start, step = w.number(0, size - 1), w.number(1, 3)
    end = w.number(start + 1, size)
    constants = (g.constant(np.asarray([n])) for n in (start, end, axis, step))
    shape = list(x.shape)
    shape[axis] = -(-(end - start) // step)
    w.same(g.node("Slice", x.name, *constants), tuple(shape), x)


def _pad(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g = w.graph
    pads = [w.number(0, 2) for _ in range(4)]
    mode = w.one(("constant", "edge"))
    shape = (*x.shape[:2], x.shape[2] + pads[0] + pads[2], x.shape[3] + pads[1] + pads[3])
    ends = g.constant(np.asarray([0, 0, *pads[:2], 0, 0, *pads[2:]]))
    w.give(g.node("Pad", x.name, ends, mode=mode), shape, x.scale, x)


def _grow(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, (rows, columns) = w.graph, (w.number(1, 3) for _ in range(2))
    mode = w.one(("nearest", "linear"))
    scales = g.constant(np.asarray([1, 1, rows, columns], np.float32))
    given = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
    shape = (*x.shape[:2], x.shape[2] * rows, x.shape[3] * columns)
    if max(shape) <= 3 * MOST_SIDE:
        w.give(g.node("Resize", x.name, "", scales, mode=mode, **given), shape, x.scale, x)


def _depth(w: _Growing) -> None:
    x = w.take(lambda t: len(t.shape) == 4 and t.shape[1] % 4 == 0)
    if x is not None:
        y = w.graph.node("DepthToSpace", x.name, blocksize=2, mode=w.one(("DCR", "CRD")))
        w.same(y, (1, x.shape[1] // 4, x.shape[2] * 2, x.shape[3] * 2), x)


def _turned(w: _Growing) -> None:
    """Rows and columns, or channels and columns, change places."""
    x = w.image()
    if x is not None:
        order = w.one(([0, 1, 3, 2], [0, 3, 2, 1], [0, 2, 3, 1]))
        w.same(w.graph.node("Transpose", x.name, perm=order), tuple(x.shape[axis] for axis in order), x)


def _dense(w: _Growing) -> None:
    x = w.image()
    if x is None:
        return
    g, outputs = w.graph, w.number(1, 12)
    inputs = int(np.prod(x.shape))
    if inputs > 2000:
        return
    flat = g.node("Flatten", x.name)
    y = g.node("Gemm", flat, g.weights(outputs, inputs), g.vector(outputs), transB=1)
    w.give(w.clipped(y), (1, outputs), x.scale * 0.01 * 75 * inputs**0.5, x)


def _rows(w: _Growing) -> None:
    """A product of rows by a constant matrix."""
    x = w.image()
    if x is not None:
        g, outputs = w.graph, w.number(1, 12)
        y = g.node("MatMul", x.name, g.weights(x.shape[3], outputs, axis=1))
        w.give(w.clipped(y), (*x.shape[:3], outputs), x.scale * 0.01 * 75 * x.shape[3] ** 0.5, x)


def _softmax(w: _Growing) -> None:
    x = w.take()
    if x is not None:
        y = w.graph.node("Softmax", x.name, axis=w.one(range(1, len(x.shape))))
        w.give(y, x.shape, 1 / 127, x, hosted=True)


OPERATORS: tuple[Callable[[_Growing], None], ...] = (
    _conv, _conv, _conv, _pool, _pair, _function, _transposed, _whole, _factors, _concat, _slice, _pad, _grow, _depth,
    _turned, _dense, _rows, _softmax,
)  # fmt: skip
"""Simple and frequent ones first: hypothesis shrinks towards them."""


@st.composite
def models(draw: Draw) -> Made:
    """A model with its inputs' codes."""
    w = _Growing(draw)
    shape = (1, w.number(1, MOST_CHANNELS), w.number(1, MOST_SIDE), w.number(1, MOST_SIDE))
    w.input(shape)
    if w.maybe():
        w.input(shape)
    for _ in range(w.number(1, MOST_OPERATORS)):
        w.one(OPERATORS)(w)
    leaves = [t for t in w.pool if t.name not in w.read] or w.pool[-1:]
    for tensor in leaves:
        w.graph.outputs.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, None))
    return Made(w.graph, any(t.hosted for t in w.pool))
