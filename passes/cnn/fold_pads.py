"""``fold-pads``: explicit padding joins the window behind it.

Choices. Padding with the zero point is what a convolution's window does by itself, padding with −128 what a max
pool's does, and an average pool with no pads of its own counts them. Other fill values, and pads beyond what an
instruction can hold, stay as they are.

    %1 = cnn.pad %0 pads array<i64: 0, 1, 0, 1>           %2 = cnn.conv2d %0 … window <3x3 pad 0 1 0 1 stride 2 2>
    %2 = cnn.conv2d %1 … window <3x3 stride 2 2>     →
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from dialects import cnn
from passes.cnn.tables import joined
from passes.common.rewriting import rewrite
from sim.machine.isa import BY_NAME

MOST = BY_NAME["conv"].field("top").high
"""The most rows or columns an instruction pads on one side."""

Windowed = cnn.Conv2dOp | cnn.MaxPool2dOp | cnn.AveragePool2dOp


class PadIntoWindow(RewritePattern):
    """One windowed user of a pad reads the pad's operand instead."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: Windowed, rewriter: PatternRewriter, /) -> None:
        pad = op.input.owner
        if not isinstance(pad, cnn.PadOp):
            return
        kernel, pads, strides, dilations = op.window.values
        code = pad.value.value.data if pad.value is not None else pad.result_tensor.zero.data
        wanted = -128 if isinstance(op, cnn.MaxPool2dOp) else pad.result_tensor.zero.data
        total = tuple(a + b for a, b in zip(pads, pad.pads.get_values(), strict=True))
        if code != wanted or max(total) > MOST:
            return
        if isinstance(op, cnn.AveragePool2dOp):
            if any(pads) and not op.count_pads.value.data:
                return
            op.properties["count_pads"] = cnn.integer(1)
        op.properties["window"] = cnn.WindowAttr.of(kernel, total, strides, dilations)
        op.properties |= joined(op, pad)
        op.operands[0] = pad.input
        rewriter.notify_op_modified(op)
        if pad.output.first_use is None:
            rewriter.erase(pad)


@dataclass(frozen=True)
class FoldPadsPass(ModulePass):
    """Pads join the windows behind them."""

    name = "fold-pads"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, PadIntoWindow())
