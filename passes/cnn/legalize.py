"""``legalize``: everything the machine cannot run is found here, all of it at once.

Choices. A rule is a function; its docstring is what the user reads behind the particulars it returns, and what the
manual prints. Limits come from the fields of the instruction table. Nodes without a cnn form were noted by ``convert-
onnx-to-cnn`` and are reported together with the rest.

    module with a batch of 8 and a Resize with mode "linear"   →   ModelError naming both, and what would help
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.passes import ModulePass

from dialects import cnn
from dialects.blobs import to_array
from dialects.meaning.kernels import machine_bias
from dialects.onnx_export import main_function, strings_of
from passes.common.problems import Problems
from sim.machine.isa import BY_NAME

Rule = Callable[[cnn.CnnOp], str | None]

_CONV, _VECTOR = BY_NAME["conv"], BY_NAME["vector"]
_INT32 = 2**31 - 1


def one_image(op: cnn.CnnOp) -> str | None:
    """The machine takes one image at a time; export the model with a batch of 1 or of no fixed size."""
    n = op.result_tensor.dims[0]
    return f"Its batch is {n}." if n != 1 else None


def image_size(op: cnn.CnnOp) -> str | None:
    """Instructions count rows and columns in 16 bits; cut the image into parts."""
    most = _CONV.field("oy").high
    _, h, w, _ = op.result_tensor.dims
    return f"Its result has {h}x{w} pixels, more than {most} in a row or column." if max(h, w) > most else None


def kernel_size(op: cnn.CnnOp) -> str | None:
    """Windows are limited by the fields of the instructions; a larger one can be split into several layers."""
    window = _window(op)
    if window is None:
        return None
    kernel, pads, strides, dilations = window.values
    for what, values, field in (("kernel", kernel, "fy"), ("stride", strides, "sy"), ("dilation", dilations, "dy"),
                                ("padding", pads, "top")):  # fmt: skip
        most = _CONV.field(field).high
        if max(values) > most:
            return f"Its {what} is {'x'.join(map(str, values))}; the most is {most}."
    return None


def pool_dilation(op: cnn.CnnOp) -> str | None:
    """The vector unit's windows are dense; replace the dilated pool by a plain one."""
    if isinstance(op, cnn.MaxPool2dOp | cnn.AveragePool2dOp):
        dilations = op.window.values[3]
        return f"It pools with dilation {'x'.join(map(str, dilations))}." if max(dilations) > 1 else None
    return None


def channels(op: cnn.CnnOp) -> str | None:
    """Instructions count channels in a limited number of bits; split the layer."""
    most = _VECTOR.field("channels").high
    if isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
        most = _CONV.field("outputs").high
    c = op.result_tensor.dims[3]
    return f"Its result has {c} channels; the most is {most}." if c > most else None


def accumulators(op: cnn.CnnOp) -> str | None:
    """Sums are held in 32 bits, and the largest possible one has to fit; use smaller weights or fewer channels."""
    if not isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp):
        return None
    depth = op.weights.data.size // max(op.weights.shape[0], 1)
    bias = np.abs(to_array(op.bias).astype(np.int64)).max(initial=0)
    if depth * 2 * 255 * 128 + int(bias) <= _INT32:
        return None
    weights, zero = to_array(op.weights), op.weight_zero.value.data
    reach = np.abs(weights.astype(np.int16) - zero).sum(axis=(1, 2, 3), dtype=np.int64) * 128
    assert isinstance(op.input.type, cnn.TensorType)
    total = reach + np.abs(machine_bias(to_array(op.bias), weights, op.input.type.zero.data, zero))
    worst = int(np.maximum(reach, total).max())
    return f"A sum can reach {worst:,}." if worst > _INT32 else None


def resize_factors(op: cnn.CnnOp) -> str | None:
    """Pixels are repeated as often as an 8-bit field can count; resize in two steps."""
    if isinstance(op, cnn.ResizeOp):
        factors, most = op.factors.get_values(), _VECTOR.field("sy").high
        return f"It enlarges by {factors[0]}x{factors[1]}; the most is {most}." if max(factors) > most else None
    return None


def lrn_size(op: cnn.CnnOp) -> str | None:
    """The window of a local response normalisation is counted in 16 bits."""
    if isinstance(op, cnn.LrnOp) and not 1 <= op.size.value.data <= _VECTOR.field("size").high:
        return f"It normalises over {op.size.value.data} channels."
    return None


RULES: tuple[Rule, ...] = (
    one_image, image_size, kernel_size, pool_dilation, channels, accumulators, resize_factors, lrn_size,
)  # fmt: skip
"""All rules; the manual's page of limits is made from their docstrings."""


def _window(op: cnn.CnnOp) -> cnn.WindowAttr | None:
    return op.window if isinstance(op, cnn.Conv2dOp | cnn.MaxPool2dOp | cnn.AveragePool2dOp) else None


def place_of(op: cnn.CnnOp) -> str:
    """What a message calls an operation: the ONNX node it stands for, else its layer."""
    if op.nodes is not None and op.nodes.data:
        return op.nodes.data[0].data
    return op.layer.data if op.layer is not None else op.name


@dataclass(frozen=True)
class LegalizePass(ModulePass):
    """Raises ModelError with everything the machine cannot run; changes nothing."""

    name = "legalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        model = op.attributes.get("recon.model")
        problems = Problems(model.data if isinstance(model, StringAttr) else "the model")
        function = main_function(op)
        noted = function.attributes.get("unsupported")
        for entry in noted.data if isinstance(noted, ArrayAttr) else ():
            problems.add(*strings_of(entry))
        for inner in function.body.block.ops:
            if isinstance(inner, cnn.CnnOp) and not isinstance(inner, cnn.HostOp):
                for rule in RULES:
                    if (particulars := rule(inner)) is not None:
                        problems.add(place_of(inner), f"{particulars} {' '.join((rule.__doc__ or '').split())}")
        problems.raise_if_any()
