"""A product that no QuantizeLinear rounds runs on the machine, whatever the host does behind it, and always alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from sim.machine.program import MachineSegment, Program
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.proof.prover import prove
from tools.validation.bisect import bisect, compile_for_bisect
from tools.validation.validate import Validator


def _float(g: Graph, name: str, kind: int = TensorProto.FLOAT) -> None:
    g.outputs.append(helper.make_tensor_value_info(name, kind, None))


def _conv(g: Graph, x: str, k: int = 6, c: int = 8) -> str:
    return g.node("Conv", x, g.weights(k, c, 3, 3), g.vector(k), pads=[1, 1, 1, 1])


def _stem(g: Graph) -> str:
    return g.requantised(g.node("Relu", _conv(g, g.input(1, 8, 7, 5), 8)))


def _alone(g: Graph) -> None:
    _float(g, _conv(g, _stem(g)))


def _transposed(g: Graph) -> None:
    _float(g, g.node("Transpose", _conv(g, _stem(g)), perm=[0, 2, 3, 1]))


def _softmax(g: Graph) -> None:
    x = g.requantised(g.node("GlobalAveragePool", _stem(g)))
    flat = g.node("Reshape", x, g.constant(np.asarray([1, 8])))
    _float(g, g.node("Softmax", g.node("Gemm", flat, g.weights(70, 8), g.vector(70), transB=1)))


def _arg_max(g: Graph) -> None:
    _float(g, g.node("ArgMax", _conv(g, _stem(g)), axis=1), TensorProto.INT64)


def _sigmoid(g: Graph) -> None:
    _float(g, g.node("Sigmoid", _conv(g, _stem(g))))


def _normalised(g: Graph) -> None:
    """Factor and offset per channel belong to the product."""
    statistics = g.vector(6), g.vector(6), g.vector(6), g.vector(6, low=0.5)
    _float(g, g.node("BatchNormalization", _conv(g, _stem(g)), *statistics))


def _rows(g: Graph) -> None:
    """A product of nine rows, whose bias is an Add."""
    product = g.node("MatMul", g.input(1, 9, 24), g.weights(24, 10, axis=1))
    _float(g, g.node("Add", product, g.vector(10)))


def _residual(g: Graph) -> None:
    """The sum in float is the host's; what it adds is not."""
    x = _stem(g)
    _float(g, g.node("Add", _conv(g, x, 8), x))


def _several(g: Graph) -> None:
    """Heads of a detector: each delivers its own, and one is looked at twice."""
    x = _stem(g)
    heads = [g.node("Reshape", _conv(g, x, k), g.constant(np.asarray([1, k, 35]))) for k in (3, 4)]
    _float(g, g.node("Concat", *heads, axis=1))
    _float(g, g.node("Sigmoid", heads[0]))


def _both(g: Graph) -> None:
    """Float for the host, and rounded for the machine."""
    y = _conv(g, _stem(g), 8)
    _float(g, g.node("Softmax", y))
    g.output(_conv(g, g.requantised(y)))


def _transposed_convolution(g: Graph) -> None:
    """Four convolutions, woven into one image of float32."""
    weights = g.weights(8, 4, 3, 3, axis=1)
    _float(g, g.node("Sigmoid", g.node("ConvTranspose", _stem(g), weights, g.vector(4), strides=[2, 2])))


def _middle(g: Graph) -> None:
    """The host's operator stands between two turns of the machine."""
    y = g.node("Softmax", _conv(g, _stem(g), 8), axis=1)
    g.output(_conv(g, g.requantised(y, 1 / 256, -128)))


CASES: list[tuple[Callable[[Graph], None], int]] = [
    (_alone, 2), (_transposed, 2), (_softmax, 2), (_arg_max, 2), (_sigmoid, 2), (_normalised, 2), (_rows, 1),
    (_residual, 2), (_several, 3), (_both, 4), (_middle, 3), (_transposed_convolution, 5),
]  # fmt: skip
"""Graphs, and the products that the machine computes for each."""


def _compiled(graph: Graph, path: Path, machine: str = "edge1k") -> Program:
    path.write_bytes(graph.model().SerializeToString())
    return compile_model(path, machine=machine, validator=Validator(2))


@pytest.mark.parametrize(("write", "products"), CASES, ids=[case[0].__name__ for case in CASES])
@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
def test_the_machine_computes_every_product(
    tmp_path: Path, write: Callable[[Graph], None], products: int, unsigned: bool
) -> None:
    graph, path = Graph(5, unsigned), tmp_path / "model.onnx"
    write(graph)
    program = _compiled(graph, path)
    assert not {"Conv", "ConvTranspose", "Gemm", "MatMul"} & set(program.host_operators)
    assert sum(layer.op in ("conv2d", "fully_connected") for layer in program.layers) == products
    result = run_program(program, graph.feeds, sanitize=True)
    assert result.statistics.cycles == program.predicted_cycles
    for name, value in run_integer(graph.model(), graph.feeds).items():
        assert result.outputs[name].dtype == value.dtype
        if value.dtype == np.float32 and write not in (_alone, _transposed, _normalised, _rows):
            np.testing.assert_allclose(result.outputs[name], value, rtol=2e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(result.outputs[name], value, strict=True)
    context = make_context()
    module = read_module(path, context)
    lower(module, "cnn", context)
    prove(program, module)
    for against in ("cnn", "onnxruntime"):
        assert bisect(compile_for_bisect(path, program=program), graph.feeds, against) is None


@pytest.mark.parametrize("write", [_alone, _softmax, _rows, _several], ids=lambda write: write.__name__)
def test_near_onnx_runtime(tmp_path: Path, write: Callable[[Graph], None]) -> None:
    """Its float convolution adds in another order: the last bits differ, nothing else."""
    graph = Graph(6)
    write(graph)
    outputs = run_program(_compiled(graph, tmp_path / "model.onnx"), graph.feeds).outputs
    session = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
    names = [info.name for info in session.get_outputs()]
    for name, value in zip(names, session.run(names, graph.feeds), strict=True):
        bias = 0.02 * 0.2  # a float bias is rounded to units of input scale times weight scale
        np.testing.assert_allclose(outputs[name], np.asarray(value), rtol=1e-4, atol=bias)


def test_bytes_that_cross_are_those_of_float32(tmp_path: Path) -> None:
    graph = Graph(7)
    _alone(graph)
    program = _compiled(graph, tmp_path / "model.onnx")
    (machine,) = [part for part in program.segments if isinstance(part, MachineSegment)]
    assert [(region.dtype, region.shape, region.bytes) for region in machine.outputs] == [
        ("float32", (1, 7, 5, 6), 840)
    ]
    assert [getattr(part, "bytes_in", 0) for part in program.segments] == [0, 0, 840]
    assert [layer.shape for layer in program.layers][-1] == "7x5x8 -> 7x5x6 float32 3x3"


def test_large_results_leave_in_stripes(tmp_path: Path) -> None:
    """Four bytes per channel of a result that SRAM cannot hold."""
    graph = Graph(8)
    _float(graph, _conv(graph, graph.input(1, 8, 96, 96), 64))
    program = _compiled(graph, tmp_path / "model.onnx")
    assert 96 * 96 * 64 * 4 > program.machine.sram.bytes
    (found,) = run_program(program, graph.feeds, sanitize=True).outputs.values()
    (wanted,) = run_integer(graph.model(), graph.feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)


def test_what_cannot_be_one_is_the_hosts(tmp_path: Path) -> None:
    """A bias that leaves 32 bits stops the float result as it stops the rounded one."""
    graph = Graph(10)
    x, w = graph.input(1, 8, 4, 4, scale=1e-9), graph.weights(4, 8, 1, 1)
    _float(graph, graph.node("Conv", x, w, graph.vector(4)))
    program = _compiled(graph, tmp_path / "model.onnx")
    assert not program.layers
    (node,) = [node for part in program.segments if not isinstance(part, MachineSegment) for node in part.nodes]
    assert (node.operator, node.reason) == (
        "Conv",
        "Its bias does not fit 32 bits in units of input scale times weight scale; the scale of its input or of its "
        "weights is far too small.",
    )
