"""Movements: the cnn meaning, the oracle and ONNX Runtime's float operators between quantisers, byte for byte; and the
plans of them on machines of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dialects.meaning.cnn import evaluate
from tests.oracle import run_integer
from tests.oracle.cases import run_reference
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn
from tests.passes.onnx_to_cnn.moving_graphs import MOVING
from tests.passes.planner.support import altered, check_everywhere, planned, write_machine

TINY = altered(
    array={"lanes": 64, "half_words": 32, "accumulators": 2048}, sram={"bytes": 3 * 1024},
    configuration={"image_bytes": 64}, streams={"vector": 8},
)  # fmt: skip


def graph_of(name: str) -> Graph:
    g = Graph(len(name), name.startswith("u:"))
    MOVING[name.removeprefix("u:")](g)
    return g


@pytest.mark.parametrize("name", [*MOVING, *(f"u:{name}" for name in MOVING)])
def test_movement(name: str) -> None:
    """Moving floats and moving codes is the same: all three agree on every byte."""
    g = graph_of(name)
    model = g.model(19 if "symmetric" in name else 13)
    wanted = run_integer(model, g.feeds)
    found = evaluate(compile_to_cnn(model), g.feeds)
    reference, _ = run_reference(model, g.feeds)
    for output, value in wanted.items():
        np.testing.assert_array_equal(value, reference[output], "the oracle against ONNX Runtime", strict=True)
        np.testing.assert_array_equal(found[output], value, "cnn against the oracle", strict=True)


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("machine", ["edge4k", "edge1k", "tiny"])
def test_movement_on_a_machine(name: str, machine: str, tmp_path: Path) -> None:
    g = graph_of(name)
    module = compile_to_cnn(g.model(19 if "symmetric" in name else 13))
    plan = planned(module, machine if machine != "tiny" else write_machine(TINY, tmp_path))
    check_everywhere(module, plan, inputs=g.feeds)
