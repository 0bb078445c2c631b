"""Running a program: machine segments on the simulator, host segments by their meaning, in order.

Apart from ``tools.driver`` because a run needs nothing of the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.program import HostSegment, Port, Program
from sim.simulator import Observer, simulate
from sim.statistics import Statistics, collect

Tensor = npt.NDArray[Any]

Progress = Callable[[int, int], None]
"""Called now and then with the instructions executed and their number."""


@dataclass(frozen=True, eq=False)
class Result:
    """Outputs by name as the model states them (empty when only timed), and what the run cost."""

    outputs: dict[str, Tensor]
    statistics: Statistics

    def __repr__(self) -> str:
        outputs = ", ".join(f"{name} {_said(t.dtype.name, t.shape)}" for name, t in self.outputs.items())
        return f"Result({outputs or 'timed only'}; {self.statistics!r})"


def check_inputs(program: Program, inputs: Mapping[str, Tensor]) -> None:
    """ReconError unless these are exactly the program's inputs, in name, type and shape, and free of NaN."""
    ports = {port.name: port for port in program.inputs}
    for name in inputs:
        if name not in ports:
            raise ReconError(f"The program has no input '{name}'; its inputs are {', '.join(ports)}.")
    for name, port in ports.items():
        if name not in inputs:
            raise ReconError(f"The input '{name}' is missing; it is {_said(port.dtype, port.shape)}.")
        tensor = inputs[name]
        if tensor.dtype.name != port.dtype or tensor.shape != port.shape:
            raise ReconError(
                f"The input '{name}' must be {_said(port.dtype, port.shape)}, "
                f"not {_said(tensor.dtype.name, tensor.shape)}."
            )
        if tensor.dtype.kind == "f" and np.isnan(tensor).any():
            raise ReconError(f"{np.isnan(tensor).sum():,} values of the input '{name}' are no numbers (NaN).")


def _said(dtype: str, shape: Sequence[int]) -> str:
    return f"{dtype} of shape {list(shape)}"


def run_program(
    program: Program,
    inputs: Mapping[str, Tensor] | None = None,
    timing_only: bool = False,
    sanitize: bool = False,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Result:
    """Run a program on the simulator, its host segments by their meaning in ``dialects.host``.

    ``timing_only`` runs the clock alone and needs no inputs; ``sanitize`` also looks for races; ``observer`` is told of
    every instruction. Raises ReconError for wrong inputs and Fault when the machine stops.
    """
    given = dict(inputs or {})
    if not timing_only:
        check_inputs(program, given)
    made: dict[str, Tensor] = dict(given)

    def host(segment: HostSegment, codes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        results = run_host(segment, {**codes, **made})
        made.update(results)
        return {name: to_codes(tensor) for name, tensor in results.items()}

    codes = {name: to_codes(tensor) for name, tensor in given.items()}
    run = simulate(
        program, codes, timing_only=timing_only, sanitize=sanitize, progress=progress, host=host, observer=observer
    )
    tensors = {**run.tensors, **made}
    outputs = {} if timing_only else {port.name: from_codes(port, tensors[port.name]) for port in program.outputs}
    return Result(outputs, collect(program, run))


def run_host(segment: HostSegment, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of a host segment by name; its model's inputs and outputs are the segment's, in order."""
    import onnx

    from dialects.host import run_onnx

    model = onnx.ModelProto.FromString(segment.model)
    feeds = {info.name: tensors[name] for info, name in zip(model.graph.input, segment.inputs, strict=True)}
    results = run_onnx(model, feeds)
    return {name: results[info.name] for info, name in zip(model.graph.output, segment.outputs, strict=True)}


def to_codes(tensor: Tensor) -> Tensor:
    """uint8 as the machine's int8, shifted by 128; everything else as it is."""
    return (tensor ^ np.uint8(0x80)).view(np.int8) if tensor.dtype == np.uint8 else tensor


def from_codes(port: Port, tensor: Tensor) -> Tensor:
    """A tensor at the program's edge as the model states it: uint8 shifted back, in the port's shape."""
    if port.dtype == "uint8" and tensor.dtype == np.int8:
        tensor = (tensor.view(np.uint8)) ^ np.uint8(0x80)
    return tensor.reshape(port.shape)
