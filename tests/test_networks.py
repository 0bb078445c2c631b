"""The benchmark networks: published counts, reproducible bytes, models that ONNX Runtime runs to sane values."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import networks
from net_weights import Parameter

LIGHT = [name for name, row in networks.NETWORKS.items() if row.multiple == 0]
WRITTEN = [name for name in networks.NETWORKS if name not in LIGHT]


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_published_counts(name: str) -> None:
    row = networks.NETWORKS[name]
    model = networks.build(name, weights=False)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 13
    assert model.ir_version == 8
    if row.macs is not None:
        assert networks.count_macs(model) == pytest.approx(row.macs, rel=0.01)
    if row.parameters is not None:
        assert networks.count_parameters(model) == pytest.approx(row.parameters, rel=0.015)


def test_other_sizes() -> None:
    # darknet prints 140.69 BFLOP (two per MAC) for its 608 configuration.
    assert networks.count_macs(networks.build("yolov3-608", weights=False)) == pytest.approx(140.69e9 / 2, rel=0.001)
    assert networks.count_macs(networks.build("chain", 5, weights=False)) == 5 * 28 * 28 * 64 * 64 * 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yolov4", f"There is no network 'yolov4'. Choose one of: {', '.join(networks.NETWORKS)}."),
        ("yolov3-big", "'big' in 'yolov3-big' is no size: write NAME-SIZE, for example yolov3-416."),
        ("yolov3-400", "yolov3 needs a positive multiple of 32 as its size, not 400."),
        ("chain-0", "chain needs a positive multiple of 1 as its size, not 0."),
        ("vgg19-32", "vgg19 has a fixed input size, 224, and cannot be built for 32."),
    ],
)
def test_names_that_cannot_be_built(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        networks.build(name)


def test_load_light_knows_only_the_wheel() -> None:
    message = f"The onnx wheel has no light model 'yolov3'. Choose one of: {', '.join(LIGHT)}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        networks.load_light("yolov3")


@pytest.mark.parametrize(
    ("attributes", "shape", "kernel"),
    [
        ({"pads": [1, 1, 1, 1]}, (7, 9), (3, 3)),
        ({"pads": [0, 2, 1, 0], "strides": [2, 3]}, (8, 11), (3, 4)),
        ({"pads": [4, 4, 4, 4], "dilations": [3, 2]}, (6, 5), (3, 3)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (8, 7), (3, 5)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 1]}, (8, 7), (2, 4)),
        ({"auto_pad": "VALID", "strides": [2, 2]}, (8, 7), (3, 3)),
    ],
)
def test_taps_on_real_inputs(
    attributes: dict[str, list[int] | str], shape: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """A convolution of ones by ones counts, at each output, the taps that met a real input."""
    value = helper.make_tensor_value_info
    weight = helper.make_tensor("w", TensorProto.FLOAT, (6, 2, *kernel), np.ones(12 * kernel[0] * kernel[1]))
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=2, kernel_shape=kernel)
    node.attribute.extend(helper.make_attribute(name, setting) for name, setting in attributes.items())
    x = value("x", TensorProto.FLOAT, ["batch", 4, *shape])
    graph = helper.make_graph([node], "taps", [x], [value("y", TensorProto.FLOAT, None)], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (ones,) = _run(model, np.ones((1, 4, *shape), np.float32))
    assert networks.macs_by_node(model, padding=False) == {"y": int(ones.sum())}
    assert networks.count_macs(model) == ones.size * 2 * kernel[0] * kernel[1]


def test_matrix_products() -> None:
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["a", "b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w"], ["e"], transA=1),
    ]
    inputs = [value(n, TensorProto.FLOAT, s) for n, s in (("a", [5, 2, 3]), ("b", [3, 4]), ("w", [5, 7]))]
    graph = helper.make_graph(nodes, "products", inputs, [value("e", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert networks.macs_by_node(model) == {"c": 5 * 2 * 4 * 3, "e": 8 * 7 * 5}


def test_unknown_shape_is_named() -> None:
    value = helper.make_tensor_value_info
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    weight = helper.make_tensor("w", TensorProto.FLOAT, (1, 1, 1, 1), [1.0])
    inputs = [value("x", TensorProto.FLOAT, [1, 1, "height", 4])]
    graph = helper.make_graph([node], "dynamic", inputs, [value("y", TensorProto.FLOAT, None)], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    message = "The shape of 'x' is unknown: give the model static shapes before counting MACs."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        networks.count_macs(model)


def test_values_are_pinned() -> None:
    """The same bytes on every machine; a change here invalidates every recorded measurement of values."""
    data = b"".join(Parameter("w", (3, 5, 7), 0.0, 0.5).chunks("net"))
    assert hashlib.sha256(data).hexdigest() == "dfa15e7332ca750799bb72b4df594991fc597bc8424441118077f2996abd4d6b"
    assert data != b"".join(Parameter("v", (3, 5, 7), 0.0, 0.5).chunks("net"))
    assert data != b"".join(Parameter("w", (3, 5, 7), 0.0, 0.5).chunks("other"))


def test_values_are_normal() -> None:
    values = np.frombuffer(b"".join(Parameter("w", (1 << 20,), 1.0, 0.5).chunks("net")), "<f4")
    deviates = (values - 1.0) / 0.5
    moments = [float(np.mean(deviates**power)) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.02)
    assert abs(float(np.corrcoef(deviates[:-1], deviates[1:])[0, 1])) < 0.005


def test_cached_file_is_the_built_model(tmp_path: Path) -> None:
    path = networks.cached("mobilenetv1-64", tmp_path)
    assert path.name == "mobilenetv1-64.onnx"
    assert onnx.load(path) == networks.build("mobilenetv1", 64)
    written = path.stat().st_mtime_ns
    assert networks.cached("mobilenetv1-64", tmp_path).stat().st_mtime_ns == written
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "no temporary file may stay behind"


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("yolov3_tiny-96", [(1, 255, 3, 3), (1, 255, 6, 6)]),
        ("mobilenetv1-64", [(1, 1000)]),
        ("mobilenetv2-64", [(1, 1000)]),
        ("inception_v3-107", [(1, 1000)]),
        ("unet-32", [(1, 21, 32, 32)]),
        ("chain-8", [(1, 64, 28, 28)]),
        ("resnet50", [(1, 1000)]),
        ("inception_v1", [(1, 1000)]),
        ("inception_v2", [(1, 1000)]),
        ("squeezenet", [(1, 1000, 1, 1)]),
        ("densenet121", [(1, 1000, 1, 1)]),
        ("shufflenet", [(1, 1000)]),
    ],
)
def test_activations_stay_sane(name: str, outputs: list[tuple[int, ...]]) -> None:
    """Each activation's standard deviation, from the first layer to the logits, for a normal input."""
    model = networks.build(name)
    onnx.checker.check_model(model, full_check=True)
    final = [value.name for value in model.graph.output]
    logits = [node.input[0] for node in model.graph.node if node.op_type == "Softmax"] or final
    weighted = [node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm", "Add", "Sum")]
    inner = [tensor for tensor in dict.fromkeys(weighted + logits) if tensor not in final]
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in inner)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    values = _run(model, np.random.default_rng(0).standard_normal(shape, np.float32))
    assert [value.shape for value in values[: len(final)]] == outputs
    named = dict(zip(final + inner, values, strict=True))
    assert all(np.isfinite(value).all() for value in values)
    spread = {tensor: float(named[tensor].std()) for tensor in (*weighted, *logits)}
    assert 0.05 < min(spread.values()), min(spread, key=spread.__getitem__)
    assert max(spread.values()) < 20, max(spread, key=spread.__getitem__)


def _run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, {session.get_inputs()[0].name: x})]
