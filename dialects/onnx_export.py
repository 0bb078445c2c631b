"""From ``onnx`` IR back to a ModelProto: what ONNX Runtime calibrates with and what the host runs.

Constants become initialisers by default; with ``weights_as_inputs`` those of many bytes become inputs of the graph
instead, so that neither a second copy nor protobuf's 2 GB limit stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import helper
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, StringAttr, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, SSAValue

from dialects.onnx import ConstantOp, NodeOp, NoneOp, Value, element_of, shape_of
from dialects.recon import BlobAttr
from dialects.text import place_in_text
from sim.machine.errors import ReconError

ELEMENT_NAME: dict[int, str] = {
    onnx.TensorProto.FLOAT: "f32",
    onnx.TensorProto.DOUBLE: "f64",
    onnx.TensorProto.FLOAT16: "f16",
    onnx.TensorProto.BFLOAT16: "bf16",
    onnx.TensorProto.BOOL: "i1",
    onnx.TensorProto.INT8: "i8",
    onnx.TensorProto.INT16: "i16",
    onnx.TensorProto.INT32: "i32",
    onnx.TensorProto.INT64: "i64",
    onnx.TensorProto.UINT8: "ui8",
    onnx.TensorProto.UINT16: "ui16",
    onnx.TensorProto.UINT32: "ui32",
    onnx.TensorProto.UINT64: "ui64",
}
"""ONNX's element types by the names that blobs and types use."""

ELEMENT_CODE = {name: code for code, name in ELEMENT_NAME.items()}

_LARGE = 1 << 16


@dataclass
class Exported:
    """The model, the names of IR values in it, and the constants passed as inputs."""

    proto: onnx.ModelProto
    names: dict[SSAValue, str]
    weights: dict[str, BlobAttr] = field(default_factory=dict[str, BlobAttr])


def opsets_of(module: ModuleOp) -> dict[str, int]:
    """Opset versions by domain, from the module's ``onnx.opsets``; opset 13 where it says nothing."""
    given = module.attributes.get("onnx.opsets")
    found = {"": 13}
    if isinstance(given, DictionaryAttr):
        for domain, version in given.data.items():
            if isinstance(version, IntegerAttr):
                found["" if domain == "ai.onnx" else domain] = version.value.data
    return found


def strings_of(attribute: Attribute | None) -> list[str]:
    """The strings of an array attribute; empty if there is none."""
    if not isinstance(attribute, ArrayAttr):
        return []
    return [item.data for item in attribute.data if isinstance(item, StringAttr)]


def input_names(function: FuncOp) -> list[str]:
    """The model's names of a function's inputs: its attribute ``inputs``, else the arguments' own, else ``input0``."""
    if "inputs" in function.attributes:
        return strings_of(function.attributes["inputs"])
    names: list[str] = []
    for number, argument in enumerate(function.body.block.args):
        name = argument.name_hint or f"input{number}"
        names.append(name if name not in names else f"{name}.{number}")
    return names


def output_names(function: FuncOp) -> list[str]:
    """The model's names of a function's outputs: its attribute ``outputs``, else ``output0`` and so on."""
    if "outputs" in function.attributes:
        return strings_of(function.attributes["outputs"])
    last = function.body.block.last_op
    return [f"output{number}" for number in range(len(last.operands) if last is not None else 0)]


def main_function(module: ModuleOp) -> FuncOp:
    """The function ``main``; ReconError if the module has none."""
    for op in module.body.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main":
            return op
    others = [op for op in module.body.ops if isinstance(op, FuncOp)]
    place = f"{where}: " if others and (where := place_in_text(others[0])) else ""
    only = f", only @{others[0].sym_name.data}" if others else ""
    raise ReconError(f"{place}The module has no function @main{only}; what is compiled is called @main.")


def export_module(module: ModuleOp, weights_as_inputs: bool = False) -> Exported:
    """The function ``main`` of a module that holds only ``onnx`` operations."""
    function = main_function(module)
    return export_block(
        function.body.block, input_names(function), output_names(function), opsets_of(module), weights_as_inputs
    )


def export_block(
    block: Block,
    inputs: Sequence[str],
    outputs: Sequence[str],
    opsets: Mapping[str, int],
    weights_as_inputs: bool = False,
) -> Exported:
    """A block of ``onnx`` operations whose arguments are the graph's inputs and whose terminator yields its outputs.

    Raises ValueError for an operation of another dialect.
    """
    names: dict[SSAValue, str] = dict(zip(block.args, inputs, strict=True))
    taken = {*inputs, *outputs}
    results = list(block.last_op.operands) if block.last_op is not None else []
    for value, name in zip(results, outputs, strict=True):
        names.setdefault(value, name)
    exported = Exported(onnx.ModelProto(), names)
    nodes: list[onnx.NodeProto] = []
    initialisers: list[onnx.TensorProto] = []
    graph_inputs = [_info(name, value) for name, value in zip(inputs, block.args, strict=True)]
    count = 0
    for op in block.ops:
        if op is block.last_op:
            break
        for result in op.results:
            while result not in names:
                count += 1
                names.setdefault(result, f"v{count}") if f"v{count}" not in taken else None
        if isinstance(op, ConstantOp):
            name = names[op.output]
            if weights_as_inputs and op.value.data.nbytes >= _LARGE:
                exported.weights[name] = op.value
                graph_inputs.append(_info(name, op.output))
            else:
                initialisers.append(to_tensor(op.value, name))
        elif isinstance(op, NodeOp):
            nodes.append(to_node(op, [names.get(v, "") if not _absent(v) else "" for v in op.inputs],
                                 [names[v] for v in op.outputs]))  # fmt: skip
        elif not isinstance(op, NoneOp):
            raise ValueError(f"{op.name} is no operation of the onnx dialect")
    for value, name in zip(results, outputs, strict=True):  # an input or a value that leaves under two names
        if names[value] != name:
            nodes.append(helper.make_node("Identity", [names[value]], [name]))
    graph = helper.make_graph(nodes, "main", graph_inputs,
                              [_info(n, v) for n, v in zip(outputs, results, strict=True)], initialisers)  # fmt: skip
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    exported.proto = helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="recon")
    return exported


def _absent(value: SSAValue) -> bool:
    return not isinstance(value.type, TensorType)


def _info(name: str, value: SSAValue) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEMENT_CODE[element_of(value)], list(shape_of(value)))


def to_tensor(blob: BlobAttr, name: str = "") -> onnx.TensorProto:
    """A blob as a TensorProto (its bytes are copied)."""
    made = onnx.TensorProto(name=name, data_type=ELEMENT_CODE[blob.data.element], dims=list(blob.shape))
    made.raw_data = bytes(memoryview(blob.data.buffer()))
    return made


def to_node(op: NodeOp, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.NodeProto:
    """One node with these value names."""
    domain = op.domain.data if op.domain is not None else ""
    name = op.node_name.data if op.node_name is not None else ""
    node = helper.make_node(op.op_type.data, list(inputs), list(outputs), name=name, domain=domain)
    for key, value in op.attribute_values().items():
        node.attribute.append(_attribute(key, value))
    return node


def _attribute(key: str, value: Value) -> onnx.AttributeProto:
    if isinstance(value, BlobAttr):
        return helper.make_attribute(key, to_tensor(value))
    if value == ():
        return helper.make_attribute(key, [], attr_type=onnx.AttributeProto.INTS)
    return helper.make_attribute(key, value)
