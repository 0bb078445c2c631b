"""Whether an input's values lie where the model's first quantiser can tell them apart.

Pixels of 0…255 given to a model that was calibrated for 0…1 all become the largest code: every picture then gets the
same answer, and nothing else shows it. The range is known from the QuantizeLinear that the host runs on the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.program import HostSegment, Program

Tensor = npt.NDArray[Any]

MUCH = 0.1
"""Share of values beyond the range from which it is said: calibration by percentile cuts off less than that."""

_MOVES = ("Transpose", "Reshape", "Identity", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Range:
    """What a quantiser holds: values from ``low`` to ``high`` in steps of ``step``."""

    low: float
    high: float
    step: float


def ranges(program: Program) -> dict[str, Range]:
    """The range of each float input that the host quantises first of all."""
    import onnx
    from onnx import numpy_helper

    wanted = {port.name for port in program.inputs if port.dtype == "float32"}
    found: dict[str, Range] = {}
    for segment in program.segments:
        if not isinstance(segment, HostSegment) or not wanted & set(segment.inputs):
            continue
        graph = onnx.ModelProto.FromString(segment.model).graph
        source = {info.name: name for info, name in zip(graph.input, segment.inputs, strict=True) if name in wanted}
        constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer if sum(item.dims) <= 1}
        for node in graph.node:
            name = source.get(node.input[0]) if node.input else None
            if name is None:
                continue
            if node.op_type in _MOVES:
                source[node.output[0]] = name
            elif node.op_type == "QuantizeLinear" and all(each in constants for each in node.input[1:]):
                scale = float(constants[node.input[1]])
                zero = constants[node.input[2]].reshape(()) if len(node.input) > 2 else np.uint8(0)
                limits = np.iinfo(zero.dtype)
                found[name] = Range((limits.min - int(zero)) * scale, (limits.max - int(zero)) * scale, scale)
    return found


def remarks(program: Program, inputs: Mapping[str, Tensor], pictures: frozenset[str]) -> list[str]:
    """A sentence for each input that saturates or drowns; ``pictures`` are the inputs that came from pictures."""
    said: list[str] = []
    for name, held in ranges(program).items() if inputs else ():
        values = inputs[name]
        least, greatest = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
        outside = (values < held.low - held.step) | (values > held.high + held.step)
        beyond = float(outside.mean()) if values.size else 0.0
        here = (
            f"its values go from {least:.6g} to {greatest:.6g}, and the model's first quantiser holds "
            f"{held.low:.6g} to {held.high:.6g}"
        )
        if beyond >= MUCH:
            said.append(f"{100 * beyond:.0f} % of the input '{name}' saturates: {here}{_help(held, name in pictures)}.")
        elif 0 < greatest - least < 2 * held.step:
            said.append(f"The input '{name}' uses two codes at most: {here}{_help(held, name in pictures)}.")
    return said


def _help(held: Range, picture: bool) -> str:
    if not picture:
        return ""
    scale = (held.high - held.low) / 255
    mean = -held.low / scale
    shift = f" --mean {mean:.6g}" if abs(held.low) > 2 * held.step else ""
    return f"; --scale {scale:.6g}{shift} would fit"
