"""Settling Add, Sub and Mul: of two int8 tensors, or of one and a stored int8 constant.

Shapes broadcast as in ONNX. The vector unit reads a second operand of one row, one column or one pixel again and again;
whatever else has to be repeated is spread out first.

A stored constant obeys the same law as a computed tensor, but need not be one. Constant everywhere, the law is a
function of one tensor: a table. One code per channel, it is one pixel that the machine repeats; where the operand order
forbids that, the law is tried as an affine step, taken only if it gives the same codes for all 256 codes of every
channel. What varies within a channel is a tensor of the result's shape.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.blobs import to_blob
from dialects.meaning import kernels
from passes.onnx_to_cnn.context import Conversion, Spec, last_compute, standard_spec
from passes.onnx_to_cnn.tables import FULL, Bounds, clamp_of, looked_up
from passes.onnx_to_cnn.values import Binary, Codes, Quant, Stored, Trail, Unsupported
from passes.onnx_to_cnn.view import View

LAWS: dict[str, type[cnn.BinaryOp]] = {"Add": cnn.AddOp, "Sub": cnn.SubOp, "Mul": cnn.MulOp}
"""Operators of two int8 tensors that round by a law of their own."""

MOST_REPEATS = 255
"""How often a resize repeats a pixel: an 8-bit field counts it."""

_CODES = np.arange(-128, 128).astype(np.int8)


def settle_pair(r: Conversion, real: Binary, quant: Quant, bounds: Bounds, trail: Trail) -> Codes:
    """Two tensors, each of the result's shape or repeated to it."""
    return paired(r, LAWS[real.kind], (real.lhs, real.rhs), real.shape, quant, bounds, trail)


def paired(
    r: Conversion,
    kind: type[cnn.BinaryOp],
    operands: tuple[Codes, Codes],
    whole: tuple[int, ...],
    quant: Quant,
    bounds: Bounds,
    trail: Trail,
) -> Codes:
    """An operation on two tensors whose result has the shape ``whole``.

    The machine repeats rows and columns of the second operand as it reads them. What the first lacks, and channels, are
    spread before; which is which does not matter where operands may change places.
    """
    lhs, rhs = (_aligned(codes, len(whole)) for codes in operands)
    if lhs.shape != whole and rhs.shape == whole and kind not in (cnn.AddOp, cnn.SubOp):
        lhs, rhs = rhs, lhs
    spec = _common_spec(r, lhs, rhs, whole)
    leading = lhs if lhs.shape == whole else rhs if rhs.shape == whole else None
    logical = leading.view.logical if leading is not None else View.canonical(whole).logical
    view = View(logical, r.memory(View(logical, lhs.view.memory), spec))
    first = spread(r, r.place(lhs, spec), view.dims)
    second = r.place(rhs, spec)
    if (thin := cnn.tensor_of(second).dims)[3] != view.dims[3]:
        second = spread(r, second, (*thin[:3], view.dims[3]))
    op = kind.build(
        operands=[first, second], result_types=[r.type_of(view.dims, quant)], properties={"clamp": clamp_of(bounds)}
    )
    return r.made(r.emit(op, last_compute(trail), trail), view, quant)


def _aligned(codes: Codes, rank: int) -> Codes:
    """The codes with so many axes, ONNX's way: ones in front."""
    if len(codes.shape) == rank:
        return codes
    view = codes.view.reshaped((1,) * (rank - len(codes.shape)) + codes.shape)
    assert view is not None
    return codes.seen(view)


def _common_spec(r: Conversion, lhs: Codes, rhs: Codes, whole: tuple[int, ...]) -> Spec | None:
    """An order in memory in which both operands are whole, or one, along rows, columns and channels each; that in which
    one of them lies if it is such, the first rather than the second."""
    lying = [r.spec_of(codes.view) for codes in (lhs, rhs) if codes.shape == whole and codes.storage.source is None]
    if lhs.shape == rhs.shape:
        return lying[0] if lying else None
    if lhs.shape[0] != rhs.shape[0]:
        raise Unsupported("It repeats one image over a batch; the machine works on one image at a time.")
    rank = len(whole)
    thin = [axis for axis in range(1, rank) if whole[axis] > 1 and 1 in (lhs.shape[axis], rhs.shape[axis])]
    alike = [axis for axis in (*range(2, rank), 1) if axis < rank and axis not in thin and whole[axis] > 1]
    # A host turns its tensors for nothing: what both have become channels, one pixel for all.
    made: Spec = ((0,), tuple(thin[:-1]), tuple(thin[-1:]), tuple(alike)) if rank > 1 else ((), (), (), (0,))
    usual = standard_spec(rank)
    held = all(codes.storage.source is not None for codes in (lhs, rhs))
    for spec in (*lying, *((made, usual) if held else (usual, made))):
        if spec is not None and all(_alike(part, codes.shape, whole) for part in spec[1:] for codes in (lhs, rhs)):
            return spec
    return made


def _alike(part: tuple[int, ...], shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a tensor of this shape is whole along these axes together, or one."""
    sizes = [(shape[axis], whole[axis]) for axis in part if whole[axis] > 1]
    return all(size == 1 for size, _ in sizes) or all(size == full for size, full in sizes)


def spread(r: Conversion, value: SSAValue, dims: tuple[int, int, int, int]) -> SSAValue:
    """Rows, columns and channels of one element as many as ``dims`` says: channels by a product with ones, which gives
    every code back (its factor is 1), rows and columns by repeating pixels."""
    kind = cnn.tensor_of(value)
    quant = Quant(kind.scale.data, kind.zero.data)
    n, height, width, channels = kind.dims
    if channels != dims[3]:
        many = dims[3]
        properties = {
            "weights": to_blob(np.ones((many, 1, 1, 1), np.int8)),
            "bias": to_blob(np.zeros(many, np.int32)),
            "scales": to_blob(np.ones(many, np.float32)),
            "window": cnn.WindowAttr.of((1, 1)),
            "quant": kind.quant,
            "clamp": clamp_of(FULL),
        }
        result = r.type_of((n, height, width, many), quant)
        op = cnn.Conv2dOp.build(operands=[value, None], result_types=[result], properties=properties)
        value = r.emit(op, "spread", ())
    if (height, width) == dims[1:3]:
        return value
    result = r.type_of(dims, quant)
    factors = [full // size for full, size in zip(dims[1:3], (height, width), strict=True)]
    if max(factors) <= MOST_REPEATS:
        repeats = {"factors": cnn.integers(factors)}
        return r.emit(cnn.ResizeOp.build(operands=[value], result_types=[result], properties=repeats), "spread", ())
    lists = {
        name: cnn.integers([0] * full)
        for name, full, size in zip(("rows", "columns"), dims[1:3], (height, width), strict=True)
        if full != size
    }
    return r.emit(cnn.SelectOp.build(operands=[value], result_types=[result], properties=lists), "spread", ())


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
    if real.codes.shape == real.shape and np.unique(constant).size == 1:
        constant = constant.reshape(-1)[:1]
        table = _function(real, constant, quant, bounds)[0]
        return looked_up(r, real.codes, table, quant, real.kind, trail)
    axes = [axis for axis in range(rank) if constant.shape[axis] > 1]
    swapped = real.swapped and real.kind != "Mul"
    if len(axes) == 1 and axes[0] > 0 and not swapped:
        stored = r.constant_codes(real.constant, constant.shape)
        return settle_pair(r, Binary(real.shape, trail, real.kind, real.codes, stored), quant, bounds, trail)
    if (
        real.codes.shape == real.shape
        and len(axes) == 1
        and (made := _as_affine(r, real, constant.reshape(-1), axes[0], quant, bounds, trail))
    ):
        return made
    thin = (1, real.shape[1]) if rank > 1 else (1,)  # channels are spread here, rows and columns by the machine
    shape = tuple(max(n, m) for n, m in zip(constant.shape, (*thin, *constant.shape[2:]), strict=True))
    stored = r.constant_codes(real.constant, real.shape if swapped else shape)
    pair = (stored, real.codes) if swapped else (real.codes, stored)
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
