"""A convolution whose window or stride is longer than the machine counts, as one over several columns at once.

Choice. Columns lie beside each other in memory, channels within them, so f columns are one column of f times the
channels: a view that costs nothing. Where f divides the stride, every window begins at such a column, and the weights
are seen in the same way, zeros behind the last. The sums are the same integers. Columns behind the last window go, and
what is missing for a whole number of folded ones is padded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.onnx import NodeOp
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.values import Sums
from sim.machine.isa import BY_NAME

MOST = BY_NAME["conv"].field("fx").high
"""Columns of a window, or of a stride, that an instruction counts."""


def folded(r: Conversion, node: NodeOp, sums: Sums) -> Sums:
    """The same sums from a shorter window, where there is one; else as they are, for the limits to say."""
    if sums.window is None or sums.groups > 1:
        return sums
    (rows, columns), (top, bottom, left, _), (down, across), dilations = sums.window
    width = sums.codes.shape[-1]
    if max(columns, across) <= MOST or dilations[1] != 1:
        return sums
    whole = [f for f in range(2, across + 1) if across % f == 0 and left % f == 0]
    factor = next((f for f in whole if max(-(-columns // f), across // f) <= MOST), 0)
    if not factor:
        return sums
    outputs = sums.shape[-1]
    taps, stride = -(-columns // factor), across // factor
    seen = (outputs - 1) * stride + taps - left // factor  # folded columns from the image's first on
    there = min(seen, -(-width // factor))
    pads = (top, bottom, left // factor, seen - there)
    k, _, _, channels = sums.weights.shape
    padded = np.broadcast_to(sums.weight_zero.astype(np.int16)[:, None, None, None], (k, rows, taps * factor, channels))
    weights = padded.copy()
    weights[:, :, :columns] = sums.weights

    def place() -> SSAValue:
        return _fitted(r, node, sums.place(), there, factor)

    window = ((rows, taps), pads, (down, stride), dilations)
    shape = (k, rows, taps, factor * channels)
    return replace(sums, weights=weights.astype(sums.weights.dtype).reshape(shape), window=window, place=place)


def _fitted(r: Conversion, node: NodeOp, value: SSAValue, columns: int, factor: int) -> SSAValue:
    """So many folded columns of an image: cut or padded, and seen as such."""
    kind = cnn.tensor_of(value)
    n, height, width, channels = kind.dims
    wanted = columns * factor
    if wanted < width:
        part = {"offsets": cnn.integers((0, 0, 0, 0))}
        cut = cnn.SliceOp.build(
            operands=[value], result_types=[kind.like((n, height, wanted, channels))], properties=part
        )
        value = r.emit(cut, "slice", (node,))
    elif wanted > width:
        beside = {"pads": cnn.integers([0, 0, 0, wanted - width])}
        pad = cnn.PadOp.build(
            operands=[value], result_types=[kind.like((n, height, wanted, channels))], properties=beside
        )
        value = r.emit(pad, "pad", (node,))
    seen = kind.like((n, height, columns, factor * channels))
    return r.emit(cnn.ReshapeOp.build(operands=[value], result_types=[seen]), "reshape", ())
