"""How far a program agrees with other forms of its model over many inputs: the float model, the quantised one.

ONNX Runtime runs the models, with its integer kernels where it has them; the simulator runs the program. The machine's
speed is the clock's, the simulator's own only says how long to wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.machine.errors import ReconError
from sim.machine.program import Program
from sim.statistics import Statistics
from tools.quantise.losses import Difference, session
from tools.quantise.samples import Samples
from tools.runtime import run_program


@dataclass(frozen=True)
class Agreement:
    """Of one model, the difference of each output from the program's."""

    model: str
    outputs: tuple[Difference, ...]


@dataclass(frozen=True)
class Evaluation:
    """Agreements with every model, how many samples there were, and how fast they went."""

    agreements: tuple[Agreement, ...]
    samples: int
    simulated_per_second: float
    statistics: Statistics

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        header, rows = self.as_data()
        return {
            "samples": self.samples,
            "simulated_samples_per_second": self.simulated_per_second,
            "machine_frames_per_second": self.statistics.frames_per_second,
            "outputs": [dict(zip(header, row, strict=True)) for row in rows],
        }

    def as_data(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Header and a row per model and output."""
        header = ("against", "output", "signal_to_noise_decibels", "largest_difference", "same_argmax", "rows")
        return header, [
            (each.model, output.name, output.decibels, output.largest, output.agreement, output.rows)
            for each in self.agreements
            for output in each.outputs
        ]


def measure(
    program: Program, models: Sequence[str], samples: Samples, progress: Callable[[int, int], None]
) -> Evaluation:
    """Run the program and every model on all samples; ReconError where a model does not fit the program."""
    sessions = {model: _session(model, program) for model in models}
    found = {model: {port.name: Difference(port.name) for port in program.outputs} for model in models}
    names = [port.name for port in program.outputs]
    statistics: Statistics | None = None
    spent = 0.0
    for index, sample in enumerate(samples, 1):
        start = time.perf_counter()
        result = run_program(program, sample)
        spent += time.perf_counter() - start
        statistics = result.statistics
        for model, run in sessions.items():
            for name, values in zip(names, _outputs(run, model, names, sample), strict=True):
                found[model][name].add(values, result.outputs[name].reshape(values.shape))
        progress(index, samples.count)
    assert statistics is not None
    agreements = tuple(Agreement(model, tuple(outputs.values())) for model, outputs in found.items())
    return Evaluation(agreements, samples.count, samples.count / spent, statistics)


def _session(path: str, program: Program) -> Any:
    from pathlib import Path

    from passes.onnx.onnx_file import read_model

    read_model(path, path)  # its messages about files that are damaged or foreign
    try:
        run = session(Path(path))
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ReconError(f"{path}: ONNX Runtime cannot load this model: {_line(error)}.") from None
    for what, ports, theirs in (
        ("input", program.inputs, [each.name for each in run.get_inputs()]),
        ("output", program.outputs, [each.name for each in run.get_outputs()]),
    ):
        missing = [port.name for port in ports if port.name not in theirs]
        if missing:
            raise ReconError(
                f"{path}: this is another model than the program's: it has no {what} '{missing[0]}'; its {what}s are "
                f"{', '.join(theirs)}."
            )
    return run


def _outputs(run: Any, model: str, names: Sequence[str], sample: dict[str, Any]) -> list[Any]:
    try:
        return run.run(names, sample)
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ReconError(
            f"{model}: ONNX Runtime cannot run this model on the program's inputs: {_line(error)}."
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(" .") or type(error).__name__
