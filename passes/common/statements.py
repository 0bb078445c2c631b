"""What the compiler reads of an ONNX node, operator by operator; whatever else a node says is refused by its statement.

A reader that does not look at an attribute or an operand cannot know that it should have. So no reader is trusted to
look: each operator states the attributes and operands that its reader takes into account, and ``unread`` finds what a
node carries beyond them and what is not ONNX's default. Defaults come from the schemas of the ``onnx`` package. An
operator without a statement has no reader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from onnx import defs, helper
from xdsl.ir import SSAValue

from dialects.onnx import NodeOp, Value, constant_of
from dialects.recon import BlobAttr

ALL = 1 << 30
"""As many operands, or results, as there are."""

NEWEST = defs.onnx_opset_version()


@dataclass(frozen=True)
class Statement:
    """What a reader takes into account: ``attributes`` whatever their values, the first ``operands`` operands.

    ``constants`` are operands that have to be constants; those that are ``off`` may only be left out or false; of the
    results the first ``results`` may be used. ``same`` names attributes and values that mean what the default means.
    """

    attributes: str = ""
    operands: int = 1
    constants: tuple[int, ...] = ()
    off: tuple[int, ...] = ()
    results: int = 1
    same: tuple[tuple[str, Value], ...] = ()

    def reads(self, attribute: str, value: Value) -> bool:
        return attribute in self.attributes.split() or (attribute, value) in self.same


_WINDOW = "auto_pad dilations kernel_shape pads strides"

STATEMENTS: dict[str, Statement] = {
    "QuantizeLinear": Statement("axis output_dtype saturate", 3, same=(("precision", 1),)),
    "DequantizeLinear": Statement("axis block_size", 3, same=(("output_dtype", 1),)),
    "Conv": Statement(f"{_WINDOW} group", 3),
    "ConvTranspose": Statement(f"{_WINDOW} group output_padding output_shape", 3),
    "Gemm": Statement("alpha beta transA transB", 3),
    "MatMul": Statement("", 2),
    "Relu": Statement(),
    "Clip": Statement("", 3, constants=(1, 2)),
    "PRelu": Statement("", 2, constants=(1,)),
    "BatchNormalization": Statement("epsilon momentum", 5, constants=(1, 2, 3, 4)),
    "MaxPool": Statement(f"{_WINDOW} ceil_mode storage_order"),
    "GlobalMaxPool": Statement(),
    "AveragePool": Statement(f"{_WINDOW} ceil_mode count_include_pad"),
    "GlobalAveragePool": Statement(),
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
        Statement("axes keepdims noop_with_empty_axes", 2, constants=(1,)),
    ),
    "LRN": Statement("alpha beta bias size"),
    "Concat": Statement("axis", ALL),
    "Split": Statement("axis num_outputs", 2, constants=(1,), results=ALL),
    "Slice": Statement("", 5, constants=(1, 2, 3, 4)),
    "Gather": Statement("axis", 2, constants=(1,)),
    "Pad": Statement("mode", 4, constants=(1, 2, 3)),
    "Resize": Statement("axes coordinate_transformation_mode cubic_coeff_a mode nearest_mode", 4, constants=(1, 2, 3)),
    "DepthToSpace": Statement("blocksize mode"),
    "SpaceToDepth": Statement("blocksize"),
    "Expand": Statement("", 2, constants=(1,)),
    "Tile": Statement("", 2, constants=(1,)),
    "Cast": Statement("round_mode saturate to"),
    "Transpose": Statement("perm"),
    "Reshape": Statement("allowzero", 2, constants=(1,)),
    "Flatten": Statement("axis"),
    "Squeeze": Statement("axes", 2, constants=(1,)),
    "Unsqueeze": Statement("axes", 2, constants=(1,)),
    "Identity": Statement(),
    "Dropout": Statement("ratio seed", 3, off=(2,)),
    "Sum": Statement("", ALL),
    "Mean": Statement("", ALL),
    "LeakyRelu": Statement("alpha"),
    "ThresholdedRelu": Statement("alpha"),
    "Elu": Statement("alpha"),
    "Celu": Statement("alpha"),
    "Selu": Statement("alpha gamma"),
    "HardSigmoid": Statement("alpha beta"),
    "Swish": Statement("alpha"),
    "Gelu": Statement("approximate"),
    "Min": Statement("", ALL),
    "Max": Statement("", ALL),
}
"""By operator. What only shapes results (``axes``, ``sizes``, ``split`` …) counts as read: inference has read it."""

for _name in ("Add", "Sub", "Mul", "Div", "Pow"):
    STATEMENTS[_name] = Statement("", 2)
for _name in (
    "Abs Acos Asin Atan Ceil Cos Cosh Erf Exp Floor HardSwish Log Mish Neg Reciprocal Round Sigmoid Sign Sin Sinh "
    "Softplus Softsign Sqrt Tan Tanh"
).split():
    STATEMENTS[_name] = Statement()


def is_constant(value: SSAValue) -> bool:
    """Whether a value is a constant as it stands."""
    return constant_of(value) is not None


def unread(node: NodeOp, opset: int = NEWEST, constant: Callable[[SSAValue], bool] = is_constant) -> str | None:
    """The sentence about the first thing that a node says and its reader would not hear; None if there is nothing.

    ``constant`` tells whether an operand's numbers are known at compile time. Only for operators with a statement.
    """
    statement = STATEMENTS[node.kind]
    for name, value in node.attribute_values().items():
        default = _default(node.kind, name, opset)
        if not statement.reads(name, value) and value != default:
            known = f"; only {default!r} is supported" if default is not None else ", which is not supported"
            return f"Its attribute '{name}' is {_shown(value)}{known}."
    for index in range(len(node.inputs)):
        value = node.operand(index)
        if value is None:
            continue
        if index >= statement.operands:
            return f"Its operand {index}{_called(node.kind, index, opset)} is not supported."
        if index in statement.constants and not constant(value):
            what = _called(node.kind, index, opset)
            return f"Its operand {index}{what} is computed at run time; it must be a constant."
        if index in statement.off and not _false(value):
            what = _called(node.kind, index, opset)
            return f"Its operand {index}{what} is not false; export the model for inference."
    for index, result in enumerate(node.outputs):
        if index >= statement.results and result.first_use is not None:
            return f"Its result {index} is used; the machine does not make it."
    return None


def _false(value: SSAValue) -> bool:
    blob = constant_of(value)
    return blob is not None and not any(memoryview(blob.data.buffer()))


def _shown(value: Value) -> str:
    return "a tensor" if isinstance(value, BlobAttr) else repr(value)


@cache
def _schema(kind: str, opset: int) -> defs.OpSchema | None:
    try:
        return defs.get_schema(kind, opset)
    except defs.SchemaError:
        return None


def _called(kind: str, index: int, opset: int) -> str:
    """`` ('max')``: an operand's name in ONNX, where it has one."""
    schema = _schema(kind, opset)
    return f" ('{schema.inputs[index].name}')" if schema is not None and index < len(schema.inputs) else ""


def _default(kind: str, attribute: str, opset: int) -> Value | None:
    """An attribute's default in this opset; None where ONNX gives none."""
    schema = _schema(kind, opset)
    if schema is None or attribute not in schema.attributes:
        return None
    given = schema.attributes[attribute].default_value
    value = helper.get_attribute_value(given) if given.type else None
    return value.decode() if isinstance(value, bytes) else value
