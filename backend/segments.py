"""Segments and ports of a program, from ``func.func @main``: calls of machine segments and host regions, in order.

Tensors travel between segments by name: the model's own names at its edge, otherwise the value's name in the text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, TensorType
from xdsl.ir import Attribute, SSAValue

from dialects import accel, cnn
from dialects.onnx import NodeOp
from dialects.onnx_work import macs
from dialects.recon import CallOp
from dialects.text import place_in_text
from sim.machine.errors import ReconError
from sim.machine.program import HostNode, HostSegment, Port, Region

_DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "i1": "bool",
    **{f"i{n}": f"int{n}" for n in (8, 16, 32, 64)},
    **{f"ui{n}": f"uint{n}" for n in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class MachinePart:
    """A machine segment before it is encoded."""

    name: str
    program: accel.ProgramOp
    inputs: tuple[Region, ...]
    outputs: tuple[Region, ...]


@dataclass(frozen=True)
class Segments:
    """Segments in order, and the model's ports."""

    segments: tuple[MachinePart | HostSegment, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batch: int = 1
    """Frames that the machine's segment takes and gives together, where ``@main`` passes one."""


def find_segments(module: ModuleOp, programs: Mapping[str, accel.ProgramOp]) -> Segments:
    """The segments of a module; ReconError when ``@main`` calls a program that is not there or does not fit."""
    for op in module.body.block.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "main":
            return _Main(module, op, programs).segments()
    parts = tuple(_standalone(program) for program in programs.values())
    inputs = tuple(_port(region) for part in parts for region in part.inputs)
    outputs = tuple(_port(region) for part in parts for region in part.outputs)
    return Segments(parts, inputs, outputs)


def ports_of(program: accel.ProgramOp, kind: str) -> list[accel.DramOp]:
    """A program's ``input`` or ``output`` regions in order."""
    return [region for region in program.regions_in_dram if region.kind.data == kind]


def _standalone(program: accel.ProgramOp) -> MachinePart:
    def regions(kind: str) -> tuple[Region, ...]:
        return tuple(Region(_name(region), region.at, region.dims) for region in ports_of(program, kind))

    return MachinePart(program.sym_name.data, program, regions("input"), regions("output"))


def _name(region: accel.DramOp) -> str:
    return region.port.data if region.port is not None else ""


def _port(region: Region) -> Port:
    return Port(region.name, "int8", region.shape)


class _Main:
    """Walks ``@main`` and names its values."""

    def __init__(self, module: ModuleOp, function: func.FuncOp, programs: Mapping[str, accel.ProgramOp]):
        self.module = module
        self.function = function
        self.programs = programs
        self.names: dict[SSAValue, str] = {}
        self.batch = 0
        block = function.body.block
        last = block.last_op
        self.results = list(last.operands) if isinstance(last, func.ReturnOp) else []
        from dialects.onnx_export import input_names, output_names

        self.input_names, self.output_names = input_names(function), output_names(function)
        self.taken = {*self.input_names, *self.output_names}
        self.names.update(zip(block.args, self.input_names, strict=True))
        for value, name in zip(self.results, self.output_names, strict=True):
            self.names.setdefault(value, name)

    def name(self, value: SSAValue) -> str:
        """The name under which a value travels; unique in the program."""
        if value not in self.names:
            name = base = value.name_hint or "tensor"
            number = 0
            while name in self.taken:
                number += 1
                name = f"{base}_{number}"
            self.taken.add(name)
            self.names[value] = name
        return self.names[value]

    def segments(self) -> Segments:
        found: list[MachinePart | HostSegment] = []
        for op in self.function.body.block.ops:
            if isinstance(op, CallOp):
                found.append(self.call(op))
            elif isinstance(op, cnn.HostOp):
                found.append(self.host(op, len(found)))
            elif not isinstance(op, func.ReturnOp):
                place = f"{where}: " if (where := place_in_text(op)) else ""
                raise ReconError(
                    f"{place}@main holds {op.name}; a program holds calls and host regions only, so lower it first."
                )
        copies = {
            name: self.names[value]
            for value, name in zip(self.results, self.output_names, strict=True)
            if self.names[value] != name
        }
        if copies:
            found.append(_copies(copies, dict(zip(self.output_names, self.results, strict=True))))
        ports = zip(self.input_names, self.function.body.block.args, strict=True)
        return Segments(
            tuple(found),
            tuple(_typed_port(name, value) for name, value in ports),
            tuple(_typed_port(name, v) for name, v in zip(self.output_names, self.results, strict=True)),
            max(1, self.batch),
        )

    def call(self, op: CallOp) -> MachinePart:
        name = op.segment.root_reference.data
        program = self.programs.get(name)
        if program is None:
            raise ReconError(f"@main calls @{name}, and the programs here are {', '.join(self.programs)}.")
        return MachinePart(
            name,
            program,
            self.regions(name, ports_of(program, "input"), list(op.inputs)),
            self.regions(name, ports_of(program, "output"), list(op.outputs)),
        )

    def regions(self, name: str, ports: list[accel.DramOp], values: list[SSAValue]) -> tuple[Region, ...]:
        """The DRAM regions of a call's operands or results, with the names and shapes the caller gives them."""
        if len(ports) != len(values):
            raise ReconError(f"The call of @{name} passes {len(values)} tensors where the program has {len(ports)}.")
        return tuple(self.region(name, port, value) for port, value in zip(ports, values, strict=True))

    def region(self, name: str, port: accel.DramOp, value: SSAValue) -> Region:
        """The region of one tensor; of a batch's, with an axis for the frames before the tensor's own."""
        dtype = "float32" if isinstance(value.type, cnn.FloatType) else "int8"
        region = Region(self.name(value), port.at, _shape(value.type), dtype)
        frames = port.nbytes // region.bytes
        self.batch = self.batch or frames
        if port.nbytes != self.batch * region.bytes or (frames > 1 and self.programs[name].prologue is None):
            raise ReconError(
                f"The call of @{name} passes {region.name} of shape {list(region.shape)} where the program has "
                f"{port.nbytes} bytes."
            )
        return region if frames == 1 else Region(region.name, region.address, (frames, *region.shape), dtype)

    def host(self, op: cnn.HostOp, number: int) -> HostSegment:
        from dialects.onnx_export import export_block, opsets_of

        inputs = tuple(self.name(value) for value in op.inputs)
        outputs = tuple(self.name(value) for value in op.outputs)
        exported = export_block(op.body.block, _distinct(inputs), outputs, opsets_of(self.module))
        operators = tuple(node.op_type for node in exported.proto.graph.node)
        name = op.layer.data if op.layer is not None else f"host{number}"
        nodes = tuple(
            HostNode(node.node_name.data if node.node_name is not None else "", node.kind, node.host.data, macs(node))
            for node in op.body.block.ops
            if isinstance(node, NodeOp) and node.host is not None
        )
        model = exported.proto.SerializeToString(deterministic=True)
        return HostSegment(name, model, operators, inputs, outputs, nodes, _crossing(op.inputs), _crossing(op.outputs))


def _distinct(names: tuple[str, ...]) -> list[str]:
    """Graph inputs must differ; the same tensor passed twice is named apart."""
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return result


def _copies(copies: Mapping[str, str], values: Mapping[str, SSAValue]) -> HostSegment:
    """A host segment that gives tensors a second name: an input that is also an output, an output given twice."""
    from onnx import TensorProto, helper

    def info(name: str, value: SSAValue) -> Any:
        dtype = _DTYPES[_element(value.type)].upper()
        return helper.make_tensor_value_info(
            name, getattr(TensorProto, {"FLOAT32": "FLOAT"}.get(dtype, dtype)), list(_shape(value.type))
        )

    sources = sorted(set(copies.values()))
    nodes = [helper.make_node("Identity", [source], [name]) for name, source in copies.items()]
    by_source = {source: values[name] for name, source in copies.items()}
    graph = helper.make_graph(
        nodes, "main", [info(name, by_source[name]) for name in sources], [info(name, values[name]) for name in copies]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="recon")
    return HostSegment(
        "copies", model.SerializeToString(deterministic=True), ("Identity",) * len(nodes), tuple(sources), tuple(copies)
    )


def _crossing(values: Iterable[SSAValue]) -> int:
    """Bytes of the machine's tensors among these."""
    kinds = [value.type.in_memory if isinstance(value.type, cnn.FloatType) else value.type for value in values]
    return sum(math.prod(kind.dims) for kind in kinds if isinstance(kind, cnn.TensorType))


def _shape(kind: Attribute) -> tuple[int, ...]:
    if isinstance(kind, cnn.TensorType | cnn.FloatType):
        return kind.dims
    if isinstance(kind, TensorType):
        return tuple(kind.get_shape())
    raise ReconError(f"{kind} is no type of a tensor between segments.")


def _element(kind: Attribute) -> str:
    if isinstance(kind, cnn.FloatType):
        return "f32"
    return "i8" if isinstance(kind, cnn.TensorType) else str(kind.element_type) if isinstance(kind, TensorType) else ""


def _typed_port(name: str, value: SSAValue) -> Port:
    element = _element(value.type)
    if element not in _DTYPES:
        raise ReconError(f"The model's tensor '{name}' has the element type {element}, which no port can have.")
    return Port(name, _DTYPES[element], _shape(value.type))


def attribute_texts(op: Any, name: str) -> list[str]:
    """The strings of an array attribute; empty without one."""
    attribute = op.attributes.get(name)
    items = attribute.data if isinstance(attribute, ArrayAttr) else ()
    return [item.data for item in items if isinstance(item, StringAttr)]


def attribute_text(op: Any, name: str) -> str:
    """A string attribute; ``""`` without one."""
    attribute = op.attributes.get(name)
    return attribute.data if isinstance(attribute, StringAttr) else ""


def image_of(module: ModuleOp) -> dict[str, Any]:
    """How pictures become the input: the module's ``recon.image``, a JSON text, if it has one."""
    text = attribute_text(module, "recon.image")
    return json.loads(text) if text else {}
