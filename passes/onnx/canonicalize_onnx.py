"""``canonicalize-onnx``: one way of writing things that exporters write in several.

Choices. Nothing of numbers changes here. Dropout and Identity vanish, a Sum is a chain of Adds, a Mean is such a sum
divided, ``auto_pad`` becomes ``pads``, Flatten, Squeeze and Unsqueeze are Reshapes to a constant shape, global max
pools are max pools over the whole image, and nodes that nothing needs go. Hard-swish and SiLU in pieces stay in pieces:
over int8 they become one table.

    %2 = onnx.node "Sum"(%0, %1, %x)      →      %s = onnx.node "Add"(%0, %1)
                                                 %2 = onnx.node "Add"(%s, %x)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from dialects.blobs import to_blob
from dialects.onnx import ConstantOp, NodeOp, Value, constant_of, element_of, shape_of, tensor
from passes.common.rewriting import rewrite
from passes.common.statements import unread
from passes.common.windows import window_of

_SAME = ("Identity", "Dropout")
_RESHAPES = ("Flatten", "Squeeze", "Unsqueeze")


def _name(node: NodeOp) -> str:
    return node.node_name.data if node.node_name is not None else ""


class DropIdentity(RewritePattern):
    """What passes its operand through is nothing."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: NodeOp, rewriter: PatternRewriter, /) -> None:
        same = (op.kind in _SAME and unread(op) is None) or (
            op.kind == "Cast" and op.inputs[0].type == op.outputs[0].type
        )
        if same and len(op.outputs) == 1 and constant_of(op.inputs[0]) is None:
            rewriter.replace(op, [], [op.inputs[0]])


class SumToAdds(RewritePattern):
    """A Sum is Adds, first to last; a Mean is such a sum, divided by the number of its operands."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: NodeOp, rewriter: PatternRewriter, /) -> None:
        if op.kind not in ("Sum", "Mean"):
            return
        element, mean, total = element_of(op.outputs[0]), op.kind == "Mean", op.inputs[0]
        if mean and element != "f32":
            return
        made: list[NodeOp | ConstantOp] = []
        for at, value in enumerate(op.inputs[1:]):
            last = at == len(op.inputs) - 2 and not mean
            name = _name(op) if last or not _name(op) else f"{_name(op)}_{at}"
            shape = np.broadcast_shapes(shape_of(total), shape_of(value))
            made.append(NodeOp("Add", [total, value], [tensor(shape, element)], None, name))
            total = made[-1].results[0]
        if mean and len(op.inputs) > 1:
            count = ConstantOp(to_blob(np.asarray(len(op.inputs), np.float32)))
            made += [count, NodeOp("Div", [total, count.output], [op.outputs[0].type], None, _name(op))]
            total = made[-1].results[0]
        rewriter.replace(op, made, [total])


class ExplicitPads(RewritePattern):
    """``auto_pad`` becomes numbers."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: NodeOp, rewriter: PatternRewriter, /) -> None:
        if op.kind not in ("Conv", "MaxPool", "AveragePool") or op.get_str("auto_pad", "NOTSET") == "NOTSET":
            return
        kernel = op.get_ints("kernel_shape") or shape_of(op.inputs[1])[2:]
        attributes = op.attribute_values()
        attributes["pads"] = window_of(op, shape_of(op.inputs[0])[2:], kernel).pads
        del attributes["auto_pad"]
        rewriter.replace(op, NodeOp(op.kind, op.inputs, [v.type for v in op.outputs], attributes, _name(op)))


class PlainReshape(RewritePattern):
    """Flatten, Squeeze and Unsqueeze are Reshapes."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: NodeOp, rewriter: PatternRewriter, /) -> None:
        if op.kind not in _RESHAPES:
            return
        shape = ConstantOp(to_blob(np.asarray(shape_of(op.outputs[0]), np.int64)))
        made = NodeOp("Reshape", [op.inputs[0], shape.output], [op.outputs[0].type], None, _name(op))
        rewriter.replace(op, [shape, made], [made.outputs[0]])


class PlainMaxPool(RewritePattern):
    """A global max pool is a max pool over the whole image."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: NodeOp, rewriter: PatternRewriter, /) -> None:
        if op.kind != "GlobalMaxPool":
            return
        attributes: dict[str, Value] = {"kernel_shape": shape_of(op.inputs[0])[2:]}
        rewriter.replace(op, NodeOp("MaxPool", op.inputs, [v.type for v in op.outputs], attributes, _name(op)))


PATTERNS = (DropIdentity, SumToAdds, ExplicitPads, PlainReshape, PlainMaxPool)


@dataclass(frozen=True)
class CanonicalizeOnnxPass(ModulePass):
    """One way of writing things that exporters write in several."""

    name = "canonicalize-onnx"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, GreedyRewritePatternApplier([pattern() for pattern in PATTERNS]))
