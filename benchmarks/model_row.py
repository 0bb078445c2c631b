"""One real model on the whole road: quantised, compiled, run, and held against what it should be.

A row says what a user of the model would want to know: how much of its work is on the machine, what that costs beside
its bound and beside a quantised form in which nothing is in the way, whether the program computes what the compiler
means and ONNX Runtime agrees, and what is left of the float model's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from model_files import CACHE, Entry, NoFile, file_of
from PIL import Image, ImageDraw, ImageFont

from backend.emit import emit
from dialects.onnx import NodeOp
from dialects.onnx_work import macs
from sim.machine.errors import ReconError
from sim.machine.program import Port
from tools.driver import DEFAULT_MACHINE, compile_model, lower, make_context, read_module
from tools.quantise.losses import Difference, session
from tools.quantise.prepare import Prepared, prepare
from tools.quantise.road import Settings, quantise
from tools.quantise.samples import from_memory
from tools.runtime import run_program
from tools.validation.observe import observe
from tools.validation.onnx_reference import OnnxReference
from tools.validation.validate import first_difference, near

PHOTO = Path(__file__).resolve().parent.parent / "examples" / "astronaut.png"

SAMPLES = 6
"""Samples that a model is calibrated on; one more, which calibration does not see, is run."""

WORDS = (
    "machine",
    "2047",
    "bound",
    "Kernel",
    "SRAM",
    "tile 16",
    "order",
    "weights",
    "4096",
    "Plan B",
    "cycle",
    "Zebra",
)
"""What stands on pictures with text."""

Tensors = dict[str, npt.NDArray[Any]]


@dataclass
class Row:
    """What was found of one model; ``problem`` ends it where something did not work.

    ``share`` of the multiply-accumulates on the machine; ``segments`` of it on the host with operators of the model in
    them; ``assumed`` cycles of the form that ``--assume-int8`` makes; ``layers`` that ONNX Runtime judged, and
    ``wrong`` of them beyond a tie; ``unequal`` where the program left the cnn level; ``decibels`` of the worst output
    against the float model, ``kept`` of what quantising itself left.
    """

    name: str
    problem: str = ""
    macs: int = 0
    share: float = 0.0
    segments: int = 0
    host: str = ""
    cycles: int = 0
    bound3: int = 0
    assumed: int = 0
    layers: int = 0
    wrong: str = ""
    unequal: str = ""
    decibels: float = 0.0
    kept: float = 0.0


def measure(entry: Entry, say: Any = print) -> Row:
    """The row of a model; never raises for what the model or the compiler does wrong."""
    row = Row(entry.name)
    try:
        _fill(row, entry, say)
    except (ReconError, NoFile) as error:
        row.problem = str(error)
    except Exception as error:  # an internal fault is what this table is there to show
        row.problem = f"{type(error).__name__}: {error}"
    return row


def _fill(row: Row, entry: Entry, say: Any) -> None:
    prepared = prepare(str(file_of(entry)), entry.shapes)
    samples = samples_of(entry, prepared.inputs, SAMPLES + 1)
    say("quantising")
    made = quantise(prepared, from_memory(prepared.inputs, samples[:-1]), Settings(), lambda _: lambda *_: None)
    row.kept = min(output.decibels for output in made.outputs)
    path = CACHE / "quantised" / f"{entry.name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.model.SerializeToString(deterministic=True))
    say("compiling")
    context = make_context()
    module = read_module(path, context)
    row.macs = sum(macs(op) for op in module.walk() if isinstance(op, NodeOp))
    reference = OnnxReference(module)
    lower(module, "cnn", context)
    meaning = module.clone()
    lower(module, "accel", context, machine=DEFAULT_MACHINE)
    program = emit(module, DEFAULT_MACHINE)
    say("running")
    result = run_program(program, samples[-1])
    s = result.statistics
    hosted = [segment for segment in s.host if any(node[0] for node in segment.nodes)]
    row.share = 1 - s.host_macs / row.macs if row.macs else 0.0
    row.segments, row.host = len(hosted), ", ".join(sorted({node[1] for part in hosted for node in part.nodes}))
    row.cycles, row.bound3 = s.cycles, s.bound3_cycles
    say("judging")
    _judge(row, reference, meaning, samples[-1], result.outputs)
    _against_float(row, prepared, samples[-1], result.outputs)
    say("as if quantised")
    assumed = compile_model(prepared.model, DEFAULT_MACHINE, assume_int8=True)
    row.assumed = run_program(assumed, timing_only=True).statistics.cycles


def _judge(row: Row, reference: OnnxReference, meaning: Any, inputs: Tensors, outputs: Tensors) -> None:
    """The program against the cnn level byte for byte, and that level against ONNX Runtime layer by layer."""
    seen = observe(meaning, inputs)
    for name, array in seen.outputs.items():
        difference = first_difference(f"output '{name}'", array, outputs[name])
        if difference is not None:
            row.unequal = str(difference)
            return
    values = {name: layer.value for name, layer in seen.layers.items() if layer.value is not None}
    judgements, expected = reference.judge(reference.matches(meaning), inputs, values)
    row.layers = len(judgements)
    wrong = [found for found in judgements if found.wrong]
    if wrong:
        row.wrong = f"{len(wrong)} layers, first {wrong[0].layer} ({wrong[0].wrong} of {wrong[0].elements})"
    elif (difference := near(reference, expected, outputs, 1)) is not None:
        row.wrong = str(difference)


def _against_float(row: Row, prepared: Prepared, inputs: Tensors, outputs: Tensors) -> None:
    run = session(prepared.model)
    found: list[float] = []
    for output, exact in zip(prepared.model.graph.output, run.run(None, inputs), strict=True):
        difference = Difference(output.name)
        difference.add(exact, outputs[output.name].reshape(exact.shape))
        found.append(difference.decibels)
    row.decibels = min(found)


def samples_of(entry: Entry, ports: tuple[Port, ...], count: int) -> list[Tensors]:
    """Seeded inputs: parts of a photo where a model takes pictures, noise elsewhere."""
    return [
        {port.name: _value(entry, port, np.random.default_rng([index, at])) for at, port in enumerate(ports)}
        for index in range(count)
    ]


def _value(entry: Entry, port: Port, generator: np.random.Generator) -> npt.NDArray[Any]:
    kind = np.dtype(port.dtype)
    if port.name in entry.given:
        return np.full(port.shape, entry.given[port.name], kind)
    if entry.scale:
        return _picture(port, entry, generator).astype(kind).reshape(port.shape)
    if kind.kind != "f":
        return generator.integers(0, 256, port.shape).astype(kind)
    return (0.5 * generator.standard_normal(port.shape)).astype(kind)


def _picture(port: Port, entry: Entry, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """A part of the photo, at least half as wide, turned over or not."""
    *_, a, b, c = port.shape
    last = c in (1, 3)
    height, width, channels = (a, b, c) if last else (b, c, a)
    with Image.open(PHOTO) as photo:
        side = int(generator.integers(min(photo.size) // 2, min(photo.size) + 1))
        x, y = (int(generator.integers(0, n - side + 1)) for n in photo.size)
        part = photo.convert("RGB").resize((width, height), box=(x, y, x + side, y + side))
    if entry.text:
        _write(part, entry.text == "line", generator)
    part = part.convert("L") if channels == 1 else part
    pixels = np.asarray(part, np.float64).reshape(height, width, channels)
    if generator.integers(2) and not entry.text:
        pixels = pixels[:, ::-1]
    values = (pixels - np.asarray(entry.mean or (0.0,))) * np.asarray(entry.scale)
    return values if last else values.transpose(2, 0, 1)


def _write(picture: Image.Image, one_line: bool, generator: np.random.Generator) -> None:
    """Words on a photo, or one line that fills a strip of paper."""
    draw = ImageDraw.Draw(picture)
    if one_line:
        draw.rectangle((0, 0, *picture.size), fill=(235, 232, 225))
    height = picture.height * 0.6 if one_line else picture.height / 12
    font = ImageFont.load_default(height)
    for line in range(1 if one_line else 8):
        words = [WORDS[int(at)] for at in generator.integers(0, len(WORDS), 2)]
        at = (picture.width * 0.03, picture.height * 0.15 if one_line else (line + 0.5) * picture.height / 8)
        draw.text(at, " ".join(words), font=font, fill=(20, 20, 30) if one_line or line % 2 else (250, 250, 250))
