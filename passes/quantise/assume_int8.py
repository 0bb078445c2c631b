"""``assume-int8``: a float graph gets quantisers, so that its cycles and bytes can be had without calibration data.

Choices. Weights are symmetric int8 per output channel; activations asymmetric int8 with scales from one float run on
seeded normal input, least to greatest value, so nothing of that run saturates. Scales are rounded up to eight binary
digits, lest another CPU's last bits change the program. Tensors joined by movement (concat, max pool, resize,
reshape, slice …) share one scale, so that movement costs nothing. What follows the last product (Softmax) stays
float. Values that the machine never holds, between a convolution and its Relu or within a tree of functions, get no
quantiser.

    %2 = onnx.node "Conv"(%0, %w, %b)                %q  = onnx.node "QuantizeLinear"(%0, …)   … DequantizeLinear
    %3 = onnx.node "Relu"(%2)                   →    %w' = onnx.node "DequantizeLinear"(int8 constant, scales)
                                                     %2  = onnx.node "Conv"(%x, %w', %b), Relu, QuantizeLinear …

The outputs are not the model's: a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from dialects.blobs import to_array, to_blob
from dialects.onnx import ConstantOp, NodeOp, Value, constant_of, names, shape_of, tensor
from dialects.onnx_export import main_function, strings_of
from passes.onnx.linear import erase_unused
from passes.quantise.calibrate import Range, random_inputs, ranges_of
from passes.quantise.places import MOVES, Places

NOTE = (
    "The model is float and was given int8 scales by one run on random input (--assume-int8, seed {seed}): cycles and "
    "bytes are those of the network, its outputs are not the model's."
)

F32 = npt.NDArray[np.float32]


class _Shared:
    """Sets of values that share a scale."""

    def __init__(self) -> None:
        self.parent: dict[SSAValue, SSAValue] = {}

    def find(self, value: SSAValue) -> SSAValue:
        root = value
        while (up := self.parent.get(root, root)) is not root:
            root = up
        while (up := self.parent.get(value, value)) is not root:
            self.parent[value], value = root, up
        return root

    def join(self, a: SSAValue, b: SSAValue) -> None:
        self.parent[self.find(a)] = self.find(b)


def scale_and_zero(least: float, greatest: float) -> tuple[np.float32, int]:
    """Asymmetric int8 for values from least to greatest, 0 included; the scale rounded up to 8 binary digits.

    Ranges that are empty or not finite get scale 1.
    """
    lo, hi = min(0.0, least), max(0.0, greatest)
    step = (hi - lo) / 255
    if not np.isfinite(step) or step == 0:
        return np.float32(1), 0
    mantissa, exponent = np.frexp(min(max(step, 1e-12), 1e12))
    scale = np.float32(np.ldexp(np.ceil(mantissa * 256) / 256, int(exponent)))
    return scale, int(np.clip(np.rint(-128 - lo / float(scale)), -128, 127))


def quantise_weights(weights: F32, axis: int, bias: F32 | None, input_scale: float) -> tuple[npt.NDArray[np.int8], F32]:
    """Symmetric int8 weights and one scale per index of ``axis``.

    A scale is large enough for the bias to fit int32 in units of input scale times weight scale.
    """
    k = weights.shape[axis]
    codes = np.empty(weights.shape, np.int8)
    scales = np.empty(k, np.float32)
    moved, out = np.moveaxis(weights, axis, 0), np.moveaxis(codes, axis, 0)
    rows = max(1, (1 << 20) // max(1, moved[0].size)) if k else 1
    for start in range(0, k, rows):
        part = moved[start : start + rows].reshape(min(rows, k - start), -1)
        with np.errstate(all="ignore"):
            most = np.maximum(part.max(axis=1), -part.min(axis=1))
            if bias is not None:
                room = np.float32(input_scale * 2.0**22)
                most = np.maximum(most, np.abs(bias[start : start + rows]) / room)
            scale = most / np.float32(127)
            scale = np.where(np.isfinite(scale) & (scale > 1e-30), scale, np.float32(1)).astype(np.float32)
            whole = np.rint(part * (np.float32(1) / scale)[:, None])
        np.clip(np.nan_to_num(whole, copy=False), -127, 127, out=whole)
        out[start : start + rows] = whole.astype(np.int8).reshape(out[start : start + rows].shape)
        scales[start : start + rows] = scale
    return codes, scales


@dataclass(frozen=True)
class AssumeInt8Pass(ModulePass):
    """Quantisers with assumed scales in a float graph; a graph that has quantisers is left alone."""

    name = "assume-int8"
    seed: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = main_function(op)
        nodes = [node for node in function.body.block.ops if isinstance(node, NodeOp)]
        if any(node.op_type.data in ("QuantizeLinear", "DequantizeLinear") for node in nodes):
            return
        places = Places(function.body.block)
        quantised = places.quantised()
        ranges = ranges_of(op, quantised, [random_inputs(op, self.seed)], "--assume-int8")
        _Rewrite(places, quantised, ranges).run()
        notes = strings_of(op.attributes.get("recon.notes"))
        op.attributes["recon.notes"] = names([*notes, NOTE.format(seed=self.seed)])


class _Rewrite:
    """Puts the quantisers in."""

    def __init__(self, places: Places, quantised: list[SSAValue], ranges: Mapping[SSAValue, Range]):
        self.places = places
        self.quantised = quantised
        shared = self._shared()
        whole: dict[SSAValue, Range] = {}
        for value in quantised:
            root = shared.find(value)
            lo, hi = ranges[value]
            known = whole.get(root, (0.0, 0.0))
            whole[root] = (_least(known[0], lo), _greatest(known[1], hi))
        self.quant = {value: scale_and_zero(*whole[shared.find(value)]) for value in quantised}

    def _shared(self) -> _Shared:
        """Values joined by movement: all operands and results of one moving node that are codes."""
        shared = _Shared()
        for node in self.places.nodes:
            if node.op_type.data in MOVES and node in self.places.machine:
                values = [v for v in node.inputs if self.places.is_data(v)] + list(node.outputs)
                for value in values[1:]:
                    shared.join(values[0], value)
        return shared

    def run(self) -> None:
        for node in self.places.nodes:
            if node in self.places.machine and node.op_type.data in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
                self._weights(node)
        for value in self.quantised:
            self._around(value)

    def _input_scale(self, value: SSAValue) -> float:
        """The scale of a product's operand, also through movements."""
        while value not in self.quant and isinstance(value.owner, NodeOp):
            value = value.owner.inputs[0]
        return float(self.quant[value][0]) if value in self.quant else 1.0

    def _weights(self, node: NodeOp) -> None:
        blob = constant_of(node.inputs[1])
        if blob is None or blob.data.element != "f32":
            return
        axis = 1 if node.op_type.data == "ConvTranspose" else 0
        if node.op_type.data == "MatMul" or (node.op_type.data == "Gemm" and not node.get_int("transB", 0)):
            axis = len(blob.shape) - 1
        bias_blob = constant_of(node.operand(2))
        bias = None
        if bias_blob is not None and bias_blob.data.size == blob.shape[axis]:
            bias = to_array(bias_blob).astype(np.float32).reshape(-1)
        codes, scales = quantise_weights(to_array(blob), axis, bias, self._input_scale(node.inputs[0]))
        zeros = np.zeros(scales.size, np.int8)
        constants = [ConstantOp(to_blob(array)) for array in (codes, scales, zeros)]
        attributes: dict[str, Value] = {"axis": axis}
        real = NodeOp("DequantizeLinear", [c.output for c in constants], [node.inputs[1].type], attributes)
        for made in (*constants, real):
            Rewriter.insert_op(made, InsertPoint.before(node))
        old = node.inputs[1]
        node.operands[1] = real.outputs[0]
        erase_unused(old)

    def _around(self, value: SSAValue) -> None:
        """QuantizeLinear and DequantizeLinear between a value and all its users."""
        scale, zero = self.quant[value]
        constants = [ConstantOp(to_blob(np.asarray(scale))), ConstantOp(to_blob(np.asarray(zero, np.int8)))]
        parameters = [c.output for c in constants]
        quantise = NodeOp("QuantizeLinear", [value, *parameters], [tensor(shape_of(value), "i8")])
        real = NodeOp("DequantizeLinear", [quantise.outputs[0], *parameters], [value.type])
        uses = list(value.uses)
        owner = value.owner
        point = InsertPoint.after(owner) if isinstance(owner, Operation) else InsertPoint.at_start(owner)
        Rewriter.insert_op([*constants, quantise, real], point)
        for use in uses:
            if use.operation is not quantise:
                use.operation.operands[use.index] = real.outputs[0]


def _least(a: float, b: float) -> float:
    return min(a, b) if np.isfinite(b) else float("nan")


def _greatest(a: float, b: float) -> float:
    return max(a, b) if np.isfinite(b) else float("nan")
