"""Files that ONNX's checker forbids and ONNX Runtime reads: the same answer here, and sentences where there is none."""

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
from tests.oracle.cases import run_reference
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn

Array = npt.NDArray[Any]


def _network(axis: int = 0) -> tuple[Graph, onnx.ModelProto]:
    g = Graph(4)
    x = g.requantised(g.node("Conv", g.input(1, 3, 8, 8), g.weights(4, 3, 3, 3, axis=axis), g.vector(4)))
    g.output(g.node("Conv", x, g.weights(5, 4, 1, 1)))
    return g, g.model()


def _same_as_runtime(model: onnx.ModelProto, feeds: dict[str, Array], most: int = 1) -> None:
    found, (wanted, _) = evaluate(compile_to_cnn(model), feeds), run_reference(model, feeds)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert found[name].dtype == value.dtype
        assert np.abs(found[name].astype(np.int64) - value).max() <= most


def _replace(field: Any, items: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def test_nodes_in_any_order() -> None:
    g, model = _network()
    inference = compile_to_cnn(model)
    _replace(model.graph.node, list(model.graph.node)[::-1])
    _same_as_runtime(model, g.feeds)
    assert str(compile_to_cnn(model)) == str(inference)


def test_axis_of_quantisers_before_opset_13() -> None:
    """What ONNX Runtime's own quantiser writes for models of opset 10 to 12."""
    g, model = _network()
    wanted = evaluate(compile_to_cnn(model), g.feeds)
    model.opset_import[0].version = 11
    found = evaluate(compile_to_cnn(model), g.feeds)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_graph_without_a_name_and_nodes_that_nothing_needs() -> None:
    g, model = _network()
    model.graph.name = ""
    model.graph.node.extend([helper.make_node("NonZero", [model.graph.node[0].output[0]], ["nobody"])])
    found = evaluate(compile_to_cnn(model), g.feeds)
    model.graph.name = "g"
    wanted, _ = run_reference(model, g.feeds)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_quantisers_of_the_vendor() -> None:
    g, model = _network()
    for node in model.graph.node:
        if node.op_type.endswith("quantizeLinear") or node.op_type == "QuantizeLinear":
            node.domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    _same_as_runtime(model, g.feeds)


def test_sparse_bias() -> None:
    g = Graph(6)
    g.output(g.node("Gemm", g.input(1, 8), g.weights(5, 8), "bias", transB=1))
    model = g.model()
    values = numpy_helper.from_array(np.asarray([1.5, -2.0], np.float32), "bias")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.asarray([1, 4])), [5])
    model.graph.sparse_initializer.append(sparse)
    _same_as_runtime(model, g.feeds)
    model.graph.sparse_initializer[0].dims[0] = 3
    assert _refused(model) == "m.onnx: the constant 'bias': Its indices lie outside its shape: the file is damaged."
    model.graph.sparse_initializer[0].dims[0] = 2**40
    assert _refused(model) == (
        "m.onnx: the constant 'bias': It is stored sparsely and would have 1,099,511,627,776 elements, too many."
    )


def test_an_output_that_is_an_input() -> None:
    g, model = _network()
    model.graph.output.append(model.graph.input[0])
    found = evaluate(compile_to_cnn(model), g.feeds)
    np.testing.assert_array_equal(found["x0"], g.feeds["x0"])


@pytest.mark.parametrize(("kind", "attributes"), [
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}),
    ("MaxPool", {"kernel_shape": [2, 3], "strides": [3, 2], "ceil_mode": 1}),
    ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 2, 2], "ceil_mode": 1,
                     "count_include_pad": 1}),
    ("AveragePool", {"kernel_shape": [2, 3], "strides": [3, 2], "ceil_mode": 1}),
])  # fmt: skip
@pytest.mark.parametrize("size", [4, 5, 6, 7])
def test_windows_that_would_begin_in_the_pads(kind: str, attributes: dict[str, Any], size: int) -> None:
    """Twice in a row, because the shape of the second depends on the first."""
    g = Graph(size)
    x = g.requantised(g.node(kind, g.input(1, 2, size, size + 3), **attributes))
    g.output(g.node("MaxPool", x, kernel_shape=[1, 2], strides=[1, 3], ceil_mode=1))
    _same_as_runtime(g.model(), g.feeds)


def _refused(model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        import_model(model.SerializeToString(), None, "m.onnx")
    return str(caught.value)


def test_foreign_operators() -> None:
    nodes = [
        helper.make_node("Magic", ["x"], ["a"], name="trick", domain="my.own"),
        helper.make_node("FusedConv", ["a", "w"], ["y"], name="fast", domain="com.microsoft"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])],
        [numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")])  # fmt: skip
    opsets = [helper.make_opsetid(domain, 1) for domain in ("my.own", "com.microsoft")]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), *opsets], ir_version=8)
    assert _refused(model) == (
        "m.onnx has 2 problems:\n"
        "  - trick: The operator Magic of the domain my.own is not known, so its result has no known shape.\n"
        "  - fast: com.microsoft.FusedConv is what ONNX Runtime's optimiser writes for one kind of processor; give the "
        "model that it was made from."
    )


def test_training_before_opset_14() -> None:
    g = Graph(2)
    x = g.node("Conv", g.input(1, 3, 4, 4), g.weights(4, 3, 1, 1))
    g.output(g.node("BatchNormalization", x, *[g.vector(4)] * 4, outputs=5))
    model = g.model(10)
    assert _refused(model) == (
        "m.onnx: batchnormalization_3: It returns the statistics of the batch, as in training; export the model for "
        "inference."
    )
