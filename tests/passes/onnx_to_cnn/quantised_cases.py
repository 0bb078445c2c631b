"""The node cases of ``onnx.backend.test`` for our operators, quantised: what runs on the machine, on the host, or not.

A case becomes int8 codes → DequantizeLinear → its node → QuantizeLinear. Its first float operand is computed and the
others are constants (weights of products quantised, too), or, for operators that combine tensors, all are computed. The
judge is ONNX Runtime without optimisation on the same file: single steps at ties aside, its codes are the right ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from dialects import cnn
from dialects.meaning.cnn import evaluate
from dialects.onnx import NodeOp
from passes.common.problems import ModelError
from passes.common.statements import STATEMENTS
from tests.passes.onnx_to_cnn.graphs import compile_to_cnn
from tests.passes.partition.node_cases import _opsets, cases

Array = npt.NDArray[Any]
Feeds = dict[str, Array]

MACHINE, HOST, REFUSED, UNKNOWN = "machine", "host", "refused", "unknown"
"""Verdicts; ``unknown`` where ONNX Runtime cannot run the file. Anything else is wrong, and says how."""

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
COMBINED = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean", "Concat", "MatMul")
LEFT_OUT = ("QuantizeLinear", "DequantizeLinear", "Cast", "Dropout")
"""Operators whose cases are about numbers of other types, or random."""

EDGES = ("QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose", "Cast", "Add")
"""What a host region holds beside the model's own nodes, which carry their reason."""


@dataclass
class Quantised:
    """A case in one of its forms."""

    name: str
    operator: str
    model: onnx.ModelProto
    feeds: Feeds


def quantised_cases() -> Iterator[Quantised]:
    """All forms of all cases of one node that has a statement, by name."""
    for case in cases():
        nodes = case.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in STATEMENTS or nodes[0].op_type in LEFT_OUT or nodes[0].domain:
            continue
        floats = [info.name for info, value in _given(case) if value.dtype == np.float32]
        if not floats or any(value.size == 0 for _, value in _given(case)):
            continue
        yield from _form(case, floats[:1], "")
        if len(floats) > 1 and nodes[0].op_type in COMBINED:
            yield from _form(case, floats, " of computed tensors")


def _given(case: Any) -> list[tuple[onnx.ValueInfoProto, Array]]:
    pairs = zip(case.model.graph.input, case.data_sets[0][0], strict=False)
    return [(info, np.asarray(value)) for info, value in pairs if isinstance(value, np.ndarray | np.generic)]


def _form(case: Any, computed: list[str], said: str) -> Iterator[Quantised]:
    """The case with these operands computed; nothing where its results are no floats."""
    node = case.model.graph.node[0]
    results = [np.asarray(value) for value in case.data_sets[0][1]]
    if len(results) != len(case.model.graph.output) or any(value.dtype != np.float32 for value in results):
        return
    inputs: list[onnx.ValueInfoProto] = []
    constants: list[onnx.TensorProto] = list(case.model.graph.initializer)
    before: list[onnx.NodeProto] = []
    feeds: Feeds = {}
    for at, (info, value) in enumerate(_given(case)):
        weights = node.op_type in PRODUCTS and at == 1
        if info.name not in computed and not (weights and value.dtype == np.float32):
            constants.append(numpy_helper.from_array(value, info.name))
            continue
        scale, zero = _parameters(value, info.name not in computed)
        codes = np.clip(np.rint(value / scale) + zero, -128, 127).astype(np.int8)
        name = f"{info.name}/codes"
        if info.name in computed:
            inputs.append(helper.make_tensor_value_info(name, TensorProto.INT8, value.shape))
            feeds[name] = codes
        else:
            constants.append(numpy_helper.from_array(codes, name))
        constants += _numbers(info.name, scale, zero)
        before.append(helper.make_node("DequantizeLinear", [name, *_names(info.name)], [info.name]))
    after: list[onnx.NodeProto] = []
    outputs: list[onnx.ValueInfoProto] = []
    for info, value in zip(case.model.graph.output, results, strict=True):
        constants += _numbers(f"{info.name}/out", *_parameters(value, False))
        after.append(helper.make_node("QuantizeLinear", [info.name, *_names(f"{info.name}/out")], [f"{info.name}/q"]))
        outputs.append(helper.make_tensor_value_info(f"{info.name}/q", TensorProto.INT8, None))
    graph = helper.make_graph([*before, node, *after], case.name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=_opsets(case.model), ir_version=10)
    yield Quantised(case.name + said, node.op_type, model, feeds)


def _parameters(value: Array, symmetric: bool) -> tuple[np.float32, int]:
    """Scale and zero point that hold all of these numbers, the finite ones of them."""
    finite = value[np.isfinite(value)] if value.size else value
    low, high = min(float(finite.min(initial=0)), 0.0), max(float(finite.max(initial=0)), 0.0)
    if symmetric:
        high = max(-low, high)
        low = -high
    scale = np.float32((high - low) / 255) if high > low else np.float32(1)
    return scale, 0 if symmetric else int(np.clip(np.rint(-128 - low / scale), -128, 127))


def _names(stem: str) -> list[str]:
    return [f"{stem}/scale", f"{stem}/zero"]


def _numbers(stem: str, scale: np.float32, zero: int) -> list[onnx.TensorProto]:
    values = (np.asarray(scale, np.float32), np.asarray(zero, np.int8))
    return [numpy_helper.from_array(value, name) for name, value in zip(_names(stem), values, strict=True)]


def judge(case: Quantised) -> str:
    """``machine``, ``host``, ``refused``, ``unknown``, or what is wrong."""
    wanted = _runtime(case)
    if wanted is None:
        return UNKNOWN
    try:
        module = compile_to_cnn(case.model)
    except ModelError:
        return REFUSED
    found = evaluate(module, case.feeds)
    for name, value in wanted.items():
        if found[name].shape != value.shape or found[name].dtype != value.dtype:
            return f"{found[name].dtype} {found[name].shape} instead of {value.dtype} {value.shape}"
        off = np.abs(found[name].astype(np.int64) - value.astype(np.int64))
        if off.max(initial=0) > 1:
            return f"off by {off.max()} in {np.mean(off > 0):.0%}"
    regions = (op for op in module.walk() if isinstance(op, cnn.HostOp))
    hosted = any(isinstance(node, NodeOp) and node.host is not None for region in regions for node in region.walk())
    return HOST if hosted else MACHINE


def _runtime(case: Quantised) -> Feeds | None:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(case.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, case.feeds), strict=True))
    except Exception:  # the runtime raises classes of its own that share no base
        return None


def table(found: Iterable[tuple[str, str, str]]) -> str:
    """By operator: on the machine, on the host, refused, unknown to ONNX Runtime, wrong."""
    kinds = (MACHINE, HOST, REFUSED, UNKNOWN)
    counts: dict[str, Counter[str]] = {}
    for _, operator, verdict in found:
        counts.setdefault(operator, Counter())[verdict if verdict in kinds else "wrong"] += 1
    rows = [f"{'operator':<22}" + "".join(f"{kind:>9}" for kind in (*kinds, "wrong"))]
    whole: Counter[str] = Counter()
    for operator, count in sorted(counts.items()):
        whole += count
        rows.append(f"{operator:<22}" + "".join(f"{count[kind] or '-':>9}" for kind in (*kinds, "wrong")))
    rows.append(f"{'all':<22}" + "".join(f"{whole[kind]:>9}" for kind in (*kinds, "wrong")))
    return "\n".join(rows)
