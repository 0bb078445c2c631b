"""Host operators are ONNX Runtime's: the laws they share with the machine, and what is said where it cannot run one."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from dialects.host import run_node, run_onnx, unsupported
from dialects.meaning import kernels
from sim.machine.errors import ReconError


def node_model(op: str, shape: list[int], kind: int = TensorProto.FLOAT, **attributes: object) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_empty_tensor_value_info("y")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_softmax_is_exact_but_for_its_last_bits() -> None:
    v = np.random.default_rng(1).normal(0, 4, (50, 20)).astype(np.float32)
    found = run_onnx(node_model("Softmax", [50, 20]), {"x": v})["y"]
    for row, result in zip(v.tolist(), found.tolist(), strict=True):
        powers = [math.exp(a - max(row)) for a in row]
        np.testing.assert_allclose(result, np.asarray(powers) / math.fsum(powers), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("zero", [np.int8(3), np.uint8(131)])
def test_quantising_on_the_host_is_the_law_of_the_machine(zero: np.integer) -> None:
    v = np.concatenate([np.arange(-200, 200, 0.25), [math.inf, -math.inf, 1e30]]).astype(np.float32)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    scale = np.asarray(0.37, np.float32)
    (codes,) = run_node(node, [v, scale, np.asarray(zero)], {"": 13})
    shift = 128 if zero.dtype == np.uint8 else 0
    assert np.array_equal(codes.astype(np.int64) - shift, kernels.quantise(v, float(scale), int(zero) - shift))
    back = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"])
    (real,) = run_node(back, [codes, scale, np.asarray(zero)], {"": 13})
    assert np.array_equal(real, kernels.dequantise((codes.astype(np.int64) - shift).astype(np.int8), float(scale),
                                                   int(zero) - shift))  # fmt: skip


def test_what_the_reference_lacks_or_has_wrong_is_right() -> None:
    x = np.random.default_rng(2).normal(size=(2, 8, 3, 3)).astype(np.float32)
    found = run_onnx(node_model("LRN", [2, 8, 3, 3], size=3), {"x": x})["y"]
    square = np.pad(x.astype(np.float64) ** 2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    wanted = x / (1 + 1e-4 / 3 * (square[:, :-2] + square[:, 1:-1] + square[:, 2:])) ** 0.75
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    pooled = run_onnx(node_model("MaxPool", [1, 1, 4, 4], TensorProto.INT8, kernel_shape=[2, 2]),
                      {"x": np.arange(16, dtype=np.int8).reshape(1, 1, 4, 4)})["y"]  # fmt: skip
    assert pooled.tolist() == [[[[5, 6, 7], [9, 10, 11], [13, 14, 15]]]]


def test_what_cannot_run_is_told_in_the_words_of_the_runtime() -> None:
    model = node_model("Softmax", [2, 3], axis=5)
    assert unsupported(node_model("Softmax", [2, 3])) == ""
    said = unsupported(model)
    assert said
    assert "\n" not in said
    with pytest.raises(ReconError) as caught:
        run_onnx(model, {"x": np.zeros((2, 3), np.float32)})
    assert str(caught.value) == f"ONNX Runtime cannot run the host's operators (Softmax): {said}."
    with pytest.raises(ValueError, match="no value given for the input 'x'"):
        run_onnx(node_model("Softmax", [2, 3]), {})


def test_constants_of_types_without_a_kernel_are_computed_by_the_reference() -> None:
    node = helper.make_node("Add", ["x", "", "y"][::2], ["z"])
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    (made,) = run_node(node, [np.ones(3, dtype), np.ones(3, dtype)], {"": 13})
    assert made.dtype == dtype
    assert made.astype(np.float32).tolist() == [2, 2, 2]


def test_multiplications_of_nodes() -> None:
    """Taps on padding are not counted; what multiplies nothing counts nothing."""
    from xdsl.dialects.test import TestOp

    from dialects.onnx import NodeOp, tensor
    from dialects.onnx_work import macs

    def node(op: str, inputs: list[list[int]], output: list[int], **attributes: int | tuple[int, ...] | str) -> int:
        made = TestOp(result_types=[tensor(shape, "f32") for shape in inputs])
        return macs(NodeOp(op, made.results, [tensor(output, "f32")], attributes))

    assert node("Conv", [[1, 8, 4, 4], [6, 8, 3, 3]], [1, 6, 4, 4], pads=(1, 1, 1, 1)) == 6 * 8 * 10 * 10
    same = node("Conv", [[1, 8, 4, 4], [6, 8, 3, 3]], [1, 6, 2, 2], auto_pad="SAME_UPPER", strides=(2, 2))
    assert same == 6 * 8 * 5 * 5
    assert node("Conv", [[2, 4, 7], [4, 1, 3]], [2, 4, 3], dilations=(2,)) == 2 * 4 * 9
    assert node("ConvTranspose", [[1, 8, 4, 4], [8, 3, 2, 2]], [1, 3, 8, 8]) == 8 * 16 * 3 * 4
    assert node("Gemm", [[7, 2], [7, 5]], [2, 5], transA=1) == 70
    assert node("MatMul", [[3, 2, 7], [7, 5]], [3, 2, 5]) == 210
    assert node("Softmax", [[3, 2]], [3, 2]) == 0
