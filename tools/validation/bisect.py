"""Where a compiled model leaves its reference: the first layer, the instruction that wrote it, and the values.

The program runs on the simulator, and what every instruction writes is put together to the layers of the model; the
plan says which part of its layer a tile is. The reference is ONNX Runtime, each operator fed the compiled model's own
integers so that every layer answers for itself, or the meaning of the cnn level, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from passes.common.levels import LEVELS, level_of
from sim.machine.assembly import line
from sim.machine.encoding import decode
from sim.machine.errors import Fault, ReconError
from sim.machine.laws import channel_bytes
from sim.machine.program import MachineSegment, Program
from sim.memory import Fields, Memory, read_operand
from tools.driver import DEFAULT_MACHINE, lower, make_context, read_module
from tools.runtime import run_program
from tools.validation.observe import Observation, SeenLayer, assembled, observe
from tools.validation.onnx_reference import Match, OnnxReference
from tools.validation.probes import Inputs
from tools.validation.validate import Mismatch, first_difference, near

Array = npt.NDArray[Any]

Reference = Literal["onnxruntime", "cnn"]

NAMES: dict[Reference, str] = {"onnxruntime": "ONNX Runtime", "cnn": "the cnn level"}

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model at the levels that a search needs, and the program to be searched.

    ``graph`` and ``matches`` are there for a model that came from ONNX.
    """

    cnn: ModuleOp
    plan: ModuleOp
    program: Program
    graph: OnnxReference | None = None
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The first tensor that differs, or the fault that ended the run.

    ``instruction`` is its number in ``segment`` and its text, where an instruction wrote the element; ``others`` are
    further layers that differ. ``expected`` and ``found`` are the values as text.
    """

    where: str
    index: tuple[int, ...] = ()
    expected: str = ""
    found: str = ""
    wrong: int = 0
    elements: int = 0
    instruction: str = ""
    others: tuple[str, ...] = ()
    fault: str = ""


@dataclass
class Looked:
    """What a search went through: layers, elements, elements at a rounding tie, layers that cannot be seen."""

    layers: int = 0
    elements: int = 0
    ties: int = 0
    unseen: set[str] = field(default_factory=set[str])


def compile_for_bisect(
    path: str | Path,
    machine: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    program: Program | None = None,
    report: Report | None = None,
) -> Compiled:
    """Compile a model, keeping its levels; ``program`` is searched instead of the one made here, for the same machine.

    Raises ReconError for what cannot be compiled, and for text below the cnn level.
    """
    context = make_context()
    module = read_module(path, context, input_shapes)
    level = level_of(module)
    if LEVELS.index(level) > LEVELS.index("cnn"):
        raise ReconError(f"{path}: this is at level {level}; a reference is needed, so give an ONNX model or cnn text.")
    graph = OnnxReference(module) if level == "onnx" else None
    lower(module, "cnn", context, report=report)
    cnn = module.clone()
    matches = graph.matches(cnn) if graph is not None else ()
    lower(module, "tile", context, machine=machine or DEFAULT_MACHINE, report=report)
    plan = module.clone()
    lower(module, "accel", context, report=report)
    return Compiled(cnn, plan, program or emit(module, machine or DEFAULT_MACHINE), graph, matches)


def bisect(compiled: Compiled, inputs: Inputs, against: Reference, looked: Looked | None = None) -> Finding | None:
    """The first tensor in which the program differs from the reference on these inputs, or None.

    ``looked`` counts what was compared. Raises ReconError when the program is not what the model compiles to.
    """
    looked = looked if looked is not None else Looked()
    run = _Run(compiled, inputs)
    if against == "cnn":
        expected = observe(compiled.cnn, inputs)
        finding = _against_cnn(run, expected, looked)
    else:
        if compiled.graph is None:
            raise ReconError(
                "This module did not come from an ONNX model, so ONNX Runtime cannot run it; --against cnn."
            )
        finding = _against_graph(run, compiled.graph, compiled.matches, inputs, looked)
    if finding is None and run.fault:
        return Finding("the run", fault=run.fault)
    return finding


class _Run:
    """The program's run on the simulator, its tiles put together to layers."""

    def __init__(self, compiled: Compiled, inputs: Inputs):
        self.program = compiled.program
        self.plan = observe(compiled.plan, inputs)
        self.tiles: dict[str, list[tuple[int, str, Array]]] = {}
        self.outputs: dict[str, Array] = {}
        self.fault = ""
        try:
            self.outputs = run_program(self.program, inputs, observer=self._watch).outputs
        except Fault as fault:
            self.fault = str(fault)
        self.layers: dict[str, Array] = {}
        for name, layer in self.plan.layers.items():
            value = self._layer(name, layer)
            if value is not None:
                self.layers[name] = value

    def _watch(self, segment: MachineSegment, index: int, name: str, fields: Fields, sram: Memory) -> None:
        if name == "conv" and fields["last"]:
            depth = fields["groups"] * fields["outputs"] * int(channel_bytes(fields["last"]))
            shape = (fields["oy"], fields["ox"], depth)
        elif name == "vector":
            shape = (fields["oy"], fields["ox"], fields["channels"])
        else:
            return
        codes = np.array(read_operand(sram, fields, "out", shape), np.int8)
        layer = self.program.layers[int(segment.layer_of[index])].name
        self.tiles.setdefault(layer, []).append((index, segment.name, codes))

    def _layer(self, name: str, layer: SeenLayer) -> Array | None:
        """The whole layer as the program computed it; None where it stopped before, or where nothing shows it whole."""
        made = sorted(self.tiles.get(name, []), key=lambda entry: (self._segment(entry[1]), entry[0]))
        self.tiles[name] = made
        wanted = [part.codes.shape for part in layer.tiles]
        shapes = [codes.shape for _, _, codes in made]
        if self.fault and len(shapes) < len(wanted):
            return None
        if shapes != wanted:
            raise ReconError(
                f"The program computes layer '{name}' in {len(shapes)} tiles where this compiler's plan has "
                f"{len(wanted)} or others; compile the model again with this version, for this machine."
            )
        if layer.value is None:
            return None
        parts = [type(part)(part.op, part.place, codes) for part, (_, _, codes) in zip(layer.tiles, made, strict=True)]
        return assembled(parts)

    def _segment(self, name: str) -> int:
        return [segment.name for segment in self.program.segments].index(name)

    def instruction(self, layer: str, index: Sequence[int]) -> str:
        """The instruction that wrote an element (N, H, W, C) of a layer: number, segment, text."""
        tiles = self.plan.layers[layer].tiles if layer in self.plan.layers else []
        low = np.min([part.place for part in tiles if part.place is not None], axis=0) if tiles else np.zeros(3)
        found = ""
        for part, (number, segment, codes) in zip(tiles, self.tiles.get(layer, []), strict=False):
            if part.place is None:
                continue
            start = np.array(part.place) - low
            if all(a <= i < a + n for a, i, n in zip(start, index[1:], codes.shape, strict=True)):
                found = f"instruction {number} of segment '{segment}': {self._text(segment, number)}"
        return found

    def _text(self, name: str, number: int) -> str:
        for segment in self.program.segments:
            if isinstance(segment, MachineSegment) and segment.name == name:
                stream = decode(segment.code)
                return line(stream.instruction(number).name, stream.fields(number))
        return ""


def _against_cnn(run: _Run, expected: Observation, looked: Looked) -> Finding | None:
    wrong: list[tuple[str, Mismatch]] = []
    for name, layer in expected.layers.items():
        value = layer.value
        if value is None or layer.op == "cnn.host":
            continue
        mine = run.layers.get(name)
        if mine is None or mine.size != value.size:
            looked.unseen.add(name)
            continue
        looked.layers += 1
        looked.elements += value.size
        difference = first_difference(f"layer '{name}' ({layer.op})", value, mine.reshape(value.shape))
        if difference is not None:
            wrong.append((name, difference))
    if wrong:
        (name, first), *others = wrong
        return Finding(
            first.where, first.index, first.before, first.after, first.wrong, first.elements,
            run.instruction(name, first.index), tuple(name for name, _ in others),
        )  # fmt: skip
    return None if run.fault else _of_output(expected.outputs, run.outputs)


def _against_graph(
    run: _Run, graph: OnnxReference, matches: tuple[Match, ...], inputs: Inputs, looked: Looked
) -> Finding | None:
    visible = tuple(match for match in matches if match.layer in run.layers)
    looked.unseen.update(set(run.plan.layers) - {match.layer for match in visible})
    judgements, outputs = graph.judge(visible, inputs, run.layers)
    for judgement in judgements:
        looked.layers += 1
        looked.elements += judgement.elements
        looked.ties += judgement.ties
    wrong = [judgement for judgement in judgements if judgement.wrong]
    if wrong:
        first = wrong[0]
        exact = "" if np.isnan(first.exact) else f" ({first.exact:.3f} before rounding)"
        return Finding(
            f"layer '{first.layer}' (ONNX node '{first.node}')", first.index, f"{first.expected}{exact}",
            str(first.found), first.wrong, first.elements, run.instruction(first.layer, first.index),
            tuple(judgement.layer for judgement in wrong[1:]),
        )  # fmt: skip
    if run.fault:
        return None
    difference = near(graph, outputs, run.outputs, 1)
    return None if difference is None else _finding(difference)


def _of_output(expected: Mapping[str, Array], found: Mapping[str, Array]) -> Finding | None:
    for name, value in expected.items():
        difference = first_difference(f"output '{name}'", value, found[name])
        if difference is not None:
            return _finding(difference)
    return None


def _finding(difference: Mismatch) -> Finding:
    return Finding(
        difference.where, difference.index, difference.before, difference.after, difference.wrong, difference.elements
    )
