"""What an operation of the cnn dialect is called, and which ONNX nodes it stands for."""

from __future__ import annotations

from typing import Any

from xdsl.ir import Operation


def name_of(op: Operation) -> str:
    """The layer's name, or the kind of an operation without one."""
    layer: Any = op.properties.get("layer")
    return layer.data if layer is not None else op.name.removeprefix("cnn.")


def nodes_of(op: Operation) -> tuple[str, ...]:
    """Labels of the ONNX nodes, in order."""
    nodes: Any = op.properties.get("nodes")
    return tuple(node.data for node in nodes.data) if nodes is not None else ()
