"""Instructions ↔ bytes ↔ text, over random instructions of every kind, and what their errors say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.machine import assembly, encoding
from sim.machine.encoding import Record
from sim.machine.errors import EncodingError
from sim.machine.isa import INSTRUCTIONS, INTEGERS, QUEUES, Instruction


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any legal instruction; about half of its fields keep their default."""
    row: Instruction = draw(st.sampled_from(INSTRUCTIONS))
    fields: dict[str, int | float] = {}
    for field in row.fields:
        if draw(st.booleans()):
            if field.type in INTEGERS:
                fields[field.name] = draw(st.integers(field.low, field.high))
            else:
                fields[field.name] = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    for queue in QUEUES:
        if queue != row.queue and draw(st.booleans()):
            fields[f"wait.{queue}"] = draw(st.integers(0, 65535))
    return row.name, fields


@settings(max_examples=150, deadline=None)
@given(st.lists(records(), max_size=6))
def test_bytes_and_text_give_the_same_instructions_back(instructions: list[Record]) -> None:
    code = encoding.encode(instructions)
    stream = encoding.decode(code)
    assert len(stream) == len(instructions)
    for (name, fields), (decoded_name, decoded) in zip(instructions, stream.records(), strict=True):
        assert decoded_name == name
        assert decoded == {**encoding.defaults(name), **fields}
    assert encoding.encode(stream.records()) == code
    text = assembly.disassemble(stream)
    assert len(text) == len(instructions)
    assert encoding.encode(assembly.assemble("\n".join(text))) == code


@given(st.integers(0, 2**32 - 1))
def test_a_float_text_gives_the_same_bits_back(bits: int) -> None:
    value = np.array(bits, np.uint32).view(np.float32)[()]
    if np.isfinite(value):
        assert np.float32(float(assembly.float_text(float(value)))).tobytes() == value.tobytes()


def test_text_shows_what_differs_from_the_defaults() -> None:
    text = "conv half=1 outputs=64 in.base=0x1000 ra=1.5 rb=-0.0 fix=0.1 | wait load 3, weights 2"
    stream = encoding.decode(encoding.encode(assembly.assemble(text + "   ; a comment # with another\n\n# nothing")))
    assert assembly.disassemble(stream) == [text]
    assert assembly.disassemble(encoding.decode(encoding.encode([("configure", {})]))) == ["configure"]
    (name, fields) = assembly.assemble("vector op=max_pool channels=0x10 | wait array 1")[0]
    assert (name, fields) == ("vector", {"op": 3, "channels": 16, "wait.array": 1})
    assert assembly.line(name, fields) == "vector op=max_pool channels=16 | wait array 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "jump",
            "Line 1: there is no instruction 'jump'; the machine has load, store, load_config, configure, fill, "
            "conv, vector.",
        ),
        ("\nload_config spaces=1", "Line 2, load_config: there is no field 'spaces'; its fields are space, address."),
        ("configure now=1", "Line 1, configure: there is no field 'now'; its fields are none."),
        ("load bytes", "Line 1, load: 'bytes' must read FIELD=VALUE."),
        ("load bytes=4 bytes=4", "Line 1, load: field 'bytes' is given twice."),
        ("load bytes=0", "Line 1, load: field 'bytes' holds whole numbers from 1 to 4294967295, not '0'."),
        ("load bytes=many", "Line 1, load: field 'bytes' holds whole numbers from 1 to 4294967295, not 'many'."),
        ("conv ra=inf", "Line 1, conv: field 'ra' holds a finite float32, not 'inf'."),
        ("conv ra=1e39", "Line 1, conv: field 'ra' holds a finite float32, not '1e39'."),
        (
            "fill algorithm=fft",
            "Line 1, fill: field 'algorithm' holds whole numbers from 0 to 1 or one of direct, winograd, not 'fft'.",
        ),
        (
            "load | wait load 1",
            "Line 1, load: 'load 1' must read QUEUE COUNT, where QUEUE is one of store, weights, array, vector.",
        ),
        (
            "load | wait store 70000",
            "Line 1, load: field 'wait.store' holds whole numbers from 0 to 65535, not '70000'.",
        ),
        ("load | wait store 1, store 2", "Line 1, load: field 'wait.store' is given twice."),
        ("load | store 1", "Line 1, load: after '|' comes 'wait QUEUE COUNT, QUEUE COUNT, …', not 'store 1'."),
        ("| wait store 1", "Line 1: an instruction must stand before '|'."),
    ],
)
def test_errors_name_line_and_field_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(EncodingError) as error:
        assembly.assemble(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"\xff", "Instruction 0 at byte 0: there is no instruction with opcode 255."),
        (
            encoding.encode([("configure", {})]) + b"\x01\x00",
            "Instruction 1 at byte 11: the stream ends inside a load.",
        ),
        (
            b"\x03" + bytes(10) + b"\x02" + bytes(4),
            "Instruction 0, load_config: field 'space' holds whole numbers from 0 to 1, not 2.",
        ),
        (
            b"\x04" + bytes(6) + b"\x01" + bytes(3),
            "Instruction 0, configure: field 'wait.array' holds whole numbers from 0 to 0, not 1.",
        ),
    ],
)
def test_foreign_or_truncated_streams_are_refused(code: bytes, message: str) -> None:
    with pytest.raises(EncodingError) as error:
        encoding.decode(code)
    assert str(error.value) == message


def test_the_encoder_names_field_value_and_range() -> None:
    for record, message in (
        (("load", {"bytes": 0}), "load: field 'bytes' holds whole numbers from 1 to 4294967295, not 0."),
        (("load", {"bite": 0}), "load has no field 'bite'."),
        (("vector", {"ra": float("nan")}), "vector: field 'ra' holds a finite float32, not nan."),
        (("configure", {"wait.array": 1}), "configure: field 'wait.array' holds whole numbers from 0 to 0, not 1."),
    ):
        with pytest.raises(EncodingError) as error:
            encoding.encode([record])
        assert str(error.value) == message
