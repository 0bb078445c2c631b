"""Operands whose sizes ONNX's shape inference does not look at: a bias of another length, a bound without a number.

An operator that reads such an operand says nothing of it until it runs; here it is refused when the model is read,
whatever becomes of it afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from passes.common.problems import Problems

Shape = tuple[int, ...]
Shapes = list[Shape | None]
"""Of a node's operands, None where there is none or its shape is not known."""


def check_operands(proto: onnx.ModelProto, shapes: Mapping[str, Shape], problems: Problems) -> None:
    """A problem for every operand that has too many or too few elements for its operator."""
    for node in proto.graph.node:
        rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None:
            continue
        operands: Shapes = [shapes.get(name) if name and -1 not in shapes.get(name, (-1,)) else None
                            for name in node.input]  # fmt: skip
        for what, wanted, at in rule(node, [*operands, *[None] * 6]):
            shape = operands[at] if at < len(operands) else None
            if shape is not None and math.prod(shape) != wanted:
                problems.add(
                    node.name or f"an unnamed {node.op_type}",
                    f"Its {what} '{node.input[at]}' has {_count(math.prod(shape))}, and {node.op_type} needs "
                    f"{wanted:,} here; the file is damaged, or its exporter has to be mended.",
                )


def _count(number: int) -> str:
    return f"{number:,} element{'s' * (number != 1)}"


Rule = Callable[[onnx.NodeProto, Shapes], list[tuple[str, int, int]]]
"""What the operand is called, how many elements it needs, and which operand it is."""


def _conv(node: onnx.NodeProto, operands: Shapes) -> list[tuple[str, int, int]]:
    weights = operands[1]
    return [("bias", weights[0], 2)] if weights else []


def _transposed(node: onnx.NodeProto, operands: Shapes) -> list[tuple[str, int, int]]:
    weights, groups = operands[1], next((a.i for a in node.attribute if a.name == "group"), 1)
    return [("bias", weights[1] * groups, 2)] if weights and len(weights) > 1 else []


def _clip(node: onnx.NodeProto, operands: Shapes) -> list[tuple[str, int, int]]:
    return [("lower bound", 1, 1), ("upper bound", 1, 2)]


def _norm(node: onnx.NodeProto, operands: Shapes) -> list[tuple[str, int, int]]:
    taken = operands[0]
    return [("scale", taken[1], 1), ("bias", taken[1], 2)] if taken and len(taken) > 1 else []


def _quantiser(node: onnx.NodeProto, operands: Shapes) -> list[tuple[str, int, int]]:
    """One scale for all, or one for each place along the axis, and a zero point for each scale; but for blocks."""
    taken, scale = operands[0], operands[1]
    axis, block = (next((a.i for a in node.attribute if a.name == name), normal) for name, normal in
                   (("axis", 1), ("block_size", 0)))  # fmt: skip
    if taken is None or scale is None or block or len(scale) > 1:
        return []
    wanted = taken[axis] if math.prod(scale) != 1 and -len(taken) <= axis < len(taken) else math.prod(scale)
    return [("scale", wanted, 1), ("zero point", math.prod(scale), 2)]


RULES: Mapping[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "Clip": _clip,
    "InstanceNormalization": _norm,
    "QuantizeLinear": _quantiser,
    "DequantizeLinear": _quantiser,
}
"""By operator."""
