"""Mutations of ONNX models: one thing of the protobuf changed, taken out, doubled or exchanged, or the file cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.message import DecodeError, Message

__all__ = ["DecodeError", "mutated"]

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**62, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "y", "QQ", "é", "NHWC", "SAME_UPPER", "%s", "a\nb", '"')


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The serialised model with one to three mutations; now and then the bytes are cut or overwritten instead."""
    how = dice.random()
    if how < 0.1:
        return data[: dice.randrange(len(data))]
    if how < 0.2:
        return _overwritten(data, dice)
    model = onnx.ModelProto.FromString(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        places = [place for place in _places(model) if place[1].name != "doc_string"]
        # Weights outnumber everything: a kind of place is drawn first, then one of its places.
        kind = dice.choice(sorted({field.full_name for _, field in places}))
        message, field = dice.choice([place for place in places if place[1].full_name == kind])
        _change(message, field, places, dice)
    try:
        return model.SerializeToString()
    except Exception:  # a name exchanged for bytes that are no text
        return _overwritten(data, dice)


def _overwritten(data: bytes, dice: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(len(made))
        made[at] = dice.choice((0, 0x7F, 0x80, 0xFF, made[at] ^ 1 << dice.randrange(8), dice.randrange(256)))
    return bytes(made)


def _places(message: Message) -> Iterator[tuple[Message, Any]]:
    """Every field that is set, with the message that it is of."""
    for field, value in message.ListFields():
        yield message, field
        if field.cpp_type == field.CPPTYPE_MESSAGE:
            for item in (value,) if isinstance(value, Message) else value:
                yield from _places(item)


def _change(message: Message, field: Any, places: list[tuple[Message, Any]], dice: random.Random) -> None:
    value = getattr(message, field.name)
    if isinstance(value, Message):
        others = [getattr(m, f.name) for m, f in places if f.full_name == field.full_name]
        if dice.random() < 0.3:
            message.ClearField(field.name)
        else:
            value.CopyFrom(dice.choice(others))
    elif isinstance(value, (str, bytes, int, float, bool)):
        if dice.random() < 0.15:
            message.ClearField(field.name)
        else:
            setattr(message, field.name, _other(field, value, places, dice))
    else:
        _change_list(value, field, places, dice)


def _change_list(items: Any, field: Any, places: list[tuple[Message, Any]], dice: random.Random) -> None:
    """A list with an item taken out, doubled, exchanged or changed."""
    at, how = dice.randrange(len(items)), dice.choice(("drop", "double", "swap", "change", "change"))
    scalars = field.cpp_type != field.CPPTYPE_MESSAGE
    if how == "drop":
        del items[at]
    elif how == "double":
        items.append(items[at]) if scalars else items.add().CopyFrom(items[at])
    elif how == "swap" or not scalars:
        other = dice.randrange(len(items))
        if scalars:
            items[at], items[other] = items[other], items[at]
        else:
            kept = type(items[at])()
            kept.CopyFrom(items[at])
            items[at].CopyFrom(items[other])
            items[other].CopyFrom(kept)
    else:
        items[at] = _other(field, items[at], places, dice)


def _other(field: Any, value: Any, places: list[tuple[Message, Any]], dice: random.Random) -> Any:
    """Another value for a field: from elsewhere in the model, or an odd one; never one that protobuf does not take."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return dice.choice((*FLOATS, value * 2, -value, value + 1e-3))
    if field.type == field.TYPE_ENUM:
        return dice.choice(field.enum_type.values).number
    if isinstance(value, int):
        number = dice.choice((*NUMBERS, value + 1, value - 1, value * 2, value ^ 1 << dice.randrange(16)))
        low, high = (-(2**31), 2**31 - 1) if field.type == field.TYPE_INT32 else (-(2**63), 2**63 - 1)
        if field.type == field.TYPE_UINT64:
            low, high = 0, 2**64 - 1
        return min(max(number, low), high)
    if isinstance(value, bytes):
        return dice.choice((b"", value[:-1], value + b"\0", bytes(len(value)), b"\xff" * len(value), value[::-1]))
    names = sorted({text for m, f in places if f.type == f.TYPE_STRING for text in _texts(m, f)})
    return dice.choice((dice.choice(names), dice.choice(names), dice.choice(TEXTS)) if names else TEXTS)


def _texts(message: Message, field: Any) -> list[str]:
    found = getattr(message, field.name)
    return [text for text in ([found] if isinstance(found, (str, bytes)) else found) if isinstance(text, str)]
