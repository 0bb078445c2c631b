"""The instruction table: every instruction's fields, widths, ranges and meaning, stated once.

Encoder, decoder, assembler, disassembler, range checks and the manual's ISA page all read this table.
To add an instruction: a row here and a handler in the engine; a test fails while either is missing.

An instruction is its opcode byte, one wait count per queue, and its fields in the order of the table, little-endian
and unpadded. A wait "Q n" means: not before n instructions of queue Q have completed; the own queue's count is 0.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sim.machine import operations

QUEUES = ("load", "store", "weights", "array", "vector")
"""The five in-order queues; an instruction names at most one wait for each of the others."""

MOST_READ = 2**26
"""Bytes that an instruction may read where a memory has fewer: rows and pixels can be read again and again, and beyond
this it is no program but a flood, refused before anything is gathered."""

PARAMETER_BYTES = 8
"""Bytes of one output channel's parameters: int32 bias, float32 scale."""

TABLE_BYTES = 256
"""Bytes of a table: an int8 for every code."""

INTEGERS = {"u8": (0, 2**8 - 1), "u16": (0, 2**16 - 1), "u32": (0, 2**32 - 1), "i8": (-128, 127)}
"""Integer field types and the values they can hold; ``f32`` is the one other type, any finite float32."""


@dataclass(frozen=True)
class Field:
    """One field: ``type`` is a key of INTEGERS or ``f32``; ``low``/``high`` bound its legal values, both included."""

    name: str
    type: str
    doc: str
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Instruction:
    """One row of the table."""

    name: str
    opcode: int
    queue: str
    doc: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


def _field(name: str, type: str, doc: str, low: int | None = None, high: int | None = None) -> Field:
    least, most = INTEGERS.get(type, (0, 0))
    return Field(name, type, doc, least if low is None else low, most if high is None else high)


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def operand(name: str, what: str) -> tuple[Field, ...]:
    """The five fields of a tensor operand in SRAM (NHWC, channel stride 1).

    Row ``y``, pixel ``x``, channel ``c`` of the operand lies at
    ``base + slot·row_stride + x·pixel_stride + c`` with ``slot = (row + y) mod ring``, or ``row + y`` if ring is 0.
    """
    return (
        _field(f"{name}.base", "u32", f"{what}: address of slot 0, pixel 0, channel 0"),
        _field(f"{name}.row_stride", "u32", f"{what}: bytes from a row's slot to the next"),
        _field(f"{name}.pixel_stride", "u32", f"{what}: bytes from a pixel to the next"),
        _field(f"{name}.ring", "u16", f"{what}: rows the ring buffer stores; 0: no ring"),
        _field(f"{name}.row", "u16", f"{what}: slot of the operand's first row"),
    )


def _copy() -> tuple[Field, ...]:
    return (
        _field("dram", "u32", "DRAM address of the first byte"),
        _field("sram", "u32", "SRAM address of slot 0"),
        _field("bytes", "u32", "contiguous bytes of the innermost dimension", low=1),
        _field("count1", "u32", "length of the middle dimension", low=1, high=2**24),
        _field("count2", "u32", "length of the outer dimension (rows)", low=1, high=2**24),
        _field("dram_stride1", "u32", "bytes between middle elements in DRAM"),
        _field("dram_stride2", "u32", "bytes between rows in DRAM"),
        _field("sram_stride1", "u32", "bytes between middle elements in SRAM"),
        _field("sram_stride2", "u32", "bytes between row slots in SRAM"),
        _field("ring", "u16", "rows of the ring buffer in SRAM; 0: no ring"),
        _field("row", "u16", "slot of the first row in SRAM"),
    )


_LAYOUT = (_field("half", "u8", "half of the L1 weight store", high=1),)
_UNROLLING = (
    _field("algorithm", "u8", "0 direct, 1 winograd", high=1),
    _field("g", "u16", "groups per cycle, a power of two", low=1, high=32768),
    _field("k", "u16", "output channels per cycle, a power of two", low=1, high=32768),
    _field("r", "u16", "reduction elements per cycle, a power of two", low=1, high=32768),
    _field("p", "u16", "output pixels per cycle, a power of two", low=1, high=32768),
)
_CHANNELS = (
    _field("groups", "u32", "groups Gt of this pass", low=1, high=2**20),
    _field("outputs", "u32", "output channels per group Kt of this pass", low=1, high=2**20),
    _field("inputs", "u32", "input channels per group Ct of this pass", low=1, high=2**20),
)
_KERNEL = (
    _field("fy", "u8", "kernel rows", low=1),
    _field("fx", "u8", "kernel columns", low=1),
)
_WINDOW = (
    *_KERNEL,
    _field("sy", "u8", "stride in rows", low=1),
    _field("sx", "u8", "stride in columns", low=1),
)
_PADS = (
    _field("top", "u8", "padded rows above the operand's first row"),
    _field("bottom", "u8", "padded rows below its last"),
    _field("left", "u8", "padded columns before its first"),
    _field("right", "u8", "padded columns after its last"),
    _field("pad_value", "i8", "the value padding supplies (the input's zero point)"),
)
_CLAMP = (
    _field("zero_point", "i8", "zero point added after rounding"),
    _field("lo", "i8", "least output value"),
    _field("hi", "i8", "greatest output value"),
)
_EXTENT = (
    _field("oy", "u16", "output rows", low=1),
    _field("ox", "u16", "output columns", low=1),
)

VECTOR_OPS = operations.NAMES
"""Operations of the vector unit by their number; what is true of each stands in its row of ``operations``."""

INSTRUCTIONS = (
    Instruction("load", 1, "load", "Strided copy from DRAM to SRAM.", _copy()),
    Instruction("store", 2, "store", "Strided copy from SRAM to DRAM.", _copy()),
    Instruction(
        "load_config",
        3,
        "load",
        "Bring a configuration image into the shadow slot: from DRAM over the channel, or from SRAM without it.",
        (
            _field("space", "u8", "0 DRAM, 1 SRAM", high=1),
            _field("address", "u32", "address of the image"),
        ),
    ),
    Instruction("configure", 4, "array", "Exchange the active and the shadow configuration slot.", ()),
    Instruction(
        "fill",
        5,
        "weights",
        "Weights (output channel, kernel row, kernel column, input channel) from SRAM into one half of L1, laid out "
        "for the named configuration, the zero point subtracted. Replaces the half.",
        (
            *_LAYOUT,
            *_UNROLLING,
            *_CHANNELS,
            *_KERNEL,
            _field("address", "u32", "SRAM address of the first weight"),
            _field("output_stride", "u32", "bytes between output channels"),
            _field("tap_stride", "u32", "bytes between kernel positions, row-major"),
            _field("weight_zero", "i8", "weight zero point"),
        ),
    ),
    Instruction(
        "conv",
        6,
        "array",
        "One pass of a convolution over a tile: input window × the weights of one half → accumulators; the last pass "
        "sends them through requantise → [+ residual] → [table] to SRAM, or unrounded as float32.",
        (
            *_LAYOUT,
            *_CHANNELS,
            *_WINDOW,
            _field("dy", "u8", "dilation in rows", low=1),
            _field("dx", "u8", "dilation in columns", low=1),
            *_PADS,
            *_EXTENT,
            *operand("in", "input"),
            _field("first", "u8", "1: accumulators start at zero", high=1),
            _field(
                "last",
                "u8",
                "1: the result goes through the chain to SRAM; 2: as float32, before rounding, 4 bytes per channel",
                high=2,
            ),
            _field("params", "u32", "address of int32 bias and float32 scale per output channel (8 bytes each)"),
            *_CLAMP,
            _field(
                "residual",
                "u8",
                "0 none, 1 the residual is the sum's second operand, 2 its first, 3 it joins before the rounding",
                high=3,
            ),
            *operand("res", "residual"),
            _field("ra", "f32", "ratio of the sum's first operand"),
            _field("rb", "f32", "ratio of the sum's second operand"),
            _field("fix", "f32", "offset of the sum"),
            _field("sum_lo", "i8", "least value of the sum"),
            _field("sum_hi", "i8", "greatest value of the sum"),
            _field("has_table", "u8", "1: the output goes through a table", high=1),
            _field("table", "u32", "address of 256 int8 values, indexed by value + 128"),
            *operand("out", "output"),
        ),
    ),
    Instruction(
        "vector",
        7,
        "vector",
        "One operation on int8 tensors in SRAM.",
        (
            _field(
                "op",
                "u8",
                "operation: " + ", ".join(f"{i} {n}" for i, n in enumerate(VECTOR_OPS)),
                high=len(VECTOR_OPS) - 1,
            ),
            *_EXTENT,
            _field("channels", "u32", "channels of the output", low=1, high=2**24),
            *operand("a", "first operand"),
            *operand("b", "second operand of " + _listed(row.name for row in operations.OPERATIONS if row.binary)),
            *operand("out", "output"),
            _field(
                "b_broadcast",
                "u8",
                "1: the second operand is one pixel for all ("
                + _listed(row.name for row in operations.OPERATIONS if row.pixel)
                + ")",
                high=1,
            ),
            *_WINDOW,
            *_PADS,
            _field("iy", "u16", "rows of the first operand (global_average_pool)"),
            _field("ix", "u16", "columns of the first operand (global_average_pool)"),
            _field("params", "u32", "affine: address of float32 scale and float32 offset per channel (8 bytes each)"),
            _field("table", "u32", "table: address of 256 int8 values, indexed by value + 128"),
            _field("ra", "f32", "add: first ratio; mul: the factor; copy, averages, lrn: scale of the input"),
            _field("rb", "f32", "add: second ratio; copy, averages, lrn: scale of the output (0: 1)"),
            _field("fix", "f32", "offset of add"),
            _field("za", "i8", "zero point of the first operand"),
            _field("zb", "i8", "zero point of the second operand"),
            *_CLAMP,
            _field(
                "size",
                "u16",
                "lrn: channels in the window; shuffle: channel groups; average_pool: 1 counts padded positions",
            ),
            _field("alpha", "f32", "lrn"),
            _field("beta", "f32", "lrn"),
            _field("bias", "f32", "lrn"),
        ),
    ),
)

BY_NAME = {row.name: row for row in INSTRUCTIONS}
BY_OPCODE = {row.opcode: row for row in INSTRUCTIONS}


@functools.cache
def digest() -> str:
    """SHA-256 of all that decides what the bytes of a program mean: queues, opcodes, fields in order with their types
    and ranges, operations with their facts; not their documentation."""
    rows = [replace(row, doc="", fields=tuple(replace(f, doc="") for f in row.fields)) for row in INSTRUCTIONS]
    facts = [replace(row, doc="") for row in operations.OPERATIONS]
    return hashlib.sha256(repr((QUEUES, rows, facts)).encode()).hexdigest()


def checks(row: Instruction) -> list[tuple[str, int, int]]:
    """(field, low, high) of every integer field whose legal range is narrower than its type."""
    return [(f.name, f.low, f.high) for f in row.fields if f.type in INTEGERS and (f.low, f.high) != INTEGERS[f.type]]


def documentation(row: Instruction) -> list[tuple[str, str, str, str]]:
    """(field, type, range, meaning) of every field, for the manual's ISA page."""
    return [(f.name, f.type, "finite" if f.type == "f32" else f"{f.low}…{f.high}", f.doc) for f in row.fields]
