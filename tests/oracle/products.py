"""Convolution and matrix products (docs/arithmetic.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import laws
from .core import Core
from .geometry import Window, convolve, convolve_transposed, make_window
from .laws import F64, Ints
from .movement import Array
from .values import (
    Known,
    Pending,
    Quantised,
    Sums,
    Table,
    Value,
    as_float,
    refused,
)

BIAS_TOLERANCE = 1e-4


class Products(Core):
    """Handlers for operators that sum products."""

    def weights(self, value: Value, axis: int, count: int) -> tuple[Ints, Array] | None:
        """Weights less their zero points and the scales per output channel, or None if they are not 8-bit constants."""
        if not isinstance(value, Known) or value.quantised is None or not value.constant:
            return None
        scale, zero = value.quantised.along(
            axis, count, f"{self.node.op_type} {self.node.name or self.node.output[0]!r}"
        )
        shape = [1] * value.quantised.codes.ndim
        shape[axis] = -1
        return value.quantised.codes - zero.reshape(shape), scale

    def windows(self) -> Callable[[tuple[int, ...], tuple[int, ...]], Window]:
        """From spatial sizes and kernel to the window the current node's attributes describe."""
        get = self.attributes.get
        auto_pad, ceil = get("auto_pad", b"NOTSET").decode(), bool(get("ceil_mode", 0))

        def resolve(sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
            return make_window(sizes, kernel, get("strides"), get("dilations"), get("pads"), auto_pad, ceil)

        return resolve

    def with_bias(self, sums: Sums, bias: Value | None) -> Value:
        return sums if bias is None else self.add_bias(sums, bias)

    def integer_bias(self, sums: Sums, bias: Known) -> Ints:
        """Rules 1 to 3 of section 3; one integer per output channel."""
        count = sums.scale_weight.size
        unit = float(sums.scale_in) * sums.scale_weight.astype(np.float64)
        quantised = bias.quantised
        if quantised is not None and not quantised.zero.any() and quantised.codes.size in (1, count):
            close = np.abs(quantised.scale.astype(np.float64) - unit) <= BIAS_TOLERANCE * unit
            if bool(close.all()):
                return np.broadcast_to(quantised.codes.ravel(), (count,))
        return laws.bias_codes(
            np.broadcast_to(bias.array.astype(np.float32).ravel(), (count,)), sums.scale_in, sums.scale_weight
        )

    def channel_shaped(self, array: Array, rank: int, axis: int, count: int) -> bool:
        """Whether a constant broadcasts along `axis` only."""
        shape = (1,) * (rank - array.ndim) + array.shape
        return len(shape) == rank and all(
            size in (1, count if place == axis else 1) for place, size in enumerate(shape)
        )

    def add_bias(self, sums: Sums, bias: Value) -> Value:
        def in_float() -> Array:
            vector = as_float(bias)
            return (sums.to_float() + (sums.spread(vector) if vector.ndim == 1 else vector)).astype(np.float32)

        if not isinstance(bias, Known) or not bias.constant:
            return refused(
                str(self.unsupported("the bias is no constant, or an activation is added without a Q")), in_float
            )
        if sums.factor is not None and sums.offset is not None:
            vector = np.broadcast_to(bias.array.astype(np.float64).ravel(), sums.offset.shape)
            return self.scaled(sums, np.ones_like(vector), vector)
        return Sums(
            sums.sums,
            sums.scale_in,
            sums.scale_weight,
            sums.bias + self.integer_bias(sums, bias),
            sums.axis,
            sums.raw_offset,
            name=sums.name,
        )

    @staticmethod
    def scaled(sums: Sums, factor: F64, offset: F64) -> Sums:
        old_factor = np.ones_like(factor) if sums.factor is None else sums.factor
        old_offset = np.zeros_like(offset) if sums.offset is None else sums.offset
        return Sums(
            sums.sums,
            sums.scale_in,
            sums.scale_weight,
            sums.bias,
            sums.axis,
            sums.raw_offset,
            old_factor * factor,
            old_offset * factor + offset,
            sums.name,
        )

    def no_law(self, in_float: Callable[[], Array]) -> Pending:
        return refused(str(self.unsupported("needs int8 operands behind DequantizeLinear, weights constant")), in_float)

    def op_Conv(self) -> Value:
        x, w = self.needed(0), self.needed(1)
        groups = int(self.attributes.get("group", 1))
        bias, windows = self.value(2), self.windows()

        def in_float() -> Array:
            values, kernel = as_float(x).astype(np.float64), as_float(w).astype(np.float64)
            window = windows(values.shape[2:], kernel.shape[2:])
            result = convolve(values, kernel, window, groups)
            shift = 0.0 if bias is None else as_float(bias).astype(np.float64).reshape(-1, *[1] * (result.ndim - 2))
            return (result + shift).astype(np.float32)

        count = as_float(w).shape[0]
        prepared = self.weights(w, 0, count)
        if not isinstance(x, Table) or not x.plain or prepared is None:
            return self.no_law(in_float)
        return self.with_bias(self.conv_sums(x.quantised, *prepared, groups), bias)

    def conv_sums(self, x: Quantised, weights: Ints, scale_weight: Array, groups: int) -> Sums:
        window = self.windows()(x.codes.shape[2:], weights.shape[2:])
        sums = convolve(x.codes - x.zero0, weights, window, groups).astype(np.int64)
        total = weights.reshape(weights.shape[0], -1).sum(axis=1)
        return self.sums(sums, x, scale_weight, 1, total * x.zero0)

    def sums(self, sums: Ints, x: Quantised, scale_weight: Array, axis: int, raw_offset: Ints) -> Sums:
        bias = np.zeros(scale_weight.size, np.int64)
        return Sums(sums, x.scale0, scale_weight, bias, axis, raw_offset, name=self.node.name or self.node.output[0])

    def op_ConvTranspose(self) -> Value:
        x, w, bias = self.needed(0), self.needed(1), self.value(2)
        groups = int(self.attributes.get("group", 1))
        count = as_float(w).shape[1] * groups
        depthwise = groups > 1 and as_float(w).shape[0] == groups and self.scaled_along_inputs(w)
        prepared = self.weights(w, 0, groups) if depthwise else self.weights(w, 1, as_float(w).shape[1])
        if not isinstance(x, Table) or not x.plain or prepared is None:
            raise self.unsupported("needs int8 operands behind DequantizeLinear")
        weights, scale = prepared
        scale = np.repeat(scale, count // groups) if depthwise else np.tile(scale, groups)
        rank = weights.ndim - 2
        strides = self.attributes.get("strides") or [1] * rank
        dilations = self.attributes.get("dilations") or [1] * rank
        extra = self.attributes.get("output_padding") or [0] * rank
        pads = list(self.attributes.get("pads") or [0] * 2 * rank)
        wanted, auto_pad = self.attributes.get("output_shape"), self.attributes.get("auto_pad", b"NOTSET").decode()
        if wanted is not None or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            for axis in range(rank):
                size = x.codes.shape[2 + axis]
                target = wanted[axis] if wanted is not None else size * strides[axis]
                reach = strides[axis] * (size - 1) + extra[axis] + (weights.shape[2 + axis] - 1) * dilations[axis] + 1
                total = reach - target
                small, large = total // 2, total - total // 2
                pads[axis], pads[rank + axis] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
        quantised = x.quantised
        codes = x.codes - quantised.zero0
        sums = convolve_transposed(codes, weights, strides, dilations, pads, extra, groups).astype(np.int64)
        return self.with_bias(self.sums(sums, quantised, scale, 1, np.zeros(count, np.int64)), bias)

    @staticmethod
    def scaled_along_inputs(w: Value) -> bool:
        """Whether transposed weights have one scale per index of axis 0."""
        quantised = w.quantised if isinstance(w, Known) else None
        return quantised is not None and quantised.scale.size > 1 and quantised.axis == 0

    def product(self, a: Value, b: Value, transpose_b: bool, alpha: float = 1.0) -> Value:
        """`a @ b`, output channels last."""

        def in_float() -> Array:
            right = as_float(b).astype(np.float64)
            return (np.float32(alpha) * (as_float(a).astype(np.float64) @ (right.T if transpose_b else right))).astype(
                np.float32
            )

        if not isinstance(a, Table) or not a.plain:
            return self.no_law(in_float)
        if isinstance(b, Table) and b.plain and not transpose_b:
            right = b.codes - b.quantised.zero0
            sums = np.matmul((a.codes - a.quantised.zero0).astype(np.float64), right.astype(np.float64)).astype(
                np.int64
            )
            scale = np.repeat(b.quantised.scale0, sums.shape[-1])
            return self.sums(sums, a.quantised, scale, sums.ndim - 1, np.zeros(sums.shape[-1], np.int64))
        shape = as_float(b).shape
        if len(shape) != 2 and not isinstance(b, Table):
            raise self.unsupported("a constant right side must be a matrix")
        prepared = self.weights(b, 0 if transpose_b else 1, shape[0 if transpose_b else 1])
        if prepared is None:
            return self.no_law(in_float)
        weights, scale = prepared
        matrix = weights.T if transpose_b else weights
        quantised = a.quantised
        sums = np.matmul((a.codes - quantised.zero0).astype(np.float64), matrix.astype(np.float64)).astype(np.int64)
        result = self.sums(sums, quantised, scale, sums.ndim - 1, matrix.sum(axis=0) * quantised.zero0)
        if alpha != 1.0:
            result.scale_in = np.float32(np.float32(alpha) * result.scale_in)
        return result

    def op_MatMul(self) -> Value:
        left, right = self.needed(0), self.needed(1)
        if isinstance(left, Known) and isinstance(right, Table) and right.plain:
            return self.matrix_first(left, right)
        return self.product(left, right, transpose_b=False)

    def matrix_first(self, a: Known, b: Table) -> Value:
        """A constant matrix times codes: one output channel per row of the matrix."""
        matrix = as_float(a)
        prepared = self.weights(a, 0, matrix.shape[0]) if matrix.ndim == 2 else None
        if prepared is None:
            return self.no_law(lambda: (matrix.astype(np.float64) @ as_float(b).astype(np.float64)).astype(np.float32))
        weights, scale = prepared
        codes = (b.codes - b.quantised.zero0).astype(np.float64)
        sums = np.matmul(weights.astype(np.float64), codes).astype(np.int64)
        return self.sums(sums, b.quantised, scale, sums.ndim - 2, weights.sum(axis=1) * b.quantised.zero0)

    def op_Gemm(self) -> Value:
        if self.attributes.get("transA", 0):
            raise self.unsupported("transA has no law")
        alpha, beta = float(self.attributes.get("alpha", 1.0)), float(self.attributes.get("beta", 1.0))
        result = self.product(self.needed(0), self.needed(1), bool(self.attributes.get("transB", 0)), alpha)
        bias = self.value(2)
        if bias is None:
            return result
        if beta != 1.0:
            bias = Known(
                (np.float32(beta) * as_float(bias)).astype(np.float32), isinstance(bias, Known) and bias.constant
            )
        if not isinstance(result, Sums):
            return self.no_law(lambda: (as_float(result) + as_float(bias)).astype(np.float32))
        return self.with_bias(result, bias)
