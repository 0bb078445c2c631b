"""Float runs of a graph by ONNX Runtime, reporting only the least and greatest value at each place.

The runtime reduces where the values are, so no activation outlives its use; large weights are fed as inputs, sharing
their memory, so neither a copy nor protobuf's 2 GB limit stands in the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

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


def ranges_of(
    module: ModuleOp, values: Sequence[SSAValue], samples: Iterable[Mapping[str, npt.NDArray[np.generic]]], need: str
) -> Mapping[SSAValue, Range]:
    """Least and greatest of each value over runs on these inputs by name; not a number where a run gave such.

    ModelError if the runtime cannot run the model, which ``need`` (an option) asks for.
    """
    exported = export_module(module, weights_as_inputs=True)
    graph = exported.proto.graph
    del graph.output[:]
    for at, value in enumerate(values):
        for kind in ("ReduceMin", "ReduceMax"):
            name = f"range_{at}_{kind}"
            graph.node.append(helper.make_node(kind, [exported.names[value]], [name], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []))
    weights = {name: to_array(blob) for name, blob in exported.weights.items()}
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    found: list[npt.NDArray[np.float64]] = []
    try:
        session = ort.InferenceSession(exported.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for sample in samples if values else ():
            results = session.run(None, {**sample, **weights})
            found.append(np.asarray([float(np.asarray(result)) for result in results]))
    except Exception as error:  # the runtime raises classes of its own that share no base
        raise ModelError(f"ONNX Runtime cannot run the float model, which {need} needs: {_said(error)}") from None
    ends = np.asarray(found).reshape(len(found), len(values), 2)
    return {value: (float(ends[:, at, 0].min()), float(ends[:, at, 1].max())) for at, value in enumerate(values)}


def _said(error: Exception) -> str:
    """What the runtime says, without its codes and places in its own source: the node, and the reason."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    node = re.search(r"while running (\w+) node\. Name:'(.*?)' Status Message: (.*)", text)
    if node is None:
        return f"{text[:300].rstrip('.')}."
    kind, name, reason = node.groups()
    reason = re.sub(r"^(.* was false\. |\S+:\d+ \w+ )", "", reason)
    return f"{f'{kind} {name!r}' if name else f'an unnamed {kind}'}: {reason[:300].rstrip('.')}."
