"""What a tensor of an ONNX graph is while the graph is read for the proof, and what QuantizeLinear makes of it.

Labels stand in ONNX's own layout, uint8 shifted by 128 to int8. Everything between two quantisers is kept as what is
still to be rounded, and gets its label from the law of the arithmetic page that the graph spells out. What has no law
here has no value: ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from tools.proof import functions, laws
from tools.proof.book import Book, ResultBox, Rounding
from tools.proof.field import Integers, Labels, Window
from tools.proof.laws import Floats

INFINITE = float("inf")

_CODES = np.arange(-128, 128)


@dataclass(frozen=True)
class FileIntegers:
    """Integers of the file with their scales and zero points, one for all or one a channel; uint8 shifted by 128."""

    codes: Integers
    scale: Floats
    zero: Integers


@dataclass(frozen=True)
class CodeCurve:
    """A tensor as a function of one quantised tensor: float32[256], the number for each code from −128 on."""

    base: Labels
    numbers: Floats


@dataclass(frozen=True)
class CodeLabels:
    """A quantised tensor, before it is dequantised: its labels, and what they are as a function of another's (whose
    ``numbers`` are then codes)."""

    labels: Labels
    curve: CodeCurve | None = None


@dataclass(frozen=True)
class ClampedLabels:
    """Numbers that are cut to [lo, hi] before they are rounded."""

    lo: float = -INFINITE
    hi: float = INFINITE

    def within(self, lo: float, hi: float) -> Self:
        return replace(self, lo=max(self.lo, lo), hi=min(self.hi, hi))


@dataclass(frozen=True)
class RealLabels(ClampedLabels):
    """Dequantised codes."""

    labels: Labels = None  # pyright: ignore[reportAssignmentType]
    scale: float = 1.0
    zero: int = 0
    of: CodeCurve | None = None

    @property
    def quant(self) -> tuple[float, int]:
        return self.scale, self.zero

    @property
    def curve(self) -> CodeCurve:
        """These numbers as a function of the codes that they are, or of others that those were made from."""
        numbers = (_CODES - self.zero).astype(np.float32) * np.float32(self.scale)
        found = self.of or CodeCurve(self.labels, numbers)
        return CodeCurve(found.base, np.clip(found.numbers, self.lo, self.hi).astype(np.float32))


@dataclass(frozen=True)
class ProductLabels(ClampedLabels):
    """A convolution or matrix product: a part of the book, the bias of raw codes, scales of input and weights."""

    part: ResultBox = None  # pyright: ignore[reportAssignmentType]
    bias: Integers = None  # pyright: ignore[reportAssignmentType]
    sx: float = 1.0
    sw: Floats = None  # pyright: ignore[reportAssignmentType]
    flat: bool = False
    has_bias: bool = False


@dataclass(frozen=True)
class PairLabels(ClampedLabels):
    """``+``, ``-`` or ``*`` of two dequantised tensors, or ``+`` of a product and one."""

    kind: str = "+"
    first: RealLabels | ProductLabels = None  # pyright: ignore[reportAssignmentType]
    second: RealLabels | ProductLabels = None  # pyright: ignore[reportAssignmentType]


@dataclass(frozen=True)
class ShapedLabels(ClampedLabels):
    """What elementwise operators make of one quantised tensor."""

    curve: CodeCurve = None  # pyright: ignore[reportAssignmentType]


@dataclass(frozen=True)
class MeanLabels(ClampedLabels):
    """A mean over windows of an image [rows, columns, channels], padding in place."""

    image: Labels = None  # pyright: ignore[reportAssignmentType]
    window: Window = None  # pyright: ignore[reportAssignmentType]
    counts: Integers = None  # pyright: ignore[reportAssignmentType]
    quant: tuple[float, int] = (1.0, 0)


Value: TypeAlias = (
    FileIntegers
    | CodeLabels
    | RealLabels
    | ProductLabels
    | PairLabels
    | ShapedLabels
    | MeanLabels
    | npt.NDArray[np.generic]
    | None
)


def images_last(labels: Labels) -> Labels:
    """[rows, columns, channels] of one image [1, channels, rows, columns]."""
    return labels[0].transpose(1, 2, 0)


def channels_first(labels: Labels) -> Labels:
    """[1, channels, rows, columns] of one image [rows, columns, channels]."""
    return labels.transpose(2, 0, 1)[None]


def pads_of(given: Mapping[str, Any], kernel: list[int], size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of a window over two axes; ValueError for what is not read here."""
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or given.get("ceil_mode") or len(kernel) != 2:
        raise ValueError("a window of another kind")
    top, left, bottom, right = given.get("pads") or (0, 0, 0, 0)
    return top, bottom, left, right


def padded(image: Labels, pads: tuple[int, int, int, int], window: Window, value: int) -> Labels:
    """An image with padding around it, as much of it as a window sees."""
    top, bottom, left, right = pads
    rows, columns = window.extent
    seen = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=value) if any(pads) else image
    return seen[:rows, :columns]


def scale_and_zero(operands: list[Value], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The second and third operand of a quantiser; zero points of uint8 are shifted by 128."""
    scale = np.asarray(operands[1], np.float32)
    zero = operands[2] if len(operands) > 2 and operands[2] is not None else np.zeros(scale.shape, dtype)
    shift = 128 if np.asarray(zero).dtype == np.uint8 else 0
    return scale, np.asarray(zero).astype(np.int64) - shift


def quantised(run: Book, value: Value, sy: float, zy: int) -> Labels | None:
    """The labels of the codes that a value is rounded to, in ONNX's layout."""
    if not isinstance(value, ClampedLabels):
        return None
    lo, hi = _code(value.lo, sy, zy), _code(value.hi, sy, zy)
    if isinstance(value, RealLabels):
        return functions.looked_up(run, value.labels, laws.move_table(value.scale, value.zero, sy, zy, lo, hi))
    if isinstance(value, ProductLabels):
        scale = laws.convolution_scale(value.sx, value.sw, sy, 1)
        law = Rounding(value.bias, np.broadcast_to(scale, value.bias.shape), zy, lo, hi)
        return _laid_out(value, value.part.rounded(law))
    if isinstance(value, MeanLabels):
        zeros, scales = (value.quant[1], zy), (value.quant[0], sy)
        found = functions.averaged(run, value.image, value.window, value.counts, scales, zeros, (lo, hi))
        return channels_first(found)
    return _pair(run, value, (sy, zy), (lo, hi)) if isinstance(value, PairLabels) else None


def quantised_constant(x: npt.NDArray[Any], scale: Floats, zero: Value, given: Mapping[str, Any]) -> Value:
    """Integers of a constant, as QuantizeLinear stores them; None where its type is not that of a zero point."""
    if not isinstance(zero, np.ndarray) or zero.dtype.name not in ("int8", "uint8") or x.dtype.name != "float32":
        return None
    shape = [1] * x.ndim
    if scale.size > 1:
        shape[given.get("axis", 1)] = scale.size
    info = np.iinfo(zero.dtype.name)
    codes = np.rint(x / scale.reshape(shape)) + zero.reshape(shape)
    return np.clip(codes, info.min, info.max).astype(zero.dtype)


def table(value: Value, sy: float, zy: int) -> CodeCurve | None:
    """The 256 codes that a function of one quantised tensor is rounded to."""
    if isinstance(value, PairLabels) and isinstance(value.first, RealLabels) and isinstance(value.second, RealLabels):
        a, b = value.first.curve, value.second.curve
        if a.base is not b.base:
            return None
        joined = {"+": np.add, "-": np.subtract, "*": np.multiply}[value.kind](a.numbers, b.numbers)
        found = CodeCurve(a.base, joined.astype(np.float32))
    elif isinstance(value, ShapedLabels | RealLabels):
        found = value.curve
    else:
        return None
    numbers = np.clip(found.numbers, value.lo, value.hi).astype(np.float32)
    codes = np.clip(np.rint(numbers / np.float32(sy)) + zy, -128, 127)
    return CodeCurve(found.base, codes.astype(np.float32))


def _pair(run: Book, value: PairLabels, quant: tuple[float, int], clamp: tuple[int, int]) -> Labels | None:
    a, b = value.first, value.second
    if isinstance(a, ProductLabels) and isinstance(b, RealLabels):
        a, b = b, a
    if isinstance(b, ProductLabels):
        if value.kind != "+" or not isinstance(a, RealLabels) or (b.lo, b.hi) != (-INFINITE, INFINITE):
            return None
        scale = np.broadcast_to(laws.convolution_scale(b.sx, b.sw, quant[0], 1), b.bias.shape)
        _, rb, fix = laws.sum_ratios((quant[0], 0), a.quant, quant, 1)
        sums = functions.plus(b.part.sums(), b.bias)
        other = a.labels.reshape(1, 1, -1) if b.flat else images_last(a.labels)
        return _laid_out(b, functions.joined(run, sums, scale, other, (rb, fix), clamp))
    if not isinstance(a, RealLabels) or (a.lo, b.lo, a.hi, b.hi) != (-INFINITE, -INFINITE, INFINITE, INFINITE):
        return None
    if value.kind == "*":
        scale = laws.product_scale(a.scale, b.scale, quant[0])
        return functions.multiplied(run, (a.labels, a.zero), (b.labels, b.zero), scale, (quant[1], *clamp))
    ratios = laws.sum_ratios(a.quant, b.quant, quant, 1 if value.kind == "+" else -1)
    return functions.added(run, a.labels, b.labels, ratios, *clamp)


def _laid_out(value: ProductLabels, labels: Labels) -> Labels:
    return labels.reshape(1, -1) if value.flat else channels_first(labels)


def _code(number: float, scale: float, zero: int) -> int:
    """The code that a bound of numbers is rounded to."""
    if number in (-INFINITE, INFINITE):
        return 127 if number > 0 else -128
    return int(np.clip(np.rint(np.float32(number) / np.float32(scale)) + zero, -128, 127))
