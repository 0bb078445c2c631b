"""Slices in a plan's own text: ``%x[%i * 8, 0, 0] [8, 56, 64]``, with the buffers and index operands they speak of.

What is implied may be left out: a box of all of its buffer, offsets at its origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xdsl.dialects.builtin import IndexType
from xdsl.ir import SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.tile_attributes import AffineIndex, DramType, Slice, SramType


class SliceText:
    """Reads and writes ``%x[%i * 8 + 1, 0, 0]`` while collecting the op's index operands."""

    def __init__(self, indices: Sequence[SSAValue] = ()):
        self.indices: list[SSAValue] = list(indices)

    def parse_affine(self, parser: Parser) -> AffineIndex:
        constant, terms = 0, dict[int, int]()
        sign = 1
        while True:
            if (value := parser.parse_optional_unresolved_operand()) is not None:
                index = parser.resolve_operand(value, IndexType())
                if index not in self.indices:
                    self.indices.append(index)
                factor = 1
                if parser.parse_optional_punctuation("*") is not None:
                    factor = parser.parse_integer(allow_boolean=False)
                position = self.indices.index(index)
                terms[position] = terms.get(position, 0) + sign * factor
            else:
                constant += sign * parser.parse_integer(allow_boolean=False)
            if parser.parse_optional_punctuation("+") is not None:
                sign = 1
            elif parser.parse_optional_punctuation("-") is not None:
                sign = -1
            else:
                return AffineIndex(constant, tuple(sorted(terms.items())))

    def parse_offsets(self, parser: Parser, dimensions: int = 1) -> tuple[AffineIndex, ...]:
        """The offsets of a box; those left out are the origin of so many ``dimensions``."""
        given = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: self.parse_affine(parser))
        return tuple(given) if given is not None else (AffineIndex(0),) * dimensions

    def parse_box(self, parser: Parser, value: SSAValue) -> Slice:
        """Offsets and sizes of a box in a buffer; left out, all of the buffer."""
        dims = buffer_type(value).dims if isinstance(value.type, DramType | SramType) else (1,)
        return self.parse_sized(parser, dims)

    def parse_sized(self, parser: Parser, dims: tuple[int, ...]) -> Slice:
        """Offsets and sizes; left out, all of ``dims``."""
        given = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: self.parse_affine(parser))
        if given is None:
            return Slice.of((0,) * len(dims), dims)
        return Slice(tuple(given), self.parse_sizes(parser))

    @staticmethod
    def parse_sizes(parser: Parser) -> tuple[int, ...]:
        return tuple(
            parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False, allow_negative=False)
            )
        )

    def print_offsets(self, printer: Printer, offsets: Iterable[AffineIndex]) -> None:
        printer.print_string("[")
        for number, offset in enumerate(offsets):
            if number:
                printer.print_string(", ")
            for term, (position, coefficient) in enumerate(offset.terms):
                if term:
                    printer.print_string(" + ")
                printer.print_ssa_value(self.indices[position])
                if coefficient != 1:
                    printer.print_string(f" * {coefficient}")
            if not offset.terms:
                printer.print_string(str(offset.constant))
            elif offset.constant:
                printer.print_string(f" {'+' if offset.constant > 0 else '-'} {abs(offset.constant)}")
        printer.print_string("]")

    @staticmethod
    def print_sizes(printer: Printer, sizes: Iterable[int]) -> None:
        printer.print_string(f" [{', '.join(map(str, sizes))}]")


def parse_buffer(parser: Parser) -> SSAValue:
    """An operand whose definition has been read already, whatever its type."""
    unresolved = parser.parse_unresolved_operand()
    values = parser.ssa_values.get(unresolved.operand_name)
    if values is None or unresolved.index >= len(values):
        parser.raise_error(f"%{unresolved.operand_name} is not defined above", unresolved.span)
    return values[unresolved.index]


def buffer_type(value: SSAValue) -> DramType | SramType:
    """The buffer type of a value; VerifyException if it is no buffer."""
    if not isinstance(value.type, DramType | SramType):
        raise VerifyException(f"expected a buffer, got {value.type}")
    return value.type


def check_slice(what: str, box: Slice, value: SSAValue) -> None:
    """VerifyException for a box that leaves its buffer, as far as its offsets are known.

    Rows of a loop's last turn that fall outside are clipped away; those of a box without a loop variable are a mistake.
    """
    dims = buffer_type(value).dims
    if len(box.offsets) != len(dims) or len(box.sizes) != len(dims):
        raise VerifyException(
            f"{what}: {len(box.offsets)} offsets and {len(box.sizes)} sizes are given for a buffer of "
            f"{len(dims)} dimensions, {value.type}"
        )
    for axis, (offset, size, limit) in enumerate(zip(box.offsets, box.sizes, dims, strict=True)):
        if size < 1:
            raise VerifyException(f"{what}: size {size} in dimension {axis}")
        if not offset.terms and (offset.constant < 0 or offset.constant + size > limit):
            raise VerifyException(
                f"{what}: offset {offset.constant} and size {size} leave dimension {axis} of {value.type}, which has "
                f"{limit}"
            )
