"""Types and attributes of the cnn dialect.

Quantisation belongs to the type of a value: ``!cnn.tensor<1x56x56x64, scale 0.0235, zero -128>``. Windows, clamps and
the stages behind a convolution are attributes of their own, so that every operation says them in the same words.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence

from xdsl.dialects.builtin import ArrayAttr, FloatData, IntAttr, StringAttr
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.recon import Blob
from dialects.text import float32, parse_float, print_float

RANK = 4
"""Dimensions of every value: N, H, W, C."""

FLOAT_BYTES = 4
"""Bytes of a channel of a float32 result."""


def _parse_scale_zero(parser: AttrParser) -> tuple[FloatData, IntAttr]:
    parser.parse_keyword("scale")
    scale = parse_float(parser)
    parser.parse_punctuation(",")
    parser.parse_keyword("zero")
    return FloatData(scale), IntAttr(parser.parse_integer(allow_boolean=False))


def _parse_bounds(parser: AttrParser) -> tuple[IntAttr, IntAttr]:
    lo = parser.parse_integer(allow_boolean=False)
    parser.parse_punctuation(",")
    return IntAttr(lo), IntAttr(parser.parse_integer(allow_boolean=False))


def _check_scale_zero(scale: float, zero: int) -> None:
    if not scale > 0 or scale == float("inf") or float32(scale) != scale:
        raise VerifyException(f"scale {scale} is not a positive float32")
    if not -128 <= zero <= 127:
        raise VerifyException(f"zero point {zero} is outside [-128, 127]")


@irdl_attr_definition
class TensorType(ParametrizedAttribute, TypeAttribute):
    """An int8 activation, NHWC, meaning scale · (x − zero): ``!cnn.tensor<1x56x56x64, scale 0.0235, zero -128>``."""

    name = "cnn.tensor"
    shape: ArrayAttr[IntAttr] = param_def()
    scale: FloatData = param_def()
    zero: IntAttr = param_def()

    @classmethod
    def of(cls, shape: Sequence[int], scale: float, zero: int) -> TensorType:
        return cls(ArrayAttr([IntAttr(n) for n in shape]), FloatData(float32(scale)), IntAttr(zero))

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """N, H, W, C."""
        n, h, w, c = (d.data for d in self.shape.data)
        return n, h, w, c

    @property
    def quant(self) -> QuantAttr:
        return QuantAttr(self.scale, self.zero)

    def like(self, shape: Sequence[int]) -> TensorType:
        """The same quantisation with another shape."""
        return TensorType(ArrayAttr([IntAttr(n) for n in shape]), self.scale, self.zero)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape = [parser.parse_shape_dimension(False)]
            while parser.parse_optional_punctuation(",") is None:
                parser.parse_shape_delimiter()
                shape.append(parser.parse_shape_dimension(False))
            return ArrayAttr([IntAttr(n) for n in shape]), *_parse_scale_zero(parser)

    def print_parameters(self, printer: Printer) -> None:
        shape = "x".join(str(d.data) for d in self.shape.data)
        printer.print_string(f"<{shape}, scale {print_float(self.scale.data)}, zero {self.zero.data}>")

    def verify(self) -> None:
        if len(self.shape.data) != 4 or any(d.data < 1 for d in self.shape.data):
            raise VerifyException("a cnn tensor has four dimensions N, H, W, C, each at least 1")
        _check_scale_zero(self.scale.data, self.zero.data)


@irdl_attr_definition
class FloatType(ParametrizedAttribute, TypeAttribute):
    """A float32 result of a convolution that no quantiser rounds, NHWC, for the host: ``!cnn.float<1x8x8x4>``."""

    name = "cnn.float"
    shape: ArrayAttr[IntAttr] = param_def()

    @classmethod
    def of(cls, shape: Sequence[int]) -> FloatType:
        return cls.new([ArrayAttr([IntAttr(n) for n in shape])])

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """N, H, W, C."""
        n, h, w, c = (d.data for d in self.shape.data)
        return n, h, w, c

    @property
    def in_memory(self) -> TensorType:
        """Its bytes, little-endian, as the int8 tensor that they are to whatever only moves them."""
        n, h, w, c = self.dims
        return TensorType.of((n, h, w, c * FLOAT_BYTES), 1.0, 0)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape = [parser.parse_shape_dimension(False)]
            while len(shape) < RANK:
                parser.parse_shape_delimiter()
                shape.append(parser.parse_shape_dimension(False))
            return (ArrayAttr([IntAttr(n) for n in shape]),)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{'x'.join(str(d.data) for d in self.shape.data)}>")

    def verify(self) -> None:
        if len(self.shape.data) != RANK or any(d.data < 1 for d in self.shape.data):
            raise VerifyException("a cnn tensor has four dimensions N, H, W, C, each at least 1")


@irdl_attr_definition
class QuantAttr(ParametrizedAttribute):
    """Scale and zero point of an inner stage: ``#cnn.quant<scale 0.02, zero 3>``."""

    name = "cnn.quant"
    scale: FloatData = param_def()
    zero: IntAttr = param_def()

    @classmethod
    def of(cls, scale: float, zero: int) -> QuantAttr:
        return cls(FloatData(float32(scale)), IntAttr(zero))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return _parse_scale_zero(parser)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<scale {print_float(self.scale.data)}, zero {self.zero.data}>")

    def verify(self) -> None:
        _check_scale_zero(self.scale.data, self.zero.data)


@irdl_attr_definition
class ClampAttr(ParametrizedAttribute):
    """Bounds of an output, both included: ``#cnn.clamp<-128, 127>``."""

    name = "cnn.clamp"
    lo: IntAttr = param_def()
    hi: IntAttr = param_def()

    @classmethod
    def of(cls, lo: int = -128, hi: int = 127) -> ClampAttr:
        return cls(IntAttr(lo), IntAttr(hi))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return _parse_bounds(parser)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{self.lo.data}, {self.hi.data}>")

    def verify(self) -> None:
        check_clamp(self.lo.data, self.hi.data)


@irdl_attr_definition
class WindowAttr(ParametrizedAttribute):
    """A sliding window: ``#cnn.window<3x3 pad 1 1 1 1 stride 2 2 dilation 1 1>`` (pads: top bottom left right).

    Parts at their default (pad 0, stride 1, dilation 1) are not printed.
    """

    name = "cnn.window"
    kernel: ArrayAttr[IntAttr] = param_def()
    pads: ArrayAttr[IntAttr] = param_def()
    strides: ArrayAttr[IntAttr] = param_def()
    dilations: ArrayAttr[IntAttr] = param_def()

    @classmethod
    def of(
        cls,
        kernel: Sequence[int],
        pads: Sequence[int] = (0, 0, 0, 0),
        strides: Sequence[int] = (1, 1),
        dilations: Sequence[int] = (1, 1),
    ) -> WindowAttr:
        """kernel (rows, columns), pads (top, bottom, left, right), strides and dilations (rows, columns)."""
        return cls(*(ArrayAttr([IntAttr(n) for n in part]) for part in (kernel, pads, strides, dilations)))

    @property
    def values(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """kernel, pads, strides, dilations as plain numbers."""
        k, p, s, d = (tuple(n.data for n in a.data) for a in (self.kernel, self.pads, self.strides, self.dilations))
        return k, p, s, d

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Output rows and columns over an input of height × width."""
        (fy, fx), (top, bottom, left, right), (sy, sx), (dy, dx) = self.values
        return (
            (height + top + bottom - (fy - 1) * dy - 1) // sy + 1,
            (width + left + right - (fx - 1) * dx - 1) // sx + 1,
        )

    def meets_padding_alone(self, height: int, width: int) -> bool:
        """Whether one of its places over height × width holds no pixel."""
        (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = self.values
        rows, columns = self.output(height, width)
        return _misses(height, fy, top, sy, dy, rows) or _misses(width, fx, left, sx, dx, columns)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            fy = parser.parse_shape_dimension(False)
            parser.parse_shape_delimiter()
            fx = parser.parse_shape_dimension(False)
            parts: dict[str, tuple[int, ...]] = {"pad": (0, 0, 0, 0), "stride": (1, 1), "dilation": (1, 1)}
            for keyword, default in parts.items():
                if parser.parse_optional_keyword(keyword) is not None:
                    given = list[int]()
                    while (number := parser.parse_optional_integer(allow_boolean=False)) is not None:
                        given.append(number)
                    parts[keyword] = tuple(given)
                    if len(parts[keyword]) != len(default):
                        parser.raise_error(f"'{keyword}' is {len(default)} numbers, not {len(parts[keyword])}")
        window = cls.of((fy, fx), parts["pad"], parts["stride"], parts["dilation"])
        return window.parameters

    def print_parameters(self, printer: Printer) -> None:
        kernel, pads, strides, dilations = self.values
        text = f"{kernel[0]}x{kernel[1]}"
        for keyword, part, default in (("pad", pads, 0), ("stride", strides, 1), ("dilation", dilations, 1)):
            if any(n != default for n in part):
                text += f" {keyword} {' '.join(map(str, part))}"
        printer.print_string(f"<{text}>")

    def verify(self) -> None:
        kernel, pads, strides, dilations = self.values
        if (len(kernel), len(pads), len(strides), len(dilations)) != (2, 4, 2, 2):
            raise VerifyException("a window has 2 kernel sizes, 4 pads, 2 strides and 2 dilations")
        if min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
            raise VerifyException("kernel sizes, strides and dilations are at least 1 and pads at least 0")


@irdl_attr_definition
class SumAttr(ParametrizedAttribute):
    """A residual sum behind a convolution: ``#cnn.sum<second, scale 0.02, zero 3, clamp -128, 127>``.

    ``position`` says which operand of the original sum the residual is (``first`` or ``second``): the law of ``add``
    is not symmetric in rounding. A ``wide`` one joins before the convolution's own rounding, which is then the sum's.
    Quantisation and clamp are those of the sum's result; a clamp to all of int8 may be left out.
    """

    name = "cnn.sum"
    position: StringAttr = param_def()
    quant: QuantAttr = param_def()
    clamp: ClampAttr = param_def()

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            position = parser.parse_identifier()
            parser.parse_punctuation(",")
            quant = QuantAttr(*_parse_scale_zero(parser))
            clamp = ClampAttr.of()
            if parser.parse_optional_punctuation(",") is not None:
                parser.parse_keyword("clamp")
                clamp = ClampAttr(*_parse_bounds(parser))
            return StringAttr(position), quant, clamp

    def print_parameters(self, printer: Printer) -> None:
        clamp = "" if self.clamp == ClampAttr.of() else f", clamp {self.clamp.lo.data}, {self.clamp.hi.data}"
        scale, zero = print_float(self.quant.scale.data), self.quant.zero.data
        printer.print_string(f"<{self.position.data}, scale {scale}, zero {zero}{clamp}>")

    def verify(self) -> None:
        if self.position.data not in ("first", "second", "wide"):
            place = self.position.data
            raise VerifyException(f"the residual is the sum's first or second operand, or wide, not '{place}'")


def between(what: str, value: int, low: int, high: int) -> None:
    """VerifyException for a number outside its range, both ends included."""
    if not low <= value <= high:
        raise VerifyException(f"{what} is {value}, and {low} to {high} are allowed")


def check_clamp(lo: int, hi: int) -> None:
    """VerifyException for bounds that no int8 lies between."""
    if not -128 <= lo <= hi <= 127:
        raise VerifyException(f"clamp {lo} {hi} is not within -128 to 127, the lower bound first")


@functools.lru_cache(maxsize=4096)
def are_finite(blob: Blob) -> bool:
    """Whether a blob that is at hand holds finite numbers (a factor folded into them may be negative or 0)."""
    return blob.data is None or all(map(math.isfinite, blob.values()))


MOST_RATIO = 2.0**100
"""Of two scales: beyond, what a law makes of codes leaves float32."""


def check_ratio(scale: float, by: float, what: str = "") -> None:
    """VerifyException for two scales (or a product of two, called ``what``) so far apart that no law has a number."""
    if scale > MOST_RATIO * by:
        raise VerifyException(
            f"{what or 'scale'} {_short(scale)} is more than 2^100 times the result's scale {_short(by)}: float32 has "
            "no number for the law"
        )


def _short(value: float) -> str:
    """As the text has it; a product may be beyond float32."""
    return print_float(value) if value < 2.0**127 else f"{value:.7g}"


def check_finite(values: Iterable[float]) -> None:
    """VerifyException for a number of a law that is none."""
    for value in values:
        if not math.isfinite(value):
            raise VerifyException(f"the numbers of a law are finite float32, not {value}")


def _misses(size: int, kernel: int, before: int, stride: int, dilation: int, count: int) -> bool:
    """Whether one of ``count`` places along an axis, from ``before`` ahead of it on, takes none of its elements."""
    for start in range(-before, -before + count * stride, stride):
        first = max(0, -(start // dilation))  # the first tap that is not ahead of the axis
        if first >= kernel or start + first * dilation >= size:
            return True
    return False


def check_mean(window: WindowAttr, height: int, width: int, counted: int) -> None:
    """VerifyException for a window that takes the mean of no pixel, as padded positions are not counted."""
    if not counted and window.meets_padding_alone(height, width):
        raise VerifyException(
            f"the window {_text(window)} lies wholly in the padding of {height}x{width} pixels somewhere, and a mean "
            "of nothing has no value; make the pads smaller, or count them"
        )


def slid(window: WindowAttr, input: TensorType, channels: int) -> tuple[int, int, int, int]:
    """The shape that a window makes of its input; VerifyException for a window that does not fit."""
    n, h, w, _ = input.dims
    made = window.output(h, w)
    if min(made) < 1:
        raise VerifyException(f"the window {_text(window)} does not fit into {h}x{w} pixels with its pads")
    return n, *made, channels


def check_window(window: WindowAttr, input: TensorType, result: Sequence[int], channels: int) -> None:
    """VerifyException unless the window makes the result's shape of the input's."""
    wanted = slid(window, input, channels)
    if tuple(result) != wanted:
        raise VerifyException(
            f"the window {_text(window)} makes {'x'.join(map(str, wanted))} of {'x'.join(map(str, input.dims))}, "
            f"and the result is {'x'.join(map(str, result))}"
        )


def _text(window: WindowAttr) -> str:
    return str(window).removeprefix("#cnn.window")


def tensor_of(value: SSAValue) -> TensorType:
    if not isinstance(value.type, TensorType):
        raise VerifyException(f"expected a cnn tensor, got {value.type}")
    return value.type
