"""The integer oracle against the worked examples, against slow loops, and whole models against ONNX Runtime.

ONNX Runtime is asked for its integer kernels and must have taken them (the operator types of the graph it really runs
are asserted). Run with `-s` to see the figures of the whole models.
"""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto
from PIL import Image

from tests.oracle import UnsupportedModelError, laws, run_integer, run_integer_all
from tests.oracle.cases import Builder, has_vnni, run_reference, session

DATA = Path(__file__).parent / "data"
F = np.float32
SEEDS = range(4)


def ints(*values: int) -> laws.Ints:
    return np.array(values, np.int64)


# ---- the worked examples of docs/arithmetic.md


def test_example_quantise() -> None:
    assert laws.quantise(np.array([1.25, -1, 100, 0.25], F), F(0.5), 3).tolist() == [5, 1, 127, 3]
    np.testing.assert_array_equal(laws.dequantise(ints(-128, 3, 127), F(0.1), 3), np.array([-13.1, 0, 12.400001], F))
    assert laws.quantise(np.array([np.inf, -np.inf, np.nan], F), F(0.5), 3).tolist() == [127, -128, 3]


def test_example_requantise() -> None:
    scale = laws.requantise_scale(F(0.05), np.array([0.02], F), F(0.1))
    assert scale.view(np.uint32).tolist() == [0x3C23D70B]
    assert laws.requantise(ints(1250, 1350, -1350, 99999), scale, -1).tolist() == [12, 13, -15, 127]
    assert laws.bias_codes(np.array([0.5, -0.0125], F), F(0.05), np.array([0.02, 0.01], F)).tolist() == [500, -25]


def test_example_unrounded() -> None:
    unit = np.array([0.02], F) * F(0.05)
    np.testing.assert_array_equal(ints(1250, -1350).astype(F) * unit, np.array([1.25, -1.35], F))


def test_example_clamp() -> None:
    assert laws.quantise(np.array([0, 6], F), F(0.05), -100).tolist() == [-100, 20]


def test_example_add() -> None:
    a, b = ints(10, -128, 5), ints(7, 127, 3)
    assert laws.add(a, F(0.1), -2, b, F(0.3), 1, F(0.2), -3).tolist() == [12, 123, 4]


def test_example_wide_sum() -> None:
    scale = laws.requantise_scale(F(0.05), np.array([0.02], F), F(0.1))
    sums, other = ints(1250, -1350, 40), ints(10, -20, 3)
    assert laws.wide_sum(sums, scale, other, (F(0.2), 2), (F(0.1), -1)).tolist() == [28, -58, 1]


def test_example_mul() -> None:
    a, b = ints(10, -128, 5), ints(7, 127, 3)
    assert laws.mul(a, F(0.5), -2, b, F(0.25), 1, F(0.5), -3).tolist() == [15, -128, 0]


def test_example_average() -> None:
    scale = laws.average_scale(F(0.1), F(0.1), ints(4))
    assert laws.requantise(ints(10, 6, -10, 14), scale, 0).tolist() == [2, 2, -2, 4]


def test_example_table() -> None:
    builder = Builder()
    x = builder.dequantise(builder.feed(np.array([0, 10, -128, 127], np.int8)), F(0.1), np.int8(0))
    builder.quantise(builder.node("Sigmoid", [x]), F(1 / 256), np.int8(-128), "y")
    assert run_integer(builder.model("y"), builder.feeds)["y"].tolist() == [0, 59, -128, 127]


def test_example_affine() -> None:
    factor, offset = laws.affine_parameters(np.array([1.5]), np.array([-0.25]), F(0.1), 4, F(0.2))
    assert (factor.tolist(), offset.tolist()) == ([0.75], [-4.25])
    assert laws.affine(ints(-128, 4, 10, 127), factor, offset, -5).tolist() == [-105, -6, -2, 86]


def test_example_lrn() -> None:
    codes = ints(10, 20, -30).reshape(1, 3)
    result = laws.lrn(codes, 3, float(F(0.1)), 0.75, 1.0, F(0.1), 0, F(0.05), 0)
    assert result.ravel().tolist() == [18, 30, -46]


def test_clipping_before_or_after_quantising_is_the_same() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        scale, zero = F(rng.uniform(0.001, 0.2)), int(rng.integers(-128, 128))
        low, high = np.sort(rng.normal(0, 4, 2)).astype(F)
        values = np.concatenate([rng.normal(0, 8, 500).astype(F), np.array([low, high], F)])
        bounds = laws.quantise(np.array([low, high], F), scale, zero)
        clipped = laws.quantise(np.clip(values, low, high), scale, zero)
        assert np.array_equal(laws.clamp(laws.quantise(values, scale, zero), *map(int, bounds)), clipped)


# ---- the first oracle: a convolution as loops over plain Python integers


def slow_convolution(
    x: laws.Ints, w: laws.Ints, zero: int, strides: int, pads: list[int], dilation: int, groups: int
) -> list[list[list[int]]]:
    """Sums of one image, `K OY OX`, by definition."""
    channels, height, width = x.shape
    filters, per_group, rows, columns = w.shape
    out_height = (height + pads[0] + pads[2] - (rows - 1) * dilation - 1) // strides + 1
    out_width = (width + pads[1] + pads[3] - (columns - 1) * dilation - 1) // strides + 1
    result = [[[0] * out_width for _ in range(out_height)] for _ in range(filters)]
    for k, oy, ox, c, r, s in itertools.product(
        range(filters), range(out_height), range(out_width), range(per_group), range(rows), range(columns)
    ):
        iy, ix = oy * strides + r * dilation - pads[0], ox * strides + s * dilation - pads[1]
        if 0 <= iy < height and 0 <= ix < width:
            channel = k // (filters // groups) * per_group + c
            result[k][oy][ox] += (int(x[channel, iy, ix]) - zero) * int(w[k, c, r, s])
    assert channels == per_group * groups
    return result


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {"c": 6, "k": 5, "kernel": 3, "pads": [1, 1, 1, 1]},
    "pointwise": {"c": 12, "k": 20, "kernel": 1},
    "strided": {"c": 5, "k": 4, "kernel": 3, "strides": 2, "pads": [1, 1, 1, 1]},
    "asymmetric": {"c": 4, "k": 6, "kernel": 3, "strides": 2, "pads": [0, 0, 1, 1]},
    "lopsided": {"c": 4, "k": 6, "kernel": 5, "pads": [3, 1, 0, 2]},
    "dilated": {"c": 4, "k": 6, "kernel": 3, "dilation": 2, "pads": [2, 2, 2, 2]},
    "grouped": {"c": 8, "k": 12, "kernel": 3, "groups": 4},
    "depthwise": {"c": 16, "k": 16, "kernel": 3, "groups": 16, "pads": [1, 1, 1, 1]},
    "depthwise-strided": {"c": 8, "k": 8, "kernel": 5, "groups": 8, "strides": 2, "pads": [1, 2, 2, 1]},
    "multiplier": {"c": 4, "k": 8, "kernel": 3, "groups": 4},
    "deep": {"c": 160, "k": 8, "kernel": 3, "pads": [1, 1, 1, 1], "size": 5},
    "relu": {"c": 6, "k": 5, "kernel": 3, "activation": "Relu"},
    "relu6": {"c": 6, "k": 5, "kernel": 3, "activation": "Clip"},
    "float-bias": {"c": 6, "k": 5, "kernel": 3, "bias": "float"},
    "no-bias": {"c": 6, "k": 5, "kernel": 3, "bias": None},
    "one-scale": {"c": 6, "k": 5, "kernel": 3, "per_channel": False},
}


class ConvolutionCase:
    """One random quantised convolution: the model, what to feed it and what the slow loops say."""

    def __init__(self, seed: int, unsigned: bool = False, weight_limit: int = 128, **spec: Any) -> None:
        rng = np.random.default_rng([seed, spec["c"], spec["k"], spec["kernel"]])
        groups, size = spec.get("groups", 1), spec.get("size", 9)
        channels, filters, kernel = spec["c"], spec["k"], spec["kernel"]
        strides, pads, dilation = spec.get("strides", 1), spec.get("pads", [0] * 4), spec.get("dilation", 1)
        activation, bias = spec.get("activation"), spec.get("bias", "int32")
        shift, dtype = (128, np.uint8) if unsigned else (0, np.int8)
        self.dtype = TensorProto.UINT8 if unsigned else TensorProto.INT8
        x = rng.integers(-128, 128, (channels, size, size))
        w = rng.integers(-weight_limit, weight_limit, (filters, channels // groups, kernel, kernel))
        self.builder = builder = Builder()
        count = filters if spec.get("per_channel", True) else 1
        scale_x, scale_w = F(rng.uniform(0.01, 0.1)), rng.uniform(0.001, 0.02, count).astype(F)
        zero_x, zero_y = int(rng.integers(-128, 128)), -128 if activation else int(rng.integers(-60, 60))
        self.sums = np.array(slow_convolution(x, w, zero_x, strides, pads, dilation, groups), np.int64)
        scale_y = F(self.sums.std() * float(scale_x) * scale_w.mean() / 40)
        inputs = [builder.dequantise(builder.feed((x + shift).astype(dtype)[None]), scale_x, dtype(zero_x + shift))]
        zeros = np.zeros(count, np.int8)
        flat = count == 1
        scale_of_w, zero_of_w = (scale_w[0], zeros[0]) if flat else (scale_w, zeros)
        axis = {} if flat else {"axis": 0}
        inputs.append(builder.dequantise(builder.constant(w.astype(np.int8)), scale_of_w, zero_of_w, **axis))
        wide = np.zeros(filters, np.int64)
        if bias == "int32":
            stored = rng.integers(-3000, 3000, filters).astype(np.int32)
            scale_b, zero_b = (scale_x * scale_of_w).astype(F), np.zeros_like(zero_of_w, dtype=np.int32)
            inputs.append(builder.dequantise(builder.constant(stored), scale_b, zero_b, **axis))
            wide = stored.astype(np.int64)
        elif bias == "float":
            real = rng.normal(0, 3, filters).astype(F)
            inputs.append(builder.constant(real))
            wide = np.rint(real / (scale_x * scale_w)).astype(np.int64)
        attributes: dict[str, Any] = {
            "strides": [strides] * 2,
            "pads": pads,
            "dilations": [dilation] * 2,
            "group": groups,
        }
        result = builder.node("Conv", inputs, kernel_shape=[kernel] * 2, **attributes)
        low, high = -128, 127
        if activation == "Relu":
            result, low = builder.node("Relu", [result]), zero_y
        elif activation == "Clip":
            scale_y = F(6 / 255)
            result = builder.node("Clip", [result, builder.constant(F(0)), builder.constant(F(6))])
        builder.quantise(result, scale_y, dtype(zero_y + shift), "y")
        ratio = ((scale_x * scale_w).astype(F) / scale_y).astype(F).reshape(-1, 1, 1)
        scaled = np.rint((self.sums + wide[:, None, None]).astype(F) * ratio).astype(np.int64)
        self.expected = (np.clip(scaled + zero_y, low, high) + shift)[None]
        self.model = builder.model("y", self.dtype)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name: str) -> None:
    for seed in SEEDS:
        case = ConvolutionCase(seed, **CONVOLUTIONS[name])
        mine = run_integer(case.model, case.builder.feeds)["y"]
        assert np.array_equal(mine, case.expected)
        reference, kinds = run_reference(case.model, case.builder.feeds)
        assert "QLinearConv" in kinds
        assert "Conv" not in kinds
        assert np.count_nonzero(mine != reference["y"]) == 0


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_of_unsigned_codes(name: str) -> None:
    """uint8 activations. Without VNNI the u8 x s8 kernel saturates pairs of products in 16 bits unless weights have 7
    bits, or unless ONNX Runtime is told to turn them into uint8: both ways must then be exact."""
    for seed in SEEDS:
        wide = ConvolutionCase(seed, unsigned=True, **CONVOLUTIONS[name])
        mine = run_integer(wide.model, wide.builder.feeds)["y"]
        assert np.array_equal(mine, wide.expected)
        reference, kinds = run_reference(wide.model, wide.builder.feeds, exact_unsigned=not has_vnni())
        assert "QLinearConv" in kinds
        assert np.count_nonzero(mine != reference["y"]) == 0
        narrow = ConvolutionCase(seed, unsigned=True, weight_limit=64, **CONVOLUTIONS[name])
        mine = run_integer(narrow.model, narrow.builder.feeds)["y"]
        assert np.array_equal(mine, run_reference(narrow.model, narrow.builder.feeds)[0]["y"])


# ---- rules that have no kernel to compare with


def test_residual_chain_goes_through_int8() -> None:
    """conv -> Q -> DQ -> Add -> Relu -> Q is the convolution's codes, then the add law on codes."""
    case = ConvolutionCase(1, **CONVOLUTIONS["plain"])
    builder, rng = case.builder, np.random.default_rng(2)
    other = rng.integers(-128, 128, case.expected.shape).astype(np.int8)
    left = builder.dequantise("y", F(0.07), np.int8(5))
    right = builder.dequantise(builder.feed(other), F(0.04), np.int8(-9))
    builder.quantise(builder.node("Relu", [builder.node("Add", [left, right])]), F(0.05), np.int8(-100), "z")
    tensors = run_integer_all(builder.model("z"), builder.feeds)
    assert np.array_equal(tensors["y"], case.expected)
    codes = tensors["y"].astype(np.int64), other.astype(np.int64)
    expected = laws.add(codes[0], F(0.07), 5, codes[1], F(0.04), -9, F(0.05), -100, low=-100)
    assert np.array_equal(tensors["z"], expected)


def bias_model(bias_scale: float) -> Builder:
    """Input and weight of one element 1 with scales 0.5 and 0.25, a bias of the given scale, output scale 100."""
    builder = Builder()
    x = builder.dequantise(builder.feed(np.ones((1, 1, 1, 1), np.int8)), F(0.5), np.int8(0))
    w = builder.dequantise(builder.constant(np.ones((1, 1, 1, 1), np.int8)), F(0.25), np.int8(0))
    b = builder.dequantise(builder.constant(np.array([79597], np.int32)), F(bias_scale), np.int32(0))
    builder.quantise(builder.node("Conv", [x, w, b]), F(100), np.int8(0), "y")
    return builder


@pytest.mark.parametrize(("factor", "expected"), [(1, 99), (1 + 5e-5, 99), (1 + 2e-4, 100), (0.5, 50)])
def test_bias_scale(factor: float, expected: int) -> None:
    """A slight difference of the bias scale is ignored (converted, 5e-5 would give 100 too), another scale is not."""
    builder = bias_model(0.125 * factor)
    assert run_integer(builder.model("y"), builder.feeds)["y"].item() == expected


def test_batch_norm_after_convolution_is_folded_into_scale_and_bias() -> None:
    case = ConvolutionCase(3, **CONVOLUTIONS["no-bias"])
    builder = case.builder
    last = builder.nodes.pop()
    rng = np.random.default_rng(4)
    gamma, beta, mean, variance = (rng.uniform(0.5, 2, 5).astype(F) for _ in range(4))
    gamma[2], gamma[3] = 0, -gamma[3]
    constants = [builder.constant(value) for value in (gamma, beta, mean, variance)]
    normal = builder.node("BatchNormalization", [last.input[0], *constants])
    builder.quantise(normal, F(0.5), np.int8(3), "y")
    model = builder.model("y")
    mine = run_integer(model, builder.feeds)["y"].astype(int)
    reference = run_reference(model, builder.feeds)[0]["y"].astype(int)
    assert np.unique(mine[0, 2]).size == 1
    assert np.unique(mine[0, 3]).size > 10
    assert np.abs(mine - reference).max() <= 1


def test_function_in_pieces_is_one_table() -> None:
    """x * sigmoid(x), both operands behind their own DequantizeLinear, nothing quantised between."""
    builder = Builder()
    fed = builder.feed(np.arange(-128, 128).astype(np.int8))
    first, second = (builder.dequantise(fed, F(0.05), np.int8(7)) for _ in range(2))
    builder.quantise(builder.node("Mul", [first, builder.node("Sigmoid", [second])]), F(0.03), np.int8(-90), "y")
    real = (np.arange(-128, 128) - 7) * float(F(0.05))
    expected = np.clip(np.rint(real / (1 + np.exp(-real)) / float(F(0.03))) - 90, -128, 127)
    assert np.array_equal(run_integer(builder.model("y"), builder.feeds)["y"], expected)


def test_overflow_of_the_accumulator_is_refused() -> None:
    builder = Builder()
    x = builder.dequantise(builder.feed(np.full((1, 140000), -128, np.int8)), F(1), np.int8(0))
    w = builder.dequantise(builder.constant(np.full((140000, 1), -128, np.int8)), F(1), np.int8(0))
    builder.quantise(builder.node("MatMul", [x, w]), F(1), np.int8(0), "y")
    with pytest.raises(OverflowError, match="does not fit int32"):
        run_integer(builder.model("y"), builder.feeds)


def test_group_without_a_law_is_refused_by_name() -> None:
    case = ConvolutionCase(0, **CONVOLUTIONS["plain"])
    last = case.builder.nodes.pop()
    sigmoid = case.builder.node("Sigmoid", [last.input[0]], name="bare")
    case.builder.quantise(sigmoid, F(0.01), np.int8(0), "y")
    with pytest.raises(UnsupportedModelError, match="Sigmoid 'bare': its operand has no Q between"):
        run_integer(case.builder.model("y"), case.builder.feeds)


def test_oracle_stands_alone() -> None:
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "fractions",
        "functools",
        "itertools",
        "math",
        "pathlib",
        "tempfile",
        "typing",
    }
    allowed |= {"numpy", "onnx", "onnxruntime"}
    for path in (Path(__file__).parent / "oracle").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path.name


# ---- whole models

MODELS = {
    # name: (input kind, most elements that may differ among 20 outputs, by how many steps)
    "mobilenetv1_vww": ("image", 0, 0),
    "resnet8_cifar10": ("int8", 4, 8),  # its average pool of 8 x 8 with equal scales meets ties
    "dscnn_kws": ("float", 0, 0),
    "mobilenetv2_kws": ("int8", 0, 0),
}


def random_input(kind: str, shape: list[Any], seed: int) -> npt.NDArray[Any]:
    rng = np.random.default_rng([seed, 99])
    sizes = [1, *(int(size) for size in shape[1:])]
    if kind == "int8":
        return rng.integers(-128, 128, sizes).astype(np.int8)
    return (rng.uniform(0, 255, sizes) if kind == "image" else rng.normal(0, 60, sizes)).astype(F)


def steps(mine: npt.NDArray[Any], reference: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Differences in output steps (float outputs have steps of 1/256)."""
    unit = 1 if mine.dtype == np.int8 else 256
    return np.abs((mine.astype(np.float64) - reference) * unit)


@pytest.mark.parametrize("name", MODELS)
def test_whole_model(name: str) -> None:
    kind, most, largest = MODELS[name]
    path = DATA / "models" / f"{name}_int8.onnx"
    made, kinds = session(path)
    assert "QLinearConv" in kinds
    assert "Conv" not in kinds
    entry, output = made.get_inputs()[0], made.get_outputs()[0].name
    differences: list[npt.NDArray[Any]] = []
    distinct: set[bytes] = set()
    for seed in range(20):
        fed = {entry.name: random_input(kind, entry.shape, seed)}
        mine, reference = run_integer(path, fed)[output], np.asarray(made.run([output], fed)[0])
        assert mine.dtype == reference.dtype
        assert mine.shape == reference.shape
        differences.append(steps(mine, reference))
        distinct.add(mine.tobytes())
        assert mine.argmax() == reference.argmax()
    spread = np.stack(differences)
    print(f"\n{name}: {np.count_nonzero(spread)} of {spread.size} outputs differ, by at most {spread.max():g} steps")
    assert len(distinct) >= 3
    assert np.count_nonzero(spread) <= most
    assert spread.max() <= largest


@pytest.mark.parametrize(
    ("photo", "person"), [("astronaut", 0.90), ("chelsea", 0.06), ("coffee", 0.01), ("rocket", 0.14)]
)
def test_photo(photo: str, person: float) -> None:
    path = DATA / "models" / "mobilenetv1_vww_int8.onnx"
    picture = Image.open(DATA / "images" / f"{photo}.png").convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)
    fed = {"input_1": np.asarray(picture, F)[None]}
    mine = run_integer(path, fed)["Identity"]
    reference = np.asarray(session(path)[0].run(["Identity"], fed)[0])
    print(f"\n{photo}: person {mine[0, 0]:.4f}, ONNX Runtime {reference[0, 0]:.4f}")
    assert np.array_equal(mine, reference)
    assert abs(float(mine[0, 0]) - person) < 0.006


def test_batch_is_images_one_by_one() -> None:
    path = DATA / "models" / "resnet8_cifar10_int8.onnx"
    pictures = [random_input("int8", [1, 32, 32, 3], seed) for seed in range(3)]
    single = [run_integer(path, {"input_1_int8": picture})["Identity_int8"] for picture in pictures]
    together = run_integer(path, {"input_1_int8": np.concatenate(pictures)})["Identity_int8"]
    assert np.array_equal(together, np.concatenate(single))


def test_every_inner_tensor_is_named() -> None:
    path = DATA / "models" / "dscnn_kws_int8.onnx"
    tensors = run_integer_all(path, {"input_1": random_input("float", [1, 50, 10, 1], 0)})
    inner = [array for array in tensors.values() if array.dtype == np.int8]
    assert len(inner) >= 13
    assert sum(np.unique(array).size > 20 for array in inner) >= 9
