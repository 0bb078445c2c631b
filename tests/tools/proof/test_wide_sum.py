"""The wide sum from a model to the machine: simulated, the oracle's bytes; proven; and not proven of another."""

from __future__ import annotations

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, StringAttr

from dialects import cnn
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.proof.machine import NotProven
from tools.proof.prover import prove


def _graph() -> Graph:
    g = Graph(11)
    x = g.input(1, 8, 12, 10, scale=0.05)
    y = g.node("Conv", x, g.weights(16, 8, 3, 3), g.vector(16), pads=[1, 1, 1, 1])
    g.output(g.node("Relu", g.node("Add", y, g.input(1, 16, 12, 10))), scale=0.1)
    return g


def test_simulated_and_proven() -> None:
    graph = _graph()
    context = make_context()
    module = read_module(graph.model(), context)
    lower(module, "cnn", context)
    program = compile_model(graph.model())
    (found,), (wanted,) = (
        run_program(program, graph.feeds).outputs.values(),
        run_integer(graph.model(), graph.feeds).values(),
    )
    np.testing.assert_array_equal(found, wanted)
    prove(program, module)
    _on_codes(module)
    with pytest.raises(NotProven):
        prove(program, module)


def _on_codes(module: ModuleOp) -> None:
    """The same sum, but of the rounded result."""
    for op in module.walk():
        if isinstance(op, cnn.Conv2dOp) and op.sum is not None:
            op.properties["sum"] = cnn.SumAttr(StringAttr("second"), op.sum.quant, op.sum.clamp)
