"""Small quantised graphs, one group of operators each, and the road from a model to cnn IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from passes.onnx.import_onnx import import_model
from passes.pipeline import PIPELINE, Entry

Array = npt.NDArray[Any]

FRONT = tuple(entry for entry in PIPELINE if entry.level == "cnn")


class Graph:
    """A quantised graph being written; ``real`` methods take and give names of float tensors."""

    def __init__(self, seed: int = 0, unsigned: bool = False):
        self.random = np.random.default_rng(seed)
        self.unsigned = unsigned
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.feeds: dict[str, Array] = {}

    def constant(self, values: npt.ArrayLike) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, list(inputs), names, name=f"{op.lower()}_{len(self.nodes)}", **attributes)
        )
        return names[0]

    def _parameters(self, scale: float | None, zero: int | None) -> tuple[str, str]:
        made = np.float32(self.random.uniform(0.01, 0.2) if scale is None else scale)
        offset = int(self.random.integers(-128, 128)) if zero is None else zero
        kind = np.asarray(offset + 128, np.uint8) if self.unsigned else np.asarray(offset, np.int8)
        return self.constant(made), self.constant(kind)

    def input(self, *shape: int, scale: float | None = None, zero: int | None = None) -> str:
        """A random 8-bit input of the graph, dequantised."""
        name = f"x{len(self.inputs)}"
        dtype, code = (np.uint8, TensorProto.UINT8) if self.unsigned else (np.int8, TensorProto.INT8)
        self.inputs.append(helper.make_tensor_value_info(name, code, shape))
        info = np.iinfo(dtype)
        self.feeds[name] = self.random.integers(info.min, info.max + 1, shape).astype(dtype)
        return self.node("DequantizeLinear", name, *self._parameters(scale, zero))

    def requantised(self, real: str, scale: float | None = None, zero: int | None = None) -> str:
        """QuantizeLinear and DequantizeLinear behind a float tensor."""
        parameters = self._parameters(scale, zero)
        return self.node("DequantizeLinear", self.node("QuantizeLinear", real, *parameters), *parameters)

    def output(self, real: str, scale: float | None = None, zero: int | None = None) -> None:
        """Quantise a float tensor and let it leave the graph."""
        name = self.node("QuantizeLinear", real, *self._parameters(scale, zero))
        code = TensorProto.UINT8 if self.unsigned else TensorProto.INT8
        self.outputs.append(helper.make_tensor_value_info(name, code, None))

    def weights(self, *shape: int, axis: int = 0, zero: int = 0) -> str:
        """Random int8 weights, dequantised with one scale per index of ``axis``."""
        codes = self.random.integers(-127, 128, shape).astype(np.int8)
        k = shape[axis]
        scales = self.random.uniform(0.001, 0.02, k).astype(np.float32)
        zeros = np.full(k, zero, np.int8)
        return self.node(
            "DequantizeLinear", self.constant(codes), self.constant(scales), self.constant(zeros), axis=axis
        )

    def vector(self, *shape: int, low: float = -1.0, high: float = 1.0) -> str:
        return self.constant(self.random.uniform(low, high, shape).astype(np.float32))

    def model(self, opset: int = 13) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "case", self.inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def compile_to_cnn(
    model: onnx.ModelProto | str | bytes,
    assume: bool = False,
    after: Callable[[Entry, ModuleOp], None] | None = None,
    stop: str = "",
    no_host: bool = False,
    exact: bool = False,
    samples: str = "",
) -> ModuleOp:
    """The module behind all passes down to ``stop`` (the last of the level by default), verified after each.

    With ``no_host`` ModelError lists what the host would run; with ``exact`` no quantiser is put in;
    ``samples`` is a file to measure ranges on.
    """
    module = import_model(model.SerializeToString() if isinstance(model, onnx.ModelProto) else model, None, "case.onnx")
    for entry in FRONT:
        if entry.default and (assume or not entry.when or (samples and entry.when == "samples")):
            options = {
                "assign-host": {"no_host": no_host, "exact": exact},
                "convert-onnx-to-cnn": {"exact": exact},
                "measure-ranges": {"samples": samples},
            }
            entry.load()(**options.get(entry.name, {})).apply(Context(), module)
            module.verify()
            if after is not None:
                after(entry, module)
        if entry.name == stop:
            break
    return module


def conv(g: Graph, x: str, k: int, c: int, kernel: Sequence[int], **attributes: Any) -> str:
    zero = attributes.pop("weight_zero", 0)
    return g.node("Conv", x, g.weights(k, c, *kernel, zero=zero), g.vector(k, low=-3, high=3), **attributes)


def chain(g: Graph, *ops: Callable[[str], str], shape: Sequence[int] = (1, 8, 6, 5)) -> None:
    value = g.input(*shape)
    for op in ops:
        value = op(value)
    g.output(value)


def _bn(g: Graph, x: str, k: int) -> str:
    parts = [g.vector(k, low=0.5, high=1.5), g.vector(k), g.vector(k), g.vector(k, low=0.2, high=2.0)]
    return g.node("BatchNormalization", x, *parts, epsilon=1e-3)


def _residual(g: Graph, swap: bool, relu: bool) -> None:
    x = g.input(1, 8, 6, 5)
    y = g.requantised(conv(g, x, 8, 8, (3, 3), pads=[1, 1, 1, 1]))
    s = g.node("Add", *((y, x) if swap else (x, y)))
    g.output(g.node("Relu", s) if relu else s)


def _concat(g: Graph, axis: int, same: bool) -> None:
    quant = {"scale": 0.1, "zero": 5} if same else {}
    parts = [g.input(1, 4, 6, 5, **quant) for _ in range(3)]
    joined = g.node("Concat", *parts, axis=axis)
    g.output(g.node("Relu", joined), **quant)


def _silu(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 8, 6, 5), 8, 8, (1, 1)))
    g.output(g.node("Mul", x, g.node("Sigmoid", x)))


def _silu_quantised(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 8, 6, 5), 8, 8, (1, 1)))
    g.output(g.node("Mul", x, g.requantised(g.node("Sigmoid", x))))


def _hard_swish(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    six = g.constant(np.float32(6))
    inner = g.node("Clip", g.node("Add", x, g.constant(np.float32(3))), g.constant(np.float32(0)), six)
    g.output(g.node("Div", g.node("Mul", x, inner), six))


def _squeeze_excite(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    gate = g.requantised(g.node("GlobalAveragePool", x))
    gate = g.requantised(g.node("Relu", conv(g, gate, 4, 8, (1, 1))))
    gate = g.requantised(g.node("HardSigmoid", g.requantised(conv(g, gate, 8, 4, (1, 1)))))
    g.output(g.node("Mul", gate, x))


def _max_behind_convs(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    parts = [conv(g, x, 4, 8, (1, 1)), g.node("Relu", g.requantised(conv(g, x, 4, 8, (1, 1))))]
    g.output(conv(g, g.requantised(g.node("Clip", g.node("Max", *parts), g.constant(np.float32(-1)))), 3, 4, (3, 3)))


def _shuffle(g: Graph, computed: bool = False) -> None:
    x = g.input(1, 12, 6, 5)
    if computed:
        x = g.requantised(conv(g, x, 12, 12, (1, 1)))
    split = g.node("Reshape", x, g.constant(np.asarray([1, 3, 4, 6, 5])))
    turned = g.node("Transpose", split, perm=[0, 2, 1, 3, 4])
    back = g.node("Reshape", turned, g.constant(np.asarray([1, 12, 6, 5])))
    g.output(conv(g, back, 8, 12, (1, 1)))


def _flatten_dense(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 3, 6, 5), 4, 3, (3, 3)))
    flat = g.node("Flatten", x)
    y = g.node("Gemm", flat, g.weights(7, 48), g.vector(7), transB=1)
    g.output(g.node("Relu", y))


def _matmul_bias(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 3, 6, 5), 4, 3, (3, 3)))
    flat = g.node("Reshape", x, g.constant(np.asarray([1, -1])))
    y = g.node("MatMul", flat, g.weights(48, 7, axis=1))
    g.output(g.node("Add", y, g.vector(7)))


def _split_alike(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 8, 6, 5), 8, 8, (1, 1)), 0.1, 3)
    first = g.node("Split", x, g.constant(np.asarray([4, 4])), outputs=2, axis=1)
    halves = [g.requantised(name, 0.1, 3) for name in (first, first[:-1] + "1")]
    g.output(g.node("Add", *(g.requantised(conv(g, half, 6, 4, (1, 1))) for half in halves)))


def _quantised_twice(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(1, 8, 6, 5), 8, 8, (1, 1)), 0.05, 3)
    pooled = g.requantised(g.node("GlobalAveragePool", x), 0.05, 3)
    again = g.requantised(g.node("Flatten", pooled), 0.05, 3)
    g.output(g.node("Gemm", again, g.weights(5, 8), transB=1))


def _split(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    name = g.node("Split", x, g.constant(np.asarray([3, 5])), outputs=2, axis=1)
    second = name[:-1] + "1"
    g.output(conv(g, name, 4, 3, (1, 1)))
    g.output(conv(g, second, 4, 5, (1, 1)))


def _focus(g: Graph) -> None:
    x = g.input(1, 3, 8, 8)
    parts: list[str] = []
    for row in (0, 1):
        for column in (0, 1):
            starts, ends = np.asarray([row, column]), np.asarray([1000, 1000])
            axes, steps = np.asarray([2, 3]), np.asarray([2, 2])
            parts.append(g.node("Slice", x, *(g.constant(v) for v in (starts, ends, axes, steps))))
    g.output(conv(g, g.requantised(g.node("Concat", *parts, axis=1)), 4, 12, (3, 3)))


def _pad(g: Graph, pads: Sequence[int], value: float = 0.0) -> None:
    x = g.input(1, 4, 6, 5)
    padded = g.node("Pad", x, g.constant(np.asarray(pads)), g.constant(np.float32(value)))
    g.output(padded)


def _pad_conv(g: Graph) -> None:
    x = g.input(1, 4, 6, 5, scale=0.1, zero=3)
    padded = g.node("Pad", x, g.constant(np.asarray([0, 0, 1, 0, 0, 0, 2, 1])), g.constant(np.float32(0)))
    g.output(conv(g, g.requantised(padded, 0.1, 3), 4, 4, (3, 3), strides=[2, 2]))


def _resize(g: Graph, **attributes: Any) -> None:
    x = g.input(1, 4, 6, 5)
    scales = g.constant(np.asarray([1, 1, 2, 3], np.float32))
    g.output(g.node("Resize", x, "", scales, mode="nearest", **attributes))


def _tail_softmax(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    pooled = g.requantised(g.node("GlobalAveragePool", x))
    y = g.requantised(g.node("Gemm", g.node("Flatten", pooled), g.weights(8, 5, axis=1), g.vector(5)))
    g.output(g.node("Softmax", y), 1 / 256, -128)


def _two_layouts(g: Graph) -> None:
    x = g.input(1, 6, 5, 3)
    nchw = g.node("Transpose", x, perm=[0, 3, 1, 2])
    y = g.requantised(conv(g, nchw, 4, 3, (3, 3)))
    g.output(g.node("Transpose", y, perm=[0, 2, 3, 1]))


def _int_bias(g: Graph) -> None:
    x = g.input(1, 4, 6, 5, scale=0.05)
    codes = g.random.integers(-2000, 2000, 6).astype(np.int32)
    w = g.random.integers(-127, 128, (6, 4, 1, 1)).astype(np.int8)
    sw = np.float32(0.01)
    weights = g.node("DequantizeLinear", g.constant(w), g.constant(sw), g.constant(np.int8(0)))
    bias = g.node("DequantizeLinear", g.constant(codes), g.constant(np.float32(0.05) * sw), g.constant(np.int32(0)))
    g.output(g.node("Conv", x, weights, bias))


def _negative_factor(g: Graph) -> None:
    y = conv(g, g.input(1, 4, 6, 5), 6, 4, (1, 1))
    y = g.node("Mul", y, g.vector(6, 1, 1, low=-1, high=1))
    y = g.node("Add", y, g.vector(1, 6, 1, 1))
    g.output(g.node("Relu", y))


CASES: dict[str, Callable[[Graph], None]] = {
    "conv": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (3, 3), pads=[1, 0, 2, 1], strides=[2, 1])),
    "conv_dilated": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (3, 2), dilations=[2, 3])),
    "conv_auto_pad": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (4, 3), auto_pad="SAME_UPPER", strides=[2, 2])),
    "conv_same_lower": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (4, 2), auto_pad="SAME_LOWER")),
    "conv_grouped": lambda g: chain(g, lambda x: conv(g, x, 12, 2, (3, 3), group=4)),
    "conv_depthwise": lambda g: chain(g, lambda x: conv(g, x, 8, 1, (3, 3), group=8, pads=[1, 1, 1, 1])),
    "conv_multiplier": lambda g: chain(g, lambda x: conv(g, x, 16, 1, (3, 3), group=8)),
    "conv_weight_zero": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (3, 3), weight_zero=7)),
    "conv_1d": lambda g: chain(g, lambda x: conv(g, x, 6, 8, (3,), pads=[1, 2], strides=[2]), shape=(1, 8, 15)),
    "conv_relu6": lambda g: chain(
        g, lambda x: conv(g, x, 6, 8, (1, 1)),
        lambda y: g.node("Clip", y, g.constant(np.float32(0)), g.constant(np.float32(6)))),
    "conv_relu_pool": lambda g: chain(
        g, lambda x: conv(g, x, 6, 8, (1, 1)), lambda y: g.node("Relu", y),
        lambda y: g.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])),
    "conv_batch_norm": lambda g: chain(
        g, lambda x: conv(g, x, 6, 8, (3, 3)), lambda y: _bn(g, y, 6), lambda y: g.node("Relu", y)),
    "conv_int_bias": _int_bias,
    "conv_negative_factor": _negative_factor,
    "conv_leaky": lambda g: chain(
        g, lambda x: g.requantised(conv(g, x, 6, 8, (1, 1))), lambda y: g.node("LeakyRelu", y, alpha=0.1)),
    "conv_relu_requantised": lambda g: chain(
        g, lambda x: g.requantised(conv(g, x, 6, 8, (1, 1)), 0.1, 3), lambda y: g.node("Relu", y),
        lambda y: g.requantised(y, 0.1, 3), lambda y: conv(g, y, 3, 6, (1, 1))),
    "flatten_gemm": _flatten_dense,
    "matmul_bias": _matmul_bias,
    "gemm_alpha": lambda g: g.output(
        g.node("Gemm", g.input(1, 8), g.weights(5, 8), g.vector(5), transB=1, alpha=0.5, beta=2.0)),
    "split_alike": _split_alike,
    "quantised_twice": _quantised_twice,
    "gemm_rows": lambda g: chain(
        g, lambda x: g.node("Reshape", x, g.constant(np.asarray([30, 8]))),
        lambda x: g.requantised(g.node("Gemm", x, g.weights(6, 8), g.vector(6), transB=1)),
        lambda x: g.node("MatMul", x, g.weights(6, 5, axis=1))),
    "matmul_constant_left": lambda g: chain(
        g, lambda x: g.requantised(g.node("Relu", g.node("MatMul", g.weights(7, 6), x))),
        lambda x: g.requantised(g.node("MatMul", x, g.weights(5, 4, axis=1))),
        lambda x: g.node("Add", g.node("MatMul", g.weights(3, 7), x), g.vector(3, 1)), shape=(1, 2, 6, 5)),
    "matmul_rows": lambda g: g.output(g.node("MatMul", g.input(1, 6, 8), g.weights(8, 5, axis=1))),
    "residual": lambda g: _residual(g, False, True),
    "residual_first": lambda g: _residual(g, True, False),
    "add": lambda g: g.output(g.node("Add", g.input(1, 8, 6, 5), g.input(1, 8, 6, 5))),
    "add_itself": lambda g: chain(g, lambda x: g.node("Add", x, x)),
    "sub": lambda g: g.output(g.node("Sub", g.input(1, 8, 6, 5), g.input(1, 8, 6, 5))),
    "mul": lambda g: g.output(g.node("Mul", g.input(1, 8, 6, 5), g.input(1, 8, 6, 5))),
    "mul_pixel": lambda g: g.output(g.node("Mul", g.input(1, 8, 1, 1), g.input(1, 8, 6, 5))),
    "max": lambda g: g.output(g.node("Max", g.input(1, 8, 6, 5), g.input(1, 8, 6, 5))),
    "max_pixel": lambda g: g.output(g.node("Max", g.input(1, 8, 1, 1), g.input(1, 8, 6, 5))),
    "min_of_three": lambda g: g.output(g.node("Min", *(g.input(1, 8, 6, 5) for _ in range(3)))),
    "max_same_scale": lambda g: g.output(
        g.node("Relu", g.node("Max", g.input(1, 8, 6, 5, scale=0.1, zero=3), g.input(1, 8, 6, 5, scale=0.1, zero=3))),
        0.1, 3),
    "max_behind_convs": _max_behind_convs,
    "min_and_constant": lambda g: chain(
        g, lambda x: g.requantised(conv(g, x, 6, 8, (1, 1))),
        lambda x: g.node("Min", g.constant(np.float32(0.5)), x, g.requantised(g.node("Sigmoid", x)))),
    "squeeze_excite": _squeeze_excite,
    "max_pool": lambda g: chain(
        g, lambda x: g.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])),
    "max_pool_ceil": lambda g: chain(
        g, lambda x: g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)),
    "average_pool": lambda g: chain(
        g, lambda x: g.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
    "average_pool_counted": lambda g: chain(
        g, lambda x: g.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)),
    "average_pool_ceil": lambda g: chain(
        g, lambda x: g.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
    "average_pool_whole": lambda g: chain(g, lambda x: g.node("AveragePool", x, kernel_shape=[6, 5])),
    "global_average_pool": lambda g: chain(g, lambda x: g.node("GlobalAveragePool", x)),
    "reduce_mean": lambda g: chain(g, lambda x: g.node("ReduceMean", x, axes=[2, 3], keepdims=0)),
    "reduce_mean_last": lambda g: chain(
        g, lambda x: g.node("Transpose", x, perm=[0, 2, 3, 1]), lambda x: g.node("ReduceMean", x, axes=[1, 2])),
    "sigmoid": lambda g: chain(g, lambda x: g.node("Sigmoid", x)),
    "tanh_exp": lambda g: chain(g, lambda x: g.node("Exp", g.node("Tanh", x))),
    "elu": lambda g: chain(g, lambda x: g.node("Elu", x, alpha=0.7)),
    "log_of_negative": lambda g: chain(g, lambda x: g.node("Log", x)),
    "relu_alone": lambda g: chain(g, lambda x: g.node("Relu", x)),
    "scalar_arithmetic": lambda g: chain(
        g, lambda x: g.node("Sub", g.constant(np.float32(1.5)), x),
        lambda x: g.node("Div", x, g.constant(np.float32(3))),
        lambda x: g.node("Pow", x, g.constant(np.float32(2)))),
    "prelu": lambda g: chain(g, lambda x: g.node("PRelu", x, g.constant(np.full((8, 1, 1), 0.25, np.float32)))),
    "silu": _silu,
    "silu_quantised": _silu_quantised,
    "hard_swish": _hard_swish,
    "batch_norm": lambda g: chain(g, lambda x: _bn(g, x, 8), lambda x: g.node("Relu", x)),
    "affine": lambda g: chain(
        g, lambda x: g.node("Mul", x, g.vector(8, 1, 1)), lambda x: g.node("Div", x, g.vector(8, 1, 1, low=1, high=2)),
        lambda x: g.node("Sub", x, g.vector(1, 8, 1, 1))),
    "lrn": lambda g: chain(g, lambda x: g.node("LRN", x, size=5, alpha=0.02, beta=0.75, bias=1.0)),
    "lrn_relu": lambda g: chain(g, lambda x: g.node("Relu", g.node("LRN", x, size=3, alpha=0.5))),
    "copy": lambda g: chain(g, lambda x: g.requantised(x)),
    "concat": lambda g: _concat(g, 1, True),
    "concat_foreign": lambda g: _concat(g, 1, False),
    "concat_rows": lambda g: _concat(g, 2, False),
    "concat_columns": lambda g: _concat(g, 3, True),
    "split": _split,
    "focus": _focus,
    "gather": lambda g: chain(g, lambda x: g.node("Gather", x, g.constant(np.asarray([1, 3, 5])), axis=1)),
    "shuffle": _shuffle,
    "shuffle_computed": lambda g: _shuffle(g, computed=True),
    "depth_to_space": lambda g: chain(g, lambda x: g.requantised(g.node("DepthToSpace", x, blocksize=2))),
    "depth_to_space_crd": lambda g: chain(
        g, lambda x: g.node("DepthToSpace", x, blocksize=2, mode="CRD"), lambda x: conv(g, x, 3, 2, (2, 2))),
    "space_to_depth": lambda g: chain(
        g, lambda x: g.node("SpaceToDepth", x, blocksize=2), lambda x: conv(g, x, 3, 32, (1, 1)), shape=(1, 8, 6, 4)),
    "pad": lambda g: _pad(g, [0, 0, 1, 2, 0, 0, 0, 1]),
    "pad_value": lambda g: _pad(g, [0, 0, 1, 2, 0, 0, 0, 1], 0.37),
    "pad_channels": lambda g: _pad(g, [0, 1, 0, 0, 0, 2, 0, 0]),
    "pad_crop": lambda g: _pad(g, [0, 0, -1, 2, 0, 0, 0, -2]),
    "pad_conv": _pad_conv,
    "resize": lambda g: _resize(g, coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "resize_half_pixel": lambda g: _resize(g),
    "transpose_alone": lambda g: chain(g, lambda x: g.node("Transpose", x, perm=[0, 1, 3, 2]), lambda x: conv(
        g, x, 4, 8, (3, 2))),
    "two_layouts": _two_layouts,
    "tail_softmax": _tail_softmax,
}  # fmt: skip
"""Operator groups by name."""
