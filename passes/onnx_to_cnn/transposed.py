"""Transposed convolution as the ordinary convolutions it is made of.

With stride s, output row y reads the input rows i with y = s·i − pad + k·dilation for a tap k. So the rows y ≡ r
(mod s) are a convolution of stride 1 of their own, with the taps k·dilation ≡ r + pad (mod s), last tap first; the s·s
results are woven into one image. All of them share bias, scale and quantiser: the law is that of one convolution, and
a row that no tap reaches is the bias alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Attribute, SSAValue

from dialects import cnn
from dialects.blobs import to_array, to_blob
from dialects.onnx import NodeOp, shape_of
from dialects.recon import BlobAttr
from passes.onnx_to_cnn.context import Conversion, last_compute
from passes.onnx_to_cnn.products import weights_of, with_operand_bias
from passes.onnx_to_cnn.values import Array, KnownCodes, Meaning, Phase, Quant, Spread, Sums, Trail, Unsupported
from passes.onnx_to_cnn.view import View


def phases(size: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> list[Phase]:
    """The phases along an axis of ``size`` inputs whose first ``pad`` outputs are cut; fewer than ``stride`` if there
    are fewer outputs."""
    apart = dilation // math.gcd(dilation, stride)
    found: list[Phase] = []
    for phase in range(min(stride, outputs)):
        count = -(-(outputs - phase) // stride)
        reach = {(phase + pad - tap * dilation) // stride: tap for tap in range(kernel)
                 if (phase + pad - tap * dilation) % stride == 0}  # fmt: skip
        first = min(reach, default=0)
        last = max(reach, default=0)
        # A window begins at its first output's place or before it, and ends behind the last input.
        while first > 0:
            first -= apart
        while count - 1 + last < size - 1:
            last += apart
        taps = tuple(reach.get(offset) for offset in range(first, last + 1, apart))
        found.append(Phase(count, taps, apart, -first, count - 1 + last - (size - 1)))
    return found


def read_conv_transpose(r: Conversion, node: NodeOp) -> Meaning:
    """ConvTranspose over one or two spatial axes."""
    codes = r.codes(r.operand(node, 0), node)
    weights = weights_of(r, node, 1, 1)
    shape, groups = codes.shape, node.get_int("group", 1)
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise Unsupported(f"It convolves over {rank} axes; the machine convolves over one or two.")
    taps = _by_output(weights.codes, groups)
    k = taps.shape[0]
    scale, zero = (_per_output(weights, vector, groups, k) for vector in (weights.scale, weights.zero))
    result = shape_of(node.outputs[0])
    if rank == 1:
        taps = taps[:, None]
    lead = (1,) * (2 - rank)
    kernel = taps.shape[1:3]
    strides = (*lead, *(node.get_ints("strides") or (1,) * rank))
    dilations = (*lead, *(node.get_ints("dilations") or (1,) * rank))
    pads = ((0,) * (2 - rank)) + _first_pads(node, shape[2:], result[2:], weights.codes.shape[2:])
    sizes, outputs = (*lead, *shape[2:]), (*lead, *result[2:])
    sums = Sums(
        shape=(shape[0], k, *result[2:]),
        trail=(node,),
        codes=codes,
        weights=taps,
        weight_scale=scale.astype(np.float32),
        weight_zero=zero.astype(np.int64),
        bias=np.zeros(k, np.int64),
        window=((1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
        groups=groups,
        place=lambda: r.place(codes),
        result=View.canonical((shape[0], k, *result[2:])),
        input_scale=codes.quant.scale,
        spread=Spread(
            *(tuple(phases(*numbers)) for numbers in zip(sizes, outputs, kernel, strides, dilations, pads, strict=True))
        ),
    )
    return with_operand_bias(r, node, sums, 2, 1.0)


def _by_output(weights: Array, groups: int) -> Array:
    """Weights C x K/groups x kernel as K x kernel x C/groups."""
    inputs, outputs, *kernel = weights.shape
    split = weights.reshape(groups, inputs // groups, outputs, *kernel)
    return np.ascontiguousarray(np.moveaxis(split, 1, -1)).reshape(groups * outputs, *kernel, inputs // groups)


def _per_output(weights: KnownCodes, vector: Array, groups: int, count: int) -> Array:
    """Scales or zero points per output channel, of weights whose axis 0 is the input's channels."""
    if vector.size == 1:
        return np.broadcast_to(vector, (count,))
    if weights.axis % weights.codes.ndim == 1:
        return np.tile(vector, groups)
    if weights.axis % weights.codes.ndim == 0 and weights.codes.shape[0] == groups:
        return np.repeat(vector, count // groups)
    raise Unsupported("Its weights have one scale per input channel; one per output channel, or one for all, works.")


def _first_pads(node: NodeOp, sizes: Sequence[int], outputs: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Outputs cut away at the beginning of every axis."""
    rank = len(sizes)
    auto = node.get_str("auto_pad", "NOTSET")
    if auto not in ("SAME_UPPER", "SAME_LOWER") and node.get_ints("output_shape") is None:
        return (node.get_ints("pads") or (0,) * rank)[:rank] if auto == "NOTSET" else (0,) * rank
    strides, dilations = node.get_ints("strides") or (1,) * rank, node.get_ints("dilations") or (1,) * rank
    extra = node.get_ints("output_padding") or (0,) * rank
    found: list[int] = []
    for n, m, f, s, d, e in zip(sizes, outputs, kernel, strides, dilations, extra, strict=True):
        total = max(0, s * (n - 1) + e + (f - 1) * d + 1 - m)
        found.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
    return tuple(found)


def woven(
    r: Conversion, sums: Sums, spread: Spread, properties: Mapping[str, Attribute], quant: Quant | None, trail: Trail
) -> SSAValue:
    """The convolutions that a transposed one is made of, each with these properties, and their results in one image;
    in float32 where no ``quant`` rounds them."""
    whole, zero = properties["weights"], properties["weight_zero"]
    assert isinstance(whole, BlobAttr)
    assert isinstance(zero, IntegerAttr)
    weights, dims, value = to_array(whole), sums.result.dims, sums.place()
    parts: list[SSAValue] = []
    for rows, columns in itertools.product(spread.rows, spread.columns):
        kernel = len(rows.taps), len(columns.taps)
        taps = np.full((len(weights), *kernel, weights.shape[3]), zero.value.data, np.int8)
        for (y, row), (x, column) in itertools.product(enumerate(rows.taps), enumerate(columns.taps)):
            if row is not None and column is not None:
                taps[:, y, x] = weights[:, row, column]
        pads = rows.before, rows.after, columns.before, columns.after
        window = cnn.WindowAttr.of(kernel, pads, (1, 1), (rows.dilation, columns.dilation))
        own = {**properties, "weights": to_blob(taps), "window": window, "groups": cnn.integer(sums.groups)}
        shape = dims[0], rows.count, columns.count, dims[3]
        kind = r.type_of(shape, quant) if quant is not None else cnn.FloatType.of(shape)
        op = cnn.Conv2dOp.build(operands=[value, None], result_types=[kind], properties=own)
        parts.append(r.emit(op, last_compute(trail), trail))
    if len(parts) == 1:
        return parts[0]
    factors = {"factors": cnn.integers([len(spread.rows), len(spread.columns)])}
    kind = r.type_of(dims, quant) if quant is not None else cnn.FloatType.of(dims)
    weave = cnn.InterleaveOp.build(operands=[parts], result_types=[kind], properties=factors)
    return r.emit(weave, last_compute(trail), trail)
