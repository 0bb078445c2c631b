"""Settling Add, Sub and Mul: of two int8 tensors, or of one and a stored int8 constant.

A stored constant obeys the same law as a computed tensor, but need not be one. Constant everywhere, the law is a
function of one tensor: a table. One code per channel, it is one pixel that the machine repeats; where the operand order
forbids that, the law is tried as an affine step, taken only if it gives the same codes for all 256 codes of every
channel. What varies within a channel is a tensor of the result's shape.
"""

from __future__ import annotations

import math

import numpy as np

from dialects import cnn
from dialects.blobs import to_blob
from dialects.meaning import kernels
from passes.onnx_to_cnn.context import Conversion, Spec, last_compute
from passes.onnx_to_cnn.tables import Bounds, clamp_of, looked_up
from passes.onnx_to_cnn.values import Binary, Codes, Quant, Stored, Trail, Unsupported
from passes.onnx_to_cnn.view import View

LAWS: dict[str, type[cnn.BinaryOp]] = {"Add": cnn.AddOp, "Sub": cnn.SubOp, "Mul": cnn.MulOp}
"""Operators of two int8 tensors that round by a law of their own."""

_CODES = np.arange(-128, 128).astype(np.int8)


def settle_pair(r: Conversion, real: Binary, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """Two tensors of one shape, or one of them a pixel of all channels."""
    operands = real.lhs, real.rhs
    if real.lhs.shape != real.shape and real.kind == "Mul":
        operands = real.rhs, real.lhs
    return paired(r, LAWS[real.kind], operands, real.shape, quant, bounds, trail)


def paired(
    r: Conversion,
    kind: type[cnn.BinaryOp],
    operands: tuple[Codes, Codes],
    whole: tuple[int, ...],
    quant: Quant,
    bounds: Bounds,
    trail: Trail,
) -> Codes:
    """An operation on two tensors whose result has the shape ``whole``; Unsupported where one would have to be repeated
    and the machine cannot."""
    lhs, rhs = operands
    if lhs.shape != whole:
        raise Unsupported(f"Its operands {list(lhs.shape)} and {list(rhs.shape)} both have to be repeated to "
                          "one shape; the machine repeats its second operand, one pixel, only.")  # fmt: skip
    rank = len(whole)
    shape = (1,) * (rank - len(rhs.shape)) + rhs.shape
    spec = r.spec_of(lhs.view) if lhs.storage.source is None else None
    if shape != whole:
        spec = _pixel_spec(r, lhs, shape)
    if len(rhs.shape) != rank:
        view = rhs.view.reshaped(shape)
        assert view is not None
        rhs = rhs.seen(view)
    first, second = r.place(lhs, spec), r.place(rhs, spec)
    view = View(lhs.view.logical, r.memory(lhs.view, spec))
    op = kind.build(
        operands=[first, second], result_types=[r.type_of(view.dims, quant)], properties={"clamp": clamp_of(bounds)}
    )
    return r.made(r.emit(op, last_compute(trail), trail), view, quant)


def _pixel_spec(r: Conversion, lhs: Codes, shape: tuple[int, ...]) -> Spec | None:
    """A memory order in which an operand of this shape is one pixel; Unsupported if there is none."""
    rank = len(shape)
    varying = [axis for axis in range(1, rank) if shape[axis] > 1]
    if len(varying) > 1 or shape[0] != lhs.shape[0] or any(shape[axis] != lhs.shape[axis] for axis in varying):
        raise Unsupported(f"It combines {list(lhs.shape)} with {list(shape)}; the machine combines tensors of one "
                          "shape, or one with one pixel of all channels.")  # fmt: skip
    alone = [axis for axis in range(1, rank) if lhs.shape[axis] == 1]
    if not varying and not alone and math.prod(lhs.shape[1:]) > 1:
        raise Unsupported(f"It repeats one computed number over {list(lhs.shape)}; the machine repeats a pixel of all "
                          "channels only.")  # fmt: skip
    channel = (varying or alone or [min(1, rank - 1)])[0]
    have = r.spec_of(lhs.view) if lhs.storage.source is None else None
    if have is not None and have[3] == (channel,) and have[0] in ((0,), ()):
        return have
    rest = [axis for axis in range(rank) if axis != channel]
    return tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (channel,)


def law(kind: str, a: tuple[np.ndarray, Quant], b: tuple[np.ndarray, Quant], quant: Quant, bounds: Bounds
        ) -> kernels.Int8:  # fmt: skip
    """Sections 5 and 6 on arrays of codes with their quantisations."""
    (left, qa), (right, qb) = a, b
    if kind == "Mul":
        scale = kernels.mul_scale(qa.scale, qb.scale, quant.scale)
        return kernels.mul(left, qa.zero, right, qb.zero, scale, quant.zero, *bounds)
    ratios = kernels.add_ratios(qa.scale, qa.zero, qb.scale, qb.zero, quant.scale, quant.zero, kind == "Sub")
    return kernels.add(left, right, ratios, *bounds)


def settle_stored(r: Conversion, real: Stored, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """An int8 tensor and an int8 constant, as cheap as the constant's shape allows."""
    rank = len(real.shape)
    constant = real.constant.codes.reshape((1,) * (rank - real.constant.codes.ndim) + real.constant.codes.shape)
    if np.unique(constant).size == 1:
        constant = constant.reshape(-1)[:1]
        table = _function(real, constant, quant, bounds)[0]
        return looked_up(r, real.codes, table, quant, real.kind, trail)
    axes = [axis for axis in range(rank) if constant.shape[axis] > 1]
    swapped = real.swapped and real.kind != "Mul"
    if len(axes) == 1 and axes[0] > 0 and not swapped:
        stored = r.constant_codes(real.constant, constant.shape)
        return settle_pair(r, Binary(real.shape, trail, real.kind, real.codes, stored), quant, bounds, trail)
    if len(axes) == 1 and (made := _as_affine(r, real, constant.reshape(-1), axes[0], quant, bounds, trail)):
        return made
    stored = r.constant_codes(real.constant, real.shape)
    pair = (stored, real.codes) if real.swapped else (real.codes, stored)
    return settle_pair(r, Binary(real.shape, trail, real.kind, *pair), quant, bounds, trail)


def _function(real: Stored, constant: np.ndarray, quant: Quant, bounds: Bounds) -> kernels.Int8:
    """The result for every constant code (rows) and all 256 codes of the tensor."""
    other = Quant(float(real.constant.scale.reshape(-1)[0]), int(real.constant.zero.reshape(-1)[0]))
    rows, columns = np.broadcast_arrays(constant.astype(np.int8)[:, None], _CODES)
    constants, tensor = (rows, other), (columns, real.codes.quant)
    first, second = (constants, tensor) if real.swapped else (tensor, constants)
    return law(real.kind, first, second, quant, bounds)


def _as_affine(r: Conversion, real: Stored, constant: np.ndarray, axis: int, quant: Quant, bounds: Bounds, trail: Trail
               ) -> Codes | None:  # fmt: skip
    """The law as an affine step per channel, if that gives every code's result; None if it does not."""
    source = real.codes.quant
    sign = -1.0 if real.kind == "Sub" else 1.0  # of the tensor, which comes second
    other = Quant(float(real.constant.scale.reshape(-1)[0]), int(real.constant.zero.reshape(-1)[0]))
    ra, rb, fix = kernels.add_ratios(other.scale, other.zero, source.scale, source.zero, quant.scale, quant.zero,
                                     sign < 0)  # fmt: skip
    scale = np.full(constant.size, rb, np.float32)
    offset = (ra * constant.astype(np.float64) + fix - quant.zero).astype(np.float32)
    tried = kernels.affine(np.repeat(_CODES[:, None], constant.size, 1), scale, offset, quant.zero, *bounds).T
    if not np.array_equal(tried, _function(real, constant, quant, bounds)):
        return None
    rank = len(real.shape)
    rest = [at for at in range(rank) if at != axis]
    spec = (tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (axis,))
    value = r.place(real.codes, spec)
    view = View(real.codes.view.logical, r.memory(real.codes.view, spec))
    op = cnn.AffineOp.build(
        operands=[value],
        result_types=[r.type_of(view.dims, quant)],
        properties={"scale": to_blob(scale), "offset": to_blob(offset), "clamp": clamp_of(bounds)},
    )
    return r.made(r.emit(op, last_compute(trail), trail), view, quant)
