"""What the machine's tests share: a small machine, programs from text, and engines with memories preset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.engine import Engine
from sim.machine import assembly, configuration_image, encoding
from sim.machine import description as machine
from sim.machine.description import Configuration, Machine
from sim.machine.program import Bounds, LayerRow, MachineSegment, Port, Program, Region, SramUse
from sim.memory import Memory

EDGE = machine.load("edge4k")


def changed(base: Machine, **sections: dict[str, Any]) -> Machine:
    """A machine with some entries of some sections changed; ``top`` changes the machine's own entries."""
    top = sections.pop("top", {})
    parts = {name: dataclasses.replace(getattr(base, name), **entries) for name, entries in sections.items()}
    return dataclasses.replace(base, **parts, **top)


SMALL = changed(
    EDGE,
    top={"name": "small", "clock_hz": 1_000_000_000},
    array={"lanes": 256, "half_words": 128, "accumulators": 4096},
    sram={"bytes": 65536},
    dram={"bytes_per_second": 64_000_000_000, "refresh_per_mille": 0, "latency": 10, "turn": 5},
    configuration={"image_bytes": 128},
)
"""64 KiB of SRAM, 64 bytes per cycle of DRAM, latency 10, turn 5, images of 128 bytes (two bursts)."""


class Watched(dict[str, Any]):
    """Fields that remember which of them were looked at."""

    def __init__(self, fields: Mapping[str, Any]):
        super().__init__(fields)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)


def image(text: str, target: Machine = SMALL) -> npt.NDArray[np.uint8]:
    """The configuration image of ``"direct g1 k64 r16 p4"``."""
    data = configuration_image.encode(Configuration.parse(text), target.configuration.image_bytes)
    return np.frombuffer(data, np.uint8)


def params(bias: npt.ArrayLike, scale: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """int32 biases and float32 scales as an instruction reads them."""
    bias = np.asarray(bias, np.int32)
    pairs = np.zeros(bias.shape, [("bias", "<i4"), ("scale", "<f4")])
    pairs["bias"], pairs["scale"] = bias, np.broadcast_to(np.asarray(scale, np.float32), bias.shape)
    return pairs.view(np.uint8)


def program(
    text: str,
    *,
    constants: npt.NDArray[np.uint8] | None = None,
    inputs: tuple[Region, ...] = (),
    outputs: tuple[Region, ...] = (),
    dram_bytes: int = 65536,
    target: Machine = SMALL,
    layers: tuple[LayerRow, ...] = (),
    layer_of: npt.ArrayLike | None = None,
) -> Program:
    """A program of one machine segment from assembly text; every instruction belongs to layer ``stem`` by default.

    Many parameters: the members of a program, all but the text with a value that most tests want.
    """
    records = assembly.assemble(text)
    rows = np.zeros(len(records), np.uint32) if layer_of is None else np.asarray(layer_of, np.uint32)
    segment = MachineSegment("main", encoding.encode(records), rows, inputs, outputs)
    return Program(
        model="test",
        machine=target,
        inputs=tuple(Port(region.name, region.dtype, region.shape) for region in inputs),
        outputs=tuple(Port(region.name, region.dtype, region.shape) for region in outputs),
        segments=(segment,),
        layers=layers or (LayerRow("stem", "conv2d", "", 0, 0, "", ()),),
        constants=np.zeros(0, np.uint8) if constants is None else constants,
        dram_bytes=dram_bytes,
        bounds=Bounds(1, 1, 1, 1),
        sram=SramUse(0, target.sram.bytes, target.sram.bytes),
        predicted_cycles=0,
        producer="tests",
    )


def engine(target: Machine = SMALL, dram_bytes: int = 65536) -> Engine:
    """An engine upon empty memories."""
    return Engine(target, Memory("DRAM", dram_bytes))


def execute(on: Engine, text: str) -> None:
    """Execute the instructions of a text."""
    for name, fields in assembly.assemble(text):
        on.execute(name, {**encoding.defaults(name), **fields})


def text_of(name: str, **fields: Any) -> str:
    """An instruction's text; ``in_base`` stands for ``in.base``."""
    names = {field.name.replace(".", "_"): field.name for field in assembly.BY_NAME[name].fields}
    return assembly.line(name, {names[key]: value for key, value in fields.items()})
