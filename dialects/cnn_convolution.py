"""The convolutions of the cnn dialect: weights, parameters, and the chain behind the accumulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override
from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, prop_def, result_def, traits_def
from xdsl.traits import Pure
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
    check_ratio,
    check_window,
    slid,
    tensor_of,
)
from dialects.cnn_base import TAIL, CnnOp
from dialects.recon import BlobAttr


class ConvolutionOp(CnnOp):
    """Shared by convolution and fully connected: weights, parameters and the chain behind the accumulators.

    ``scales`` are the weights' scales per output channel, ``bias`` int32 with scale (input · weight), without the
    input's zero point folded in. ``quant`` and ``clamp`` are the requantised result; then the optional ``sum`` with
    the residual; then the optional ``table`` (256 int8, indexed by value + 128). The last stage's quantisation is the
    result type's. A result of ``cnn.float`` is what would be rounded, float32 in units of 1: its ``quant`` is scale 1
    and zero 0, nothing clamps it, and no other stage follows. ``count`` divides the sums: the law of a mean of so many.
    """

    input = operand_def(TensorType)
    residual = opt_operand_def(TensorType)
    weights = prop_def(BlobAttr)
    bias = prop_def(BlobAttr)
    scales = prop_def(BlobAttr)
    weight_zero = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(0, i64))
    count = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(1, i64))
    quant = prop_def(QuantAttr)
    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())
    sum = opt_prop_def(SumAttr)
    table = opt_prop_def(BlobAttr)
    output = result_def(TensorType | FloatType)
    traits = traits_def(Pure())

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        weights, window, last = properties["weights"], properties.get("window"), properties.get("sum")
        quant = last.quant if isinstance(last, SumAttr) else properties["quant"]
        if not isinstance(weights, BlobAttr) or not isinstance(quant, QuantAttr) or not weights.shape:
            return None
        n, k = types[0].dims[0], weights.shape[0]
        shape = slid(window, types[0], k) if isinstance(window, WindowAttr) else (n, 1, 1, k)
        return TensorType.of(shape, quant.scale.data, quant.zero.data)

    @property
    def is_float(self) -> bool:
        """Whether its result leaves the machine as it is before any rounding."""
        return isinstance(self.output.type, FloatType)

    def verify_(self) -> None:
        k = self.result_dims[3]
        for name, blob, shape, element in (
            ("bias", self.bias, (k,), "i32"),
            ("scales", self.scales, (k,), "f32"),
            ("table", self.table, (256,), "i8"),
        ):
            if blob is not None and (blob.shape != shape or blob.data.element != element):
                raise VerifyException(f"{name} must be {'x'.join(map(str, shape))}x{element}, got {blob.data!r}")
        if len(self.weights.shape) != 4 or self.weights.shape[0] != k or self.weights.data.element != "i8":
            raise VerifyException(f"weights must be {k}xRxSxCxi8, got {self.weights.data!r}")
        if (self.residual is None) != (self.sum is None):
            raise VerifyException("a residual operand and its sum come together")
        if self.sum is not None and self.sum.position.data == "wide" and self.sum.quant != self.quant:
            raise VerifyException("a wide sum is rounded once: its quantisation is the convolution's")
        if self.is_float:
            self._verify_float()
        elif self.residual is not None and tensor_of(self.residual).dims != self.result_tensor.dims:
            raise VerifyException(f"the residual {self.residual.type} has not the result's shape")
        between("weight_zero", self.weight_zero.value.data, -128, 127)
        between("count", self.count.value.data, 1, 2**24)
        if not are_finite(self.scales.data):
            raise VerifyException("scales are finite numbers, one for each output channel")
        last = self.sum.quant if self.sum is not None else self.quant
        if self.residual is not None and self.sum is not None:
            scales = self.quant.scale.data, tensor_of(self.residual).scale.data
            check_ratio(max(scales), self.sum.quant.scale.data)
        if self.table is None and not self.is_float and self.result_tensor.quant != last:
            stage = "sum" if self.sum is not None else "requantisation"
            raise VerifyException(
                f"the result {self.output.type} has not the quantisation {last} of its last stage, the {stage}"
            )

    def _verify_float(self) -> None:
        if self.residual is not None or self.table is not None:
            raise VerifyException("a float result is final: neither a residual nor a table comes behind it")
        if self.quant != QuantAttr.of(1.0, 0) or self.clamp != ClampAttr.of():
            raise VerifyException("a float result is in units of 1 and not clamped: scale 1.0, zero 0, clamp -128, 127")


@irdl_op_definition
class Conv2dOp(ConvolutionOp):
    """2-D convolution with its chain: requantise, optional residual sum, optional table."""

    name = "cnn.conv2d"
    window = prop_def(WindowAttr)
    groups = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(1, i64))
    assembly_format = (
        "$input (`residual` $residual^)? `weights` $weights `bias` $bias `scales` $scales `window` $window "
        "(`groups` $groups^)? (`weight_zero` $weight_zero^)? (`count` $count^)? `quant` $quant (`clamp` $clamp^)? "
        "(`sum` $sum^)? (`table` $table^)?" + TAIL
    )

    def verify_(self) -> None:
        super().verify_()
        c, k = tensor_of(self.input).dims[3], self.result_dims[3]
        groups = self.groups.value.data
        if groups < 1 or c % groups or k % groups:
            raise VerifyException(f"{groups} groups do not divide {c} input and {k} output channels")
        (fy, fx), *_ = self.window.values
        if self.weights.shape != (k, fy, fx, c // groups):
            raise VerifyException(f"weights must be {k}x{fy}x{fx}x{c // groups}xi8, got {self.weights.data!r}")
        check_window(self.window, tensor_of(self.input), self.result_dims, k)


@irdl_op_definition
class FullyConnectedOp(ConvolutionOp):
    """1x1x1xC → 1x1x1xK with weights Kx1x1xC and the chain of ``conv2d``."""

    name = "cnn.fully_connected"
    assembly_format = (
        "$input (`residual` $residual^)? `weights` $weights `bias` $bias `scales` $scales "
        "(`weight_zero` $weight_zero^)? (`count` $count^)? `quant` $quant (`clamp` $clamp^)? "
        "(`sum` $sum^)? (`table` $table^)?" + TAIL
    )

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = tensor_of(self.input).dims
        if (h, w) != (1, 1) or self.result_dims[:3] != (n, 1, 1):
            raise VerifyException("a fully connected layer takes and gives Nx1x1xC; reshape before it")
        if self.weights.shape[1:] != (1, 1, c):
            raise VerifyException(f"weights must be Kx1x1x{c}xi8, got {self.weights.data!r}")
