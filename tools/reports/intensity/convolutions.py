"""The convolutions of models: operations per byte of each, and how many shapes occur in one model only.

A convolution is counted as the compiler fuses it, with whatever is added to its output, and its bytes are those that
any machine has to move: input, weights and output once. So the numbers say something of the network alone; how a
machine's plan fares is what ``recon report`` shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xdsl.dialects import func

from passes.cnn_to_tile.layer_table import layer_row
from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.network import network
from sim.machine.description import Machine
from sim.machine.errors import ReconError
from tools.reports.compare import Study
from tools.reports.report import operator

SHAPE = "rows, columns and channels of input and output, kernel, stride, dilation, groups"
"""What two convolutions have in common that count as one shape."""

KIND = "channels of input and output, kernel, stride, dilation, groups"
"""What two convolutions have in common that count as one kind, whatever the size of their pictures."""


@dataclass(frozen=True)
class Convolution:
    """One convolution of a model: ``macs`` multiply-accumulates, ``bytes`` of input, weights and output."""

    layer: str
    shape: str
    """By SHAPE, as the layer table writes it."""
    macs: int
    bytes: int

    @property
    def intensity(self) -> float:
        """Operations (two per MAC) per byte."""
        return 2 * self.macs / self.bytes

    @property
    def kind(self) -> str:
        """By KIND: the shape without rows and columns."""
        return re.sub(r"\d+x\d+x(\d+) -> \d+x\d+x(\d+)", r"\1 -> \2", self.shape)

    @property
    def operator(self) -> str:
        """What it is, for people."""
        return operator("conv2d", self.shape)


@dataclass(frozen=True)
class Model:
    """A model's convolutions, in the order in which they run. Fully connected layers are none."""

    name: str
    convolutions: tuple[Convolution, ...]


def convolutions(
    path: str | Path,
    machine: Machine,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
) -> Model:
    """The convolutions of a model that the machine runs; ReconError for a model that cannot be read or has none."""
    study = Study(path, input_shapes, assume_int8)
    rows = [
        layer_row(layer, machine)
        for function in study.module.body.block.ops
        if isinstance(function, func.FuncOp)
        for ops in segments(function)
        for layer in network(ops, *boundary(ops)).layers
        if layer.kind == "conv2d"
    ]
    if not rows:
        raise ReconError(f"{path}: this model has no convolution for the machine to run.")
    found = (
        Convolution(
            row.sym_name.data,
            row.shape.data,
            row.macs.value.data,
            row.weight_bytes.value.data + row.activation_bytes.value.data,
        )
        for row in rows
    )
    return Model(Path(path).stem, tuple(found))


@dataclass(frozen=True)
class Shapes:
    """Of one model: its convolutions, their different shapes and kinds, and how many of these no other model has."""

    model: str
    convolutions: int
    shapes: int
    own_shapes: int
    kinds: int
    own_kinds: int


HEADER = ("model", "convolutions", "shapes", "only here", "kinds", "only here")
"""Over the members of a row."""


def shapes(models: Sequence[Model]) -> tuple[Shapes, ...]:
    """A row per model, in order, then one for all of them together, whose own shapes are those of one model only."""
    by_shape = _alone([{each.shape for each in model.convolutions} for model in models])
    by_kind = _alone([{each.kind for each in model.convolutions} for model in models])
    counts = [len(model.convolutions) for model in models]
    names = [*(model.name for model in models), "all models"]
    rows = zip(names, [*counts, sum(counts)], by_shape, by_kind, strict=True)
    return tuple(Shapes(name, count, *shape, *kind) for name, count, shape, kind in rows)


def _alone(sets: Sequence[set[str]]) -> list[tuple[int, int]]:
    """(members, those in no other set) of each set, then of all together."""
    every = set[str]().union(*sets)
    lonely = {member for member in every if sum(member in own for own in sets) == 1}
    return [*((len(own), len(own & lonely)) for own in sets), (len(every), len(lonely))]
