"""The limits of the machine for single operations.

A rule is a function; its docstring is what the user reads behind the particulars it returns, and what the manual
prints. Limits come from the fields of the instruction table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dialects import cnn
from dialects.blobs import to_array
from dialects.meaning.kernels import machine_bias
from passes.cnn.images import batch_of, given_to, mixes
from passes.planner.movement import MOST_PIECES
from passes.planner.movement import count as movement_copies
from sim.machine.isa import BY_NAME

Rule = Callable[[cnn.CnnOp], str | None]

_CONV, _LOAD, _VECTOR = BY_NAME["conv"], BY_NAME["load"], BY_NAME["vector"]
_INT32 = 2**31 - 1


def one_image(op: cnn.CnnOp) -> str | None:
    """The machine takes one image at a time; export the model with a batch of 1 or of no fixed size."""
    n = op.result_dims[0]
    return f"Its batch is {n}." if n != 1 else None


def images(op: cnn.CnnOp) -> str | None:
    """The machine works on the images of a batch one by one."""
    return f"It makes {batch_of(op.results[0])} images of {given_to(op)}, and mixes them." if mixes(op) else None


def image_size(op: cnn.CnnOp) -> str | None:
    """Instructions count rows and columns in 16 bits; cut the image into parts."""
    most = _CONV.field("oy").high
    _, h, w, _ = op.result_dims
    return f"Its result has {h}x{w} pixels, more than {most} in a row or column." if max(h, w) > most else None


def tensor_size(op: cnn.CnnOp) -> str | None:
    """Addresses in DRAM have 32 bits, and a program its tensors in one such space; cut the image into parts."""
    most = _LOAD.field("dram").high + 1
    sizes = [math.prod(v.type.dims) for v in (*op.operands, *op.results) if isinstance(v.type, cnn.TensorType)]
    return f"A tensor of it is {max(sizes):,} bytes, more than {most:,}." if max(sizes, default=0) > most else None


def kernel_size(op: cnn.CnnOp) -> str | None:
    """Windows are limited by the fields of the instructions; a larger one can be split into several layers."""
    window = _window(op)
    if window is None:
        return None
    kernel, pads, strides, dilations = window.values
    for what, values, field in (("kernel", kernel, "fy"), ("stride", strides, "sy"), ("dilation", dilations, "dy"),
                                ("padding", pads, "top")):  # fmt: skip
        most = _CONV.field(field).high
        if max(values) > most:
            return f"Its {what} is {'x'.join(map(str, values))}; the most is {most}."
    return None


def pool_dilation(op: cnn.CnnOp) -> str | None:
    """The vector unit's windows are dense; replace the dilated pool by a plain one."""
    if isinstance(op, cnn.MaxPool2dOp | cnn.AveragePool2dOp):
        dilations = op.window.values[3]
        return f"It pools with dilation {'x'.join(map(str, dilations))}." if max(dilations) > 1 else None
    return None


def channels(op: cnn.CnnOp) -> str | None:
    """Instructions count channels in a limited number of bits; split the layer."""
    most = _VECTOR.field("channels").high
    if isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
        most = _CONV.field("outputs").high
    c = op.result_dims[3]
    return f"Its result has {c} channels; the most is {most}." if c > most else None


def accumulators(op: cnn.CnnOp) -> str | None:
    """Sums are held in 32 bits, and the largest possible one has to fit; use smaller weights or fewer channels."""
    if not isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
        return None
    depth = op.weights.data.size // max(op.weights.shape[0], 1)
    bias = np.abs(to_array(op.bias).astype(np.int64)).max(initial=0)
    if depth * 2 * 255 * 128 + int(bias) <= _INT32:
        return None
    weights, zero = to_array(op.weights), op.weight_zero.value.data
    reach = np.abs(weights.astype(np.int16) - zero).sum(axis=(1, 2, 3), dtype=np.int64) * 128
    assert isinstance(op.input.type, cnn.TensorType)
    total = reach + np.abs(machine_bias(to_array(op.bias), weights, op.input.type.zero.data, zero))
    worst = int(np.maximum(reach, total).max())
    return f"A sum can reach {worst:,}." if worst > _INT32 else None


def resize_factors(op: cnn.CnnOp) -> str | None:
    """Pixels are repeated as often as an 8-bit field can count; resize in two steps."""
    if isinstance(op, cnn.ResizeOp):
        factors, most = op.factors.get_values(), _VECTOR.field("sy").high
        return f"It enlarges by {factors[0]}x{factors[1]}; the most is {most}." if max(factors) > most else None
    return None


def lrn_size(op: cnn.CnnOp) -> str | None:
    """The window of a local response normalisation is counted in 16 bits."""
    if isinstance(op, cnn.LrnOp) and not 1 <= op.size.value.data <= _VECTOR.field("size").high:
        return f"It normalises over {op.size.value.data} channels."
    return None


def movement(op: cnn.CnnOp) -> str | None:
    """The vector unit copies boxes with even steps, and a program has room for so many copies in one movement only."""
    copies = movement_copies(op)
    return f"It moves elements in {copies:,} boxes; the most is {MOST_PIECES}." if copies > MOST_PIECES else None


HOST_CAN: tuple[Rule, ...] = (
    images, image_size, tensor_size, kernel_size, pool_dilation, channels, accumulators, resize_factors, lrn_size,
    movement,
)  # fmt: skip
"""Limits of single operations: the host can do what breaks one (``assign-host``)."""

RULES: tuple[Rule, ...] = (one_image, *HOST_CAN)
"""All rules; the manual's page of limits is made from their docstrings."""


def sentence(rule: Rule, op: cnn.CnnOp) -> str:
    """What the user reads about an operation that breaks a rule; empty if it keeps it."""
    particulars = rule(op)
    return f"{particulars} {' '.join((rule.__doc__ or '').split())}" if particulars is not None else ""


def _window(op: cnn.CnnOp) -> cnn.WindowAttr | None:
    return op.window if isinstance(op, cnn.Conv2dOp | cnn.MaxPool2dOp | cnn.AveragePool2dOp) else None
