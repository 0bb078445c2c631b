"""Every error a model can cause, by its whole text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dialects.meaning import cnn as cnn_meaning
from dialects.meaning import onnx as onnx_meaning
from passes.common.problems import ModelError, Problems
from passes.onnx.import_onnx import import_model
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn


def float_model(shape: list[int | str], nodes: list[onnx.NodeProto] | None = None, opset: int = 13) -> onnx.ModelProto:
    nodes = nodes or [helper.make_node("Relu", ["x"], ["y"], name="relu")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs),
                             opset_imports=[helper.make_opsetid("", opset)], ir_version=8)  # fmt: skip


def refused(model: onnx.ModelProto | bytes | str | Path, shapes: dict[str, list[int]] | None = None) -> str:
    data = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    with pytest.raises(ModelError) as caught:
        import_model(data, shapes, "m.onnx")
    return str(caught.value)


def test_files(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.onnx") == "m.onnx: There is no such file."
    assert refused(tmp_path) == "m.onnx: This is a directory; give the .onnx file inside it."
    (tmp_path / "empty.onnx").touch()
    assert refused(tmp_path / "empty.onnx") == "m.onnx: The file is empty; an ONNX model was expected."
    assert refused(b"PK\x03\x04 not a model") == (
        "m.onnx: This is not an ONNX model (it does not read as one). A model ends in .onnx and is what an exporter "
        "such as torch.onnx.export or tf2onnx writes."
    )
    whole = float_model([1, 4]).SerializeToString()
    assert refused(whole[:-3]) == (
        f"m.onnx: The file is truncated or damaged: it ends after {len(whole) - 3} bytes in the middle of a field. "
        "Copy or download it again."
    )


def test_shapes() -> None:
    assert refused(float_model(["n", 3, "h", "w"])) == (
        "m.onnx: the input 'x': Its dimension 2 ('h') is dynamic, and every size must be known. State the shape: "
        "--input-shape x=1,3,224,224"
    )
    fixed = float_model([1, 3, 8, 8])
    assert refused(fixed, {"data": [1, 3, 8, 8], "x": [1, 3, 9, 8]}) == (
        "m.onnx has 2 problems:\n"
        "  - --input-shape data: The model has no input of that name; it has x.\n"
        "  - --input-shape x=1,3,9,8: The model fixes dimension 2 at 8."
    )
    assert refused(fixed, {"x": [1, 3]}) == "m.onnx: --input-shape x=1,3: The model's input has 4 dimensions, not 2."
    assert refused(fixed, {"x": [0, 3, 8, 8]}) == "m.onnx: --input-shape x=0,3,8,8: Every dimension must be at least 1."


def test_dynamic_batch_becomes_one() -> None:
    module = import_model(float_model(["n", 3]).SerializeToString(), None, "m.onnx")
    assert str(module.attributes["recon.notes"]) == ("[\"The dynamic leading dimension of the input 'x' became 1.\"]")
    other = import_model(float_model(["n", "c"]).SerializeToString(), {"x": [2, 3]}, "m.onnx")
    assert "tensor<2x3xf32>" in str(other)


def test_external_data(tmp_path: Path) -> None:
    model = float_model([1, 2], [helper.make_node("Add", ["x", "w"], ["y"], name="add")])
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 2), np.float32), "w"))
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert "<1x2xf32, 1.0>" in str(import_model(path))
    assert refused(path.read_bytes()) == (
        "m.onnx: the constant 'w': Its values are in another file, 'weights.bin', which cannot be found from a model "
        "in memory."
    )
    (tmp_path / "weights.bin").write_bytes(b"123")
    assert "that file is truncated" in refused(path)
    (tmp_path / "weights.bin").unlink()
    assert refused(path) == (
        "m.onnx: the constant 'w': Its values are in the file 'weights.bin', which is not beside the model. "
        "Copy it there."
    )
    again = onnx.load(path, load_external_data=False)
    again.graph.initializer[0].external_data[0].value = "../weights.bin"
    path.write_bytes(again.SerializeToString())
    assert refused(path) == (
        "m.onnx: the constant 'w': Its values are said to be in '../weights.bin', outside the model's own folder; "
        "that is refused."
    )


def test_damaged_constants() -> None:
    model = float_model([1, 2], [helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 999), np.float32), "w"))
    model.graph.initializer[0].dims[1] = 2**50
    assert refused(model) == "m.onnx: the constant 'w': It claims 1,125,899,906,842,624 elements: the file is damaged."
    model.graph.initializer[0].dims[1] = 2
    assert refused(model) == (
        "m.onnx: the constant 'w': It has 3,996 bytes where its shape needs 8: the file is damaged."
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [(True, "It has 8 bytes where its shape needs 12"), (False, "It has 2 numbers where its shape needs 3")],
)
def test_damaged_small_constants(raw: bool, said: str) -> None:
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], b"\0" * 8 if raw else [1.0, 2.0], raw)
    values.dims[0] = 3
    model = float_model([1, 3], [helper.make_node("Add", ["x", "w"], ["y"])])
    model.graph.initializer.append(values)
    assert refused(model) == f"m.onnx: the constant 'w': {said}: the file is damaged."
    nodes = [
        helper.make_node("Constant", [], ["w"], name="c", value=values),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    assert refused(float_model([1, 3], nodes)) == f"m.onnx: c: Its attribute 'value': {said}: the file is damaged."


def test_broken_rules() -> None:
    model = float_model([1, 2], [helper.make_node("Relu", ["nothing"], ["y"], name="r")])
    assert refused(model).startswith("m.onnx: The model breaks ONNX's rules: ")
    unknown = float_model([1, 2], [helper.make_node("Conv", ["x", "x"], ["y"], name="c")])
    assert refused(unknown).startswith("m.onnx: The shapes of the model's tensors do not fit together: ")
    assert refused(float_model([1, 2], opset=6)) == (
        "m.onnx: The model is of ONNX opset 6; opset 7 or newer is needed. Export it again with opset 13, or raise it "
        "with onnx.version_converter."
    )
    nonzero = float_model([1, 2], [helper.make_node("NonZero", ["x"], ["t"], name="find"),
                                   helper.make_node("Cast", ["t"], ["y"], to=1)])  # fmt: skip
    assert refused(nonzero) == (
        "m.onnx: find: The shape of its result 't' (NonZero) is 2x? before the model runs; every size must be known. "
        "Export the model with fixed shapes."
    )
    body = helper.make_graph([], "b", [], [])
    control = helper.make_node("If", ["x"], ["y"], name="if", then_branch=body, else_branch=body)
    assert refused(float_model([1], [control])) == (
        "m.onnx: if: If holds a graph of its own; control flow is not supported."
    )


def test_float_model() -> None:
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(float_model([1, 3, 4, 4]))
    assert str(caught.value) == (
        "g: The model is not quantised; the machine computes with int8. Quantise it, for example with "
        "onnxruntime.quantization.quantize_static(…, per_channel=True), or, to learn cycles and bytes without a "
        "calibrated model, compile with --assume-int8."
    )


def _prelu(g: Graph) -> None:
    g.output(g.node("PRelu", g.input(1, 4, 3, 3), g.vector(4, 3, 1)))


def _no_quantiser(g: Graph) -> None:
    x = g.node("Conv", g.input(1, 4, 3, 3), g.weights(4, 4, 1, 1))
    g.output(g.node("Sigmoid", x))


def _float_weights(g: Graph) -> None:
    g.output(g.node("Conv", g.input(1, 4, 3, 3), g.vector(4, 4, 1, 1)))


def _two_matrices(g: Graph) -> None:
    g.output(g.node("MatMul", g.input(4, 4), g.input(4, 4)))


def _middle(g: Graph) -> None:
    x = g.requantised(g.node("Conv", g.input(1, 4, 3, 3), g.weights(4, 4, 1, 1)))
    x = g.requantised(g.node("InstanceNormalization", x, g.vector(4), g.vector(4)))
    g.output(g.node("Conv", x, g.weights(4, 4, 1, 1)))


def _per_channel_input(g: Graph) -> None:
    g.inputs.append(helper.make_tensor_value_info("x", TensorProto.INT8, [1, 4, 3, 3]))
    scales = g.constant(np.asarray([0.1, 0.2, 0.3, 0.4], np.float32))
    x = g.node("DequantizeLinear", "x", scales, g.constant(np.zeros(4, np.int8)), axis=1)
    g.output(g.node("Sigmoid", x))


def _overflow(g: Graph) -> None:
    x = g.input(1, 140000)
    w = g.constant(np.full((140000, 1), -128, np.int8))
    real = g.node("DequantizeLinear", w, g.constant(np.float32(1)), g.constant(np.int8(0)))
    g.output(g.node("MatMul", x, real))


MESSAGES: list[tuple[Callable[[Graph], None], str]] = [
    (_prelu, "case: prelu_1: Its slope varies along more than one axis; the machine has one per channel."),
    (_no_quantiser, "case: sigmoid_3: There is no QuantizeLinear between it and conv_2 (Conv), so there is no int8 "
                    "tensor to hand over; quantise that node's output too."),
    (_float_weights, "case: conv_1: Its weights are float, and lie on no grid of 8-bit integers; quantise them to int8 "
                     "as well."),
    (_two_matrices, "case: matmul_2: It multiplies two computed matrices; the machine multiplies by constant weights "
                    "only."),
    (_middle, "case: instancenormalization_5: The machine has no operation for InstanceNormalization."),
    (_per_channel_input, "case has 2 problems:\n  - dequantizelinear_0: A computed tensor has one scale per channel; "
                         "the machine needs one scale for a whole tensor.\n  - sigmoid_1: It works on what "
                         "dequantizelinear_0 (DequantizeLinear) leaves on the host."),
    (_overflow, "case: matmul_2: A sum can reach 3,852,800,000. Sums are held in 32 bits, and the largest possible one "
                "has to fit; use smaller weights or fewer channels."),
]  # fmt: skip


@pytest.mark.parametrize(("write", "message"), MESSAGES, ids=[write.__name__ for write, _ in MESSAGES])
def test_what_the_machine_cannot_run(write: Callable[[Graph], None], message: str) -> None:
    """Refused with ``no-host``; without it the host runs it, and the answer is ONNX Runtime's to a step at ties."""
    graph = Graph()
    write(graph)
    model = graph.model()
    module = import_model(model.SerializeToString(), None, "case.onnx")
    (reference,) = onnx_meaning.evaluate(module, graph.feeds or _codes(model)).values()
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(model, no_host=True, exact=True)
    assert str(caught.value) == message
    (found,) = cnn_meaning.evaluate(compile_to_cnn(model, exact=True), graph.feeds or _codes(model)).values()
    assert found.dtype == reference.dtype
    off = np.abs(found.astype(np.int64) - reference)
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.05


def _codes(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    (value,) = model.graph.input
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return {value.name: np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)}


def test_scales_of_run_time_are_no_scales() -> None:
    graph = Graph()
    graph.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]))
    codes = graph.node("DynamicQuantizeLinear", "x", outputs=3)
    weights = graph.constant(np.ones((4, 3), np.int8))
    product = graph.node("MatMulInteger", codes, weights, codes[:-1] + "2")
    graph.outputs.append(helper.make_tensor_value_info(product, TensorProto.INT32, [1, 3]))
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(graph.model())
    assert str(caught.value) == (
        "case: The model is quantised dynamically: its scales are computed anew for every input "
        "(DynamicQuantizeLinear), and the machine needs them beforehand. Quantise the float model with recon quantize, "
        "which calibrates them on examples."
    )


def test_all_problems_at_once() -> None:
    problems = Problems("net")
    problems.raise_if_any()
    problems.add("a", "It is wrong.")
    assert problems.message() == "net: a: It is wrong."
    for place in "abcdef":
        problems.add(place, "It is wrong.")
    problems.add("", "So is this.")
    assert problems.message() == "net has 2 problems:\n  - a, b, c, d and 2 more: It is wrong.\n  - So is this."


def test_a_mask_that_leaves_the_model() -> None:
    """Of a Dropout in inference everything stays, and the mask says so."""
    node = helper.make_node("Dropout", ["x"], ["y", "mask"])
    model = float_model([1, 4], [node])
    model.graph.output.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, None))
    feeds = {"x": np.ones((1, 4), np.float32)}
    found = onnx_meaning.evaluate(import_model(model.SerializeToString(), None, "m"), feeds)
    assert found["mask"].tolist() == [[True] * 4]
    assert np.array_equal(found["y"], feeds["x"])


def test_results_that_are_left_out_keep_their_place() -> None:
    """The second result alone is the second result, not the first."""
    node = helper.make_node("GRU", ["x", "w", "r"], ["", "y"], hidden_size=3)
    model = float_model([5, 1, 4], [node])
    random = np.random.default_rng(1)
    for name, shape in (("w", (1, 9, 4)), ("r", (1, 9, 3))):
        model.graph.initializer.append(numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name))
    feeds = {"x": random.normal(size=(5, 1, 4)).astype(np.float32)}
    (found,) = onnx_meaning.evaluate(import_model(model.SerializeToString(), None, "m"), feeds).values()
    assert found.shape == (1, 1, 3)


def test_a_mean_of_padding_alone() -> None:
    """It has no value: ONNX Runtime, to which it is left, refuses it as well, and so is the model."""
    graph = Graph(3)
    graph.output(graph.node("AveragePool", graph.input(1, 3, 6, 6), kernel_shape=[2, 2], pads=[2, 2, 2, 2]))
    graph.nodes[-2].name = "mean"
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(graph.model(), no_host=True)
    assert "It takes the mean of windows of padding alone, which has no value; make the pads smaller." in str(
        caught.value
    )
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(graph.model())
    assert str(caught.value).endswith("Pad should be smaller than kernel.")
