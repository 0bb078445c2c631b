"""Quantisers of other tools' own domains, spelled out in ONNX's.

QONNX (Brevitas, FINN) has one operator that quantises and dequantises at once, with bits and rounding as it likes:

    Quant(x, s, z, b) = (clip(round(x/s + z), least, most) − z)·s      → DQ(Clip(Q(x; s, z)); s, z), b of at most 8

and Sony's MCT has one per habit, whose scale is its threshold over 2ᵇ (2ᵇ⁻¹ if signed). Constants become integers here:
int8 weights, and biases of up to 32 bits, which no QuantizeLinear can make. Two to seven bits are eight with fewer
values, kept by a Clip on the codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from passes.onnx.graph_rewrite import Graph

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CodeRange:
    """What a quantiser makes: integers of ``bits``, without their least one if ``narrow``."""

    scale: F32
    zero: F32
    bits: int
    signed: bool
    narrow: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest code."""
        if self.signed:
            return -(1 << (self.bits - 1)) + self.narrow, (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1 - self.narrow


def _qonnx(graph: Graph, node: onnx.NodeProto) -> None:
    """Quant of QONNX: scale, zero point and bits are operands."""
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    found = [graph.value(name) for name in node.input[1:4]]
    scale, zero, bits = (None if each is None else np.asarray(each, np.float32) for each in found)
    if scale is None or zero is None or bits is None:
        graph.problems.add(node.name, "Its scale, zero point and bits have to be constants.")
        return
    mode = attributes.get("rounding_mode", b"ROUND").decode().upper()
    if mode not in ("ROUND", "HALF_EVEN"):
        graph.problems.add(
            node.name, f"It rounds by {mode}; ROUND, to the nearest and of two to the even, is supported."
        )
        return
    whole = np.unique(bits)
    if whole.size != 1 or whole[0] != int(whole[0]) or not 2 <= whole[0] <= 32:
        graph.problems.add(node.name, f"It makes {', '.join(f'{b:g}' for b in whole)} bits; one whole number of 2 to 8 "
                           "is supported, up to 32 for a constant.")  # fmt: skip
        return
    signed, narrow = attributes.get("signed", 1) == 1, attributes.get("narrow", 0) == 1
    _spell_out(graph, node, CodeRange(scale, zero, int(whole[0]), signed, narrow))


def _threshold(graph: Graph, node: onnx.NodeProto) -> None:
    """MCT's symmetric quantisers: a threshold, an attribute or an operand, is the reach of the codes."""
    attributes: dict[str, Any] = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    threshold = attributes.get("threshold")
    if threshold is None and len(node.input) > 1:
        threshold = graph.value(node.input[1])
    bits, signed = attributes.get("num_bits", 8), attributes.get("signed", 1) == 1
    if threshold is None or not 2 <= bits <= 8:
        graph.problems.add(node.name, f"It makes {bits} bits of a threshold; 2 to 8 of a constant one are supported.")
        return
    steps = np.float32(1 << (bits - 1 if signed else bits))
    scale = (np.asarray(threshold, np.float32) / steps).astype(np.float32)
    if scale.size > 1:
        rank = _rank(graph, node.input[0])
        scale = scale.reshape([-1 if at == attributes.get("channel_axis", 0) % rank else 1 for at in range(rank)])
    _spell_out(graph, node, CodeRange(scale, np.zeros((), np.float32), bits, signed))


def _rank(graph: Graph, name: str) -> int:
    values = graph.value(name)
    return values.ndim if values is not None else 4


def _spell_out(graph: Graph, node: onnx.NodeProto, codes: CodeRange) -> None:
    values = graph.value(node.input[0])
    zero = np.unique(codes.zero)
    low, high = codes.limits
    if zero.size != 1 or zero[0] != int(zero[0]) or not low <= zero[0] <= high:
        graph.problems.add(node.name, f"Its zero point is {', '.join(f'{z:g}' for z in zero[:4])}; one whole number "
                           f"between {low} and {high} is supported.")  # fmt: skip
    elif values is not None:
        _constant(graph, node, codes, np.asarray(values, np.float32))
    elif codes.bits > 8:
        graph.problems.add(node.name, f"It makes {codes.bits} bits of a computed tensor; the machine computes with 8.")
    else:
        _computed(graph, node, codes)


def _constant(graph: Graph, node: onnx.NodeProto, codes: CodeRange, values: F32) -> None:
    """The integers themselves, behind a DequantizeLinear."""
    low, high = codes.limits
    real = np.rint(values / codes.scale + codes.zero).astype(np.float64)
    kind = (np.int8 if codes.signed else np.uint8) if codes.bits <= 8 else np.int32
    made = np.clip(real, low, min(high, np.iinfo(np.int32).max)).astype(kind)
    axis = _axis(codes.scale, values.ndim)
    scale = codes.scale.reshape(-1) if axis is not None else np.asarray(codes.scale.reshape(-1)[0])
    zero = np.full(scale.shape, codes.zero.reshape(-1)[0], kind)
    operands = [graph.constant("codes", made), graph.constant("scale", scale), graph.constant("zero", zero)]
    attributes = {} if axis is None else {"axis": axis}
    graph.add("DequantizeLinear", operands, node.output[0], node.name, **attributes)


def _computed(graph: Graph, node: onnx.NodeProto, codes: CodeRange) -> None:
    axis = _axis(codes.scale, codes.scale.ndim)
    kind = np.int8 if codes.signed else np.uint8
    scale = codes.scale.reshape(-1) if axis is not None else np.asarray(codes.scale.reshape(-1)[0])
    zero = np.full(scale.shape, codes.zero.reshape(-1)[0], kind)
    parts = [graph.constant("scale", scale), graph.constant("zero", zero)]
    attributes = {} if axis is None else {"axis": axis}
    made = graph.add("QuantizeLinear", [node.input[0], *parts], None, node.name, **attributes)
    low, high = codes.limits
    if (low, high) != (np.iinfo(kind).min, np.iinfo(kind).max):
        bounds = [graph.constant("least", np.asarray(low, kind)), graph.constant("most", np.asarray(high, kind))]
        made = graph.add("Clip", [made, *bounds], None, f"{node.name}_range")
    graph.add("DequantizeLinear", [made, *parts], node.output[0], f"{node.name}_real", **attributes)


def _axis(scale: F32, rank: int) -> int | None:
    """The axis along which a scale varies; None for one scale."""
    if scale.size == 1:
        return None
    aligned = (1,) * (rank - scale.ndim) + scale.shape
    return next(at for at, n in enumerate(aligned) if n > 1)


SPELLED_OUT: dict[str, Callable[[Graph, onnx.NodeProto], None]] = {
    "qonnx.custom_op.general:Quant": _qonnx,
    "onnx.brevitas:Quant": _qonnx,
    "finn.custom_op.general:Quant": _qonnx,
    "mct_quantizers:ActivationPOTQuantizer": _threshold,
    "mct_quantizers:ActivationSymmetricQuantizer": _threshold,
    "mct_quantizers:WeightsPOTQuantizer": _threshold,
    "mct_quantizers:WeightsSymmetricQuantizer": _threshold,
}
"""By domain and operator."""
