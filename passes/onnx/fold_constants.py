"""``fold-constants``: ONNX nodes whose operands are all constants become constants.

Choices. ``ConstantOfShape`` weights are filled in here, reshaped or transposed weights too. Quantised constants keep
their DequantizeLinear, because int8 is what the machine stores. What the reference cannot evaluate stays as it is.

    %1 = onnx.constant <4xi64, [24, 3, 3, 3]>                       →   %2 = onnx.constant <24x3x3x3xf32, "sha256:…">
    %2 = onnx.node "ConstantOfShape"(%1) attributes {value = …}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from dialects.blobs import to_array, to_blob
from dialects.host import run_node
from dialects.onnx import ConstantOp, NodeOp, constant_of, element_of
from dialects.onnx_export import main_function, opsets_of, to_node
from dialects.recon import ELEMENT
from passes.onnx.linear import erase_unused

KEPT = ("QuantizeLinear", "DequantizeLinear")


def _folded(node: NodeOp, opsets: Mapping[str, int]) -> list[ConstantOp] | None:
    if node.op_type.data in KEPT or any(element_of(value) not in ELEMENT for value in node.outputs):
        return None
    blobs = [constant_of(value) if node.operand(at) is not None else None for at, value in enumerate(node.inputs)]
    if any(blob is None and node.operand(at) is not None for at, blob in enumerate(blobs)):
        return None
    proto = to_node(node, [f"x{at}" if blob is not None else "" for at, blob in enumerate(blobs)],
                    [f"y{at}" for at in range(len(node.outputs))])  # fmt: skip
    try:
        arrays = run_node(proto, [to_array(blob) if blob is not None else None for blob in blobs], opsets)
    except Exception:  # the reference raises what it likes; the node then stays
        return None
    name = node.node_name.data if node.node_name is not None else ""
    made = [ConstantOp(to_blob(array), name) for array in arrays]
    same = len(made) == len(node.outputs) and all(
        c.output.type == v.type for c, v in zip(made, node.outputs, strict=True)
    )
    return made if same else None


@dataclass(frozen=True)
class FoldConstantsPass(ModulePass):
    """Evaluates ONNX nodes on constants."""

    name = "fold-constants"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        opsets = opsets_of(op)
        for node in list(main_function(op).body.block.ops):
            if not isinstance(node, NodeOp) or (made := _folded(node, opsets)) is None:
                continue
            operands = list(node.operands)
            for constant, value in zip(made, node.outputs, strict=True):
                Rewriter.insert_op(constant, InsertPoint.before(node))
                value.replace_all_uses_with(constant.output)
            Rewriter.erase_op(node)
            for value in operands:
                erase_unused(value)
