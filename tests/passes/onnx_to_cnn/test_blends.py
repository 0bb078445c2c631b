"""Linear Resize against the oracle, byte for byte, against ONNX Runtime's float operator, to a step; on machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from dialects.meaning.cnn import evaluate
from dialects.onnx_export import strings_of
from passes.common.problems import ModelError
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn
from tests.passes.planner.support import altered, check_everywhere, planned, write_machine

TINY = altered(
    array={"lanes": 64, "half_words": 32, "accumulators": 4096}, sram={"bytes": 6 * 1024},
    configuration={"image_bytes": 64}, streams={"vector": 8}, instruction_memory={"bytes": 1 << 20},
)  # fmt: skip


def graph_of(
    scales: Sequence[float] = (), sizes: Sequence[int] = (), shape: Sequence[int] = (1, 3, 5, 4), *,
    alike: bool = False, unsigned: bool = False, relu: bool = False, **attributes: Any,
) -> Graph:  # fmt: skip
    g = Graph(len(scales), unsigned)
    x = g.input(*shape, scale=0.05, zero=-7)
    last = [g.constant(np.asarray(sizes, np.int64))] if sizes else []
    y = g.node("Resize", x, "", g.constant(np.asarray(scales, np.float32)), *last, mode="linear", **attributes)
    quant = (0.05, -7) if alike else (0.043, 11)
    g.output(g.node("Relu", y) if relu else y, *quant)
    return g


CASES: dict[str, dict[str, Any]] = {
    "doubled": {"scales": (1, 1, 2, 2)},
    "doubled_alike": {"scales": (1, 1, 2, 2), "alike": True},
    "doubled_asymmetric": {"scales": (1, 1, 2, 2), "coordinate_transformation_mode": "asymmetric"},
    "pytorch": {"scales": (1, 1, 4, 2), "coordinate_transformation_mode": "pytorch_half_pixel"},
    "corners": {"sizes": (1, 3, 9, 7), "coordinate_transformation_mode": "align_corners"},
    "three_halves": {"scales": (1, 1, 1.5, 1.5), "shape": (1, 3, 4, 6)},
    "thirds": {"sizes": (1, 3, 15, 12), "alike": True},
    "halved": {"scales": (1, 1, 0.5, 0.5), "shape": (1, 3, 8, 6)},
    "two_thirds": {"sizes": (1, 3, 4, 6), "shape": (1, 3, 6, 9)},
    "eightfold": {"scales": (1, 1, 8, 8), "shape": (1, 2, 3, 2)},
    "columns": {"scales": (1, 1, 1, 2)},
    "one_row": {"sizes": (1, 3, 1, 8), "coordinate_transformation_mode": "pytorch_half_pixel"},
    "from_one": {"sizes": (1, 3, 4, 4), "shape": (1, 3, 1, 1)},
    "line": {"scales": (1, 1, 2), "shape": (1, 3, 7)},
}


def in_floats(g: Graph) -> np.ndarray:
    """ONNX Runtime's float operator between the quantisers: no integer kernel, which would round otherwise."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(g.model().SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(g.feeds))[0])


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_linear_resize(name: str, unsigned: bool) -> None:
    g = graph_of(**CASES[name], unsigned=unsigned)
    (wanted,) = run_integer(g.model(), g.feeds).values()
    (found,) = evaluate(compile_to_cnn(g.model()), g.feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)
    step = np.abs(in_floats(g).astype(int) - wanted.astype(int))
    assert step.max() <= 1
    assert (step > 0).mean() < (0.35 if CASES[name].get("alike") else 0.01)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("machine", ["tiny"])
def test_linear_resize_on_a_machine(name: str, machine: str, tmp_path: Path) -> None:
    g = graph_of(**CASES[name], relu=True)
    module = compile_to_cnn(g.model())
    plan = planned(module, machine if machine != "tiny" else write_machine(TINY, tmp_path))
    check_everywhere(module, plan, inputs=g.feeds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": (1, 1, 1, 200)}, "It resizes with weights of up to 399; the most is 255. Resize in two steps."),
        ({"sizes": (1, 3, 97, 97), "shape": (1, 3, 96, 96)},
         "It resizes [96, 96] to [97, 97], where 9,409 outputs in a row lie differently between their neighbours; the "
         "most is 256."),
        ({"scales": (1, 2, 2, 2)}, "It resizes more than rows and columns."),
        ({"scales": (1, 1, 2, 2), "coordinate_transformation_mode": "half_pixel_symmetric"},
         "It resizes linearly with coordinates 'half_pixel_symmetric', which are not supported."),
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any], message: str) -> None:
    g = graph_of(**options)
    with pytest.raises(ModelError) as caught:
        compile_to_cnn(g.model(19), no_host=True)
    assert str(caught.value) == f"case: resize_1: {message}"


def test_large_factors_come_in_two_steps() -> None:
    """Sixteenfold both ways: rows, rounded, then columns; within a step of ONNX Runtime's float operator, and noted."""
    g = graph_of(scales=(1, 1, 16, 16), alike=True)
    module = compile_to_cnn(g.model(), no_host=True)
    (found,), wanted = evaluate(module, g.feeds).values(), in_floats(g)
    off = np.abs(found.astype(np.int64) - wanted)
    assert off.max() == 1
    assert (off > 0).mean() < 0.3
    (note,) = strings_of(module.attributes["recon.notes"])
    assert note.endswith("between rows and columns of resize_1, step 0.05.")
    with pytest.raises(ModelError, match=r"weights of up to 961; the most is 255\. Resize in two steps\."):
        compile_to_cnn(g.model(), no_host=True, exact=True)


def test_example_of_the_page() -> None:
    g = Graph()
    x = g.input(1, 1, 1, 2, scale=0.1, zero=0)
    y = g.node("Resize", x, "", g.constant(np.asarray([1, 1, 1, 2], np.float32)), mode="linear")
    g.output(y, 0.1, 0)
    (found,) = evaluate(compile_to_cnn(g.model()), {"x0": np.array([10, 20], np.int8).reshape(1, 1, 1, 2)}).values()
    assert found.reshape(-1).tolist() == [10, 12, 18, 20]
