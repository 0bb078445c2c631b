"""PRelu with one slope per channel: a table of the operand itself, and an affine step below zero.

The law (section 7 of the arithmetic page) takes the operand as it is where it is not negative, and an affine step where
it is. Where no slope exceeds 1, or none falls below it, one of the two is the greater (the lesser) throughout, and the
machine takes that. Otherwise the operand is split at its zero point and both parts are added as codes. What the machine
will do is tried on all 256 codes of every channel before it is chosen.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import Attribute, SSAValue

from dialects import cnn
from dialects.blobs import to_blob
from dialects.meaning import kernels
from dialects.onnx import NodeOp, shape_of
from passes.onnx_to_cnn.context import Conversion, Spec, last_compute, standard_spec
from passes.onnx_to_cnn.tables import FULL, Bounds, clamp_of, looked_up
from passes.onnx_to_cnn.values import Codes, Quant, Sloped, Trail, Unsupported
from passes.onnx_to_cnn.view import View

Step = tuple[kernels.F32, kernels.F32]
"""Factors and offsets per channel."""

_CODES = np.arange(-128, 128).astype(np.int8)


def sloped(node: NodeOp, codes: Codes, slope: np.ndarray) -> Sloped:
    """The expression for a constant slope along one axis; Unsupported along more."""
    shape = shape_of(node.outputs[0])
    aligned = (1,) * (len(shape) - slope.ndim) + slope.shape
    axes = [axis for axis, n in enumerate(aligned) if n > 1]
    if len(axes) != 1 or aligned[axes[0]] != shape[axes[0]] or axes[0] == 0:
        raise Unsupported("Its slope varies along more than one axis; the machine has one per channel.")
    return Sloped(shape, (node,), codes, slope.reshape(-1).astype(np.float32), axes[0])


def settle_slopes(r: Conversion, real: Sloped, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """Two steps and what joins them."""
    source = real.codes.quant
    factor, offset = kernels.affine_parameters(
        real.slope, np.zeros_like(real.slope), source.scale, source.zero, quant.scale
    )
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise Unsupported("Its slopes are not finite in units of the output's scale.")
    negative = _CODES < source.zero
    own = _quantised(_CODES, source, quant, bounds)
    below = kernels.affine(_CODES[:, None].repeat(len(factor), 1), factor, offset, quant.zero, *bounds)
    law = np.where(negative[:, None], below, own[:, None])
    for kind, choose in ((cnn.MaxOp, np.maximum), (cnn.MinOp, np.minimum)):
        if np.array_equal(choose(own[:, None], below), law):
            step = _affine(r, real, real.codes, (factor, offset), quant, bounds)
            other = looked_up(r, real.codes, own, quant, "requantise", trail)
            return _joined(r, kind, other, step, quant, FULL, trail)
    least = np.minimum(_CODES, source.zero).astype(np.int8)
    if (
        kernels.affine(np.full((1, len(factor)), source.zero, np.int8), factor, offset, quant.zero) != quant.zero
    ).any():
        raise Unsupported("Its slopes move the zero point; the machine would be off by a step.")
    under = looked_up(r, real.codes, least, source, "below zero", trail)
    step = _affine(r, real, under, (factor, offset), quant, FULL)
    over = _quantised(np.maximum(_CODES, source.zero).astype(np.int8), source, quant, FULL)
    return _joined(r, cnn.AddOp, looked_up(r, real.codes, over, quant, "Relu", trail), step, quant, bounds, trail)


def _quantised(codes: kernels.Int8, source: Quant, quant: Quant, bounds: Bounds) -> kernels.Int8:
    return kernels.quantise(kernels.dequantise(codes, source.scale, source.zero), quant.scale, quant.zero, *bounds)


def _spec(r: Conversion, real: Sloped) -> Spec:
    """An order in memory with the slopes' axis as channels."""
    lying = r.spec_of(real.codes.view) if real.codes.storage.source is None else None
    usual = standard_spec(len(real.shape))
    rest = [axis for axis in range(len(real.shape)) if axis != real.axis]
    made: Spec = (tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (real.axis,))
    return next((each for each in (lying, usual) if each is not None and each[3] == (real.axis,)), made)


def _affine(r: Conversion, real: Sloped, codes: Codes, step: Step, quant: Quant, bounds: Bounds) -> Codes:
    spec = _spec(r, real)
    value = r.place(codes, spec)
    view = View(codes.view.logical, r.memory(codes.view, spec))
    properties: dict[str, Attribute] = dict(zip(("scale", "offset"), map(to_blob, step), strict=True))
    properties["clamp"] = clamp_of(bounds)
    op = cnn.AffineOp.build(operands=[value], result_types=[r.type_of(view.dims, quant)], properties=properties)
    return r.made(r.emit(op, "slopes", real.trail), view, quant)


def _joined(r: Conversion, kind: type[cnn.BinaryOp], a: Codes, b: Codes, quant: Quant, bounds: Bounds, trail: Trail
            ) -> Codes:  # fmt: skip
    spec = r.spec_of(b.view)
    operands: list[SSAValue] = [r.place(a, spec), r.place(b, spec)]
    op = kind.build(
        operands=operands, result_types=[r.type_of(b.view.dims, quant)], properties={"clamp": clamp_of(bounds)}
    )
    return r.made(r.emit(op, last_compute(trail), trail), b.view, quant)
