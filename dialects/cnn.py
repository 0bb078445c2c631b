"""The cnn dialect: WHAT is computed, on int8 tensors that carry their quantisation, with no machine in sight.

Decisions. Quantisation belongs to the type of a value: ``!cnn.tensor<1x56x56x64, scale 0.0235, zero -128>`` is int8,
NHWC, and means ``scale · (x − zero)``. Every value is rank 4; a vector of C features is 1x1x1xC. uint8 exists only at
the model's edge. Weights are blobs in KRSC order (output channel, kernel row, kernel column, input channel of the
group) on the op that uses them. Arithmetic is the manual's arithmetic page, byte for byte; an op's own stages
(requantise, sum, table) each round as the separate ops would, so fusing never changes a byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr, f32, i8, i64
from xdsl.dialects.builtin import TensorType as BuiltinTensorType
from xdsl.ir import Attribute, Dialect, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import (
    ClampAttr,
    FloatType,
    QuantAttr,
    SumAttr,
    TensorType,
    WindowAttr,
    are_finite,
    between,
    check_finite,
    check_mean,
    check_ratio,
    check_window,
    slid,
    tensor_of,
)
from dialects.cnn_base import NAMES, TAIL, CnnOp, UnaryOp
from dialects.cnn_convolution import Conv2dOp, FullyConnectedOp
from dialects.cnn_movement import (
    ChannelShuffleOp,
    CodesOp,
    ConcatOp,
    InterleaveOp,
    MovingOp,
    PadOp,
    ReshapeOp,
    ResizeOp,
    SelectOp,
    SliceOp,
    TransposeOp,
)
from dialects.integers import integer, integers
from dialects.recon import BlobAttr
from dialects.text import print_float

__all__ = [
    "CNN",
    "AddOp",
    "AffineOp",
    "AveragePool2dOp",
    "BinaryOp",
    "ChannelShuffleOp",
    "ClampAttr",
    "ClampedOp",
    "CnnOp",
    "CodesOp",
    "ConcatOp",
    "ConstantOp",
    "Conv2dOp",
    "FloatAttr",
    "FloatType",
    "FullyConnectedOp",
    "GlobalAveragePoolOp",
    "HostOp",
    "InterleaveOp",
    "LrnOp",
    "MaxPool2dOp",
    "MulOp",
    "PadOp",
    "QuantAttr",
    "ReshapeOp",
    "ResizeOp",
    "SelectOp",
    "SliceOp",
    "SubOp",
    "SumAttr",
    "TableOp",
    "TensorType",
    "TransposeOp",
    "WindowAttr",
    "YieldOp",
    "integer",
    "integers",
    "tensor_of",
]


class ClampedOp(CnnOp):
    """Rounds and clamps its result, so a clamp behind it can join it."""

    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())


class ElementwiseOp(UnaryOp):
    """Keeps the shape: a pixel's result depends on that pixel alone."""

    def verify_(self) -> None:
        if self.result_tensor.dims != tensor_of(self.input).dims:
            raise VerifyException(
                f"{self.name.removeprefix('cnn.')} keeps the shape: it does not make {self.output.type} of "
                f"{self.input.type}"
            )


class _Pool(UnaryOp):
    window = prop_def(WindowAttr)

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        window = properties["window"]
        return types[0].like(slid(window, types[0], types[0].dims[3])) if isinstance(window, WindowAttr) else None

    def verify_(self) -> None:
        check_window(self.window, tensor_of(self.input), self.result_tensor.dims, tensor_of(self.input).dims[3])
        check_ratio(tensor_of(self.input).scale.data, self.result_tensor.scale.data)


@irdl_op_definition
class MaxPool2dOp(_Pool, MovingOp):
    """Greatest value in the window; padding never wins. Input and output share one quantisation."""

    name = "cnn.max_pool2d"
    assembly_format = "$input `window` $window" + TAIL

    def verify_(self) -> None:
        MovingOp.verify_(self)
        _Pool.verify_(self)


@irdl_op_definition
class AveragePool2dOp(_Pool, ClampedOp):
    """Mean of the window; ``count_pads`` counts padded positions in the divisor."""

    name = "cnn.average_pool2d"
    count_pads = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(0, i64))
    assembly_format = "$input `window` $window (`count_pads` $count_pads^)? (`clamp` $clamp^)?" + TAIL

    def verify_(self) -> None:
        super().verify_()
        counted = self.count_pads.value.data
        between("count_pads", counted, 0, 1)
        check_mean(self.window, *tensor_of(self.input).dims[1:3], counted)


@irdl_op_definition
class GlobalAveragePoolOp(UnaryOp, ClampedOp):
    """Mean over all pixels: NxHxWxC → Nx1x1xC."""

    name = "cnn.global_average_pool"
    assembly_format = "$input (`clamp` $clamp^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        n, _, _, c = types[0].dims
        return types[0].like((n, 1, 1, c))

    def verify_(self) -> None:
        n, _, _, c = tensor_of(self.input).dims
        if self.result_tensor.dims != (n, 1, 1, c):
            raise VerifyException(f"the result must be {n}x1x1x{c}, got {self.output.type}")
        check_ratio(tensor_of(self.input).scale.data, self.result_tensor.scale.data)


class BinaryOp(ClampedOp):
    """Element by element from two tensors of one shape, or of which the second is one row, one column or one pixel that
    counts for all."""

    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs (`clamp` $clamp^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        return types[0]

    def verify_(self) -> None:
        super().verify_()
        left, right, out = tensor_of(self.lhs).dims, tensor_of(self.rhs).dims, self.result_tensor.dims
        n, h, w, c = left
        if left != out or (right[0], right[3]) != (n, c) or right[1] not in (1, h) or right[2] not in (1, w):
            raise VerifyException(f"shapes {left}, {right} and {out} do not fit together")
        self._verify_scales(tensor_of(self.lhs).scale.data, tensor_of(self.rhs).scale.data)

    def _verify_scales(self, a: float, b: float) -> None:
        check_ratio(max(a, b), self.result_tensor.scale.data)


@irdl_op_definition
class AddOp(BinaryOp):
    """Elementwise sum."""

    name = "cnn.add"


@irdl_op_definition
class SubOp(BinaryOp):
    """Elementwise difference: the law of ``add`` with the second ratio negated."""

    name = "cnn.sub"


@irdl_op_definition
class MulOp(BinaryOp):
    """Elementwise product."""

    name = "cnn.mul"

    @override
    def _verify_scales(self, a: float, b: float) -> None:
        check_ratio(a * b, self.result_tensor.scale.data, "the product of scales")
        if a * b > 2.0**127:
            raise VerifyException(f"the product of scales {print_float(a)} and {print_float(b)} is beyond float32")


@irdl_op_definition
class MaxOp(BinaryOp, CodesOp):
    """The greater of two codes, element by element: quantising keeps order, so it is that of the real values."""

    name = "cnn.max"


@irdl_op_definition
class MinOp(BinaryOp, CodesOp):
    """The lesser of two codes, element by element."""

    name = "cnn.min"


@irdl_op_definition
class TableOp(ElementwiseOp):
    """Any function of one int8: out = table[in + 128]. Activations, requantisation of one tensor."""

    name = "cnn.table"
    table = prop_def(BlobAttr)
    function = opt_prop_def(StringAttr)
    assembly_format = "$input `table` $table (`function` $function^)?" + TAIL

    def verify_(self) -> None:
        super().verify_()
        if self.table.shape != (256,) or self.table.data.element != "i8":
            raise VerifyException(f"a table is 256xi8, got {self.table.data!r}")


@irdl_op_definition
class AffineOp(ElementwiseOp, ClampedOp):
    """Per-channel scale and offset (a BatchNorm that could not be folded): clamp(rne(f32(f32(x)·a[c]) + b[c]) + zy)."""

    name = "cnn.affine"
    scale = prop_def(BlobAttr)
    offset = prop_def(BlobAttr)
    assembly_format = "$input `scale` $scale `offset` $offset (`clamp` $clamp^)?" + TAIL

    def verify_(self) -> None:
        super().verify_()
        for blob in (self.scale, self.offset):
            if blob.shape != (self.result_tensor.dims[3],) or blob.data.element != "f32":
                raise VerifyException(f"scale and offset are one f32 per channel, got {blob.data!r}")
            if not are_finite(blob.data):
                raise VerifyException("scale and offset are finite numbers, one of each for every channel")


@irdl_op_definition
class LrnOp(ElementwiseOp):
    """Local response normalisation over ``size`` channels: x / (bias + alpha/size · Σ x²)^beta."""

    name = "cnn.lrn"
    size = prop_def(IntegerAttr.constr(i64))
    alpha = prop_def(FloatAttr.constr(f32))
    beta = prop_def(FloatAttr.constr(f32))
    bias = prop_def(FloatAttr.constr(f32))
    assembly_format = "$input `size` $size `alpha` $alpha `beta` $beta `bias` $bias" + TAIL

    def verify_(self) -> None:
        super().verify_()
        if self.size.value.data < 1:
            raise VerifyException(f"lrn normalises over at least one channel, not {self.size.value.data}")
        check_finite(number.value.data for number in (self.alpha, self.beta, self.bias))


@irdl_op_definition
class ConstantOp(CnnOp):
    """A constant activation (NHWC bytes)."""

    name = "cnn.constant"
    value = prop_def(BlobAttr)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value" + NAMES + "`:` type($output)"

    def verify_(self) -> None:
        dims = self.result_tensor.dims
        if self.value.shape != dims or self.value.data.element != "i8":
            raise VerifyException(f"the value must be {'x'.join(map(str, dims))}xi8, got {self.value.data!r}")


@irdl_op_definition
class HostOp(CnnOp):
    """A region the host runs: ONNX operators on tensors of the model's own types.

    An operand or result of type ``!cnn.tensor`` enters or leaves the region as ``tensor<NxHxWxCxi8>``, an operand of
    type ``!cnn.float`` as ``tensor<NxHxWxCxf32>``. The model's own
    nodes say why they are here (``host "…"``), quantisers and changes of layout left out.
    """

    name = "cnn.host"
    inputs = var_operand_def()
    body = region_def("single_block")
    outputs = var_result_def()
    assembly_format = "$inputs $body" + NAMES + "`:` functional-type(operands, results)"

    def __init__(self, inputs: Sequence[SSAValue], outputs: Sequence[Attribute], body: Region):
        super().__init__(operands=[inputs], result_types=[outputs], regions=[body])

    def verify_(self) -> None:
        block, last = self.body.block, self.body.block.last_op
        if not isinstance(last, YieldOp):
            raise VerifyException("a host region ends with cnn.yield")
        for what, outside, inside in (
            ("argument", self.inputs, block.args),
            ("yielded value", self.outputs, last.values),
        ):
            if len(outside) != len(inside):
                raise VerifyException(f"a host region with {len(outside)} outside has {len(inside)} {what}s")
            for number, (outer, inner) in enumerate(zip(outside, inside, strict=True)):
                if inner.type != (wanted := _on_host(outer.type)):
                    raise VerifyException(f"{what} {number} of the host region is {inner.type}, and {wanted} outside")


def _on_host(kind: Attribute) -> Attribute:
    """The type inside a host region of a value outside it."""
    if isinstance(kind, FloatType):
        return BuiltinTensorType(f32, list(kind.dims))
    return BuiltinTensorType(i8, list(kind.dims)) if isinstance(kind, TensorType) else kind


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a host region."""

    name = "cnn.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())
    assembly_format = "($values^ `:` type($values))? attr-dict"

    def __init__(self, values: Sequence[SSAValue]):
        super().__init__(operands=[values])


def _operations() -> list[type[Operation]]:
    """The convolutions, every operation of this file, then the movements."""
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, IRDLOperation)]
    named = [kind for kind in kinds if str(vars(kind).get("name", "")).startswith("cnn.")]
    return sorted(named, key=lambda kind: kind.__module__ == MovingOp.__module__)


CNN = Dialect("cnn", _operations(), [TensorType, FloatType, QuantAttr, ClampAttr, WindowAttr, SumAttr])
