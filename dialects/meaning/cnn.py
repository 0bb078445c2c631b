"""What a cnn module computes: numpy, op by op, on the model's own inputs and outputs.

The function's body runs from top to bottom with int8 NHWC arrays; host regions run as ONNX. ``HANDLERS`` has one entry
per operation of the dialect; a test fails while one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation, SSAValue

from dialects import cnn
from dialects.blobs import to_array
from dialects.host import run_onnx
from dialects.meaning import kernels
from dialects.meaning.steps import Operands, placed, vector
from dialects.onnx_export import export_block, input_names, main_function, opsets_of, output_names
from dialects.recon import BlobAttr
from dialects.text import place_in_text
from sim.machine.errors import ReconError

Array = npt.NDArray[Any]
Handler = Callable[[Any, Sequence[Array]], Array]


def evaluate(module: ModuleOp, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
    """The outputs of ``main`` by name, for inputs by name, in the model's own types and shapes.

    Raises ValueError for a missing input, OverflowError where the machine would fault on a sum beyond int32.
    """
    return evaluate_all(module, inputs).outputs


@dataclass
class Computed:
    """Outputs by name, every layer's result by layer name, and every value of the function."""

    outputs: dict[str, Array] = field(default_factory=dict[str, Array])
    layers: dict[str, Array] = field(default_factory=dict[str, Array])
    values: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])


def evaluate_all(module: ModuleOp, inputs: Mapping[str, npt.ArrayLike]) -> Computed:
    """As ``evaluate``, with all intermediate values, int8 NHWC, by the name of their layer."""
    function = main_function(module)
    run = Computed()
    _bind(function, inputs, run)
    opsets = opsets_of(module)
    for op in function.body.block.ops:
        operands = [run.values[value] for value in op.operands]
        if isinstance(op, ReturnOp):
            run.outputs = dict(zip(output_names(function), operands, strict=True))
        elif isinstance(op, cnn.HostOp):
            run.values.update(zip(op.results, run_host(op, operands, opsets), strict=True))
        else:
            try:
                run.values[op.results[0]] = apply(op, operands)
            except ValueError as error:
                raise placed(op, error) from None
            except OverflowError as error:  # no fault of the text: for this input there is no answer
                place = place_in_text(op)
                raise OverflowError(f"{place}: {error}" if place else str(error)) from None
        if isinstance(op, cnn.CnnOp) and op.layer is not None and len(op.results) == 1:
            run.layers[op.layer.data] = run.values[op.results[0]]
    return run


def _bind(function: FuncOp, inputs: Mapping[str, npt.ArrayLike], run: Computed) -> None:
    for name, argument in zip(input_names(function), function.body.block.args, strict=True):
        if name not in inputs:
            raise ValueError(f"no value given for the input '{name}'")
        run.values[argument] = np.asarray(inputs[name])


def apply(op: Operation, operands: Sequence[Array]) -> Array:
    """One operation of the dialect, host regions excepted. ValueError for an operation without a meaning."""
    handler = HANDLERS.get(type(op))
    if handler is None:
        raise ValueError(f"{op.name} has no meaning at the cnn level")
    return handler(op, operands)


def run_host(op: cnn.HostOp, operands: Sequence[Array], opsets: Mapping[str, int]) -> list[Array]:
    """The results of a host region."""
    inputs = [f"in{i}" for i in range(len(operands))]
    outputs = [f"out{i}" for i in range(len(op.results))]
    proto = export_block(op.body.block, inputs, outputs, opsets).proto
    try:
        made = run_onnx(proto, dict(zip(inputs, operands, strict=True)))
    except ReconError as error:
        raise placed(op, error) from None
    return [made[name] for name in outputs]


def chain(op: cnn.Conv2dOp | cnn.FullyConnectedOp, acc: kernels.Int64, residual: kernels.Int8 | None) -> Array:
    """What stands behind the sums (with bias): requantise, the optional sum, the optional table; or float32."""
    count = op.count.value.data
    scale = kernels.requantise_scale(_type(op.input).scale.data, to_array(op.scales), op.quant.scale.data, count)
    if op.is_float:
        return kernels.scaled(acc, scale)
    if op.sum is not None and op.sum.position.data == "wide" and residual is not None and op.residual is not None:
        ratios = kernels.add_ratios(op.quant.scale.data, 0, *_plain(_type(op.residual).quant), *_plain(op.sum.quant))
        y = kernels.requantise_sum(acc, scale, residual, ratios, op.sum.clamp.lo.data, op.sum.clamp.hi.data)
        return y if op.table is None else kernels.table_lookup(y, to_array(op.table))
    y = kernels.requantise(acc, scale, op.quant.zero.data, op.clamp.lo.data, op.clamp.hi.data)
    if op.sum is not None and residual is not None and op.residual is not None:
        mine, other, result = op.quant, _type(op.residual).quant, op.sum.quant
        first, second = (y, mine), (residual, other)
        if op.sum.position.data == "first":
            first, second = second, first
        ratios = kernels.add_ratios(*_plain(first[1]), *_plain(second[1]), *_plain(result))
        y = kernels.add(first[0], second[0], ratios, op.sum.clamp.lo.data, op.sum.clamp.hi.data)
    return y if op.table is None else kernels.table_lookup(y, to_array(op.table))


def _plain(quant: cnn.QuantAttr) -> tuple[float, int]:
    return quant.scale.data, quant.zero.data


def _type(value: SSAValue) -> cnn.TensorType:
    assert isinstance(value.type, cnn.TensorType)
    return value.type


def _clamp(op: Any) -> tuple[int, int]:
    return op.clamp.lo.data, op.clamp.hi.data


def _blob(blob: BlobAttr) -> Array:
    return to_array(blob)


def _conv_like(op: Any, x: Sequence[Array], window: cnn.WindowAttr, groups: int) -> Array:
    _, pads, strides, dilations = window.values
    weights, wz = _blob(op.weights), op.weight_zero.value.data
    zero = _type(op.input).zero.data
    acc = kernels.accumulate(x[0], weights, (pads[0], pads[1], pads[2], pads[3]), strides, dilations, groups, zero, wz)
    if not kernels.fits_int32(acc):
        raise OverflowError(f"{_label(op)}: a sum of products does not fit int32")
    acc += kernels.machine_bias(_blob(op.bias), weights, zero, wz)
    if not kernels.fits_int32(acc):
        raise OverflowError(f"{_label(op)}: a sum of products with its bias does not fit int32")
    return chain(op, acc, x[1] if len(x) > 1 else None)


def _label(op: cnn.CnnOp) -> str:
    return op.layer.data if op.layer is not None else op.name


def _conv2d(op: cnn.Conv2dOp, x: Sequence[Array]) -> Array:
    return _conv_like(op, x, op.window, op.groups.value.data)


def _fully_connected(op: cnn.FullyConnectedOp, x: Sequence[Array]) -> Array:
    return _conv_like(op, x, cnn.WindowAttr.of((1, 1)), 1)


def _pads(window: cnn.WindowAttr) -> kernels.Pads:
    top, bottom, left, right = window.values[1]
    return top, bottom, left, right


def _max_pool(op: cnn.MaxPool2dOp, x: Sequence[Array]) -> Array:
    kernel, _, strides, dilations = op.window.values
    return kernels.max_pool(x[0], kernel, _pads(op.window), strides, dilations)


def _average_pool(op: cnn.AveragePool2dOp, x: Sequence[Array]) -> Array:
    kernel, _, strides, _ = op.window.values
    (sx, zx), (sy, zy) = _plain(_type(op.input).quant), _plain(op.result_tensor.quant)
    counted = bool(op.count_pads.value.data)
    return kernels.average_pool(x[0], kernel, zx, sx, sy, zy, _pads(op.window), strides, counted, *_clamp(op))


def _global_average_pool(op: cnn.GlobalAveragePoolOp, x: Sequence[Array]) -> Array:
    (sx, zx), (sy, zy) = _plain(_type(op.input).quant), _plain(op.result_tensor.quant)
    return kernels.global_average_pool(x[0], zx, sx, sy, zy, *_clamp(op))


def _binary(op: Any, x: Sequence[Array]) -> Array:
    """Two tensors element by element: the operation of the machine that has its name, with numbers of this level."""
    (sa, za), (sb, zb), (sy, zy) = (_plain(t.quant) for t in (_type(op.lhs), _type(op.rhs), op.result_tensor))
    kind, (lo, hi) = op.name.removeprefix("cnn."), _clamp(op)
    numbers: dict[str, float] = {"lo": lo, "hi": hi}
    match op:
        case cnn.AddOp() | cnn.SubOp():
            kind, ratios = "add", kernels.add_ratios(sa, za, sb, zb, sy, zy, isinstance(op, cnn.SubOp))
            numbers |= dict(zip(("ra", "rb", "fix"), ratios, strict=True))
        case cnn.MulOp():
            numbers |= {"za": za, "zb": zb, "ra": kernels.mul_scale(sa, sb, sy), "zero_point": zy}
        case cnn.CodesOp():
            pass
        case _:
            raise ValueError(f"{op.name} has no numbers at the cnn level")
    return vector(kind, Operands(x[0], x[1]), numbers)


def _concat(op: cnn.ConcatOp, x: Sequence[Array]) -> Array:
    return np.concatenate(x, axis=op.axis.value.data)


def _select(op: cnn.SelectOp, x: Sequence[Array]) -> Array:
    rows, columns, channels = op.indices
    return x[0][:, rows][:, :, columns][..., channels]


def _interleave(op: cnn.InterleaveOp, x: Sequence[Array]) -> Array:
    fy, fx = op.factors.get_values()
    woven = np.empty(op.result_dims, x[0].dtype)
    for number, part in enumerate(x):
        woven[:, number // fx :: fy, number % fx :: fx] = part
    return woven


def _slice(op: cnn.SliceOp, x: Sequence[Array]) -> Array:
    return kernels.box(x[0], op.offsets.get_values(), op.result_tensor.dims, op.steps.get_values())


def _pad(op: cnn.PadOp, x: Sequence[Array]) -> Array:
    top, bottom, left, right = op.pads.get_values()
    value = op.value.value.data if op.value is not None else _type(op.input).zero.data
    return kernels.pad_image(x[0], (top, bottom, left, right), value)


def _resize(op: cnn.ResizeOp, x: Sequence[Array]) -> Array:
    return kernels.resize(x[0], op.factors.get_values())


def _transpose(op: cnn.TransposeOp, x: Sequence[Array]) -> Array:
    moved = x[0].reshape(op.sizes).transpose(op.permutation.get_values())
    return np.ascontiguousarray(moved).reshape(op.result_tensor.dims)


def _channel_shuffle(op: cnn.ChannelShuffleOp, x: Sequence[Array]) -> Array:
    return kernels.shuffle(x[0], op.groups.value.data)


def _reshape(op: cnn.ReshapeOp, x: Sequence[Array]) -> Array:
    return x[0].reshape(op.result_tensor.dims)


def _table(op: cnn.TableOp, x: Sequence[Array]) -> Array:
    return kernels.table_lookup(x[0], _blob(op.table))


def _affine(op: cnn.AffineOp, x: Sequence[Array]) -> Array:
    zero = op.result_tensor.zero.data
    return kernels.affine(x[0], _blob(op.scale), _blob(op.offset), zero, *_clamp(op))


def _lrn(op: cnn.LrnOp, x: Sequence[Array]) -> Array:
    (sx, zx), (sy, zy) = _plain(_type(op.input).quant), _plain(op.result_tensor.quant)
    values = (op.alpha.value.data, op.beta.value.data, op.bias.value.data)
    return kernels.lrn(x[0], op.size.value.data, *values, sx, zx, sy, zy)


def _constant(op: cnn.ConstantOp, _x: Sequence[Array]) -> Array:
    return _blob(op.value).reshape(op.result_tensor.dims)


HANDLERS: dict[type[Operation], Handler] = {
    cnn.Conv2dOp: _conv2d,
    cnn.FullyConnectedOp: _fully_connected,
    cnn.MaxPool2dOp: _max_pool,
    cnn.AveragePool2dOp: _average_pool,
    cnn.GlobalAveragePoolOp: _global_average_pool,
    **{kind: _binary for kind in cnn.CNN.operations if issubclass(kind, cnn.BinaryOp)},
    cnn.ConcatOp: _concat,
    cnn.SliceOp: _slice,
    cnn.SelectOp: _select,
    cnn.InterleaveOp: _interleave,
    cnn.PadOp: _pad,
    cnn.ResizeOp: _resize,
    cnn.TransposeOp: _transpose,
    cnn.ChannelShuffleOp: _channel_shuffle,
    cnn.ReshapeOp: _reshape,
    cnn.TableOp: _table,
    cnn.AffineOp: _affine,
    cnn.LrnOp: _lrn,
    cnn.ConstantOp: _constant,
}
"""The meaning of every operation except host regions and the terminator."""
