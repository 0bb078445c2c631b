"""Quantisers of QONNX and of Sony's MCT mean what their own formulas say, and say what they cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dialects.meaning.cnn import evaluate
from passes.common.problems import ModelError
from passes.onnx.import_onnx import import_model
from tests.passes.onnx_to_cnn.graphs import compile_to_cnn

F32 = npt.NDArray[np.float32]

QONNX, MCT = "qonnx.custom_op.general", "mct_quantizers"


class Net:
    """A network of one convolution between quantisers of another domain."""

    def __init__(self, domain: str) -> None:
        self.domain, self.random = domain, np.random.default_rng(5)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: npt.ArrayLike) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], own: bool = False, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        domain = self.domain if own else ""
        self.nodes.append(helper.make_node(kind, inputs, [name], f"{kind}_{name}", domain=domain, **attributes))
        return name

    def quant(self, value: str, scale: npt.ArrayLike, zero: float = 0, bits: float = 8, **attributes: Any) -> str:
        operands = [value, *(self.constant(each) for each in (scale, zero, bits))]
        given = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        return self.node("Quant", operands, own=True, **given)

    def model(self, output: str, *shape: int) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes, "vendor", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self.constants,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(self.domain, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantised(values: F32, scale: Any, least: int, most: int, zero: float = 0) -> F32:
    """The formula of both domains."""
    codes = np.clip(np.rint(values / np.float32(scale) + np.float32(zero)), least, most)
    return ((codes - np.float32(zero)) * np.float32(scale)).astype(np.float32)


def convolved(x: F32, weights: F32, bias: F32) -> F32:
    """1x1, in float64."""
    return (np.einsum("kc,nchw->nkhw", weights[:, :, 0, 0].astype(np.float64), x) + bias[None, :, None, None]).astype(
        np.float32
    )


def answers(model: onnx.ModelProto, x: F32) -> F32:
    (found,) = evaluate(compile_to_cnn(model), {"x": x}).values()
    return found


@pytest.mark.parametrize(("bits", "narrow"), [(8, 0), (8, 1), (4, 0), (3, 1), (2, 0)])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quant_of_qonnx(bits: int, narrow: int, per_channel: bool) -> None:
    net = Net(QONNX)
    weights = net.random.standard_normal((4, 3, 1, 1)).astype(np.float32)
    bias = net.random.standard_normal(4).astype(np.float32)
    most = 2 ** (bits - 1) - 1
    step = np.float32(2.5 / most) * (np.linspace(0.5, 1, 4).reshape(4, 1, 1, 1) if per_channel else np.ones(()))
    step = step.astype(np.float32)
    unit = (np.float32(1 / 64) * step.reshape(-1)).astype(np.float32)
    x = net.quant("x", 1 / 64)
    w = net.quant(net.constant(weights), step, bits=bits, narrow=narrow)
    b = net.quant(net.constant(bias), unit, bits=32)
    y = net.node("Relu", [net.node("Conv", [x, w, b])])
    model = net.model(net.quant(y, 0.1307, zero=3, bits=bits, signed=0, narrow=narrow), 1, 3, 6, 5)
    data = net.random.standard_normal((1, 3, 6, 5)).astype(np.float32)
    inner = quantised(data, 1 / 64, -128, 127)
    exact = convolved(inner, quantised(weights, step, -most - 1 + narrow, most), quantised(bias, unit, -(2**31), 2**31))
    wanted = quantised(np.maximum(exact, 0), 0.1307, 0, 2**bits - 1 - narrow, 3)
    assert np.array_equal(answers(model, data), wanted)


def test_quantisers_of_mct() -> None:
    net = Net(MCT)
    weights = net.random.standard_normal((4, 3, 1, 1)).astype(np.float32)
    bias = (np.round(net.random.standard_normal(4) * 4096) / 4096).astype(np.float32)
    reach = np.asarray([2.0, 4.0, 4.0, 8.0], np.float32)
    x = net.node("ActivationPOTQuantizer", ["x"], own=True, num_bits=8, signed=1, threshold=4.0)
    w = net.node("WeightsSymmetricQuantizer", [net.constant(weights), net.constant(reach)], own=True, num_bits=8,
                 signed=1, per_channel=1, channel_axis=0)  # fmt: skip
    y = net.node("Relu", [net.node("Conv", [x, w, net.constant(bias)])])
    y = net.node("ActivationSymmetricQuantizer", [y], own=True, num_bits=8, signed=0, threshold=6.1)
    data = net.random.standard_normal((1, 3, 6, 5)).astype(np.float32)
    real = quantised(weights, reach.reshape(4, 1, 1, 1) / 128, -128, 127)
    exact = np.maximum(convolved(quantised(data, 4 / 128, -128, 127), real, bias), 0)
    assert np.array_equal(
        answers(net.model(y, 1, 3, 6, 5), data), quantised(exact, np.float32(6.1) / np.float32(256), 0, 255)
    )


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda net: net.quant("x", 0.1, rounding_mode="FLOOR"),
         "It rounds by FLOOR; ROUND, to the nearest and of two to the even, is supported."),
        (lambda net: net.quant("x", 0.1, bits=16),
         "It makes 16 bits of a computed tensor; the machine computes with 8."),
        (lambda net: net.quant("x", 0.1, bits=1),
         "It makes 1 bits; one whole number of 2 to 8 is supported, up to 32 for a constant."),
        (lambda net: net.quant("x", 0.1, zero=0.5),
         "Its zero point is 0.5; one whole number between -128 and 127 is supported."),
        (lambda net: net.node("Quant", ["x", "x", net.constant(0), net.constant(8)], own=True),
         "Its scale, zero point and bits have to be constants."),
    ],
)  # fmt: skip
def test_what_cannot_be_spelled_out(write: Any, message: str) -> None:
    net = Net(QONNX)
    model = net.model(write(net), 1, 3, 6, 5)
    with pytest.raises(ModelError) as raised:
        import_model(model.SerializeToString(), {}, "case")
    assert str(raised.value) == f"case: Quant_t0: {message}"


def test_a_threshold_of_sixteen_bits() -> None:
    net = Net(MCT)
    y = net.node("ActivationPOTQuantizer", ["x"], own=True, num_bits=16, signed=1, threshold=4.0)
    with pytest.raises(ModelError) as raised:
        import_model(net.model(y, 1, 3, 6, 5).SerializeToString(), {}, "case")
    assert str(raised.value) == (
        "case: ActivationPOTQuantizer_t0: It makes 16 bits of a threshold; 2 to 8 of a constant one are supported."
    )
