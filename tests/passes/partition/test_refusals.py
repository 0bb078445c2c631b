"""What no host can run either: told when the model is compiled, in whole sentences."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from passes.common.problems import ModelError
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn


def _refused(graph: Graph, opset: int = 13) -> str:
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(graph.model(opset))
    return str(caught.value)


def test_random_numbers() -> None:
    g = Graph(1)
    x = g.input(1, 8)
    g.output(g.node("Dropout", x, g.constant(np.float32(0.5)), g.constant(np.asarray(True)), outputs=1))
    assert _refused(g) == (
        "case: dropout_1: Dropout makes random numbers, another result in every run; export the model for inference."
    )
    g = Graph(1)
    g.output(g.node("Add", g.input(1, 8), g.node("RandomNormal", shape=[1, 8])))
    assert _refused(g) == (
        "case: randomnormal_1: RandomNormal makes random numbers, another result in every run; export the model for "
        "inference."
    )


def test_operators_without_a_kernel() -> None:
    """ONNX knows them, ONNX Runtime has no kernel for them in this type."""
    g = Graph(1)
    g.output(
        g.node("Cast", g.node("Asinh", g.node("Cast", g.input(1, 8), to=TensorProto.DOUBLE)), to=TensorProto.FLOAT)
    )
    assert _refused(g) == (
        "case: cast_1, asinh_2, cast_3: ONNX Runtime, which runs the host's operators, cannot run it: Could not find "
        "an implementation for Asinh(9) node with name 'asinh_2'."
    )
