"""``fuse-activations``: functions of one tensor join the operation that makes it.

Choices. A table behind a convolution becomes the convolution's own, at no cost in time; one that only clamps narrows
the clamp of whatever made its operand; two tables in a row are one; and a sum or product of a tensor with a table of
itself (x · sigmoid(x)) is one table. Only where the operand has no other use, so nothing is computed twice, and
always on codes, so no byte changes.

    %1 = cnn.conv2d %0 …                                      %2 = cnn.conv2d %0 … table <256xi8, …>
    %2 = cnn.table %1 table <256xi8, …> function "Sigmoid"  →
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
)

from passes.cnn.tables import FUSE_TABLES
from passes.common.rewriting import rewrite


@dataclass(frozen=True)
class FuseActivationsPass(ModulePass):
    """Tables and clamps join the operation before them."""

    name = "fuse-activations"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, GreedyRewritePatternApplier([pattern() for pattern in FUSE_TABLES]))
