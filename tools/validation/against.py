"""Whether a text still is its model: a plan that a person edited, compared with the model it was made from.

Both run on the same inputs. A plan's layers are put together from the boxes that its operations fill, whatever the
tiling, and compared with those of the model at the cnn level in the model's order; then the outputs. The first
difference names the operation of the text that wrote the element, and its buffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from dialects.cnn_attributes import RANK
from passes.common.levels import LEVELS, level_of
from sim.machine.errors import ReconError
from tools.validation.observe import Observation, SeenLayer, observe
from tools.validation.probes import Inputs, entrances
from tools.validation.validate import Mismatch, ValidationError, first_difference


@dataclass
class Original:
    """The model that a text is compared with, at the cnn level; ``layers``, ``outputs`` and ``unseen`` are counted."""

    name: str
    module: ModuleOp
    layers: int = 0
    outputs: int = 0
    unseen: set[str] = field(default_factory=set[str])

    @classmethod
    def read(
        cls, path: str | Path, input_shapes: Mapping[str, Sequence[int]] | None = None, assume_int8: bool = False
    ) -> Original:
        """The model of this path, ONNX or text of the cnn level; ReconError for what cannot be read or lowered."""
        from tools.driver import lower, make_context, read_module

        context = make_context()
        module = read_module(path, context, input_shapes)
        level = level_of(module)
        if LEVELS.index(level) > LEVELS.index("cnn"):
            raise ReconError(f"--against {path}: this is at level {level}; give the ONNX model, or its cnn text.")
        lower(module, "cnn", context, assume_int8=assume_int8)
        return cls(str(path), module)

    def check_ports(self, module: ModuleOp) -> None:
        """ReconError unless the text takes what the model takes."""
        mine, wanted = (
            {entrance.name: list(entrance.shape) for entrance in entrances(one)} for one in (module, self.module)
        )
        if {name: _without_batch(shape) for name, shape in mine.items()} != {
            name: _without_batch(shape) for name, shape in wanted.items()
        }:
            raise ReconError(
                f"--against {self.name}: the model takes {_ports(wanted)}, and the text takes {_ports(mine)}."
            )

    def check(self, seen: Observation, label: str, inputs: Inputs) -> None:
        """ValidationError at the first layer or output in which the text is not the model."""
        shapes = {entrance.name: entrance.shape for entrance in entrances(self.module)}
        expected = observe(self.module, {name: array.reshape(shapes[name]) for name, array in inputs.items()})
        for name, layer in expected.layers.items():
            mine = seen.layers.get(name)
            value = mine.value if mine is not None else None
            if layer.value is None or mine is None or value is None or value.size != layer.value.size:
                self.unseen.add(name)
                continue
            self.layers += 1
            found = first_difference(f"layer '{name}' ({layer.op})", layer.value, value.reshape(layer.value.shape))
            if found is not None:
                place, buffer = _written_by(mine, found.index)
                raise ValidationError(self._sentence(found, label, place, buffer))
        for name, array in expected.outputs.items():
            if name not in seen.outputs or seen.outputs[name].size != array.size:
                raise ValidationError(f"The text is not {self.name}: it has no output '{name}' of {list(array.shape)}.")
            self.outputs += 1
            found = first_difference(f"output '{name}'", array, seen.outputs[name].reshape(array.shape))
            if found is not None:
                raise ValidationError(self._sentence(found, label, "", ""))

    def _sentence(self, found: Mismatch, label: str, place: str, buffer: str) -> str:
        where = f"{place}: " if place else ""
        written = f", written to {buffer}" if buffer else ""
        return (
            f"{where}The text is not {self.name}: on {label} {found.where}, element {list(found.index)}{written} "
            f"is {found.after} here and {found.before} in the model; {found.wrong:,} of {found.elements:,} elements "
            "differ."
        )


def _ports(shapes: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"


def _without_batch(shape: Sequence[int]) -> list[int]:
    """N, H, W, C as a plan of its own has it: H, W, C."""
    return list(shape[1:] if len(shape) == RANK and shape[0] == 1 else shape)


def _written_by(layer: SeenLayer, index: Sequence[int]) -> tuple[str, str]:
    """Place in the text and buffer of the operation that wrote an element (N, H, W, C) of a layer last."""
    placed = [part for part in layer.tiles if part.place is not None]
    if not placed:
        return layer.where, ""
    low = np.min([part.place for part in placed if part.place is not None], axis=0)
    for part in reversed(placed):
        assert part.place is not None
        start = np.array(part.place) - low
        if all(a <= i < a + n for a, i, n in zip(start, index[1:], part.codes.shape, strict=True)):
            return part.where, part.buffer
    return "", ""
