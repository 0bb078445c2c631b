"""The tile dialect: HOW, a whole plan as sequential text a person can read and edit.

Decisions. Meaning is sequential: what may overlap follows from the text, because two ops overlap unless they touch
common bytes (or one L1 half, or one configuration slot) and one writes. Where an op stands is its queue order, so the
place of a ``load`` *is* the prefetch decision. Nothing is decided below: every op (in every turn of its loops) is one
instruction. Residency is ``alloc`` and ``free``; line buffers, double buffers and stripes are all *rings*.

Buffers have logical shapes: activations HxWxC, weights KxRxSxC, parameters Kx8 (int32 bias, float32 scale), tables
256. An SRAM buffer with ``ring N`` stores N rows and row y lies in slot y mod N. Slices are in logical coordinates,
offsets are affine in loop variables, and rows that fall outside the tensor are clipped away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    FlatSymbolRefAttrConstr,
    IndexType,
    IntAttr,
    IntegerAttr,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    i64,
)
from xdsl.ir import Attribute, Block, Data, Dialect, Operation, ParametrizedAttribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    param_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, NoTerminator, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from dialects.cnn import WindowAttr
from dialects.recon import BlobAttr, float32, parse_shape, print_float
from sim.isa import VECTOR_OPS
from sim.machine import Configuration

# ----------------------------------------------------------------------------------------------------------- types


def _print_shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) + "xi8"


def _parse_i8_shape(parser: AttrParser) -> tuple[int, ...]:
    shape, element = parse_shape(parser)
    if element != "i8":
        parser.raise_error("buffers hold i8")
    return shape


class _Buffer(ParametrizedAttribute, TypeAttribute):
    shape: ArrayAttr[IntAttr] = param_def()

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(d.data for d in self.shape.data)

    def verify(self) -> None:
        if not 1 <= len(self.shape.data) <= 4 or any(d.data < 1 for d in self.shape.data):
            raise VerifyException("a buffer has one to four dimensions, each at least 1")


@irdl_attr_definition
class DramType(_Buffer):
    """A tensor in DRAM, dense in row-major order."""

    name = "tile.dram"

    @classmethod
    def of(cls, shape: Sequence[int]) -> DramType:
        return cls(ArrayAttr([IntAttr(n) for n in shape]))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return (ArrayAttr([IntAttr(n) for n in _parse_i8_shape(parser)]),)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{_print_shape(self.dims)}>")


@irdl_attr_definition
class SramType(_Buffer):
    """A buffer in SRAM, dense in row-major order; ``ring`` rows are stored (0: all)."""

    name = "tile.sram"
    shape: ArrayAttr[IntAttr] = param_def()
    ring: IntAttr = param_def()

    @classmethod
    def of(cls, shape: Sequence[int], ring: int = 0) -> SramType:
        return cls(ArrayAttr([IntAttr(n) for n in shape]), IntAttr(ring))

    @property
    def rows(self) -> int:
        """Rows stored."""
        return self.ring.data or self.dims[0]

    @property
    def nbytes(self) -> int:
        """Bytes of SRAM it takes."""
        size = self.rows
        for n in self.dims[1:]:
            size *= n
        return size

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape = _parse_i8_shape(parser)
            ring = 0
            if parser.parse_optional_punctuation(",") is not None:
                parser.parse_keyword("ring")
                ring = parser.parse_integer(allow_boolean=False, allow_negative=False)
        return ArrayAttr([IntAttr(n) for n in shape]), IntAttr(ring)

    def print_parameters(self, printer: Printer) -> None:
        ring = f", ring {self.ring.data}" if self.ring.data else ""
        printer.print_string(f"<{_print_shape(self.dims)}{ring}>")

    def verify(self) -> None:
        super().verify()
        if self.ring.data >= self.dims[0] and self.ring.data:
            raise VerifyException(f"a ring of {self.ring.data} rows for {self.dims[0]} rows is no ring")


@irdl_attr_definition
class HalfType(ParametrizedAttribute, TypeAttribute):
    """The contents of one half of the L1 weight store."""

    name = "tile.half"


# ------------------------------------------------------------------------------------------------------ attributes


@irdl_attr_definition
class ConfigurationAttr(Data[Configuration]):
    """A setting of the array: ``<winograd g1 k64 r16 p4>``."""

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
class Affine:
    """``constant + Σ coefficient · indices[position]``, over the index operands of an op."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()

    def at(self, indices: Sequence[int]) -> int:
        return self.constant + sum(coefficient * indices[position] for position, coefficient in self.terms)


@dataclass(frozen=True)
class Slice:
    """Offsets (affine) and sizes of a box in a buffer's logical coordinates."""

    offsets: tuple[Affine, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, offsets: Sequence[int], sizes: Sequence[int]) -> Slice:
        return cls(tuple(Affine(offset) for offset in offsets), tuple(sizes))

    def at(self, indices: Sequence[int]) -> tuple[int, ...]:
        return tuple(offset.at(indices) if offset.terms else offset.constant for offset in self.offsets)


@irdl_attr_definition
class SliceAttr(Data[Slice]):
    """A slice as a property; its text needs the op's index operands, so ops print it themselves."""

    name = "tile.slice"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Slice:
        with parser.in_angle_brackets():
            parts = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: _parse_generic_affine(parser))
            sizes = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
        return Slice(tuple(parts), tuple(sizes))

    def print_parameter(self, printer: Printer) -> None:
        offsets = ", ".join(
            " ".join([str(o.constant), *(f"{c} d{p}" for p, c in o.terms)]) for o in self.data.offsets)
        printer.print_string(f"<[{offsets}] [{', '.join(map(str, self.data.sizes))}]>")


def _parse_generic_affine(parser: AttrParser) -> Affine:
    constant = parser.parse_integer(allow_boolean=False)
    terms: list[tuple[int, int]] = []
    while (coefficient := parser.parse_optional_integer(allow_boolean=False)) is not None:
        position = parser.parse_identifier()
        terms.append((int(position.removeprefix("d")), coefficient))
    return Affine(constant, tuple(terms))


@dataclass(frozen=True)
class Requantize:
    """Last stage of the accumulators: zero point and clamp of the int8 result (scales are in the parameters)."""

    zero: int
    lo: int
    hi: int

    def __str__(self) -> str:
        return f"zero {self.zero} clamp {self.lo} {self.hi}"


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


def _parse_float(parser: AttrParser) -> float:
    return float32(float(parser.parse_number(allow_boolean=False)))


def _parse_int(parser: AttrParser) -> int:
    return parser.parse_integer(allow_boolean=False)


def _parse_requantize(parser: AttrParser) -> Requantize:
    parser.parse_keyword("zero")
    zero = _parse_int(parser)
    parser.parse_keyword("clamp")
    return Requantize(zero, _parse_int(parser), _parse_int(parser))


def _parse_sum(parser: AttrParser) -> Sum:
    position = parser.parse_identifier()
    if position not in ("first", "second"):
        parser.raise_error("the residual is the sum's first or second operand")
    parser.parse_keyword("ratios")
    floats = [_parse_float(parser) for _ in range(3)]
    parser.parse_keyword("clamp")
    return Sum(position, *floats, _parse_int(parser), _parse_int(parser))


def _parse_law(parser: AttrParser) -> VectorLaw:
    parser.parse_keyword("floats")
    floats = tuple(_parse_float(parser) for _ in range(6))
    parser.parse_keyword("zeros")
    zeros = tuple(_parse_int(parser) for _ in range(3))
    parser.parse_keyword("clamp")
    lo, hi = _parse_int(parser), _parse_int(parser)
    parser.parse_keyword("size")
    return VectorLaw(cast(Any, floats), cast(Any, zeros), lo, hi, _parse_int(parser))


@irdl_attr_definition
class RequantizeAttr(Data[Requantize]):
    """Zero point and clamp of a convolution's int8 result."""

    name = "tile.requantize"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Requantize:
        with parser.in_angle_brackets():
            return _parse_requantize(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")


@irdl_attr_definition
class SumAttr(Data[Sum]):
    """A residual sum on the output stream."""

    name = "tile.sum"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Sum:
        with parser.in_angle_brackets():
            return _parse_sum(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")


@irdl_attr_definition
class VectorLawAttr(Data[VectorLaw]):
    """The numbers of a vector operation."""

    name = "tile.law"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> VectorLaw:
        with parser.in_angle_brackets():
            return _parse_law(parser)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<{self.data}>")


# ------------------------------------------------------------------------------------------- slices in custom text


class _Text:
    """Reads and writes ``%x[%i * 8 + 1, 0, 0]`` while collecting the op's index operands."""

    def __init__(self, indices: Sequence[SSAValue] = ()):
        self.indices: list[SSAValue] = list(indices)

    def parse_affine(self, parser: Parser) -> Affine:
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
                return Affine(constant, tuple(sorted(terms.items())))

    def parse_offsets(self, parser: Parser) -> tuple[Affine, ...]:
        return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: self.parse_affine(parser)))

    @staticmethod
    def parse_sizes(parser: Parser) -> tuple[int, ...]:
        return tuple(parser.parse_comma_separated_list(
            parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False, allow_negative=False)))

    def print_offsets(self, printer: Printer, offsets: Iterable[Affine]) -> None:
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


def _buffer_operand(parser: Parser) -> SSAValue:
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


def _check_slice(what: str, box: Slice, value: SSAValue, *, rows_clip: bool = True) -> None:
    dims = buffer_type(value).dims
    if len(box.offsets) != len(dims) or len(box.sizes) != len(dims):
        raise VerifyException(f"{what}: a slice of {len(box.sizes)} dimensions in a buffer of {len(dims)}")
    for axis, (offset, size, limit) in enumerate(zip(box.offsets, box.sizes, dims, strict=True)):
        if size < 1:
            raise VerifyException(f"{what}: size {size} in dimension {axis}")
        clipped = rows_clip and axis == 0
        if not offset.terms and (offset.constant < 0 or offset.constant + (1 if clipped else size) > limit):
            raise VerifyException(
                f"{what}: offset {offset.constant} and size {size} leave dimension {axis} of {value.type}")


# -------------------------------------------------------------------------------------------------------------- ops


class TileOp(IRDLOperation):
    """Base of the ops that become instructions: ``layer`` is their provenance."""

    layer = opt_prop_def(FlatSymbolRefAttrConstr)

    @property
    def layer_name(self) -> str:
        return self.layer.root_reference.data if self.layer is not None else ""

    def _print_layer(self, printer: Printer) -> None:
        if self.layer is not None:
            printer.print_string(f" layer @{self.layer.root_reference.data}")


def _layer(name: str | None) -> SymbolRefAttr | None:
    return SymbolRefAttr(name) if name else None


def _parse_layer(parser: Parser) -> str | None:
    if parser.parse_optional_keyword("layer") is None:
        return None
    return parser.parse_symbol_name().data


@irdl_op_definition
class ScheduleOp(IRDLOperation):
    """A plan for one machine: DRAM tensors in, DRAM tensors out, text in between."""

    name = "tile.schedule"
    sym_name = prop_def(SymbolNameConstraint())
    machine = prop_def(StringAttr)
    inputs = prop_def(IntegerAttr.constr(i64))
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())

    def __init__(self, name: str, machine: str, inputs: Sequence[Attribute], outputs: Sequence[Attribute],
                 body: Region | None = None):
        body = body or Region(Block(arg_types=[*inputs, *outputs]))
        super().__init__(regions=[body], properties={
            "sym_name": StringAttr(name), "machine": StringAttr(machine), "inputs": IntegerAttr(len(inputs), i64)})

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
        inputs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_argument)
        parser.parse_punctuation("->")
        outputs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_argument)
        body = parser.parse_region([*inputs, *outputs])
        return cls(name, machine, [a.type for a in inputs], [a.type for a in outputs], body)

    def print(self, printer: Printer) -> None:
        printer.print_string(f' @{self.sym_name.data} machine "{self.machine.data}" (')
        printer.print_list(self.input_values, lambda arg: printer.print_block_argument(cast(Any, arg)))
        printer.print_string(") -> (")
        printer.print_list(self.output_values, lambda arg: printer.print_block_argument(cast(Any, arg)))
        printer.print_string(") ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    def verify_(self) -> None:
        if not all(isinstance(arg.type, DramType) for arg in self.body.block.args):
            raise VerifyException("a schedule takes and gives DRAM tensors")


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
            raise VerifyException(f"{self.value.data!r} does not fill {self.output.type}")


@irdl_op_definition
class DramOp(IRDLOperation):
    """Scratch in DRAM, for what does not stay on chip."""

    name = "tile.dram"
    output = result_def(DramType)
    assembly_format = "attr-dict `:` type($output)"

    def __init__(self, shape: Sequence[int]):
        super().__init__(result_types=[DramType.of(shape)])


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

    def __init__(self, shape: Sequence[int], ring: int = 0, address: int | None = None):
        super().__init__(
            result_types=[SramType.of(shape, ring)],
            properties={"address": IntegerAttr(address, i64) if address is not None else None},
        )


@irdl_op_definition
class ViewOp(IRDLOperation):
    """The same bytes under another shape; neither may be a ring."""

    name = "tile.view"
    input = operand_def(SramType)
    output = result_def(SramType)
    assembly_format = "$input attr-dict `:` type($input) `to` type($output)"

    def __init__(self, input: SSAValue, shape: Sequence[int]):
        super().__init__(operands=[input], result_types=[SramType.of(shape)])

    def verify_(self) -> None:
        a, b = cast(SramType, self.input.type), cast(SramType, self.output.type)
        if a.ring.data or b.ring.data or a.nbytes != b.nbytes:
            raise VerifyException(f"{a} cannot be seen as {b}")


@irdl_op_definition
class FreeOp(IRDLOperation):
    """Ends the life of SRAM buffers."""

    name = "tile.free"
    buffers = var_operand_def(SramType)
    assembly_format = "$buffers attr-dict `:` type($buffers)"

    def __init__(self, buffers: Sequence[SSAValue]):
        super().__init__(operands=[buffers])


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
            properties={"lower": IntegerAttr(lower, i64), "upper": IntegerAttr(upper, i64),
                        "step": IntegerAttr(step, i64)})

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


class _Move(TileOp):
    """Shared by load and store: a box of ``sizes`` at ``target`` offsets from a box at ``source`` offsets."""

    target = operand_def()
    source = operand_def()
    indices = var_operand_def(IndexType())
    target_slice = prop_def(SliceAttr)
    source_slice = prop_def(SliceAttr)

    def __init__(self, target: SSAValue, target_slice: Slice, source: SSAValue, source_slice: Slice,
                 layer: str | None = None, indices: Sequence[SSAValue] = ()):
        super().__init__(operands=[target, source, indices], properties={
            "target_slice": SliceAttr(target_slice), "source_slice": SliceAttr(source_slice), "layer": _layer(layer)})

    @classmethod
    def parse(cls, parser: Parser) -> _Move:
        text = _Text()
        target = _buffer_operand(parser)
        offsets = text.parse_offsets(parser)
        sizes = text.parse_sizes(parser)
        parser.parse_keyword("from")
        source = _buffer_operand(parser)
        origin = text.parse_offsets(parser)
        return cls(target, Slice(offsets, sizes), source, Slice(origin, sizes), _parse_layer(parser), text.indices)

    def print(self, printer: Printer) -> None:
        text = _Text(self.indices)
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
        _check_slice("target", self.target_slice.data, self.target)
        _check_slice("source", self.source_slice.data, self.source)


@irdl_op_definition
class LoadOp(_Move):
    """DRAM → SRAM."""

    name = "tile.load"

    def verify_(self) -> None:
        super().verify_()
        if not isinstance(self.target.type, SramType) or not isinstance(self.source.type, DramType):
            raise VerifyException("a load goes from DRAM to SRAM")


@irdl_op_definition
class StoreOp(_Move):
    """SRAM → DRAM."""

    name = "tile.store"

    def verify_(self) -> None:
        super().verify_()
        if not isinstance(self.target.type, DramType) or not isinstance(self.source.type, SramType):
            raise VerifyException("a store goes from SRAM to DRAM")


@irdl_op_definition
class LoadConfigOp(TileOp):
    """Bring a configuration image into the shadow slot (from DRAM, or from an SRAM copy of the image)."""

    name = "tile.load_config"
    configuration = prop_def(ConfigurationAttr)
    copy = opt_operand_def(SramType)
    assembly_format = "$configuration (`copy` $copy^ `:` type($copy))? (`layer` $layer^)? attr-dict"

    def __init__(self, configuration: Configuration, layer: str | None = None, copy: SSAValue | None = None):
        super().__init__(operands=[copy], properties={
            "configuration": ConfigurationAttr(configuration), "layer": _layer(layer)})


@irdl_op_definition
class ImageOp(IRDLOperation):
    """A configuration image as a DRAM constant, so that a plan can keep a copy of it in SRAM."""

    name = "tile.image"
    configuration = prop_def(ConfigurationAttr)
    output = result_def(DramType)
    assembly_format = "$configuration attr-dict `:` type($output)"

    def __init__(self, configuration: Configuration, size: int):
        super().__init__(properties={"configuration": ConfigurationAttr(configuration)},
                         result_types=[DramType.of([size])])


@irdl_op_definition
class UseOp(TileOp):
    """Exchange the active and the shadow slot: the named configuration, which the shadow slot holds, is active."""

    name = "tile.use"
    configuration = prop_def(ConfigurationAttr)
    assembly_format = "$configuration (`layer` $layer^)? attr-dict"

    def __init__(self, configuration: Configuration, layer: str | None = None):
        super().__init__(properties={"configuration": ConfigurationAttr(configuration), "layer": _layer(layer)})


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

    def __init__(self, half: int, weights: SSAValue, slice: Slice, configuration: Configuration, groups: int = 1,
                 zero: int = 0, layer: str | None = None, indices: Sequence[SSAValue] = ()):
        super().__init__(
            operands=[weights, indices], result_types=[HalfType()],
            properties={"half": IntegerAttr(half, i64), "slice": SliceAttr(slice),
                        "configuration": ConfigurationAttr(configuration), "groups": IntegerAttr(groups, i64),
                        "zero": IntegerAttr(zero, i64), "layer": _layer(layer)})

    @classmethod
    def parse(cls, parser: Parser) -> FillOp:
        text = _Text()
        parser.parse_keyword("half")
        half = _parse_int(parser)
        weights = _buffer_operand(parser)
        offsets = text.parse_offsets(parser)
        sizes = text.parse_sizes(parser)
        parser.parse_keyword("for")
        configuration = ConfigurationAttr.parse_parameter(parser)
        groups = _parse_int(parser) if parser.parse_optional_keyword("groups") is not None else 1
        zero = _parse_int(parser) if parser.parse_optional_keyword("zero") is not None else 0
        return cls(half, weights, Slice(offsets, sizes), configuration, groups, zero, _parse_layer(parser),
                   text.indices)

    def print(self, printer: Printer) -> None:
        text = _Text(self.indices)
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
        _check_slice("weights", self.slice.data, self.weights, rows_clip=False)
        if len(self.slice.data.sizes) != 4:
            raise VerifyException("weights are KxRxSxC")
        if self.half.value.data not in (0, 1):
            raise VerifyException(f"L1 has halves 0 and 1, not {self.half.value.data}")
        if self.slice.data.sizes[0] % self.groups.value.data:
            raise VerifyException(
                f"{self.groups.value.data} groups do not divide {self.slice.data.sizes[0]} output channels")


@irdl_op_definition
class ConvOp(TileOp):
    """One pass of a convolution over a tile.

    ``out`` is the output rectangle and channels in the output's logical coordinates; the window says which input rows
    and columns meet it (the buffer's logical height and width say where padding begins, ``pad_value`` what it holds);
    ``channels`` are the input channels this pass reads. With ``first`` accumulators start at zero; the ``requantize``
    stage makes a pass the last one, with ``params`` from the named channel on, then optionally the residual sum, then
    the table.
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
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(self, output: SSAValue, out: Slice, input: SSAValue, channels: Slice, half: SSAValue,
                 window: WindowAttr, *, groups: int = 1, pad_value: int = 0, first: bool = True,
                 params: SSAValue | None = None, params_offset: Affine | None = None,
                 requantize: Requantize | None = None, residual: SSAValue | None = None,
                 residual_offset: Affine | None = None, sum: Sum | None = None, table: SSAValue | None = None,
                 layer: str | None = None, indices: Sequence[SSAValue] = ()):
        def at(offset: Affine | None) -> SliceAttr | None:
            return SliceAttr(Slice((offset,), (1,))) if offset is not None else None

        super().__init__(
            operands=[output, input, half, params, residual, table, indices],
            properties={
                "out": SliceAttr(out), "channels": SliceAttr(channels), "groups": IntegerAttr(groups, i64),
                "window": window, "pad_value": IntegerAttr(pad_value, i64), "first": IntegerAttr(int(first), i64),
                "params_offset": at(params_offset), "requantize": RequantizeAttr(requantize) if requantize else None,
                "residual_offset": at(residual_offset), "sum": SumAttr(sum) if sum else None, "layer": _layer(layer)})

    @property
    def last(self) -> bool:
        return self.requantize is not None

    @classmethod
    def parse(cls, parser: Parser) -> ConvOp:
        text = _Text()
        output = _buffer_operand(parser)
        offsets = text.parse_offsets(parser)
        out = Slice(offsets, text.parse_sizes(parser))
        parser.parse_punctuation("=")
        source = _buffer_operand(parser)
        channels = Slice(text.parse_offsets(parser), text.parse_sizes(parser))
        parser.parse_punctuation(",")
        half = _buffer_operand(parser)
        parser.parse_keyword("window")
        window = WindowAttr.new(WindowAttr.parse_parameters(parser))
        options: dict[str, Any] = {}
        if parser.parse_optional_keyword("groups") is not None:
            options["groups"] = _parse_int(parser)
        if parser.parse_optional_keyword("pad_value") is not None:
            options["pad_value"] = _parse_int(parser)
        if parser.parse_optional_keyword("accumulate") is not None:
            options["first"] = False
        if parser.parse_optional_keyword("params") is not None:
            options["params"] = _buffer_operand(parser)
            (options["params_offset"],) = text.parse_offsets(parser)
            parser.parse_keyword("requantize")
            options["requantize"] = RequantizeAttr.parse_parameter(parser)
        if parser.parse_optional_keyword("add") is not None:
            options["residual"] = _buffer_operand(parser)
            (options["residual_offset"],) = text.parse_offsets(parser)
            options["sum"] = SumAttr.parse_parameter(parser)
        if parser.parse_optional_keyword("table") is not None:
            options["table"] = _buffer_operand(parser)
        return cls(output, out, source, channels, half, window, layer=_parse_layer(parser), indices=text.indices,
                   **options)

    def print(self, printer: Printer) -> None:
        text = _Text(self.indices)
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
        self._print_layer(printer)

    def verify_(self) -> None:
        _check_slice("output", self.out.data, self.output)
        out, source = buffer_type(self.output).dims, buffer_type(self.input).dims
        if len(out) != 3 or len(source) != 3:
            raise VerifyException("a convolution works on HxWxC buffers")
        if len(self.channels.data.sizes) != 1:
            raise VerifyException("input channels are one offset and one size")
        groups = self.groups.value.data
        if self.channels.data.sizes[0] % groups or self.out.data.sizes[2] % groups:
            raise VerifyException(
                f"{groups} groups do not divide {self.channels.data.sizes[0]} input and "
                f"{self.out.data.sizes[2]} output channels")
        if self.window.output(source[0], source[1]) != out[:2]:
            raise VerifyException(
                f"this window makes {self.window.output(source[0], source[1])} of {source[:2]}, not {out[:2]}")
        if (self.params is None) != (self.requantize is None) or (self.residual is None) != (self.sum is None):
            raise VerifyException("params come with requantize, a residual with its sum")
        if not self.last and (self.residual is not None or self.table is not None):
            raise VerifyException("only a last pass (with requantize) adds a residual or looks up a table")


@irdl_op_definition
class VectorOp(TileOp):
    """One operation of the vector unit: the output box in logical coordinates, from one or two buffers.

    ``offset``s are the first channel read of each operand. ``params`` holds affine's floats, from the
    named channel on, ``table`` the table.
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

    def __init__(self, kind: str, output: SSAValue, out: Slice, lhs: SSAValue, lhs_offset: Affine = Affine(0), *,
                 rhs: SSAValue | None = None, rhs_offset: Affine | None = None, params: SSAValue | None = None,
                 params_offset: Affine | None = None, table: SSAValue | None = None,
                 window: WindowAttr | None = None, law: VectorLaw | None = None, layer: str | None = None, indices: Sequence[SSAValue] = ()):
        if rhs is not None and rhs_offset is None:
            rhs_offset = Affine(0)
        if params is not None and params_offset is None:
            params_offset = Affine(0)
        super().__init__(
            operands=[output, lhs, rhs, params, table, indices],
            properties={
                "kind": StringAttr(kind), "out": SliceAttr(out), "lhs_offset": SliceAttr(Slice((lhs_offset,), (1,))),
                "rhs_offset": SliceAttr(Slice((rhs_offset,), (1,))) if rhs_offset is not None else None,
                "params_offset": SliceAttr(Slice((params_offset,), (1,))) if params_offset is not None else None,
                "window": window, "law": VectorLawAttr(law or VectorLaw()), "layer": _layer(layer)})

    @classmethod
    def parse(cls, parser: Parser) -> VectorOp:
        text = _Text()
        kind = parser.parse_identifier()
        output = _buffer_operand(parser)
        offsets = text.parse_offsets(parser)
        out = Slice(offsets, text.parse_sizes(parser))
        parser.parse_punctuation("=")
        lhs = _buffer_operand(parser)
        (lhs_offset,) = text.parse_offsets(parser)
        options: dict[str, Any] = {}
        if parser.parse_optional_punctuation(",") is not None:
            options["rhs"] = _buffer_operand(parser)
            (options["rhs_offset"],) = text.parse_offsets(parser)
        if parser.parse_optional_keyword("window") is not None:
            options["window"] = WindowAttr.new(WindowAttr.parse_parameters(parser))
        if parser.parse_optional_keyword("params") is not None:
            options["params"] = _buffer_operand(parser)
            (options["params_offset"],) = text.parse_offsets(parser)
        if parser.parse_optional_keyword("table") is not None:
            options["table"] = _buffer_operand(parser)
        if parser.parse_optional_keyword("law") is not None:
            options["law"] = VectorLawAttr.parse_parameter(parser)
        return cls(kind, output, out, lhs, lhs_offset, layer=_parse_layer(parser), indices=text.indices, **options)

    def print(self, printer: Printer) -> None:
        text = _Text(self.indices)
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
        _check_slice("output", self.out.data, self.output)
        if len(buffer_type(self.output).dims) != 3 or len(buffer_type(self.lhs).dims) != 3:
            raise VerifyException("a vector operation works on HxWxC buffers")
        if (self.kind.data in ("add", "mul")) != (self.rhs is not None):
            raise VerifyException("add and mul have two operands, every other operation one")
        if (self.params is None) != (self.params_offset is None):
            raise VerifyException("params come with the channel they start at")
        if (self.kind.data == "affine") != (self.params is not None):
            raise VerifyException("affine, and no other operation, has params")
        if (self.kind.data == "table") != (self.table is not None):
            raise VerifyException("table, and no other operation, has a table")
        if (self.kind.data in ("max_pool", "average_pool", "resize")) != (self.window is not None):
            raise VerifyException("pools and resize, and no other operation, have a window")


MAX_INSTRUCTIONS = 200_000
"""A plan that unrolls to more is refused before it is unrolled."""


def trips(op: Operation) -> int:
    """Instructions this op, with its loops, stands for."""
    if isinstance(op, ForOp):
        return len(op.values) * sum(trips(inner) for inner in op.body.block.ops)
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
        ScheduleOp, ConstantOp, DramOp, ImageOp, AllocOp, ViewOp, FreeOp, ForOp, LoadOp, StoreOp, LoadConfigOp, UseOp,
        FillOp, ConvOp, VectorOp,
    ],
    [DramType, SramType, HalfType, ConfigurationAttr, SliceAttr, RequantizeAttr, SumAttr, VectorLawAttr],
)
