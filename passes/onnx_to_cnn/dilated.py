"""A dilated pool as the dense ones it is made of.

Along an axis with stride s and dilation d, the outputs p, p + L, … (L = d / gcd(s, d)) all look at every d-th element
from the same remainder on. So the outputs of each p are a dense pool of stride L·s / d over those elements, and the
L·L' results are woven into one image. Each result is that of one dense window, so no law is needed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from dialects import cnn
from dialects.onnx import NodeOp
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.values import Quant, Unsupported


@dataclass(frozen=True)
class PoolPhase:
    """Outputs of one remainder along an axis: ``count`` dense windows ``stride`` apart over ``length`` elements, every
    ``step``-th from ``first`` on, padded ``before`` and ``after``."""

    count: int
    stride: int
    first: int
    step: int
    length: int
    before: int
    after: int


def phases(size: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> list[PoolPhase]:
    """The phases of an axis of ``size`` elements; Unsupported where one of them meets padding alone."""
    apart = dilation // math.gcd(stride, dilation)
    found: list[PoolPhase] = []
    for phase in range(min(apart, outputs)):
        start, rest = divmod(phase * stride - pad, dilation)
        count, step = -(-(outputs - phase) // apart), apart * stride // dilation
        there, stop = -(-(size - rest) // dilation), start + (count - 1) * step + kernel
        first, last = max(start, 0), min(stop, there)
        if last <= first:
            raise Unsupported("It pools windows of padding alone; the machine's dense pools have none there.")
        found.append(
            PoolPhase(count, step, rest + first * dilation, dilation, last - first, first - start, stop - last)
        )
    return found


def max_pool(value: SSAValue, kind: cnn.TensorType, window: cnn.WindowAttr) -> cnn.CnnOp:
    """The dense max pool of a window."""
    return cnn.MaxPool2dOp.build(operands=[value], result_types=[kind], properties={"window": window})


Dense = Callable[[SSAValue, cnn.TensorType, cnn.WindowAttr], cnn.CnnOp]
"""Makes the dense pool of a tensor, a result type and a window."""


def pooled(
    r: Conversion,
    node: NodeOp,
    source: SSAValue,
    window: cnn.WindowAttr,
    dims: Sequence[int],
    quant: Quant,
    dense: Dense = max_pool,
) -> SSAValue:
    """The pools and their weave; ``quant`` is the result's."""
    kernel, (top, _, left, _), strides, dilations = window.values
    n, height, width, channels = cnn.tensor_of(source).dims
    down = phases(height, dims[1], kernel[0], strides[0], dilations[0], top)
    across = phases(width, dims[2], kernel[1], strides[1], dilations[1], left)
    parts: list[SSAValue] = []
    for row, column in itertools.product(down, across):
        taken = cnn.tensor_of(source).like((n, row.length, column.length, channels))
        steps = {"offsets": cnn.integers((0, row.first, column.first, 0)),
                 "steps": cnn.integers((1, row.step, column.step, 1))}  # fmt: skip
        value = source
        if taken != source.type:
            op = cnn.SliceOp.build(operands=[source], result_types=[taken], properties=steps)
            value = r.emit(op, "slice", (node,))
        pads = row.before, row.after, column.before, column.after
        kind = r.type_of((n, row.count, column.count, channels), quant)
        one = dense(value, kind, cnn.WindowAttr.of(kernel, pads, (row.stride, column.stride)))
        parts.append(r.emit(one, node, (node,)))
    if len(parts) == 1:
        return parts[0]
    factors = {"factors": cnn.integers([len(down), len(across)])}
    weave = cnn.InterleaveOp.build(operands=[parts], result_types=[r.type_of(dims, quant)], properties=factors)
    return r.emit(weave, node, (node,))
