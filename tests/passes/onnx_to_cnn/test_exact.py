"""Operators as quantisers write them: our codes are the oracle's after every pass, and ONNX Runtime's but for ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper
from xdsl.dialects.builtin import ModuleOp

from dialects.blobs import to_array
from dialects.meaning.cnn import evaluate
from dialects.recon import BlobAttr
from passes.common.problems import ModelError
from passes.onnx_to_cnn.products import bias_codes
from passes.onnx_to_cnn.values import Unsupported
from passes.pipeline import Entry
from tests.oracle import run_integer
from tests.oracle.cases import run_reference
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn

Array = npt.NDArray[Any]


def _constant(g: Graph, dtype: type, *shape: int, most: int = 3000, zero: int = 0, scale: float = 0.002) -> str:
    """A quantised constant behind a DequantizeLinear."""
    info = np.iinfo(dtype)
    codes = g.random.integers(max(info.min, -most), min(info.max, most) + 1, shape).astype(dtype)
    return g.node("DequantizeLinear", g.constant(codes), g.constant(np.float32(scale)), g.constant(dtype(zero)))


def _with(op: str, dtype: type, *shape: int, swapped: bool = False, **given: Any) -> Callable[[Graph], None]:
    def build(g: Graph) -> None:
        x = g.input(1, 8, 6, 5, scale=0.05)
        operands = (x, _constant(g, dtype, *shape, **given))
        g.output(g.node(op, *(reversed(operands) if swapped else operands)), scale=0.07)

    return build


def _byte(op: str, *shape: int, swapped: bool = False) -> Callable[[Graph], None]:
    return _with(op, np.int8, *shape, swapped=swapped, zero=3, scale=0.03)


def _extreme(op: str, before: int, after: int) -> Callable[[Graph], None]:
    def build(g: Graph) -> None:
        bounds = [g.constant(np.float32(v)) for v in g.random.uniform(-1.5, 1.5, before + after)]
        x = g.input(1, 8, 6, 5, scale=0.05)
        g.output(g.node(op, *bounds[:before], x, *bounds[before:]))

    return build


def _pair_of_clips(g: Graph) -> None:
    x = g.input(1, 8, 6, 5, scale=0.05)
    y = g.node("Clip", x, g.constant(np.float32(2)), g.constant(np.float32(-1)))
    g.output(g.node("Add", y, g.constant(np.float32(0.5))))
    conv = g.node("Conv", x, g.weights(4, 8, 1, 1))
    g.output(g.node("Clip", conv, g.constant(np.float32(2)), g.constant(np.float32(-1))))


def _codes_clipped(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    scale, zero = g._parameters(0.1, 3)
    codes = g.node("QuantizeLinear", g.node("Conv", x, g.weights(4, 8, 1, 1)), scale, zero)
    kind = np.uint8 if g.unsigned else np.int8
    low, high = (g.constant(kind(v + (128 if g.unsigned else 0))) for v in (-20, 90))
    g.output(g.node("DequantizeLinear", g.node("Clip", codes, low, high), scale, zero), 0.1, 3)


def _computed_constants(g: Graph) -> None:
    """Bounds and factors that quantisers wrote as int8, clipped and dequantised."""
    narrow = [g.constant(np.asarray(n, np.int8)) for n in (-100, 100)]
    codes = g.node("Clip", g.constant(np.asarray([90, 127, -127, -8], np.int8)[:, None, None, None]), *narrow)
    weights = g.node("DequantizeLinear", codes, g.constant(np.float32(0.01)), g.constant(np.int8(0)))
    y = g.node("Conv", g.input(1, 4, 6, 5), weights, group=4)
    high = g.node("DequantizeLinear", g.constant(np.int8(60)), g.constant(np.float32(0.1)), g.constant(np.int8(0)))
    g.output(g.node("Clip", y, "", g.node("Mul", high, g.constant(np.float32(0.25)))))


def _cast(to: int) -> Callable[[Graph], None]:
    def build(g: Graph) -> None:
        x = g.input(1, 8, 6, 5, scale=900.0)
        g.output(g.node("Cast", g.node("Cast", x, to=to), to=1), scale=850.0)

    return build


def _scale_in_nhwc(op: str) -> Callable[[Graph], None]:
    def build(g: Graph) -> None:
        x = g.requantised(g.node("Conv", g.input(1, 4, 6, 5), g.weights(8, 4, 1, 1)))
        last = g.node("Transpose", x, perm=[0, 2, 3, 1])
        gate = g.node("Reshape", g.input(1, 8), g.constant(np.asarray([1, 1, 1, 8])))
        g.output(g.node(op, last, gate))

    return build


def _wide(build: Callable[[Graph, str], str], *shape: int, first: bool = False, after: str = "Relu"
          ) -> Callable[[Graph], None]:  # fmt: skip
    """A product whose float result meets a dequantised tensor, as quantisers at the inputs only leave it."""

    def case(g: Graph) -> None:
        x, skip = g.requantised(g.node("Relu", g.input(*shape, scale=0.05))), g.input(*shape)
        operands = (build(g, x), skip)
        total = g.node("Add", *(operands[::-1] if first else operands))
        g.output(g.node(after, total) if after else total, scale=0.1)

    return case


def _conv_norm(g: Graph, x: str) -> str:
    parts = [g.vector(8, low=0.5, high=1.5), g.vector(8), g.vector(8), g.vector(8, low=0.2, high=2.0)]
    return g.node("BatchNormalization", g.node("Conv", x, g.weights(8, 8, 3, 3), pads=[1, 1, 1, 1]), *parts)


def _in_nhwc(g: Graph) -> None:
    x, skip = g.input(1, 8, 6, 5, scale=0.05), g.input(1, 6, 5, 8)
    y = g.node("Conv", x, g.weights(8, 8, 1, 1), g.vector(8))
    turned = g.node("Transpose", skip, perm=[0, 3, 1, 2])
    g.output(g.node("Clip", g.node("Add", y, turned), g.constant(np.float32(-1)), g.constant(np.float32(3))))


CASES: dict[str, Callable[[Graph], None]] = {
    **{f"{op.lower()}_{np.dtype(kind).name}_{'x'.join(map(str, shape))}": _with(op, kind, *shape)
       for op in ("Add", "Sub", "Mul") for kind in (np.int32, np.int16, np.uint16) for shape in ((8, 1, 1), ())
       if op != "Mul" or shape},
    **{f"{op.lower()}_constant_{name}{'_first' if swapped else ''}": _byte(op, *shape, swapped=swapped)
       for op in ("Add", "Sub", "Mul") for swapped in (False, True)
       for name, shape in (("scalar", ()), ("channels", (8, 1, 1)), ("columns", (5,)), ("pixels", (1, 6, 5)),
                           ("tensor", (1, 8, 6, 5)))},
    "wide_conv": _wide(lambda g, x: g.node("Conv", x, g.weights(8, 8, 1, 1), g.vector(8)), 1, 8, 6, 5),
    "wide_conv_norm": _wide(_conv_norm, 1, 8, 6, 5, first=True, after=""),
    "wide_depthwise": _wide(lambda g, x: g.node("Conv", x, g.weights(8, 1, 1, 1), group=8), 1, 8, 6, 5, after=""),
    "wide_gemm": _wide(lambda g, x: g.node("Gemm", x, g.weights(8, 8), g.vector(8), transB=1), 1, 8, first=True),
    "wide_rows": _wide(lambda g, x: g.node("MatMul", x, g.weights(8, 8, axis=1)), 1, 6, 8),
    "wide_nhwc": _in_nhwc,
    "min_three": _extreme("Min", 0, 2), "max_three": _extreme("Max", 0, 2), "max_first": _extreme("Max", 2, 1),
    "clip_crossed": _pair_of_clips, "clip_on_codes": _codes_clipped, "computed_constants": _computed_constants,
    "cast_float16": _cast(10), "cast_bfloat16": _cast(16),
    "mul_nhwc": _scale_in_nhwc("Mul"), "add_nhwc": _scale_in_nhwc("Add"), "sub_nhwc": _scale_in_nhwc("Sub"),
}  # fmt: skip


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, unsigned: bool) -> None:
    graph = Graph(len(name), unsigned)
    CASES[name](graph)
    model = graph.model(21)
    wanted = run_integer(model, graph.feeds)
    third, _ = run_reference(model, graph.feeds)

    def check(entry: Entry, module: ModuleOp) -> None:
        if entry.name in ("convert-onnx-to-cnn", "fuse-activations", "fuse-residual", "fold-pads"):
            found = evaluate(module, graph.feeds)
            for output, value in wanted.items():
                np.testing.assert_array_equal(found[output], value, f"after {entry.name}", strict=True)
                off = np.abs(found[output].astype(np.int64) - third[output].astype(np.int64))
                assert off.max() <= 1, f"{off.max()} from ONNX Runtime in {np.mean(off > 0):.0%}"

    compile_to_cnn(model, after=check)


AVERAGED: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 8, 6, 5), {"kernel_shape": [2, 3], "dilations": [2, 1], "pads": [1, 0, 0, 1], "strides": [1, 2]}),
    ((1, 4, 12, 13), {"kernel_shape": [3, 2], "dilations": [2, 3], "strides": [3, 2], "pads": [2, 1, 1, 1],
                      "count_include_pad": 1}),
    ((1, 8, 6, 5), {"kernel_shape": [3, 2], "dilations": [2, 3]}),
    ((1, 8, 20), {"kernel_shape": [3], "dilations": [2], "strides": [2]}),
)  # fmt: skip
"""Shapes and windows of dilated average pools, which ONNX has since opset 19 and ONNX Runtime's kernels have not."""


@pytest.mark.parametrize(("shape", "window"), AVERAGED)
def test_dilated_average(shape: tuple[int, ...], window: dict[str, Any]) -> None:
    g = Graph(5)
    g.output(g.node("AveragePool", g.input(*shape, scale=0.05), **window), scale=0.04)
    model = g.model(21)
    module = compile_to_cnn(model, no_host=True)
    (found,), (wanted,) = evaluate(module, g.feeds).values(), run_integer(model, g.feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)


@pytest.mark.parametrize("factor", [1, -1])
@pytest.mark.parametrize("zero", [0, 117, -128])
def test_biases_at_the_ends_of_int32(zero: int, factor: int) -> None:
    """Sums that leave int32 and saturate whatever the input: the bias is made as small as saturates, too."""
    g = Graph(9)
    x = g.input(1, 4, 6, 5, scale=0.0625, zero=11)
    codes = g.random.integers(-127, 128, (6, 4, 1, 1)).astype(np.int8)
    bias = np.asarray([2**31 - 4096, 4096 - 2**31, 2**31 - 8192, 100, 8192 - 2**31, 2**30], np.int64)
    sw, step = np.float32(2**-6), np.float32(2**-10)
    weights, shifts = (
        g.node("DequantizeLinear", g.constant(values), g.constant(scale), g.constant(values.dtype.type(0)))
        for values, scale in ((codes, sw), (bias.astype(np.int32), step))
    )
    y = g.node("Conv", x, weights, shifts)
    if factor < 0:
        y = g.node("Mul", y, g.constant(np.full((6, 1, 1), factor, np.float32)))
    g.output(g.node("Clip", y, g.constant(np.float32(-2)), g.constant(np.float32(6))), scale=0.0625, zero=zero)
    module = compile_to_cnn(g.model(21), no_host=True)
    (values,), (found,) = g.feeds.values(), evaluate(module, g.feeds).values()
    sums = np.einsum("nchw,kc->nkhw", values.astype(np.int64) - 11, codes[:, :, 0, 0].astype(np.int64))
    real = factor * (sums + bias[:, None, None]) * float(step)
    wanted = np.clip(np.rint(np.clip(real, -2, 6) / 0.0625) + zero, -128, 127)
    np.testing.assert_array_equal(found, wanted)
    (conv,) = (op for op in module.walk() if op.name == "cnn.conv2d")
    carried = conv.properties["bias"]
    assert isinstance(carried, BlobAttr)
    assert np.abs(to_array(carried).astype(np.int64)).max() < 2**31 - 2**20


@pytest.mark.parametrize(("name", "operations"), [
    ("add_constant_scalar", {"cnn.table"}), ("mul_constant_scalar", {"cnn.table"}),
    ("add_constant_channels", {"cnn.add", "cnn.constant"}), ("mul_constant_channels", {"cnn.mul", "cnn.constant"}),
    ("mul_constant_channels_first", {"cnn.mul", "cnn.constant"}), ("add_int32_8x1x1", {"cnn.affine"}),
])  # fmt: skip
def test_a_constant_costs_no_tensor(name: str, operations: set[str]) -> None:
    """A scalar is a table, a number per channel one pixel or an affine step: never a tensor of the result's size."""
    graph = Graph(1)
    CASES[name](graph)
    module = compile_to_cnn(graph.model(21))
    found = [op for op in module.walk() if op.name.startswith("cnn.") and op.name not in ("cnn.host", "cnn.yield")]
    assert {op.name for op in found} == operations
    for op in found:
        if op.name == "cnn.constant":
            assert "tensor<1x1x1x8" in str(op.results[0].type) or "1x1x1x8" in str(op.results[0].type)


def _refusal(model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(model, no_host=True)
    return str(caught.value)


def _behind_conv(op: str, *operands: str, **attributes: Any) -> str:
    """What is said of an operator that works on a convolution's float result, and of nothing else."""
    g = Graph(3)
    given = [g.input() if name == "computed" else g.vector(4) for name in operands]
    g.output(g.node(op, g.node("Conv", g.input(1, 8, 6, 5), g.weights(4, 8, 1, 1)), *given, **attributes))
    return _refusal(g.model(21))


def test_what_nobody_would_hear_is_refused() -> None:
    assert _behind_conv("BatchNormalization", *["v"] * 4, outputs=3, training_mode=1) == (
        "case: batchnormalization_3: Its attribute 'training_mode' is 1; only 0 is supported."
    )
    assert _behind_conv("Clip", "computed") == (
        "case: clip_4: Its operand 1 ('min') is computed at run time; it must be a constant."
    )
    g = Graph(2)
    x = g.input(1, 4, 6, 5)
    g.output(g.node("Pad", x, g.constant(np.asarray([0, 0, 1, 1, 0, 0, 1, 1])), g.input()))
    assert _refusal(g.model()) == (
        "case: pad_2: Its operand 2 ('constant_value') is computed at run time; it must be a constant."
    )
    g = Graph(2)
    g.output(g.node("Gemm", g.input(3, 8), g.weights(5, 8), g.vector(3, 5), transB=1))
    assert _refusal(g.model()) == (
        "case: gemm_2: Its bias varies from row to row of its result; the machine adds one number per output channel."
    )


def _vendor(op: str, **attributes: Any) -> onnx.ModelProto:
    """One operator of ONNX Runtime on an int8 input of shape 2x3x4."""
    g = Graph(5)
    scale, zero = g.constant(np.float32(0.05)), g.constant(np.int8(3))
    inputs = ["x", scale, zero]
    if op == "QGemm":
        codes = g.constant(g.random.integers(-9, 9, (4, 5)).astype(np.int8))
        bias = g.constant(g.random.integers(-900, 900, 5).astype(np.int32))
        inputs += [codes, g.constant(np.float32(0.02)), g.constant(np.int8(0)), bias]
    inputs += [g.constant(np.float32(1 / 256 if op == "QLinearSoftmax" else 0.1)), g.constant(np.int8(-128))]
    node = helper.make_node(op, inputs, ["y"], name="it", domain="com.microsoft", **attributes)
    shape = (1, 4) if op == "QGemm" else (2, 3, 4)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", onnx.TensorProto.INT8, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT8, None)], g.constants)  # fmt: skip
    opsets = [helper.make_opsetid("", 12), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize(("op", "attributes"), [
    ("QGemm", {"alpha": 0.5}), ("QGemm", {"alpha": 3.0}), ("QGemm", {}),
    ("QLinearSoftmax", {"axis": 1, "opset": 12}), ("QLinearSoftmax", {"axis": 2, "opset": 11}),
    ("QLinearSoftmax", {"axis": 1, "opset": 13}), ("QLinearSoftmax", {"opset": 13}),
])  # fmt: skip
def test_vendor_operator(op: str, attributes: dict[str, Any]) -> None:
    model = _vendor(op, **attributes)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    feeds = {"x": np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)}
    (wanted,), (third,) = run_integer(model, feeds).values(), run_reference(model, feeds)[0].values()
    (found,) = evaluate(compile_to_cnn(model), feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)
    assert np.abs(found.astype(int) - third).max() <= 1


def test_unread_attribute_of_a_vendor_operator() -> None:
    model = _vendor("QLinearSoftmax", opset=13, newest=4)
    assert _refusal(model) == "case.onnx: it: Its attribute 'newest' is 4, which is not supported."


@pytest.mark.parametrize(
    ("bias", "fits"), [(2.0**31 - 128, True), (2.0**31, False), (-(2.0**31), False), (np.nan, False)]
)
def test_a_bias_in_units_of_its_sum_is_an_int32(bias: float, fits: bool) -> None:
    """2^31 − 128 is the greatest float32 below 2^31."""
    real, unit = np.array([1.0, bias]), np.ones(2, np.float32)
    if fits:
        assert bias_codes(real, unit).tolist() == [1, bias]
    else:
        with pytest.raises(Unsupported, match="does not fit 32 bits"):
            bias_codes(real, unit)
