"""Small quantised models for tests: a builder, and a runner for ONNX Runtime's integer kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and constants of one graph; every method returns the name of the tensor it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.feeds: dict[str, npt.NDArray[Any]] = {}

    def fresh(self, stem: str) -> str:
        return f"{stem}{len(self.nodes) + len(self.constants) + len(self.inputs)}"

    def constant(self, value: Any) -> str:
        name = self.fresh("c")
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op_type: str, inputs: Sequence[str], name: str = "", domain: str = "", **attributes: Any) -> str:
        name = name or self.fresh("t")
        self.nodes.append(helper.make_node(op_type, inputs, [name], domain=domain, **attributes))
        return name

    def feed(self, value: npt.NDArray[Any]) -> str:
        """A graph input together with the value the test feeds it."""
        name = self.fresh("x")
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, value.shape))
        self.feeds[name] = value
        return name

    def dequantise(self, name: str, scale: Any, zero: Any, **attributes: Any) -> str:
        inputs = [name, self.constant(np.asarray(scale, np.float32)), self.constant(zero)]
        return self.node("DequantizeLinear", inputs, **attributes)

    def quantise(self, name: str, scale: Any, zero: Any, output: str = "") -> str:
        inputs = [name, self.constant(np.asarray(scale, np.float32)), self.constant(zero)]
        return self.node("QuantizeLinear", inputs, output)

    def model(self, output: str, dtype: int = TensorProto.INT8, opset: int = 13) -> onnx.ModelProto:
        result = helper.make_tensor_value_info(output, dtype, None)
        graph = helper.make_graph(self.nodes, "case", self.inputs, [result], self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def has_vnni() -> bool:
    """Whether 8-bit dot products accumulate in 32 bits in one instruction, without saturating in 16."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return bool(flags & {"avx512_vnni", "avx_vnni", "avxvnni"})


def session(model: onnx.ModelProto | Path, exact_unsigned: bool = False) -> tuple[ort.InferenceSession, list[str]]:
    """A session that prefers integer kernels, and the operator types it really runs.

    `exact_unsigned` turns int8 weights into uint8, which avoids the saturating u8 x s8 kernels of x86 without VNNI.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    if exact_unsigned:
        options.add_session_config_entry("session.x64quantprecision", "1")
    with tempfile.TemporaryDirectory() as folder:
        chosen = str(Path(folder) / "chosen.onnx")
        options.optimized_model_filepath = chosen
        source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
        made = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        return made, [node.op_type for node in onnx.load(chosen).graph.node]


def run_reference(
    model: onnx.ModelProto | Path, feeds: Mapping[str, npt.NDArray[Any]], exact_unsigned: bool = False
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """ONNX Runtime's outputs by name, and the operator types it ran."""
    made, kinds = session(model, exact_unsigned)
    names = [output.name for output in made.get_outputs()]
    results = [np.asarray(result) for result in made.run(names, dict(feeds))]
    return dict(zip(names, results, strict=True)), kinds
