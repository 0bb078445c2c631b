"""Float models: clean-ups keep the float meaning, assumed scales come close, other people's quantisers compile."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from xdsl.context import Context

from dialects.meaning import cnn as cnn_meaning
from dialects.meaning import onnx as onnx_meaning
from dialects.onnx_export import export_module
from passes.onnx.canonicalize_onnx import CanonicalizeOnnxPass
from passes.onnx.fold_batch_norm import FoldBatchNormPass
from passes.onnx.fold_constants import FoldConstantsPass
from passes.onnx.import_onnx import import_model
from passes.quantise.assume_int8 import AssumeInt8Pass, quantise_weights, scale_and_zero
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import compile_to_cnn

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def float_network(opset: int = 13) -> onnx.ModelProto:
    """Every kind of layer once, as exporters write them."""
    random = np.random.default_rng(1)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(values: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(values, f"w{len(constants)}"))
        return constants[-1].name

    def weight(*shape: int) -> str:
        return constant((random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def vector(*shape: int, low: float = 0.5) -> str:
        return constant(random.uniform(low, 1.5, shape).astype(np.float32))

    def node(op: str, *inputs: str, **attributes: object) -> str:
        nodes.append(
            helper.make_node(op, list(inputs), [f"t{len(nodes)}"], name=f"{op.lower()}{len(nodes)}", **attributes)
        )
        return nodes[-1].output[0]

    x = node("Conv", "x", weight(8, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    x = node("BatchNormalization", x, vector(8), vector(8), vector(8), vector(8))
    x = node("Add", node("Mul", x, vector(8, 1, 1)), vector(8, 1, 1))
    x = node("Relu", x)
    y = node("Clip", node("Conv", x, weight(8, 1, 3, 3), vector(8), group=8, pads=[1, 1, 1, 1]),
             constant(np.float32(0)), constant(np.float32(6)))  # fmt: skip
    z = node("LeakyRelu", node("Sum", x, y, x), alpha=0.1)
    z = node("Mul", z, node("Sigmoid", z))
    z = node("Relu", node("BatchNormalization", z, vector(8), vector(8), vector(8), vector(8)))
    p = node("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2])
    q = node("AveragePool", z, kernel_shape=[2, 2], strides=[2, 2])
    c = node("LRN", node("Concat", p, q, axis=1), size=3, alpha=0.01)
    g = node("Flatten", node("GlobalAveragePool", c))
    node("Softmax", node("Gemm", g, weight(5, 16), vector(5), transB=1))
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)], constants)  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


FEED = {"x": np.random.default_rng(2).normal(size=(1, 3, 16, 16)).astype(np.float32)}


def test_clean_ups_keep_the_float_meaning() -> None:
    module = import_model(float_network().SerializeToString(), None, "m")
    (wanted,) = onnx_meaning.evaluate(module, FEED).values()
    for kind in (FoldConstantsPass, CanonicalizeOnnxPass, FoldBatchNormPass):
        kind().apply(Context(), module)
        module.verify()
        (found,) = onnx_meaning.evaluate(module, FEED).values()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    text = str(module)
    assert '"Sum"' not in text
    assert "auto_pad" not in text
    assert text.count('"BatchNormalization"') == 1  # the one that stands before no convolution


def test_assumed_scales() -> None:
    """The int8 network's answer is near the float one's, equals the oracle's, and is the same every time."""
    model = float_network()
    (wanted,) = onnx_meaning.evaluate(import_model(model.SerializeToString(), None, "m"), FEED).values()
    module = compile_to_cnn(model, assume=True)
    again = compile_to_cnn(model, assume=True)
    assert str(module) == str(again)
    (found,) = cnn_meaning.evaluate(module, FEED).values()
    assert np.abs(found - wanted).max() < 0.05
    quantised = compile_to_cnn(model, assume=True, stop="assume-int8")
    assert "its outputs are not the model's" in str(quantised.attributes["recon.notes"])
    (oracle,) = run_integer(export_module(quantised).proto, FEED).values()
    np.testing.assert_allclose(found, oracle, rtol=1e-6, atol=1e-12)  # a Softmax in ONNX Runtime


def test_assume_int8_leaves_quantised_models_alone() -> None:
    module = compile_to_cnn(float_network(), assume=True, stop="assume-int8")
    before = str(module)
    AssumeInt8Pass().apply(Context(), module)
    assert str(module) == before


@pytest.mark.parametrize(
    "name",
    "resnet50 inception_v1 inception_v2 squeezenet bvlc_alexnet zfnet512 densenet121 shufflenet".split(),
)
def test_networks_of_the_wheel(name: str) -> None:
    """Between the entry and the exit region there are cnn operations only."""
    module = compile_to_cnn(str(LIGHT / f"light_{name}.onnx"), assume=True)
    (function,) = module.body.ops
    names = [op.name for op in function.regions[0].block.ops]
    assert names[0] == names[-2] == "cnn.host"
    assert names[-1] == "func.return"
    assert all(name.startswith("cnn.") and name != "cnn.host" for name in names[1:-2])
    layers = [op.properties["layer"] for op in function.regions[0].block.ops if "layer" in op.properties]
    assert len(set(layers)) == len(layers)


class _Reader(CalibrationDataReader):
    def __init__(self) -> None:
        random = np.random.default_rng(3)
        self.samples = iter([{"x": random.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(3)])

    def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return next(self.samples, None)


@pytest.mark.parametrize("style", [QuantFormat.QDQ, QuantFormat.QOperator], ids=str)
@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8], ids=str)
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantised_by_onnxruntime(
    tmp_path: Path, style: QuantFormat, activations: QuantType, per_channel: bool
) -> None:
    """What quantize_static writes compiles and gives the oracle's bytes."""
    module = import_model(float_network().SerializeToString(), None, "m")
    for kind in (FoldConstantsPass, CanonicalizeOnnxPass, FoldBatchNormPass):
        kind().apply(Context(), module)
    model = export_module(module).proto
    kept = [node for node in model.graph.node if node.op_type not in ("BatchNormalization", "LRN")]
    renamed = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type in ("BatchNormalization", "LRN")}
    for node in kept:  # operators that the runtime's tool leaves in float
        node.input[:] = [renamed.get(name, name) for name in node.input]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "float.onnx")
    logging.disable(logging.CRITICAL)
    try:
        quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", _Reader(), quant_format=style,
                        activation_type=activations, weight_type=QuantType.QInt8, per_channel=per_channel)  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    (found,) = cnn_meaning.evaluate(compile_to_cnn(str(tmp_path / "int8.onnx")), FEED).values()
    (wanted,) = run_integer(tmp_path / "int8.onnx", FEED).values()
    np.testing.assert_array_equal(found, wanted)


def test_scales() -> None:
    assert scale_and_zero(0.0, 0.0) == (1.0, 0)
    assert scale_and_zero(float("-inf"), 1.0) == (1.0, 0)
    scale, zero = scale_and_zero(-1.0, 3.0)
    assert 4 / 255 <= scale <= 4 / 255 * 1.01
    assert -128 + 1 / scale - 1 <= zero <= -128 + 1 / scale + 1
    codes, scales = quantise_weights(np.asarray([[2.0, -1.0], [0.0, 0.0]], np.float32), 0, None, 1.0)
    assert codes.tolist() == [[127, -64], [0, 0]]
    assert scales.tolist() == [float(np.float32(2) / np.float32(127)), 1.0]
    _, wide = quantise_weights(np.asarray([[1e-9]], np.float32), 0, np.asarray([1.0], np.float32), 1.0)
    assert 1 / float(wide[0]) < 2**31
