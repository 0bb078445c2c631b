"""What a tensor can be between a DequantizeLinear and the next QuantizeLinear.

`Known` holds numbers. The other kinds hold codes and the float operations still owed; they become codes only when a
QuantizeLinear says with which scale and zero point (`finish`), because the laws round there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from . import laws
from .laws import F32, F64, Ints
from .movement import Array, Move


class UnsupportedModelError(ValueError):
    """The model asks for something that has no law in docs/arithmetic.md."""


@dataclass(eq=False)
class Quantised:
    """Codes with their scale(s) and zero point(s); one of each, or one per index of `axis`."""

    codes: Ints
    scale: F32
    zero: Ints
    axis: int = 0
    width: int = 8

    @property
    def single(self) -> bool:
        return self.scale.size == 1

    @property
    def scale0(self) -> np.float32:
        return np.float32(self.scale.ravel()[0])

    @property
    def zero0(self) -> int:
        return int(self.zero.ravel()[0])

    def along(self, axis: int, count: int, what: str) -> tuple[F32, Ints]:
        """Scales and zero points, one per output channel."""
        if not self.single and (self.axis % self.codes.ndim != axis or self.scale.size != count):
            raise UnsupportedModelError(f"{what}: weights may have one scale, or one per output channel.")
        return np.broadcast_to(self.scale.ravel(), (count,)), np.broadcast_to(self.zero.ravel(), (count,))


@dataclass(eq=False)
class Known:
    """Numbers: a constant, an int8 tensor, a float tensor of the host. `shifted` caches its signed codes."""

    array: Array
    constant: bool = False
    quantised: Quantised | None = None
    shifted: Ints | None = None

    def codes(self) -> Ints:
        """Signed codes: uint8 shifted by 128, everything else as it is."""
        if self.shifted is None:
            self.shifted = self.array.astype(np.int64) - (128 if self.array.dtype == np.uint8 else 0)
        return self.shifted


@dataclass(eq=False)
class Table:
    """A function of one int8 tensor: its value for each of the 256 codes.

    `plain` is that tensor's own quantisation while nothing but a DequantizeLinear has happened. `linear` = (A, D) while
    the function is A*v + D. `override` holds the add or mul law of a lone Add or Mul of the tensor with itself or with
    an int8 constant.
    """

    codes: Ints
    values: F32
    quantised: Quantised
    plain: bool = False
    linear: tuple[float, float] | None = None
    override: Pending | None = None

    @staticmethod
    def of(quantised: Quantised) -> Table:
        values = laws.dequantised_codes(quantised.scale0, quantised.zero0)
        return Table(quantised.codes, values, quantised, plain=True, linear=(1.0, 0.0))

    def finish(self, scale: np.float32, zero: int, low: int, high: int) -> Ints:
        if self.override is not None:
            return self.override.finish(scale, zero, low, high)
        if self.plain and scale == self.quantised.scale0 and zero == self.quantised.zero0:
            return laws.clamp(self.codes, low, high)
        return laws.lookup(self.codes, laws.clamp(laws.quantise(self.values, scale, zero), low, high))

    def to_float(self) -> F32:
        return self.values[self.codes - laws.CODE_MIN]


Finish: TypeAlias = Callable[[np.float32, int, int, int], Ints]


@dataclass(eq=False)
class Pending:
    """A float operation whose law needs the output quantisation: `finish(scale, zero, low, high)` gives codes."""

    finish: Finish
    to_float: Callable[[], Array]


@dataclass(eq=False)
class Sums:
    """Sums of products, output channels along `axis`; adding `raw_offset` gives the sums of raw codes."""

    sums: Ints
    scale_in: np.float32
    scale_weight: F32
    bias: Ints
    axis: int
    raw_offset: Ints
    factor: F64 | None = None
    offset: F64 | None = None
    name: str = ""

    def spread(self, vector: Array) -> Array:
        """A vector over output channels, shaped to broadcast against the sums."""
        shape = [1] * self.sums.ndim
        shape[self.axis] = -1
        return vector.reshape(shape)

    def settled(self) -> tuple[Ints, F32]:
        """Sums with bias, and the weight scales, after a real factor and offset have been folded in."""
        if self.factor is None or self.offset is None:
            total, scale_weight = self.sums + self.spread(self.bias), self.scale_weight
            bias = self.bias
        else:
            real_bias = self.bias.astype(np.float64) * float(self.scale_in) * self.scale_weight.astype(np.float64)
            dead = self.factor == 0
            scale_weight = (self.factor * self.scale_weight.astype(np.float64)).astype(np.float32)
            scale_weight = np.where(dead, self.scale_weight, scale_weight)
            real = (self.factor * real_bias + self.offset).astype(np.float32)
            bias = laws.bias_codes(real, self.scale_in, scale_weight)
            total = np.where(self.spread(dead), 0, self.sums) + self.spread(bias)
        laws.check_int32(self.sums + self.spread(self.raw_offset), f"{self.name}: the sum of products of raw codes")
        return laws.check_int32(total, f"{self.name}: the sum with bias"), scale_weight

    def finish(self, scale: np.float32, zero: int, low: int, high: int) -> Ints:
        total, scale_weight = self.settled()
        ratio = laws.requantise_scale(self.scale_in, scale_weight, scale)
        return laws.requantise(total, self.spread(ratio), zero, low, high)

    def to_float(self) -> F32:
        total, scale_weight = self.settled()
        unit = (self.scale_in * scale_weight).astype(np.float32)
        return (total.astype(np.float32) * self.spread(unit)).astype(np.float32)


@dataclass(eq=False)
class Affine:
    """factor * v + offset with channel-shaped float64 arrays, v the real value of a plain tensor."""

    quantised: Quantised
    factor: F64
    offset: F64

    def finish(self, scale: np.float32, zero: int, low: int, high: int) -> Ints:
        source = self.quantised
        factor, offset = laws.affine_parameters(self.factor, self.offset, source.scale0, source.zero0, scale)
        return laws.affine(source.codes, factor, offset, zero, low, high)

    def to_float(self) -> F32:
        source = self.quantised
        real = laws.dequantise(source.codes, source.scale0, source.zero0).astype(np.float64)
        return (self.factor * real + self.offset).astype(np.float32)


Value: TypeAlias = Known | Table | Pending | Sums | Affine


def finish(value: Value, scale: np.float32, zero: int, low: int = -128, high: int = 127) -> Ints:
    """The codes of any value under an output quantisation."""
    if isinstance(value, Known):
        return laws.clamp(laws.quantise(value.array.astype(np.float32), scale, zero), low, high)
    return value.finish(scale, zero, low, high)


def as_float(value: Value) -> Array:
    """The value as the host sees it."""
    return value.array if isinstance(value, Known) else value.to_float()


def refused(message: str, to_float: Callable[[], Array]) -> Pending:
    """A value that may leave the graph as float but has no law into int8."""

    def finish_refused(scale: np.float32, zero: int, low: int, high: int) -> Ints:
        raise UnsupportedModelError(message)

    return Pending(finish_refused, to_float)


def clipped(value: Value, low: float, high: float) -> Pending:
    """Clip or Relu before a QuantizeLinear: bounds become codes (section 4)."""

    def finish_clipped(scale: np.float32, zero: int, outer_low: int, outer_high: int) -> Ints:
        bounds = laws.quantise(np.array([low, high], np.float32), scale, zero)
        inner = laws.clamp(bounds, outer_low, outer_high)
        return finish(value, scale, zero, int(inner[0]), int(inner[1]))

    return Pending(finish_clipped, lambda: np.clip(as_float(value), np.float32(low), np.float32(high)))


def moved(value: Value, move: Move) -> Value:
    """The value after a movement of its elements."""
    if isinstance(value, Known):
        return Known(np.ascontiguousarray(move(value.array)), value.constant)
    if isinstance(value, Table) and value.override is None:
        codes = move(value.codes)
        source = Quantised(codes, value.quantised.scale, value.quantised.zero)
        return Table(codes, value.values, source, value.plain, value.linear)

    def finish_moved(scale: np.float32, zero: int, low: int, high: int) -> Ints:
        return move(finish(value, scale, zero, low, high))

    return Pending(finish_moved, lambda: move(as_float(value)))


def stored(codes: Ints, dtype: Any) -> Array:
    """Signed codes as the tensor the model names: int8, or uint8 shifted back."""
    return (codes + 128).astype(np.uint8) if dtype == np.uint8 else codes.astype(np.int8)
