"""Linear Resize (docs/arithmetic.md, section 9a): fractions of neighbours, exactly, and one rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from . import laws
from .core import Core
from .laws import Ints
from .movement import Array
from .values import Pending, Table, Value


def position(index: int, size: int, out_size: int, scale: np.float32, coordinate: str) -> Fraction:
    """Where an output lies among the inputs, no farther than one step from the image."""
    exact = Fraction(out_size, size)
    factor = exact if np.float32(float(exact)) == scale else Fraction(float(scale)).limit_denominator(256)
    half = Fraction(1, 2)
    if coordinate == "asymmetric":
        at = index / factor
    elif coordinate == "half_pixel" or (coordinate == "pytorch_half_pixel" and out_size > 1):
        at = (index + half) / factor - half
    elif coordinate == "align_corners" and out_size > 1:
        at = Fraction(index * (size - 1), out_size - 1)
    elif coordinate in ("align_corners", "pytorch_half_pixel"):
        at = Fraction(0)
    else:
        raise ValueError(f"Resize with coordinate_transformation_mode {coordinate!r} has no law in linear mode.")
    return min(max(at, Fraction(-1)), Fraction(size))


class Blends(Core):
    """Handler of Resize in linear mode."""

    def blended(self) -> Value:
        """The value of the current node."""
        value = self.needed(0)
        if not isinstance(value, Table) or not value.plain:
            raise self.unsupported("linear resizing needs an int8 operand behind DequantizeLinear")
        scales, sizes = self.array(2), self.array(3)
        coordinate = self.attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
        axes = [int(axis) for axis in self.attributes.get("axes") or range(value.codes.ndim)]
        sums: Ints = value.codes - value.quantised.zero0
        whole: Array = np.ones((1,) * sums.ndim, np.int64)
        for place, axis in enumerate(axes):
            size = sums.shape[axis]
            if sizes is not None and sizes.size:
                count = int(sizes.ravel()[place])
                scale = np.float32(np.float32(count) / np.float32(size))
            else:
                assert scales is not None
                scale = np.float32(scales.ravel()[place])
                count = int(np.floor(np.float32(size) * scale))
            if count == size and scale == 1:
                continue
            where = [position(index, size, count, scale, coordinate) for index in range(count)]
            low = np.array([math.floor(at) for at in where])
            shape = [1] * sums.ndim
            shape[axis] = count
            beyond = np.array([(at % 1).numerator for at in where]).reshape(shape)
            parts = np.array([(at % 1).denominator for at in where]).reshape(shape)
            first, second = (np.take(sums, np.clip(low + shift, 0, size - 1), axis=axis) for shift in (0, 1))
            sums = first * (parts - beyond) + second * beyond
            whole = whole * parts
        source = value.quantised
        unit = (np.float32(1) / whole.astype(np.float32)).astype(np.float32)

        def finish(scale_out: np.float32, zero: int, low_code: int, high_code: int) -> Ints:
            factor = (np.float32(source.scale0) * unit).astype(np.float32) / np.float32(scale_out)
            real = (sums.astype(np.float32) * factor.astype(np.float32)).astype(np.float32)
            return laws.clamp(laws.round_half_even(real) + zero, low_code, high_code)

        return Pending(
            finish, lambda: (sums.astype(np.float32) * (np.float32(source.scale0) * unit)).astype(np.float32)
        )
