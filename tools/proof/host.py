"""What the host computes, as a name: two ONNX graphs that say the same have one digest, whatever they call values.

A host region is a function of its inputs that nobody looks into. Where a graph only passes an input on, the result is
that input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from tools.proof.field import Labels, Round


@dataclass(frozen=True)
class GraphDigest:
    """The digest text of a graph, and for every output the number of the input that it is, or None."""

    text: str
    passed: tuple[int | None, ...]
    shapes: tuple[tuple[int, ...], ...]


def described(model: onnx.ModelProto) -> GraphDigest:
    """A graph by its structure: operators, attributes, constants, and who uses whose result."""
    graph = model.graph
    names: dict[str, str] = {item.name: f"constant {_bytes(item)}" for item in graph.initializer}
    inputs = [info.name for info in graph.input if info.name not in names]
    names |= {name: f"input {number}" for number, name in enumerate(inputs)}
    lines: list[str] = []
    for node in graph.node:
        if node.op_type == "Identity" and node.domain in ("", "ai.onnx"):
            names[node.output[0]] = names[node.input[0]]
            continue
        attributes = sorted(attribute.SerializeToString(deterministic=True).hex() for attribute in node.attribute)
        operands = [names[name] if name else "-" for name in node.input]
        names |= {name: f"node {len(lines)}.{number}" for number, name in enumerate(node.output)}
        lines.append(f"{node.domain}.{node.op_type} {attributes} {operands}")
    opsets = sorted((entry.domain, entry.version) for entry in model.opset_import)
    outputs = [names[info.name] for info in graph.output]
    passed = tuple(int(name.split()[1]) if name.startswith("input ") else None for name in outputs)
    shapes = tuple(tuple(d.dim_value for d in info.type.tensor_type.shape.dim) for info in graph.output)
    return GraphDigest("\n".join([repr(opsets) if lines else "", *lines, *outputs]), passed, shapes)


def _bytes(item: onnx.TensorProto) -> str:
    return (
        onnx.TensorProto(data_type=item.data_type, dims=item.dims, raw_data=onnx.numpy_helper.to_array(item).tobytes())
        .SerializeToString(deterministic=True)
        .hex()
    )


def labelled(run: Round, graph: GraphDigest, inputs: Sequence[Labels]) -> list[Labels]:
    """The labels of a graph's outputs, flat, given those of its inputs."""
    digest = run.digest(list(inputs))
    results: list[Labels] = []
    for number, (source, shape) in enumerate(zip(graph.passed, graph.shapes, strict=True)):
        size = 1
        for length in shape:
            size *= length
        results.append(
            inputs[source].reshape(-1) if source is not None else run.symbols(size, graph.text, number, digest)
        )
    return results
