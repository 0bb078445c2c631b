"""Every attribute and optional operand that ONNX's schemas give our operators, set to something else: right or refused.

The operators are those with a statement, what can be set comes from the schemas of the `onnx` package, so that a new
opset's additions are asked for by themselves. Right is what ONNX Runtime computes, single steps at ties aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import defs

from dialects.meaning.cnn import evaluate
from passes.common.problems import ModelError
from passes.common.statements import STATEMENTS
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn

Array = npt.NDArray[Any]
OPSET = 24
ALONE = ("QuantizeLinear", "DequantizeLinear")


@dataclass
class Node:
    """One node of the operator under test: its operands after the first, its attributes, its operand's shape."""

    inputs: list[Array | str] = field(default_factory=list[Array | str])
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    shape: tuple[int, ...] = (1, 8, 6, 5)
    outputs: int = 1
    scale: float = 0.05
    zero: int = 3


def _f(*values: float) -> Array:
    return np.asarray(values, np.float32)


def _i(*values: int) -> Array:
    return np.asarray(values, np.int64)


REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")

BASE: dict[str, Callable[[], Node]] = {
    "Conv": lambda: Node(["weights 6 8 3 3"]),
    "ConvTranspose": lambda: Node(["columns 8 6 3 3"]),
    "Gemm": lambda: Node(["columns 8 8", _f(*range(8))], shape=(1, 8)),
    "MatMul": lambda: Node(["columns 8 5"], shape=(1, 8)),
    "PRelu": lambda: Node([np.float32(0.3)]),
    "BatchNormalization": lambda: Node([_f(*[1.5] * 8), _f(*range(8)), _f(*range(8)), _f(*range(1, 9))]),
    "MaxPool": lambda: Node(attributes={"kernel_shape": [3, 2]}),
    "AveragePool": lambda: Node(attributes={"kernel_shape": [3, 2]}),
    "LRN": lambda: Node(attributes={"size": 3, "alpha": 0.01}),
    "Concat": lambda: Node(["computed"], {"axis": 1}),
    "Split": lambda: Node([_i(3, 5)], {"axis": 1}, outputs=2),
    "Slice": lambda: Node([_i(1), _i(5), _i(1)]),
    "Gather": lambda: Node([_i(1, 3, 5)], {"axis": 1}),
    "Pad": lambda: Node([_i(0, 0, 1, 2, 0, 0, 0, 1)]),
    "Resize": lambda: Node(["", _f(1, 1, 2, 2)],
                           {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}),
    "DepthToSpace": lambda: Node(attributes={"blocksize": 2}),
    "SpaceToDepth": lambda: Node(attributes={"blocksize": 2}, shape=(1, 8, 6, 4)),
    "Expand": lambda: Node([_i(1, 8, 6, 5)]),
    "Tile": lambda: Node([_i(1, 1, 1, 1)]),
    "Cast": lambda: Node(attributes={"to": 1}),
    "Transpose": lambda: Node(attributes={"perm": [0, 1, 2, 3]}),
    "Reshape": lambda: Node([_i(1, 8, 30)]),
    "Squeeze": lambda: Node([_i(2)], shape=(1, 8, 1, 5)),
    "Unsqueeze": lambda: Node([_i(1)]),
    "Pow": lambda: Node([_f(0.7)], zero=-128),
} | {op: lambda: Node([_f(0.7)]) for op in ("Add", "Sub", "Mul", "Div")} | {
    op: lambda: Node(scale=0.003, zero=-128) for op in ("Acos", "Asin", "Log", "Sqrt")} | {
    op: lambda: Node([_i(2, 3)]) for op in REDUCTIONS}  # fmt: skip
"""Where an operator needs more than one computed operand, or one within its domain."""

ATTRIBUTES: dict[str, Sequence[Any]] = {
    "auto_pad": ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"),
    "kernel_shape": ([3, 3], [2, 2]),
    "strides": ([2, 1], [3, 3]),
    "output_padding": ([1, 0],),
    "output_shape": ([8, 7],),
    "dilations": ([2, 1], [1, 2]),
    "pads": ([1, 0, 1, 1], [0, 0, 2, 1]),
    "group": (2, 8),
    "ceil_mode": (1,),
    "count_include_pad": (1,),
    "storage_order": (1,),
    "perm": ([0, 2, 3, 1], [0, 1, 3, 2], [1, 0, 2, 3]),
    "axes": ([2], [1]),
    "axis": (0, 1, 2, 3, -1, -2),
    "num_outputs": (2, 3),
    "mode": ("constant", "edge", "reflect", "wrap", "nearest", "linear", "cubic", "DCR", "CRD"),
    "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    "coordinate_transformation_mode": ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel",
                                       "tf_crop_and_resize", "half_pixel_symmetric"),
    "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    "approximate": ("none", "tanh"),
    "round_mode": ("up", "down", "nearest"),
    "to": (1, 10, 11, 16, 3, 6, 7),
    "output_dtype": (1, 10, 2, 3),
    "precision": (1, 10),
    "size": (1, 3, 5),
    "blocksize": (1, 2),
    "transA": (1,),
    "transB": (1,),
    "alpha": (0.5, 1.7),
    "beta": (0.25, 1.5),
    "epsilon": (1e-3,),
    "momentum": (0.5,),
    "training_mode": (1,),
    "bias": (0.5, 2.0),
    "gamma": (1.2,),
    "seed": (3,),
    "keepdims": (0,),
    "noop_with_empty_axes": (1,),
    "allowzero": (1,),
    "antialias": (1,),
    "cubic_coeff_a": (-0.5,),
    "exclude_outside": (1,),
    "extrapolation_value": (1.5,),
    "saturate": (0,),
    "block_size": (2,),
}  # fmt: skip
"""Values by attribute; one that a schema has and this table lacks fails the test."""

OPERANDS: dict[tuple[str, str], Sequence[Array | str]] = {
    ("Conv", "B"): (_f(*range(6)), "float 6"),
    ("ConvTranspose", "B"): (_f(*range(6)), "float 6"),
    ("Gemm", "C"): (_f(2.0), _f(*range(8)), "float 8", "computed"),
    ("Clip", "min"): (np.float32(-1.5), "float", "quantised"),
    ("Clip", "max"): (np.float32(2.5), np.float32(-np.inf), "float", "quantised"),
    **{(op, "axes"): (_i(2, 3), _i(), _i(3), _i(0, -3, 2)) for op in REDUCTIONS},
    ("Split", "split"): (_i(3, 5),),
    ("Slice", "axes"): (_i(2), _i(-1)),
    ("Slice", "steps"): (_i(2), _i(-1)),
    ("Pad", "constant_value"): (np.float32(0.75), np.float32(-9), "float", "quantised"),
    ("Pad", "axes"): (_i(0, 1, 2, 3), _i(0, 1, -1, -2)),
    ("Resize", "roi"): (_f(0, 0, 0, 0, 1, 1, 0.5, 1),),
    ("Resize", "scales"): (_f(1, 1, 2, 3), _f(1, 1, 0.5, 1.5)),
    ("Resize", "sizes"): (_i(1, 8, 12, 10), _i(1, 8, 7, 9)),
    ("Squeeze", "axes"): (_i(2), _i(0, 2), _i(-2)),
    ("Dropout", "ratio"): (np.float32(0.25),),
    ("Dropout", "training_mode"): (np.asarray(False), np.asarray(True)),
    ("Concat", "inputs"): ("computed",),
    ("Sum", "data_0"): (np.float32(0.4), "computed"),
    ("Mean", "data_0"): (np.float32(0.4), "computed"),
    ("Min", "data_0"): (np.float32(0.4), _f(*range(5)), "computed", "quantised"),
    ("Max", "data_0"): (np.float32(0.4), _f(*range(5)), "computed", "quantised"),
    ("QuantizeLinear", "y_zero_point"): (),
    ("DequantizeLinear", "x_zero_point"): (),
}
"""Values by optional or repeated operand: constants, or graph inputs (``float SHAPE``, ``quantised``)."""


def _operand(g: Graph, value: Array | str, node: Node) -> str:
    if not isinstance(value, str):
        return g.constant(value)
    word, *sizes = value.split() or [""]
    dims = [int(n) for n in sizes]
    if word in ("weights", "columns"):
        return g.weights(*dims, axis=int(word == "columns"))
    if word == "computed":
        return g.input(*node.shape)
    if word == "quantised":
        return g.input()
    if word == "float":
        name = f"free{len(g.inputs)}"
        g.inputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims))
        g.feeds[name] = np.asarray(g.random.normal(size=dims), np.float32)
        return name
    return ""


def model_of(op: str, node: Node) -> tuple[onnx.ModelProto, dict[str, Array]]:
    g = Graph(len(op))
    operands = [
        g.input(*node.shape, scale=node.scale, zero=node.zero),
        *(_operand(g, value, node) for value in node.inputs),
    ]
    results = g.node(op, *operands, outputs=node.outputs, **node.attributes)
    for at in range(node.outputs):
        g.output(results[:-1] + str(at), scale=0.05, zero=-5)
    return g.model(OPSET), g.feeds


def variants() -> Iterator[tuple[str, str, Node]]:
    for op in sorted(STATEMENTS):
        if op in ALONE:
            continue
        schema = defs.get_schema(op, OPSET)
        for name in sorted(schema.attributes):
            for value in ATTRIBUTES[name]:
                node = base_of(op)
                node.attributes |= {name: value}
                yield op, f"{name}={value}", node
        for index, formal in enumerate(schema.inputs):
            if formal.option == defs.OpSchema.FormalParameterOption.Single or (
                index == 0 and op not in ("Min", "Max", "Sum", "Mean", "Concat")
            ):
                continue
            for value in OPERANDS[op, formal.name]:
                node = base_of(op)
                repeated = formal.option == defs.OpSchema.FormalParameterOption.Variadic
                place = len(node.inputs) if repeated else index - 1
                node.inputs += [""] * (place + 1 - len(node.inputs))
                node.inputs[place] = value
                if (op, formal.name) == ("Resize", "sizes"):
                    node.inputs[1] = ""
                yield op, f"{formal.name}={value}".replace("\n", " "), node
                if repeated:
                    more = base_of(op)
                    more.inputs += [value, np.float32(0.2), value]
                    yield op, f"{formal.name}={value} three times".replace("\n", " "), more


def base_of(op: str) -> Node:
    return BASE.get(op, Node)()


def _runtime(model: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array] | None:
    """ONNX Runtime's answer without optimisation; None if it has none."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))
    except Exception:  # the runtime raises what it likes on what it does not know
        return None


def judge(model: onnx.ModelProto, feeds: dict[str, Array]) -> str:
    """``right``, ``refused``, ``unknown`` to ONNX Runtime, or what is wrong."""
    wanted = _runtime(model, feeds)
    if wanted is None:
        return "unknown"
    try:
        found = evaluate(compile_to_cnn(model), feeds)
    except ModelError:
        return "refused"
    for name, value in wanted.items():
        if found[name].shape != value.shape or found[name].dtype != value.dtype:
            return f"{found[name].dtype} {found[name].shape} instead of {value.dtype} {value.shape}"
        off = np.abs(found[name].astype(np.int64) - value.astype(np.int64))
        if off.max(initial=0) > 1:
            return f"off by {off.max()} in {np.mean(off > 0):.0%}"
    return "right"
