"""What every operator of the oracle needs: the operands of the node at hand, quantise and dequantise."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from . import laws
from .heard import Heard
from .movement import Array
from .values import (
    Known,
    Quantised,
    Table,
    UnsupportedModelError,
    Value,
    as_float,
    finish,
    stored,
)

WIDE_TYPES = (np.dtype(np.int16), np.dtype(np.uint16), np.dtype(np.int32))
CODE_TYPES = (np.dtype(np.int8), np.dtype(np.uint8))


class Core:
    """The node being evaluated and the values known so far, by ONNX tensor name."""

    node: onnx.NodeProto
    attributes: Heard
    values: dict[str, Value]
    opset: int

    def value(self, position: int) -> Value | None:
        """An input of the current node; None if it is absent."""
        names = self.node.input
        return self.values[names[position]] if position < len(names) and names[position] else None

    def needed(self, position: int) -> Value:
        value = self.value(position)
        if value is None:
            raise self.unsupported(f"input {position} is missing")
        return value

    def array(self, position: int) -> Array | None:
        """An input that must be numbers already; None if it is absent."""
        value = self.value(position)
        if value is None:
            return None
        return as_float(value)

    def scalar(self, position: int) -> Any:
        array = self.array(position)
        if array is None:
            raise self.unsupported(f"input {position} is missing")
        if array.size != 1:
            raise self.unsupported(f"input {position} must be a scalar (an activation has one scale and zero point)")
        return array.ravel()[0]

    def unsupported(self, reason: str) -> UnsupportedModelError:
        node = self.node
        return UnsupportedModelError(f"{node.op_type} {node.name or node.output[0]!r}: {reason}.")

    def zero_point(self, position: int) -> tuple[int, Any]:
        """A scalar zero point as signed code, and the tensor's type. An absent one is uint8 0."""
        if self.value(position) is None:
            return -128, np.uint8
        zero = self.scalar(position)
        if zero.dtype not in CODE_TYPES:
            raise self.unsupported(f"zero point of type {zero.dtype}; activations are int8 or uint8")
        return int(zero) - (128 if zero.dtype == np.uint8 else 0), zero.dtype

    def op_QuantizeLinear(self) -> Value:
        value, scales = self.needed(0), self.array(1)
        assert scales is not None
        zeros = self.array(2)
        if scales.size > 1:
            if not (isinstance(value, Known) and value.constant):
                raise self.unsupported("an activation must have one scale, not one per channel")
            return Known(self.quantise_constant(value.array, scales, zeros), constant=True)
        zero, dtype = self.zero_point(2)
        codes = finish(value, np.float32(scales.ravel()[0]), zero)
        return Known(stored(codes, dtype), isinstance(value, Known) and value.constant, shifted=codes)

    def quantise_constant(self, array: Array, scales: Array, zeros: Array | None) -> Array:
        """Per-axis quantisation of a constant."""
        shape = [1] * array.ndim
        shape[int(self.attributes.get("axis", 1))] = -1
        offset = np.zeros(1, np.uint8) if zeros is None else zeros
        info = np.iinfo(offset.dtype)
        ratio = (array.astype(np.float32) / scales.astype(np.float32).reshape(shape)).astype(np.float32)
        placed = laws.round_half_even(ratio) + (offset.reshape(shape) if offset.size > 1 else offset).astype(np.int64)
        return np.clip(placed, info.min, info.max).astype(offset.dtype)

    def op_DequantizeLinear(self) -> Value:
        source = self.needed(0)
        scales, zeros = self.array(1), self.array(2)
        if not isinstance(source, Known) or scales is None:
            raise self.unsupported("its input must be stored integers")
        if source.array.dtype not in CODE_TYPES and not (source.constant and source.array.dtype in WIDE_TYPES):
            raise self.unsupported(f"no law for codes of type {source.array.dtype}")
        zero = np.zeros(scales.shape, np.int64) if zeros is None else zeros.astype(np.int64)
        if source.array.dtype == np.uint8:
            zero = zero - 128
        axis = int(self.attributes.get("axis", 1))  # of one scale it says nothing
        axis = axis if scales.size > 1 else 0
        width = 8 * source.array.dtype.itemsize
        quantised = Quantised(source.codes(), scales.astype(np.float32).ravel(), zero.ravel(), axis, width)
        if not source.constant:
            if not quantised.single:
                raise self.unsupported("an activation is 8 bits wide and has one scale")
            return Table.of(quantised)
        shape = [1] * source.array.ndim
        if not quantised.single:
            shape[axis] = -1
        elif not source.array.ndim:
            shape = []
        real = laws.dequantise(quantised.codes, quantised.scale.reshape(shape), quantised.zero.reshape(shape))
        return Known(real, constant=True, quantised=quantised)
