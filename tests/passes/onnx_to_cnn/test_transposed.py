"""Transposed convolutions against the oracle, byte for byte, against ONNX Runtime's float operator, to a step at ties,
and on machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dialects.meaning.cnn import evaluate
from passes.onnx_to_cnn.transposed import phases
from tests.oracle import run_integer
from tests.oracle.cases import run_reference
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn
from tests.passes.planner.support import altered, check_everywhere, planned, write_machine

TINY = altered(
    array={"lanes": 64, "half_words": 32, "accumulators": 2048}, sram={"bytes": 6 * 1024},
    configuration={"image_bytes": 64}, streams={"vector": 8},
)  # fmt: skip

CASES: dict[str, dict[str, Any]] = {
    "doubled": {"kernel": (2, 2), "strides": [2, 2]},
    "overlapping": {"kernel": (4, 4), "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "odd": {"kernel": (3, 3), "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    "plain": {"kernel": (3, 2)},
    "gaps": {"kernel": (1, 2), "strides": [3, 4], "output_padding": [2, 1]},
    "cut": {"kernel": (3, 3), "strides": [2, 1], "pads": [3, 4, 4, 1]},
    "dilated": {"kernel": (3, 2), "strides": [2, 3], "dilations": [2, 2], "pads": [1, 0, 2, 1]},
    "grouped": {"kernel": (3, 3), "strides": [2, 2], "group": 2},
    "depthwise": {"kernel": (4, 4), "strides": [2, 2], "pads": [1, 1, 1, 1], "group": 8, "outputs": 1},
    "depthwise_by_inputs": {"kernel": (2, 2), "strides": [2, 2], "group": 8, "outputs": 2, "axis": 0},
    "wanted": {"kernel": (3, 3), "strides": [2, 2], "output_shape": [9, 8]},
    "same_upper": {"kernel": (3, 4), "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same_lower": {"kernel": (3, 4), "strides": [3, 2], "auto_pad": "SAME_LOWER"},
    "zero_point": {"kernel": (3, 3), "strides": [2, 2], "zero": 5},
    "line": {"kernel": (4,), "strides": [2], "pads": [1, 1]},
    "one_scale": {"kernel": (2, 2), "strides": [2, 2], "axis": None},
}


def graph_of(kernel: tuple[int, ...], outputs: int = 3, *, unsigned: bool = False, relu: bool = False,
             size: tuple[int, ...] = (5, 4), **attributes: Any) -> Graph:  # fmt: skip
    """A transposed convolution with a bias between quantisers."""
    axis, zero = attributes.pop("axis", 1), attributes.pop("zero", 0)
    channels = attributes.pop("channels", 8)
    g = Graph(sum(kernel), unsigned)
    x = g.input(1, channels, *size[: len(kernel)])
    codes = g.constant(g.random.integers(-127, 128, (channels, outputs, *kernel)).astype(np.int8))
    count = 1 if axis is None else (channels, outputs)[axis]
    scale = g.random.uniform(0.001, 0.01, count).astype(np.float32)
    zeros = np.full(count, zero, np.int8)
    parts = (scale, zeros) if axis is not None else (scale[0], zeros[0])
    w = g.node(
        "DequantizeLinear", codes, *(g.constant(part) for part in parts), **({} if axis is None else {"axis": axis})
    )
    y = g.node("ConvTranspose", x, w, g.vector(outputs * attributes.get("group", 1), low=-2, high=2), **attributes)
    g.output(g.node("Relu", y) if relu else y, scale=0.05)
    return g


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_transposed_convolution(name: str, unsigned: bool) -> None:
    g = graph_of(**dict(CASES[name]), unsigned=unsigned)
    model = g.model()
    (wanted,) = run_integer(model, g.feeds).values()
    (found,) = evaluate(compile_to_cnn(model), g.feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)
    (reference,) = run_reference(model, g.feeds)[0].values()
    step = np.abs(reference.astype(int) - wanted.astype(int))
    assert step.max() <= 1
    assert (step > 0).mean() < 0.01


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("machine", ["tiny"])
def test_transposed_convolution_on_a_machine(name: str, machine: str, tmp_path: Path) -> None:
    g = graph_of(**dict(CASES[name]), relu=True)
    module = compile_to_cnn(g.model())
    plan = planned(module, machine if machine != "tiny" else write_machine(TINY, tmp_path))
    check_everywhere(module, plan, inputs=g.feeds)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)), st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*[st.integers(0, 3)] * 4), st.integers(0, 3), st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_any_transposed_convolution(
    size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int],
    pads: tuple[int, int, int, int], extra: int, group: int,
) -> None:  # fmt: skip
    padding = [min(extra, s - 1) for s in strides]
    sizes = [s * (n - 1) + e + (f - 1) * d + 1 - a - b for n, f, s, d, e, a, b in
             zip(size, kernel, strides, dilations, padding, pads[:2], pads[2:], strict=True)]  # fmt: skip
    assume(min(sizes) > 0)
    g = graph_of(kernel, 2, size=size, channels=4, group=group, strides=list(strides), dilations=list(dilations),
                 pads=list(pads), output_padding=padding)  # fmt: skip
    model = g.model()
    (wanted,) = run_integer(model, g.feeds).values()
    (found,) = evaluate(compile_to_cnn(model), g.feeds).values()
    np.testing.assert_array_equal(found, wanted, strict=True)


def test_phases_of_the_usual_kernels() -> None:
    """Two taps for two outputs of a kernel of four; one and two for a kernel of three."""
    assert [(p.taps, p.before, p.after) for p in phases(5, 10, 4, 2, 1, 1)] == [((3, 1), 1, 0), ((2, 0), 0, 1)]
    assert [(p.taps, p.before, p.after) for p in phases(5, 10, 3, 2, 1, 1)] == [((1,), 0, 0), ((2, 0), 0, 1)]
