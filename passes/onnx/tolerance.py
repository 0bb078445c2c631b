"""What ONNX's checker forbids and ONNX Runtime reads: mended on the protobuf before anything else looks at it.

Exporters test their files with ONNX Runtime, so such files are common: nodes in no topological order, a graph without
a name, constants stored sparsely, nodes that nothing needs and that nothing could run. None of it changes a value.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import onnx
from onnx import numpy_helper

from passes.common.problems import Problems
from passes.onnx.onnx_file import MOST_ELEMENTS, ModelFile

_MOST_DENSE = 1 << 28
"""Elements that a sparse constant may have when it is spread out."""


def tolerate(model: ModelFile, problems: Problems) -> None:
    """Bring the model's graph into the form that the checker accepts, in place."""
    graph = model.proto.graph
    graph.name = graph.name or "graph"
    _spread(graph, problems)
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for n in graph.node for a in n.attribute):
        return  # graphs inside nodes use names unseen; such models are refused
    nodes = _needed(graph, _sorted(list(graph.node), _given(graph)))
    if [id(node) for node in nodes] != [id(node) for node in graph.node]:
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(kept)


def for_checker(proto: onnx.ModelProto) -> None:
    """Take out, of a copy, what only the checker minds: the axis of quantisers before opset 13 gave it to them."""
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    for node in proto.graph.node:
        if opset < 13 and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            kept = [attribute for attribute in node.attribute if attribute.name != "axis"]
            if len(kept) < len(node.attribute):
                del node.attribute[:]
                node.attribute.extend(kept)


def _given(graph: onnx.GraphProto) -> set[str]:
    return {value.name for value in graph.input} | {item.name for item in graph.initializer} | {""}


def _sorted(nodes: list[onnx.NodeProto], ready: set[str]) -> list[onnx.NodeProto]:
    """The nodes in topological order, else in the order they had; unchanged where there is a circle."""
    maker = {name: index for index, node in enumerate(nodes) for name in node.output if name not in ready}
    needs = [{maker[name] for name in node.input if name in maker} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for index, makers in enumerate(needs):
        for one in makers:
            users[one].append(index)
    missing = [len(makers) for makers in needs]
    free = [index for index, count in enumerate(missing) if not count]
    order: list[int] = []
    while free:
        index = heapq.heappop(free)
        order.append(index)
        for user in users[index]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(free, user)
    return [nodes[index] for index in order] if len(order) == len(nodes) else nodes


def _needed(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes that some output of the graph depends on."""
    wanted = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _spread(graph: onnx.GraphProto, problems: Problems) -> None:
    """Sparse constants become ordinary ones."""
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        size = math.prod(sparse.dims)
        if any(n < 0 for n in sparse.dims) or size > min(_MOST_DENSE, MOST_ELEMENTS):
            problems.add(f"the constant '{name}'", f"It is stored sparsely and would have {size:,} elements, too many.")
            continue
        values, places = numpy_helper.to_array(sparse.values).reshape(-1), numpy_helper.to_array(sparse.indices)
        flat = places if places.ndim == 1 else np.ravel_multi_index(tuple(places.T), tuple(sparse.dims), mode="clip")
        if flat.size != values.size or (flat.size and not 0 <= flat.min() <= flat.max() < size):
            problems.add(f"the constant '{name}'", "Its indices lie outside its shape: the file is damaged.")
            continue
        dense = np.zeros(size, values.dtype)
        dense[flat] = values
        graph.initializer.append(numpy_helper.from_array(dense.reshape(tuple(sparse.dims)), name))
    del graph.sparse_initializer[:]
