"""Host segments anywhere: the answer is the model's, machine and host take turns, and only what must moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dialects.meaning import onnx as onnx_meaning
from passes.onnx.import_onnx import import_model
from sim.machine.program import HostSegment, Program
from tests.passes.onnx_to_cnn.graphs import Graph
from tools.driver import compile_model, run_program
from tools.validation.bisect import bisect, compile_for_bisect
from tools.validation.validate import Validator


def _conv(g: Graph, x: str, k: int = 8, c: int = 8) -> str:
    return g.requantised(g.node("Relu", g.node("Conv", x, g.weights(k, c, 3, 3), g.vector(k), pads=[1, 1, 1, 1])))


def _norm(g: Graph, x: str) -> str:
    return g.requantised(g.node("InstanceNormalization", x, g.vector(8), g.vector(8)), 0.02, 3)


def _middle(g: Graph) -> None:
    g.output(_conv(g, _norm(g, _conv(g, g.input(1, 8, 6, 5)))))


def _three_times(g: Graph) -> None:
    x = g.input(1, 8, 6, 5)
    for _ in range(3):
        x = _norm(g, _conv(g, x))
    g.output(_conv(g, x))


def _around(g: Graph) -> None:
    """A residual around a host operator: its other operand waits in DRAM."""
    x = _conv(g, g.input(1, 8, 6, 5))
    g.output(g.node("Add", x, _norm(g, _conv(g, x))))


def _beside(g: Graph) -> None:
    """A branch that the host operator does not touch, and outputs of both turns."""
    x = _conv(g, g.input(1, 8, 6, 5))
    y = _conv(g, _norm(g, x))
    z = _conv(g, x)
    g.output(g.node("Add", y, z))
    g.output(g.node("Sigmoid", z))


def _float_tail(g: Graph) -> None:
    x = _conv(g, g.input(1, 8, 6, 5))
    flat = g.node("Reshape", x, g.constant(np.asarray([1, 240])))
    best = g.node("TopK", g.node("Softmax", flat), g.constant(np.asarray([5])), outputs=2)
    g.output(best, 1 / 256, -128)


def _two_inputs_meet(g: Graph) -> None:
    x, y = _conv(g, g.input(1, 8, 6, 5)), _norm(g, g.input(1, 8, 6, 5))
    g.output(g.node("Mul", _conv(g, x), _conv(g, y)))


def _constant_behind(g: Graph) -> None:
    """A stored tensor belongs to the turn of its user."""
    x = _norm(g, _conv(g, g.input(1, 8, 6, 5)))
    codes = g.constant(g.random.integers(-128, 128, (1, 8, 6, 5)).astype(np.int8))
    stored = g.node("DequantizeLinear", codes, g.constant(np.float32(0.1)), g.constant(np.int8(0)))
    g.output(_conv(g, g.requantised(g.node("Add", x, stored))))


def _tables_between(g: Graph) -> None:
    """A table between two host operators would only carry bytes there and back; a convolution pays."""
    x = _conv(g, g.input(1, 8, 6, 5))
    x = _norm(g, g.requantised(g.node("Sigmoid", _norm(g, x))))
    g.output(g.node("Tanh", _norm(g, _conv(g, x))))


def _other_batch(g: Graph) -> None:
    """One image, and beside it a state of three rows, which is no batch and has no place on the machine."""
    g.output(_conv(g, g.input(1, 8, 6, 5)))
    g.output(g.node("LeakyRelu", g.input(3, 4, 5)))


CASES: list[tuple[Callable[[Graph], None], str, dict[str, int]]] = [
    (_middle, "hmhmh", {"InstanceNormalization": 1}),
    (_three_times, "hmhmhmhmh", {"InstanceNormalization": 3}),
    (_around, "hmhmh", {"InstanceNormalization": 1}),
    (_beside, "hmhmh", {"InstanceNormalization": 1}),
    (_float_tail, "hmh", {"Softmax": 1, "TopK": 1}),
    (_two_inputs_meet, "hmh", {"InstanceNormalization": 1}),
    (_constant_behind, "hmhmh", {"InstanceNormalization": 1}),
    (_other_batch, "hmh", {"LeakyRelu": 1}),
    (_tables_between, "hmhmh", {"InstanceNormalization": 3, "Sigmoid": 1, "Tanh": 1}),
]
"""The graph, the order of host and machine segments, and the operators of the model that the host runs."""

_AT_EVERY_EDGE = ("QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose", "Cast", "Add")


def turns(program: Program) -> str:
    return "".join("h" if isinstance(segment, HostSegment) else "m" for segment in program.segments)


@pytest.mark.parametrize(("write", "order", "operators"), CASES, ids=[case[0].__name__ for case in CASES])
@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
def test_the_answer_is_the_models(
    tmp_path: Path, write: Callable[[Graph], None], order: str, operators: dict[str, int], unsigned: bool
) -> None:
    graph = Graph(3, unsigned)
    write(graph)
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.model().SerializeToString())
    validator = Validator(3)
    program = compile_model(path, validator=validator)
    assert {"assign-host", "convert-onnx-to-cnn", "convert-cnn-to-tile", "allocate-sram"} <= set(validator.checked)
    assert turns(program) == order
    found = [op for op in program.host_operators if op not in _AT_EVERY_EDGE]
    assert {op: found.count(op) for op in found} == operators
    outputs = run_program(program, graph.feeds).outputs
    wanted = onnx_meaning.evaluate(import_model(path), graph.feeds)
    for name, value in wanted.items():
        assert outputs[name].dtype == value.dtype
        off = np.abs(outputs[name].astype(np.int64) - value)
        assert off.max() <= 2 * order.count("m")  # a tie in one turn spreads in the next
        assert (off > 0).mean() <= 0.05
    compiled = compile_for_bisect(path, program=program)
    for against in ("cnn", "onnxruntime"):
        assert bisect(compiled, graph.feeds, against) is None


def test_what_nothing_needs_is_not_computed(tmp_path: Path) -> None:
    """A machine layer whose only reader is a node that the host has to run in float goes with it, and its port too."""
    graph = Graph(4)
    x = graph.input(1, 8, 6, 5)
    unused = graph.node("Conv", x, graph.weights(8, 8, 1, 1))
    graph.node("Sigmoid", unused)
    graph.output(_conv(graph, x))
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.model().SerializeToString())
    program = compile_model(path)
    assert [layer.op for layer in program.layers] == ["conv2d"]
    assert "Sigmoid" not in program.host_operators


@pytest.mark.parametrize("both", [False, True])
def test_a_model_that_the_host_runs_alone(tmp_path: Path, both: bool) -> None:
    graph = Graph(5)
    x = graph.input(1, 40)
    graph.output(graph.node("Softmax", x), 1 / 256, -128)
    if both:
        graph.output(graph.node("TopK", x, graph.constant(np.asarray([3])), outputs=2), 1 / 16, 0)
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.model().SerializeToString())
    program = compile_model(path, machine="edge1k")
    assert (turns(program), program.machine.name, program.predicted_cycles) == ("h", "edge1k", 0)
    outputs = run_program(program, graph.feeds).outputs
    for name, value in onnx_meaning.evaluate(import_model(path), graph.feeds).items():
        assert np.array_equal(outputs[name], value)
