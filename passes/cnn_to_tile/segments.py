"""Where a machine segment begins and ends: what every pass on the way to tile asks."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import func
from xdsl.ir import Operation, OpResult, SSAValue

from dialects import cnn


def hint(name: str) -> str | None:
    """A value name the textual IR accepts."""
    text = "".join(c if c.isalnum() or c in "_$.-" else "_" for c in name)
    return f"t_{text}" if text[:1].isdigit() else text or None


def segments(function: func.FuncOp) -> list[list[Operation]]:
    """The machine segments of a function: the cnn ops between two host regions, in order."""
    found: list[list[Operation]] = [[]]
    for op in function.body.block.ops:
        if isinstance(op, cnn.HostOp):
            found.append([])
        elif isinstance(op, cnn.CnnOp):
            found[-1].append(op)
    return [ops for ops in found if ops]


def boundary(ops: Sequence[Operation]) -> tuple[list[SSAValue], list[OpResult]]:
    """The values that a machine segment takes and gives."""
    inside = set(ops)
    taken = [o for op in ops for o in op.operands if not (isinstance(o, OpResult) and o.op in inside)]
    given = [r for op in ops for r in op.results if any(use.operation not in inside for use in r.uses)]
    return list(dict.fromkeys(taken)), given
