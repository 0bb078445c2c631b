"""QOperator models: QLinearConv, QLinearAdd and their like carry their quantisation as inputs."""

from __future__ import annotations

import math

import numpy as np

from . import laws
from .functions import unary_function
from .geometry import pool_sum
from .laws import Ints
from .movement import Array
from .pools import Pools
from .values import (
    Known,
    Quantised,
    Sums,
    Table,
    Value,
    finish,
    stored,
)


class OperatorForm(Pools):
    """Handlers for QLinear operators; the laws are those of the QDQ form."""

    def q_tensor(self, position: int) -> Quantised:
        """An 8-bit tensor followed by its scale and zero point."""
        source, scales, zeros = self.needed(position), self.array(position + 1), self.array(position + 2)
        if not isinstance(source, Known) or scales is None:
            raise self.unsupported("its operands must be stored integers")
        zero = np.zeros(1, np.int64) if zeros is None else zeros.astype(np.int64).ravel()
        if source.array.dtype == np.uint8:
            zero = zero - 128
        return Quantised(source.codes(), scales.astype(np.float32).ravel(), zero)

    def q_output(self, value: Value, position: int) -> Value:
        """Settle a value under the scale and zero point at `position`."""
        zero, dtype = self.zero_point(position + 1)
        codes = finish(value, np.float32(self.scalar(position)), zero)
        return Known(stored(codes, dtype), shifted=codes)

    def q_weights(self, position: int, axis: int) -> tuple[Ints, Array]:
        tensor = self.q_tensor(position)
        tensor.axis = axis
        count = tensor.codes.shape[axis]
        scale, zero = tensor.along(axis, count, self.node.op_type)
        shape = [1] * tensor.codes.ndim
        shape[axis] = -1
        return tensor.codes - zero.reshape(shape), scale

    def raw_bias(self, sums: Sums, position: int) -> Sums:
        """An int32 bias, which is in units of the accumulator by definition of the operator."""
        bias = self.array(position)
        if bias is not None:
            sums.bias = sums.bias + np.broadcast_to(bias.astype(np.int64).ravel(), sums.bias.shape)
        return sums

    def op_QLinearConv(self) -> Value:
        x = self.q_tensor(0)
        weights, scale = self.q_weights(3, 0)
        sums = self.conv_sums(x, weights, scale, int(self.attributes.get("group", 1)))
        return self.q_output(self.raw_bias(sums, 8), 6)

    def op_QLinearMatMul(self) -> Value:
        a = self.q_tensor(0)
        weights, scale = self.q_weights(3, self.q_tensor(3).codes.ndim - 1)
        sums = np.matmul((a.codes - a.zero0).astype(np.float64), weights.astype(np.float64)).astype(np.int64)
        offset = np.zeros(scale.size, np.int64) if weights.ndim > 2 else weights.sum(axis=0) * a.zero0
        return self.q_output(self.sums(sums, a, scale, sums.ndim - 1, offset), 6)

    def op_QGemm(self) -> Value:
        a, transpose = self.q_tensor(0), bool(self.attributes.get("transB", 0))
        weights, scale = self.q_weights(3, 0 if transpose else 1)
        matrix = weights.T if transpose else weights
        sums = np.matmul((a.codes - a.zero0).astype(np.float64), matrix.astype(np.float64)).astype(np.int64)
        result = self.sums(sums, a, scale, 1, matrix.sum(axis=0) * a.zero0)
        result.scale_in = np.float32(np.float32(self.attributes.get("alpha", 1.0)) * result.scale_in)
        result = self.raw_bias(result, 6)
        return self.q_output(result, 7) if self.value(7) is not None else Known(result.to_float())

    def q_pair(self, op_type: str) -> Value:
        law = self.two_tensor_law(op_type, Table.of(self.q_tensor(0)), Table.of(self.q_tensor(3)), lambda: np.zeros(0))
        assert law is not None
        return self.q_output(law, 6)

    def op_QLinearAdd(self) -> Value:
        return self.q_pair("Add")

    def op_QLinearMul(self) -> Value:
        return self.q_pair("Mul")

    def not_channels_last(self) -> None:
        if self.attributes.get("channels_last", 0):
            raise self.unsupported("channels_last is an internal layout")

    def op_QLinearAveragePool(self) -> Value:
        self.not_channels_last()
        include, kernel = bool(self.attributes.get("count_include_pad", 0)), tuple(self.attributes["kernel_shape"])
        windows, source = self.windows(), Table.of(self.q_tensor(0))
        return self.q_output(
            self.average(source, lambda real: pool_sum(real, windows(real.shape[2:], kernel), include)), 3
        )

    def op_QLinearGlobalAveragePool(self) -> Value:
        self.not_channels_last()
        source = Table.of(self.q_tensor(0))
        return self.q_output(
            self.average(source, lambda real: self.whole_sum(real, tuple(range(2, real.ndim)), keep=True)), 3
        )

    def q_unary(self, op_type: str) -> Value:
        function = unary_function(op_type, self.attributes)
        assert function is not None
        return self.q_output(self.unary(function, Table.of(self.q_tensor(0))), 3)

    def op_QLinearSigmoid(self) -> Value:
        return self.q_unary("Sigmoid")

    def op_QLinearLeakyRelu(self) -> Value:
        return self.q_unary("LeakyRelu")

    def op_QLinearConcat(self) -> Value:
        zero, dtype = self.zero_point(1)
        scale = np.float32(self.scalar(0))
        places = range(2, len(self.node.input), 3)
        parts = [Table.of(self.q_tensor(place)).finish(scale, zero, -128, 127) for place in places]
        codes = np.concatenate(parts, axis=int(self.attributes["axis"]))
        return Known(stored(codes, dtype), shifted=codes)

    def op_QLinearSoftmax(self) -> Value:
        value, axis = Table.of(self.q_tensor(0)).to_float(), int(self.attributes.get("axis", -1))
        if int(self.attributes.get("opset", 13)) < 13:
            rows = value.reshape(math.prod(value.shape[: axis % value.ndim]), -1)
            return self.q_output(Known(laws.softmax(rows, -1).reshape(value.shape)), 3)
        return self.q_output(Known(laws.softmax(value, axis)), 3)
