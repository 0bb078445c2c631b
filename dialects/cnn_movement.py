"""The cnn dialect's movements: operations that move codes and compute nothing.

Operands and result therefore share one quantisation, and a chain of movements may be reordered or folded freely.
"""

from __future__ import annotations

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, i64
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, result_def, traits_def, var_operand_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import TAIL, CnnOp, TensorType, UnaryOp, between, tensor_of


class CodesOp(CnnOp):
    """Moves codes or chooses among them and computes nothing, so operands and result share one quantisation."""

    def verify_(self) -> None:
        if any(tensor_of(operand).quant != self.result_tensor.quant for operand in self.operands):
            raise VerifyException(
                f"{self.name.removeprefix('cnn.')} moves codes: its result {self.results[0].type} has another scale or "
                "zero point than its operand"
            )


class MovingOp(UnaryOp, CodesOp):
    """Moves the codes of one tensor."""


@irdl_op_definition
class ConcatOp(CnnOp):
    """Concatenation along channels; all operands already have the result's quantisation."""

    name = "cnn.concat"
    inputs = var_operand_def(TensorType)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$inputs" + TAIL

    def verify_(self) -> None:
        out = self.result_tensor
        types = [tensor_of(value) for value in self.inputs]
        if any(t.dims[:3] != out.dims[:3] for t in types) or sum(t.dims[3] for t in types) != out.dims[3]:
            raise VerifyException("the operands' shapes do not concatenate to the result's")
        if any(t.quant != out.quant for t in types):
            raise VerifyException("an operand's quantisation differs from the result's: requantise it first")


@irdl_op_definition
class SliceOp(MovingOp):
    """A strided box: ``offsets`` and ``steps`` for N, H, W, C; sizes are the result's shape."""

    name = "cnn.slice"
    offsets = prop_def(DenseArrayBase.constr(i64))
    steps = prop_def(DenseArrayBase.constr(i64), default_value=DenseArrayBase.from_list(i64, [1, 1, 1, 1]))
    assembly_format = "$input `offsets` $offsets (`steps` $steps^)?" + TAIL

    def verify_(self) -> None:
        super().verify_()
        offsets, steps = self.offsets.get_values(), self.steps.get_values()
        sizes, whole = self.result_tensor.dims, tensor_of(self.input).dims
        if len(offsets) != 4 or len(steps) != 4:
            raise VerifyException("a slice has four offsets and four steps")
        for offset, step, size, limit in zip(offsets, steps, sizes, whole, strict=True):
            if offset < 0 or step < 1 or offset + (size - 1) * step >= limit:
                raise VerifyException(f"the slice leaves its operand {self.input.type}")


@irdl_op_definition
class PadOp(MovingOp):
    """Rows and columns of the zero point around the image (pads: top, bottom, left, right)."""

    name = "cnn.pad"
    pads = prop_def(DenseArrayBase.constr(i64))
    value = opt_prop_def(IntegerAttr.constr(i64))
    assembly_format = "$input `pads` $pads (`value` $value^)?" + TAIL

    def verify_(self) -> None:
        super().verify_()
        (n, h, w, c), pads = tensor_of(self.input).dims, list(self.pads.get_values())
        if self.value is not None:
            between("the value of the pads", self.value.value.data, -128, 127)
        fits = len(pads) == 4 and min(pads) >= 0
        if not fits or self.result_tensor.dims != (n, h + pads[0] + pads[1], w + pads[2] + pads[3], c):
            raise VerifyException(f"pads {pads} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class ResizeOp(MovingOp):
    """Nearest-neighbour enlargement by whole factors (rows, columns): out[y, x] = in[y // fy, x // fx]."""

    name = "cnn.resize"
    factors = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input `factors` $factors" + TAIL

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = tensor_of(self.input).dims
        factors = list(self.factors.get_values())
        if len(factors) != 2 or min(factors) < 1:
            raise VerifyException(f"a resize has two factors, each at least 1, not {factors}")
        fy, fx = factors
        if self.result_tensor.dims != (n, h * fy, w * fx, c):
            raise VerifyException(f"factors {fy}, {fx} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class TransposeOp(MovingOp):
    """Permutation of N, H, W, C."""

    name = "cnn.transpose"
    permutation = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input `permutation` $permutation" + TAIL

    def verify_(self) -> None:
        super().verify_()
        order = self.permutation.get_values()
        if sorted(order) != [0, 1, 2, 3] or self.result_tensor.dims != tuple(
            tensor_of(self.input).dims[i] for i in order
        ):
            raise VerifyException(f"permutation {list(order)} does not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class ChannelShuffleOp(MovingOp):
    """Channels as [groups, C/groups] become [C/groups, groups]: out[j·groups + i] = in[i·(C/groups) + j]."""

    name = "cnn.channel_shuffle"
    groups = prop_def(IntegerAttr.constr(i64))
    assembly_format = "$input `groups` $groups" + TAIL

    def verify_(self) -> None:
        super().verify_()
        groups, channels = self.groups.value.data, self.result_tensor.dims[3]
        if groups < 1 or channels % groups:
            raise VerifyException(f"{groups} groups do not divide {channels} channels")
        if self.result_tensor.dims != tensor_of(self.input).dims:
            raise VerifyException("a channel shuffle keeps the shape")


@irdl_op_definition
class ReshapeOp(MovingOp):
    """The same bytes in NHWC order under another shape."""

    name = "cnn.reshape"
    assembly_format = "$input" + TAIL

    def verify_(self) -> None:
        super().verify_()
        a, b = tensor_of(self.input).dims, self.result_tensor.dims
        if a[0] * a[1] * a[2] * a[3] != b[0] * b[1] * b[2] * b[3]:
            raise VerifyException(f"{self.input.type} and {self.output.type} do not hold as many elements")
