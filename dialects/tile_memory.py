"""The tile dialect's memory: constants, scratch and images in DRAM, buffers in SRAM, and copies between the two.

Decisions. Residency is ``alloc`` and ``free``; line buffers, double buffers and stripes are all *rings*. A buffer may
propose its address, placement decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IndexType, IntegerAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.integers import integer
from dialects.recon import BlobAttr
from dialects.tile_attributes import (
    ConfigurationAttr,
    DramType,
    Slice,
    SliceAttr,
    SramType,
)
from dialects.tile_op import TileOp, layer_symbol, parse_layer
from dialects.tile_slices import SliceText, buffer_type, check_slice, parse_buffer
from sim.machine.description import Configuration


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A constant in DRAM, part of the program image."""

    name = "tile.constant"
    value = prop_def(BlobAttr)
    output = result_def(DramType)
    assembly_format = "$value attr-dict `:` type($output)"

    def __init__(self, value: BlobAttr, shape: Sequence[int]):
        super().__init__(properties={"value": value}, result_types=[DramType.of(shape)])

    def verify_(self) -> None:
        size = 1
        for n in buffer_type(self.output).dims:
            size *= n
        if size != self.value.data.nbytes:
            raise VerifyException(
                f"{self.value.data!r} is {self.value.data.nbytes} bytes and does not fill {self.output.type}, which is "
                f"{size}"
            )


@irdl_op_definition
class DramOp(IRDLOperation):
    """Scratch in DRAM, for what does not stay on chip."""

    name = "tile.dram"
    output = result_def(DramType)
    assembly_format = "attr-dict `:` type($output)"

    def __init__(self, shape: Sequence[int]):
        super().__init__(result_types=[DramType.of(shape)])


@irdl_op_definition
class ImageOp(IRDLOperation):
    """A configuration image as a DRAM constant, so that a plan can keep a copy of it in SRAM."""

    name = "tile.image"
    configuration = prop_def(ConfigurationAttr)
    output = result_def(DramType)
    assembly_format = "$configuration attr-dict `:` type($output)"

    def __init__(self, configuration: Configuration, size: int):
        super().__init__(
            properties={"configuration": ConfigurationAttr(configuration)}, result_types=[DramType.of([size])]
        )


@irdl_op_definition
class AllocOp(IRDLOperation):
    """Room in SRAM from here to its ``free``.

    ``at`` proposes an address. Placement takes the proposals if every buffer has one and they fit together (as they do
    in a plan nobody edited), and finds addresses of its own otherwise: a person may leave them or delete them.
    """

    name = "tile.alloc"
    address = opt_prop_def(IntegerAttr.constr(i64))
    output = result_def(SramType)
    assembly_format = "(`at` $address^)? attr-dict `:` type($output)"

    def __init__(self, shape: Sequence[int], ring: int = 0, address: int | None = None, part: Sequence[int] = ()):
        super().__init__(
            result_types=[SramType.of(shape, ring, part)],
            properties={"address": integer(address) if address is not None else None},
        )

    def verify_(self) -> None:
        if self.address is not None and self.address.value.data < 0:
            raise VerifyException(f"an address is at least 0, not {self.address.value.data}")


@irdl_op_definition
class ViewOp(IRDLOperation):
    """The same bytes under another shape; neither may be a ring or store a part only."""

    name = "tile.view"
    input = operand_def(SramType)
    output = result_def(SramType)
    assembly_format = "$input attr-dict `:` type($input) `to` type($output)"

    def __init__(self, input: SSAValue, shape: Sequence[int]):
        super().__init__(operands=[input], result_types=[SramType.of(shape)])

    def verify_(self) -> None:
        a, b = buffer_type(self.input), buffer_type(self.output)
        if not isinstance(a, SramType) or not isinstance(b, SramType):
            raise VerifyException("a view is of SRAM, in SRAM")
        if a.ring.data or b.ring.data or a.part.data or b.part.data or a.nbytes != b.nbytes:
            raise VerifyException(f"{a} cannot be seen as {b}")


@irdl_op_definition
class FreeOp(IRDLOperation):
    """Ends the life of SRAM buffers."""

    name = "tile.free"
    buffers = var_operand_def(SramType)
    assembly_format = "$buffers attr-dict `:` type($buffers)"

    def __init__(self, buffers: Sequence[SSAValue]):
        super().__init__(operands=[buffers])


class BoxCopyOp(TileOp):
    """Shared by load and store: a box of ``sizes`` at ``target`` offsets from a box at ``source`` offsets."""

    target = operand_def()
    source = operand_def()
    indices = var_operand_def(IndexType())
    target_slice = prop_def(SliceAttr)
    source_slice = prop_def(SliceAttr)

    def __init__(
        self,
        target: SSAValue,
        target_slice: Slice,
        source: SSAValue,
        source_slice: Slice,
        layer: str | None = None,
        indices: Sequence[SSAValue] = (),
    ):
        super().__init__(
            operands=[target, source, indices],
            properties={
                "target_slice": SliceAttr(target_slice),
                "source_slice": SliceAttr(source_slice),
                "layer": layer_symbol(layer),
            },
        )

    @classmethod
    def parse(cls, parser: Parser) -> BoxCopyOp:
        text = SliceText()
        target = parse_buffer(parser)
        box = text.parse_box(parser, target)
        parser.parse_keyword("from")
        source = parse_buffer(parser)
        origin = Slice(text.parse_offsets(parser, len(box.sizes)), box.sizes)
        return cls(target, box, source, origin, parse_layer(parser), text.indices)

    def print(self, printer: Printer) -> None:
        text = SliceText(self.indices)
        printer.print_string(" ")
        printer.print_ssa_value(self.target)
        text.print_offsets(printer, self.target_slice.data.offsets)
        text.print_sizes(printer, self.target_slice.data.sizes)
        printer.print_string(" from ")
        printer.print_ssa_value(self.source)
        text.print_offsets(printer, self.source_slice.data.offsets)
        self._print_layer(printer)

    def verify_(self) -> None:
        if self.target_slice.data.sizes != self.source_slice.data.sizes:
            raise VerifyException("both slices of a move have the same sizes")
        check_slice("target", self.target_slice.data, self.target)
        check_slice("source", self.source_slice.data, self.source)


@irdl_op_definition
class LoadOp(BoxCopyOp):
    """DRAM → SRAM."""

    name = "tile.load"

    def verify_(self) -> None:
        super().verify_()
        if not isinstance(self.target.type, SramType) or not isinstance(self.source.type, DramType):
            raise VerifyException("a load goes from DRAM to SRAM")


@irdl_op_definition
class StoreOp(BoxCopyOp):
    """SRAM → DRAM."""

    name = "tile.store"

    def verify_(self) -> None:
        super().verify_()
        if not isinstance(self.target.type, DramType) or not isinstance(self.source.type, SramType):
            raise VerifyException("a store goes from SRAM to DRAM")
