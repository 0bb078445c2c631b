"""One program against one cnn module: equal labels at all outputs, or the instruction at which they part."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from xdsl.dialects.builtin import ModuleOp

from sim.machine.program import HostSegment, LayerRow, MachineSegment, Program
from tools.proof import host
from tools.proof.book import Book, Unmatched
from tools.proof.field import Labels, Round
from tools.proof.machine import Fields, NotProven, Watcher, run_segment
from tools.proof.model import Labelled, labels_of, symbols_of

ROUNDS = 1
"""Independent rounds of a proof. A wrong program passes one with a probability below 2⁻²⁰, n with its n-th power."""


@dataclass(frozen=True)
class Proof:
    """What was proven: elements of outputs compared, instructions executed, and rounds."""

    elements: int
    instructions: int
    rounds: int


def prove(
    program: Program, module: ModuleOp, rounds: int = ROUNDS, seed: int = 0, report: Callable[[str], None] | None = None
) -> Proof:
    """That ``program`` computes the cnn ``module`` for every input. NotProven says where it does not.

    Convolutions are looked up in the book of the model first; where that proves nothing, products decide.
    """
    elements = instructions = 0
    looked_up = True
    for number in range(rounds):
        if report is not None:
            report(f"round {number + 1} of {rounds}")
        if looked_up:
            try:
                elements, instructions = compared(program, module, Book(seed + number))
                continue
            except (Unmatched, NotProven):
                looked_up = False
        elements, instructions = compared(program, module, Round(seed + number))
    return Proof(elements, instructions, rounds)


def compared(program: Program, module: ModuleOp, run: Round) -> tuple[int, int]:
    """Elements compared and instructions executed in one round; NotProven where the labels differ, and of a book
    Unmatched where it says nothing."""
    models = [labels_of(module, run, frame) for frame in range(program.batch)]
    _same_ports(program, models[0])
    found, instructions = _run(program, run)
    for name in models[0].outputs:
        wanted = np.stack([model.outputs[name] for model in models])
        wrong = np.argwhere(found[name] != wanted)
        if len(wrong) and isinstance(run, Book):
            raise Unmatched
        if len(wrong):
            frame, index = wrong[0].tolist()
            models = [labels_of(module, run, each, layers=True) for each in range(program.batch)]
            difference = _Difference(name, frame, index, len(wrong), wanted, found[name])
            raise _explained(program, run, models, difference)
    return sum(labels.size for model in models for labels in model.outputs.values()), instructions


@dataclass(frozen=True)
class _Difference:
    """The first of ``wrong`` elements of an output that differ; its labels are [frames of a batch, elements]."""

    output: str
    frame: int
    index: int
    wrong: int
    wanted: Labels
    found: Labels


def _same_ports(program: Program, model: Labelled) -> None:
    given = {port.name: math.prod(port.shape) for port in program.outputs}
    wanted = {name: labels.size for name, labels in model.outputs.items()}
    if given != wanted:
        raise NotProven(f"The program's outputs are {_sizes(given)} and the model's are {_sizes(wanted)}.")


def _sizes(ports: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({size:,} elements)" for name, size in ports.items()) or "none"


def _run(
    program: Program, run: Round, watch: Callable[[MachineSegment], Watcher] | None = None
) -> tuple[dict[str, Labels], int]:
    """The labels [frames of a batch, elements] of all tensors of a program by name, and how many instructions ran."""
    frames = range(program.batch)
    tensors = {
        port.name: np.stack([symbols_of(run, port.name, math.prod(port.shape), frame) for frame in frames])
        for port in program.inputs
    }
    instructions = 0
    for segment in program.segments:
        if isinstance(segment, HostSegment):
            graph = host.described(onnx.ModelProto.FromString(segment.model))
            made = [host.labelled(run, graph, [tensors[name][frame] for name in segment.inputs]) for frame in frames]
            tensors.update((name, np.stack(each)) for name, *each in zip(segment.outputs, *made, strict=True))
        else:
            watcher = watch(segment) if watch is not None else None
            tensors.update(run_segment(program, segment, tensors, run, watcher))
            instructions += len(segment.layer_of)
    return tensors, instructions


class _Found(Exception):
    """The first instruction that made a label which the model does not contain."""


def _explained(program: Program, run: Round, models: Sequence[Labelled], difference: _Difference) -> NotProven:
    """The message for an output that differs: the program runs once more, watched."""
    d, place = difference, (difference.frame, difference.index)
    layers = [labels.reshape(-1) for model in models for labels in model.layers.values()]
    known = np.unique(np.concatenate(layers or [d.found[0, :0]]))
    which = f" in frame {d.frame} of the batch" if len(models) > 1 else ""
    head = (
        f"The program does not compute the model: element {d.index} of its output '{d.output}'{which} is "
        f"{_said(models, d.found[place])} and should be {_said(models, d.wanted[place])} "
        f"({d.wrong:,} of {d.wanted.size:,} elements differ)."
    )

    def watch(segment: MachineSegment) -> Watcher:
        def watcher(at: int, name: str, fields: Fields, labels: Labels) -> None:
            if name not in ("conv", "vector"):
                return
            strange = ~np.isin(labels, known)
            if strange.any():
                layer = program.layers[int(segment.layer_of[at])]
                row, column, channel = np.argwhere(strange)[0].tolist()
                raise _Found(_instruction(at, name, fields, layer, (row, column, channel), int(strange.sum())))

        return watcher

    try:
        _run(program, run, watch)
    except _Found as where:
        return NotProven(f"{head} {where}")
    return NotProven(f"{head} Every value it makes is one of the model's: some stand in the wrong place.")


def _instruction(at: int, name: str, fields: Fields, layer: LayerRow, place: tuple[int, int, int], strange: int) -> str:
    row, column, channel = place
    ring = fields["out.ring"]
    slot = (row + fields["out.row"]) % ring if ring else row + fields["out.row"]
    address = fields["out.base"] + slot * fields["out.row_stride"] + column * fields["out.pixel_stride"] + channel
    nodes = f", ONNX node {', '.join(layer.onnx)}" if layer.onnx else ""
    return (
        f"The first value that the model does not have is made by instruction {at}, {name} of layer "
        f"{layer.name}{nodes}: row {row}, column {column}, channel {channel} of what it writes, byte {address:#x} of "
        f"SRAM ({strange:,} such bytes)."
    )


def _said(models: Sequence[Labelled], label: np.uint32) -> str:
    """What a label is in the model's words."""
    for frame, model in enumerate(models):
        for name, labels in model.layers.items():
            places = np.flatnonzero(labels.reshape(-1) == label)
            if places.size:
                index = [int(n) for n in np.unravel_index(int(places[0]), labels.shape)]
                return f"element {index} of {name}" + (f" in frame {frame}" if len(models) > 1 else "")
    return "no element of any layer"
