"""Which ONNX operator is read by which function. An operator that is not here runs on the host, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dialects.onnx import NodeOp, element_of, shape_of
from passes.onnx_to_cnn import blends, channels, choices, elementwise, moves, products, reductions, scalar, transposed
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.settle import settle
from passes.onnx_to_cnn.tables import FULL
from passes.onnx_to_cnn.values import (
    ByChannel,
    Codes,
    Dequantised,
    Host,
    Known,
    KnownCodes,
    Meaning,
    PerChannel,
    Quant,
    Raw,
    Real,
    Storage,
    Unsupported,
)
from passes.onnx_to_cnn.view import View

Read = Callable[[Conversion, NodeOp], Meaning | list[Meaning]]


def _scale_zero(r: Conversion, node: NodeOp) -> tuple[np.ndarray, np.ndarray, str]:
    """Scales, zero points (uint8 shifted by 128) and the integers' element type."""
    scale, zero = r.known(node, 1), r.known(node, 2)
    if scale is None or (zero is None and node.operand(2) is not None):
        raise Unsupported("Its scale or zero point is computed at run time; both must be constants.")
    third = node.operand(2)
    if node.op_type.data == "QuantizeLinear":
        element = element_of(third) if third is not None else element_of(node.outputs[0])
    else:
        element = element_of(node.inputs[0])
    shift = 128 if element == "ui8" else 0
    zeros = np.zeros(scale.size, np.int64) if zero is None else zero.astype(np.int64).reshape(-1)
    return scale.astype(np.float32).reshape(-1), zeros - shift, element


def _single(scale: np.ndarray, zero: np.ndarray) -> Quant:
    if np.unique(scale).size != 1 or np.unique(zero).size != 1:
        raise Unsupported(
            "A computed tensor has one scale per channel; the machine needs one scale for a whole tensor."
        )
    if not scale[0] > 0 or not np.isfinite(scale[0]):
        raise Unsupported(f"Its scale {scale[0]} is not a positive number.")
    return Quant(float(scale[0]), int(zero[0]))


def read_dequantize(r: Conversion, node: NodeOp) -> Meaning:
    """DequantizeLinear: of a constant, of an input's integers, or of codes."""
    value = r.operand(node, 0)
    scale, zero, element = _scale_zero(r, node)
    if isinstance(value, Known):
        codes = value.array if element != "ui8" else (value.array ^ np.uint8(128)).view(np.int8)
        axis = node.get_int("axis", 1) if scale.size > 1 else 0
        if node.get_int("block_size", 0):
            raise Unsupported("Its weights are quantised in blocks; one scale per output channel is supported.")
        return KnownCodes(codes, scale, np.broadcast_to(zero, scale.shape), axis, element)
    if isinstance(value, Codes) and value.meant is not None:
        return _per_channel(node, value, scale, zero)
    quant = _single(scale, zero)
    if isinstance(value, Raw):
        value = Codes(Storage(source=value.source, unsigned=value.unsigned), value.view, quant)
    if not isinstance(value, Codes):
        raise Unsupported("It dequantises a tensor that is not 8 bits wide.")
    if not value.quant.same(quant):
        raise Unsupported("Its scale and zero point are not those with which its operand was quantised.")
    return Dequantised(value.shape, (), value)


def read_quantize(r: Conversion, node: NodeOp) -> Meaning:
    """QuantizeLinear: of a constant, of a float input, or of what waits before it."""
    value = r.operand(node, 0)
    scale, zero, element = _scale_zero(r, node)
    if isinstance(value, Known | KnownCodes):
        return _quantised_constant(node, value, scale, zero, element)
    if element not in ("i8", "ui8"):
        raise Unsupported(f"It quantises to {element}; the machine computes with 8 bits.")
    if isinstance(value, Host):
        return host_codes(r, node)
    if not isinstance(value, Real):
        raise Unsupported("It quantises integers.")
    if scale.size > 1 and (np.unique(scale).size > 1 or np.unique(zero).size > 1):
        meant = PerChannel(scale, np.broadcast_to(zero, scale.shape), _axis(node))
        return channels.settle_channels(r, value, meant, (*value.trail, node))
    quant = _single(scale, zero)
    key = (value, quant.scale, quant.zero)
    if key not in r.settled:
        r.settled[key] = settle(r, value, quant, FULL, (*value.trail, node))
        r.settled[key].storage.force()
    return r.settled[key]


def _axis(node: NodeOp) -> int:
    return node.get_int("axis", 1) % max(len(shape_of(node.inputs[0])), 1)


def _per_channel(node: NodeOp, codes: Codes, scale: np.ndarray, zero: np.ndarray) -> Meaning:
    """DequantizeLinear of codes with a scale per channel."""
    meant = codes.meant
    if meant is None or not meant.same(PerChannel(scale, np.broadcast_to(zero, scale.shape), _axis(node))):
        raise Unsupported("Its scale and zero point are not those with which its operand was quantised.")
    if not meant.exact:
        return Dequantised(codes.shape, (), codes)
    factor = meant.scale.astype(np.float64) / codes.quant.scale
    return ByChannel(codes.shape, (node,), codes, factor, np.zeros(factor.size), meant.axis, meant)


def host_codes(r: Conversion, node: NodeOp) -> Codes:
    """The codes of a QuantizeLinear that the host computes."""
    scale, zero, element = _scale_zero(r, node)
    storage = Storage(source=node.outputs[0], unsigned=element == "ui8")
    return Codes(storage, View.row_major(shape_of(node.outputs[0])), _single(scale, zero))


def _quantised_constant(node: NodeOp, value: Known | KnownCodes, scale: np.ndarray, zero: np.ndarray, element: str
                        ) -> Meaning:  # fmt: skip
    real = value.real if isinstance(value, KnownCodes) else value.array.astype(np.float32)
    shift = 128 if element == "ui8" else 0
    if scale.size > 1:
        shape = [1] * real.ndim
        shape[node.get_int("axis", 1)] = -1
        scale, zero = scale.reshape(shape), np.broadcast_to(zero, (scale.size,)).reshape(shape)
    with np.errstate(all="ignore"):
        whole = np.nan_to_num(np.rint(real / scale), nan=0.0).astype(np.float64) + zero
    codes = np.clip(whole, -128, 127)
    return Known((codes + shift).astype(np.uint8 if shift else np.int8))


OPERATORS: dict[str, Read] = {
    "QuantizeLinear": read_quantize,
    "DequantizeLinear": read_dequantize,
    "Conv": products.read_conv,
    "ConvTranspose": transposed.read_conv_transpose,
    "Gemm": products.read_gemm,
    "MatMul": products.read_matmul,
    "Relu": elementwise.read_relu,
    "Clip": elementwise.read_clip,
    "PRelu": elementwise.read_prelu,
    "BatchNormalization": elementwise.read_batch_norm,
    "MaxPool": moves.read_max_pool,
    "AveragePool": reductions.read_average_pool,
    "GlobalAveragePool": reductions.read_global_average_pool,
    "ReduceMean": reductions.read_reduce_mean,
    "ReduceSum": reductions.read_reduce_sum,
    "ReduceMax": reductions.read_reduce_extreme,
    "ReduceMin": reductions.read_reduce_extreme,
    "LRN": reductions.read_lrn,
    "Concat": moves.read_concat,
    "Split": choices.read_split,
    "Slice": choices.read_slice,
    "Gather": choices.read_gather,
    "Pad": choices.read_pad,
    "Resize": blends.read_resize,
    "DepthToSpace": moves.read_depth_to_space,
    "SpaceToDepth": moves.read_depth_to_space,
    "Expand": choices.read_expand,
    "Tile": choices.read_expand,
    "Cast": elementwise.read_cast,
    "Transpose": moves.read_transpose,
    "Reshape": moves.read_reshape,
    "Flatten": moves.read_reshape,
    "Squeeze": moves.read_reshape,
    "Unsqueeze": moves.read_reshape,
    "Identity": moves.read_reshape,
    "Dropout": moves.read_reshape,
}
"""Readers by operator type; functions of one number and the elementwise operators come on top."""

for _name in scalar.BINARY:
    OPERATORS[_name] = elementwise.read_extreme if _name in ("Min", "Max") else elementwise.read_binary


def reader_of(node: NodeOp) -> Read | None:
    """The function that reads a node, or None if the machine has nothing like it."""
    if node.kind in OPERATORS:
        return OPERATORS[node.kind]
    if scalar.function_of(node.kind, node.attribute_values()) is not None:
        return elementwise.read_unary
    return None
