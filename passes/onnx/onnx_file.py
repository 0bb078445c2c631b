"""Reading a model file without copying its weights.

The file is mapped, not read. A walk over its outermost protobuf fields finds the ``raw_data`` of every initialiser;
these become memoryviews into the mapping, and only the rest (kilobytes: nodes, names, shapes) goes to the protobuf
library. So a model of any size, also beyond protobuf's 2 GB, costs no memory for weights that nobody looks at.
Wire format: https://protobuf.dev/programming-guides/encoding; field numbers: onnx.proto.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from dialects.onnx_export import ELEMENT_NAME
from dialects.recon import ELEMENT
from passes.common.problems import ModelError, Problems
from sim.machine.files import check_regular

_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_KEEP = 1024
"""Initialisers of at most this many bytes stay in the protobuf: they may be shapes that inference has to see."""

MOST_ELEMENTS = 2**40
"""A tensor of more elements than this is a damaged file, not a network."""


@dataclass
class ModelFile:
    """The model without its large constants, and those constants' bytes by initialiser name."""

    proto: onnx.ModelProto
    large: dict[str, memoryview] = field(default_factory=dict[str, memoryview])


class _Truncated(Exception):
    pass


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Truncated


def _fields(data: memoryview, at: int, end: int) -> list[tuple[int, int, int, int]]:
    """(field number, start of the field, start of its payload, end) of a message; payload = field unless delimited."""
    found: list[tuple[int, int, int, int]] = []
    while at < end:
        start = at
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        payload = at
        if wire == 0:
            _, at = _varint(data, at, end)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == 2:
            length, payload = _varint(data, at, end)
            at = payload + length
        else:
            raise ValueError("no protobuf")
        if at > end:
            raise _Truncated
        found.append((number if wire == 2 else -number, start, payload, at))
    return found


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def _delimited(number: int, payload: bytes) -> bytes:
    return _encode_varint(number << 3 | 2) + _encode_varint(len(payload)) + payload


def _without_weights(data: memoryview) -> tuple[bytes, dict[int, memoryview]]:
    """The serialised model with large ``raw_data`` cut out, and what was cut by initialiser number."""
    cut: dict[int, memoryview] = {}
    model: list[bytes] = []
    index = 0
    for number, start, payload, end in _fields(data, 0, len(data)):
        if number != _GRAPH:
            model.append(bytes(data[start:end]))
            continue
        graph: list[bytes] = []
        for inner, inner_start, inner_payload, inner_end in _fields(data, payload, end):
            if inner != _INITIALIZER:
                graph.append(bytes(data[inner_start:inner_end]))
                continue
            tensor: list[bytes] = []
            for part, part_start, part_payload, part_end in _fields(data, inner_payload, inner_end):
                if part == _RAW_DATA and part_end - part_payload > _KEEP:
                    cut[index] = data[part_payload:part_end]
                else:
                    tensor.append(bytes(data[part_start:part_end]))
            graph.append(_delimited(_INITIALIZER, b"".join(tensor)))
            index += 1
        model.append(_delimited(_GRAPH, b"".join(graph)))
    return b"".join(model), cut


def read_model(source: str | Path | bytes | memoryview, where: str) -> ModelFile:
    """The model of a file or of bytes; ``where`` is what messages call it.

    Raises ModelError if there is no such file, or it is empty, truncated or no ONNX model.
    """
    folder: Path | None = None
    if isinstance(source, bytes | memoryview):
        data = memoryview(source)
    else:
        folder = Path(source).parent
        data = _map(Path(source), where)
    if not len(data):
        raise ModelError(f"{where}: The file is empty; an ONNX model was expected.")
    foreign = ModelError(f"{where}: This is not an ONNX model (it does not read as one). A model ends in .onnx and is "
                         "what an exporter such as torch.onnx.export or tf2onnx writes.")  # fmt: skip
    try:
        text, cut = _without_weights(data)
        proto = onnx.ModelProto.FromString(text)
    except _Truncated:
        start = bytes(data[:1])
        if start == b"\x08":  # every ONNX file begins with its IR version
            raise ModelError(f"{where}: The file is truncated or damaged: it ends after {len(data):,} bytes in the "
                             "middle of a field. Copy or download it again.") from None  # fmt: skip
        raise foreign from None
    except (ValueError, DecodeError):
        raise foreign from None
    if not proto.HasField("graph") or not proto.ir_version:
        raise foreign
    if not proto.graph.node and not proto.graph.output:
        raise ModelError(f"{where}: The model's graph is empty: it has no nodes and no outputs.")
    model = ModelFile(proto)
    problems = Problems(where)
    for index, tensor in enumerate(proto.graph.initializer):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _attach(model, tensor, folder, problems)
        elif index in cut:
            model.large[tensor.name] = cut[index]
    problems.raise_if_any()
    return model


def _map(path: Path, where: str) -> memoryview:
    try:
        check_regular(path)
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise ModelError(f"{where}: There is no such file.") from None
    except IsADirectoryError:
        raise ModelError(f"{where}: This is a directory; give the .onnx file inside it.") from None
    except OSError as error:
        raise ModelError(f"{where}: The file cannot be read: {error.strerror}.") from None


def _attach(model: ModelFile, tensor: onnx.TensorProto, folder: Path | None, problems: Problems) -> None:
    """Find the bytes of an initialiser that the model keeps in another file; never outside the model's folder."""
    about = {entry.key: entry.value for entry in tensor.external_data}
    name = about.get("location", "")
    what = f"the constant '{tensor.name}'"
    if folder is None:
        problems.add(what, f"Its values are in another file, '{name}', which cannot be found from a model in memory.")
        return
    path = folder / name
    if not name or Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        problems.add(what, f"Its values are said to be in '{name}', outside the model's own folder; that is refused.")
        return
    if not path.is_file():
        problems.add(what, f"Its values are in the file '{name}', which is not beside the model. Copy it there.")
        return
    data = _map(path, str(path))
    numbers = {key: about.get(key) or "0" for key in ("offset", "length")}
    for key, text in numbers.items():
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            problems.add(what, f"Its {key} in the file '{name}' is '{text[:40]}', which is no number of bytes.")
            return
    offset = int(numbers["offset"])
    length = int(numbers["length"]) or len(data) - offset
    if offset < 0 or length < 0 or offset + length > len(data):
        problems.add(what, f"Its values end beyond the end of '{name}' ({len(data):,} bytes): that file is truncated.")
        return
    model.large[tensor.name] = data[offset : offset + length]
    tensor.ClearField("data_location")
    del tensor.external_data[:]


def check_size(tensor: onnx.TensorProto, data: memoryview | None) -> str | None:
    """What is wrong with a constant's dimensions, type or number of bytes; None if nothing is."""
    element = ELEMENT_NAME.get(int(tensor.data_type))
    if element is None or element not in ELEMENT:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in \
            onnx.TensorProto.DataType.values() else str(tensor.data_type)  # fmt: skip
        return f"Its element type {kind} is not supported; float32 and integer constants are."
    size = 1
    for dimension in tensor.dims:
        if dimension < 0:
            return f"Its dimension {dimension} is negative: the file is damaged."
        size *= dimension
    if size > MOST_ELEMENTS:
        return f"It claims {size:,} elements: the file is damaged."
    if data is None and not tensor.HasField("raw_data"):
        listed = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
        return None if listed == size else \
            f"It has {listed:,} numbers where its shape needs {size:,}: the file is damaged."  # fmt: skip
    given, expected = len(data if data is not None else tensor.raw_data), size * ELEMENT[element][1]
    if given != expected:
        return f"It has {given:,} bytes where its shape needs {expected:,}: the file is damaged."
    return None
