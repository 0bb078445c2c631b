"""The form that every instruction of the accel dialect has, made from the instruction table: fields, text and checks.

Decisions. An instruction's numbers are one compact attribute in the table's order; an address is a memory operand (an
SSA value) plus a byte offset, so that moving a buffer is one edit.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, cast

from xdsl.dialects.builtin import DenseArrayBase, FlatSymbolRefAttrConstr, SymbolRefAttr, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.accel_attributes import (
    DRAM,
    EVENT,
    SRAM,
    FieldsAttr,
    Number,
    PlacesAttr,
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
from dialects.accel_memory import InProgram, MemoryOp
from dialects.text import parse_float, print_float
from sim.machine.isa import BY_NAME, INTEGERS, QUEUES, Instruction


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
    traits = traits_def(InProgram())

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
            if any(places[name] == given for given, _, _ in memory):
                parser.raise_error(f"'{name}' is given twice")
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
            if name in fields:
                parser.raise_error(f"'{name}' is given twice")
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
