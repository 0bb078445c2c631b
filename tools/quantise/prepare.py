"""A float model brought into the form that ONNX Runtime's quantiser does well.

Shapes are fixed, the opset is raised to one that has scales per channel, ``Sum`` becomes ``Add`` (which it quantises),
constants and batch normalisations are folded by ONNX Runtime's own optimiser, and every node gets a name of its own, by
which it can be left in float.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper, version_converter

from passes.common.problems import Problems
from passes.onnx.import_onnx import fix_shapes
from passes.onnx.onnx_file import read_model
from sim.machine.errors import ReconError
from sim.machine.program import Port
from tools.quantise.constants import own_biases

LEAST_OPSET = 13
"""The first opset whose quantisers know a scale per channel."""


@dataclass(frozen=True)
class Prepared:
    """The model, its inputs, and what was done to it."""

    model: onnx.ModelProto
    inputs: tuple[Port, ...]
    notes: tuple[str, ...]


def prepare(path: str, input_shapes: Mapping[str, Sequence[int]]) -> Prepared:
    """The model of a file, ready for the quantiser; ReconError with what is in the way."""
    read_model(path, path)  # its messages about files that are damaged or foreign
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx raises what its parsers raise
        raise ReconError(f"{path}: the model cannot be read: {_line(error)}.") from None
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "Quant"):
            raise ReconError(
                f"{path}: the model is quantised already ({node.op_type} {node.name}); compile it as it is."
            )
    notes = _fix(model, path, input_shapes)
    model = _raise_opset(model, path, notes)
    _sums_to_adds(model, notes)
    model = _fold(model, path)
    _name_all(model)
    own_biases(model)
    return Prepared(model, tuple(_port(value) for value in model.graph.input), tuple(notes))


def _line(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())[:300].rstrip(" .") or type(error).__name__


def _fix(model: onnx.ModelProto, where: str, input_shapes: Mapping[str, Sequence[int]]) -> list[str]:
    constants = {item.name for item in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    problems = Problems(where)
    notes = fix_shapes(model, input_shapes, problems)
    problems.raise_if_any()
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return notes


def _raise_opset(model: onnx.ModelProto, where: str, notes: list[str]) -> onnx.ModelProto:
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if opset >= LEAST_OPSET:
        return model
    from onnxruntime.quantization.fusions import ReplaceUpsampleWithResize
    from onnxruntime.quantization.onnx_model import ONNXModel

    model.ir_version = max(model.ir_version, 4)
    try:
        if opset <= 10:
            ReplaceUpsampleWithResize(ONNXModel(model), opset).apply()
        raised = version_converter.convert_version(model, LEAST_OPSET)
    except Exception as error:  # the converter is C++ and raises RuntimeError and others
        raise ReconError(
            f"{where}: the model is of opset {opset}, scales per channel need {LEAST_OPSET}, and it cannot be raised: "
            f"{_line(error)}. Export it again with opset {LEAST_OPSET} or newer."
        ) from None
    notes.append(f"The model was raised from opset {opset} to {LEAST_OPSET}.")
    return raised


def _sums_to_adds(model: onnx.ModelProto, notes: list[str]) -> None:
    """Sum(a, b, c) as Add(Add(a, b), c); of one operand as it is."""
    nodes: list[onnx.NodeProto] = []
    sums = 0
    for node in model.graph.node:
        if node.op_type != "Sum" or node.domain not in ("", "ai.onnx") or len(node.input) < 2:
            nodes.append(node)
            continue
        sums += 1
        left = node.input[0]
        for count, right in enumerate(node.input[1:], 1):
            last = count == len(node.input) - 1
            result = node.output[0] if last else f"{node.output[0]}_sum{count}"
            name = (node.name or node.output[0]) + ("" if last else f"_sum{count}")
            nodes.append(helper.make_node("Add", [left, right], [result], name))
            left = result
    if sums:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        notes.append(f"{sums} Sum became Add, which the quantiser knows.")


def _fold(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """Constants and batch normalisations folded, shapes inferred."""
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4
        try:
            ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            return onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ReconError(f"{where}: ONNX Runtime cannot read the float model: {_line(error)}.") from None


@contextmanager
def quiet_logging() -> Generator[None]:
    """Within, the quantiser's remarks for its own users are not printed."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _name_all(model: onnx.ModelProto) -> None:
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        name = node.name or f"{node.op_type.lower()}_{index}"
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def _port(value: onnx.ValueInfoProto) -> Port:
    kind = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return Port(value.name, dtype, tuple(dim.dim_value for dim in kind.shape.dim))
