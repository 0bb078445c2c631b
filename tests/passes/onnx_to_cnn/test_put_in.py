"""Quantisers put in before functions of float results: where they stand, how near the answer is, and `exact`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from dialects.meaning.cnn import evaluate
from dialects.onnx_export import strings_of
from passes.common.problems import ModelError
from passes.onnx.import_onnx import import_model
from passes.onnx_to_cnn.convert_onnx_to_cnn import ConvertOnnxToCnnPass
from passes.pipeline import PIPELINE
from tests.oracle.cases import run_reference
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn

Array = npt.NDArray[Any]


def _conv(g: Graph, x: str) -> str:
    return g.node("Conv", x, g.weights(8, 8, 1, 1), g.vector(8))


def _number(g: Graph, value: float) -> str:
    return g.constant(np.float32(value))


def _silu(g: Graph, y: str) -> str:
    return g.node("Mul", y, g.node("Sigmoid", y))


def _hard_swish(g: Graph, y: str) -> str:
    inner = g.node("Clip", g.node("Add", y, _number(g, 3)), _number(g, 0), _number(g, 6))
    return g.node("Div", g.node("Mul", y, inner), _number(g, 6))


def _gelu(g: Graph, y: str) -> str:
    inner = g.node("Add", g.node("Erf", g.node("Div", y, _number(g, 2**0.5))), _number(g, 1))
    return g.node("Mul", g.node("Mul", y, inner), _number(g, 0.5))


def _gate(g: Graph, y: str) -> str:
    return g.node("Mul", g.node("HardSigmoid", y), g.input(1, 8, 6, 5, scale=0.02, zero=0))


def _two_tables(g: Graph, y: str) -> str:
    x = g.input(1, 8, 6, 5, scale=0.03, zero=0)
    return g.node("Mul", g.node("HardSwish", x), g.node("Sigmoid", g.requantised(y, 0.05, 0)))


def _behind_sum(g: Graph, y: str) -> str:
    return _silu(g, g.node("Add", y, g.input(1, 8, 6, 5, scale=0.02, zero=0)))


FUNCTIONS: dict[str, Callable[[Graph, str], str]] = {
    "sigmoid": lambda g, y: g.node("Sigmoid", y),
    "silu": _silu,
    "hard_swish": _hard_swish,
    "gelu": _gelu,
    "leaky": lambda g, y: g.node("LeakyRelu", y, alpha=0.1),
    "gate": _gate,
    "two_tables": _two_tables,
    "behind_sum": _behind_sum,
}


def _model(name: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    g = Graph(7)
    x = g.input(1, 8, 6, 5, scale=0.02, zero=0)
    y = g.requantised(FUNCTIONS[name](g, _conv(g, x)), 0.02, -50)
    g.output(g.node("Conv", y, g.weights(4, 8, 1, 1)), scale=0.05, zero=0)
    return g.model(21), g.feeds


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_whole_network_runs_on_the_machine(name: str) -> None:
    model, feeds = _model(name)
    module = compile_to_cnn(model)
    products = [op for op in module.walk() if op.name == "cnn.conv2d"]
    assert len(products) == 2
    assert not [op for op in module.walk() if op.name == "onnx.node" and "Conv" in str(op.properties["op_type"])]
    (note,) = strings_of(module.attributes["recon.notes"])
    assert note.startswith("Quantisers were put in where the model has none (--exact puts none in): behind ")
    (found,), (wanted, _) = evaluate(module, feeds).values(), run_reference(model, feeds)
    (exact,) = wanted.values()
    off = np.abs(found.astype(np.int64) - exact)
    noise = np.sqrt(np.mean(off**2.0) / np.mean(exact.astype(np.float64) ** 2))
    assert noise < 10 ** (-28 / 20), f"{-20 * np.log10(noise):.1f} dB, {off.max()} steps"


def _exact(model: onnx.ModelProto) -> ModuleOp:
    module = import_model(model.SerializeToString(), None, "case.onnx")
    for entry in PIPELINE:
        if entry.level == "cnn" and not entry.when:
            kind = entry.load()
            (kind(exact=True) if kind is ConvertOnnxToCnnPass else kind()).apply(Context(), module)
    return module


def test_exact_puts_nothing_in() -> None:
    model, feeds = _model("silu")
    module = _exact(model)
    assert strings_of(module.attributes["recon.notes"]) == []
    kinds = [str(op.properties["op_type"]) for op in module.walk() if op.name == "onnx.node"]
    assert '"Sigmoid"' in kinds
    (found,), (wanted, _) = evaluate(module, feeds).values(), run_reference(model, feeds)
    (exact,) = wanted.values()
    assert np.abs(found.astype(np.int64) - exact).max() <= 1


def test_the_note_says_what_was_put_in() -> None:
    module = compile_to_cnn(_model("sigmoid")[0])
    assert strings_of(module.attributes["recon.notes"]) == [
        "Quantisers were put in where the model has none (--exact puts none in): behind conv_2, -4.6 to 4.6, step "
        "0.036, off by at most 1 of quantizelinear_4's steps."
    ]


def _pooled(g: Graph, y: str) -> None:
    """A value that a pool reads in float, and its mean."""
    mean = g.requantised(g.node("GlobalAveragePool", y), 0.01, 0)
    g.output(g.node("Conv", mean, g.weights(4, 8, 1, 1)), scale=0.05, zero=0)


def _convolutions(module: ModuleOp) -> int:
    return sum(op.name == "cnn.conv2d" for op in module.walk())


def _hosted(module: ModuleOp) -> set[str]:
    kinds = {str(op.properties["op_type"]) for op in module.walk() if op.name == "onnx.node"}
    return {kind.strip('"') for kind in kinds} - {"QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose"}


def test_a_quantiser_for_another_user_serves_both() -> None:
    """The float value and its rounded twin are one tensor, and the convolution is computed once."""
    g = Graph(7)
    y = g.node("Relu", _conv(g, g.input(1, 8, 6, 5, scale=0.02, zero=0)))
    _pooled(g, y)
    g.output(y, scale=0.03, zero=-128)
    module = compile_to_cnn(g.model(21))
    assert _hosted(module) == set()
    assert _convolutions(module) == 2
    (note,) = strings_of(module.attributes["recon.notes"])
    assert note.endswith("): behind relu_3, as quantizelinear_10 does.")


@pytest.mark.parametrize("kind", ["Sigmoid", "Clip", "Mul"])
def test_what_a_value_is_says_how_far_it_goes(kind: str) -> None:
    g = Graph(7)
    x = g.input(1, 8, 6, 5, scale=0.02, zero=0)
    values = {
        "Sigmoid": lambda: g.node("Sigmoid", x),
        "Clip": lambda: g.node("Clip", _conv(g, x), _number(g, 0), _number(g, 6)),
        "Mul": lambda: g.node("Mul", x, g.input(1, 8, 6, 5, scale=0.02, zero=0)),
    }
    _pooled(g, values[kind]())
    model = g.model(21)
    module = compile_to_cnn(model)
    assert _hosted(module) == set()
    (found,), (wanted, _) = evaluate(module, g.feeds).values(), run_reference(model, g.feeds)
    (exact,) = wanted.values()
    assert np.abs(found.astype(np.int64) - exact).max() <= 3


def _samples(tmp_path: Path, *arrays: Array) -> str:
    np.savez(tmp_path / "samples.npz", *arrays)
    return str(tmp_path / "samples.npz")


def test_a_convolution_is_measured(tmp_path: Path) -> None:
    """Without examples nothing says how far a sum goes, and the host takes the mean; with them the machine does."""
    g = Graph(7)
    _pooled(g, g.node("Relu", _conv(g, g.input(1, 8, 6, 5, scale=0.02, zero=0))))
    model = g.model(21)
    assert _hosted(compile_to_cnn(model)) == {"GlobalAveragePool", "Relu"}
    (codes,) = g.feeds.values()
    samples = _samples(tmp_path, codes[None])
    module = compile_to_cnn(model, samples=samples)
    assert _hosted(module) == set()
    (found,), (wanted, _) = evaluate(module, g.feeds).values(), run_reference(model, g.feeds)
    (exact,) = wanted.values()
    assert np.abs(found.astype(np.int64) - exact).max() <= 3
    assert _hosted(compile_to_cnn(model, samples=samples, exact=True)) == {"GlobalAveragePool", "Relu"}


def test_a_measured_argument_has_finer_steps(tmp_path: Path) -> None:
    model, feeds = _model("silu")
    (codes,) = feeds.values()
    quiet = compile_to_cnn(model, samples=_samples(tmp_path, codes[None] // 4))
    (note,), (wide,) = (strings_of(m.attributes["recon.notes"]) for m in (quiet, compile_to_cnn(model)))
    steps = [float(text.partition("step ")[2].partition(",")[0]) for text in (note, wide)]
    assert steps[0] < 0.9 * steps[1]


def test_samples_that_do_not_fit(tmp_path: Path) -> None:
    model, feeds = _model("silu")
    (codes,) = feeds.values()
    for name, text in (
        (_samples(tmp_path, codes), "the samples of the input 'x0' have to be an array N×1×8×6×5, with as many for "
         "every input."),
        (str(tmp_path / "none.npz"), "this is not a whole .npz file of samples; numpy.savez writes one."),
    ):  # fmt: skip
        with pytest.raises(ModelError) as caught:
            compile_to_cnn(model, samples=name)
        assert str(caught.value) == f"{name}: {text}"


def test_nothing_is_put_in_before_a_function_that_jumps() -> None:
    """float16 ends at 65,504; behind that it is infinite, which no step between two codes can say."""
    g = Graph(5)
    x = g.input(1, 8, 6, 5, scale=90.0, zero=0)
    narrow = g.node("Cast", g.node("Cast", _conv(g, x), to=10), to=1)
    g.output(narrow, scale=700.0, zero=0)
    model = g.model(21)
    module = compile_to_cnn(model)
    assert not [note for note in strings_of(module.attributes["recon.notes"]) if "put in" in note]
    (found,), (wanted, _) = evaluate(module, g.feeds).values(), run_reference(model, g.feeds)
    (exact,) = wanted.values()
    assert np.abs(found.astype(np.int64) - exact).max() <= 1
