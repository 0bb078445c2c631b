"""From a float model and samples to an int8 model and an account of what it lost: the road of ``recon quantize``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import onnx

from sim.machine.errors import ReconError
from tools.quantise.losses import Difference, LayerLoss, by_layer, by_output, refuse_infinite
from tools.quantise.prepare import Prepared
from tools.quantise.quantise import Quantiser
from tools.quantise.samples import Samples
from tools.quantise.tail import WORST, float_nodes, with_its_layer

MEASURED = 32
"""Samples on which the outputs are compared at most."""

LOOKED_INTO = 4
"""Samples on which every layer is compared at most: all activations of both models are held at once."""

Counter = Callable[[str], Callable[[int, int], None]]
"""What is being done, as a function that is told how far it has come."""


@dataclass(frozen=True)
class Settings:
    """``method`` minmax, percentile or entropy; ``per_channel`` a scale per output channel of weights; ``in_float`` the
    names of nodes to leave in float, and ``float_worst`` how many more of those that lose most."""

    method: str = "minmax"
    per_channel: bool = True
    in_float: tuple[str, ...] = ()
    float_worst: int = 0


@dataclass(frozen=True)
class Quantised:
    """The int8 model; which nodes stayed in float, each with the reason; per output and per quantised layer what was
    lost (worst layers first); and per output what would have been lost without ``float_worst``."""

    model: onnx.ModelProto
    in_float: Mapping[str, str]
    outputs: tuple[Difference, ...]
    layers: tuple[LayerLoss, ...]
    outputs_before: tuple[Difference, ...]

    def __repr__(self) -> str:
        least = min((output.decibels for output in self.outputs), default=0.0)
        return f"Quantised({len(self.in_float)} nodes in float, {least:.1f} dB at the worst output)"


def quantise(prepared: Prepared, samples: Samples, settings: Settings, counter: Counter) -> Quantised:
    """Calibrate, quantise and measure; ReconError with what is in the way."""
    model = prepared.model
    _check_names(model, settings.in_float)
    reasons = float_nodes(model, settings.in_float)
    with Quantiser(model, samples, settings.method, settings.per_channel, counter("calibrating")) as quantiser:
        made = quantiser.quantised(reasons)
        outputs, layers = _measure(model, made, samples, counter)
        before = outputs
        if settings.float_worst:
            worst = [each.node for each in layers if each.node not in reasons and each.added > 0]
            nodes = [name for each in worst[: settings.float_worst] for name in with_its_layer(model, each)]
            reasons = {**reasons, **dict.fromkeys(nodes, WORST)}
            made = quantiser.quantised(reasons)
            outputs, layers = _measure(model, made, samples, counter)
    ours = tuple(layer for layer in layers if layer.node not in reasons)
    return Quantised(made, reasons, tuple(outputs), ours, tuple(before))


def _check_names(model: onnx.ModelProto, asked: Collection[str]) -> None:
    names = {node.name for node in model.graph.node}
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, 3, 0.3)
            raise ReconError(
                f"--float {name}: the model has no node of that name once constants are folded"
                + (f"; similar are {', '.join(near)}." if near else ".")
            )


def _measure(
    exact: onnx.ModelProto, made: onnx.ModelProto, samples: Samples, counter: Counter
) -> tuple[list[Difference], list[LayerLoss]]:
    outputs = by_output(exact, made, samples.first(MEASURED), counter("comparing the outputs"))
    refuse_infinite(outputs)
    return outputs, by_layer(exact, made, samples.first(LOOKED_INTO), counter("comparing the layers"))
