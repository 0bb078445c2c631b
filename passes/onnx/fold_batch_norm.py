"""``fold-batch-norm``: factors and offsets per channel behind a float convolution go into its weights and bias.

Choices. BatchNormalization, and Mul, Add, Sub, Div by constants of channel shape (as caffe2 exports write a second
normalisation), fold one after the other while the value between has no other use. Factors are composed in float64;
weights stay float32. Behind a quantised convolution nothing is folded here: there the integer laws say how.

    %3 = onnx.node "Conv"(%0, %w)                                 %3 = onnx.node "Conv"(%0, %w2, %b2)
    %4 = onnx.node "BatchNormalization"(%3, %g, %b, %m, %v)   →
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from dialects.blobs import to_array, to_blob
from dialects.onnx import ConstantOp, NodeOp, constant_of, names, shape_of
from dialects.onnx_export import main_function, strings_of
from passes.onnx.linear import Linear, erase_unused, linear_of


def _only_user(value: SSAValue) -> NodeOp | None:
    use = value.get_user_of_unique_use()
    return use if isinstance(use, NodeOp) else None


def _chain(conv: NodeOp, k: int, rank: int) -> tuple[list[NodeOp], Linear]:
    """The linear nodes behind a convolution, and what they do together."""
    nodes: list[NodeOp] = []
    total = Linear(np.ones(k), np.zeros(k))
    value = conv.outputs[0]
    while (node := _only_user(value)) is not None and shape_of(node.outputs[0]) == shape_of(value):
        step = linear_of(node, k, rank)
        if step is None:
            break
        total = replace(total, factor=total.factor * step.factor, offset=total.offset * step.factor + step.offset)
        nodes.append(node)
        value = node.outputs[0]
    return nodes, total


def _fold(conv: NodeOp) -> None:
    weights = constant_of(conv.operand(1))
    bias = constant_of(conv.operand(2))
    if weights is None or weights.data.element != "f32" or (bias is None) != (conv.operand(2) is None):
        return
    k = weights.shape[0]
    nodes, total = _chain(conv, k, len(shape_of(conv.outputs[0])))
    if not nodes:
        return
    factor = total.factor.astype(np.float32).reshape(k, *(1,) * (len(weights.shape) - 1))
    old = to_array(bias).astype(np.float64) if bias is not None else np.zeros(k)
    made = [
        ConstantOp(to_blob(to_array(weights) * factor)),
        ConstantOp(to_blob((old * total.factor + total.offset).astype(np.float32))),
    ]
    name = conv.node_name.data if conv.node_name is not None else ""
    folded = NodeOp("Conv", [conv.inputs[0], *(c.output for c in made)], [conv.outputs[0].type],
                    conv.attribute_values(), name)  # fmt: skip
    named = [node.node_name.data for node in nodes if node.node_name is not None]
    if named:
        folded.attributes["absorbed"] = names([*strings_of(conv.attributes.get("absorbed")), *named])
    last = nodes[-1]
    for op in (*made, folded):
        Rewriter.insert_op(op, InsertPoint.before(last))
    last.outputs[0].replace_all_uses_with(folded.outputs[0])
    for op in (*reversed(nodes), conv):
        operands = list(op.operands)
        Rewriter.erase_op(op)
        for value in operands:
            erase_unused(value)


@dataclass(frozen=True)
class FoldBatchNormPass(ModulePass):
    """Normalisation behind float convolutions goes into weights and bias."""

    name = "fold-batch-norm"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for node in list(main_function(op).body.block.ops):
            if isinstance(node, NodeOp) and node.kind == "Conv":
                _fold(node)
