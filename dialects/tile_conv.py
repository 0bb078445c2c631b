"""The tile dialect's work of the array: weights into L1, passes of a convolution over them."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IndexType, IntegerAttr, UnitAttr, i64
from xdsl.ir import SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import FLOAT_BYTES, WindowAttr, between
from dialects.integers import integer
from dialects.tile_attributes import (
    AffineIndex,
    ConfigurationAttr,
    HalfType,
    Requantize,
    RequantizeAttr,
    Slice,
    SliceAttr,
    SramType,
    Sum,
    SumAttr,
    parse_int,
)
from dialects.tile_op import (
    TileOp,
    check_apart,
    check_channels,
    check_made,
    check_side_data,
    layer_symbol,
    parse_keyword,
    parse_layer,
    parse_parts,
)
from dialects.tile_slices import SliceText, buffer_type, check_slice, parse_buffer
from sim.machine.description import Configuration


@irdl_op_definition
class FillOp(TileOp):
    """A slice of weights (KRSC) into an L1 half, laid out for a configuration. The result is the half's contents
    until the next fill of that half; ``groups`` of the slice's output channels share no inputs."""

    name = "tile.fill"
    weights = operand_def(SramType)
    indices = var_operand_def(IndexType())
    half = prop_def(IntegerAttr.constr(i64))
    slice = prop_def(SliceAttr)
    configuration = prop_def(ConfigurationAttr)
    groups = prop_def(IntegerAttr.constr(i64))
    zero = prop_def(IntegerAttr.constr(i64))
    output = result_def(HalfType())

    def __init__(
        self,
        half: int,
        weights: SSAValue,
        slice: Slice,
        configuration: Configuration,
        groups: int = 1,
        zero: int = 0,
        layer: str | None = None,
        indices: Sequence[SSAValue] = (),
    ):
        """Many parameters: the operands and attributes of the operation, as its text has them."""
        super().__init__(
            operands=[weights, indices],
            result_types=[HalfType()],
            properties={
                "half": integer(half),
                "slice": SliceAttr(slice),
                "configuration": ConfigurationAttr(configuration),
                "groups": integer(groups),
                "zero": integer(zero),
                "layer": layer_symbol(layer),
            },
        )

    @classmethod
    def parse(cls, parser: Parser) -> FillOp:
        text = SliceText()
        parser.parse_keyword("half")
        half = parse_int(parser)
        weights = parse_buffer(parser)
        box = text.parse_box(parser, weights)
        parser.parse_keyword("for")
        configuration = ConfigurationAttr.parse_parameter(parser)
        groups = parse_int(parser) if parser.parse_optional_keyword("groups") is not None else 1
        zero = parse_int(parser) if parser.parse_optional_keyword("zero") is not None else 0
        return cls(half, weights, box, configuration, groups, zero, parse_layer(parser), text.indices)

    def print(self, printer: Printer) -> None:
        text = SliceText(self.indices)
        printer.print_string(f" half {self.half.value.data} ")
        printer.print_ssa_value(self.weights)
        text.print_offsets(printer, self.slice.data.offsets)
        text.print_sizes(printer, self.slice.data.sizes)
        printer.print_string(f" for <{self.configuration.data}>")
        if self.groups.value.data != 1:
            printer.print_string(f" groups {self.groups.value.data}")
        if self.zero.value.data:
            printer.print_string(f" zero {self.zero.value.data}")
        self._print_layer(printer)

    def verify_(self) -> None:
        check_slice("weights", self.slice.data, self.weights)
        if len(self.slice.data.sizes) != 4:
            raise VerifyException("weights are KxRxSxC")
        if self.half.value.data not in (0, 1):
            raise VerifyException(f"L1 has halves 0 and 1, not {self.half.value.data}")
        between("the weights' zero point", self.zero.value.data, -128, 127)
        if self.groups.value.data < 1 or self.slice.data.sizes[0] % self.groups.value.data:
            raise VerifyException(
                f"{self.groups.value.data} groups do not divide {self.slice.data.sizes[0]} output channels"
            )


@irdl_op_definition
class ConvOp(TileOp):
    """One pass of a convolution over a tile.

    ``out`` is the output rectangle and channels in the output's logical coordinates; the window says which input rows
    and columns meet it (the buffer's logical height and width say where padding begins, ``pad_value`` what it holds);
    ``channels`` are the input channels this pass reads. With ``first`` accumulators start at zero; the ``requantize``
    stage makes a pass the last one, with ``params`` (rows of 8 bytes, an int32 bias and a float32 scale of every output
    channel) from the named channel on, then optionally the residual sum, then the table. With ``float`` all passes of a
    reduction are of one whose result is float32: 4 bytes of ``out`` each.
    """

    name = "tile.conv"
    output = operand_def(SramType)
    input = operand_def(SramType)
    half = operand_def(HalfType())
    params = opt_operand_def(SramType)
    residual = opt_operand_def(SramType)
    table = opt_operand_def(SramType)
    indices = var_operand_def(IndexType())
    out = prop_def(SliceAttr)
    channels = prop_def(SliceAttr)
    groups = prop_def(IntegerAttr.constr(i64))
    window = prop_def(WindowAttr)
    pad_value = prop_def(IntegerAttr.constr(i64))
    first = prop_def(IntegerAttr.constr(i64))
    params_offset = opt_prop_def(SliceAttr)
    requantize = opt_prop_def(RequantizeAttr)
    residual_offset = opt_prop_def(SliceAttr)
    sum = opt_prop_def(SumAttr)
    float = opt_prop_def(UnitAttr)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        output: SSAValue,
        out: Slice,
        input: SSAValue,
        channels: Slice,
        half: SSAValue,
        window: WindowAttr,
        *,
        groups: int = 1,
        pad_value: int = 0,
        first: bool = True,
        params: SSAValue | None = None,
        params_offset: AffineIndex | None = None,
        requantize: Requantize | None = None,
        residual: SSAValue | None = None,
        residual_offset: AffineIndex | None = None,
        sum: Sum | None = None,
        table: SSAValue | None = None,
        is_float: bool = False,
        layer: str | None = None,
        indices: Sequence[SSAValue] = (),
    ):
        """Many parameters: the operands and attributes of the operation, as its text has them."""

        def at(offset: AffineIndex | None) -> SliceAttr | None:
            return SliceAttr(Slice((offset,), (1,))) if offset is not None else None

        super().__init__(
            operands=[output, input, half, params, residual, table, indices],
            properties={
                "out": SliceAttr(out),
                "channels": SliceAttr(channels),
                "groups": integer(groups),
                "window": window,
                "pad_value": integer(pad_value),
                "first": integer(int(first)),
                "params_offset": at(params_offset),
                "requantize": RequantizeAttr(requantize) if requantize else None,
                "residual_offset": at(residual_offset),
                "sum": SumAttr(sum) if sum else None,
                "float": UnitAttr() if is_float else None,
                "layer": layer_symbol(layer),
            },
        )

    @property
    def last(self) -> bool:
        return self.requantize is not None

    @property
    def is_float(self) -> bool:
        return self.float is not None

    @property
    def outputs(self) -> int:
        """Output channels, each of 1 byte or 4."""
        return self.out.data.sizes[2] // (FLOAT_BYTES if self.is_float else 1)

    @classmethod
    def parse(cls, parser: Parser) -> ConvOp:
        text = SliceText()
        output = parse_buffer(parser)
        out = text.parse_box(parser, output)
        parser.parse_punctuation("=")
        source = parse_buffer(parser)
        depth = buffer_type(source).dims[-1:] if isinstance(source.type, SramType) else (1,)
        channels = text.parse_sized(parser, depth)
        parser.parse_punctuation(",")
        half = parse_buffer(parser)
        parser.parse_keyword("window")
        window = WindowAttr.new(WindowAttr.parse_parameters(parser))
        options = parse_parts(
            parser,
            {
                "groups": lambda: {"groups": parse_int(parser)},
                "pad_value": lambda: {"pad_value": parse_int(parser)},
                "accumulate": lambda: {"first": False},
                "params": lambda: {
                    "params": parse_buffer(parser),
                    "params_offset": text.parse_offsets(parser)[0],
                    "requantize": parse_keyword(parser, "requantize") or RequantizeAttr.parse_parameter(parser),
                },
                "add": lambda: {
                    "residual": parse_buffer(parser),
                    "residual_offset": text.parse_offsets(parser)[0],
                    "sum": SumAttr.parse_parameter(parser),
                },
                "table": lambda: {"table": parse_buffer(parser)},
                "float": lambda: {"is_float": True},
            },
        )
        return cls(
            output, out, source, channels, half, window, layer=parse_layer(parser), indices=text.indices, **options
        )

    def print(self, printer: Printer) -> None:
        text = SliceText(self.indices)
        printer.print_string(" ")
        printer.print_ssa_value(self.output)
        text.print_offsets(printer, self.out.data.offsets)
        text.print_sizes(printer, self.out.data.sizes)
        printer.print_string(" = ")
        printer.print_ssa_value(self.input)
        text.print_offsets(printer, self.channels.data.offsets)
        text.print_sizes(printer, self.channels.data.sizes)
        printer.print_string(", ")
        printer.print_ssa_value(self.half)
        printer.print_string(" window ")
        self.window.print_parameters(printer)
        if self.groups.value.data != 1:
            printer.print_string(f" groups {self.groups.value.data}")
        if self.pad_value.value.data:
            printer.print_string(f" pad_value {self.pad_value.value.data}")
        if not self.first.value.data:
            printer.print_string(" accumulate")
        if self.params is not None and self.params_offset is not None and self.requantize is not None:
            printer.print_string(" params ")
            printer.print_ssa_value(self.params)
            text.print_offsets(printer, self.params_offset.data.offsets)
            printer.print_string(f" requantize <{self.requantize.data}>")
        if self.residual is not None and self.residual_offset is not None and self.sum is not None:
            printer.print_string(" add ")
            printer.print_ssa_value(self.residual)
            text.print_offsets(printer, self.residual_offset.data.offsets)
            printer.print_string(f" <{self.sum.data}>")
        if self.table is not None:
            printer.print_string(" table ")
            printer.print_ssa_value(self.table)
        if self.is_float:
            printer.print_string(" float")
        self._print_layer(printer)

    def verify_(self) -> None:
        check_slice("output", self.out.data, self.output)
        out, source = buffer_type(self.output).dims, buffer_type(self.input).dims
        if len(out) != 3 or len(source) != 3:
            raise VerifyException("a convolution works on HxWxC buffers")
        if len(self.channels.data.sizes) != 1:
            raise VerifyException("input channels are one offset and one size")
        groups = self.groups.value.data
        check_channels("input channels", self.channels.data, source[2])
        between("pad_value", self.pad_value.value.data, -128, 127)
        if self.last and self.output is self.input:
            check_apart("a convolution", self.out.data, self.channels.data.offsets[0], self.channels.data.sizes[0])
        if groups < 1 or self.channels.data.sizes[0] % groups or self.outputs % groups:
            raise VerifyException(
                f"{groups} groups do not divide {self.channels.data.sizes[0]} input and {self.outputs} output channels"
            )
        if self.is_float and self.out.data.sizes[2] % FLOAT_BYTES:
            raise VerifyException(f"{self.out.data.sizes[2]} bytes are no whole number of float32")
        if self.is_float and (self.residual is not None or self.table is not None):
            raise VerifyException("a float32 result takes neither a residual nor a table")
        check_made(self.window, source, out)
        if (self.params is None) != (self.requantize is None) or (self.residual is None) != (self.sum is None):
            raise VerifyException("params come with requantize, a residual with its sum")
        check_side_data(self.params, self.table)
        if not self.last and (self.residual is not None or self.table is not None):
            raise VerifyException("only a last pass (with requantize) adds a residual or looks up a table")
