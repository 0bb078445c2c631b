"""What compiling and running models gives in this process, as JSON: digests of programs and outputs, and cycles.

    python -m tests.verify.fingerprint MACHINE MODEL.onnx…

The determinism check starts this with other hash seeds, thread counts and CPU features and compares what is printed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.meaning.cnn import evaluate
from passes.common.levels import level_of
from tools.driver import compile_model, lower, make_context, read_module
from tools.runtime import run_program
from tools.validation.probes import entrances, probes


def fingerprint(path: Path, machine: str) -> dict[str, Any]:
    """Program, outputs of the machine and of the cnn level, and cycles, for one model."""
    program = compile_model(path, machine)
    context = make_context()
    module = read_module(path, context)
    if level_of(module) == "onnx":
        lower(module, "cnn", context)
    ((_, inputs),) = probes(entrances(module), 1, seed=3)
    result = run_program(program, inputs)
    return {
        "program": hashlib.sha256(program.to_bytes()).hexdigest(),
        "outputs": _digest(result.outputs),
        "reference outputs": _digest(evaluate(module, inputs)),
        "cycles": result.statistics.cycles,
    }


def _digest(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def main(arguments: list[str]) -> None:
    machine, *models = arguments
    json.dump({Path(model).stem: fingerprint(Path(model), machine) for model in models}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
