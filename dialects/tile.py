"""The tile dialect: HOW, a whole plan as sequential text a person can read and edit.

Decisions. Meaning is sequential: what may overlap follows from the text, because two ops overlap unless they touch
common bytes (or one L1 half, or one configuration slot) and one writes. Where an op stands is its queue order, so the
place of a ``load`` *is* the prefetch decision. Nothing is decided below: every op (in every turn of its loops) is one
instruction. Residency is ``alloc`` and ``free``; line buffers, double buffers and stripes are all *rings*.

Buffers have logical shapes: activations HxWxC, weights KxRxSxC, parameters Kx8 (int32 bias, float32 scale), tables
256. An SRAM buffer with ``ring N`` stores N rows and row y lies in slot y mod N; one with ``columns`` or ``channels``
stores these only, so that a map wider or deeper than SRAM is worked on strip by strip. Slices are in logical
coordinates, offsets are affine in loop variables, and rows that fall outside the tensor are clipped away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from xdsl.dialects.builtin import IndexType, IntegerAttr, LocationAttr, StringAttr, SymbolNameConstraint, i64
from xdsl.ir import Attribute, Block, Dialect, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_operand_def,
    prop_def,
    region_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, NoTerminator, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from dialects.integers import integer
from dialects.tile_attributes import (
    AffineIndex,
    ConfigurationAttr,
    DramType,
    HalfType,
    Requantize,
    RequantizeAttr,
    Slice,
    SliceAttr,
    SramType,
    Sum,
    SumAttr,
    VectorLaw,
    VectorLawAttr,
)
from dialects.tile_conv import ConvOp, FillOp
from dialects.tile_memory import AllocOp, BoxCopyOp, ConstantOp, DramOp, FreeOp, ImageOp, LoadOp, StoreOp, ViewOp
from dialects.tile_move import MoveOp, Steps, Walk, WalkAttr
from dialects.tile_op import TileOp, layer_symbol
from dialects.tile_slices import buffer_type
from dialects.tile_vector import VectorOp
from sim.machine.description import Configuration

__all__ = [
    "MAX_INSTRUCTIONS",
    "TILE",
    "AffineIndex",
    "AllocOp",
    "BoxCopyOp",
    "ConfigurationAttr",
    "ConstantOp",
    "ConvOp",
    "DramOp",
    "DramType",
    "FillOp",
    "ForOp",
    "FrameOp",
    "FreeOp",
    "HalfType",
    "ImageOp",
    "LoadConfigOp",
    "LoadOp",
    "MoveOp",
    "Requantize",
    "RequantizeAttr",
    "ScheduleOp",
    "Slice",
    "SliceAttr",
    "SramType",
    "Steps",
    "StoreOp",
    "Sum",
    "SumAttr",
    "TileOp",
    "UseOp",
    "VectorLaw",
    "VectorLawAttr",
    "VectorOp",
    "ViewOp",
    "Walk",
    "buffer_type",
    "trips",
    "unrolled",
]


@irdl_op_definition
class ScheduleOp(IRDLOperation):
    """A plan for one machine: DRAM tensors in, DRAM tensors out, text in between."""

    name = "tile.schedule"
    sym_name = prop_def(SymbolNameConstraint())
    machine = prop_def(StringAttr)
    inputs = prop_def(IntegerAttr.constr(i64))
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        name: str,
        machine: str,
        inputs: Sequence[Attribute],
        outputs: Sequence[Attribute],
        body: Region | None = None,
    ):
        body = body or Region(Block(arg_types=[*inputs, *outputs]))
        super().__init__(
            regions=[body],
            properties={
                "sym_name": StringAttr(name),
                "machine": StringAttr(machine),
                "inputs": integer(len(inputs)),
            },
        )

    @property
    def input_values(self) -> Sequence[SSAValue]:
        return self.body.block.args[: self.inputs.value.data]

    @property
    def output_values(self) -> Sequence[SSAValue]:
        return self.body.block.args[self.inputs.value.data :]

    @classmethod
    def parse(cls, parser: Parser) -> ScheduleOp:
        name = parser.parse_symbol_name().data
        parser.parse_keyword("machine")
        machine = parser.parse_str_literal()
        locations: list[LocationAttr | None] = []

        def argument() -> Parser.Argument:
            found = parser.parse_argument()
            locations.append(parser.parse_optional_location())
            return found

        inputs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, argument)
        parser.parse_punctuation("->")
        outputs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, argument)
        body = parser.parse_region([*inputs, *outputs])
        for value, location in zip(body.blocks[0].args, locations, strict=True):  # of several the verifier speaks
            value.location = location if location is not None else value.location
        return cls(name, machine, [a.type for a in inputs], [a.type for a in outputs], body)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" machine ")
        printer.print_string_literal(self.machine.data)
        printer.print_string(" (")
        printer.print_list(self.input_values, lambda arg: printer.print_block_argument(cast(Any, arg)))
        printer.print_string(") -> (")
        printer.print_list(self.output_values, lambda arg: printer.print_block_argument(cast(Any, arg)))
        printer.print_string(") ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    def verify_(self) -> None:
        if not all(isinstance(arg.type, DramType) for arg in self.body.block.args):
            raise VerifyException("a schedule takes and gives DRAM tensors")
        if sum(isinstance(op, FrameOp) for op in self.body.block.ops) > 1:
            raise VerifyException("a schedule has one tile.frame at most: below it everything is done for every frame")


@irdl_op_definition
class FrameOp(IRDLOperation):
    """The plan runs frames in a row: what stands above is done once, what stands below once for every frame.

    A buffer that is allocated above lives for all frames, so a load moved above this line makes its weights stay.
    """

    name = "tile.frame"
    traits = traits_def(HasParent(ScheduleOp))
    assembly_format = "attr-dict"


@irdl_op_definition
class ForOp(IRDLOperation):
    """``for %i = lower to upper step step``: the body in order, for each value below ``upper``."""

    name = "tile.for"
    lower = prop_def(IntegerAttr.constr(i64))
    upper = prop_def(IntegerAttr.constr(i64))
    step = prop_def(IntegerAttr.constr(i64))
    body = region_def("single_block")
    traits = traits_def(NoTerminator())

    def __init__(self, lower: int, upper: int, step: int, body: Region | None = None):
        super().__init__(
            regions=[body or Region(Block(arg_types=[IndexType()]))],
            properties={
                "lower": integer(lower),
                "upper": integer(upper),
                "step": integer(step),
            },
        )

    @property
    def values(self) -> range:
        return range(self.lower.value.data, self.upper.value.data, self.step.value.data)

    @classmethod
    def parse(cls, parser: Parser) -> ForOp:
        argument = parser.parse_argument(expect_type=False).resolve(IndexType())
        parser.parse_punctuation("=")
        lower = parser.parse_integer(allow_boolean=False)
        parser.parse_keyword("to")
        upper = parser.parse_integer(allow_boolean=False)
        parser.parse_keyword("step")
        step = parser.parse_integer(allow_boolean=False)
        return cls(lower, upper, step, parser.parse_region([argument]))

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.body.block.args[0])
        values = self.values
        printer.print_string(f" = {values.start} to {values.stop} step {values.step} ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    def verify_(self) -> None:
        if self.step.value.data < 1:
            raise VerifyException("a loop's step is at least 1")


@irdl_op_definition
class LoadConfigOp(TileOp):
    """Bring a configuration image into the shadow slot (from DRAM, or from an SRAM copy of the image)."""

    name = "tile.load_config"
    configuration = prop_def(ConfigurationAttr)
    copy = opt_operand_def(SramType)
    assembly_format = "$configuration (`copy` $copy^ `:` type($copy))? (`layer` $layer^)? attr-dict"

    def __init__(self, configuration: Configuration, layer: str | None = None, copy: SSAValue | None = None):
        super().__init__(
            operands=[copy],
            properties={"configuration": ConfigurationAttr(configuration), "layer": layer_symbol(layer)},
        )


@irdl_op_definition
class UseOp(TileOp):
    """Exchange the active and the shadow slot: the named configuration, which the shadow slot holds, is active."""

    name = "tile.use"
    configuration = prop_def(ConfigurationAttr)
    assembly_format = "$configuration (`layer` $layer^)? attr-dict"

    def __init__(self, configuration: Configuration, layer: str | None = None):
        super().__init__(properties={"configuration": ConfigurationAttr(configuration), "layer": layer_symbol(layer)})


MAX_INSTRUCTIONS = 200_000
"""A plan that unrolls to more is refused before it is unrolled."""


def trips(op: Operation) -> int:
    """Instructions this op, with its loops, stands for; a turn without any counts as one, for it takes time as well."""
    if isinstance(op, ForOp):
        return len(op.values) * max(1, sum(trips(inner) for inner in op.body.block.ops))
    return 1 if isinstance(op, TileOp) else 0


def unrolled(block: Block, values: Mapping[SSAValue, int] | None = None) -> Iterator[tuple[Operation, list[int]]]:
    """The plan's ops in execution order, loops unrolled: each op with the values of its index operands."""
    bound = dict(values or {})
    for op in block.ops:
        if isinstance(op, ForOp):
            for value in op.values:
                bound[op.body.block.args[0]] = value
                yield from unrolled(op.body.block, bound)
        else:
            indices = cast(Sequence[SSAValue], getattr(op, "indices", ()))
            yield op, [bound[index] for index in indices] if indices else []


TILE = Dialect(
    "tile",
    [
        ScheduleOp,
        ConstantOp,
        DramOp,
        ImageOp,
        AllocOp,
        ViewOp,
        FreeOp,
        ForOp,
        FrameOp,
        LoadOp,
        StoreOp,
        LoadConfigOp,
        UseOp,
        FillOp,
        ConvOp,
        VectorOp,
        MoveOp,
    ],
    [DramType, SramType, HalfType, ConfigurationAttr, SliceAttr, RequantizeAttr, SumAttr, VectorLawAttr, WalkAttr],
)
