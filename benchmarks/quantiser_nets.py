"""Four small float networks for quantisers to write, one per way in which networks are made today.

Input float32 [1, 3, 32, 32], seeded weights: ``res`` residual blocks, ``mb2`` inverted residuals with Relu6, ``det`` a
detector with SiLU, concatenations, upsampling and two float heads, ``se`` squeeze-excite with hard-swish.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
from net_graph import GraphWriter
from net_weights import materialise

SIDE = 32
EXAMPLES = 16
"""Samples that quantisers calibrate on."""


def _residual(g: GraphWriter) -> onnx.ModelProto:
    x = g.max_pool(g.conv(g.input(3, SIDE, SIDE), 16, 3), 2, 2)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        skip = x if stride == 1 else g.conv(x, channels, 1, stride, activation=None)
        y = g.conv(g.conv(x, channels, 3, stride), channels, 3, activation=None)
        x = g.activate(g.add(y, skip), "relu")
    return g.finish(g.classifier(x, 10))


def _inverted(g: GraphWriter, x: str, wide: int, channels: int, stride: int) -> str:
    y = g.conv(x, wide, 1, activation="relu6")
    y = g.conv(y, wide, 3, stride, group=wide, activation="relu6")
    y = g.conv(y, channels, 1, activation=None)
    return g.add(y, x) if g.shapes[y] == g.shapes[x] else y


def _mobile(g: GraphWriter) -> onnx.ModelProto:
    x = g.conv(g.input(3, SIDE, SIDE), 16, 3, 2, activation="relu6")
    for wide, channels, stride in ((48, 24, 2), (72, 24, 1), (96, 40, 2)):
        x = _inverted(g, x, wide, channels, stride)
    return g.finish(g.classifier(g.conv(x, 96, 1, activation="relu6"), 10))


def _detector(g: GraphWriter) -> onnx.ModelProto:
    x = g.conv(g.conv(g.input(3, SIDE, SIDE), 16, 3, 2, activation="silu"), 32, 3, activation="silu")
    fine = g.concat(g.conv(x, 16, 1, activation="silu"), g.conv(x, 16, 3, activation="silu"))
    coarse = g.conv(fine, 48, 3, 2, activation="silu")
    joined = g.concat(g.upsample(g.conv(coarse, 16, 1, activation="silu")), fine)
    heads = [g.conv(g.conv(y, 24, 3, activation="silu"), 18, 1, activation=None) for y in (joined, coarse)]
    return g.finish(*heads)


def _excited(g: GraphWriter) -> onnx.ModelProto:
    x = g.conv(g.input(3, SIDE, SIDE), 16, 3, 2, activation="hardswish")
    for wide, channels, stride in ((48, 24, 2), (72, 24, 1)):
        y = g.conv(g.conv(x, wide, 1, activation="hardswish"), wide, 5, stride, group=wide, activation="hardswish")
        y = g.conv(g.squeeze(y, 16, "relu", "hardsigmoid"), channels, 1, activation=None)
        x = g.add(y, x) if g.shapes[y] == g.shapes[x] else y
    return g.finish(g.classifier(g.conv(x, 96, 1, activation="hardswish"), 10))


NETS: dict[str, Callable[[GraphWriter], onnx.ModelProto]] = {
    "res": _residual, "mb2": _mobile, "det": _detector, "se": _excited,
}  # fmt: skip


def built(name: str) -> onnx.ModelProto:
    """A network with its weights."""
    return materialise(NETS[name](GraphWriter(name)), name)


def examples(seed: int, count: int = EXAMPLES) -> npt.NDArray[np.float32]:
    """Noise, samples first."""
    return np.random.default_rng(seed).standard_normal((count, 1, 3, SIDE, SIDE), np.float32)
