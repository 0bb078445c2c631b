"""What a module computes at any level, with everything inside it that two levels can be compared by.

Layers carry their names through all levels; tiles come in the same order from the plan to the instructions. So a plan
is compared with the cnn level layer by layer, and with the levels below it tile by tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp, UnrealizedConversionCastOp
from xdsl.ir import Operation, SSAValue

from dialects import accel, cnn, tile
from dialects.onnx_export import main_function, strings_of
from passes.common.levels import level_of
from passes.common.problems import place_in_text

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Tile:
    """A finished tile: who made it, where in its output (None below the plan), and its codes.

    ``where`` and ``buffer`` are the place in the text of the operation that made it, and what it wrote to.
    """

    op: str
    place: tuple[int, int, int] | None
    codes: Array
    where: str = ""
    buffer: str = ""


@dataclass
class SeenLayer:
    """A layer's value, as far as the level shows it.

    ``value`` is int8 NHWC and whole; ``tiles`` are in the order of the text; ``mark`` tells whether two levels mean the
    same thing by the name: the ONNX nodes that the layer stands for, and its type. ``where`` is its place in the text,
    if one operation is the layer.
    """

    op: str
    value: Array | None = None
    tiles: list[Tile] = field(default_factory=list[Tile])
    mark: str = ""
    where: str = ""


@dataclass
class Observation:
    """Outputs by name as the model states them, layers by name in the order in which they are computed."""

    level: str
    outputs: dict[str, Array] = field(default_factory=dict[str, Array])
    layers: dict[str, SeenLayer] = field(default_factory=dict[str, SeenLayer])


def runs(module: ModuleOp) -> bool:
    """Whether the module is complete at its level: no marker of something that could not be converted is left."""
    return not any(isinstance(op, UnrealizedConversionCastOp) for op in module.walk())


def observe(module: ModuleOp, inputs: Mapping[str, Array]) -> Observation:
    """Run a module at the levels ``cnn``, ``tile`` or ``accel``; raises what its meaning raises."""
    level = level_of(module)
    if level == "cnn":
        return _cnn(module, inputs)
    return _tile(module, inputs) if level == "tile" else _accel(module, inputs)


def _cnn(module: ModuleOp, inputs: Mapping[str, Array]) -> Observation:
    from dialects.meaning.cnn import evaluate_all

    run = evaluate_all(module, inputs)
    seen = Observation("cnn", run.outputs)
    for op in main_function(module).body.block.ops:
        if isinstance(op, cnn.CnnOp) and op.layer is not None and len(op.results) == 1:
            kind = op.results[0].type
            if isinstance(kind, cnn.TensorType | cnn.FloatType):
                mark = f"{strings_of(op.nodes)} {kind}"
                seen.layers[op.layer.data] = SeenLayer(
                    op.name, run.values[op.results[0]].view(np.int8), mark=mark, where=place_in_text(op)
                )
    return seen


def _tile(module: ModuleOp, inputs: Mapping[str, Array]) -> Observation:
    from dialects.meaning.tile import evaluate

    seen = Observation("tile")
    homes: dict[str, set[SSAValue]] = {}

    def watch(op: tile.ConvOp | tile.VectorOp | tile.MoveOp, place: tuple[int, int, int] | None, codes: Array) -> None:
        layer = seen.layers.setdefault(op.layer_name, SeenLayer(op.name))
        buffer = f"%{op.output.name_hint}" if op.output.name_hint else "a buffer without a name"
        layer.tiles.append(Tile(op.name, place, codes, place_in_text(op), buffer))
        homes.setdefault(op.layer_name, set()).add(op.output)

    seen.outputs = evaluate(module, inputs, watch)
    for name, layer in seen.layers.items():
        layer.value = assembled(layer.tiles) if len(homes[name]) == 1 else None
    return seen


def assembled(tiles: list[Tile]) -> Array | None:
    """The box that the tiles fill together, int8 [1, rows, columns, channels]; None if they leave a gap in it, or if
    one of them is no box."""
    if any(t.place is None for t in tiles):
        return None
    boxes = [(np.array(t.place), np.array(t.place) + t.codes.shape) for t in tiles if t.place is not None]
    low = np.min([start for start, _ in boxes], axis=0)
    size = np.max([stop for _, stop in boxes], axis=0) - low
    value, filled = np.zeros(size, np.int8), np.zeros(size, np.bool_)
    for (start, stop), part in zip(boxes, tiles, strict=True):
        where = tuple(slice(a, b) for a, b in zip(start - low, stop - low, strict=True))
        value[where], filled[where] = part.codes, True
    return value[None] if filled.all() else None


def _accel(module: ModuleOp, inputs: Mapping[str, Array]) -> Observation:
    from dialects.meaning.accel import evaluate

    seen = Observation("accel")
    numbers: dict[Operation, int] = {
        op: number for program in accel.programs(module) for number, op in enumerate(program.instructions)
    }

    def watch(op: accel.InstructionOp, codes: Array) -> None:
        layer = seen.layers.setdefault(op.layer_name, SeenLayer(op.name))
        layer.tiles.append(Tile(f"{op.name}, instruction {numbers[op]}", None, codes))

    seen.outputs = evaluate(module, inputs, watch)
    return seen
