"""xDSL's pattern walker, with what it drops kept: where an operation that is replaced comes from."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ModuleOp, UnknownLoc
from xdsl.ir import Operation, OpResult, SSAValue
from xdsl.pattern_rewriter import PatternRewriterListener, PatternRewriteWalker, RewritePattern


def rewrite(module: ModuleOp, pattern: RewritePattern) -> None:
    """Apply a pattern everywhere until nothing changes; what stands in another's place has its place in the text."""
    keeping = PatternRewriterListener(operation_replacement_handler=[_keep_location])
    PatternRewriteWalker(pattern, listener=keeping).rewrite_module(module)


def _keep_location(op: Operation, results: Sequence[SSAValue | None]) -> None:
    for value in results:
        if isinstance(value, OpResult) and isinstance(value.op.location, UnknownLoc):
            value.op.location = op.location
