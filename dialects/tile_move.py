"""The tile dialect's movement: one box of bytes from one place in SRAM to another, by any steps along any axes.

Decision. What the vector unit's copy can do is what its operands' strides can say: two counted dimensions, each a
constant number of bytes apart, and a run of channels. A *walk* says that in logical coordinates, so that slices with
steps, interleaved pixels, repeated pixels and exchanged axes are all the same operation, and a plan stays readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import DenseArrayBase, IndexType, i64
from xdsl.ir import Data, SSAValue
from xdsl.irdl import irdl_attr_definition, irdl_op_definition, operand_def, prop_def, var_operand_def
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.tile_attributes import AffineIndex, SramType, generic_affine, parse_generic_affine
from dialects.tile_op import TileOp, layer_symbol, parse_layer
from dialects.tile_slices import SliceText, buffer_type, parse_buffer

AXES = ("row", "column", "channel")

Steps = tuple[tuple[int, int], tuple[int, int]]
"""Axis and distance of the outer and the middle dimension."""


@dataclass(frozen=True)
class Walk:
    """From ``origin`` (row, column, channel) on, ``steps`` elements along an axis each; innermost runs of channels."""

    origin: tuple[AffineIndex, ...]
    steps: Steps

    @classmethod
    def of(cls, origin: Sequence[int], steps: Steps) -> Walk:
        return cls(tuple(AffineIndex(offset) for offset in origin), steps)

    def at(self, indices: Sequence[int]) -> tuple[int, int, int]:
        """The origin in one turn of the loops around it."""
        row, column, channel = (offset.at(indices) for offset in self.origin)
        return row, column, channel

    def extent(self, sizes: Sequence[int]) -> tuple[int, int, int]:
        """Rows, columns and channels from the first element to the last, for a move of these sizes."""
        spans = [1, 1, sizes[2]]
        for (axis, step), size in zip(self.steps, sizes, strict=False):
            spans[axis] += step * (size - 1)
        row, column, channel = spans
        return row, column, channel

    def steps_text(self) -> str:
        return ", ".join(f"{AXES[axis]} {step}" for axis, step in self.steps)


@irdl_attr_definition
class WalkAttr(Data[Walk]):
    """A walk through a buffer: from an origin in two steps; operations write ``%x[0, 0, 0] by row 1, column 1``."""

    name = "tile.walk"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Walk:
        with parser.in_angle_brackets():
            origin = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_generic_affine(parser))
            return Walk(tuple(origin), _parse_steps(parser))

    def print_parameter(self, printer: Printer) -> None:
        origin = ", ".join(generic_affine(offset) for offset in self.data.origin)
        printer.print_string(f"<[{origin}] by {self.data.steps_text()}>")


def _parse_steps(parser: AttrParser) -> Steps:
    parser.parse_keyword("by")
    first = _parse_step(parser)
    parser.parse_punctuation(",")
    return first, _parse_step(parser)


def _parse_step(parser: AttrParser) -> tuple[int, int]:
    name = parser.parse_identifier("row, column or channel")
    if name not in AXES:
        parser.raise_error(f"a walk goes along {', '.join(AXES)}, not along '{name}'")
    return AXES.index(name), parser.parse_integer(allow_boolean=False, allow_negative=False)


@irdl_op_definition
class MoveOp(TileOp):
    """Codes from one walk through a buffer to another: ``sizes`` of the two outer dimensions and of the channel run."""

    name = "tile.move"
    output = operand_def(SramType)
    input = operand_def(SramType)
    indices = var_operand_def(IndexType())
    write = prop_def(WalkAttr)
    read = prop_def(WalkAttr)
    sizes = prop_def(DenseArrayBase.constr(i64))

    def __init__(
        self,
        output: SSAValue,
        write: Walk,
        input: SSAValue,
        read: Walk,
        sizes: Sequence[int],
        layer: str | None = None,
        indices: Sequence[SSAValue] = (),
    ):
        super().__init__(
            operands=[output, input, indices],
            properties={
                "write": WalkAttr(write),
                "read": WalkAttr(read),
                "sizes": DenseArrayBase.from_list(i64, list(sizes)),
                "layer": layer_symbol(layer),
            },
        )

    @property
    def extent(self) -> tuple[int, int, int]:
        """Elements of the outer, middle and innermost dimension."""
        outer, middle, run = self.sizes.get_values()
        return outer, middle, run

    @classmethod
    def parse(cls, parser: Parser) -> MoveOp:
        text = SliceText()
        output = parse_buffer(parser)
        write = Walk(text.parse_offsets(parser), _parse_steps(parser))
        parser.parse_punctuation("=")
        source = parse_buffer(parser)
        read = Walk(text.parse_offsets(parser), _parse_steps(parser))
        parser.parse_keyword("sizes")
        sizes = text.parse_sizes(parser)
        return cls(output, write, source, read, sizes, parse_layer(parser), text.indices)

    def print(self, printer: Printer) -> None:
        text = SliceText(self.indices)
        for before, value, walk in ((" ", self.output, self.write.data), (" = ", self.input, self.read.data)):
            printer.print_string(before)
            printer.print_ssa_value(value)
            text.print_offsets(printer, walk.origin)
            printer.print_string(f" by {walk.steps_text()}")
        printer.print_string(" sizes")
        text.print_sizes(printer, self.extent)
        self._print_layer(printer)

    def verify_(self) -> None:
        sizes = self.sizes.get_values()
        if len(sizes) != 3 or min(sizes) < 1:
            raise VerifyException("a move has three sizes, each at least 1")
        for what, value, walk in (("output", self.output, self.write.data), ("input", self.input, self.read.data)):
            dims = buffer_type(value).dims
            if len(dims) != 3 or len(walk.origin) != 3:
                raise VerifyException("a move works on HxWxC buffers")
            for axis, (offset, span, limit) in enumerate(zip(walk.origin, walk.extent(sizes), dims, strict=True)):
                if not offset.terms and (offset.constant < 0 or offset.constant + span > limit):
                    raise VerifyException(
                        f"{what}: {AXES[axis]} {offset.constant} to {offset.constant + span - 1} leave {value.type}"
                    )
        steps = self.write.data.steps
        if any(step == 0 and size > 1 for (_, step), size in zip(steps, sizes, strict=False)):
            raise VerifyException("output: a move writes every element once, so its steps are at least 1")
