"""The cnn dialect: WHAT is computed, on int8 tensors that carry their quantisation, with no machine in sight.

Decisions. Quantisation belongs to the type of a value: ``!cnn.tensor<1x56x56x64, scale 0.0235, zero -128>`` is int8,
NHWC, and means ``scale · (x − zero)``. Every value is rank 4; a vector of C features is 1x1x1xC. uint8 exists only at
the model's edge. Weights are blobs in KRSC order (output channel, kernel row, kernel column, input channel of the
group) on the op that uses them. Arithmetic is the manual's arithmetic page, byte for byte; an op's own stages
(requantise, sum, table) each round as the separate ops would, so fusing never changes a byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, DenseArrayBase, FloatData, IntAttr, IntegerAttr, StringAttr, f32, i64
from xdsl.dialects.builtin import FloatAttr as FloatAttr
from xdsl.ir import Attribute, Dialect, ParametrizedAttribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    param_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from dialects.recon import BlobAttr, float32, print_float


def _parse_scale_zero(parser: AttrParser) -> tuple[FloatData, IntAttr]:
    parser.parse_keyword("scale")
    scale = float32(float(parser.parse_number(allow_boolean=False)))
    parser.parse_punctuation(",")
    parser.parse_keyword("zero")
    return FloatData(scale), IntAttr(parser.parse_integer(allow_boolean=False))


def _check_scale_zero(scale: float, zero: int) -> None:
    if not scale > 0 or scale == float("inf") or float32(scale) != scale:
        raise VerifyException(f"scale {scale} is not a positive float32")
    if not -128 <= zero <= 127:
        raise VerifyException(f"zero point {zero} is outside [-128, 127]")


@irdl_attr_definition
class TensorType(ParametrizedAttribute, TypeAttribute):
    """An int8 activation, NHWC, meaning scale · (x − zero)."""

    name = "cnn.tensor"
    shape: ArrayAttr[IntAttr] = param_def()
    scale: FloatData = param_def()
    zero: IntAttr = param_def()

    @classmethod
    def of(cls, shape: Sequence[int], scale: float, zero: int) -> TensorType:
        return cls(ArrayAttr([IntAttr(n) for n in shape]), FloatData(float32(scale)), IntAttr(zero))

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """N, H, W, C."""
        n, h, w, c = (d.data for d in self.shape.data)
        return n, h, w, c

    @property
    def quant(self) -> QuantAttr:
        return QuantAttr(self.scale, self.zero)

    def like(self, shape: Sequence[int]) -> TensorType:
        """The same quantisation with another shape."""
        return TensorType(ArrayAttr([IntAttr(n) for n in shape]), self.scale, self.zero)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape = [parser.parse_shape_dimension(False)]
            while parser.parse_optional_punctuation(",") is None:
                parser.parse_shape_delimiter()
                shape.append(parser.parse_shape_dimension(False))
            return ArrayAttr([IntAttr(n) for n in shape]), *_parse_scale_zero(parser)

    def print_parameters(self, printer: Printer) -> None:
        shape = "x".join(str(d.data) for d in self.shape.data)
        printer.print_string(f"<{shape}, scale {print_float(self.scale.data)}, zero {self.zero.data}>")

    def verify(self) -> None:
        if len(self.shape.data) != 4 or any(d.data < 1 for d in self.shape.data):
            raise VerifyException("a cnn tensor has four dimensions N, H, W, C, each at least 1")
        _check_scale_zero(self.scale.data, self.zero.data)


@irdl_attr_definition
class QuantAttr(ParametrizedAttribute):
    """Scale and zero point of an inner stage: ``#cnn.quant<scale 0.02, zero 3>``."""

    name = "cnn.quant"
    scale: FloatData = param_def()
    zero: IntAttr = param_def()

    @classmethod
    def of(cls, scale: float, zero: int) -> QuantAttr:
        return cls(FloatData(float32(scale)), IntAttr(zero))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return _parse_scale_zero(parser)

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<scale {print_float(self.scale.data)}, zero {self.zero.data}>")

    def verify(self) -> None:
        _check_scale_zero(self.scale.data, self.zero.data)


@irdl_attr_definition
class ClampAttr(ParametrizedAttribute):
    """Bounds of an output, both included: ``#cnn.clamp<-128, 127>``."""

    name = "cnn.clamp"
    lo: IntAttr = param_def()
    hi: IntAttr = param_def()

    @classmethod
    def of(cls, lo: int = -128, hi: int = 127) -> ClampAttr:
        return cls(IntAttr(lo), IntAttr(hi))

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            lo = parser.parse_integer(allow_boolean=False)
            parser.parse_punctuation(",")
            return IntAttr(lo), IntAttr(parser.parse_integer(allow_boolean=False))

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{self.lo.data}, {self.hi.data}>")

    def verify(self) -> None:
        if not -128 <= self.lo.data <= self.hi.data <= 127:
            raise VerifyException(f"clamp {self.lo.data}, {self.hi.data} is not within [-128, 127]")


@irdl_attr_definition
class WindowAttr(ParametrizedAttribute):
    """A sliding window: ``#cnn.window<3x3 pad 1 1 1 1 stride 2 2 dilation 1 1>`` (pads: top bottom left right).

    Parts at their default (pad 0, stride 1, dilation 1) are not printed.
    """

    name = "cnn.window"
    kernel: ArrayAttr[IntAttr] = param_def()
    pads: ArrayAttr[IntAttr] = param_def()
    strides: ArrayAttr[IntAttr] = param_def()
    dilations: ArrayAttr[IntAttr] = param_def()

    @classmethod
    def of(
        cls,
        kernel: Sequence[int],
        pads: Sequence[int] = (0, 0, 0, 0),
        strides: Sequence[int] = (1, 1),
        dilations: Sequence[int] = (1, 1),
    ) -> WindowAttr:
        """kernel (rows, columns), pads (top, bottom, left, right), strides and dilations (rows, columns)."""
        return cls(*(ArrayAttr([IntAttr(n) for n in part]) for part in (kernel, pads, strides, dilations)))

    @property
    def values(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """kernel, pads, strides, dilations as plain numbers."""
        k, p, s, d = (tuple(n.data for n in a.data) for a in (self.kernel, self.pads, self.strides, self.dilations))
        return k, p, s, d

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Output rows and columns over an input of height × width."""
        (fy, fx), (top, bottom, left, right), (sy, sx), (dy, dx) = self.values
        return (
            (height + top + bottom - (fy - 1) * dy - 1) // sy + 1,
            (width + left + right - (fx - 1) * dx - 1) // sx + 1,
        )

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            fy = parser.parse_shape_dimension(False)
            parser.parse_shape_delimiter()
            fx = parser.parse_shape_dimension(False)
            parts: dict[str, tuple[int, ...]] = {"pad": (0, 0, 0, 0), "stride": (1, 1), "dilation": (1, 1)}
            for keyword, default in parts.items():
                if parser.parse_optional_keyword(keyword) is not None:
                    parts[keyword] = tuple(parser.parse_integer(allow_boolean=False) for _ in default)
        window = cls.of((fy, fx), parts["pad"], parts["stride"], parts["dilation"])
        return window.parameters

    def print_parameters(self, printer: Printer) -> None:
        kernel, pads, strides, dilations = self.values
        text = f"{kernel[0]}x{kernel[1]}"
        for keyword, part, default in (("pad", pads, 0), ("stride", strides, 1), ("dilation", dilations, 1)):
            if any(n != default for n in part):
                text += f" {keyword} {' '.join(map(str, part))}"
        printer.print_string(f"<{text}>")

    def verify(self) -> None:
        kernel, pads, strides, dilations = self.values
        if (len(kernel), len(pads), len(strides), len(dilations)) != (2, 4, 2, 2):
            raise VerifyException("a window has 2 kernel sizes, 4 pads, 2 strides and 2 dilations")
        if min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
            raise VerifyException("kernel sizes, strides and dilations are at least 1 and pads at least 0")


@irdl_attr_definition
class SumAttr(ParametrizedAttribute):
    """A residual sum behind a convolution: ``#cnn.sum<second, quant, clamp>``.

    ``position`` says which operand of the original sum the residual is (``first`` or ``second``): the law of ``add``
    is not symmetric in rounding. Quantisation and clamp are those of the sum's result.
    """

    name = "cnn.sum"
    position: StringAttr = param_def()
    quant: QuantAttr = param_def()
    clamp: ClampAttr = param_def()

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            position = parser.parse_identifier()
            parser.parse_punctuation(",")
            quant = parser.parse_attribute()
            parser.parse_punctuation(",")
            return StringAttr(position), quant, parser.parse_attribute()

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{self.position.data}, ")
        printer.print_attribute(self.quant)
        printer.print_string(", ")
        printer.print_attribute(self.clamp)
        printer.print_string(">")

    def verify(self) -> None:
        if self.position.data not in ("first", "second"):
            raise VerifyException(f"the residual is the sum's first or second operand, not '{self.position.data}'")


def integer(value: int) -> IntegerAttr:
    """A whole number as the ops of this dialect hold it."""
    return IntegerAttr(value, i64)


def integers(values: Sequence[int]) -> DenseArrayBase:
    """Whole numbers as the ops of this dialect hold them."""
    return DenseArrayBase.from_list(i64, list(values))


def _tensor(value: SSAValue) -> TensorType:
    if not isinstance(value.type, TensorType):
        raise VerifyException(f"expected a cnn tensor, got {value.type}")
    return value.type


class CnnOp(IRDLOperation):
    """Base of all cnn ops: ``layer`` names the layer, ``nodes`` the ONNX nodes it stands for."""

    layer = opt_prop_def(StringAttr)
    nodes = opt_prop_def(ArrayAttr[StringAttr])

    @property
    def result_tensor(self) -> TensorType:
        return _tensor(self.results[0])

    def provenance(self, layer: str, nodes: Iterable[str]) -> None:
        """Set the layer's name and its ONNX nodes, if there are any."""
        self.properties["layer"] = StringAttr(layer)
        if named := [StringAttr(node) for node in nodes]:
            self.properties["nodes"] = ArrayAttr(named)


_TAIL = " (`layer` $layer^)? (`nodes` $nodes^)? attr-dict `:` functional-type(operands, results)"


class _Conv(CnnOp):
    """Shared by convolution and fully connected: weights, parameters and the chain behind the accumulators.

    ``scales`` are the weights' scales per output channel, ``bias`` int32 with scale (input · weight), without the
    input's zero point folded in. ``quant`` and ``clamp`` are the requantised result; then the optional ``sum`` with
    the residual; then the optional ``table`` (256 int8, indexed by value + 128). The last stage's quantisation is the
    result type's.
    """

    input = operand_def(TensorType)
    residual = opt_operand_def(TensorType)
    weights = prop_def(BlobAttr)
    bias = prop_def(BlobAttr)
    scales = prop_def(BlobAttr)
    weight_zero = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(0, i64))
    quant = prop_def(QuantAttr)
    clamp = prop_def(ClampAttr)
    sum = opt_prop_def(SumAttr)
    table = opt_prop_def(BlobAttr)
    output = result_def(TensorType)
    traits = traits_def(Pure())

    def verify_(self) -> None:
        k = self.result_tensor.dims[3]
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
        if self.residual is not None and _tensor(self.residual).dims != self.result_tensor.dims:
            raise VerifyException(f"the residual {self.residual.type} has not the result's shape")


@irdl_op_definition
class Conv2dOp(_Conv):
    """2-D convolution with its chain: requantise, optional residual sum, optional table."""

    name = "cnn.conv2d"
    window = prop_def(WindowAttr)
    groups = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(1, i64))
    assembly_format = (
        "$input (`residual` $residual^)? `weights` $weights `bias` $bias `scales` $scales `window` $window "
        "(`groups` $groups^)? (`weight_zero` $weight_zero^)? `quant` $quant `clamp` $clamp "
        "(`sum` $sum^)? (`table` $table^)?" + _TAIL
    )

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = _tensor(self.input).dims
        on, oh, ow, k = self.result_tensor.dims
        groups = self.groups.value.data
        if c % groups or k % groups:
            raise VerifyException(f"{groups} groups do not divide {c} input and {k} output channels")
        (fy, fx), *_ = self.window.values
        if self.weights.shape != (k, fy, fx, c // groups):
            raise VerifyException(f"weights must be {k}x{fy}x{fx}x{c // groups}xi8, got {self.weights.data!r}")
        if (on, oh, ow) != (n, *self.window.output(h, w)):
            raise VerifyException(f"this window makes {self.window.output(h, w)} of {(h, w)}, not {(oh, ow)}")


@irdl_op_definition
class FullyConnectedOp(_Conv):
    """1x1x1xC → 1x1x1xK with weights Kx1x1xC and the chain of ``conv2d``."""

    name = "cnn.fully_connected"
    assembly_format = (
        "$input (`residual` $residual^)? `weights` $weights `bias` $bias `scales` $scales "
        "(`weight_zero` $weight_zero^)? `quant` $quant `clamp` $clamp (`sum` $sum^)? (`table` $table^)?" + _TAIL
    )

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = _tensor(self.input).dims
        if (h, w) != (1, 1) or self.result_tensor.dims[:3] != (n, 1, 1):
            raise VerifyException("a fully connected layer takes and gives Nx1x1xC; reshape before it")
        if self.weights.shape[1:] != (1, 1, c):
            raise VerifyException(f"weights must be Kx1x1x{c}xi8, got {self.weights.data!r}")


class _Unary(CnnOp):
    input = operand_def(TensorType)
    output = result_def(TensorType)
    traits = traits_def(Pure())


class _Moving(_Unary):
    """Moves codes and computes nothing, so operand and result share one quantisation."""

    def verify_(self) -> None:
        if _tensor(self.input).quant != self.result_tensor.quant:
            raise VerifyException(
                f"{self.name.removeprefix('cnn.')} moves codes: its result {self.output.type} has another scale or "
                "zero point than its operand"
            )


class _Pool(_Unary):
    window = prop_def(WindowAttr)

    def verify_(self) -> None:
        n, h, w, c = _tensor(self.input).dims
        if self.result_tensor.dims != (n, *self.window.output(h, w), c):
            raise VerifyException(f"this window makes {self.window.output(h, w)} of {(h, w)}, not {self.output.type}")


@irdl_op_definition
class MaxPool2dOp(_Pool, _Moving):
    """Greatest value in the window; padding never wins. Input and output share one quantisation."""

    name = "cnn.max_pool2d"
    assembly_format = "$input `window` $window" + _TAIL

    def verify_(self) -> None:
        _Moving.verify_(self)
        _Pool.verify_(self)


@irdl_op_definition
class AveragePool2dOp(_Pool):
    """Mean of the window; ``count_pads`` counts padded positions in the divisor."""

    name = "cnn.average_pool2d"
    count_pads = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(0, i64))
    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())
    assembly_format = "$input `window` $window (`count_pads` $count_pads^)? (`clamp` $clamp^)?" + _TAIL


@irdl_op_definition
class GlobalAveragePoolOp(_Unary):
    """Mean over all pixels: NxHxWxC → Nx1x1xC."""

    name = "cnn.global_average_pool"
    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())
    assembly_format = "$input (`clamp` $clamp^)?" + _TAIL

    def verify_(self) -> None:
        n, _, _, c = _tensor(self.input).dims
        if self.result_tensor.dims != (n, 1, 1, c):
            raise VerifyException(f"the result must be {n}x1x1x{c}, got {self.output.type}")


class _Binary(CnnOp):
    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs (`clamp` $clamp^)?" + _TAIL

    MAY_BROADCAST: ClassVar[bool] = False

    def verify_(self) -> None:
        left, right, out = _tensor(self.lhs).dims, _tensor(self.rhs).dims, self.result_tensor.dims
        pixel = (left[0], 1, 1, left[3])
        if left != out or (right != left and not (self.MAY_BROADCAST and right == pixel)):
            raise VerifyException(f"shapes {left}, {right} and {out} do not fit together")


@irdl_op_definition
class AddOp(_Binary):
    """Elementwise sum of two tensors of one shape."""

    name = "cnn.add"


@irdl_op_definition
class SubOp(_Binary):
    """Elementwise difference of two tensors of one shape: the law of ``add`` with the second ratio negated."""

    name = "cnn.sub"


@irdl_op_definition
class MulOp(_Binary):
    """Elementwise product; the second operand may be one pixel, Nx1x1xC."""

    name = "cnn.mul"
    MAY_BROADCAST: ClassVar[bool] = True


@irdl_op_definition
class ConcatOp(CnnOp):
    """Concatenation along channels; all operands already have the result's quantisation."""

    name = "cnn.concat"
    inputs = var_operand_def(TensorType)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$inputs" + _TAIL

    def verify_(self) -> None:
        out = self.result_tensor
        types = [_tensor(value) for value in self.inputs]
        if any(t.dims[:3] != out.dims[:3] for t in types) or sum(t.dims[3] for t in types) != out.dims[3]:
            raise VerifyException("the operands' shapes do not concatenate to the result's")
        if any(t.quant != out.quant for t in types):
            raise VerifyException("an operand's quantisation differs from the result's: requantise it first")


@irdl_op_definition
class SliceOp(_Moving):
    """A strided box: ``offsets`` and ``steps`` for N, H, W, C; sizes are the result's shape."""

    name = "cnn.slice"
    offsets = prop_def(DenseArrayBase.constr(i64))
    steps = prop_def(DenseArrayBase.constr(i64), default_value=DenseArrayBase.from_list(i64, [1, 1, 1, 1]))
    assembly_format = "$input `offsets` $offsets (`steps` $steps^)?" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        offsets, steps = self.offsets.get_values(), self.steps.get_values()
        sizes, whole = self.result_tensor.dims, _tensor(self.input).dims
        if len(offsets) != 4 or len(steps) != 4:
            raise VerifyException("a slice has four offsets and four steps")
        for offset, step, size, limit in zip(offsets, steps, sizes, whole, strict=True):
            if offset < 0 or step < 1 or offset + (size - 1) * step >= limit:
                raise VerifyException(f"the slice leaves its operand {self.input.type}")


@irdl_op_definition
class PadOp(_Moving):
    """Rows and columns of the zero point around the image (pads: top, bottom, left, right)."""

    name = "cnn.pad"
    pads = prop_def(DenseArrayBase.constr(i64))
    value = opt_prop_def(IntegerAttr.constr(i64))
    assembly_format = "$input `pads` $pads (`value` $value^)?" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        (n, h, w, c), pads = _tensor(self.input).dims, list(self.pads.get_values())
        fits = len(pads) == 4 and min(pads) >= 0
        if not fits or self.result_tensor.dims != (n, h + pads[0] + pads[1], w + pads[2] + pads[3], c):
            raise VerifyException(f"pads {pads} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class ResizeOp(_Moving):
    """Nearest-neighbour enlargement by whole factors (rows, columns): out[y, x] = in[y // fy, x // fx]."""

    name = "cnn.resize"
    factors = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input `factors` $factors" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = _tensor(self.input).dims
        fy, fx = self.factors.get_values()
        if self.result_tensor.dims != (n, h * fy, w * fx, c):
            raise VerifyException(f"factors {fy}, {fx} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class TransposeOp(_Moving):
    """Permutation of N, H, W, C."""

    name = "cnn.transpose"
    permutation = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input `permutation` $permutation" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        order = self.permutation.get_values()
        if sorted(order) != [0, 1, 2, 3] or self.result_tensor.dims != tuple(
            _tensor(self.input).dims[i] for i in order
        ):
            raise VerifyException(f"permutation {list(order)} does not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class ChannelShuffleOp(_Moving):
    """Channels as [groups, C/groups] become [C/groups, groups]: out[j·groups + i] = in[i·(C/groups) + j]."""

    name = "cnn.channel_shuffle"
    groups = prop_def(IntegerAttr.constr(i64))
    assembly_format = "$input `groups` $groups" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        groups, channels = self.groups.value.data, self.result_tensor.dims[3]
        if groups < 1 or channels % groups:
            raise VerifyException(f"{groups} groups do not divide {channels} channels")
        if self.result_tensor.dims != _tensor(self.input).dims:
            raise VerifyException("a channel shuffle keeps the shape")


@irdl_op_definition
class ReshapeOp(_Moving):
    """The same bytes in NHWC order under another shape."""

    name = "cnn.reshape"
    assembly_format = "$input" + _TAIL

    def verify_(self) -> None:
        super().verify_()
        a, b = _tensor(self.input).dims, self.result_tensor.dims
        if a[0] * a[1] * a[2] * a[3] != b[0] * b[1] * b[2] * b[3]:
            raise VerifyException(f"{self.input.type} and {self.output.type} do not hold as many elements")


@irdl_op_definition
class TableOp(_Unary):
    """Any function of one int8: out = table[in + 128]. Activations, requantisation of one tensor."""

    name = "cnn.table"
    table = prop_def(BlobAttr)
    function = opt_prop_def(StringAttr)
    assembly_format = "$input `table` $table (`function` $function^)?" + _TAIL

    def verify_(self) -> None:
        if self.table.shape != (256,) or self.table.data.element != "i8":
            raise VerifyException(f"a table is 256xi8, got {self.table.data!r}")


@irdl_op_definition
class AffineOp(_Unary):
    """Per-channel scale and offset (a BatchNorm that could not be folded): clamp(rne(f32(f32(x)·a[c]) + b[c]) + zy)."""

    name = "cnn.affine"
    scale = prop_def(BlobAttr)
    offset = prop_def(BlobAttr)
    clamp = prop_def(ClampAttr, default_value=ClampAttr.of())
    assembly_format = "$input `scale` $scale `offset` $offset (`clamp` $clamp^)?" + _TAIL

    def verify_(self) -> None:
        for blob in (self.scale, self.offset):
            if blob.shape != (self.result_tensor.dims[3],) or blob.data.element != "f32":
                raise VerifyException(f"scale and offset are one f32 per channel, got {blob.data!r}")


@irdl_op_definition
class LrnOp(_Unary):
    """Local response normalisation over ``size`` channels: x / (bias + alpha/size · Σ x²)^beta."""

    name = "cnn.lrn"
    size = prop_def(IntegerAttr.constr(i64))
    alpha = prop_def(FloatAttr.constr(f32))
    beta = prop_def(FloatAttr.constr(f32))
    bias = prop_def(FloatAttr.constr(f32))
    assembly_format = "$input `size` $size `alpha` $alpha `beta` $beta `bias` $bias" + _TAIL


@irdl_op_definition
class ConstantOp(CnnOp):
    """A constant activation (NHWC bytes)."""

    name = "cnn.constant"
    value = prop_def(BlobAttr)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value (`layer` $layer^)? (`nodes` $nodes^)? attr-dict `:` type($output)"


@irdl_op_definition
class HostOp(CnnOp):
    """A region the host runs: ONNX operators on tensors of the model's own types.

    An operand or result of type ``!cnn.tensor`` enters or leaves the region as ``tensor<NxHxWxCxi8>``.
    """

    name = "cnn.host"
    inputs = var_operand_def()
    body = region_def("single_block")
    outputs = var_result_def()
    assembly_format = "$inputs $body" + _TAIL

    def __init__(self, inputs: Sequence[SSAValue], outputs: Sequence[Attribute], body: Region):
        super().__init__(operands=[inputs], result_types=[outputs], regions=[body])


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a host region."""

    name = "cnn.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator())
    assembly_format = "($values^ `:` type($values))? attr-dict"

    def __init__(self, values: Sequence[SSAValue]):
        super().__init__(operands=[values])


CNN = Dialect(
    "cnn",
    [
        Conv2dOp,
        FullyConnectedOp,
        MaxPool2dOp,
        AveragePool2dOp,
        GlobalAveragePoolOp,
        AddOp,
        SubOp,
        MulOp,
        ConcatOp,
        SliceOp,
        PadOp,
        ResizeOp,
        TransposeOp,
        ChannelShuffleOp,
        ReshapeOp,
        TableOp,
        AffineOp,
        LrnOp,
        ConstantOp,
        HostOp,
        YieldOp,
    ],
    [TensorType, QuantAttr, ClampAttr, WindowAttr, SumAttr],
)
