"""What would run where: a model read down to the ``cnn`` level, and no plan made.

Every node of the model is on the machine, on the host, refused with its reason, or gone: folded into constants, weights
or the order of memory. A model whose sizes are open is looked at with sizes put in, and a float model as if it were
quantised; both are said, for neither compiles as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import Operation
from xdsl.passes import PassPipeline

from dialects import cnn
from dialects.onnx import NodeOp, shape_of
from dialects.onnx_export import main_function, strings_of
from passes.cnn.legalize import LegalizePass
from passes.common.problems import ModelError
from passes.pipeline import passes_between
from tools.driver import make_context, read_module
from tools.terminal import diagnostics

MACHINE, HOST, REFUSED, FOLDED = "machine", "host", "refused", "folded"
"""Where a node goes."""

GUESS = 224
"""What stands for a size that the model leaves open."""


@dataclass(frozen=True)
class Node:
    """A node of the model: where it goes, the layer it belongs to there, and why it is not on the machine."""

    name: str
    operator: str
    place: str
    layer: str
    reason: str = ""


@dataclass(frozen=True)
class Check:
    """All nodes, multiply-accumulates by place (padding counted), and what is in the way of compiling."""

    model: str
    nodes: tuple[Node, ...]
    machine_macs: int
    host_macs: int
    assumed_shapes: Mapping[str, tuple[int, ...]]
    as_if_quantised: bool
    problems: tuple[str, ...]

    @property
    def compiles(self) -> bool:
        """Whether ``recon compile`` would get as far as the plan."""
        return not (self.assumed_shapes or self.as_if_quantised or self.problems)


def check_model(path: str, input_shapes: Mapping[str, Sequence[int]]) -> Check:
    """Look at a model; ReconError for one that cannot be read at all."""
    assumed = _open_shapes(path, input_shapes)
    shapes = {**{name: tuple(shape) for name, shape in input_shapes.items()}, **assumed}
    context = make_context()
    module = read_module(path, context, shapes)
    kinds = {node.label: node.kind for node in module.walk() if isinstance(node, NodeOp)}
    quantised = any(kind.startswith(("Quantize", "QLinear", "Dequantize")) for kind in kinds.values())
    passes = [
        each
        for each in passes_between("onnx", "cnn", {"assume_int8": not quantised})
        if not isinstance(each, LegalizePass)
    ]
    problems: list[str] = []
    with diagnostics.lean_diagnostics():
        try:
            PassPipeline(tuple(passes), None).apply(context, module)
        except ModelError as error:
            return Check(path, (), 0, 0, assumed, not quantised, (str(error),))
        nodes = _places(module, kinds)
        macs = {place: _macs(module, place) for place in (MACHINE, HOST)}
        try:
            LegalizePass().apply(context, module)
        except ModelError as error:
            problems.append(str(error))
    return Check(path, nodes, macs[MACHINE], macs[HOST], assumed, not quantised, tuple(problems))


def _open_shapes(path: str, given: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Sizes for the inputs that leave more open than their leading dimension."""
    if Path(path).suffix == ".mlir":
        return {}
    from passes.onnx.onnx_file import read_model

    graph = read_model(path, path).proto.graph
    constants = {item.name for item in graph.initializer}
    assumed: dict[str, tuple[int, ...]] = {}
    for value in graph.input:
        kind = value.type.tensor_type
        if value.name in constants or value.name in given:
            continue
        dims = [dim.dim_value for dim in kind.shape.dim] if kind.HasField("shape") else [0, 3, 0, 0]
        if any(size <= 0 for size in dims[1:]):
            assumed[value.name] = tuple(
                size if size > 0 else (1 if place == 0 else GUESS) for place, size in enumerate(dims)
            )
    return assumed


def _places(module: ModuleOp, kinds: Mapping[str, str]) -> tuple[Node, ...]:
    function = main_function(module)
    found: dict[str, Node] = {}
    hosts = [op for op in function.body.block.ops if isinstance(op, cnn.HostOp)]
    for op in function.body.block.ops:
        if isinstance(op, cnn.HostOp):
            where = _which(hosts, op)
            for node in op.walk():
                if isinstance(node, NodeOp) and node.label in kinds:
                    verdict = getattr(node, "host", None)
                    why = verdict.data if isinstance(verdict, StringAttr) else ""
                    found.setdefault(node.label, Node(node.label, kinds[node.label], HOST, where, why))
        elif isinstance(op, cnn.CnnOp) and op.nodes is not None:
            layer = op.layer.data if op.layer is not None else op.name
            for label in (each.data for each in op.nodes.data):
                if label in kinds:
                    found[label] = Node(label, kinds[label], MACHINE, layer)
    noted = function.attributes.get("unsupported")
    for entry in noted.data if isinstance(noted, ArrayAttr) else ():
        label, reason = strings_of(entry)
        found[label] = Node(label, kinds.get(label, "?"), REFUSED, "", reason)
    return tuple(found.get(label, Node(label, kind, FOLDED, "")) for label, kind in kinds.items())


def _which(hosts: Sequence[Operation], op: Operation) -> str:
    if op is hosts[0] and not isinstance(op.prev_op, cnn.CnnOp):
        return "before the machine"
    return "behind the machine" if op is hosts[-1] else "between two parts of the machine"


def _macs(module: ModuleOp, place: str) -> int:
    total = 0
    for op in module.walk():
        if place == MACHINE and isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
            n, h, w, _ = op.result_dims
            total += n * h * w * op.weights.data.size
        elif place == HOST and isinstance(op, NodeOp) and op.kind in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            weights, result = shape_of(op.inputs[1]), shape_of(op.outputs[0])
            total += math.prod(result) * (math.prod(weights[1:]) if op.kind.startswith("Conv") else weights[0])
    return total


def by_operator(check: Check) -> list[tuple[str, int, int, int, int]]:
    """Per operator, how many of its nodes go where: machine, host, refused, folded."""
    counts = Counter((node.operator, node.place) for node in check.nodes)
    places = (MACHINE, HOST, REFUSED, FOLDED)
    return [
        (operator, *(counts[operator, place] for place in places))  # pyright: ignore[reportReturnType]
        for operator in sorted({node.operator for node in check.nodes})
    ]
