"""The accel dialect: the machine's instructions, one op each, in program order.

Decisions. There is one op per row of the instruction table, with the same name. Its numbers are one compact attribute
in the table's order; an address is a memory operand (an SSA value) plus a byte offset, so that moving a buffer is one
edit. Order is text until waits are assigned: then ``after`` says which events an instruction depends on, and ``waits``
holds the counts the machine reads.

    %x = accel.buffer 3136 plan 0 4 at 64
    %e = accel.fill address(%x + 512) {half = 1, outputs = 64, ...} after(%e1, %e3) waits <load 2> layer @c1

Long: the operations, their one text and its checks are made from the instruction table together.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import (
    DenseArrayBase,
    FlatSymbolRefAttrConstr,
    IntegerAttr,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Dialect, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, NoTerminator, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from dialects.accel_attributes import (
    DRAM,
    EVENT,
    SRAM,
    DramType,
    EventType,
    FieldsAttr,
    Number,
    PlacesAttr,
    SramType,
    WaitsAttr,
    addresses,
    defaults,
    differs,
    is_address,
    limits,
    names,
    place,
    positions,
    required,
)
from dialects.recon import BlobAttr, parse_shape
from dialects.text import parse_float, print_float
from dialects.tile import ConfigurationAttr
from sim.machine.description import Configuration
from sim.machine.isa import BY_NAME, INTEGERS, QUEUES, Instruction

DRAM_KINDS = ("input", "output", "scratch", "constant", "image")
"""What a region of DRAM is for."""

# ------------------------------------------------------------------------------------------------------------ memory


def _parse_address(parser: Parser) -> int | None:
    if parser.parse_optional_keyword("at") is None:
        return None
    return parser.parse_integer(allow_boolean=False, allow_negative=False)


@irdl_op_definition
class ProgramOp(IRDLOperation):
    """A straight-line program of the machine, one segment of a model: memory, then instructions in program order."""

    name = "accel.program"
    sym_name = prop_def(SymbolNameConstraint())
    machine = prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())

    def __init__(self, name: str, machine: str, body: Region | None = None):
        super().__init__(
            regions=[body or Region(Block())], properties={"sym_name": StringAttr(name), "machine": StringAttr(machine)}
        )

    @property
    def instructions(self) -> Iterator[InstructionOp]:
        """The instructions in program order."""
        return (op for op in self.body.block.ops if isinstance(op, InstructionOp))

    @property
    def buffers(self) -> list[BufferOp]:
        return [op for op in self.body.block.ops if isinstance(op, BufferOp)]

    def lifetimes(self) -> dict[BufferOp, tuple[int, int]]:
        """The buffers that are used, each with the positions of the first and the last instruction that does."""
        first: dict[BufferOp, int] = {}
        last: dict[BufferOp, int] = {}
        for index, op in enumerate(self.instructions):
            for value in op.memory:
                if isinstance(value.owner, BufferOp):
                    first.setdefault(value.owner, index)
                    last[value.owner] = index
        return {buffer: (start, last[buffer]) for buffer, start in first.items()}

    @property
    def regions_in_dram(self) -> list[DramOp]:
        return [op for op in self.body.block.ops if isinstance(op, DramOp)]

    @classmethod
    def parse(cls, parser: Parser) -> ProgramOp:
        name = parser.parse_symbol_name().data
        parser.parse_keyword("machine")
        machine = parser.parse_str_literal()
        body = parser.parse_region()
        if not body.blocks:
            body.add_block(Block())
        return cls(name, machine, body)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" machine ")
        printer.print_string_literal(self.machine.data)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    def verify_(self) -> None:
        ports: set[str] = set()
        for region in self.regions_in_dram:
            if region.port is not None and region.port.data in ports:
                raise VerifyException(
                    f"two regions are called '{region.port.data}'; every input and output has a name of its own"
                )
            ports.update([region.port.data] if region.port is not None else [])
        if (clash := shared_bytes(self.regions_in_dram)) is not None:
            raise VerifyException(clash)


def shared_bytes(regions: Iterable[DramOp]) -> str | None:
    """What is wrong with the addresses of these regions: two share a byte; None if all is well.

    Constants of equal bytes and images of one configuration may share an address.
    """
    last: DramOp | None = None
    for region in sorted((region for region in regions if region.address is not None), key=lambda region: region.at):
        if last is not None and region.at < last.at + last.nbytes:
            same = region.at == last.at and region.content is not None and region.content == last.content
            if not same:
                return (
                    f"{last.label} is bytes {last.at} to {last.at + last.nbytes - 1} of DRAM, and {region.label} "
                    f"begins at {region.at}; regions share no byte"
                )
        if last is None or region.at + region.nbytes > last.at + last.nbytes:
            last = region
    return None


class MemoryOp(IRDLOperation):
    """Base of what has an address: ``address`` is absent until it is placed."""

    address = opt_prop_def(IntegerAttr.constr(i64))

    @property
    def nbytes(self) -> int:
        """Bytes it takes."""
        raise NotImplementedError

    @property
    def at(self) -> int:
        """Its address; ValueError before it has one."""
        if self.address is None:
            raise ValueError(f"{self.label} has no address yet: allocate-sram gives it one")
        return self.address.value.data

    @property
    def label(self) -> str:
        """Its name for people: ``%x``."""
        return f"%{self.results[0].name_hint}" if self.results[0].name_hint else f"an unnamed {self.name}"

    def put(self, address: int | None) -> None:
        """Set or clear its address."""
        if address is None:
            self.properties.pop("address", None)
        else:
            self.properties["address"] = IntegerAttr(address, i64)

    def _verify_address(self) -> None:
        if self.address is not None and self.address.value.data < 0:
            raise VerifyException(f"an address is at least 0, not {self.address.value.data}")

    def _print_address(self, printer: Printer) -> None:
        if self.address is not None:
            printer.print_string(f" at {self.address.value.data}")


@irdl_op_definition
class DramOp(MemoryOp):
    """A region of DRAM: a network input or output, scratch, a constant, or a configuration image.

    Text: ``accel.dram input "x" 56x56x64xi8``, ``accel.dram scratch 4096xi8``,
    ``accel.dram constant <3x3xi8, seed 1>``, ``accel.dram image <direct g1 k64 r16 p4> 16384xi8``, each optionally
    ``at`` an address.
    """

    name = "accel.dram"
    kind = prop_def(StringAttr)
    port = opt_prop_def(StringAttr)
    shape = opt_prop_def(DenseArrayBase.constr(i64))
    value = opt_prop_def(BlobAttr)
    configuration = opt_prop_def(ConfigurationAttr)
    output = result_def(DRAM)
    traits = traits_def(HasParent(ProgramOp))

    def __init__(
        self,
        kind: str,
        shape: Sequence[int] = (),
        *,
        port: str = "",
        value: BlobAttr | None = None,
        configuration: Configuration | None = None,
        address: int | None = None,
    ):
        super().__init__(
            result_types=[DRAM],
            properties={
                "kind": StringAttr(kind),
                "port": StringAttr(port) if port else None,
                "value": value,
                "shape": DenseArrayBase.from_list(i64, list(shape)) if shape else None,
                "configuration": ConfigurationAttr(configuration) if configuration else None,
                "address": IntegerAttr(address, i64) if address is not None else None,
            },
        )

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape of its int8 tensor."""
        if self.shape is not None:
            return tuple(cast(Sequence[int], self.shape.get_values()))
        return (self.nbytes,)

    @property
    def content(self) -> object:
        """What it holds before the program runs: regions of equal content may share an address; None: nothing."""
        if self.value is not None:
            return self.value.data.digest
        return self.configuration.data if self.configuration is not None else None

    @property
    def nbytes(self) -> int:
        return self.value.data.nbytes if self.value is not None else math.prod(self.dims)

    @classmethod
    def parse(cls, parser: Parser) -> DramOp:
        kind = parser.parse_identifier()
        if kind not in DRAM_KINDS:
            parser.raise_error(f"'{kind}' is no kind of DRAM region; allowed are {', '.join(DRAM_KINDS)}")
        port, shape, value, configuration = "", (), None, None
        if kind in ("input", "output"):
            port = parser.parse_str_literal()
        if kind == "constant":
            value = BlobAttr(BlobAttr.parse_parameter(parser))
        else:
            if kind == "image":
                configuration = ConfigurationAttr.parse_parameter(parser)
            shape, element = parse_shape(parser)
            if element != "i8":
                parser.raise_error("a region of DRAM holds i8")
        return cls(kind, shape, port=port, value=value, configuration=configuration, address=_parse_address(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {self.kind.data}")
        if self.port is not None:
            printer.print_string(" ")
            printer.print_string_literal(self.port.data)
        if self.configuration is not None:
            printer.print_string(f" <{self.configuration.data}>")
        if self.value is not None:
            printer.print_string(" ")
            self.value.print_parameter(printer)
        else:
            printer.print_string(" " + "x".join(map(str, self.dims)) + "xi8")
        self._print_address(printer)

    def verify_(self) -> None:
        kind = self.kind.data
        if kind not in DRAM_KINDS:
            raise VerifyException(f"'{kind}' is no kind of DRAM region; allowed are {', '.join(DRAM_KINDS)}")
        wanted = {"input": "port", "output": "port", "constant": "value", "image": "configuration"}.get(kind)
        for name in ("port", "value", "configuration"):
            if (name == wanted) != (name in self.properties):
                raise VerifyException(f"a region of kind {kind} has {'a' if name == wanted else 'no'} {name}")
        if (kind == "constant") == (self.shape is not None):
            raise VerifyException("a constant, and no other region, has its shape from its value")
        if self.nbytes < 1 or min(self.dims) < 1:
            raise VerifyException(f"a region has at least one byte, not {'x'.join(map(str, self.dims))}")
        self._verify_address()


@irdl_op_definition
class BufferOp(MemoryOp):
    """A buffer of ``size`` bytes in SRAM.

    ``plan`` says between which instructions the plan allocates and frees it: before instruction ``plan[0]`` and before
    instruction ``plan[1]`` of the program as it was lowered. What counts for placement is first to last use.
    """

    name = "accel.buffer"
    size = prop_def(IntegerAttr.constr(i64))
    plan = opt_prop_def(DenseArrayBase.constr(i64))
    output = result_def(SRAM)
    traits = traits_def(HasParent(ProgramOp))

    def __init__(self, size: int, plan: tuple[int, int] | None = None, address: int | None = None):
        super().__init__(
            result_types=[SRAM],
            properties={
                "size": IntegerAttr(size, i64),
                "plan": DenseArrayBase.from_list(i64, list(plan)) if plan else None,
                "address": IntegerAttr(address, i64) if address is not None else None,
            },
        )

    @property
    def nbytes(self) -> int:
        return self.size.value.data

    def plan_between(self, born: int, freed: int) -> None:
        """Set ``plan``."""
        self.properties["plan"] = DenseArrayBase.from_list(i64, [born, freed])

    @classmethod
    def parse(cls, parser: Parser) -> BufferOp:
        size = parser.parse_integer(allow_boolean=False, allow_negative=False)
        plan = None
        if parser.parse_optional_keyword("plan") is not None:
            plan = parser.parse_integer(allow_boolean=False), parser.parse_integer(allow_boolean=False)
        return cls(size, plan, _parse_address(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string(f" {self.nbytes}")
        if self.plan is not None:
            printer.print_string(f" plan {' '.join(map(str, self.plan.get_values()))}")
        self._print_address(printer)

    def verify_(self) -> None:
        if self.nbytes < 1:
            raise VerifyException(f"a buffer has at least one byte, not {self.nbytes}")
        if self.plan is not None:
            born, freed = self.plan.get_values()
            if not 0 <= born <= freed:
                raise VerifyException(
                    f"a buffer's plan is the numbers of two instructions in their order, not {born} {freed}"
                )
        self._verify_address()


# ------------------------------------------------------------------------------------------------------ instructions


@functools.cache
def _segments(memory: int, after: int) -> DenseArrayBase:
    return DenseArrayBase.from_list(i32, [memory, after])


@functools.cache
def _places(fields: tuple[str, ...]) -> PlacesAttr:
    return PlacesAttr(fields)


class InstructionOp(IRDLOperation):
    """Base of the instructions.

    ``memory`` are the operands in memory, ``places`` the address field each belongs to; ``fields`` holds every field
    of the table's row in order, the byte offset within the operand where the field is an address.
    """

    memory = var_operand_def()
    after = var_operand_def(EVENT)
    fields = prop_def(FieldsAttr)
    places = prop_def(PlacesAttr)
    waits = opt_prop_def(WaitsAttr)
    layer = opt_prop_def(FlatSymbolRefAttrConstr)
    event = result_def(EVENT)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(HasParent(ProgramOp))

    MNEMONIC: ClassVar[str] = ""

    @classmethod
    def make(
        cls,
        fields: Mapping[str, Number],
        memory: Sequence[tuple[str, SSAValue, int]] = (),
        *,
        layer: SymbolRefAttr | None = None,
        after: Sequence[SSAValue] = (),
        waits: tuple[int, ...] | None = None,
    ) -> InstructionOp:
        """An instruction from its fields by name and its memory operands as (address field, value, byte offset)."""
        position = positions(cls.MNEMONIC)
        values = list(defaults(cls.MNEMONIC))
        for name, value in fields.items():
            values[position[name]] = value
        for name, _, offset in memory:
            values[position[name]] = offset
        properties: dict[str, Attribute] = {
            "fields": FieldsAttr(tuple(values)),
            "places": _places(tuple(name for name, _, _ in memory)),
            "operandSegmentSizes": _segments(len(memory), len(after)),
        }
        if layer is not None:
            properties["layer"] = layer
        if waits is not None and any(waits):
            properties["waits"] = WaitsAttr(waits)
        return cls.create(
            operands=[*(value for _, value, _ in memory), *after], result_types=[EVENT], properties=properties
        )

    @property
    def row(self) -> Instruction:
        """Its row of the instruction table."""
        return BY_NAME[self.MNEMONIC]

    @property
    def queue(self) -> str:
        return self.row.queue

    @property
    def layer_name(self) -> str:
        return self.layer.root_reference.data if self.layer is not None else ""

    @property
    def wait_counts(self) -> tuple[int, ...]:
        """Counts per queue, zeros before waits are assigned."""
        return self.waits.data if self.waits is not None else (0,) * len(QUEUES)

    def named(self) -> dict[str, Number]:
        """Every field by name; an address is the byte offset within its operand."""
        return dict(zip(names(self.MNEMONIC), self.fields.data, strict=True))

    def operands_in_memory(self) -> Iterable[tuple[str, MemoryOp, int]]:
        """(address field, buffer or region, byte offset) of each memory operand."""
        position, values = positions(self.MNEMONIC), self.fields.data
        for name, value in zip(self.places.data, self.operands, strict=False):  # the memory operands come first
            yield name, cast(MemoryOp, value.owner), int(values[position[name]])

    def record(self) -> tuple[str, dict[str, Number]]:
        """The instruction as ``sim.machine.encoding.encode`` takes it; ValueError while an operand has no address."""
        fields = self.named()
        for name, memory, offset in self.operands_in_memory():
            fields[name] = memory.at + offset
        for queue, count in zip(QUEUES, self.wait_counts, strict=True):
            if count:
                fields[f"wait.{queue}"] = count
        return self.MNEMONIC, fields

    def order(self, after: Sequence[SSAValue], waits: tuple[int, ...]) -> None:
        """Set the events it depends on and its wait counts."""
        memory = len(self.places.data)
        if after or len(self.operands) > memory:
            self.operands = [*self.operands[:memory], *after]
            self.properties["operandSegmentSizes"] = _segments(memory, len(after))
        self.properties.pop("waits", None)
        if any(waits):
            self.properties["waits"] = WaitsAttr(waits)

    @classmethod
    def parse(cls, parser: Parser) -> InstructionOp:
        fields: dict[str, Number] = {}
        memory: list[tuple[str, SSAValue, int]] = []
        places = addresses(cls.MNEMONIC)
        while (name := _optional_keyword(parser, places)) is not None:
            parser.parse_punctuation("(")
            value = _value(parser)
            offset = 0
            if parser.parse_optional_punctuation("+") is not None:
                offset = parser.parse_integer(allow_boolean=False, allow_negative=False)
            parser.parse_punctuation(")")
            memory.append((places[name], value, offset))

        def field() -> None:
            name = parser.parse_identifier()
            row = next((field for field in BY_NAME[cls.MNEMONIC].fields if field.name == name), None)
            if row is None or is_address(name):
                parser.raise_error(
                    f"'{name}' is no field of {cls.MNEMONIC}; its fields are "
                    + ", ".join(n for n in names(cls.MNEMONIC) if not is_address(n))
                )
            parser.parse_punctuation("=")
            if row.type == "f32":
                fields[name] = parse_float(parser)
            else:
                fields[name] = parser.parse_integer(allow_boolean=False)

        parser.parse_optional_comma_separated_list(parser.Delimiter.BRACES, field)
        after: list[SSAValue] = []
        if parser.parse_optional_keyword("after") is not None:
            after = parser.parse_comma_separated_list(parser.Delimiter.PAREN, lambda: _value(parser))
        waits = WaitsAttr.parse_parameter(parser) if parser.parse_optional_keyword("waits") is not None else None
        layer = None
        if parser.parse_optional_keyword("layer") is not None:
            layer = SymbolRefAttr(parser.parse_symbol_name().data)
        return cls.make(fields, memory, layer=layer, after=after, waits=waits)

    def print(self, printer: Printer) -> None:
        for name, value in zip(self.places.data, self.memory, strict=True):
            printer.print_string(f" {place(name)}(")
            printer.print_ssa_value(value)
            offset = self.fields.data[positions(self.MNEMONIC)[name]]
            printer.print_string(f" + {offset})" if offset else ")")
        parts = [
            f"{field.name} = {print_float(value) if field.type == 'f32' else value}"
            for field, value, normal in zip(self.row.fields, self.fields.data, defaults(self.MNEMONIC), strict=True)
            if not is_address(field.name) and differs(value, normal)
        ]
        if parts:
            printer.print_string(" {" + ", ".join(parts) + "}")
        if self.after:
            printer.print_string(" after(")
            printer.print_list(self.after, printer.print_ssa_value)
            printer.print_string(")")
        if self.waits is not None:
            printer.print_string(" waits ")
            self.waits.print_parameter(printer)
        if self.layer is not None:
            printer.print_string(" layer ")
            printer.print_symbol_name(self.layer.root_reference.data)

    def verify_(self) -> None:
        row, values = self.row, self.fields.data
        if len(values) != len(row.fields):
            raise VerifyException(f"{row.name} has {len(row.fields)} fields, not {len(values)}")
        low, high = limits(row.name)
        if not (all(map(operator.le, low, values)) and all(map(operator.le, values, high))):
            self._complain_about_ranges()
        memory, places, position = self.memory, self.places.data, positions(row.name)
        if len(places) != len(memory):
            raise VerifyException(f"{len(memory)} memory operands for {len(places)} address fields")
        for name, value in zip(places, memory, strict=True):
            if name not in position or not is_address(name):
                raise VerifyException(f"'{name}' is no address field of {row.name}")
            owner, wanted = value.owner, self._space(name)
            if not isinstance(owner, MemoryOp) or value.type != wanted:
                raise VerifyException(
                    f"{place(name)} lies in {'DRAM' if wanted == DRAM else 'SRAM'}, not in {value.type}"
                )
            if values[position[name]] >= owner.nbytes:
                raise VerifyException(f"{place(name)} begins at byte {values[position[name]]} of {owner.nbytes}")
        for name in required(row.name, self.named()):
            if name not in places:
                raise VerifyException(f"this {row.name} needs an operand {place(name)}(…)")
        if self.waits is not None and self.waits.data[QUEUES.index(row.queue)]:
            raise VerifyException(f"an instruction of the queue {row.queue} does not wait for its own queue")

    def _complain_about_ranges(self) -> None:
        for field, value in zip(self.row.fields, self.fields.data, strict=True):
            if field.type not in INTEGERS and not math.isfinite(value):
                raise VerifyException(f"field '{field.name}' holds a finite float32, not {value}")
            if field.type in INTEGERS and not field.low <= value <= field.high:
                raise VerifyException(
                    f"field '{field.name}' holds whole numbers from {field.low} to {field.high}, not {value}"
                )

    def _space(self, name: str) -> Attribute:
        if name == "address" and self.MNEMONIC == "load_config":
            return SRAM if self.fields.data[positions("load_config")["space"]] else DRAM
        return DRAM if name == "dram" else SRAM


def _optional_keyword(parser: Parser, words: Iterable[str]) -> str | None:
    return next((word for word in words if parser.parse_optional_keyword(word) is not None), None)


def _value(parser: Parser) -> SSAValue:
    """An operand defined above, whatever its type."""
    unresolved = parser.parse_unresolved_operand()
    values = parser.ssa_values.get(unresolved.operand_name)
    if values is None or unresolved.index >= len(values):
        parser.raise_error(f"%{unresolved.operand_name} is not defined above", unresolved.span)
    return values[unresolved.index]


@irdl_op_definition
class LoadOp(InstructionOp):
    """Strided copy from DRAM to SRAM."""

    name = "accel.load"
    MNEMONIC: ClassVar[str] = "load"


@irdl_op_definition
class StoreOp(InstructionOp):
    """Strided copy from SRAM to DRAM."""

    name = "accel.store"
    MNEMONIC: ClassVar[str] = "store"


@irdl_op_definition
class LoadConfigOp(InstructionOp):
    """A configuration image into the shadow slot."""

    name = "accel.load_config"
    MNEMONIC: ClassVar[str] = "load_config"


@irdl_op_definition
class ConfigureOp(InstructionOp):
    """Exchange the active and the shadow slot."""

    name = "accel.configure"
    MNEMONIC: ClassVar[str] = "configure"


@irdl_op_definition
class FillOp(InstructionOp):
    """Weights into one half of L1."""

    name = "accel.fill"
    MNEMONIC: ClassVar[str] = "fill"


@irdl_op_definition
class ConvOp(InstructionOp):
    """One pass of a convolution over a tile."""

    name = "accel.conv"
    MNEMONIC: ClassVar[str] = "conv"


@irdl_op_definition
class VectorOp(InstructionOp):
    """One operation of the vector unit."""

    name = "accel.vector"
    MNEMONIC: ClassVar[str] = "vector"


INSTRUCTION_OPS: Mapping[str, type[InstructionOp]] = {
    op.MNEMONIC: op for op in (LoadOp, StoreOp, LoadConfigOp, ConfigureOp, FillOp, ConvOp, VectorOp)
}
"""The op of each instruction."""


def programs(module: Any) -> list[ProgramOp]:
    """The machine segments of a module, in its order."""
    return [op for op in module.body.block.ops if isinstance(op, ProgramOp)]


ACCEL = Dialect(
    "accel",
    [ProgramOp, DramOp, BufferOp, *INSTRUCTION_OPS.values()],
    [EventType, SramType, DramType, FieldsAttr, PlacesAttr, WaitsAttr],
)
