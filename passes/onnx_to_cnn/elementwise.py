"""Reading operators that treat every element alike: functions of one number, sums, products, batch normalisation.

Which law applies depends on what waits: behind a convolution a constant is a bias or a factor per channel; over one
int8 tensor any tree of functions is one table; per-channel factors over an int8 tensor are an affine operation; and
two int8 tensors meet in add or mul.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dialects import cnn
from dialects.onnx import NodeOp, element_of
from passes.onnx_to_cnn import scalar
from passes.onnx_to_cnn.context import Conversion, float32_vector
from passes.onnx_to_cnn.functions import one_more
from passes.onnx_to_cnn.moves import moved
from passes.onnx_to_cnn.pairs import LAWS, paired
from passes.onnx_to_cnn.products import Composition, channel_vector, composed, is_bias, with_bias
from passes.onnx_to_cnn.settle import settle
from passes.onnx_to_cnn.slopes import sloped
from passes.onnx_to_cnn.tables import FULL
from passes.onnx_to_cnn.values import (
    Affine,
    Array,
    Binary,
    Clip,
    Codes,
    Dequantised,
    Known,
    KnownCodes,
    Meaning,
    Quant,
    Raw,
    Real,
    Scalar,
    Stored,
    Sums,
    Unsupported,
    Wide,
    with_trail,
)

CODES = np.arange(-128, 128)

_FLOATS = ("f16", "bf16", "f32", "f64")


def as_scalar(value: Meaning) -> Scalar | None:
    """A value as a function of one int8 tensor, if it is one."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, Dequantised):
        quant = value.codes.quant
        values = (CODES - quant.zero).astype(np.float32) * np.float32(quant.scale)
        return Scalar(value.shape, value.trail, value.codes, values, (1.0, 0.0), "Identity")
    if isinstance(value, Clip):
        inner = as_scalar(value.child)
        if inner is None:
            return None
        clip = scalar.rounded(_bounded(value.low, value.high), inner.values)
        return Scalar(value.shape, value.trail, inner.codes, clip, None, "Clip")
    if isinstance(value, Stored) and np.unique(value.constant.codes).size == 1:
        inner = as_scalar(Dequantised(value.codes.shape, (), value.codes))
        assert inner is not None
        table = _table(value.trail[-1], inner, float(value.constant.real.reshape(-1)[0]), value.swapped)
        return Scalar(value.shape, value.trail, value.codes, table.values, table.linear, value.kind)
    return None


def _rounded(r: Conversion, node: NodeOp, value: Meaning) -> Scalar:
    """The codes of a value, as a function of themselves; Unsupported says what is in the way of any."""
    codes = r.codes(value, node)
    made = as_scalar(Dequantised(codes.shape, (), codes))
    assert made is not None
    return made


def _bounded(low: float, high: float) -> scalar.Function:
    return lambda u: min(max(u, low), high)


def read_unary(r: Conversion, node: NodeOp) -> Meaning:
    """A function of one number."""
    function = scalar.function_of(node.op_type.data, node.attribute_values())
    if function is None:
        raise Unsupported(f"{node.kind} is not supported by the machine.")
    return _function(r, node, r.operand(node, 0), function)


def _function(r: Conversion, node: NodeOp, value: Meaning, function: scalar.Function) -> Meaning:
    inner = as_scalar(value)
    if inner is None and (made := one_more(node, value, function)) is not None:
        return made
    if inner is None:
        inner = _rounded(r, node, value)
    return Scalar(inner.shape, (*inner.trail, node), inner.codes, scalar.rounded(function, inner.values), None,
                  node.op_type.data)  # fmt: skip


def read_relu(r: Conversion, node: NodeOp) -> Meaning:
    """Relu clips at 0."""
    return _clip(r, node, 0.0, float("inf"))


def read_clip(r: Conversion, node: NodeOp) -> Meaning:
    """Clip with constant bounds."""
    bounds: list[float] = []
    for index, default in ((1, float("-inf")), (2, float("inf"))):
        value = r.known(node, index)
        bounds.append(default if value is None else float(np.float32(value.reshape(-1)[0])))
    return _clip(r, node, min(bounds), bounds[1])  # where the bounds cross, everything becomes the upper one


def _clip(r: Conversion, node: NodeOp, low: float, high: float) -> Meaning:
    return _clipped(r, node, r.operand(node, 0), low, high)


def _clipped(r: Conversion, node: NodeOp, value: Meaning, low: float, high: float) -> Meaning:
    if isinstance(value, Scalar):
        return _function(r, node, value, _bounded(low, high))
    if isinstance(value, Codes):
        return _codes_clipped(r, node, value, low, high)
    if not isinstance(value, Real):
        value = Dequantised(r.codes(value, node).shape, (), r.codes(value, node))
    return Clip(value.shape, (*value.trail, node), value, low, high)


def _codes_clipped(r: Conversion, node: NodeOp, codes: Codes, low: float, high: float) -> Codes:
    """Clip between a QuantizeLinear and its DequantizeLinear, as fake quantisers of fewer than 256 steps leave it."""
    shift = 128 if element_of(node.outputs[0]) == "ui8" else 0
    bounds = tuple(int(min(max(bound - shift, -128), 127)) for bound in (low, high))
    return settle(r, Dequantised(codes.shape, (), codes), codes.quant, (bounds[0], bounds[1]), (node,))


def read_prelu(r: Conversion, node: NodeOp) -> Meaning:
    """PRelu with one slope, or one per channel."""
    slope = r.known(node, 1)
    assert slope is not None
    if np.unique(slope).size != 1:
        return sloped(node, r.codes(r.operand(node, 0), node), slope)
    alpha = float(np.float32(slope.reshape(-1)[0]))
    return _function(r, node, r.operand(node, 0), lambda u: u if u >= 0 else alpha * u)


def read_cast(r: Conversion, node: NodeOp) -> Meaning:
    """Cast to a wider float type changes nothing; to a narrower one it rounds, which is a function of one number."""
    value, target = r.operand(node, 0), element_of(node.outputs[0])
    source = element_of(node.inputs[0])
    if isinstance(value, Codes | Raw) and source == target:
        return value
    if source in _FLOATS and target in ("f32", "f64", source):
        return value
    if source in _FLOATS and target in scalar.ROUNDED:
        return _function(r, node, value, scalar.ROUNDED[target])
    raise Unsupported(f"It casts a computed tensor from {source} to {target}.")


def read_binary(r: Conversion, node: NodeOp) -> Meaning:
    """Add, Sub, Mul, Div, Pow."""
    a, b = r.operand(node, 0), r.operand(node, 1)
    if isinstance(b, Known | KnownCodes):
        return _with_constant(r, node, a, b, False)
    if isinstance(a, Known | KnownCodes):
        return _with_constant(r, node, b, a, True)
    return _two_tensors(r, node, a, b)


def read_extreme(r: Conversion, node: NodeOp) -> Meaning:
    """Min and Max of any number of operands: a constant number is a bound; of constants only the tightest counts."""
    smallest = node.op_type.data == "Min"
    computed: list[Meaning] = []
    constant: Array | None = None
    for index in range(len(node.inputs)):
        if (array := r.known(node, index)) is None:
            computed.append(r.operand(node, index))
        elif constant is None:
            constant = array
        else:
            constant = np.minimum(constant, array) if smallest else np.maximum(constant, array)
    value = computed[0]
    for other in computed[1:]:
        value = _two_tensors(r, node, value, other)
    if constant is None:
        return value
    if constant.size != 1 or (isinstance(value, Real) and constant.ndim > len(value.shape)):
        return _with_constant(r, node, value, Known(constant), False)
    bound = float(np.float32(constant.reshape(-1)[0]))
    return _clipped(r, node, value, -np.inf if smallest else bound, bound if smallest else np.inf)


def _two_tensors(r: Conversion, node: NodeOp, a: Meaning, b: Meaning) -> Meaning:
    kind = node.op_type.data
    plain = isinstance(a, Dequantised) and isinstance(b, Dequantised)
    first, second = as_scalar(a), as_scalar(b)
    if first is not None and second is not None and first.codes is second.codes:
        if not (plain and kind in LAWS):
            values = scalar.rounded(scalar.BINARY[kind], first.values, second.values)
            trail = tuple(dict.fromkeys((*first.trail, *second.trail, node)))
            return Scalar(first.shape, trail, first.codes, values, None, kind)
    if (made := one_more(node, a, scalar.BINARY[kind], b)) is not None:
        return made
    if kind in CHOICES:
        return _chosen(r, node, a, b)
    for sums, other in ((a, b), (b, a)):
        if kind == "Add" and isinstance(sums, Sums) and isinstance(other, Real) and sums.shape == other.shape:
            return Wide(sums.shape, (*sums.trail, node), sums, r.codes(other, node))
    lhs, rhs = r.codes(a, node), r.codes(b, node)
    if kind not in LAWS:
        raise Unsupported(f"{kind} of two computed tensors is not supported; {', '.join((*LAWS, *CHOICES))} are.")
    shape = tuple(np.broadcast_shapes(lhs.shape, rhs.shape))
    return Binary(shape, (node,), kind, lhs, rhs)


CHOICES: dict[str, type[cnn.BinaryOp]] = {"Max": cnn.MaxOp, "Min": cnn.MinOp}
"""Operators that choose between two values. Quantising keeps order, so they choose between codes of one scale."""


def _chosen(r: Conversion, node: NodeOp, a: Meaning, b: Meaning) -> Meaning:
    kind = CHOICES[node.op_type.data]
    shape = tuple(np.broadcast_shapes(*(value.shape for value in (a, b) if isinstance(value, Real | Codes))))

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        return paired(r, kind, (codes[0], codes[1]), shape, quant, FULL, (node,))

    return moved(r, node, [a, b], move, shape)


def _with_constant(r: Conversion, node: NodeOp, value: Meaning, constant: Known | KnownCodes, swapped: bool) -> Meaning:
    kind = node.op_type.data
    array = constant.real if isinstance(constant, KnownCodes) else constant.array.astype(np.float32)
    is_code = isinstance(constant, KnownCodes) and constant.element in ("i8", "ui8") and constant.scale.size == 1
    stored = is_code and isinstance(value, Dequantised) and kind in LAWS
    if isinstance(value, Real) and (shape := tuple(np.broadcast_shapes(value.shape, array.shape))) != value.shape:
        if stored and isinstance(value, Dequantised) and isinstance(constant, KnownCodes):
            return Stored(shape, (*value.trail, node), kind, value.codes, constant, swapped)
        raise Unsupported(f"Its constant repeats its other operand, {list(value.shape)}, to {list(shape)}; the machine "
                          "combines tensors of one shape.")  # fmt: skip
    if isinstance(value, Sums):
        return _behind_sums(node, value, constant, array, swapped)
    if array.size == 1 and (made := one_more(node, value, _with_number(kind, array, swapped))) is not None:
        return made
    if isinstance(value, Affine):
        compose = _composition(kind, array, swapped)
        if compose is None or not channel_vector(array.shape, value.shape, value.axis):
            raise Unsupported("Behind a factor per channel only another factor or offset per channel can stand; "
                              "put a QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
        return with_trail(composed(value, compose), node)
    inner = as_scalar(value) or _rounded(r, node, value)
    if stored and isinstance(value, Dequantised) and isinstance(constant, KnownCodes):
        return Stored(value.shape, (*value.trail, node), kind, value.codes, constant, swapped)
    if array.size == 1:
        return _table(node, inner, float(array.reshape(-1)[0]), swapped)
    return _affine(node, inner, array, swapped)


def _with_number(kind: str, array: Array, swapped: bool) -> scalar.Function:
    """An operator whose other operand is one number."""
    function, number = scalar.BINARY[kind], float(array.reshape(-1)[0])
    return (lambda u: function(number, u)) if swapped else (lambda u: function(u, number))


def _table(node: NodeOp, inner: Scalar, number: float, swapped: bool) -> Scalar:
    kind = node.op_type.data
    apply = _with_number(kind, np.asarray([number]), swapped)
    compose = _composition(kind, np.asarray([number]), swapped)
    linear = None
    if inner.linear is not None and compose is not None:
        a, d = compose(np.full(1, inner.linear[0]), np.full(1, inner.linear[1]))
        linear = (float(a[0]), float(d[0]))
    values = scalar.rounded(apply, inner.values)
    return Scalar(inner.shape, (*inner.trail, node), inner.codes, values, linear, kind)


def _affine(node: NodeOp, inner: Scalar, array: Array, swapped: bool) -> Affine:
    rank = len(inner.shape)
    aligned = (1,) * (rank - array.ndim) + array.shape
    axes = [axis for axis, n in enumerate(aligned) if n > 1]
    compose = _composition(node.op_type.data, array, swapped)
    if len(axes) != 1 or aligned[axes[0]] != inner.shape[axes[0]]:
        raise Unsupported("Its constant varies along more than one axis; the machine has one number per channel.")
    if compose is None or inner.linear is None:
        raise Unsupported(f"{node.op_type.data} with one constant per channel has no operation on the machine here; "
                          "add, subtract, multiply and divide do, directly behind a DequantizeLinear.")  # fmt: skip
    k = inner.shape[axes[0]]
    start = Affine(inner.shape, (*inner.trail, node), inner.codes, np.full(k, inner.linear[0]),
                   np.full(k, inner.linear[1]), axes[0])  # fmt: skip
    made = composed(start, compose)
    assert isinstance(made, Affine)
    return made


def _composition(kind: str, array: Array, swapped: bool) -> Composition | None:
    """What Add, Sub, Mul and Div by a constant make of A·v + D; None for what is not linear."""
    c = float32_vector(array).astype(np.float64)
    match kind:
        case "Add":
            return lambda a, d: (a, d + c)
        case "Sub":
            return (lambda a, d: (-a, c - d)) if swapped else (lambda a, d: (a, d - c))
        case "Mul":
            return lambda a, d: (a * c, d * c)
        case "Div" if not swapped and (c != 0).all():
            return lambda a, d: (a / c, d / c)
        case _:
            return None


def _behind_sums(node: NodeOp, sums: Sums, constant: Known | KnownCodes, array: Array, swapped: bool) -> Meaning:
    kind = node.op_type.data
    if not is_bias(sums, constant):
        raise Unsupported("Its constant varies within a channel; behind a convolution the machine adds or multiplies "
                          "one number per channel. Put a QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
    function = one_more(node, sums, _with_number(kind, array, swapped)) if array.size == 1 else None
    origin = (function.child, function.apply) if function is not None else None
    if kind == "Add" and sums.factor is None:
        return replace(with_trail(with_bias(sums, constant), node), origin=origin)
    compose = _composition(kind, array, swapped)
    if compose is None and function is not None:
        return function
    if compose is None:
        raise Unsupported(f"{kind} stands between a convolution and its QuantizeLinear; there it has no int8 tensor to "
                          "work on. Put a QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
    return replace(with_trail(composed(sums, compose), node), origin=origin)


def read_batch_norm(r: Conversion, node: NodeOp) -> Meaning:
    """A = γ/√(var + ε), D = β − mean·A per channel, in float64."""
    parts = [r.known(node, index) for index in range(1, 5)]
    gamma, beta, mean, variance = (np.asarray(part, np.float64).reshape(-1) for part in parts)
    factor = gamma / np.sqrt(variance + float(np.float32(node.get_float("epsilon", 1e-5))))
    offset = beta - mean * factor
    compose: Composition = lambda a, d: (a * factor, d * factor + offset)  # noqa: E731
    value = r.operand(node, 0)
    if isinstance(value, Sums | Affine):
        return with_trail(composed(value, compose), node)
    inner = as_scalar(value) or _rounded(r, node, value)
    if inner.linear is None:
        raise Unsupported("BatchNormalization stands behind a function that it cannot be folded into; put a "
                          "QuantizeLinear and a DequantizeLinear before it.")  # fmt: skip
    k = factor.shape[0]
    start = Affine(inner.shape, (*inner.trail, node), inner.codes, np.full(k, inner.linear[0]),
                   np.full(k, inner.linear[1]), 1)  # fmt: skip
    return composed(start, compose)
