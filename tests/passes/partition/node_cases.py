"""The node cases of ``onnx.backend.test`` around the machine: as a float tail behind it, as a float head before it.

A case's model is put behind a DequantizeLinear of int8 codes, or before a QuantizeLinear and a table; its other inputs
become constants. The judge is ONNX Runtime with its optimisations off on the same file; the reference of the ``onnx``
package is a third opinion, counted where it agrees.
"""

from __future__ import annotations

import importlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, defs, helper, numpy_helper

from sim.machine.errors import ReconError
from tools.driver import compile_model, run_program

Feeds = dict[str, np.ndarray]
NEWEST = 23
"""The opset that cases of newer ones are stamped with where their operators have not changed since."""

RIGHT, REFUSED, UNKNOWN = "right", "refused", "unknown"
"""Verdicts; ``unknown`` where ONNX Runtime cannot run the file. Anything else is wrong, and says how."""


def cases(modules: Iterable[str] = ()) -> Iterator[Any]:
    """The cases of these modules of ``onnx.backend.test.case.node``, all if none is named, by name."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if names := tuple(modules):
            for name in names:
                importlib.import_module(f"onnx.backend.test.case.node.{name}")
            found = [c for c in node._NodeTestCases if c.model.graph.node[0].op_type.lower() in names]
        else:
            found = node.collect_testcases("")
    yield from sorted({case.name: case for case in found if case.model is not None}.values(), key=lambda c: c.name)


@dataclass
class _Wrapped:
    """A model being built around a case, and what it is fed."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    feeds: Feeds = field(default_factory=dict)

    def model(self, case: Any, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, case.name, self.inputs, outputs, self.constants)
        graph.sparse_initializer.extend(case.model.graph.sparse_initializer)
        return helper.make_model(graph, opset_imports=_opsets(case.model), ir_version=10,
                                 functions=case.model.functions)  # fmt: skip


def _opsets(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    found = {entry.domain: entry.version for entry in model.opset_import}
    version = found.get("", 13)
    since = [defs.get_schema(n.op_type, version).since_version for n in model.graph.node if not n.domain
             and defs.has(n.op_type)]  # fmt: skip
    found[""] = max([13, *since, min(version, NEWEST)])
    return [helper.make_opsetid(domain, number) for domain, number in found.items()]


def _begin(case: Any) -> tuple[_Wrapped, str] | None:
    """All inputs but the first float one as constants, and that one's name; None where one is no plain tensor."""
    made, first = _Wrapped(nodes=list(case.model.graph.node)), ""
    constants = {item.name for item in case.model.graph.initializer}
    made.constants.extend(case.model.graph.initializer)
    for info, value in zip(case.model.graph.input, case.data_sets[0][0], strict=False):
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiub" or info.name in constants:
            return None
        array = np.asarray(value)
        if not first and array.dtype == np.float32 and array.ndim and array.size and np.isfinite(array).all():
            first = info.name
            made.feeds[first] = array
        else:
            made.constants.append(numpy_helper.from_array(array, info.name))
    return (made, first) if first else None


def tail(case: Any) -> tuple[onnx.ModelProto, Feeds] | None:
    """int8 codes → DequantizeLinear → the case; None where it has no form."""
    begun = _begin(case)
    if begun is None:
        return None
    made, first = begun
    value = made.feeds.pop(first)
    scale = np.float32(max(float(np.abs(value).max()), 1e-3) / 127)
    codes = np.clip(np.rint(value / scale), -128, 127).astype(np.int8)
    made.inputs.append(helper.make_tensor_value_info("codes/", TensorProto.INT8, value.shape))
    made.constants += [numpy_helper.from_array(np.asarray(scale), "scale/"),
                       numpy_helper.from_array(np.asarray(0, np.int8), "zero/")]  # fmt: skip
    made.nodes.insert(0, helper.make_node("DequantizeLinear", ["codes/", "scale/", "zero/"], [first]))
    made.feeds["codes/"] = codes
    return made.model(case, list(case.model.graph.output)), made.feeds


def head(case: Any) -> tuple[onnx.ModelProto, Feeds] | None:
    """The case → QuantizeLinear → a table of the machine; None where its first result is no float tensor."""
    begun = _begin(case)
    results = case.data_sets[0][1]
    if begun is None or not results or getattr(results[0], "dtype", None) != np.float32:
        return None
    made, first = begun
    result = case.model.graph.output[0].name
    made.inputs.append(helper.make_tensor_value_info(first, TensorProto.FLOAT, made.feeds[first].shape))
    numbers = {"s/": np.float32(0.05), "z/": np.int8(3), "s2/": np.float32(1 / 256), "z2/": np.int8(-128)}
    made.constants += [numpy_helper.from_array(np.asarray(number), name) for name, number in numbers.items()]
    made.nodes += [
        helper.make_node("QuantizeLinear", [result, "s/", "z/"], ["q/"]),
        helper.make_node("DequantizeLinear", ["q/", "s/", "z/"], ["r/"]),
        helper.make_node("Sigmoid", ["r/"], ["g/"]),
        helper.make_node("QuantizeLinear", ["g/", "s2/", "z2/"], ["y/"]),
    ]
    return made.model(case, [helper.make_tensor_value_info("y/", TensorProto.INT8, None)]), made.feeds


def judge(model: onnx.ModelProto, feeds: Feeds, folder: Path) -> str:
    """``right``, ``refused``, ``unknown``, or what is wrong."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    wanted: list[Any] | None
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        wanted = session.run(None, feeds)
    except Exception:  # the runtime raises classes of its own that share no base
        wanted = None
    path = folder / "case.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        outputs = run_program(compile_model(path), feeds).outputs
    except ReconError:
        return REFUSED
    except Exception as error:
        return f"itself failed: {error!r}"
    if wanted is None:
        return UNKNOWN
    for info, value in zip(model.graph.output, wanted, strict=True):
        found = outputs[info.name]
        if found.dtype != value.dtype or found.shape != value.shape:
            return f"{info.name}: {found.dtype} {found.shape} where {value.dtype} {value.shape} is right"
        if value.dtype.kind == "f":
            same = np.allclose(found, value, rtol=1e-5, atol=1e-6, equal_nan=True)
        else:
            same = bool((np.abs(found.astype(np.int64) - value.astype(np.int64)) <= (info.name == "y/")).all())
        if not same:
            return f"{info.name}: values differ"
    return RIGHT


def by_operator(verdicts: Iterable[tuple[str, str]]) -> str:
    """A table of (operator, verdict): right, refused, unknown, wrong."""
    counts: dict[str, Counter[str]] = {}
    for operator, verdict in verdicts:
        kind = verdict if verdict in (RIGHT, REFUSED, UNKNOWN) else "wrong"
        counts.setdefault(operator, Counter())[kind] += 1
    rows = [f"{'operator':<32}{'right':>7}{'refused':>9}{'unknown':>9}{'wrong':>7}"]
    for operator, count in sorted(counts.items()):
        rows.append(f"{operator:<32}{count[RIGHT]:>7}{count[REFUSED]:>9}{count[UNKNOWN]:>9}{count['wrong']:>7}")
    return "\n".join(rows)
