"""What the host does around the machine's segments: ONNX operators, run by ONNX Runtime.

The model's own nodes run on the model's own opset, with every optimisation off and on one thread, so that a host
segment means what ONNX Runtime means by the file and nothing fuses across its edge. What ONNX Runtime cannot run is
refused when the model is compiled (``unsupported``), not when it runs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from sim.machine.errors import ReconError

Array = npt.NDArray[Any]

RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
"""Operators whose results differ from run to run: never constants, and no part of a compiled model."""

_KEPT = 32
"""Sessions kept: a program's host segments, run again for every picture."""


@functools.lru_cache(_KEPT)
def _session(model: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def reason(error: Exception) -> str:
    """ONNX Runtime's own words: one line, its code and place left out."""
    text = re.sub(r"/onnxruntime_src/.*\) ", "", str(error).strip().splitlines()[0])
    return text.rpartition(" : ")[2].strip(" .") or type(error).__name__


def run_onnx(model: bytes | onnx.ModelProto, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
    """Run a small ONNX model; arrays by the names of its inputs and outputs.

    Raises ValueError if an input is missing, ReconError in the runtime's words if it cannot run the model or stops.
    """
    proto = onnx.ModelProto.FromString(model) if isinstance(model, bytes) else model
    data = model if isinstance(model, bytes) else proto.SerializeToString(deterministic=True)
    constants = {item.name for item in proto.graph.initializer}
    feeds: dict[str, Array] = {}
    for info in proto.graph.input:
        if info.name not in constants:
            if info.name not in inputs:
                raise ValueError(f"no value given for the input '{info.name}'")
            feeds[info.name] = np.asarray(inputs[info.name])
    try:
        results = _session(data).run(None, feeds)
    except Exception as error:  # the runtime raises classes of its own that share no base
        operators = ", ".join(dict.fromkeys(node.op_type for node in proto.graph.node))
        raise ReconError(f"ONNX Runtime cannot run the host's operators ({operators}): {reason(error)}.") from None
    return {info.name: np.asarray(made) for info, made in zip(proto.graph.output, results, strict=True)}


def unsupported(model: onnx.ModelProto) -> str:
    """Why ONNX Runtime cannot run a model, in its own words; empty if it can."""
    try:
        _session(model.SerializeToString(deterministic=True))
    except Exception as error:  # the runtime raises classes of its own that share no base
        return reason(error)
    return ""


def run_node(node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]) -> list[Array]:
    """The outputs of one node on these inputs (None where one is left out); an empty array where one has no name.

    Used to compute constants: where ONNX Runtime has no kernel for an element type (bfloat16, 4 bits), the reference of
    the `onnx` package computes. Raises whatever that raises on operators or values that it does not know, ValueError
    for what is random.
    """
    if node.op_type in RANDOM:
        raise ValueError(f"{node.op_type} is random")
    feeds = {
        name: np.asarray(value) for name, value in zip(node.input, operands, strict=True) if name and value is not None
    }
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "node", values, outputs)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    try:
        found = _session.__wrapped__(model.SerializeToString()).run(None, feeds)
    except Exception:  # the runtime raises classes of its own that share no base
        from onnx.reference import ReferenceEvaluator

        found = ReferenceEvaluator(model).run(None, feeds)
    made = iter(found)
    return [np.asarray(next(made)) if name else np.empty(0) for name in node.output]
