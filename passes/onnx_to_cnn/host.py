"""Writing one host region: ONNX nodes, and the change between ONNX's layout and the machine's memory order.

uint8 is shifted by 128 on the way in and out of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.builder import Builder
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint

from dialects import cnn
from dialects.blobs import to_blob
from dialects.onnx import ConstantOp, NodeOp, element_of, shape_of, tensor
from passes.onnx_to_cnn.names import labels


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

    def clone(self, op: Operation, why: str = "") -> None:
        """A copy of an onnx operation whose operands are all inside, with the reason why a node is here."""
        copy = op.clone(value_mapper={value: self.inside[value] for value in op.operands})
        self.builder.insert(copy)
        self.inside.update(zip(op.results, copy.results, strict=True))
        if isinstance(op, NodeOp) and isinstance(copy, NodeOp):
            self.nodes.append(op)
            copy.host = StringAttr(why) if why else None

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

    def finish(self, outputs: Sequence[SSAValue], types: Sequence[Attribute]) -> cnn.HostOp:
        """The host operation."""
        self.builder.insert(cnn.YieldOp(outputs))
        op = cnn.HostOp(self.inputs, types, Region(self.block))
        nodes = labels(self.nodes)
        op.provenance(self._name(types), nodes)
        return op

    def _name(self, types: Sequence[Attribute]) -> str:
        """What a region is called: ``entry`` before the machine, ``exit`` behind it, ``middle`` between."""
        takes = any(isinstance(value.type, cnn.TensorType | cnn.FloatType) for value in self.inputs)
        gives = any(isinstance(kind, cnn.TensorType) for kind in types)
        return {(False, True): "entry", (True, False): "exit", (True, True): "middle"}.get((takes, gives), "host")
