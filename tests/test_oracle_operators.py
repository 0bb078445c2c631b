"""One operator at a time, and models in QOperator form: the oracle against ONNX Runtime's integer kernels.

ONNX Runtime must have taken these kernels (the operator types of the graph it really runs are asserted); then not one
byte may differ. Where a kernel is known to round a tie elsewhere, every difference is one step and sits on a tie.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto

from tests.oracle import laws, run_integer
from tests.oracle.cases import Builder, run_reference

DATA = Path(__file__).parent / "data"
F = np.float32
SEEDS = range(4)


def ints(*values: int) -> laws.Ints:
    return np.array(values, np.int64)


# ---- one operator at a time against ONNX Runtime's integer kernels


class OperatorCase:
    """DequantizeLinear -> operator -> QuantizeLinear on random codes."""

    def __init__(
        self,
        op_type: str,
        seed: int,
        shapes: list[tuple[int, ...]],
        same: bool = False,
        scales: tuple[float, float] | None = None,
        constants: tuple[npt.NDArray[Any], ...] = (),
        opset: int = 13,
        unsigned: bool = False,
        then: str = "",
        **attributes: Any,
    ) -> None:
        """Many parameters: what a case may say, all but the operator with a value that most cases want."""
        rng = np.random.default_rng([seed, 17])
        shift, dtype = (128, np.uint8) if unsigned else (0, np.int8)
        self.builder = builder = Builder()
        self.codes: list[laws.Ints] = []
        self.scales: list[F] = []
        self.zeros: list[int] = []
        inputs: list[str] = []
        for shape in shapes:
            self.scales.append(F(scales[0] if scales else rng.uniform(0.01, 0.1)))
            self.zeros.append(int(rng.integers(-30, 31)))
            self.codes.append(rng.integers(-128, 128, shape))
            fed = builder.feed((self.codes[-1] + shift).astype(dtype))
            inputs.append(builder.dequantise(fed, self.scales[-1], dtype(self.zeros[-1] + shift)))
        self.scale = self.scales[0] if same else F(scales[1] if scales else rng.uniform(0.03, 0.1))
        self.zero = self.zeros[0] if same else int(rng.integers(-30, 31))
        result = builder.node(op_type, [*inputs, *(builder.constant(value) for value in constants)], **attributes)
        if then:
            self.zero, result = -128, builder.node(then, [result])
        builder.quantise(result, self.scale, dtype(self.zero + shift), "y")
        self.model = builder.model("y", TensorProto.UINT8 if unsigned else TensorProto.INT8, opset)

    def compare(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any], list[str]]:
        reference, kinds = run_reference(self.model, self.builder.feeds)
        return run_integer(self.model, self.builder.feeds)["y"], reference["y"], kinds


IMAGE = [(1, 8, 9, 9)]
SIZES = np.array([1, 8, 15, 20], np.int64)
NONE = np.array([], F)
HALF_IMAGE = [(1, 8, 9, 9), (1, 8, 1, 1)]
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "add": ("QLinearAdd", {"op_type": "Add", "shapes": IMAGE * 2}),
    "add-channels": ("QLinearAdd", {"op_type": "Add", "shapes": HALF_IMAGE}),
    "mul": ("QLinearMul", {"op_type": "Mul", "shapes": IMAGE * 2}),
    "mul-channels": ("QLinearMul", {"op_type": "Mul", "shapes": HALF_IMAGE}),
    "mul-unsigned": ("QLinearMul", {"op_type": "Mul", "shapes": HALF_IMAGE, "unsigned": True}),
    "concat": ("QLinearConcat", {"op_type": "Concat", "shapes": IMAGE * 3, "axis": 1}),
    "sigmoid": ("QLinearSigmoid", {"op_type": "Sigmoid", "shapes": IMAGE, "scales": (1 / 16, 1 / 256)}),
    "sigmoid-odd": ("QLinearSigmoid", {"op_type": "Sigmoid", "shapes": IMAGE}),
    "leaky-relu": ("QLinearLeakyRelu", {"op_type": "LeakyRelu", "shapes": IMAGE, "alpha": 0.1}),
    "softmax": ("QLinearSoftmax", {"op_type": "Softmax", "shapes": [(3, 50)], "scales": (0.1, 1 / 256), "axis": 1}),
    "global-average": ("QLinearGlobalAveragePool", {"op_type": "GlobalAveragePool", "shapes": [(1, 96, 7, 7)]}),
    "global-average-ties": (
        "QLinearGlobalAveragePool",
        {"op_type": "GlobalAveragePool", "shapes": [(1, 96, 8, 8)], "same": True},
    ),
    "average": (
        "QLinearAveragePool",
        {"op_type": "AveragePool", "shapes": IMAGE, "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    ),
    "average-with-pads": (
        "QLinearAveragePool",
        {
            "op_type": "AveragePool",
            "shapes": IMAGE,
            "kernel_shape": [3, 3],
            "pads": [1, 1, 1, 1],
            "count_include_pad": 1,
        },
    ),
    "average-ceil": (
        "QLinearAveragePool",
        {"op_type": "AveragePool", "shapes": IMAGE, "kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    ),
    "max": (
        "MaxPool",
        {
            "op_type": "MaxPool",
            "shapes": IMAGE,
            "same": True,
            "kernel_shape": [3, 3],
            "strides": [2, 2],
            "pads": [1, 0, 1, 1],
        },
    ),
    "resize": (
        "Resize",
        {"op_type": "Resize", "shapes": IMAGE, "same": True, "constants": (NONE, np.array([1, 1, 1.7, 2.3], F))},
    ),
    "resize-asymmetric": (
        "Resize",
        {
            "op_type": "Resize",
            "shapes": IMAGE,
            "same": True,
            "constants": (NONE, np.array([1, 1, 2, 2], F)),
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
    ),
    "resize-corners": (
        "Resize",
        {
            "op_type": "Resize",
            "shapes": IMAGE,
            "same": True,
            "constants": (NONE, NONE, SIZES),
            "coordinate_transformation_mode": "align_corners",
            "nearest_mode": "ceil",
        },
    ),
    "transpose": ("Transpose", {"op_type": "Transpose", "shapes": IMAGE, "same": True, "perm": [0, 2, 3, 1]}),
    "reshape": ("Reshape", {"op_type": "Reshape", "shapes": IMAGE, "same": True, "constants": (np.array([0, -1]),)}),
    "slice": (
        "Slice",
        {
            "op_type": "Slice",
            "shapes": IMAGE,
            "same": True,
            "constants": tuple(np.array(pair) for pair in ((1, 7), (7, 0), (1, 2), (2, -3))),
        },
    ),
    "depth-to-space": ("DepthToSpace", {"op_type": "DepthToSpace", "shapes": IMAGE, "same": True, "blocksize": 2}),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_equals_the_integer_kernel(name: str) -> None:
    kernel, spec = OPERATORS[name]
    for seed in SEEDS:
        mine, reference, kinds = OperatorCase(seed=seed, **spec).compare()
        assert kernel in kinds
        assert np.count_nonzero(mine != reference) == 0


FLOAT_OPERATORS: dict[str, dict[str, Any]] = {
    "requantise": {"op_type": "Identity", "shapes": IMAGE},
    "sub": {"op_type": "Sub", "shapes": IMAGE * 2},
    "add-relu": {"op_type": "Add", "shapes": IMAGE * 2, "then": "Relu"},
    "mean": {"op_type": "ReduceMean", "shapes": IMAGE, "axes": [2, 3], "keepdims": 0},
    "max-other-scale": {"op_type": "MaxPool", "shapes": IMAGE, "kernel_shape": [3, 3]},
    "pad": {"op_type": "Pad", "shapes": IMAGE, "constants": (np.array([0, 0, 1, 2, 0, 0, 0, 1]), np.array(0.5, F))},
    "lrn": {"op_type": "LRN", "shapes": IMAGE, "size": 5, "alpha": 0.1, "beta": 0.75, "bias": 1.0},
    "batch-norm": {
        "op_type": "BatchNormalization",
        "shapes": IMAGE,
        "constants": tuple(np.linspace(0.5, 1.5, 8).astype(F) ** power for power in (1, 2, -1, 3)),
    },
    "tanh": {"op_type": "Tanh", "shapes": IMAGE},
    "hard-swish": {"op_type": "HardSwish", "shapes": IMAGE, "opset": 14},
    "hard-sigmoid": {"op_type": "HardSigmoid", "shapes": IMAGE},
    "gelu": {"op_type": "Gelu", "shapes": IMAGE, "opset": 20},
    "elu": {"op_type": "Elu", "shapes": IMAGE},
    "softplus": {"op_type": "Softplus", "shapes": IMAGE},
    "space-to-depth": {"op_type": "SpaceToDepth", "shapes": IMAGE, "blocksize": 3},
}


@pytest.mark.parametrize("name", FLOAT_OPERATORS)
def test_operator_without_an_integer_kernel_equals_the_float_one(name: str) -> None:
    """There the float meaning is the reference. Random scales keep away from ties, so bytes are equal."""
    for seed in SEEDS:
        mine, reference, _ = OperatorCase(seed=seed, **FLOAT_OPERATORS[name]).compare()
        assert np.count_nonzero(mine != reference) == 0


@pytest.mark.parametrize("unsigned", [False, True])
def test_add_of_all_pairs_of_codes(unsigned: bool) -> None:
    """All 65,536 pairs under 12 quantisations. The kernel uses fused multiply-adds, which the machine does not: at most
    30 in a million sums may differ, by one step, on a tie."""
    differing = 0
    for seed in range(12):
        case = OperatorCase("Add", seed, [(256, 1), (1, 256)], unsigned=unsigned)
        grid = np.arange(256) - (0 if unsigned else 128)
        for name, shape in zip(case.builder.feeds, [(256, 1), (1, 256)], strict=True):
            case.builder.feeds[name] = grid.astype(case.builder.feeds[name].dtype).reshape(shape)
        mine, reference, kinds = case.compare()
        assert "QLinearAdd" in kinds
        a, b = np.arange(-128.0, 128)[:, None] - case.zeros[0], np.arange(-128.0, 128)[None] - case.zeros[1]
        exact = (a * float(case.scales[0]) + b * float(case.scales[1])) / float(case.scale)
        assert_only_ties(mine, reference, exact)
        differing += np.count_nonzero(mine != reference)
    assert differing <= 30e-6 * 12 * 65536


@pytest.mark.parametrize("power", [None, -4, -6])
def test_mul_of_all_pairs_of_codes(power: int | None) -> None:
    """Not one of the 65,536 products differs. Scales that are powers of two give true ties: an odd zero point sends
    them the other way when it is added before rounding, as kernel and law do."""
    for seed in range(8):
        scales = None if power is None else (2.0**power, 0.0625)
        case = OperatorCase("Mul", seed, [(256, 1), (1, 256)], scales=scales)
        for name, shape in zip(case.builder.feeds, [(256, 1), (1, 256)], strict=True):
            case.builder.feeds[name] = np.arange(-128, 128).astype(np.int8).reshape(shape)
        mine, reference, kinds = case.compare()
        assert "QLinearMul" in kinds
        assert np.count_nonzero(mine != reference) == 0


def test_scale_of_mul_is_product_first() -> None:
    """f32(f32(sa*sb)/sy); dividing first gives another last bit, and -87 here."""
    for a, b, expected in ((101, -75, -86), (75, -101, -86)):
        scales = F(0.022288907), F(0.03813361), F(0.074432604)
        assert laws.mul(ints(a), scales[0], 0, ints(b), scales[1], 0, scales[2], 0).tolist() == [expected]


def assert_only_ties(mine: npt.NDArray[Any], reference: npt.NDArray[Any], exact: laws.F64) -> None:
    """Every difference is one step, where the exact result lies halfway between two integers."""
    wrong = mine != reference
    assert np.abs(mine.astype(int) - reference.astype(int)).max() <= 1
    assert bool((np.abs(np.abs(exact[wrong] % 1) - 0.5) < 1e-4).all())


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_average_pool_differs_on_ties_only(kernel: int) -> None:
    """With equal scales the kernel sums rounded floats and rounds after the zero point; the machine sums integers."""
    for seed in SEEDS:
        case = OperatorCase("AveragePool", seed, IMAGE, same=True, kernel_shape=[kernel] * 2)
        mine, reference, kinds = case.compare()
        assert "QLinearAveragePool" in kinds
        windows = np.lib.stride_tricks.sliding_window_view(case.codes[0] - case.zeros[0], (kernel, kernel), (2, 3))
        exact = windows.mean(axis=(4, 5))
        assert_only_ties(mine, reference, exact)
        assert np.array_equal(mine, np.clip(np.rint(exact) + case.zero, -128, 127))


def product_model(seed: int, kind: str) -> Builder:
    """A fully connected layer as Gemm, or as MatMul with an Add."""
    rng = np.random.default_rng([seed, 5])
    builder = Builder()
    x, w = rng.integers(-128, 128, (3, 40)).astype(np.int8), rng.integers(-128, 128, (40, 10)).astype(np.int8)
    scale_x, scale_w = F(rng.uniform(0.01, 0.1)), rng.uniform(0.001, 0.02, 10).astype(F)
    zeros, zero_x = np.zeros(10, np.int8), np.int8(rng.integers(-128, 128))
    left = builder.dequantise(builder.feed(x), scale_x, zero_x)
    transposed = kind == "Gemm"
    right = builder.dequantise(builder.constant(w.T if transposed else w), scale_w, zeros, axis=0 if transposed else 1)
    bias = rng.integers(-3000, 3000, 10).astype(np.int32)
    shift = builder.dequantise(builder.constant(bias), scale_x * scale_w, zeros.astype(np.int32), axis=0)
    if kind == "Gemm":
        result = builder.node("Gemm", [left, right, shift], transB=1)
    else:
        result = builder.node("MatMul", [left, right])
        result = builder.node("Add", [result, shift]) if kind == "MatMul+Add" else result
    builder.quantise(result, F(rng.uniform(0.1, 0.4)), np.int8(rng.integers(-60, 60)), "y")
    return builder


@pytest.mark.parametrize(("kind", "kernel"), [("Gemm", "QGemm"), ("MatMul+Add", "QGemm"), ("MatMul", "QLinearMatMul")])
def test_matrix_product(kind: str, kernel: str) -> None:
    for seed in SEEDS:
        builder = product_model(seed, kind)
        model = builder.model("y")
        reference, kinds = run_reference(model, builder.feeds)
        assert kernel in kinds
        assert np.count_nonzero(run_integer(model, builder.feeds)["y"] != reference["y"]) == 0


# ---- models already in QOperator form


def operator_form(seed: int, op_type: str, unsigned: bool) -> Builder:
    """One QLinear node on random codes, output `y`."""
    rng = np.random.default_rng([seed, 23])
    shift, dtype = (128, np.uint8) if unsigned else (0, np.int8)
    builder = Builder()

    def quantisation() -> list[str]:
        scale, zero = F(rng.uniform(0.03, 0.1)), dtype(int(rng.integers(-30, 30)) + shift)
        return [builder.constant(scale), builder.constant(zero)]

    def tensor(*shape: int) -> list[str]:
        return [builder.feed((rng.integers(-128, 128, shape) + shift).astype(dtype)), *quantisation()]

    def weights(*shape: int) -> list[str]:
        codes = rng.integers(-64, 64, shape).astype(np.int8)
        return [builder.constant(codes), builder.constant(F(0.004)), builder.constant(np.int8(0))]

    contrib = "com.microsoft"
    if op_type == "QLinearConv":
        bias = builder.constant(rng.integers(-900, 900, 5).astype(np.int32))
        builder.node(
            op_type, [*tensor(1, 6, 8, 8), *weights(5, 6, 3, 3), *quantisation(), bias], "y", pads=[1, 0, 0, 1]
        )
    elif op_type == "QLinearMatMul":
        builder.node(op_type, [*tensor(4, 30), *weights(30, 6), *quantisation()], "y")
    elif op_type == "QGemm":
        bias = builder.constant(rng.integers(-900, 900, 6).astype(np.int32))
        inputs = [*tensor(4, 30), *weights(6, 30), bias, *quantisation()]
        builder.node(op_type, inputs, "y", domain=contrib, transB=1, alpha=0.7)
    elif op_type in ("QLinearAdd", "QLinearMul"):
        builder.node(op_type, [*tensor(1, 4, 5, 5), *tensor(1, 4, 5, 5), *quantisation()], "y", domain=contrib)
    elif op_type == "QLinearConcat":
        inputs = [*quantisation(), *tensor(1, 4, 5, 5), *tensor(1, 3, 5, 5)]
        builder.node(op_type, inputs, "y", domain=contrib, axis=1)
    elif op_type == "QLinearAveragePool":
        inputs = [*tensor(1, 4, 8, 8), *quantisation()]
        builder.node(op_type, inputs, "y", domain=contrib, kernel_shape=[3, 3], pads=[1, 1, 0, 0])
    else:
        builder.node(op_type, [*tensor(1, 4, 7, 7), *quantisation()], "y", domain=contrib)
    return builder


OPERATOR_FORMS = [
    "QLinearConv",
    "QLinearMatMul",
    "QGemm",
    "QLinearAdd",
    "QLinearMul",
    "QLinearConcat",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearSigmoid",
    "QLinearLeakyRelu",
]


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("op_type", OPERATOR_FORMS)
def test_operator_form(op_type: str, unsigned: bool) -> None:
    for seed in SEEDS:
        builder = operator_form(seed, op_type, unsigned)
        model = builder.model("y", TensorProto.UINT8 if unsigned else TensorProto.INT8)
        reference, kinds = run_reference(model, builder.feeds)
        assert op_type in kinds
        assert np.count_nonzero(run_integer(model, builder.feeds)["y"] != reference["y"]) == 0
