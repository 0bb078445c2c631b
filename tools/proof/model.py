"""The labels that a cnn module gives to all its values: the right-hand side of the proof.

Arrays are [N, H, W, C] and every operation is written from the arithmetic page, zero points taken off first, where the
machine works on raw codes and a folded bias: the two sides meet in the field only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects import cnn
from dialects.blobs import to_array
from dialects.onnx_export import export_block, input_names, main_function, opsets_of, output_names
from sim.machine.errors import ReconError
from tools.proof import functions, host, laws
from tools.proof.book import Book, Rounding
from tools.proof.field import Labels, Round, Window, convolve, of_code, of_codes, plus

Quant = tuple[float, int]


@dataclass
class Labelled:
    """Labels of a module: outputs by name (flat), and those of all layers in order where they are asked for."""

    outputs: dict[str, Labels] = field(default_factory=dict[str, Labels])
    layers: dict[str, Labels] = field(default_factory=dict[str, Labels])


def symbols_of(run: Round, name: str, size: int, frame: int) -> Labels:
    """The labels of a network input in one frame of a batch: of each frame others."""
    return run.symbols(size, "input", name, frame)


def labels_of(module: ModuleOp, run: Round, frame: int = 0, layers: bool = False) -> Labelled:
    """The labels of ``main`` for a frame of a batch, and of its ``layers``; ReconError for an operation without any."""
    function = main_function(module)
    values: dict[SSAValue, Labels] = {}
    left: Counter[SSAValue] = Counter(value for op in function.body.block.ops for value in op.operands)
    found = Labelled()
    for name, argument in zip(input_names(function), function.body.block.args, strict=True):
        shape = _shape(argument)
        values[argument] = symbols_of(run, name, math.prod(shape), frame).reshape(shape)
        if layers:
            found.layers[name] = values[argument]
    for op in function.body.block.ops:
        operands = [values[value] for value in op.operands]
        if isinstance(op, ReturnOp | cnn.HostOp):  # who takes the bytes of float32 for numbers
            operands = [functions.number(run, labels) if isinstance(value.type, cnn.FloatType) else labels
                        for value, labels in zip(op.operands, operands, strict=True)]  # fmt: skip
        if isinstance(op, ReturnOp):
            names = output_names(function)
            found.outputs = {name: x.reshape(-1) for name, x in zip(names, operands, strict=True)}
        elif isinstance(op, cnn.HostOp):
            places = [f"x{number}" for number in range(len(operands))], [f"y{n}" for n in range(len(op.results))]
            graph = host.described(export_block(op.body.block, *places, opsets_of(module)).proto)
            for result, labels in zip(op.results, host.labelled(run, graph, operands), strict=True):
                values[result] = labels.reshape(_shape(result))
        else:
            values[op.results[0]] = _apply(op, run, operands)
        if layers and isinstance(op, cnn.CnnOp) and op.layer is not None and len(op.results) == 1:
            found.layers[op.layer.data] = values[op.results[0]]
        left.subtract(op.operands)
        for value in {value for value in op.operands if not left[value]}:
            del values[value]
    return found


def _shape(value: SSAValue) -> tuple[int, ...]:
    kind: Any = value.type
    return kind.dims if isinstance(kind, cnn.TensorType | cnn.FloatType) else tuple(kind.get_shape())


Handler = Callable[[Any, Round, Sequence[Labels]], Labels]
HANDLERS: dict[type[Operation], Handler] = {}
"""One entry for every operation of the dialect that computes; a test fails while one is missing."""


def law(*kinds: type[Operation]) -> Callable[[Handler], Handler]:
    """Register how the results of these operations are labelled."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def _apply(op: Operation, run: Round, operands: Sequence[Labels]) -> Labels:
    handler = HANDLERS.get(type(op))
    if handler is None:
        raise ReconError(f"{op.name} has no place in this proof; lower the module to the cnn level first.")
    return handler(op, run, operands)


def _quant(value: SSAValue) -> Quant:
    assert isinstance(value.type, cnn.TensorType)
    return value.type.scale.data, value.type.zero.data


def _clamp(op: Any) -> tuple[int, int]:
    return op.clamp.lo.data, op.clamp.hi.data


def _padded(image: Labels, pads: Sequence[int], value: int) -> Labels:
    if not any(pads):
        return image
    top, bottom, left, right = pads
    return np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=value)


def _per_image(x: Labels, function: Callable[[Labels], Labels]) -> Labels:
    return function(x[0])[None] if len(x) == 1 else np.stack([function(image) for image in x])


def _window(op: Any) -> tuple[Window, tuple[int, ...]]:
    """The window of a convolution or pool over its operand, and its pads."""
    (fy, fx), pads, (sy, sx), (dy, dx) = op.window.values
    _, oy, ox, _ = op.result_dims
    return Window((oy, ox), (fy, fx), (sy, sx), (dy, dx)), pads


@law(cnn.Conv2dOp, cnn.FullyConnectedOp)
def _convolution(op: cnn.Conv2dOp | cnn.FullyConnectedOp, run: Round, x: Sequence[Labels]) -> Labels:
    (sx, _), quant = _quant(op.input), op.quant
    scale = laws.convolution_scale(sx, to_array(op.scales), quant.scale.data, op.count.value.data)
    wide = op.sum is not None and op.sum.position.data == "wide"
    alone = (scale, quant.zero.data, *_clamp(op)) if not op.is_float and not wide else None
    total = _sums(op, run, x[0], alone)
    if op.is_float:
        return functions.unrounded(run, total, scale)
    y = total
    if not isinstance(run, Book) and not wide:
        y = functions.requantised(run, total, scale, quant.zero.data, *_clamp(op))
    if op.sum is not None and op.residual is not None and op.sum.position.data == "wide":
        result = op.sum.quant.scale.data, op.sum.quant.zero.data
        _, *ratios = laws.sum_ratios((op.quant.scale.data, 0), _quant(op.residual), result, 1)
        y = functions.joined(run, total, scale, x[1], (ratios[0], ratios[1]), _clamp(op.sum))
    elif op.sum is not None and op.residual is not None:
        mine, other = (y, (op.quant.scale.data, op.quant.zero.data)), (x[1], _quant(op.residual))
        result = op.sum.quant.scale.data, op.sum.quant.zero.data
        (a, qa), (b, qb) = (other, mine) if op.sum.position.data == "first" else (mine, other)
        y = functions.added(run, a, b, laws.sum_ratios(qa, qb, result, 1), *_clamp(op.sum))
    return y if op.table is None else functions.looked_up(run, y, to_array(op.table))


def _sums(
    op: cnn.Conv2dOp | cnn.FullyConnectedOp, run: Round, images: Labels, alone: tuple[laws.Floats, int, int, int] | None
) -> Labels:
    """Σ (x − zx)·(w − zw) + bias. A book takes raw codes x, as the machine does, and has the codes that sums are
    rounded to where they are rounded ``alone``: with this scale, zero point and clamp."""
    window, pads, groups = Window((1, 1), (1, 1)), (0, 0, 0, 0), 1
    if isinstance(op, cnn.Conv2dOp):
        (window, pads), groups = _window(op), op.groups.value.data
    (_, zx), zero, codes = _quant(op.input), op.weight_zero.value.data, to_array(op.weights)
    bias, (rows, columns) = to_array(op.bias).astype(np.int64), window.extent
    outputs, fy, fx, inputs = codes.shape
    codes = codes.reshape(groups, outputs // groups, fy, fx, inputs)
    if isinstance(run, Book):
        bias = bias - zx * (codes.reshape(outputs, -1).sum(axis=1, dtype=np.int64) - zero * fy * fx * inputs)
        rounding = Rounding(bias, np.broadcast_to(alone[0], bias.shape), *alone[1:]) if alone is not None else None
        layer = op.layer.data if op.layer is not None else ""

        def written(image: Labels) -> Labels:
            seen = _padded(image, pads, of_code(zx))[:rows, :columns]
            return run.write(layer, codes, zero, window, seen, rounding)

        found = _per_image(images, written)
        return found if rounding is not None else plus(found, bias)
    weights = codes.astype(np.int64) - zero

    def multiplied(image: Labels) -> Labels:
        return plus(convolve(_padded(plus(image, -zx), pads, 0)[:rows, :columns], weights, window), bias)

    return _per_image(images, multiplied)


@law(cnn.MaxPool2dOp)
def _max_pool(op: cnn.MaxPool2dOp, run: Round, x: Sequence[Labels]) -> Labels:
    window, pads = _window(op)
    rows, columns = window.extent

    def greatest(image: Labels) -> Labels:
        inside = np.pad(np.ones(image.shape[:2], np.bool_), (pads[:2], pads[2:]))[:rows, :columns]
        return functions.greatest(run, _padded(image, pads, 0)[:rows, :columns], inside, window)

    return _per_image(x[0], greatest)


@law(cnn.AveragePool2dOp)
def _average_pool(op: cnn.AveragePool2dOp, run: Round, x: Sequence[Labels]) -> Labels:
    (sx, zx), (sy, zy) = _quant(op.input), _quant(op.output)
    window, pads = _window(op)
    (oy, ox), (fy, fx), (stride_y, stride_x) = window.outputs, window.kernel, window.strides
    counts = np.full((oy, ox), fy * fx, np.int64)
    if not op.count_pads.value.data:
        _, height, width, _ = x[0].shape
        counts = np.outer(
            laws.counted(oy, fy, stride_y, pads[0], height), laws.counted(ox, fx, stride_x, pads[2], width)
        )
    rows, columns = window.extent

    def averaged(image: Labels) -> Labels:
        seen = _padded(image, pads, of_code(zx))[:rows, :columns]
        return functions.averaged(run, seen, window, counts, (sx, sy), (zx, zy), _clamp(op))

    return _per_image(x[0], averaged)


@law(cnn.GlobalAveragePoolOp)
def _global_average_pool(op: cnn.GlobalAveragePoolOp, run: Round, x: Sequence[Labels]) -> Labels:
    (sx, zx), (sy, zy) = _quant(op.input), _quant(op.output)
    _, height, width, _ = x[0].shape
    window, counts = Window((1, 1), (height, width)), np.full((1, 1), height * width, np.int64)
    return _per_image(
        x[0], lambda image: functions.averaged(run, image, window, counts, (sx, sy), (zx, zy), _clamp(op))
    )


@law(cnn.AddOp, cnn.SubOp)
def _sum(op: cnn.AddOp | cnn.SubOp, run: Round, x: Sequence[Labels]) -> Labels:
    sign = -1 if isinstance(op, cnn.SubOp) else 1
    ratios = laws.sum_ratios(_quant(op.lhs), _quant(op.rhs), _quant(op.output), sign)
    return functions.added(run, x[0], x[1], ratios, *_clamp(op))


@law(cnn.MulOp)
def _product(op: cnn.MulOp, run: Round, x: Sequence[Labels]) -> Labels:
    (sa, za), (sb, zb), (sy, zy) = _quant(op.lhs), _quant(op.rhs), _quant(op.output)
    return functions.multiplied(run, (x[0], za), (x[1], zb), laws.product_scale(sa, sb, sy), (zy, *_clamp(op)))


@law(cnn.MaxOp, cnn.MinOp)
def _chosen(op: cnn.MaxOp | cnn.MinOp, run: Round, x: Sequence[Labels]) -> Labels:
    return functions.chosen(run, op.name.removeprefix("cnn."), x[0], x[1], *_clamp(op))


@law(cnn.ConcatOp)
def _concat(op: cnn.ConcatOp, _run: Round, x: Sequence[Labels]) -> Labels:
    return np.concatenate(x, axis=op.axis.value.data)


@law(cnn.SelectOp)
def _select(op: cnn.SelectOp, _run: Round, x: Sequence[Labels]) -> Labels:
    (source,) = x
    for axis, chosen in enumerate(op.indices, start=1):
        source = np.take(source, list(chosen), axis=axis)
    return source


@law(cnn.InterleaveOp)
def _interleave(op: cnn.InterleaveOp, _run: Round, x: Sequence[Labels]) -> Labels:
    fy, fx = op.factors.get_values()
    _, height, width, _ = op.result_dims
    rows = [np.stack([x[y % fy * fx + c % fx][:, y // fy, c // fx] for c in range(width)], 1) for y in range(height)]
    return np.stack(rows, 1)


@law(cnn.SliceOp)
def _slice(op: cnn.SliceOp, _run: Round, x: Sequence[Labels]) -> Labels:
    parts = zip(op.offsets.get_values(), op.result_tensor.dims, op.steps.get_values(), strict=True)
    return x[0][tuple(slice(offset, offset + (size - 1) * step + 1, step) for offset, size, step in parts)]


@law(cnn.PadOp)
def _pad(op: cnn.PadOp, _run: Round, x: Sequence[Labels]) -> Labels:
    value = op.value.value.data if op.value is not None else _quant(op.input)[1]
    return _per_image(x[0], lambda image: _padded(image, op.pads.get_values(), of_code(value)))


@law(cnn.ResizeOp)
def _resize(op: cnn.ResizeOp, _run: Round, x: Sequence[Labels]) -> Labels:
    rows, columns = op.factors.get_values()
    return x[0].repeat(rows, axis=1).repeat(columns, axis=2)


@law(cnn.TransposeOp)
def _transpose(op: cnn.TransposeOp, _run: Round, x: Sequence[Labels]) -> Labels:
    return x[0].reshape(op.sizes).transpose(op.permutation.get_values()).reshape(op.result_tensor.dims)


@law(cnn.ChannelShuffleOp)
def _shuffle(op: cnn.ChannelShuffleOp, _run: Round, x: Sequence[Labels]) -> Labels:
    n, h, w, c = x[0].shape
    groups = op.groups.value.data
    return x[0].reshape(n, h, w, groups, c // groups).swapaxes(3, 4).reshape(n, h, w, c)


@law(cnn.ReshapeOp)
def _reshape(op: cnn.ReshapeOp, _run: Round, x: Sequence[Labels]) -> Labels:
    return x[0].reshape(op.result_tensor.dims)


@law(cnn.TableOp)
def _table(op: cnn.TableOp, run: Round, x: Sequence[Labels]) -> Labels:
    return functions.looked_up(run, x[0], to_array(op.table))


@law(cnn.AffineOp)
def _affine(op: cnn.AffineOp, run: Round, x: Sequence[Labels]) -> Labels:
    zero = op.result_tensor.zero.data
    return functions.scaled(run, x[0], to_array(op.scale), to_array(op.offset), zero, *_clamp(op))


@law(cnn.LrnOp)
def _lrn(op: cnn.LrnOp, run: Round, x: Sequence[Labels]) -> Labels:
    (sx, zx), (sy, zy) = _quant(op.input), _quant(op.output)
    numbers: npt.ArrayLike = [op.alpha.value.data, op.beta.value.data, op.bias.value.data, sx, sy]
    bits = np.array(numbers, np.float32).tobytes()
    return functions.normalised(run, x[0], op.size.value.data, (bits, zx, zy, -128, 127))


@law(cnn.ConstantOp)
def _constant(op: cnn.ConstantOp, _run: Round, _x: Sequence[Labels]) -> Labels:
    return of_codes(to_array(op.value)).reshape(op.result_tensor.dims)
