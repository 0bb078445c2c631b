"""Reading means, sums, extremes and normalisations: AveragePool, GlobalAveragePool, Reduce…, LRN.

Choice. A reduction is done where its axes lie in memory: over rows and columns by pools; over channels as a product
with weights of one (sums and means) or by halves of the channels against each other (extremes, which may meet an
element twice). No tensor is turned for it unless an axis that goes and one that stays share a place, or the host does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, SSAValue

from dialects import cnn
from dialects.blobs import to_blob
from dialects.cnn_attributes import WindowAttr
from dialects.onnx import NodeOp, shape_of
from passes.common.windows import window_of
from passes.onnx_to_cnn.context import Conversion, Spec, standard_spec
from passes.onnx_to_cnn.moves import lazy, moved
from passes.onnx_to_cnn.values import Codes, Meaning, Normalised, Pool, Quant, Sums, Unsupported
from passes.onnx_to_cnn.view import View, flat

MOST_WINDOW = 255
"""Rows or columns of a window, which an 8-bit field counts."""


def read_average_pool(r: Conversion, node: NodeOp) -> Meaning:
    """AveragePool; one that covers the whole image is the mean over it, a dilated one is made of dense ones."""
    codes = r.codes(r.operand(node, 0), node)
    shape = codes.shape
    if len(shape) not in (3, 4):
        raise Unsupported(f"It pools over {len(shape) - 2} axes; the machine pools over one or two.")
    window = window_of(node, shape[2:], node.get_ints("kernel_shape") or ())
    counted = bool(node.get_int("count_include_pad", 0))
    if counted and any(window.overhang):
        raise Unsupported("Its ceil_mode lets a window reach beyond counted pads; make the pads explicit.")
    result = (*shape[:2], *window.outputs)
    whole = all(
        m == 1 and k - b >= n and (d == 1 or n == 1)
        for m, k, b, n, d in zip(window.outputs, window.kernel, window.before, shape[2:], window.dilations, strict=True)
    )
    if whole and not (counted and any(window.pads)):
        return Pool(result, (node,), codes, lambda: r.place(codes), None, False, View.canonical(result))
    lead, none = ((), ()) if len(shape) == 4 else ((1,), (0,))
    end = tuple(a + o for a, o in zip(window.after, window.overhang, strict=True))
    (top, left), (bottom, right) = (*none, *window.before), (*none, *end)
    sides = ((*lead, *window.kernel), (top, bottom, left, right), (*lead, *window.strides), (*lead, *window.dilations))
    if not counted and WindowAttr.of(*sides).meets_padding_alone(*((1, 1, *shape[2:])[-2:])):
        raise Unsupported("It takes the mean of windows of padding alone, which has no value; make the pads smaller.")
    return Pool(result, (node,), codes, lambda: r.place(codes), sides, counted, View.canonical(result))


def read_global_average_pool(r: Conversion, node: NodeOp) -> Meaning:
    """GlobalAveragePool."""
    codes = r.codes(r.operand(node, 0), node)
    result = shape_of(node.outputs[0])
    return Pool(result, (node,), codes, lambda: r.place(codes), None, False, View.canonical(result))


@dataclass(frozen=True)
class _Reduction:
    """A reduction in memory: ``spec`` the operand's order, ``over`` whether its rows, columns and channels go."""

    codes: Codes
    spec: Spec
    dims: tuple[int, int, int, int]
    over: tuple[bool, bool, bool]
    result: View

    @property
    def kernel(self) -> tuple[int, int]:
        """The window of rows and columns that is taken together."""
        return self.dims[1] if self.over[0] else 1, self.dims[2] if self.over[1] else 1

    @property
    def count(self) -> int:
        """Elements taken together."""
        return self.kernel[0] * self.kernel[1] * (self.dims[3] if self.over[2] else 1)


def _axes(r: Conversion, node: NodeOp) -> set[int]:
    """The axes that a Reduce operator takes together."""
    shape = shape_of(node.inputs[0])
    every = () if node.get_int("noop_with_empty_axes", 0) else tuple(range(len(shape)))
    axes = {axis % len(shape) for axis in r.integers(node, 1, "axes") or every}
    if 0 in axes and shape[0] > 1:
        raise Unsupported("It takes the images of a batch together; the machine works on one image at a time.")
    return axes


def _changes_nothing(r: Conversion, node: NodeOp) -> bool:
    shape = shape_of(node.inputs[0])
    return all(shape[axis] == 1 for axis in _axes(r, node))


def _reduction(r: Conversion, node: NodeOp, codes: Codes) -> _Reduction:
    """What is taken together, and where; the order in memory stays where it can."""
    axes, shape, result = _axes(r, node), codes.shape, shape_of(node.outputs[0])
    rank = len(shape)
    real = [axis for axis in sorted(axes) if shape[axis] > 1]
    kept = [axis for axis in (*range(2, rank), 1) if axis < rank and axis not in axes]
    made: Spec = ((0,) if 0 not in axes else (), tuple(real[:-1]), tuple(real[-1:]), tuple(kept))
    lies = (r.spec_of(codes.view), standard_spec(rank)) if codes.storage.source is None else ()
    fitting = [each for each in (*lies, made) if each is not None and _whole(each, real, shape)]
    spec = min(fitting, key=lambda each: any(step.kind == "transpose" for step in r.steps(codes.view, each)))
    logical = View.canonical(result).logical
    keep = bool(node.get_int("keepdims", 1))
    place = {axis: axis if keep else at for at, axis in enumerate(a for a in range(rank) if keep or a not in axes)}
    n, h, w, c = (flat([logical[place[axis]] for axis in part if axis not in axes]) for part in spec)
    rows, columns, channels = (any(axis in real for axis in part) for part in spec[1:])
    dims = View(codes.view.logical, r.memory(codes.view, spec)).dims
    return _Reduction(codes, spec, dims, (rows, columns, channels), View(logical, (n, h, w, c)))


def _whole(spec: Spec, axes: Sequence[int], shape: tuple[int, ...]) -> bool:
    """Whether rows, columns and channels each go or stay as a whole."""
    alike = [len({axis in axes for axis in part if shape[axis] > 1}) <= 1 for part in spec[1:]]
    return all(alike) and not any(axis in axes for axis in spec[0])


def read_reduce_mean(r: Conversion, node: NodeOp) -> Meaning:
    """ReduceMean over any axes but the batch: a pool over rows and columns, a product with ones where channels go."""
    if _changes_nothing(r, node):
        return _as_it_is(r, node)
    found = _reduction(r, node, r.codes(r.operand(node, 0), node))
    if found.over[2]:
        return _total(r, node, found, found.count)
    whole = found.kernel == found.dims[1:3]
    window = None if whole else (found.kernel, (0, 0, 0, 0), (1, 1), (1, 1))
    return Pool(found.result.shape, (node,), found.codes, lambda: r.place(found.codes, found.spec), window, False,
                found.result)  # fmt: skip


def read_reduce_sum(r: Conversion, node: NodeOp) -> Meaning:
    """ReduceSum over any axes but the batch, as a product with ones."""
    if _changes_nothing(r, node):
        return _as_it_is(r, node)
    return _total(r, node, _reduction(r, node, r.codes(r.operand(node, 0), node)), 1)


def _as_it_is(r: Conversion, node: NodeOp) -> Meaning:
    """The operand, whose axes of one element go or stay."""
    shape = shape_of(node.outputs[0])

    def move(codes: Sequence[Codes], _quant: Quant) -> Codes:
        view = codes[0].view.reshaped(shape)
        assert view is not None
        return codes[0].seen(view)

    return moved(r, node, [r.operand(node, 0)], move, shape)


def _total(r: Conversion, node: NodeOp, found: _Reduction, count: int) -> Sums:
    """The product with ones, over all channels or for each by itself; ``count`` makes a mean of it."""
    channels = found.dims[3]
    outputs, inputs = (1, channels) if found.over[2] else (channels, 1)
    is_vector = found.dims[1:3] == (1, 1) and found.over[2]
    axis = next((at for at, atoms in enumerate(found.result.logical) if atoms and atoms == found.result.memory[3]), -1)
    return Sums(
        shape=found.result.shape,
        trail=(node,),
        codes=found.codes,
        weights=np.ones((outputs, *found.kernel, inputs), np.int8),
        weight_scale=np.ones(outputs, np.float32),
        weight_zero=np.zeros(outputs, np.int64),
        bias=np.zeros(outputs, np.int64),
        window=None if is_vector else (found.kernel, (0, 0, 0, 0), (1, 1), (1, 1)),
        groups=1 if found.over[2] else channels,
        place=lambda: r.place(found.codes, found.spec),
        result=found.result,
        channel_axis=axis,
        input_scale=found.codes.quant.scale,
        count=count,
    )


def read_reduce_extreme(r: Conversion, node: NodeOp) -> Meaning:
    """ReduceMax and ReduceMin over any axes but the batch: pools over rows and columns, halves of channels against each
    other."""
    if _changes_nothing(r, node):
        return _as_it_is(r, node)

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        found = _reduction(r, node, codes[0])
        return lazy(r, lambda: _extreme(r, node, found, quant), found.result, quant)

    return moved(r, node, [r.operand(node, 0)], move, shape_of(node.outputs[0]))


def _extreme(r: Conversion, node: NodeOp, found: _Reduction, quant: Quant) -> SSAValue:
    """The greatest or least codes. The least are the greatest of codes turned over, −1 − x, turned back."""
    value = r.place(found.codes, found.spec)
    n, height, width, channels = found.dims
    kernel, least = found.kernel, node.kind == "ReduceMin"
    turned = least and kernel != (1, 1)
    steps: list[cnn.CnnOp] = []

    def step(kind: type[cnn.CnnOp], operands: Sequence[SSAValue], dims: Sequence[int], **properties: Attribute) -> None:
        nonlocal value
        op = kind.build(operands=operands, result_types=[r.type_of(dims, quant)], properties=properties)
        steps.append(op)
        value = op.results[0]

    over = {"table": to_blob(np.arange(127, -129, -1).astype(np.int8)), "function": StringAttr("turned over")}
    if turned:
        step(cnn.TableOp, [value], found.dims, **over)
    while kernel != (1, 1):
        taken = tuple(size if size <= MOST_WINDOW else math.isqrt(size - 1) + 1 for size in kernel)
        rows, columns = -(-height // taken[0]), -(-width // taken[1])
        pads = (0, rows * taken[0] - height, 0, columns * taken[1] - width)
        height, width = rows, columns
        kernel = tuple(left if whole > 1 else 1 for left, whole in zip((rows, columns), kernel, strict=True))
        window = cnn.WindowAttr.of(taken, pads, taken)
        step(cnn.MaxPool2dOp, [value], (n, height, width, channels), window=window)
    if turned:
        step(cnn.TableOp, [value], (n, height, width, channels), **over)
    while found.over[2] and channels > 1:
        whole, rest, channels = value, channels // 2, channels - channels // 2
        halves: list[SSAValue] = []
        for first in (0, rest):  # of an odd number they share one
            step(cnn.SliceOp, [whole], (n, height, width, channels), offsets=cnn.integers((0, 0, 0, first)))
            halves.append(value)
        step(cnn.MinOp if least else cnn.MaxOp, halves, (n, height, width, channels))
    for op in steps[:-1]:
        r.emit(op, node.kind.lower(), (node,))
    return r.emit(steps[-1], node, (node,))


def read_lrn(r: Conversion, node: NodeOp) -> Meaning:
    """Local response normalisation over channels."""
    codes = r.codes(r.operand(node, 0), node)
    values = (node.get_float("alpha", 1e-4), node.get_float("beta", 0.75), node.get_float("bias", 1.0))
    return Normalised(codes.shape, (node,), codes, node.get_int("size", 1), *values)
