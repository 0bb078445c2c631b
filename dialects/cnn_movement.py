"""The cnn dialect's movements: operations that move codes and compute nothing.

Operands and result therefore share one quantisation, and a chain of movements may be reordered or folded freely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override
from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, i64
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, opt_prop_def, prop_def, result_def, traits_def, var_operand_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import FloatType, TensorType, between, tensor_of
from dialects.cnn_base import TAIL, CnnOp, UnaryOp


def _one_quantisation(types: Sequence[TensorType], out: TensorType) -> None:
    if any(t.quant != out.quant for t in types):
        raise VerifyException("an operand's quantisation differs from the result's: requantise it first")


def _numbers(given: Attribute | None) -> tuple[int, ...]:
    return tuple(given.get_values()) if isinstance(given, DenseArrayBase) else ()


def _number(given: Attribute | None, otherwise: int) -> int:
    return given.value.data if isinstance(given, IntegerAttr) else otherwise


def _check_axis(axis: int) -> None:
    if not 0 <= axis <= 3:
        raise VerifyException(f"a tensor has the axes 0 to 3, not {axis}")


def _check_slice(offsets: Sequence[int], steps: Sequence[int]) -> None:
    if len(offsets) != 4 or len(steps) != 4:
        raise VerifyException("a slice has four offsets and four steps")
    if min(offsets) < 0 or min(steps) < 1:
        raise VerifyException(
            f"a slice's offsets are at least 0 and its steps at least 1, not {list(offsets)} and {list(steps)}"
        )


def _check_pads(pads: Sequence[int]) -> None:
    if len(pads) != 4 or min(pads) < 0:
        raise VerifyException(f"pads are four numbers (top, bottom, left, right), each at least 0, not {list(pads)}")


def _check_factors(what: str, factors: Sequence[int]) -> None:
    if len(factors) != 2 or min(factors) < 1:
        raise VerifyException(f"{what} has two factors, each at least 1, not {list(factors)}")


def _check_permutation(order: Sequence[int], count: int) -> None:
    if sorted(order) != list(range(count)):
        raise VerifyException(
            f"a permutation of {count} dimensions names each of 0 to {count - 1} once, not {list(order)}"
        )


def _made_of(dims: Sequence[int], factors: Sequence[int]) -> bool:
    """Whether each of ``dims`` in turn is the product of the next factors, none of which belongs to two."""
    rest = list(factors)
    for size in dims:
        while size > 1 or (rest and rest[0] == 1):
            if not rest or size % rest[0]:
                return False
            size //= rest.pop(0)
    return not rest


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
    """Concatenation along ``axis`` of N, H, W, C; all operands already have the result's quantisation."""

    name = "cnn.concat"
    inputs = var_operand_def(TensorType)
    axis = prop_def(IntegerAttr.constr(i64), default_value=IntegerAttr(3, i64))
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$inputs (`axis` $axis^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        axis, dims = _number(properties.get("axis"), 3), list(types[0].dims)
        _check_axis(axis)
        dims[axis] = sum(kind.dims[axis] for kind in types)
        return types[0].like(dims)

    def verify_(self) -> None:
        out = self.result_tensor
        types = [tensor_of(value) for value in self.inputs]
        axis = self.axis.value.data
        _check_axis(axis)
        rest = [size for at, size in enumerate(out.dims) if at != axis]
        fits = all([size for at, size in enumerate(t.dims) if at != axis] == rest for t in types)
        if not fits or sum(t.dims[axis] for t in types) != out.dims[axis]:
            raise VerifyException("the operands' shapes do not concatenate to the result's")
        _one_quantisation(types, out)


@irdl_op_definition
class SliceOp(MovingOp):
    """A strided box: ``offsets`` and ``steps`` for N, H, W, C; sizes are the result's shape."""

    name = "cnn.slice"
    offsets = prop_def(DenseArrayBase.constr(i64))
    steps = prop_def(DenseArrayBase.constr(i64), default_value=DenseArrayBase.from_list(i64, [1, 1, 1, 1]))
    assembly_format = "$input `offsets` $offsets (`steps` $steps^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        offsets, steps = _numbers(properties["offsets"]), _numbers(properties.get("steps")) or (1, 1, 1, 1)
        _check_slice(offsets, steps)
        rest = zip(types[0].dims, offsets, steps, strict=True)
        return types[0].like([-(-(size - offset) // step) for size, offset, step in rest])

    def verify_(self) -> None:
        super().verify_()
        offsets, steps = self.offsets.get_values(), self.steps.get_values()
        sizes, whole = self.result_tensor.dims, tensor_of(self.input).dims
        _check_slice(offsets, steps)
        for offset, step, size, limit in zip(offsets, steps, sizes, whole, strict=True):
            if offset + (size - 1) * step >= limit:
                raise VerifyException(f"the slice leaves its operand {self.input.type}")


@irdl_op_definition
class PadOp(MovingOp):
    """Rows and columns of the zero point around the image (pads: top, bottom, left, right)."""

    name = "cnn.pad"
    pads = prop_def(DenseArrayBase.constr(i64))
    value = opt_prop_def(IntegerAttr.constr(i64))
    assembly_format = "$input `pads` $pads (`value` $value^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        pads, (n, h, w, c) = _numbers(properties["pads"]), types[0].dims
        _check_pads(pads)
        return types[0].like((n, h + pads[0] + pads[1], w + pads[2] + pads[3], c))

    def verify_(self) -> None:
        super().verify_()
        (n, h, w, c), pads = tensor_of(self.input).dims, list(self.pads.get_values())
        if self.value is not None:
            between("the value of the pads", self.value.value.data, -128, 127)
        _check_pads(pads)
        if self.result_tensor.dims != (n, h + pads[0] + pads[1], w + pads[2] + pads[3], c):
            raise VerifyException(f"pads {pads} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class ResizeOp(MovingOp):
    """Nearest-neighbour enlargement by whole factors (rows, columns): out[y, x] = in[y // fy, x // fx]."""

    name = "cnn.resize"
    factors = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input `factors` $factors" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        factors, (n, h, w, c) = _numbers(properties["factors"]), types[0].dims
        _check_factors("a resize", factors)
        return types[0].like((n, h * factors[0], w * factors[1], c))

    def verify_(self) -> None:
        super().verify_()
        n, h, w, c = tensor_of(self.input).dims
        _check_factors("a resize", self.factors.get_values())
        fy, fx = self.factors.get_values()
        if self.result_tensor.dims != (n, h * fy, w * fx, c):
            raise VerifyException(f"factors {fy}, {fx} do not make {self.output.type} of {self.input.type}")


@irdl_op_definition
class SelectOp(MovingOp):
    """The named rows, columns and channels, in that order: out[y, x, c] = in[rows[y], columns[x], channels[c]].

    Indices may repeat; an axis without a list is taken whole.
    """

    name = "cnn.select"
    rows = opt_prop_def(DenseArrayBase.constr(i64))
    columns = opt_prop_def(DenseArrayBase.constr(i64))
    channels = opt_prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input (`rows` $rows^)? (`columns` $columns^)? (`channels` $channels^)?" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        n, *whole = types[0].dims
        chosen = [_numbers(properties.get(name)) for name in ("rows", "columns", "channels")]
        return types[0].like((n, *(len(some) or size for some, size in zip(chosen, whole, strict=True))))

    @property
    def indices(self) -> tuple[tuple[int, ...], ...]:
        """Of every row, column and channel of the result the one of the operand."""
        lists = (self.rows, self.columns, self.channels)
        whole = tensor_of(self.input).dims[1:]
        return tuple(
            tuple(chosen.get_values()) if chosen is not None else tuple(range(size))
            for chosen, size in zip(lists, whole, strict=True)
        )

    def verify_(self) -> None:
        super().verify_()
        n, *whole = tensor_of(self.input).dims
        if self.result_tensor.dims != (n, *(len(chosen) for chosen in self.indices)):
            raise VerifyException(f"the result {self.output.type} does not hold as many rows, columns and channels")
        for chosen, size in zip(self.indices, whole, strict=True):
            if min(chosen) < 0 or max(chosen) >= size:
                raise VerifyException(
                    f"index {min(chosen) if min(chosen) < 0 else max(chosen)} is outside its operand {self.input.type}"
                )


@irdl_op_definition
class InterleaveOp(CnnOp):
    """Images woven into one: out[y, x] = inputs[(y % fy)·fx + x % fx][y // fy, x // fx] for factors fy, fx."""

    name = "cnn.interleave"
    inputs = var_operand_def(TensorType | FloatType)
    factors = prop_def(DenseArrayBase.constr(i64))
    output = result_def(TensorType | FloatType)
    traits = traits_def(Pure())
    assembly_format = "$inputs `factors` $factors" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        factors, (n, _, _, c) = _numbers(properties["factors"]), types[0].dims
        _check_factors("an interleaving", factors)
        if len(types) != factors[0] * factors[1]:
            return None
        rows, columns = (
            sum(kind.dims[1] for kind in types[:: factors[1]]),
            sum(k.dims[2] for k in types[: factors[1]]),
        )
        return types[0].like((n, rows, columns, c))

    def verify_(self) -> None:
        types = [value.type for value in self.inputs]
        _check_factors("an interleaving", self.factors.get_values())
        fy, fx = self.factors.get_values()
        if len(types) != fy * fx:
            raise VerifyException(f"factors {fy}, {fx} take {fy * fx} operands, not {len(types)}")
        n, h, w, c = self.result_dims
        for number, kind in enumerate(types):
            rows, columns = -(-(h - number // fx) // fy), -(-(w - number % fx) // fx)
            if not isinstance(kind, TensorType | FloatType) or kind.dims != (n, rows, columns, c):
                raise VerifyException(f"operand {number} must be {n}x{rows}x{columns}x{c}, got {kind}")
        if isinstance(self.output.type, TensorType):
            _one_quantisation([tensor_of(value) for value in self.inputs], self.result_tensor)
        elif any(isinstance(kind, TensorType) for kind in types):
            raise VerifyException("codes and float32 cannot be woven into one image")


@irdl_op_definition
class TransposeOp(MovingOp):
    """Permutation of N, H, W, C, or of the ``factors`` that these are made of: the operand seen in the factors' shape,
    transposed, and seen in the result's."""

    name = "cnn.transpose"
    factors = opt_prop_def(DenseArrayBase.constr(i64))
    permutation = prop_def(DenseArrayBase.constr(i64))
    assembly_format = "$input (`factors` $factors^)? `permutation` $permutation" + TAIL

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        order, dims = _numbers(properties["permutation"]), types[0].dims
        if "factors" in properties:
            return None
        _check_permutation(order, 4)
        return types[0].like([dims[axis] for axis in order])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape that is permuted."""
        return tuple(self.factors.get_values()) if self.factors is not None else tensor_of(self.input).dims

    def verify_(self) -> None:
        super().verify_()
        order, sizes = self.permutation.get_values(), self.sizes
        _check_permutation(order, len(sizes))
        if not _made_of(tensor_of(self.input).dims, sizes) or not _made_of(
            self.result_tensor.dims, [sizes[i] for i in order]
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

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        return None

    def verify_(self) -> None:
        super().verify_()
        a, b = tensor_of(self.input).dims, self.result_tensor.dims
        if a[0] * a[1] * a[2] * a[3] != b[0] * b[1] * b[2] * b[3]:
            raise VerifyException(f"{self.input.type} and {self.output.type} do not hold as many elements")
