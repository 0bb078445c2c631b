"""Instructions ↔ bytes, in bulk, from the instruction table.

Every instruction is a packed little-endian record; records of one opcode decode together as one numpy structured array.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import EncodingError
from sim.machine.isa import BY_NAME, BY_OPCODE, INSTRUCTIONS, INTEGERS, QUEUES, Instruction, checks

_TYPES = {"u8": "<u1", "u16": "<u2", "u32": "<u4", "i8": "<i1", "f32": "<f4"}

Record = tuple[str, Mapping[str, int | float]]
"""An instruction by name with its fields; ``wait.<queue>`` are its wait counts. Absent fields hold their least value
at or above 0."""


@functools.cache
def layout(opcode: int) -> np.dtype[Any]:
    """The record of an opcode: ``opcode``, ``wait.<queue>`` for each queue, then the table's fields."""
    header = [("opcode", "<u1"), *((f"wait.{queue}", "<u2") for queue in QUEUES)]
    return np.dtype(header + [(field.name, _TYPES[field.type]) for field in BY_OPCODE[opcode].fields])


@functools.cache
def defaults(name: str) -> dict[str, int | float]:
    """Value of every field that a record leaves out: 0, or the least legal value above it."""
    row = BY_NAME[name]
    values: dict[str, int | float] = {f"wait.{queue}": 0 for queue in QUEUES}
    for field in row.fields:
        values[field.name] = 0.0 if field.type == "f32" else max(0, field.low)
    return values


@functools.cache
def _limits(name: str) -> dict[str, tuple[int, int]]:
    row = BY_NAME[name]
    limits = {f"wait.{queue}": (0, 0 if queue == row.queue else 65535) for queue in QUEUES}
    for field in row.fields:
        if field.type in INTEGERS:
            limits[field.name] = (field.low, field.high)
    return limits


def encode_one(name: str, fields: Mapping[str, int | float]) -> bytes:
    """The bytes of one instruction; EncodingError names the field, its value and its range."""
    if name not in BY_NAME:
        raise EncodingError(f"There is no instruction '{name}'; the machine has {', '.join(BY_NAME)}.")
    row = BY_NAME[name]
    values = defaults(name)
    limits = _limits(name)
    for field, value in fields.items():
        if field not in values:
            raise EncodingError(f"{name} has no field '{field}'.")
        if field in limits:
            low, high = limits[field]
            if not isinstance(value, (int, np.integer)) or not low <= value <= high:
                raise EncodingError(f"{name}: field '{field}' holds whole numbers from {low} to {high}, not {value}.")
        elif not np.isfinite(np.float32(value)):
            raise EncodingError(f"{name}: field '{field}' holds a finite float32, not {value}.")
    record = {**values, **fields}
    packed = np.zeros((), layout(row.opcode))
    packed[()] = (row.opcode, *record.values())
    return packed.tobytes()


def encode(records: Iterable[Record]) -> bytes:
    """The instruction stream of a program."""
    return b"".join(encode_one(name, fields) for name, fields in records)


@dataclass(frozen=True)
class Stream:
    """A decoded instruction stream of n instructions.

    ``opcodes`` is uint8[n], ``rows`` int32[n]: instruction i is row ``rows[i]`` of ``tables[opcodes[i]]``.
    """

    opcodes: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int32]
    tables: dict[int, npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.opcodes)

    def instruction(self, index: int) -> Instruction:
        return BY_OPCODE[int(self.opcodes[index])]

    def fields(self, index: int) -> dict[str, int | float]:
        """All fields and waits of one instruction as Python numbers."""
        opcode = int(self.opcodes[index])
        record = self.tables[opcode][int(self.rows[index])]
        names = layout(opcode).names or ()
        return dict(zip(names[1:], record.tolist()[1:], strict=True))

    def only(self, which: npt.NDArray[np.int64]) -> Stream:
        """The stream of some instructions, in the order given."""
        opcodes, rows, tables = self.opcodes[which], np.zeros(len(which), np.int32), dict(self.tables)
        for opcode, table in self.tables.items():
            here = np.flatnonzero(opcodes == opcode)
            rows[here] = np.arange(len(here))
            tables[opcode] = table[self.rows[which[here]]]
        return Stream(opcodes, rows, tables)

    def records(self) -> list[Record]:
        """The stream as ``encode`` takes it."""
        return [(self.instruction(index).name, self.fields(index)) for index in range(len(self))]

    def indices(self, opcode: int) -> npt.NDArray[np.int64]:
        """Positions in the stream of the instructions of one opcode, in order."""
        return np.flatnonzero(self.opcodes == opcode)


def decode(data: bytes) -> Stream:
    """Decode an instruction stream and check every field's range.

    EncodingError says at which byte and instruction the stream is no program of this machine family.
    """
    sizes = {opcode: layout(opcode).itemsize for opcode in BY_OPCODE}
    offset = 0
    opcodes = bytearray()
    pieces: dict[int, list[bytes]] = {row.opcode: [] for row in INSTRUCTIONS}
    rows: list[int] = []
    while offset < len(data):
        opcode = data[offset]
        if opcode not in sizes:
            raise EncodingError(
                f"Instruction {len(opcodes)} at byte {offset}: there is no instruction with opcode {opcode}."
            )
        end = offset + sizes[opcode]
        if end > len(data):
            raise EncodingError(
                f"Instruction {len(opcodes)} at byte {offset}: the stream ends inside a {BY_OPCODE[opcode].name}."
            )
        rows.append(len(pieces[opcode]))
        opcodes.append(opcode)
        pieces[opcode].append(data[offset:end])
        offset = end
    codes = np.frombuffer(bytes(opcodes), np.uint8)
    tables = {opcode: np.frombuffer(b"".join(parts), layout(opcode)) for opcode, parts in pieces.items()}
    stream = Stream(codes, np.array(rows, np.int32), tables)
    for row in INSTRUCTIONS:
        _check_ranges(stream, row)
    return stream


def _check_ranges(stream: Stream, row: Instruction) -> None:
    table = stream.tables[row.opcode]
    bounds = [*checks(row), (f"wait.{row.queue}", 0, 0)]
    for name, low, high in bounds:
        column = table[name]
        bad = np.flatnonzero((column < low) | (column > high))
        if len(bad):
            where = stream.indices(row.opcode)[bad[0]]
            raise EncodingError(
                f"Instruction {where}, {row.name}: field '{name}' holds whole numbers from {low} to {high}, "
                f"not {column[bad[0]]}."
            )
    for field in row.fields:
        if field.type == "f32":
            bad = np.flatnonzero(~np.isfinite(table[field.name]))
            if len(bad):
                where = stream.indices(row.opcode)[bad[0]]
                raise EncodingError(
                    f"Instruction {where}, {row.name}: field '{field.name}' holds a finite float32, "
                    f"not {table[field.name][bad[0]]}."
                )
