"""Fields of the instruction table as accel ops hold them, and the dialect's types and attributes.

A field that is an address becomes a memory operand with a byte offset; everything else is a number in one tuple.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

from xdsl.ir import Data, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from dialects.text import parse_number, print_float
from sim.machine.isa import BY_NAME, INTEGERS, QUEUES, VECTOR_OPS
from sim.machine.operations import operation

# ------------------------------------------------------------------------------------------------ the table's fields

Number = int | float
Fields = tuple[Number, ...]
"""The values of an instruction's fields in the table's order; an address field holds a byte offset."""


def is_address(field: str) -> bool:
    """Whether a field of the instruction table is an address."""
    return field in ("dram", "sram", "address", "params", "table") or field.endswith(".base")


def place(field: str) -> str:
    """How text names an address field: ``in`` for ``in.base``."""
    return field.removesuffix(".base")


@functools.cache
def names(instruction: str) -> tuple[str, ...]:
    """The names of an instruction's fields in the table's order."""
    return tuple(field.name for field in BY_NAME[instruction].fields)


@functools.cache
def positions(instruction: str) -> Mapping[str, int]:
    """Field name → position."""
    return {name: position for position, name in enumerate(names(instruction))}


@functools.cache
def defaults(instruction: str) -> Fields:
    """The value of every field that text leaves out, as ``sim.machine.encoding.defaults`` has it."""
    return tuple(0.0 if field.type == "f32" else max(0, field.low) for field in BY_NAME[instruction].fields)


@functools.cache
def addresses(instruction: str) -> Mapping[str, str]:
    """Name in text → address field."""
    return {place(name): name for name in names(instruction) if is_address(name)}


def differs(value: Number, normal: Number) -> bool:
    """Whether text must print a value; 0.0 and −0.0 are two."""
    return value != normal or math.copysign(1, value) != math.copysign(1, normal)


_LARGEST = 3.4028234663852886e38
"""The largest finite float32."""


class Limits(NamedTuple):
    """Least and greatest value of every field of an instruction, in the table's order."""

    low: tuple[Number, ...]
    high: tuple[Number, ...]


@functools.cache
def limits(instruction: str) -> Limits:
    """The legal ranges, float32 fields included."""
    pairs = [(f.low, f.high) if f.type in INTEGERS else (-_LARGEST, _LARGEST) for f in BY_NAME[instruction].fields]
    return Limits(tuple(low for low, _ in pairs), tuple(high for _, high in pairs))


def required(instruction: str, fields: Mapping[str, Number]) -> list[str]:
    """The address fields an instruction with these fields uses: each needs a memory operand."""
    if instruction == "conv":
        found = ["in.base"] if _meets_input(fields, int(fields["dy"]), int(fields["dx"])) else []
        if fields["last"]:
            found += ["params", "out.base"]
            found += ["res.base"] if fields["residual"] else []
            found += ["table"] if fields["has_table"] else []
        return found
    if instruction == "vector":
        row = operation(VECTOR_OPS[int(fields["op"])])
        found = ["a.base"] if row.reads != "window" or _meets_input(fields, 1, 1) else []
        found += ["b.base"] if row.binary else []
        found += [row.side] if row.side != "none" else []
        return [*found, "out.base"]
    return [name for name in names(instruction) if is_address(name)]


def _meets_input(f: Mapping[str, Number], dy: int, dx: int) -> bool:
    """Whether a window meets more than padding."""
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * dy + 1 - f["top"] - f["bottom"]
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * dx + 1 - f["left"] - f["right"]
    return rows > 0 and columns > 0


# ------------------------------------------------------------------------------------------------- types, attributes


@irdl_attr_definition
class EventType(ParametrizedAttribute, TypeAttribute):
    """The completion of an instruction, its result: ``!accel.event``."""

    name = "accel.event"


@irdl_attr_definition
class SramType(ParametrizedAttribute, TypeAttribute):
    """A buffer in SRAM: ``!accel.sram``."""

    name = "accel.sram"


@irdl_attr_definition
class DramType(ParametrizedAttribute, TypeAttribute):
    """A region of DRAM: ``!accel.dram``."""

    name = "accel.dram"


EVENT, SRAM, DRAM = EventType(), SramType(), DramType()


@irdl_attr_definition
class FieldsAttr(Data[Fields]):
    """An instruction's fields, in the order of [isa.md](../isa.md); operations write those that are not at their
    default, ``{oy = 4, ox = 28}``."""

    name = "accel.fields"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Fields:
        with parser.in_angle_brackets():
            return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_number(parser)))

    def print_parameter(self, printer: Printer) -> None:
        numbers = (print_float(value) if isinstance(value, float) else str(value) for value in self.data)
        printer.print_string(f"<[{', '.join(numbers)}]>")


@irdl_attr_definition
class PlacesAttr(Data[tuple[str, ...]]):
    """The address field of each memory operand; operations write ``in(%x + 64)``."""

    name = "accel.places"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[str, ...]:
        with parser.in_angle_brackets():
            return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_identifier))

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(f"<[{', '.join(self.data)}]>")


@irdl_attr_definition
class WaitsAttr(Data[tuple[int, ...]]):
    """How many instructions of each queue must have completed: ``#accel.waits<load 2, array 3>``."""

    name = "accel.waits"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[int, ...]:
        counts = [0] * len(QUEUES)
        seen: set[str] = set()

        def one() -> None:
            queue = parser.parse_identifier()
            if queue not in QUEUES:
                parser.raise_error(f"'{queue}' is no queue; the machine has {', '.join(QUEUES)}")
            if queue in seen:
                parser.raise_error(f"'{queue}' is given twice")
            seen.add(queue)
            counts[QUEUES.index(queue)] = parser.parse_integer(allow_boolean=False, allow_negative=False)

        parser.parse_comma_separated_list(parser.Delimiter.ANGLE, one)
        return tuple(counts)

    def print_parameter(self, printer: Printer) -> None:
        waits = [f"{queue} {count}" for queue, count in zip(QUEUES, self.data, strict=True) if count]
        printer.print_string(f"<{', '.join(waits)}>")
