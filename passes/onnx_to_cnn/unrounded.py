"""Products that no QuantizeLinear rounds: the machine gives them to the host as float32.

Choice. What a host operator or the caller takes of a convolution or a matrix product is float in the model, so the
machine delivers the requantiser's product before its rounding (section 11 of the arithmetic page), with constant
factors, offsets and biases folded in as everywhere. It is found from its takers: operands of what the host runs, and
of what only waits before these.
"""

from __future__ import annotations

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from dialects.onnx import NodeOp
from passes.onnx_to_cnn.context import Conversion, last_compute
from passes.onnx_to_cnn.settle import unrounded
from passes.onnx_to_cnn.values import Real, Sums, Unsupported


def deliver(conversion: Conversion, old: Block) -> None:
    """Write a float32 product for every value that the host takes as one; a node that cannot give one has failed."""
    pending: list[SSAValue] = []
    for op in reversed(list(old.ops)):
        if isinstance(op, ReturnOp) or (isinstance(op, NodeOp) and op in conversion.hosted):
            pending.extend(op.operands)
    seen: set[SSAValue] = set()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        meaning = conversion.env.get(value)
        if isinstance(meaning, Sums) and _written(conversion, value, meaning):
            continue
        if isinstance(meaning, Real) and isinstance(value.owner, Operation):
            pending.extend(value.owner.operands)


def _written(conversion: Conversion, value: SSAValue, sums: Sums) -> bool:
    """Whether the machine gives the value; what only says it again is the same product."""
    same = next((made for of, made in conversion.unrounded.items() if conversion.env[of] is sums), None)
    node = last_compute(sums.trail)
    conversion.current = node
    try:
        conversion.unrounded[value] = same or unrounded(conversion, sums)
    except Unsupported as problem:
        conversion.failures.setdefault(problem.node or node, str(problem))
        conversion.hosted.setdefault(node, str(problem))
        return False
    return True
