"""The tile dialect's work of the vector unit: one op for all its operations, checked against their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import IndexType, StringAttr
from xdsl.ir import SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import WindowAttr, between, check_mean
from dialects.tile_attributes import (
    AffineIndex,
    Slice,
    SliceAttr,
    SramType,
    VectorLaw,
    VectorLawAttr,
)
from dialects.tile_op import (
    TileOp,
    check_apart,
    check_channels,
    check_made,
    check_side_data,
    layer_symbol,
    parse_layer,
    parse_parts,
)
from dialects.tile_slices import SliceText, buffer_type, check_slice, parse_buffer
from sim.machine.isa import VECTOR_OPS
from sim.machine.operations import operation

ORIGIN = AffineIndex(0)


@irdl_op_definition
class VectorOp(TileOp):
    """One operation of the vector unit: the output box in logical coordinates, from one or two buffers.

    ``offset``s are the first channel read of each operand. ``params`` holds affine's rows of 8 bytes, a float32 scale
    and a float32 offset of every channel, from the named channel on; ``table`` the table.
    Pools use ``window`` and clip it at the input's logical edges; resize's factors are the window's strides; a global
    average reads its whole input. A copy without a law moves codes as they are.
    """

    name = "tile.vector"
    output = operand_def(SramType)
    lhs = operand_def(SramType)
    rhs = opt_operand_def(SramType)
    params = opt_operand_def(SramType)
    table = opt_operand_def(SramType)
    indices = var_operand_def(IndexType())
    kind = prop_def(StringAttr)
    out = prop_def(SliceAttr)
    lhs_offset = prop_def(SliceAttr)
    params_offset = opt_prop_def(SliceAttr)
    rhs_offset = opt_prop_def(SliceAttr)
    window = opt_prop_def(WindowAttr)
    law = prop_def(VectorLawAttr)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        kind: str,
        output: SSAValue,
        out: Slice,
        lhs: SSAValue,
        lhs_offset: AffineIndex = ORIGIN,
        *,
        rhs: SSAValue | None = None,
        rhs_offset: AffineIndex | None = None,
        params: SSAValue | None = None,
        params_offset: AffineIndex | None = None,
        table: SSAValue | None = None,
        window: WindowAttr | None = None,
        law: VectorLaw | None = None,
        layer: str | None = None,
        indices: Sequence[SSAValue] = (),
    ):
        """Many parameters: the operands and attributes of the operation, as its text has them."""
        if rhs is not None and rhs_offset is None:
            rhs_offset = AffineIndex(0)
        if params is not None and params_offset is None:
            params_offset = AffineIndex(0)
        super().__init__(
            operands=[output, lhs, rhs, params, table, indices],
            properties={
                "kind": StringAttr(kind),
                "out": SliceAttr(out),
                "lhs_offset": SliceAttr(Slice((lhs_offset,), (1,))),
                "rhs_offset": SliceAttr(Slice((rhs_offset,), (1,))) if rhs_offset is not None else None,
                "params_offset": SliceAttr(Slice((params_offset,), (1,))) if params_offset is not None else None,
                "window": window,
                "law": VectorLawAttr(law or VectorLaw()),
                "layer": layer_symbol(layer),
            },
        )

    @classmethod
    def parse(cls, parser: Parser) -> VectorOp:
        text = SliceText()
        kind = parser.parse_identifier()
        output = parse_buffer(parser)
        out = text.parse_box(parser, output)
        parser.parse_punctuation("=")
        lhs = parse_buffer(parser)
        (lhs_offset,) = text.parse_offsets(parser)
        options: dict[str, Any] = {}
        if parser.parse_optional_punctuation(",") is not None:
            options["rhs"] = parse_buffer(parser)
            (options["rhs_offset"],) = text.parse_offsets(parser)
        options |= parse_parts(
            parser,
            {
                "window": lambda: {"window": WindowAttr.new(WindowAttr.parse_parameters(parser))},
                "params": lambda: {
                    "params": parse_buffer(parser),
                    "params_offset": text.parse_offsets(parser)[0],
                },
                "table": lambda: {"table": parse_buffer(parser)},
                "law": lambda: {"law": VectorLawAttr.parse_parameter(parser)},
            },
        )
        return cls(kind, output, out, lhs, lhs_offset, layer=parse_layer(parser), indices=text.indices, **options)

    def print(self, printer: Printer) -> None:
        text = SliceText(self.indices)
        printer.print_string(f" {self.kind.data} ")
        printer.print_ssa_value(self.output)
        text.print_offsets(printer, self.out.data.offsets)
        text.print_sizes(printer, self.out.data.sizes)
        printer.print_string(" = ")
        printer.print_ssa_value(self.lhs)
        text.print_offsets(printer, self.lhs_offset.data.offsets)
        if self.rhs is not None and self.rhs_offset is not None:
            printer.print_string(", ")
            printer.print_ssa_value(self.rhs)
            text.print_offsets(printer, self.rhs_offset.data.offsets)
        if self.window is not None:
            printer.print_string(" window ")
            self.window.print_parameters(printer)
        if self.params is not None and self.params_offset is not None:
            printer.print_string(" params ")
            printer.print_ssa_value(self.params)
            text.print_offsets(printer, self.params_offset.data.offsets)
        if self.table is not None:
            printer.print_string(" table ")
            printer.print_ssa_value(self.table)
        if self.law.data != VectorLaw():
            printer.print_string(f" law <{self.law.data}>")
        self._print_layer(printer)

    def verify_(self) -> None:
        if self.kind.data not in VECTOR_OPS:
            raise VerifyException(f"the vector unit has no '{self.kind.data}'; it has {', '.join(VECTOR_OPS)}")
        check_slice("output", self.out.data, self.output)
        if len(buffer_type(self.output).dims) != 3 or len(buffer_type(self.lhs).dims) != 3:
            raise VerifyException("a vector operation works on HxWxC buffers")
        row = operation(self.kind.data)
        for what, wanted, given in (
            ("second operand", row.binary, self.rhs),
            ("params", row.side == "params", self.params),
            ("table", row.side == "table", self.table),
            ("window", row.windowed, self.window),
        ):
            if wanted != (given is not None):
                raise VerifyException(f"'{row.name}' {'needs its' if wanted else 'takes no'} {what}")
        if (self.params is None) != (self.params_offset is None):
            raise VerifyException("params come with the channel they start at")
        check_side_data(self.params, self.table)
        self._verify_operands()

    def _verify_operands(self) -> None:
        kind, channels = self.kind.data, self.out.data.sizes[2]
        operands = [("first operand", self.lhs, self.lhs_offset)]
        if self.rhs is not None and self.rhs_offset is not None:
            operands.append(("second operand", self.rhs, self.rhs_offset))
        for what, value, offset in operands:
            if len(dims := buffer_type(value).dims) != 3:
                raise VerifyException("a vector operation works on HxWxC buffers")
            check_channels(f"channels of the {what}", Slice(offset.data.offsets, (channels,)), dims[2])
        size = self.law.data.size
        if kind == "average_pool":
            between("the size of an average pool, which counts padded positions if it is 1,", size, 0, 1)
        elif kind in ("lrn", "shuffle") and size < 1:
            raise VerifyException(f"the size of {kind} is at least 1, not {size}")
        if kind == "shuffle" and channels % size:
            raise VerifyException(f"{size} groups do not divide {channels} channels")
        if operation(kind).reads == "image" and self.out.data.sizes[:2] != (1, 1):
            rows, columns = self.out.data.sizes[:2]
            raise VerifyException(f"{kind} makes one pixel of its whole operand, not {rows}x{columns}")
        if self.window is not None and operation(kind).reads == "window":
            height, width, _ = source = buffer_type(self.lhs).dims
            check_made(self.window, source, buffer_type(self.output).dims)
            if kind == "average_pool":
                check_mean(self.window, height, width, size)
        if self.output is self.lhs and not operation(kind).in_place:
            check_apart(kind, self.out.data, self.lhs_offset.data.offsets[0], channels)
