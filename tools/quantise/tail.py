"""Which nodes stay in float, and why: a reason for every one of them.

Behind the last layers with weights there is often arithmetic that eight bits ruin: a detector's decoder puts boxes in
pixels and scores between 0 and 1 into one tensor with one scale. Such a tail begins where an operator follows that only
a decoder has, and it goes on to the outputs. A chain of elementwise functions of one tensor (hard-swish in pieces)
needs no quantiser inside: it becomes one table.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import onnx

from passes.onnx_to_cnn import scalar
from passes.onnx_to_cnn.operators import OPERATORS

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Layers with weights."""

IN_A_BODY = frozenset(
    ("Relu", "Clip", "LeakyRelu", "PRelu", "HardSwish", "Add", "MaxPool", "AveragePool", "GlobalAveragePool",
     "ReduceMean", "Flatten", "Dropout", "Identity", "BatchNormalization", "Pad")
)  # fmt: skip
"""What may stand behind the last weights and still be no tail."""

TAIL = "behind the last weights; a decoder's numbers need no common scale"
CHAIN = "a function of one tensor: it becomes one table with what follows"
UNKNOWN = "the machine has no such operator"
ASKED = "asked for"
WORST = "among the layers that lose most"


def supported(op_type: str) -> bool:
    """Whether the machine has something for an operator, as far as its name says."""
    return op_type in OPERATORS or scalar.function_of(op_type, {}) is not None


def float_nodes(model: onnx.ModelProto, asked: Collection[str] = ()) -> dict[str, str]:
    """The names of the nodes that are not quantised, each with the reason."""
    nodes = list(model.graph.node)
    constants = {item.name for item in model.graph.initializer}
    tail = _tail(nodes, constants)
    numbers = {item.name for item in model.graph.initializer if math.prod(item.dims) == 1}
    chains = _chains(nodes, constants, numbers)
    reasons: dict[str, str] = {}
    for node in nodes:
        if node.name in asked:
            reasons[node.name] = ASKED
        elif node.name in tail:
            reasons[node.name] = TAIL
        elif not supported(node.op_type):
            reasons[node.name] = UNKNOWN
        elif node.name in chains:
            reasons[node.name] = CHAIN
    return reasons


def with_its_layer(model: onnx.ModelProto, name: str) -> list[str]:
    """A node, and for an activation that goes into the layer before it that layer too."""
    nodes = {node.name: node for node in model.graph.node}
    makers = {result: node for node in model.graph.node for result in node.output}
    node = nodes[name]
    before = makers.get(node.input[0]) if node.op_type in ("Relu", "Clip") else None
    return [before.name, name] if before is not None and before.op_type in PRODUCTS else [name]


def _computed(node: onnx.NodeProto, constants: Collection[str]) -> list[str]:
    return [name for name in node.input if name and name not in constants]


def _tail(nodes: list[onnx.NodeProto], constants: Collection[str]) -> set[str]:
    """The nodes from which no weights are reached any more, from the first of them that no body has."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            users.setdefault(name, []).append(node)
    leads_on: dict[str, bool] = {}
    for node in reversed(nodes):
        following = [user for name in node.output for user in users.get(name, [])]
        leads_on[node.name] = any(user.op_type in PRODUCTS or leads_on[user.name] for user in following)
    tail: set[str] = set()
    in_tail: set[str] = set()
    for node in nodes:
        if leads_on[node.name] or node.op_type in PRODUCTS:
            continue
        computed = _computed(node, constants)
        if node.op_type not in IN_A_BODY or any(name in in_tail for name in computed):
            tail.add(node.name)
            in_tail.update(node.output)
    return tail


def _chains(nodes: list[onnx.NodeProto], constants: Collection[str], numbers: Collection[str]) -> set[str]:
    """Elementwise nodes all of whose operands are functions of one tensor and numbers."""
    source: dict[str, str] = {}
    found: set[str] = set()
    for node in nodes:
        inside = node.op_type in ("Relu", "Clip") and node.input[0] in source
        one = scalar.function_of(node.op_type, {}) is not None or inside
        if not one and node.op_type not in scalar.BINARY:
            continue
        computed = _computed(node, constants)
        plain = all(name in numbers for name in node.input if name and name not in computed)
        origins = {source.get(name, name) for name in computed}
        functions = any(name in source for name in computed) or one
        if len(origins) == 1 and plain and (functions or len(computed) == 1):
            (origin,) = origins
            source.update(dict.fromkeys(node.output, origin))
            found.add(node.name)
    return found
