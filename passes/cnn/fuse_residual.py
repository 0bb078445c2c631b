"""``fuse-residual``: a sum joins the convolution that makes one of its operands.

Choices. Of two convolutions the later one takes the sum, so its residual is ready when it starts; the fused operation
stands where the sum stood, where both operands are known. Rounding is that of the two operations one after the other;
the operand order of the sum is kept in ``#cnn.sum`` because its law is not symmetric. A table behind the sum follows.

    %2 = cnn.conv2d %1 …                          %3 = cnn.conv2d %1 residual %0 … sum <first, …, …>
    %3 = cnn.add %0, %2 clamp <-128, 127>    →
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects import cnn
from passes.cnn.tables import FUSE_TABLES, joined, only_use
from passes.common.rewriting import rewrite


def _conv_behind(value: SSAValue, residual: SSAValue) -> cnn.Conv2dOp | cnn.FullyConnectedOp | None:
    """The convolution that makes a value for one use only and has room for a sum with a tensor of its shape."""
    owner = value.owner
    if not isinstance(value.type, cnn.TensorType) or not isinstance(residual.type, cnn.TensorType):
        return None
    if value.type.dims != residual.type.dims:
        return None
    if isinstance(owner, cnn.Conv2dOp | cnn.FullyConnectedOp) and only_use(value):
        return owner if owner.sum is None and owner.table is None else None
    return None


class SumIntoConv(RewritePattern):
    """The sum becomes the last stage of the later of its convolutions."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: cnn.AddOp, rewriter: PatternRewriter, /) -> None:
        candidates = [(_conv_behind(a, b), b, place) for a, b, place in
                      ((op.lhs, op.rhs, "second"), (op.rhs, op.lhs, "first"))]  # fmt: skip
        found = [(conv, residual, position) for conv, residual, position in candidates if conv is not None]
        if not found:
            return
        conv, residual, position = found[0]
        if len(found) == 2 and conv.is_before_in_block(found[1][0]):
            conv, residual, position = found[1]
        properties = dict(conv.properties) | joined(conv, op)
        properties.pop("operandSegmentSizes", None)
        properties["sum"] = cnn.SumAttr(StringAttr(position), op.result_tensor.quant, op.clamp)
        made = type(conv).build(operands=[conv.input, residual], result_types=[op.output.type], properties=properties)
        made.location = conv.location
        rewriter.replace(op, [made])
        rewriter.erase(conv)


@dataclass(frozen=True)
class FuseResidualPass(ModulePass):
    """Sums join the convolution before them."""

    name = "fuse-residual"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        patterns: list[RewritePattern] = [SumIntoConv(), *(pattern() for pattern in FUSE_TABLES)]
        rewrite(op, GreedyRewritePatternApplier(patterns))
