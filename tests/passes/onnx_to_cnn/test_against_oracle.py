"""The cnn meaning against the independent integer oracle, byte for byte: operator groups and the trained models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.meaning.cnn import evaluate
from passes.pipeline import Entry
from passes.planner.network import OPERATION_OF
from sim.machine.operations import NAMES
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import compile_to_cnn
from tests.passes.onnx_to_cnn.spread_graphs import EVERY, case

MODELS = Path(__file__).resolve().parents[2] / "data" / "models"
TRAINED = ("mobilenetv1_vww", "resnet8_cifar10", "dscnn_kws", "mobilenetv2_kws")


@pytest.mark.parametrize("name", [*EVERY, *(f"u:{name}" for name in EVERY)])
def test_operator_group(name: str) -> None:
    """Every pass leaves the answer alone, and it is the oracle's."""
    graph = case(name)
    model = graph.model()
    wanted = run_integer(model, graph.feeds)

    def check(entry: Entry, module: ModuleOp) -> None:
        if entry.name in ("convert-onnx-to-cnn", "fuse-activations", "fuse-residual", "fold-pads"):
            found = evaluate(module, graph.feeds)
            for output, value in wanted.items():
                np.testing.assert_array_equal(found[output], value, f"after {entry.name}", strict=True)

    compile_to_cnn(model, after=check)


def test_groups_hold_every_operation_of_the_vector_unit() -> None:
    """The planner makes copies, and pads where none can be folded."""
    wanted, found = set(NAMES) - {"copy"}, set[str]()
    for name in EVERY:
        ops = compile_to_cnn(case(name).model()).walk()
        found |= {OPERATION_OF.get(kind, kind) for kind in (op.name.removeprefix("cnn.") for op in ops)}
        if found >= wanted:
            return
    assert found >= wanted


@pytest.mark.parametrize("name", TRAINED)
def test_trained_model(name: str) -> None:
    """The vendored models on random input, logits included."""
    path = MODELS / f"{name}_int8.onnx"
    module = compile_to_cnn(str(path))
    generator = np.random.default_rng(5)
    shapes = {"mobilenetv1_vww": (1, 96, 96, 3), "resnet8_cifar10": (1, 32, 32, 3), "dscnn_kws": (1, 50, 10, 1),
              "mobilenetv2_kws": (1, 59, 49, 1)}  # fmt: skip
    name_of = {"mobilenetv1_vww": "input_1", "resnet8_cifar10": "input_1_int8", "dscnn_kws": "input_1",
               "mobilenetv2_kws": "input_2_int8"}[name]  # fmt: skip
    codes = generator.integers(-128, 128, shapes[name])
    feeds = {name_of: codes.astype(np.int8) if name_of.endswith("int8") else (codes + 128).astype(np.float32)}
    found, wanted = evaluate(module, feeds), run_integer(path, feeds)
    assert found.keys() == wanted.keys()
    for output, value in wanted.items():
        if value.dtype == np.float32:  # the host's Softmax is ONNX Runtime's: the last bits are its own
            np.testing.assert_allclose(found[output], value, rtol=1e-6, atol=1e-12, strict=True)
        else:
            np.testing.assert_array_equal(found[output], value, strict=True)
