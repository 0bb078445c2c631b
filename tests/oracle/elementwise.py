"""Functions of one or two tensors, element by element (docs/arithmetic.md, sections 4 to 8)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import laws
from .functions import BINARY
from .laws import F64, Ints
from .movement import Array
from .products import Products
from .values import (
    Affine,
    Known,
    Pending,
    Quantised,
    Sums,
    Table,
    Value,
    as_float,
    clipped,
    finish,
    refused,
)


class Elementwise(Products):
    """Handlers for tables, clamps, add, mul and affine functions."""

    def unary(self, function: Callable[[float], float], value: Value) -> Value:
        op_type = self.node.op_type
        if isinstance(value, Table) and value.override is None:
            return Table(value.codes, laws.apply_scalar(function, value.values), value.quantised)
        if isinstance(value, Known):
            distinct, where = np.unique(value.array.astype(np.float32), return_inverse=True)
            result = laws.apply_scalar(function, distinct)[where.reshape(value.array.shape)]
            return Known(result, value.constant)
        if op_type == "Relu":
            return clipped(value, 0.0, math.inf)

        def in_float() -> Array:
            array = as_float(value)
            return laws.apply_scalar(function, array.astype(np.float32)).reshape(array.shape)

        if isinstance(value, Table):
            return Table(value.codes, laws.apply_scalar(function, value.values), value.quantised)
        return refused(str(self.unsupported("its operand has no Q between; give it one")), in_float)

    def op_Clip(self) -> Value:
        low, high = self.attributes.get("min", -math.inf), self.attributes.get("max", math.inf)
        if self.value(1) is not None:
            low = float(self.scalar(1))
        if self.value(2) is not None:
            high = float(self.scalar(2))
        value = self.needed(0)
        if isinstance(value, Known) and value.array.dtype != np.float32:
            return Known(np.clip(value.array, low, high).astype(value.array.dtype), value.constant)
        if isinstance(value, Table | Known) and not (isinstance(value, Table) and value.override is not None):
            return self.unary(lambda u: min(max(u, low), high), value)
        return clipped(value, low, high)

    def op_PRelu(self) -> Value:
        slope, value = self.array(1), self.needed(0)
        assert slope is not None
        if slope.size == 1:
            scalar = float(slope.ravel()[0])
            return self.unary(lambda u: u if u >= 0 else scalar * u, value)

        def in_float() -> Array:
            real = as_float(value).astype(np.float32)
            return np.where(real >= 0, real, (real * slope.astype(np.float32)).astype(np.float32))

        if not isinstance(value, Table):
            return refused(str(self.unsupported("its operand has no Q between; give it one")), in_float)
        if not value.plain:
            return refused(str(self.unsupported("a slope per channel stands behind a DequantizeLinear")), in_float)
        source = value.quantised

        def finish_slopes(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            factor = slope.astype(np.float64)
            parameters = laws.affine_parameters(factor, np.zeros_like(factor), source.scale0, source.zero0, scale)
            below = laws.affine(source.codes, *parameters, zero, low, high)
            own = laws.clamp(laws.quantise(as_float(value), scale, zero), low, high)
            return np.where(source.codes < source.zero0, below, own)

        return Pending(finish_slopes, in_float)

    def binary(self, op_type: str, left: Value, right: Value) -> Value:
        function = BINARY[op_type]

        def in_float() -> Array:
            a, b = np.broadcast_arrays(as_float(left), as_float(right))
            if a.dtype.kind in "iu":
                return np.array(
                    [function(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)], a.dtype
                ).reshape(a.shape)
            return laws.apply_scalar(function, a.astype(np.float32), b.astype(np.float32))

        if isinstance(left, Known) and isinstance(right, Known):
            return Known(in_float(), left.constant and right.constant)
        if op_type == "Add" and isinstance(left, Known) and isinstance(right, Sums):
            left, right = right, left
        if isinstance(left, Sums) and isinstance(right, Known) and right.constant:
            return self.after_sums(op_type, left, right, in_float)
        if op_type == "Add":
            for sums, other in ((left, right), (right, left)):
                if isinstance(sums, Sums) and isinstance(other, Table) and other.plain:
                    return self.wide_sum(sums, other.quantised, in_float)
        return self.binary_codes(op_type, left, right, in_float)

    def wide_sum(self, sums: Sums, other: Quantised, in_float: Callable[[], Array]) -> Pending:
        """A convolution's float result plus a dequantised tensor: rounded once, at the QuantizeLinear."""
        if sums.sums.shape != other.codes.shape:
            return refused(str(self.unsupported("a wide sum is of two tensors of one shape")), in_float)

        def finish_sum(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            total, weights = sums.settled()
            ratio = sums.spread(laws.requantise_scale(sums.scale_in, weights, scale))
            quant = (other.scale0, other.zero0)
            return laws.wide_sum(total, ratio, other.codes, quant, (scale, zero), (low, high))

        return Pending(finish_sum, in_float)

    def after_sums(self, op_type: str, sums: Sums, constant: Known, in_float: Callable[[], Array]) -> Value:
        """A constant right after a convolution: a bias, or a factor to fold."""
        count = sums.scale_weight.size
        fits = self.channel_shaped(constant.array, sums.sums.ndim, sums.axis, count)
        if not fits or op_type not in ("Add", "Sub", "Mul", "Div"):
            return refused(
                str(self.unsupported("this constant cannot be folded into the operation before it")), in_float
            )
        vector = np.broadcast_to(constant.array.astype(np.float64).ravel(), (count,))
        if op_type == "Add" and sums.factor is None:
            return self.add_bias(sums, constant)
        zeros, ones = np.zeros(count), np.ones(count)
        match op_type:
            case "Add":
                return self.scaled(sums, ones, vector)
            case "Sub":
                return self.scaled(sums, ones, -vector)
            case "Mul":
                return self.scaled(sums, vector, zeros)
            case _:
                return self.scaled(sums, 1.0 / vector, zeros)

    def binary_codes(self, op_type: str, left: Value, right: Value, in_float: Callable[[], Array]) -> Value:
        law = self.two_tensor_law(op_type, left, right, in_float)
        same = isinstance(left, Table) and isinstance(right, Table) and left.codes is right.codes
        if isinstance(left, Table) and isinstance(right, Table) and same:
            values = laws.apply_scalar(BINARY[op_type], left.values, right.values)
            return Table(left.codes, values, left.quantised, override=law)
        table, other = (left, right) if isinstance(left, Table) else (right, left)
        if isinstance(table, Table) and isinstance(other, Known) and other.constant:
            if other.array.size == 1 and other.array.ndim <= table.codes.ndim:
                scalar = np.full(256, other.array.ravel()[0], np.float32)
                pair = (table.values, scalar) if table is left else (scalar, table.values)
                values = laws.apply_scalar(BINARY[op_type], *pair)
                linear = self.linear(op_type, table.linear, float(other.array.ravel()[0]), table is left)
                return Table(table.codes, values, table.quantised, linear=linear, override=law)
            if law is not None:
                return law
            affine = self.affine(op_type, table, other.array, table is left)
            if affine is not None:
                return affine
        if law is not None:
            return law
        if isinstance(left, Affine) and isinstance(right, Known) and right.constant:
            return self.more_affine(op_type, left, right.array, in_float)
        if op_type in ("Add", "Mul") and isinstance(right, Affine) and isinstance(left, Known) and left.constant:
            return self.more_affine(op_type, right, left.array, in_float)
        if op_type in ("Max", "Min") and not isinstance(left, Known) and not isinstance(right, Known):
            pick = np.maximum if op_type == "Max" else np.minimum
            return Pending(lambda *output: pick(finish(left, *output), finish(right, *output)), in_float)
        return refused(str(self.unsupported("its operands are not both int8 behind DequantizeLinear")), in_float)

    def two_tensor_law(self, op_type: str, left: Value, right: Value, in_float: Callable[[], Array]) -> Pending | None:
        """The add, sub or mul law, if both sides are int8 behind nothing but a DequantizeLinear."""
        a, b = self.plain(left), self.plain(right)
        if a is None or b is None or op_type not in ("Add", "Sub", "Mul"):
            return None

        def finish_law(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            operands = (a.codes, a.scale0, a.zero0, b.codes, b.scale0, b.zero0, scale, zero, low, high)
            return (
                laws.mul(*operands) if op_type == "Mul" else laws.add(*operands, sign_b=-1 if op_type == "Sub" else 1)
            )

        return Pending(finish_law, in_float)

    @staticmethod
    def plain(value: Value) -> Quantised | None:
        if isinstance(value, Table) and value.plain:
            return value.quantised
        if isinstance(value, Known) and value.constant and value.quantised is not None and value.quantised.single:
            return value.quantised if value.quantised.width == 8 else None
        return None

    @staticmethod
    def linear(
        op_type: str, old: tuple[float, float] | None, constant: float, table_first: bool
    ) -> tuple[float, float] | None:
        """A*v + D after one more operation with a scalar."""
        if old is None:
            return None
        factor, offset = old
        match op_type:
            case "Add":
                return factor, offset + constant
            case "Sub":
                return (factor, offset - constant) if table_first else (-factor, constant - offset)
            case "Mul":
                return factor * constant, offset * constant
            case "Div" if table_first and constant != 0:
                return factor / constant, offset / constant
            case _:
                return None

    def affine(self, op_type: str, table: Table, constant: Array, table_first: bool) -> Affine | None:
        if table.linear is None:
            return None
        shape = (1,) * (table.codes.ndim - constant.ndim) + constant.shape
        if len(shape) != table.codes.ndim or sum(size > 1 for size in shape) > 1:
            return None
        start = Affine(table.quantised, np.full(shape, table.linear[0]), np.full(shape, table.linear[1]))
        value = constant.astype(np.float64).reshape(shape)
        if op_type == "Sub" and not table_first:
            return Affine(start.quantised, -start.factor, value - start.offset)
        if op_type == "Div" and not table_first:
            return None
        return self.composed(op_type, start, value)

    @staticmethod
    def composed(op_type: str, start: Affine, value: F64) -> Affine | None:
        match op_type:
            case "Add":
                return Affine(start.quantised, start.factor, start.offset + value)
            case "Sub":
                return Affine(start.quantised, start.factor, start.offset - value)
            case "Mul":
                return Affine(start.quantised, start.factor * value, start.offset * value)
            case "Div":
                return Affine(start.quantised, start.factor / value, start.offset / value)
            case _:
                return None

    def more_affine(self, op_type: str, start: Affine, constant: Array, in_float: Callable[[], Array]) -> Value:
        value = constant.astype(np.float64)
        if np.broadcast_shapes(value.shape, start.factor.shape) == start.factor.shape:
            result = self.composed(op_type, start, value)
            if result is not None:
                return result
        return refused(str(self.unsupported("this constant cannot join the affine function before it")), in_float)

    def op_BatchNormalization(self) -> Value:
        if self.attributes.get("training_mode", 0) or len([name for name in self.node.output if name]) > 1:
            raise self.unsupported("the statistics of a batch have no law")
        value = self.needed(0)
        gamma, beta, mean, variance = (np.asarray(self.array(place), np.float64) for place in range(1, 5))
        factor = gamma / np.sqrt(variance + float(self.attributes.get("epsilon", np.float32(1e-5))))
        offset = beta - mean * factor
        if isinstance(value, Sums) and value.axis == 1:
            return self.scaled(value, factor, offset)
        rank = (
            as_float(value).ndim if isinstance(value, Known) else (value.codes.ndim if isinstance(value, Table) else 4)
        )
        shape = (1, -1, *[1] * (rank - 2))
        if isinstance(value, Table) and value.linear is not None:
            first, second = value.linear
            return Affine(value.quantised, (factor * first).reshape(shape), (factor * second + offset).reshape(shape))
        in_float = lambda: (as_float(value) * factor.reshape(shape) + offset.reshape(shape)).astype(np.float32)  # noqa: E731
        return refused(str(self.unsupported("its operand has no Q between; give it one")), in_float)
