"""One float run of a graph by ONNX Runtime, reporting only the least and greatest value at each place.

The runtime reduces where the values are, so no activation outlives its use; large weights are fed as inputs, sharing
their memory, so neither a copy nor protobuf's 2 GB limit stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from dialects.blobs import DTYPE, to_array
from dialects.onnx import element_of, shape_of
from dialects.onnx_export import export_module, input_names, main_function
from passes.common.problems import ModelError

Range = tuple[float, float]


def random_inputs(module: ModuleOp, seed: int) -> dict[str, npt.NDArray[np.generic]]:
    """Seeded inputs by name: normal floats, small integers for inputs of integer type."""
    function = main_function(module)
    generator = np.random.default_rng(seed)
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in zip(input_names(function), function.body.block.args, strict=True):
        dtype = DTYPE[element_of(value)]
        if np.issubdtype(dtype, np.floating):
            made[name] = generator.standard_normal(shape_of(value), np.float32).astype(dtype)
        else:
            made[name] = generator.integers(0, 127, shape_of(value)).astype(dtype)
    return made


def ranges_of(module: ModuleOp, values: Sequence[SSAValue], seed: int) -> Mapping[SSAValue, Range]:
    """Least and greatest of each value in one run on seeded inputs; ModelError if the runtime cannot run the model."""
    exported = export_module(module, weights_as_inputs=True)
    graph = exported.proto.graph
    del graph.output[:]
    for at, value in enumerate(values):
        for kind in ("ReduceMin", "ReduceMax"):
            name = f"range_{at}_{kind}"
            graph.node.append(helper.make_node(kind, [exported.names[value]], [name], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []))
    feeds: dict[str, npt.NDArray[np.generic]] = random_inputs(module, seed)
    for name, blob in exported.weights.items():
        feeds[name] = to_array(blob)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(exported.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(None, feeds)
    except Exception as error:  # the runtime raises classes of its own that share no base
        text = str(error).strip().splitlines()[0]
        raise ModelError(f"ONNX Runtime cannot run the float model, which --assume-int8 needs: {text}") from None
    numbers = [float(np.asarray(result)) for result in results]
    return {value: (numbers[2 * at], numbers[2 * at + 1]) for at, value in enumerate(values)}
