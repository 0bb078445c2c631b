"""The images of a model's own batch share weights, and are computed as if each were alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph, conv
from tools.driver import compile_model, run_program
from tools.frames import run_frames
from tools.options import Planning

IMAGES = 3
WEIGHTS = 16 * 16 * 9


def _convolutions(g: Graph) -> None:
    x = g.requantised(conv(g, g.input(IMAGES, 16, 9, 7), 16, 16, (3, 3), pads=[1, 1, 1, 1]))
    x = g.requantised(g.node("LeakyRelu", x))
    g.output(conv(g, x, 16, 16, (3, 3)))


def _rows_at_the_end(g: Graph) -> None:
    """The product of a classifier is one layer for all images, which no copies are."""
    x = g.requantised(conv(g, g.input(IMAGES, 16, 9, 7), 16, 16, (3, 3), pads=[1, 1, 1, 1]))
    x = g.requantised(g.node("GlobalAveragePool", g.requantised(conv(g, x, 16, 16, (3, 3)))))
    g.output(g.node("Gemm", g.node("Flatten", x), g.weights(5, 16), g.vector(5), transB=1))


def _two_inputs(g: Graph) -> None:
    a, b = g.input(IMAGES, 16, 6, 5), g.input(IMAGES, 16, 6, 5)
    both = (g.requantised(conv(g, x, 16, 16, (3, 3), pads=[1, 1, 1, 1])) for x in (a, b))
    g.output(g.requantised(g.node("Add", *both)))


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (_convolutions, Planning()),
        (_two_inputs, Planning(fusion=False)),
        (_rows_at_the_end, Planning(frames="stream")),
        (_two_inputs, Planning(frames="stream", batch=2)),
    ],
)
def test_every_image_is_what_it_would_be_alone(write: Callable[[Graph], None], options: Planning) -> None:
    graph = Graph(5)
    write(graph)
    program = compile_model(graph.model(), machine="edge1k", options=options)
    fed = [graph.feeds, {name: np.flip(value, 0) for name, value in graph.feeds.items()}]
    found = list(run_frames(program, fed, sanitize=True))
    for inputs, outputs in zip(fed, found, strict=True):
        for name, value in run_integer(graph.model(), inputs).items():
            assert np.array_equal(outputs[name], value)


@pytest.mark.parametrize("write", [_convolutions, _rows_at_the_end])
def test_weights_of_a_models_batch_come_once(write: Callable[[Graph], None], monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(5)
    write(graph)

    def read() -> int:
        return run_program(compile_model(graph.model(), machine="edge1k"), graph.feeds).statistics.dram_read_bytes

    def never(copies: object) -> bool:
        return False

    together = read()
    monkeypatch.setattr("passes.planner.copies._are_copies", never)
    assert read() - together >= 2 * (IMAGES - 1) * WEIGHTS


def test_layers_that_look_numbered_and_follow_each_other_are_no_copies() -> None:
    graph = Graph(5)
    x = graph.input(1, 8, 6, 5, scale=0.05, zero=0)
    for _ in range(3):
        x = graph.requantised(graph.node("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 0.05, 0)
    graph.output(x, 0.05, 0)
    model = graph.model()
    pools = [node for node in model.graph.node if node.op_type == "MaxPool"]
    for number, node in enumerate(pools):
        node.name = f"pool.{number}"
    program = compile_model(model, machine="edge1k")
    assert [name for name, _ in itertools.groupby(layer.name for layer in program.layers)] == [
        "pool.0", "pool.1", "pool.2",
    ]  # fmt: skip
    outputs = run_program(program, graph.feeds, sanitize=True).outputs
    for name, value in run_integer(model, graph.feeds).items():
        assert np.array_equal(outputs[name], value)
