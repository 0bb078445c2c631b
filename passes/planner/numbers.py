"""The numbers instructions carry: parameters per channel, ratios of sums, clamps. Formulas: the arithmetic page."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation

from dialects import cnn
from dialects.recon import BlobAttr
from dialects.text import float32
from dialects.tile import Requantize, Sum, VectorLaw
from passes.planner.mapping import weights_of
from sim.machine.errors import ReconError


def parameters(op: cnn.Conv2dOp | cnn.FullyConnectedOp, source: cnn.TensorType) -> BlobAttr:
    """Kx8 bytes: int32 bias with the input's zero point folded in, float32 scale f32(f32(sx·sw)/f32(sy·n))."""
    count = op.weights.shape[0]
    weights = weights_of(op).reshape(count, -1)
    sums = weights.sum(axis=1, dtype=np.int64) - op.weight_zero.value.data * weights.shape[1]
    bias = np.frombuffer(op.bias.data.buffer(), "<i4").astype(np.int64) - source.zero.data * sums
    scale = np.frombuffer(op.scales.data.buffer(), "<f4")
    divisor = np.float32(op.quant.scale.data) * np.float32(op.count.value.data)
    scale = np.float32(np.float32(source.scale.data) * scale) / divisor
    packed = np.empty(count, np.dtype([("bias", "<i4"), ("scale", "<f4")]))
    packed["bias"] = bias
    packed["scale"] = scale.astype(np.float32)
    return BlobAttr.make((count, 8), "i8", packed.tobytes())


def _pairs(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> BlobAttr:
    packed = np.stack([first, second], axis=1).astype("<f4")
    return BlobAttr.make((len(first), 8), "i8", packed.tobytes())


def affine_parameters(op: cnn.AffineOp) -> BlobAttr:
    """Kx8 bytes: float32 factor and offset per channel."""
    return _pairs(np.frombuffer(op.scale.data.buffer(), "<f4"), np.frombuffer(op.offset.data.buffer(), "<f4"))


def add_ratios(
    a: tuple[float, int], b: tuple[float, int], c: tuple[float, int], subtract: bool = False
) -> tuple[float, float, float]:
    """ra, rb and fix of ``c = a + b`` (or a − b) from (scale, zero point) of each."""
    ra = np.float32(a[0]) / np.float32(c[0])
    rb = np.float32(b[0]) / np.float32(c[0])
    if subtract:
        rb = -rb
    fix = np.float32(np.float64(c[1]) - (np.float64(ra) * a[1] + np.float64(rb) * b[1]))
    return float(ra), float(rb), float(fix)


def _quant(type_: cnn.TensorType | cnn.QuantAttr) -> tuple[float, int]:
    return type_.scale.data, type_.zero.data


def requantize(op: cnn.Conv2dOp | cnn.FullyConnectedOp) -> Requantize:
    """Zero point and clamp of a convolution's own result."""
    return Requantize(op.quant.zero.data, op.clamp.lo.data, op.clamp.hi.data)


def residual_sum(op: cnn.Conv2dOp | cnn.FullyConnectedOp, residual: cnn.TensorType) -> Sum:
    """The sum behind a convolution."""
    assert op.sum is not None
    own, other, result = _quant(op.quant), _quant(residual), _quant(op.sum.quant)
    if op.sum.position.data == "wide":  # what requantisation leaves unrounded is in units of the result's scale
        own = (result[0], 0)
    first = op.sum.position.data == "first"
    ratios = add_ratios(other, own, result) if first else add_ratios(own, other, result)
    return Sum(op.sum.position.data, *ratios, op.sum.clamp.lo.data, op.sum.clamp.hi.data)


def vector_law(op: Operation | None, inputs: list[cnn.TensorType], output: cnn.TensorType) -> VectorLaw:
    """The numbers of a vector operation that carries out an operation of the cnn dialect, or the planner's own copy
    (None); ReconError for an operation that has none."""
    clamp: cnn.ClampAttr | None = getattr(op, "clamp", None)
    lo, hi = (clamp.lo.data, clamp.hi.data) if clamp is not None else (-128, 127)
    (sx, zx), (sy, zy) = _quant(inputs[0]), _quant(output)
    match op:
        case None:
            return VectorLaw((1.0, 1.0, 0.0, 0.0, 0.0, 0.0))
        case cnn.AddOp() | cnn.SubOp():
            ratios = add_ratios((sx, zx), _quant(inputs[1]), (sy, zy), isinstance(op, cnn.SubOp))
            return VectorLaw((*ratios, 0.0, 0.0, 0.0), (0, 0, 0), lo, hi)
        case cnn.MulOp():
            sb, zb = _quant(inputs[1])
            factor = np.float32(np.float32(sx) * np.float32(sb)) / np.float32(sy)
            return VectorLaw((float(factor), 0.0, 0.0, 0.0, 0.0, 0.0), (zx, zb, zy), lo, hi)
        case cnn.AveragePool2dOp() | cnn.GlobalAveragePoolOp():
            counted = op.count_pads.value.data if isinstance(op, cnn.AveragePool2dOp) else 0
            return VectorLaw((sx, sy, 0.0, 0.0, 0.0, 0.0), (zx, 0, zy), lo, hi, counted)
        case cnn.PadOp():
            # The mean of one pixel; what lies outside counts and is the zero point, whatever it is called.
            value = zx if op.value is None else op.value.value.data
            return VectorLaw((1.0, 1.0, 0.0, 0.0, 0.0, 0.0), (value, 0, value), -128, 127, 1)
        case cnn.AffineOp():
            return VectorLaw((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0, 0, zy), lo, hi)
        case cnn.LrnOp():
            alpha, beta, bias = (float32(number.value.data) for number in (op.alpha, op.beta, op.bias))
            return VectorLaw((sx, sy, 0.0, alpha, beta, bias), (zx, 0, zy), lo, hi, op.size.value.data)
        case cnn.ChannelShuffleOp():
            return VectorLaw(size=op.groups.value.data)
        case cnn.TableOp() | cnn.CodesOp():
            return VectorLaw(lo=lo, hi=hi)
        case _:
            raise ReconError(f"{op.name} has no numbers that the vector unit could take.")
