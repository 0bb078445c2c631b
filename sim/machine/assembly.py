"""Instructions as text, one line each, for people, tests and fault messages.

    conv half=1 outputs=64 inputs=3 fy=7 fx=7 in.base=0x1000 ra=1.5 | wait load 3, weights 2   ; a comment

Only fields that differ from ``encoding.defaults`` are written; addresses are hexadecimal, float32 values the shortest
decimal that gives the same bits, numbered choices (``op``, ``algorithm``) their names. ``assemble`` undoes
``disassemble`` exactly.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.machine.description import ALGORITHMS
from sim.machine.encoding import Record, Stream, defaults
from sim.machine.errors import EncodingError
from sim.machine.isa import BY_NAME, INTEGERS, QUEUES, VECTOR_OPS, Field, Instruction

_ADDRESSES = frozenset({"dram", "sram", "address", "params", "table"})
_CHOICES: Mapping[str, tuple[str, ...]] = {"op": VECTOR_OPS, "algorithm": ALGORITHMS}


def disassemble(stream: Stream) -> list[str]:
    """One line of text per instruction of a decoded stream."""
    return [line(stream.instruction(index).name, stream.fields(index)) for index in range(len(stream))]


def line(name: str, fields: Mapping[str, int | float]) -> str:
    """The text of one instruction; absent fields count as their defaults."""
    normal = defaults(name)
    words = [name]
    for field in BY_NAME[name].fields:
        value = fields.get(field.name, normal[field.name])
        if field.name == "op" or _differs(value, normal[field.name]):
            words.append(f"{field.name}={_value_text(field, value)}")
    waits = [f"{queue} {fields[f'wait.{queue}']}" for queue in QUEUES if fields.get(f"wait.{queue}", 0)]
    return " ".join(words) + (" | wait " + ", ".join(waits) if waits else "")


def float_text(value: float) -> str:
    """The shortest decimal that reads back as the same float32."""
    single = np.float32(value)
    text = str(single)
    same = np.float32(float(text)).tobytes() == single.tobytes()
    return text if same else repr(float(single))


def _differs(value: int | float, normal: int | float) -> bool:
    return value != normal or math.copysign(1, value) != math.copysign(1, normal)


def _value_text(field: Field, value: int | float) -> str:
    if field.type == "f32":
        return float_text(value)
    if field.name in _CHOICES:
        return _CHOICES[field.name][int(value)]
    if field.name in _ADDRESSES or field.name.endswith(".base"):
        return f"{int(value):#x}"
    return str(int(value))


def assemble(text: str) -> list[Record]:
    """The instructions a text names, for ``encoding.encode``.

    EncodingError names line and field and says what is allowed there. ``;`` and ``#`` begin comments.
    """
    records: list[Record] = []
    for number, raw in enumerate(text.splitlines(), 1):
        code = re.split(r"[;#]", raw, maxsplit=1)[0].strip()
        if code:
            records.append(_parse(code, f"Line {number}"))
    return records


def _parse(code: str, where: str) -> Record:
    body, bar, waits = code.partition("|")
    words = body.split()
    if not words:
        raise EncodingError(f"{where}: an instruction must stand before '|'.")
    name = words[0]
    if name not in BY_NAME:
        raise EncodingError(f"{where}: there is no instruction '{name}'; the machine has {', '.join(BY_NAME)}.")
    row = BY_NAME[name]
    fields: dict[str, int | float] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise EncodingError(f"{where}, {name}: '{word}' must read FIELD=VALUE.")
        field = _fields(name).get(key)
        if field is None:
            allowed = ", ".join(_fields(name)) or "none"
            raise EncodingError(f"{where}, {name}: there is no field '{key}'; its fields are {allowed}.")
        if key in fields:
            raise EncodingError(f"{where}, {name}: field '{key}' is given twice.")
        fields[key] = _read_value(field, value, f"{where}, {name}")
    if bar:
        fields.update(_read_waits(row, waits, f"{where}, {name}"))
    return name, fields


@functools.cache
def _fields(name: str) -> dict[str, Field]:
    return {field.name: field for field in BY_NAME[name].fields}


def _read_value(field: Field, text: str, where: str) -> int | float:
    if field.name in _CHOICES and text in _CHOICES[field.name]:
        return _CHOICES[field.name].index(text)
    if field.type == "f32":
        value = _number(text)
        with np.errstate(over="ignore"):
            if value is None or not np.isfinite(np.float32(value)):
                raise EncodingError(f"{where}: field '{field.name}' holds a finite float32, not '{text}'.")
        return float(np.float32(value))
    whole = _whole(text)
    low, high = (field.low, field.high) if field.type in INTEGERS else (0, 0)
    if whole is None or not low <= whole <= high:
        names = f" or one of {', '.join(_CHOICES[field.name])}" if field.name in _CHOICES else ""
        raise EncodingError(
            f"{where}: field '{field.name}' holds whole numbers from {low} to {high}{names}, not '{text}'."
        )
    return whole


def _read_waits(row: Instruction, text: str, where: str) -> dict[str, Any]:
    match = re.fullmatch(r"\s*wait\s+(\S.*)", text)
    if match is None:
        raise EncodingError(f"{where}: after '|' comes 'wait QUEUE COUNT, QUEUE COUNT, …', not '{text.strip()}'.")
    others = [queue for queue in QUEUES if queue != row.queue]
    waits: dict[str, Any] = {}
    for part in match[1].split(","):
        words = part.split()
        if len(words) != 2 or words[0] not in others:
            raise EncodingError(
                f"{where}: '{part.strip()}' must read QUEUE COUNT, where QUEUE is one of {', '.join(others)}."
            )
        count = _whole(words[1])
        if count is None or not 0 <= count <= 65535:
            raise EncodingError(
                f"{where}: field 'wait.{words[0]}' holds whole numbers from 0 to 65535, not '{words[1]}'."
            )
        if f"wait.{words[0]}" in waits:
            raise EncodingError(f"{where}: field 'wait.{words[0]}' is given twice.")
        waits[f"wait.{words[0]}"] = count
    return waits


def _whole(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
