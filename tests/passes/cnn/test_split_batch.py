"""A batch is computed image by image, with the answers of one image at a time, and what mixes images is the host's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from sim.machine.program import Program
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph, conv
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.opt import main as recon_opt
from tools.proof.prover import prove
from tools.validation.validate import Validator


def _float(g: Graph, name: str) -> None:
    g.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))


def _classifier(g: Graph) -> None:
    """Gates, a concatenation, and rows of a product, which are the images."""
    x = g.requantised(g.node("Relu", conv(g, g.input(3, 8, 6, 5), 8, 8, (3, 3), pads=[1, 1, 1, 1])))
    gate = g.requantised(conv(g, g.requantised(g.node("GlobalAveragePool", x)), 8, 8, (1, 1)))
    x = g.requantised(g.node("Mul", x, gate))
    x = g.requantised(g.node("Concat", x, g.node("MaxPool", x, kernel_shape=[1, 1]), axis=1))
    g.output(g.node("Gemm", g.node("Flatten", x), g.weights(5, 480), g.vector(5), transB=1))


def _host_between(g: Graph) -> None:
    """The host keeps the batch: it takes it apart, and puts it together."""
    x = g.requantised(conv(g, g.input(2, 8, 6, 5), 8, 8, (3, 3)))
    y = g.requantised(g.node("Softmax", x, axis=1), 1 / 256, -128)
    _float(g, g.node("Softmax", conv(g, y, 4, 8, (1, 1)), axis=1))
    g.output(g.node("Add", x, y))


def _rows_and_back(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(4, 3, 6, 5), 4, 3, (3, 3)))
    rows = g.node("Transpose", g.node("Reshape", x, g.constant(np.asarray([4, 4, 12]))), perm=[0, 2, 1])
    y = g.requantised(g.node("MatMul", rows, g.weights(4, 6, axis=1)))
    g.output(g.node("ReduceMean", y, axes=[1], keepdims=0))
    g.output(g.node("LeakyRelu", y))


def _some_of_them(g: Graph) -> None:
    """What leaves images out or joins batches is the host's; what stands behind it has another batch."""
    x = g.requantised(conv(g, g.input(4, 3, 6, 5), 4, 3, (3, 3)))
    bounds = [g.constant(np.asarray([n])) for n in (1, 4, 0, 2)]
    y = g.node("Concat", g.node("Slice", x, *bounds), x, axis=0)
    g.output(conv(g, g.requantised(g.node("LeakyRelu", g.requantised(y))), 3, 4, (1, 1)))


def _mixed(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(2, 3, 6, 5), 2, 3, (3, 3)))
    turned = g.requantised(g.node("LeakyRelu", g.node("Transpose", x, perm=[1, 0, 2, 3])))
    g.output(conv(g, turned, 3, 2, (1, 1)))


def _compiled(graph: Graph, path: Path) -> Program:
    path.write_bytes(graph.model().SerializeToString())
    return compile_model(path, machine="edge1k", validator=Validator(2))


@pytest.mark.parametrize("write", [_classifier, _host_between, _rows_and_back, _some_of_them, _mixed])
def test_the_answer_is_that_of_one_image_at_a_time(tmp_path: Path, write: Callable[[Graph], None]) -> None:
    graph, path = Graph(5, write is _host_between), tmp_path / "model.onnx"
    write(graph)
    program = _compiled(graph, path)
    if write not in (_some_of_them, _mixed):
        assert not {"Conv", "Gemm", "MatMul"} & set(program.host_operators)
    outputs = run_program(program, graph.feeds, sanitize=True).outputs
    for name, value in run_integer(graph.model(), graph.feeds).items():
        if value.dtype == np.float32:
            np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(outputs[name], value, strict=True)
    context = make_context()
    module = read_module(path, context)
    lower(module, "cnn", context)
    prove(program, module)


def test_a_batch_is_its_images(tmp_path: Path) -> None:
    """The same weights, once in DRAM; the same codes as from the model of one image."""
    single, batch = Graph(7), Graph(7)
    for graph, count in ((single, 1), (batch, 3)):
        graph.output(conv(graph, graph.input(count, 3, 6, 5, scale=0.1, zero=0), 4, 3, (3, 3)), 0.2, 0)
        graph.random = np.random.default_rng(1)
    for graph in (single, batch):  # the inputs drew differently many numbers
        graph.constants = [*single.constants]
    codes = batch.feeds["x0"]
    one, three = _compiled(single, tmp_path / "one.onnx"), _compiled(batch, tmp_path / "three.onnx")
    (found,) = run_program(three, batch.feeds).outputs.values()
    for at in range(3):
        (wanted,) = run_program(one, {"x0": codes[at : at + 1]}).outputs.values()
        np.testing.assert_array_equal(found[at : at + 1], wanted)
    assert three.constants.nbytes == one.constants.nbytes
    assert [layer.name for layer in three.layers] == [f"{one.layers[0].name}.{at}" for at in range(3)]


def test_weights_cross_dram_once_for_the_batch(tmp_path: Path) -> None:
    """What four images read more than one are three inputs."""
    read: list[int] = []
    for count in (1, 4):
        graph = Graph(7)
        x = graph.input(count, 16, 8, 8, scale=0.1, zero=0)
        for inputs in (16, 32, 32):
            x = graph.requantised(graph.node("Relu", conv(graph, x, 32, inputs, (3, 3), pads=[1, 1, 1, 1])))
        graph.output(x)
        program = _compiled(graph, tmp_path / f"{count}.onnx")
        read.append(run_program(program, timing_only=True).statistics.dram_read_bytes)
    assert read[1] - read[0] == 3 * 16 * 8 * 8


def test_the_text_of_every_level_reads_back(tmp_path: Path) -> None:
    graph, path = Graph(5), tmp_path / "model.onnx"
    _rows_and_back(graph)
    path.write_bytes(graph.model().SerializeToString())
    again = tmp_path / "again"
    again.mkdir()
    for level in ("cnn", "accel"):
        text = tmp_path / f"{level}.mlir"
        recon_opt([str(path), "--to", level, "-o", str(text)])
        recon_opt([str(text), "-o", str(again / text.name)])
        assert (again / text.name).read_text() == text.read_text()


def test_what_mixes_images_runs_on_the_host(tmp_path: Path) -> None:
    graph = Graph(6)
    _mixed(graph)
    program = _compiled(graph, tmp_path / "model.onnx")
    assert "Transpose" in program.host_operators
    reasons = {node.operator: node.reason for part in program.segments for node in getattr(part, "nodes", ())}
    assert reasons.get("Transpose", "").startswith(
        "It makes 2 images of 2, and mixes them. The machine works on the images"
    )
