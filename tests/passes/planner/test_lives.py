"""A room that a load and a work fill together lives from the first of them on, whatever kind of work it is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.onnx_to_cnn.graphs import Graph
from tools.driver import compile_model
from tools.runtime import run_program


@pytest.mark.parametrize("loaded_first", [True, False])
def test_a_movement_beside_what_is_loaded(loaded_first: bool) -> None:
    g = Graph(1)
    loaded, turned = g.input(1, 6, 1, 8, scale=0.05, zero=0), g.input(1, 8, 6, 1, scale=0.05, zero=0)
    turned = g.requantised(g.node("Neg", g.node("Transpose", turned, perm=[0, 2, 3, 1])), 0.05, 0)
    parts = [loaded, turned] if loaded_first else [turned, loaded]
    g.output(g.requantised(g.node("Concat", *parts, axis=2), 0.05, 0), 0.05, 0)
    (found,) = run_program(compile_model(g.model()), g.feeds).outputs.values()
    first, second = (value.astype(np.int16) for value in g.feeds.values())
    beside = np.clip(-second.transpose(0, 2, 3, 1), -128, 127)
    assert np.array_equal(found, np.concatenate([first, beside] if loaded_first else [beside, first], axis=2))
