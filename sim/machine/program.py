"""Program files: what the compiler hands to the machine, and all the machine gets.

A program is one safetensors file, so reading it executes nothing. Byte tensors hold the constants (the first bytes of
DRAM) and, per machine segment, the instruction stream and the layer of each instruction; host segments are small ONNX
models. One JSON text under the metadata key ``recon`` holds the rest. The same program is always the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from sim.machine.certificate import Certificate
from sim.machine.consistency import check
from sim.machine.description import Machine, from_mapping
from sim.machine.entries import each, text, whole
from sim.machine.errors import ProgramError
from sim.machine.files import read_whole, write_whole
from sim.machine.frames import Frames, Rhythm, read
from sim.machine.isa import digest

FORMAT = 5
"""Version of the program file; a reader refuses any other."""

UNSEALED = "0" * 64
"""What stands in the place of the checksum while it is computed."""


@dataclass(frozen=True)
class Port:
    """A tensor at the edge of the model: numpy dtype name and shape as the model states them."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Region:
    """A named tensor in DRAM, dense in row-major order, from ``address`` on: int8, or a result in float32."""

    name: str
    address: int
    shape: tuple[int, ...]
    dtype: str = "int8"

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class LayerRow:
    """A row of the layer table: provenance and the work it stands for, whatever instructions carry it out.

    ``shape`` is text for people (``"56x56x64 -> 56x56x256"``), ``macs`` counts multiply-accumulates of real inputs,
    ``compulsory_bytes`` input + weights + output once, ``configuration`` the array's setting or ``""``.
    """

    name: str
    op: str
    shape: str
    macs: int
    compulsory_bytes: int
    configuration: str
    onnx: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MachineSegment:
    """A straight-line program of the machine: code, layer index per instruction, tensors it takes and gives.

    ``buffers`` int64[b, 4] says what lies where in SRAM, for people and reports alone: address, bytes, first and last
    instruction that touches each of b buffers. It is empty where nobody knows. With ``frames`` the code repeats.
    """

    name: str
    code: bytes
    layer_of: npt.NDArray[np.uint32]
    inputs: tuple[Region, ...]
    outputs: tuple[Region, ...]
    buffers: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros((0, 4), np.int64))
    frames: Frames | None = None

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the tensors it needs."""
        return tuple(region.name for region in self.inputs)

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of the tensors it makes."""
        return tuple(region.name for region in self.outputs)


@dataclass(frozen=True)
class HostNode:
    """A node of the model that the host runs: its name, its operator, why, and its multiply-accumulates."""

    name: str
    operator: str
    reason: str
    macs: int


@dataclass(frozen=True, eq=False)
class HostSegment:
    """Operators the host runs: a serialised ONNX model over named tensors.

    ``nodes`` are those of the model that are here for a reason of their own; quantisers and changes of layout are
    operators only. ``bytes_in`` and ``bytes_out`` cross from and to the machine.
    """

    name: str
    model: bytes
    operators: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[HostNode, ...] = ()
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the tensors it needs."""
        return self.inputs

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of the tensors it makes."""
        return self.outputs


Segment = MachineSegment | HostSegment


@dataclass(frozen=True)
class Bounds:
    """Lower bounds in cycles, by the manual's section on bounds; ``array`` and ``vector`` are parts of ``bound3``."""

    compute: int
    dram: int
    bound: int
    bound2: int
    bound3: int = 0
    array: int = 0
    vector: int = 0


@dataclass(frozen=True)
class SramUse:
    """The moment at which most bytes of SRAM are taken: how many are, are free, and are free in one piece."""

    peak_bytes: int
    free_bytes: int
    largest_free_bytes: int

    @property
    def fragmentation(self) -> float:
        """The part of what is free that does not lie in the largest piece; 0 if nothing is free."""
        return 1 - self.largest_free_bytes / self.free_bytes if self.free_bytes else 0.0


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled model. ``segments`` run in order, passing tensors by name; ``notes`` are for the user."""

    model: str
    machine: Machine
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    segments: tuple[Segment, ...]
    layers: tuple[LayerRow, ...]
    constants: npt.NDArray[np.uint8]
    dram_bytes: int
    bounds: Bounds
    sram: SramUse
    predicted_cycles: int
    producer: str
    certificate: Certificate = dataclasses.field(default_factory=Certificate)
    notes: tuple[str, ...] = ()
    image: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """How pictures become the input: ``{"scale": [..], "mean": [..]}``, possibly empty."""
    rhythm: Rhythm | None = None
    """Of a program whose machine segment repeats; its ``predicted_cycles`` are those of one body in the steady
    state."""
    batch: int = 1
    """Frames that one run of the text computes; above 1 the regions of machine segments have them along an axis of
    their own, the first."""

    @property
    def machine_segments(self) -> tuple[MachineSegment, ...]:
        """The segments that run on the machine, in order."""
        return tuple(segment for segment in self.segments if isinstance(segment, MachineSegment))

    @property
    def code_bytes(self) -> int:
        return sum(len(segment.code) for segment in self.machine_segments)

    @property
    def host_operators(self) -> tuple[str, ...]:
        return tuple(op for s in self.segments if isinstance(s, HostSegment) for op in s.operators)

    def __repr__(self) -> str:
        macs = sum(layer.macs for layer in self.layers)
        return (
            f"Program({self.model!r} for {self.machine.name}: {len(self.layers)} layers, {macs:,} MACs, "
            f"{self.predicted_cycles:,} cycles predicted)"
        )

    def to_bytes(self) -> bytes:
        """The file's content; equal programs give equal bytes."""
        tensors: dict[str, npt.NDArray[Any]] = {"constants": self.constants}
        segments: list[dict[str, Any]] = []
        for index, segment in enumerate(self.segments):
            if isinstance(segment, MachineSegment):
                tensors[f"code.{index}"] = np.frombuffer(segment.code, np.uint8)
                tensors[f"layers.{index}"] = segment.layer_of.astype(np.uint32)
                if len(segment.buffers):
                    tensors[f"buffers.{index}"] = segment.buffers
                segments.append(
                    {
                        "kind": "machine",
                        "name": segment.name,
                        "inputs": [dataclasses.asdict(r) for r in segment.inputs],
                        "outputs": [dataclasses.asdict(r) for r in segment.outputs],
                        "frames": dataclasses.asdict(segment.frames) if segment.frames is not None else None,
                    }
                )
            else:
                tensors[f"host.{index}"] = np.frombuffer(segment.model, np.uint8)
                segments.append(
                    {
                        "kind": "host",
                        "name": segment.name,
                        "operators": segment.operators,
                        "inputs": segment.inputs,
                        "outputs": segment.outputs,
                        "nodes": [dataclasses.asdict(node) for node in segment.nodes],
                        "bytes_in": segment.bytes_in,
                        "bytes_out": segment.bytes_out,
                    }
                )
        head = {
            "checksum": UNSEALED,
            "format": FORMAT,
            "instructions": digest(),
            "producer": self.producer,
            "model": self.model,
            "machine": self.machine.to_json(),
            "fingerprint": self.machine.fingerprint,
            "inputs": [dataclasses.asdict(p) for p in self.inputs],
            "outputs": [dataclasses.asdict(p) for p in self.outputs],
            "segments": segments,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "dram_bytes": self.dram_bytes,
            "bounds": dataclasses.asdict(self.bounds),
            "certificate": dataclasses.asdict(self.certificate),
            "sram": dataclasses.asdict(self.sram),
            "predicted_cycles": self.predicted_cycles,
            "notes": list(self.notes),
            "image": dict(self.image),
            "batch": self.batch,
            "rhythm": dataclasses.asdict(self.rhythm) if self.rhythm is not None else None,
            "sha256": {name: _digest(tensor) for name, tensor in sorted(tensors.items())},
        }
        data = safetensors.numpy.save(tensors, {"recon": json.dumps(head, sort_keys=True)})
        return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1)

    def save(self, path: str | Path) -> None:
        """Write the file whole or not at all; ProgramError when it cannot be written."""
        write_whole(path, self.to_bytes())


def _digest(tensor: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(tensor).view(np.uint8).data).hexdigest()


def load(path: str | Path) -> Program:
    """Read a program file; ProgramError says when it is missing, foreign, truncated, damaged or of another version."""
    try:
        data = read_whole(path)
    except OSError as error:
        raise ProgramError(f"{path}: cannot be read: {error.strerror}.") from None
    return from_bytes(data, str(path))


def is_program(data: bytes) -> bool:
    """Whether these bytes begin as a program file does; they may still be damaged."""
    return data.startswith(b'{"__metadata__":{"recon":', 8)


def from_bytes(data: bytes, where: str = "program") -> Program:
    """The program in these bytes; ``where`` names them in messages."""
    head, tensors = _open(data, where)
    if head.get("format") != FORMAT:
        raise ProgramError(
            f"{where}: this program has format {head.get('format')} and this version reads format {FORMAT}; "
            "compile the model again."
        )
    _check_seal(data, head, tensors, where)
    if head.get("instructions") != digest():
        raise ProgramError(
            f"{where}: this program was made for other instructions than this version's (its table of instructions "
            "and operations differs); compile the model again."
        )
    try:
        machine = from_mapping(head["machine"], where)
        segments = tuple(_segment(index, entry, tensors) for index, entry in enumerate(head["segments"]))
        layers = each(_layer, head["layers"])
        made = Program(
            model=text(head["model"]),
            machine=machine,
            inputs=each(_port, head["inputs"]),
            outputs=each(_port, head["outputs"]),
            segments=segments,
            layers=layers,
            constants=tensors["constants"],
            dram_bytes=whole(head["dram_bytes"]),
            bounds=Bounds(**{name: whole(value) for name, value in head["bounds"].items()}),
            certificate=Certificate.from_json(head["certificate"]),
            sram=SramUse(**{name: whole(value) for name, value in head["sram"].items()}),
            predicted_cycles=whole(head["predicted_cycles"]),
            producer=text(head["producer"]),
            notes=each(text, head["notes"]),
            image=dict(head["image"]),
            batch=whole(head["batch"]),
            rhythm=read(Rhythm, head["rhythm"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ProgramError(f"{where}: the program's table of contents is damaged ({error!r}); compile again.") from None
    check(made, where)
    return made


def _check_seal(data: bytes, head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]], where: str) -> None:
    """ProgramError when any byte of the file is not the one that was written."""
    seal = head.get("checksum")
    if isinstance(seal, str) and re.fullmatch("[0-9a-f]{64}", seal) and (at := data.find(seal.encode())) >= 0:
        whole = hashlib.sha256(memoryview(data)[:at])
        whole.update(UNSEALED.encode())
        whole.update(memoryview(data)[at + len(UNSEALED) :])
        if whole.hexdigest() == seal:
            return
    parts = head.get("sha256")
    known: dict[str, Any] = parts if isinstance(parts, dict) else {}
    for name, tensor in tensors.items():
        if name in known and known[name] != _digest(tensor):
            raise ProgramError(f"{where}: the part '{name}' is damaged (its checksum differs); compile again.")
    raise ProgramError(
        f"{where}: the head of the program is damaged or was edited (its checksum differs); copy the file again or "
        "compile again."
    )


def _open(data: bytes, where: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size]) if 0 < size <= len(data) - 8 else {}
        ours = header.get("__metadata__", {}).get("recon") if isinstance(header, dict) else None
        head = json.loads(ours) if isinstance(ours, str) else None
    except (ValueError, AttributeError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise ProgramError(
            f"{where}: this is not a recon program, or its beginning is missing; "
            "'recon compile MODEL.onnx -o MODEL.rbin' makes one."
        )
    try:
        return head, safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError):
        raise ProgramError(
            f"{where}: the program is truncated: {len(data)} bytes do not hold all its parts; "
            "copy the file again or compile again."
        ) from None


def _region(entry: dict[str, Any]) -> Region:
    dtype = text(entry["dtype"])
    if dtype not in ("int8", "float32"):
        raise ValueError(f"{dtype!r} is no type that the machine knows")
    return Region(text(entry["name"]), whole(entry["address"]), each(whole, entry["shape"]), dtype)


def _buffers(table: npt.NDArray[Any] | None) -> npt.NDArray[np.int64]:
    if table is None:
        return np.zeros((0, 4), np.int64)
    if table.dtype != np.int64 or table.ndim != 2 or table.shape[1] != 4 or (table < 0).any():
        raise ValueError("the table of buffers is not int64[n, 4]")
    return table


def _layer(entry: dict[str, Any]) -> LayerRow:
    name, op, shape, configuration = (text(entry[key]) for key in ("name", "op", "shape", "configuration"))
    macs, compulsory = whole(entry["macs"]), whole(entry["compulsory_bytes"])
    return LayerRow(name, op, shape, macs, compulsory, configuration, each(text, entry["onnx"]))


def _port(entry: dict[str, Any]) -> Port:
    return Port(text(entry["name"]), np.dtype(text(entry["dtype"])).name, each(whole, entry["shape"]))


def _host_node(entry: dict[str, Any]) -> HostNode:
    name, operator, reason = (text(entry[part]) for part in ("name", "operator", "reason"))
    return HostNode(name, operator, reason, whole(entry["macs"]))


def _segment(index: int, entry: dict[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> Segment:
    name = text(entry["name"])
    if entry["kind"] == "machine":
        code, layers = tensors[f"code.{index}"].tobytes(), tensors[f"layers.{index}"]
        inputs, outputs = (each(_region, entry[part]) for part in ("inputs", "outputs"))
        buffers = _buffers(tensors.get(f"buffers.{index}"))
        return MachineSegment(name, code, layers, inputs, outputs, buffers, read(Frames, entry["frames"]))
    operators, takes, gives = (each(text, entry[part]) for part in ("operators", "inputs", "outputs"))
    return HostSegment(
        name,
        tensors[f"host.{index}"].tobytes(),
        operators,
        takes,
        gives,
        each(_host_node, entry["nodes"]),
        whole(entry["bytes_in"]),
        whole(entry["bytes_out"]),
    )
