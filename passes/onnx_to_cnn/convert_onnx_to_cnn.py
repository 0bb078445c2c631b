"""``convert-onnx-to-cnn``: a quantised ONNX graph becomes cnn operations on int8 NHWC tensors, and host regions.

Choices. The graph is read once, in order; between a DequantizeLinear and the next QuantizeLinear values wait as
expressions (``onnx_to_cnn.values``), because the integer laws round only there. Layout is bookkeeping
(``onnx_to_cnn.view``): Transposes and Reshapes vanish. A node with a verdict (``host "…"``, from ``assign-host``) runs
on the host, and so does one that turns out to have no cnn form, whatever stands around it: its result is a tensor of
the host, and what comes of that without a QuantizeLinear follows it. ``onnx_to_cnn.regions`` writes the regions.

    %1 = onnx.node "DequantizeLinear"(%x, …)               %c = cnn.conv2d %x weights … window <3x3 pad 1 1 1 1>
    %2 = onnx.node "Conv"(%1, %w, %b)                →             quant <scale 0.1, zero -128> clamp <-128, 127>
    %3 = onnx.node "Relu"(%2)                                      layer "conv1" nodes ["conv1", "relu1"]
    %4 = onnx.node "QuantizeLinear"(%3, …)
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from dialects.onnx_export import main_function, opsets_of
from passes.common.notes import PUT_IN, add_note
from passes.onnx_to_cnn.read import discard, read, refuse_float
from passes.onnx_to_cnn.regions import Regions
from passes.onnx_to_cnn.values import Codes


def _lives(codes: Codes) -> bool:
    """Whether an operation that something needs makes the codes."""
    value = codes.storage.value
    return value is not None and isinstance(value.owner, Operation) and value.owner.parent is not None


@dataclass(frozen=True)
class ConvertOnnxToCnnPass(ModulePass):
    """Quantised ONNX operators to cnn operations; raises ModelError for a model that is not quantised at all.

    ``exact`` puts no quantiser in where the model has none.
    """

    name = "convert-onnx-to-cnn"
    exact: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        refuse_float(op)
        function = main_function(op)
        old = function.body.block
        conversion = read(old, opsets_of(op), self.exact)
        function.body.add_block(conversion.block)
        Regions(conversion, old).write()
        function.body.detach_block(old)
        discard(old)
        if places := "; ".join(dict.fromkeys(said for codes, said in conversion.put_in if _lives(codes))):
            add_note(op, f"{PUT_IN}{places}.")
