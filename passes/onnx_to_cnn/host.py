"""The regions before and after the machine: what the host computes in ONNX, and the change between layouts.

Entry: from the graph's inputs to the first int8 tensors, in the memory order the machine reads. Exit: from the last
int8 tensors to the graph's outputs. uint8 is shifted by 128 on the way in and out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.builder import Builder
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint

from dialects import cnn
from dialects.blobs import to_blob
from dialects.onnx import ConstantOp, NodeOp, element_of, shape_of, tensor
from passes.onnx_to_cnn.context import Port, Reader
from passes.onnx_to_cnn.names import labels
from passes.onnx_to_cnn.values import Codes
from passes.onnx_to_cnn.view import flat


class HostRegion:
    """A host region being written: values outside become block arguments when first used."""

    def __init__(self) -> None:
        self.block = Block()
        self.builder = Builder(InsertPoint.at_end(self.block))
        self.inputs: list[SSAValue] = []
        self.inside: dict[SSAValue, SSAValue] = {}
        self.nodes: list[NodeOp] = []

    def argument(self, outside: SSAValue, kind: Attribute | None = None) -> SSAValue:
        """The block argument for a value from outside, of its own type or another."""
        if outside not in self.inside:
            self.inputs.append(outside)
            self.inside[outside] = self.block.insert_arg(kind or outside.type, len(self.block.args))
        return self.inside[outside]

    def clone(self, op: Operation) -> None:
        """A copy of an onnx operation whose operands are all inside."""
        copy = op.clone(value_mapper=dict(self.inside))
        self.builder.insert(copy)
        self.inside.update(zip(op.results, copy.results, strict=True))
        if isinstance(op, NodeOp):
            self.nodes.append(op)

    def node(self, op_type: str, inputs: Sequence[SSAValue], shape: Sequence[int], element: str,
             **attributes: int | tuple[int, ...]) -> SSAValue:  # fmt: skip
        """A new node with one result."""
        return self.builder.insert(NodeOp(op_type, inputs, [tensor(shape, element)], attributes)).outputs[0]

    def constant(self, values: np.ndarray) -> SSAValue:
        return self.builder.insert(ConstantOp(to_blob(values))).output

    def reshaped(self, value: SSAValue, shape: Sequence[int]) -> SSAValue:
        """Reshape, unless the shape is this one already."""
        if shape_of(value) == tuple(shape):
            return value
        return self.node("Reshape", [value, self.constant(np.asarray(shape, np.int64))], shape, element_of(value))

    def permuted(self, value: SSAValue, factors: Sequence[int], order: Sequence[int], shape: Sequence[int]) -> SSAValue:
        """Seen as ``factors``, reordered, seen as ``shape``."""
        if list(order) != sorted(order):
            value = self.reshaped(value, factors)
            moved = tuple(factors[axis] for axis in order)
            value = self.node("Transpose", [value], moved, element_of(value), perm=tuple(order))
        return self.reshaped(value, shape)

    def shifted(self, value: SSAValue, amount: int, element: str) -> SSAValue:
        """Integers plus an amount, in another element type."""
        shape = shape_of(value)
        wide = self.node("Cast", [value], shape, "i32", to=6)
        sum_ = self.node("Add", [wide, self.constant(np.asarray(amount, np.int32))], shape, "i32")
        return self.node("Cast", [sum_], shape, element, to=3 if element == "i8" else 2)

    def finish(self, outputs: Sequence[SSAValue], types: Sequence[Attribute], layer: str) -> cnn.HostOp:
        """The host operation."""
        self.builder.insert(cnn.YieldOp(outputs))
        op = cnn.HostOp(self.inputs, types, Region(self.block))
        op.provenance(layer, labels(self.nodes))
        return op


def slice_before(values: Sequence[SSAValue], stop: set[SSAValue]) -> list[Operation]:
    """The operations of the onnx graph that these values need, up to ``stop`` and block arguments, in program order."""
    seen: set[Operation] = set()
    pending = [value for value in values if value not in stop]
    while pending:
        owner = pending.pop().owner
        if isinstance(owner, Operation) and owner not in seen:
            seen.add(owner)
            pending.extend(value for value in owner.operands if value not in stop)
    if not seen:
        return []
    block = next(iter(seen)).parent
    assert block is not None
    return [op for op in block.ops if op in seen]


def entry(ports: Sequence[Port], inputs: Sequence[SSAValue]) -> cnn.HostOp | None:
    """The entry region for these ports; ``inputs`` are the graph's inputs, the only values it reads."""
    if not ports:
        return None
    region = HostRegion()
    operations = slice_before([port.source for port in ports], set())
    used = {value for op in operations for value in op.operands} | {port.source for port in ports}
    for value in inputs:
        if value in used:
            region.argument(value)
    for op in operations:
        region.clone(op)
    results: list[SSAValue] = []
    for port in ports:
        value = region.inside[port.source]
        if port.unsigned:
            value = region.shifted(value, -128, "i8")
        results.append(region.permuted(value, port.factors, port.order, port.dims))
    return region.finish(results, [port.value.type for port in ports], "entry")


def exits(r: Reader, inputs: Sequence[SSAValue], outputs: Sequence[SSAValue]) -> tuple[cnn.HostOp, list[NodeOp]]:
    """The exit region for the graph's outputs, and the nodes it computes."""
    region = HostRegion()
    stop = {
        value for value, meaning in r.env.items() if isinstance(meaning, Codes) and meaning.storage.value is not None
    }
    operations = slice_before(outputs, stop)
    needed = {value for op in operations for value in op.operands} | set(outputs)
    for value in needed_in_order(r, needed & stop):
        codes = r.env[value]
        assert isinstance(codes, Codes)
        assert codes.storage.value is not None
        region.inside[value] = _received(region, value, codes, codes.storage.value)
    for value in inputs:
        if value in needed:
            region.argument(value)
    for op in operations:
        region.clone(op)
    results = [region.inside[value] for value in outputs]
    nodes = [op for op in operations if isinstance(op, NodeOp)]
    return region.finish(results, [value.type for value in outputs], "exit"), nodes


def needed_in_order(r: Reader, values: set[SSAValue]) -> list[SSAValue]:
    """Values in the order in which the graph makes them."""
    return [value for value in r.env if value in values]


def _received(region: HostRegion, value: SSAValue, codes: Codes, outside: SSAValue) -> SSAValue:
    """An int8 NHWC value as the ONNX tensor it stands for."""
    dims = codes.view.dims
    inner = region.inside.get(outside) or region.argument(outside, tensor(dims, "i8"))
    have, want = flat(codes.view.memory), flat(codes.view.logical)
    order = tuple(have.index(atom) for atom in want)
    inner = region.permuted(inner, tuple(atom.size for atom in have), order, codes.shape)
    if element_of(value) == "ui8":
        inner = region.shifted(inner, 128, "ui8")
    return inner
