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
    """The machine segments of a function: cnn ops between the same host regions, in order."""
    depth: dict[SSAValue, int] = {}
    found: dict[int, list[Operation]] = {}
    for op in function.body.block.ops:
        if not isinstance(op, cnn.CnnOp):
            continue
        on_host = isinstance(op, cnn.HostOp)
        # Host regions have odd depths, machine segments even ones; each waits for the other before it.
        level = max((depth.get(operand, 0) for operand in op.operands), default=0)
        level += (level % 2) != on_host
        for result in op.results:
            depth[result] = level
        if not on_host:
            found.setdefault(level, []).append(op)
    return [found[level] for level in sorted(found)]


def boundary(ops: Sequence[Operation]) -> tuple[list[SSAValue], list[OpResult]]:
    """The values that a machine segment takes and gives."""
    inside = set(ops)
    taken = [o for op in ops for o in op.operands if not (isinstance(o, OpResult) and o.op in inside)]
    given = [r for op in ops for r in op.results if any(use.operation not in inside for use in r.uses)]
    return list(dict.fromkeys(taken)), given
