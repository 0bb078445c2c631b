"""The types that a text at the onnx level declares are those that its operators make.

A file's types come from ONNX's own shape inference; a text says them itself, and everything below believes them.
"""

from __future__ import annotations

import re

import onnx
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from dialects.onnx import NodeOp, element_of, shape_of
from dialects.onnx_export import ELEMENT_NAME, export_module
from passes.common.problems import Problems, place_in_text
from passes.onnx.sizes import propagates
from sim.machine.errors import ReconError


def check_declared_shapes(module: ModuleOp, subject: str = "The module") -> None:
    """ModelError names every node whose result is declared with another type than ONNX infers.

    Only a module whose ``@main`` holds the onnx level alone is looked at; where ONNX infers nothing, nothing is said.
    """
    try:
        exported = export_module(module, weights_as_inputs=True)
    except (ValueError, ReconError):
        return
    nodes = [(exported.names[value], value) for op in module.walk() if isinstance(op, NodeOp) for value in op.results]
    problems = Problems(subject)
    proto = exported.proto
    for info in proto.graph.output:
        info.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(
            proto, check_type=True, strict_mode=True, data_prop=propagates(proto)
        )
    except Exception as error:  # the library raises classes of its own that share no base
        _blame(error, module, problems)
        return
    found = {info.name: info for info in (*inferred.graph.value_info, *inferred.graph.output)}
    for name, value in nodes:
        if name in found:
            _compare(value, found[name], problems)
    problems.raise_if_any()


def _compare(value: SSAValue, info: onnx.ValueInfoProto, problems: Problems) -> None:
    tensor = info.type.tensor_type
    element = ELEMENT_NAME.get(tensor.elem_type)
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    declared = list(shape_of(value))
    wrong = element is not None and element != element_of(value)
    if tensor.HasField("shape"):
        wrong |= len(dims) != len(declared)
        wrong |= any(a is not None and a != b for a, b in zip(dims, declared, strict=False))
    if wrong and isinstance(value.owner, Operation):
        shape = "x".join("?" if d is None else str(d) for d in dims)
        problems.add(_where(value.owner), f"it makes tensor<{shape}{'x' if dims else ''}{element}>, not {value.type}.")


def _blame(error: Exception, module: ModuleOp, problems: Problems) -> None:
    """What the library says, at the node that it names."""
    said = " ".join(str(error).split())
    found = re.search(r"node name: (.*?)\): \[\w+\] (.*?)(?= \(op_type:|$)", said)
    name, reason = found.groups() if found else ("", said)
    named = (op for op in module.walk() if isinstance(op, NodeOp) and op.node_name and op.node_name.data == name)
    blamed = next(named, module.body.block.first_op or module)
    problems.add(_where(blamed), f"{reason.rstrip('.')}.")
    problems.raise_if_any()


def _where(op: Operation) -> str:
    what = op.name
    if isinstance(op, NodeOp):
        what = f"{op.op_type.data} '{op.node_name.data}'" if op.node_name is not None else op.op_type.data
    place = place_in_text(op)
    return f"{place}, {what}" if place else what
