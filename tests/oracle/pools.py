"""Pools, concat, pad and normalisation (docs/arithmetic.md, sections 6, 9 and 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import laws
from .core import CODE_TYPES
from .elementwise import Elementwise
from .geometry import pool_max, pool_sum
from .laws import F64, Ints
from .movement import Array, Move, integers, pad
from .values import (
    Known,
    Pending,
    Table,
    Value,
    as_float,
    finish,
    moved,
    refused,
    stored,
)


class Pools(Elementwise):
    """Handlers for operators that look at several positions or tensors."""

    def op_MaxPool(self) -> Value:
        kernel = tuple(self.attributes["kernel_shape"])
        value = self.needed(0)
        windows = self.windows()
        return self.pooled(value, lambda codes: pool_max(codes, windows(codes.shape[2:], kernel)))

    def op_GlobalMaxPool(self) -> Value:
        return self.pooled(self.needed(0), lambda codes: codes.max(axis=tuple(range(2, codes.ndim)), keepdims=True))

    def pooled(self, value: Value, pool: Move) -> Value:
        """Maxima commute with Q, which never decreases."""
        if isinstance(value, Known):
            if value.array.dtype not in CODE_TYPES:
                raise self.unsupported("float pools have no law")
            codes = pool(value.codes())
            return Known(stored(codes, value.array.dtype), value.constant, shifted=codes)
        if isinstance(value, Table) and value.plain:
            return moved(value, pool)
        return Pending(
            lambda scale, zero, low, high: pool(finish(value, scale, zero, low, high)),
            lambda: refused(str(self.unsupported("float pools have no law")), lambda: np.zeros(0)).to_float(),
        )

    def op_AveragePool(self) -> Value:
        include = bool(self.attributes.get("count_include_pad", 0))
        kernel, windows = tuple(self.attributes["kernel_shape"]), self.windows()
        return self.average(self.needed(0), lambda real: pool_sum(real, windows(real.shape[2:], kernel), include))

    def op_GlobalAveragePool(self) -> Value:
        return self.average(self.needed(0), lambda real: self.whole_sum(real, tuple(range(2, real.ndim)), keep=True))

    @staticmethod
    def whole_sum(real: Ints | F64, axes: tuple[int, ...], keep: bool) -> tuple[Ints | F64, Ints]:
        count = math.prod(real.shape[axis] for axis in axes)
        return real.sum(axis=axes, keepdims=keep), np.asarray(count)

    def reduced_axes(self, rank: int) -> tuple[int, ...]:
        given = self.array(1) if self.value(1) is not None else self.attributes.get("axes")
        wanted = integers(given) if given is not None else []
        if not wanted and self.attributes.get("noop_with_empty_axes", 0):
            return ()
        return tuple(sorted(axis % rank for axis in wanted)) or tuple(range(rank))

    def op_ReduceMean(self) -> Value:
        value, keep = self.needed(0), bool(self.attributes.get("keepdims", 1))
        axes = self.reduced_axes(as_float(value).ndim)
        if isinstance(value, Table) and all(value.codes.shape[axis] == 1 for axis in axes):
            return moved(value, lambda codes: codes.sum(axis=axes, keepdims=keep))
        return self.average(value, lambda real: self.whole_sum(real, axes, keep))

    def op_ReduceSum(self) -> Value:
        value = self.needed(0)
        axes = self.reduced_axes(as_float(value).ndim)
        keep = bool(self.attributes.get("keepdims", 1))
        if isinstance(value, Known):
            return Known(np.sum(value.array, axis=axes, keepdims=keep, dtype=np.float32), value.constant)
        if not isinstance(value, Table) or not value.plain:
            raise self.unsupported("its operand must be int8 behind a DequantizeLinear")
        if all(value.codes.shape[axis] == 1 for axis in axes):
            return moved(value, lambda codes: codes.sum(axis=axes, keepdims=keep))
        quantised = value.quantised
        sums = (value.codes - quantised.zero0).sum(axis=axes, keepdims=keep)

        def finish_total(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            return laws.requantise(sums, np.float32(quantised.scale0 / scale), zero, low, high)

        return Pending(finish_total, lambda: (sums.astype(np.float32) * quantised.scale0).astype(np.float32))

    def op_ReduceMax(self) -> Value:
        return self.extreme(np.max)

    def op_ReduceMin(self) -> Value:
        return self.extreme(np.min)

    def extreme(self, choose: Callable[..., Any]) -> Value:
        value, keep = self.needed(0), bool(self.attributes.get("keepdims", 1))
        axes = self.reduced_axes(as_float(value).ndim if isinstance(value, Known | Table) else 4)
        return self.pooled(value, lambda codes: choose(codes, axis=axes, keepdims=keep))

    def average(self, value: Value, total: Callable[[Any], tuple[Any, Ints]]) -> Value:
        if isinstance(value, Known):
            sums, count = total(value.array.astype(np.float64))
            return Known((sums / count).astype(np.float32), value.constant)
        if not isinstance(value, Table) or not value.plain:
            raise self.unsupported("its operand must be int8 behind a DequantizeLinear")
        quantised = value.quantised
        sums, count = total(value.codes - quantised.zero0)
        laws.check_int32(sums, f"{self.node.op_type} {self.node.output[0]!r}: the sum")

        def finish_average(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            return laws.requantise(sums, laws.average_scale(quantised.scale0, scale, count), zero, low, high)

        def in_float() -> Array:
            unit = (quantised.scale0 / np.asarray(count).astype(np.float32)).astype(np.float32)
            return (sums.astype(np.float32) * unit).astype(np.float32)

        return Pending(finish_average, in_float)

    def op_Concat(self) -> Value:
        values = [self.needed(place) for place in range(len(self.node.input))]
        axis = int(self.attributes["axis"])
        known = [value for value in values if isinstance(value, Known)]
        if len(known) == len(values):
            joined = np.concatenate([value.array for value in known], axis=axis)
            return Known(joined, all(value.constant for value in known))

        def finish_concat(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            return np.concatenate([finish(value, scale, zero, low, high) for value in values], axis=axis)

        return Pending(finish_concat, lambda: np.concatenate([as_float(value) for value in values], axis=axis))

    def op_Pad(self) -> Value:
        value = self.needed(0)
        constants = [self.array(place) if place != 2 else None for place in range(1, len(self.node.input))]
        fill = self.scalar(2) if self.value(2) is not None else self.attributes.get("value", 0)
        attributes = self.attributes
        if isinstance(value, Known):
            return Known(pad(value.array, attributes, constants, fill), value.constant)

        def finish_pad(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            code = laws.clamp(laws.quantise(np.asarray(fill, np.float32), scale, zero), low, high)
            return pad(finish(value, scale, zero, low, high), attributes, constants, int(code))

        return Pending(finish_pad, lambda: pad(as_float(value), attributes, constants, fill))

    def op_LRN(self) -> Value:
        value = self.needed(0)
        if not isinstance(value, Table) or not value.plain:
            raise self.unsupported("its operand must be int8 behind a DequantizeLinear")
        quantised = value.quantised
        get, narrow = self.attributes.get, np.float32
        size = int(self.attributes["size"])
        alpha, beta, bias = float(get("alpha", narrow(1e-4))), float(get("beta", 0.75)), float(get("bias", 1.0))

        def finish_lrn(scale: np.float32, zero: int, low: int, high: int) -> Ints:
            codes = laws.lrn(quantised.codes, size, alpha, beta, bias, quantised.scale0, quantised.zero0, scale, zero)
            return laws.clamp(codes, low, high)

        message = str(self.unsupported("its result must be quantised"))
        return Pending(finish_lrn, lambda: refused(message, lambda: np.zeros(0)).to_float())
