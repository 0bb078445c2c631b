"""Types and attributes of the tile dialect: buffers, slices in logical coordinates, the numbers of instructions.

Slices print inside the ops that own them (``%x[%i * 8 + 1, 0, 0] [8, 56, 64]``), because their offsets are affine in
the op's index operands; ``SliceText`` reads and writes that form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr, IntAttr
from xdsl.ir import Attribute, Data, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import between, check_clamp, check_finite
from dialects.recon import parse_shape
from dialects.text import parse_float, print_float
from sim.machine.description import Configuration

# ----------------------------------------------------------------------------------------------------------- types


def print_shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) + "xi8"


def parse_i8_shape(parser: AttrParser) -> tuple[int, ...]:
    shape, element = parse_shape(parser)
    if element != "i8":
        parser.raise_error("buffers hold i8")
    return shape


class ShapedMemory(ParametrizedAttribute, TypeAttribute):
    shape: ArrayAttr[IntAttr] = param_def()

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(d.data for d in self.shape.data)

    def verify(self) -> None:
        if not 1 <= len(self.shape.data) <= 4 or any(d.data < 1 for d in self.shape.data):
            raise VerifyException("a buffer has one to four dimensions, each at least 1")


@irdl_attr_definition
class DramType(ShapedMemory):
    """A tensor in DRAM, dense in row-major order: ``!tile.dram<28x28x16xi8>``, of one to four dimensions."""

    name = "tile.dram"

    @classmethod
    def of(cls, shape: Sequence[int]) -> DramType:
        return cls.new([ArrayAttr([IntAttr(n) for n in shape])])

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return (ArrayAttr([IntAttr(n) for n in parse_i8_shape(parser)]),)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{print_shape(self.dims)}>")


@irdl_attr_definition
class SramType(ShapedMemory):
    """A buffer in SRAM, dense in row-major order: ``!tile.sram<28x28x16xi8>``.

    With a ring, ``!tile.sram<28x28x16xi8, ring 6>``, 6 rows of 28 are stored, row y in slot y mod 6 (0: all). A part of
    an activation stores columns and channels from the first up to the end, which is not among them, and none else:
    ``!tile.sram<28x28x64xi8, columns 0 to 14, channels 32 to 64>``.
    """

    name = "tile.sram"
    shape: ArrayAttr[IntAttr] = param_def()
    ring: IntAttr = param_def()
    part: ArrayAttr[IntAttr] = param_def()

    @classmethod
    def of(cls, shape: Sequence[int], ring: int = 0, part: Sequence[int] = ()) -> SramType:
        return cls(ArrayAttr([IntAttr(n) for n in shape]), IntAttr(ring), ArrayAttr([IntAttr(n) for n in part]))

    @property
    def origin(self) -> tuple[int, ...]:
        """Logical coordinates of the first stored element, but for its row."""
        if not self.part.data:
            return (0,) * len(self.shape.data)
        return 0, self.part.data[0].data, self.part.data[2].data

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape, all of its rows, but of the columns and channels only those that are stored."""
        if not self.part.data:
            return self.dims
        first, end, low, high = (n.data for n in self.part.data)
        return self.dims[0], end - first, high - low

    @property
    def rows(self) -> int:
        """Rows stored."""
        return self.ring.data or self.dims[0]

    @property
    def nbytes(self) -> int:
        """Bytes of SRAM it takes."""
        size = self.rows
        for n in self.stored[1:]:
            size *= n
        return size

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape = parse_i8_shape(parser)
            ring, spans, seen = 0, dict[str, tuple[int, int]](), set[str]()
            while parser.parse_optional_punctuation(",") is not None:
                word = parser.parse_identifier("ring, columns or channels")
                if word not in ("ring", "columns", "channels"):
                    parser.raise_error(f"a buffer has a ring, columns or channels, not '{word}'")
                if word in seen:
                    parser.raise_error(f"'{word}' is given twice")
                seen.add(word)
                first = parser.parse_integer(allow_boolean=False, allow_negative=False)
                if word == "ring":
                    ring = first
                    continue
                parser.parse_keyword("to")
                spans[word] = first, parser.parse_integer(allow_boolean=False, allow_negative=False)
        part: tuple[int, ...] = ()
        if spans:
            whole = [(0, size) for size in (*shape, 0, 0)[1:3]]
            part = (*spans.get("columns", whole[0]), *spans.get("channels", whole[1]))
        return cls.of(shape, ring, part).parameters

    def print_parameters(self, printer: Printer) -> None:
        text = f", ring {self.ring.data}" if self.ring.data else ""
        if self.part.data:
            first, end, low, high = (n.data for n in self.part.data)
            text += f", columns {first} to {end}" if (first, end) != (0, self.dims[1]) else ""
            text += f", channels {low} to {high}" if (low, high) != (0, self.dims[2]) else ""
        printer.print_string(f"<{print_shape(self.dims)}{text}>")

    def verify(self) -> None:
        super().verify()
        if self.ring.data >= self.dims[0] and self.ring.data:
            raise VerifyException(f"a ring of {self.ring.data} rows for {self.dims[0]} rows is no ring")
        if not self.part.data:
            return
        if len(self.dims) != 3 or len(self.part.data) != 4:
            raise VerifyException("only a buffer of rows, columns and channels stores a part of itself")
        part = [n.data for n in self.part.data]
        if part == [0, self.dims[1], 0, self.dims[2]]:
            raise VerifyException(f"all of {self.dims[1]} columns and {self.dims[2]} channels is no part")
        for what, first, end, limit in (("columns", *part[:2], self.dims[1]), ("channels", *part[2:], self.dims[2])):
            if not 0 <= first < end <= limit:
                raise VerifyException(f"{what} {first} to {end} are none of {limit}")


@irdl_attr_definition
class HalfType(ParametrizedAttribute, TypeAttribute):
    """The contents of one half of the L1 weight store, as ``tile.fill`` gives them: ``!tile.half``."""

    name = "tile.half"


# ------------------------------------------------------------------------------------------------------ attributes


@irdl_attr_definition
class ConfigurationAttr(Data[Configuration]):
    """A setting of the array: ``#tile.configuration<winograd g1 k64 r16 p4>``.

    The algorithm is ``direct`` or ``winograd``; then groups, output channels, reduction elements and output pixels per
    cycle, whose product is at most the machine's lanes.
    """

    name = "tile.configuration"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Configuration:
        with parser.in_angle_brackets():
            words = [parser.parse_identifier()]
            for _ in range(4):
                words.append(parser.parse_identifier())
        try:
            return Configuration.parse(" ".join(words))
        except ValueError as error:
            parser.raise_error(f"{error}.")

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")


@dataclass(frozen=True)
class AffineIndex:
    """``constant + Σ coefficient · indices[position]``, over the index operands of an op."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()

    def at(self, indices: Sequence[int]) -> int:
        return self.constant + sum(coefficient * indices[position] for position, coefficient in self.terms)


@dataclass(frozen=True)
class Slice:
    """Offsets (affine) and sizes of a box in a buffer's logical coordinates."""

    offsets: tuple[AffineIndex, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, offsets: Sequence[int], sizes: Sequence[int]) -> Slice:
        return cls(tuple(AffineIndex(offset) for offset in offsets), tuple(sizes))

    def at(self, indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(offset.at(indices) if offset.terms else offset.constant for offset in self.offsets)


@irdl_attr_definition
class SliceAttr(Data[Slice]):
    """A box in a buffer, offsets and sizes; operations write it as ``%x[%i * 4 + 1, 0, 0] [4, 28, 16]``."""

    name = "tile.slice"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Slice:
        with parser.in_angle_brackets():
            parts = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_generic_affine(parser))
            sizes = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
        return Slice(tuple(parts), tuple(sizes))

    def print_parameter(self, printer: Printer) -> None:
        offsets = ", ".join(generic_affine(offset) for offset in self.data.offsets)
        printer.print_string(f"<[{offsets}] [{', '.join(map(str, self.data.sizes))}]>")


def generic_affine(offset: AffineIndex) -> str:
    """An offset as text without the op's operands, by their positions: ``1 8 d0``."""
    return " ".join([str(offset.constant), *(f"{coefficient} d{at}" for at, coefficient in offset.terms)])


def parse_generic_affine(parser: AttrParser) -> AffineIndex:
    constant = parser.parse_integer(allow_boolean=False)
    terms: list[tuple[int, int]] = []
    while (coefficient := parser.parse_optional_integer(allow_boolean=False)) is not None:
        position = parser.parse_identifier()
        terms.append((int(position.removeprefix("d")), coefficient))
    return AffineIndex(constant, tuple(terms))


@dataclass(frozen=True)
class Requantize:
    """Last stage of the accumulators: zero point and clamp of the int8 result (scales are in the parameters)."""

    zero: int
    lo: int
    hi: int

    def __str__(self) -> str:
        return f"zero {self.zero} clamp {self.lo} {self.hi}"


POSITIONS = ("second", "first", "wide")
"""Where a residual joins, in the order of the instruction's numbers from 1 on; a wide one before the rounding."""


@dataclass(frozen=True)
class Sum:
    """A residual on the output stream: ``position`` of the residual in the sum, the law's floats, and its clamp."""

    position: str
    ra: float
    rb: float
    fix: float
    lo: int
    hi: int

    def __str__(self) -> str:
        floats = " ".join(print_float(value) for value in (self.ra, self.rb, self.fix))
        return f"{self.position} ratios {floats} clamp {self.lo} {self.hi}"


@dataclass(frozen=True)
class VectorLaw:
    """The numbers of a vector operation; those an operation does not use keep their defaults.

    ``floats``: ra, rb, fix, alpha, beta, bias; ``zeros``: za, zb, zero point of the result; ``size`` as in the ISA.
    """

    floats: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    zeros: tuple[int, int, int] = (0, 0, 0)
    lo: int = -128
    hi: int = 127
    size: int = 0

    def __str__(self) -> str:
        return (
            f"floats {' '.join(print_float(v) for v in self.floats)} zeros {' '.join(map(str, self.zeros))} "
            f"clamp {self.lo} {self.hi} size {self.size}"
        )


def parse_int(parser: AttrParser) -> int:
    return parser.parse_integer(allow_boolean=False)


def _parse_requantize(parser: AttrParser) -> Requantize:
    parser.parse_keyword("zero")
    zero = parse_int(parser)
    parser.parse_keyword("clamp")
    return Requantize(zero, parse_int(parser), parse_int(parser))


def _parse_sum(parser: AttrParser) -> Sum:
    position = parser.parse_identifier()
    if position not in POSITIONS:
        parser.raise_error("the residual is the sum's first or second operand, or wide")
    parser.parse_keyword("ratios")
    ra, rb, fix = (parse_float(parser) for _ in range(3))
    parser.parse_keyword("clamp")
    return Sum(position, ra, rb, fix, parse_int(parser), parse_int(parser))


def _parse_law(parser: AttrParser) -> VectorLaw:
    parser.parse_keyword("floats")
    ra, rb, fix, alpha, beta, bias = (parse_float(parser) for _ in range(6))
    parser.parse_keyword("zeros")
    za, zb, zero = (parse_int(parser) for _ in range(3))
    parser.parse_keyword("clamp")
    lo, hi = parse_int(parser), parse_int(parser)
    parser.parse_keyword("size")
    return VectorLaw((ra, rb, fix, alpha, beta, bias), (za, zb, zero), lo, hi, parse_int(parser))


@irdl_attr_definition
class RequantizeAttr(Data[Requantize]):
    """Zero point and clamp of a convolution's int8 result: ``#tile.requantize<zero 3 clamp -128 127>``."""

    name = "tile.requantize"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Requantize:
        with parser.in_angle_brackets():
            return _parse_requantize(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")

    def verify(self) -> None:
        between("the zero point", self.data.zero, -128, 127)
        check_clamp(self.data.lo, self.data.hi)


@irdl_attr_definition
class SumAttr(Data[Sum]):
    """A residual sum behind a convolution: ``#tile.sum<second ratios 0.5 0.5 0.0 clamp -128 127>``.

    First which operand of the sum the residual is (``first``, ``second``, or ``wide`` where it joins before the
    rounding), then ra, rb and fix of the law of ``add`` ([arithmetic.md](../arithmetic.md)).
    """

    name = "tile.sum"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Sum:
        with parser.in_angle_brackets():
            return _parse_sum(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")

    def verify(self) -> None:
        check_finite((self.data.ra, self.data.rb, self.data.fix))
        check_clamp(self.data.lo, self.data.hi)


@irdl_attr_definition
class VectorLawAttr(Data[VectorLaw]):
    """The numbers of a vector operation:
    ``#tile.law<floats 0.5 0.5 0.0 0.0 0.0 0.0 zeros 0 0 3 clamp -128 127 size 0>``.

    The floats are ra, rb, fix, alpha, beta and bias, the zeros those of both operands and of the result; what an
    operation does not use stays 0 ([arithmetic.md](../arithmetic.md), [isa.md](../isa.md)).
    """

    name = "tile.law"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> VectorLaw:
        with parser.in_angle_brackets():
            return _parse_law(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")

    def verify(self) -> None:
        check_finite(self.data.floats)
        for zero in self.data.zeros:
            between("a zero point", zero, -128, 127)
        check_clamp(self.data.lo, self.data.hi)
