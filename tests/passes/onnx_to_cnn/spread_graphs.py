"""Graphs of operators whose operands are repeated or taken together: broadcasting, reductions, slopes per channel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.passes.onnx_to_cnn.graphs import CASES, Graph, chain, conv

SPREAD = {
    "row": ((1, 8, 6, 5), (1, 8, 1, 5)), "column": ((1, 8, 6, 5), (1, 8, 6, 1)), "plane": ((1, 8, 6, 5), (1, 1, 6, 5)),
    "number": ((1, 8, 6, 5), (1, 1, 1, 1)), "line": ((1, 8, 6, 5), (1, 1, 6, 1)), "outer": ((1, 8, 6, 1), (1, 1, 6, 5)),
    "first": ((1, 1, 6, 1), (1, 8, 6, 5)),
}  # fmt: skip
"""Shapes of two operands that ONNX repeats to one."""


def _spread(kind: str, shapes: Sequence[Sequence[int]], g: Graph) -> None:
    """Computed operands, in the usual order of memory and in another; then operands that the host brings."""
    computed: list[str] = []
    for shape in shapes:
        x = g.input(*shape)
        computed.append(g.requantised(g.node("LeakyRelu", x)))
    g.output(g.node(kind, *computed))
    turned = [g.node("Transpose", x, perm=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2])
              for x, shape in zip(computed, shapes, strict=True)]  # fmt: skip
    g.output(g.node(kind, *turned))
    g.output(g.node(kind, *(g.input(*shape) for shape in shapes)))


REDUCED = {"columns": [3], "channels": [1], "mixed": [1, 3], "all": [0, 1, 2, 3]}
"""Axes that a reduction takes together."""


def _reduced(kind: str, axes: Sequence[int], g: Graph) -> None:
    """Kept or dropped, and in the other memory order too."""
    x = g.requantised(conv(g, g.input(1, 8, 6, 5), 7, 8, (1, 1)))
    for keep, permutation in ((1, [0, 1, 2, 3]), (0, [0, 3, 1, 2])):
        turned = g.node("Transpose", x, perm=permutation)
        operands, attributes = [turned], {"axes": list(axes)}
        if kind == "ReduceSum":  # of opset 13
            operands, attributes = [turned, g.constant(np.asarray(axes))], {}
        g.output(g.node(kind, *operands, keepdims=keep, **attributes))


LONG: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "window": ((1, 1, 1, 700), (5, 1, 1, 256), {"strides": [1, 64]}),
    "odd_window": ((1, 2, 1, 700), (3, 2, 1, 301), {"strides": [1, 6], "pads": [0, 6, 0, 5]}),
    "stride": ((1, 3, 2, 900), (4, 3, 1, 5), {"strides": [1, 300]}),
    "line": ((1, 2, 900), (4, 2, 260), {"strides": [320], "pads": [0, 100]}),
    "cut": ((1, 2, 999), (4, 2, 258), {"strides": [258]}),
}
"""Convolutions whose windows or strides are longer than 255: input, weights, attributes."""


def _long(shape: Sequence[int], weights: Sequence[int], given: dict[str, Any], g: Graph) -> None:
    zero = 5 if g.unsigned else 0
    y = g.node("Conv", g.input(*shape), g.weights(*weights, zero=zero), g.vector(weights[0]), **given)
    g.output(g.node("Relu", y))


EVERY: dict[str, Callable[[Graph], None]] = CASES | {
    "max_pool_dilated": lambda g: chain(
        g, lambda x: g.node("MaxPool", x, kernel_shape=[2, 3], dilations=[2, 1], pads=[1, 0, 0, 1], strides=[1, 1])),
    "max_pool_dilated_strided": lambda g: chain(
        g, lambda x: g.node("MaxPool", x, kernel_shape=[3, 2], dilations=[2, 3], strides=[3, 2], pads=[2, 1, 1, 1]),
        shape=(1, 8, 12, 13)),
    **{f"conv_long_{name}": functools.partial(_long, *given) for name, given in LONG.items()},
    **{f"add_{name}": functools.partial(_spread, "Add", shapes) for name, shapes in SPREAD.items()},
    "sub_tokens": functools.partial(_spread, "Sub", ((1, 7, 24), (1, 7, 1))),
    "sub_from_row": functools.partial(_spread, "Sub", ((1, 1, 1, 5), (1, 8, 6, 5))),
    "mul_outer": functools.partial(_spread, "Mul", SPREAD["outer"]),
    "max_plane": functools.partial(_spread, "Max", SPREAD["plane"]),
    "min_number": functools.partial(_spread, "Min", ((1, 1, 1, 1), (1, 8, 6, 5))),
    **{f"reduce_mean_{name}": functools.partial(_reduced, "ReduceMean", axes) for name, axes in REDUCED.items()},
    **{f"reduce_max_{name}": functools.partial(_reduced, "ReduceMax", axes) for name, axes in REDUCED.items()},
    "reduce_mean_tokens": lambda g: chain(g, lambda x: g.node("ReduceMean", x, axes=[-1]), shape=(1, 7, 24)),
    "reduce_mean_of_one": lambda g: chain(
        g, lambda x: g.node("ReduceMean", x, axes=[2], keepdims=0), lambda x: g.node("Relu", x), shape=(1, 8, 1, 5)),
    "reduce_sum_space": functools.partial(_reduced, "ReduceSum", [2, 3]),
    "reduce_sum_channels": functools.partial(_reduced, "ReduceSum", [1]),
    "reduce_sum_all": functools.partial(_reduced, "ReduceSum", [0, 1, 2, 3]),
    "reduce_min_space": functools.partial(_reduced, "ReduceMin", [2, 3]),
    "reduce_min_all": functools.partial(_reduced, "ReduceMin", [1, 2, 3]),
    "reduce_max_behind_conv": lambda g: chain(
        g, lambda x: conv(g, x, 7, 8, (3, 3)), lambda y: g.node("ReduceMax", y, axes=[1], keepdims=1),
        lambda y: g.node("Relu", y)),
    "reduce_max_long": lambda g: chain(
        g, lambda x: g.node("ReduceMax", x, axes=[2, 3]), shape=(1, 4, 3, 301)),
    "global_max_pool": lambda g: chain(g, lambda x: g.node("GlobalMaxPool", x)),
    "prelu_channels": lambda g: chain(g, lambda x: g.node("PRelu", x, g.vector(8, 1, 1, low=0, high=0.9))),
    "prelu_steep": lambda g: chain(g, lambda x: g.node("PRelu", x, g.vector(8, 1, 1, low=1.1, high=2.5))),
    "prelu_mixed": lambda g: chain(
        g, lambda x: g.node("PRelu", x, g.vector(8, 1, 1, low=-2, high=2)), shape=(1, 8, 6, 40)),
    "prelu_rows": lambda g: chain(
        g, lambda x: g.requantised(conv(g, x, 8, 8, (1, 1))), lambda x: g.node("PRelu", x, g.vector(6, 1))),
}  # fmt: skip
"""All operator groups by name."""


def case(name: str) -> Graph:
    """A graph by name; ``u:`` in front makes it uint8."""
    graph = Graph(len(name), name.startswith("u:"))
    EVERY[name.removeprefix("u:")](graph)
    return graph
