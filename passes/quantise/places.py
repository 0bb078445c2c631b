"""Where quantisers have to stand in a float graph: at every value that the machine holds as a tensor of codes."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Block, SSAValue

from dialects.onnx import NodeOp, constant_of, element_of, shape_of
from passes.onnx.linear import linear_of
from passes.onnx_to_cnn.operators import reader_of
from passes.onnx_to_cnn.scalar import function_of

MOVES = ("Concat", "MaxPool", "ReduceMax", "ReduceMin", "Resize", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
         "Transpose", "Slice", "Split", "Pad", "Gather", "DepthToSpace", "SpaceToDepth", "Identity", "Dropout",
         "Expand")  # fmt: skip
"""Operators that move codes."""

_CLIPS = ("Relu", "Clip")
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max")


@dataclass
class Places:
    """Decides for every float value of a graph whether it is a tensor of codes.

    ``kinds`` of values that wait: ``sums`` behind a product, ``linear`` behind a factor per channel, ``scalar`` a
    function of one tensor (``roots`` says which), ``clipped``, ``pending`` any other result; ``codes`` otherwise.
    """

    block: Block
    nodes: list[NodeOp] = field(init=False)
    machine: set[NodeOp] = field(init=False)
    kinds: dict[SSAValue, str] = field(default_factory=dict[SSAValue, str])
    roots: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])

    def __post_init__(self) -> None:
        self.nodes = [op for op in self.block.ops if isinstance(op, NodeOp)]
        self.machine = self._machine()

    @staticmethod
    def is_data(value: SSAValue) -> bool:
        """Whether a value is a computed float tensor."""
        return element_of(value) == "f32" and constant_of(value) is None

    def _machine(self) -> set[NodeOp]:
        """Nodes up to the last that computes on the machine; what follows (Softmax, reshapes at the end) is float."""
        machine: set[NodeOp] = set()
        for node in reversed(self.nodes):
            feeds = any(use.operation in machine for value in node.outputs for use in value.uses)
            computes = reader_of(node) is not None and node.op_type.data not in MOVES and any(
                self.is_data(value) for value in node.inputs)  # fmt: skip
            if computes or feeds:
                machine.add(node)
        return machine

    def quantised(self) -> list[SSAValue]:
        """The values to put quantisers at, in the order of the graph."""
        places: list[SSAValue] = []
        for value in self.block.args:
            if self.is_data(value) and self._used_by_machine(value):
                places.append(value)
                self._code(value)
        for node in self.nodes:
            for value in node.outputs:
                if not self.is_data(value):
                    continue
                if node not in self.machine:
                    self.kinds[value] = "float"
                    continue
                kind = self._kind(node)
                self.kinds[value] = kind
                if kind == "codes" and node.op_type.data not in ("Concat", "Pad"):
                    self.roots[value] = value
                elif not self._waits(value, kind):
                    places.append(value)
                    self._code(value)
        return places

    def _code(self, value: SSAValue) -> None:
        self.kinds[value], self.roots[value] = "codes", value

    def _used_by_machine(self, value: SSAValue) -> bool:
        return any(use.operation in self.machine for use in value.uses)

    def _kind(self, node: NodeOp) -> str:
        """What a node's result is before a quantiser decides; sets the root of functions of one tensor."""
        data = [value for value in node.inputs if self.is_data(value)]
        before = self.kinds.get(data[0], "codes") if data else "codes"
        operator = node.op_type.data
        if operator in _PRODUCTS:
            return "sums"
        if operator in MOVES and all(self.kinds.get(value) == "codes" for value in data):
            return "codes"
        if before in ("sums", "linear") and len(data) == 1 and self._is_linear(node):
            return before
        if operator in _CLIPS:
            if before == "scalar":
                self.roots[node.outputs[0]] = self.roots[data[0]]
            return before if before == "scalar" else "clipped"
        root = self._function_of(node, data)
        if root is not None:
            self.roots[node.outputs[0]] = root
            return "scalar"
        if len(data) == 1 and before == "codes" and self._is_linear(node):
            return "linear"
        return "pending"

    def _is_linear(self, node: NodeOp) -> bool:
        shape = shape_of(node.outputs[0])
        return len(shape) > 1 and linear_of(node, shape[1], len(shape)) is not None

    def _function_of(self, node: NodeOp, data: list[SSAValue]) -> SSAValue | None:
        """The one tensor that a node computes a function of, element by element; None if there is no such."""
        roots = {self.roots.get(value) for value in data}
        if len(roots) != 1 or None in roots:
            return None
        root = roots.pop()
        operator = node.op_type.data
        if operator == "PRelu" or function_of(node.kind, node.attribute_values()) is not None:
            return root
        if operator in _BINARY:
            constants = [blob for blob in (constant_of(value) for value in node.inputs) if blob is not None]
            plain_pair = len(data) == 2 and all(self.kinds.get(value) == "codes" for value in data)
            if all(blob.data.size == 1 for blob in constants) and not plain_pair:
                return root
        return None

    def _waits(self, value: SSAValue, kind: str) -> bool:
        """Whether a value is only part of what its users compute, so that the machine never holds it."""
        users = [use.operation for use in value.uses]
        inside = [user for user in users if isinstance(user, NodeOp) and user in self.machine]
        if not users or len(inside) != len(users):
            return False
        if kind == "scalar":
            return all(self._continues(user, value) for user in inside)
        if len(inside) != 1:
            return False
        user = inside[0]
        if user.op_type.data in _CLIPS:
            return True
        return kind in ("sums", "linear") and self._is_linear(user)

    def _continues(self, user: NodeOp, value: SSAValue) -> bool:
        """Whether a user carries a function of one tensor on."""
        if user.op_type.data in _CLIPS or function_of(user.kind, user.attribute_values()) is not None:
            return True
        if user.op_type.data not in _BINARY:
            return False
        others = [other for other in user.inputs if other is not value]
        return all(self._root(other) is self.roots[value] if self.is_data(other) else
                   (blob := constant_of(other)) is not None and blob.data.size == 1 for other in others)  # fmt: skip

    def _root(self, value: SSAValue) -> SSAValue | None:
        """The root of a value, looked up or, for what comes later in the graph, followed back."""
        while value not in self.roots:
            owner = value.owner
            if not isinstance(owner, NodeOp) or not owner.inputs:
                return None
            data = [operand for operand in owner.inputs if self.is_data(operand)]
            if len(data) != 1:
                return None
            value = data[0]
        return self.roots[value]
