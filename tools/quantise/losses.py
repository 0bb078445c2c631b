"""What quantising loses: per output against the float model, and layer by layer.

Signal to quantisation noise is 10·log10(Σ x² / Σ (x − y)²) in decibels over all samples, x of the float model. A
layer's own loss is the noise-to-signal ratio that its result has beyond the worst of its operands: what came in noisy
is not its fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from sim.machine.errors import ReconError
from tools.quantise.samples import Samples

Array = npt.NDArray[Any]

BEST = 200.0
"""Decibels of what is equal."""


@dataclass
class Difference:
    """Sums over samples of one tensor and its quantised likeness."""

    name: str
    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0
    rows: int = 0
    agreeing: int = 0

    def add(self, exact: Array, other: Array) -> None:
        """One sample."""
        x, y = np.asarray(exact, np.float64), np.asarray(other, np.float64)
        if not x.size:
            return
        self.signal += float(np.square(x).sum())
        self.noise += float(np.square(x - y).sum())
        self.largest = max(self.largest, float(np.abs(x - y).max()))
        if x.ndim > 1 and 1 < math.prod(x.shape[1:]) == max(x.shape[1:]):
            x, y = x.reshape(len(x), -1), y.reshape(len(x), -1)
            self.rows += len(x)
            self.agreeing += int((x.argmax(1) == y.argmax(1)).sum())

    @property
    def decibels(self) -> float:
        """Signal to quantisation noise."""
        return decibels(self.signal, self.noise)

    @property
    def ratio(self) -> float:
        """Noise to signal."""
        return self.noise / self.signal if self.signal else (math.inf if self.noise else 0.0)

    @property
    def agreement(self) -> float | None:
        """Share of rows with the greatest value in the same place; None for what is no list of scores."""
        return self.agreeing / self.rows if self.rows else None


def decibels(signal: float, noise: float) -> float:
    """10·log10 of their ratio, BEST at most and 0 where there is no signal."""
    if noise == 0:
        return BEST
    return min(BEST, 10 * math.log10(signal / noise)) if signal else 0.0


@dataclass(frozen=True)
class LayerLoss:
    """A layer's result: its signal to noise, and the noise-to-signal ratio that it adds itself."""

    node: str
    op_type: str
    decibels: float
    added: float


def session(model: onnx.ModelProto | Path, optimised: bool = True) -> Any:
    """ONNX Runtime's session; integer kernels where it has them."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def by_output(
    exact: onnx.ModelProto, other: onnx.ModelProto, samples: Samples, progress: Callable[[int, int], None]
) -> list[Difference]:
    """The difference of each output over all samples."""
    first, second = session(exact), session(other)
    found = {output.name: Difference(output.name) for output in exact.graph.output}
    for index, sample in enumerate(samples, 1):
        for difference, x, y in zip(found.values(), first.run(None, sample), second.run(None, sample), strict=True):
            difference.add(x, y)
        progress(index, samples.count)
    return list(found.values())


def by_layer(
    exact: onnx.ModelProto, other: onnx.ModelProto, samples: Samples, progress: Callable[[int, int], None]
) -> list[LayerLoss]:
    """What every layer of the float model loses, the worst first; all activations of a sample are held at once."""
    wanted = _inner(exact)
    ours = _with_outputs(exact, wanted)
    there = {name for node in other.graph.node for name in node.output}
    settled = {name: f"{name}_DequantizeLinear_Output" for name in wanted}
    likeness = {name: settled[name] if settled[name] in there else name for name in wanted}
    likeness = {name: like for name, like in likeness.items() if like in there}
    theirs = _with_outputs(other, likeness.values())
    first, second = session(ours, False), session(theirs, False)
    tensors = {name: Difference(name) for name in likeness}
    for index, sample in enumerate(samples, 1):
        mine = dict(zip(wanted, first.run(wanted, sample), strict=True))
        other_values = second.run(list(likeness.values()), sample)
        for (name, difference), value in zip(tensors.items(), other_values, strict=True):
            difference.add(mine[name].reshape(-1), value.reshape(-1))
        progress(index, samples.count)
    return _ranked(exact, tensors)


def _inner(model: onnx.ModelProto) -> list[str]:
    """Names of all float tensors that nodes make."""
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in (*model.graph.value_info, *model.graph.output)
    }  # fmt: skip
    made = [name for node in model.graph.node for name in node.output if name]
    return [name for name in made if kinds.get(name) == onnx.TensorProto.FLOAT]


def _with_outputs(model: onnx.ModelProto, wanted: Iterable[str]) -> onnx.ModelProto:
    """The model with these tensors as outputs too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in copy.graph.output}
    for name in dict.fromkeys(wanted):
        if name not in present:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return copy


def _ranked(model: onnx.ModelProto, tensors: Mapping[str, Difference]) -> list[LayerLoss]:
    losses: list[LayerLoss] = []
    for node in model.graph.node:
        results = [tensors[name] for name in node.output if name in tensors]
        if not results:
            continue
        before = max((tensors[name].ratio for name in node.input if name in tensors), default=0.0)
        worst = max(results, key=lambda difference: difference.ratio)
        losses.append(LayerLoss(node.name, node.op_type, worst.decibels, max(0.0, worst.ratio - before)))
    return sorted(losses, key=lambda loss: -loss.added)


def refuse_infinite(differences: Iterable[Difference]) -> None:
    """ReconError where the float model itself gives no numbers."""
    for difference in differences:
        if not math.isfinite(difference.signal):
            raise ReconError(
                f"The float model's output '{difference.name}' is infinite or no number (NaN) on the calibration data; "
                "is it scaled as the model expects?"
            )
