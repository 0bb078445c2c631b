"""What an onnx module computes, in float: ONNX Runtime with its optimisations off.

A quantised model has its DequantizeLinears and QuantizeLinears computed one by one here, so it agrees with the integer
meaning of the levels below operator by operator, up to one step where roundings tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from dialects.blobs import to_array
from dialects.onnx_export import export_module, input_names, main_function, output_names

Array = npt.NDArray[Any]


def evaluate(module: ModuleOp, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
    """The outputs of ``main`` by name, for inputs by name, in the model's own types and shapes.

    Raises ValueError for a missing input or an operation that is not of the onnx dialect.
    """
    import onnxruntime as ort

    exported = export_module(module, weights_as_inputs=True)
    function = main_function(module)
    feeds: dict[str, Array] = {}
    for name in input_names(function):
        if name not in inputs:
            raise ValueError(f"no value given for the input '{name}'")
        feeds[name] = np.asarray(inputs[name])
    feeds |= {name: to_array(blob) for name, blob in exported.weights.items()}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(exported.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = output_names(function)
    return {name: np.asarray(value) for name, value in zip(names, session.run(names, feeds), strict=True)}
