"""QuantizeLinear with a scale per channel, as it stands before depthwise convolutions: exact where it can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from xdsl.dialects.builtin import ModuleOp

from dialects.meaning.cnn import evaluate
from dialects.onnx_export import strings_of
from passes.common.problems import ModelError
from tests.passes.onnx_to_cnn.graphs import Graph, compile_to_cnn

Array = npt.NDArray[Any]
CHANNELS = 8


def _by_channel(g: Graph, real: str, zeros: Array, axis: int = 1) -> str:
    kind = np.uint8 if g.unsigned else np.int8
    scale = g.constant(g.random.uniform(0.005, 0.03, CHANNELS).astype(np.float32))
    zero = g.constant((zeros + (128 if g.unsigned else 0)).astype(kind))
    codes = g.node("QuantizeLinear", real, scale, zero, axis=axis)
    return g.node("DequantizeLinear", codes, scale, zero, axis=axis)


def _conv(g: Graph) -> str:
    x = g.input(1, 4, 6, 5, scale=0.02, zero=0)
    return g.node("Conv", x, g.weights(CHANNELS, 4, 1, 1), g.vector(CHANNELS))


def _depthwise(g: Graph, x: str) -> str:
    weights = g.weights(2 * CHANNELS, 1, 3, 3)
    return g.node("Conv", x, weights, g.vector(2 * CHANNELS), group=CHANNELS, pads=[1, 1, 1, 1])


def _alike(low: int = -128) -> Array:
    return np.full(CHANNELS, low)


def _compiled(g: Graph) -> tuple[ModuleOp, int]:
    """The module, and the most steps between its answer and ONNX Runtime's."""
    model = g.model(13)
    module = compile_to_cnn(model)
    options = ort.SessionOptions()  # optimised, ONNX Runtime fails on a scale per channel
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,), (exact,) = evaluate(module, g.feeds).values(), session.run(None, g.feeds)
    assert isinstance(exact, np.ndarray)
    return module, int(np.abs(found.astype(np.int64) - exact).max())


def _notes(module: ModuleOp) -> list[str]:
    notes = module.attributes.get("recon.notes")
    return strings_of(notes) if notes is not None else []


def _kinds(module: ModuleOp) -> list[str]:
    return [op.name for op in module.walk() if op.name.startswith("cnn.") and op.name != "cnn.yield"]


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
def test_between_a_convolution_and_a_depthwise_one_nothing_is_lost(unsigned: bool) -> None:
    g = Graph(3, unsigned)
    g.output(_depthwise(g, _by_channel(g, g.node("Relu", _conv(g)), _alike())), scale=0.02, zero=0)
    module, off = _compiled(g)
    assert off <= 1
    assert [kind for kind in _kinds(module) if kind != "cnn.host"] == ["cnn.conv2d", "cnn.conv2d"]
    assert _notes(module) == []


def test_the_codes_are_those_of_the_law() -> None:
    """Section 3 with sx and sy per channel, from the module's own codes: not one differs."""
    g = Graph(5)
    g.output(_depthwise(g, _by_channel(g, g.node("Relu", _conv(g)), _alike())), scale=0.02, zero=0)
    model = g.model(13)
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    nodes = {output: node for node in model.graph.node for output in node.output}
    quantise = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    sy, last = constants[quantise[0].input[1]], constants[quantise[1].input[1]]
    first, second = (node for node in model.graph.node if node.op_type == "Conv")

    def sums(node: onnx.NodeProto, x: Array, sx: Array) -> Array:
        codes, sw = (constants[nodes[node.input[1]].input[at]] for at in (0, 1))
        each = np.repeat(sx, sw.size // sx.size)
        unit = (each * sw).astype(np.float32)
        bias = np.rint((constants[node.input[2]] / unit).astype(np.float32)).astype(np.int64)
        pad = (codes.shape[2] - 1) // 2
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        made = np.zeros((1, sw.size, 6, 5), np.int64)
        per = 1 if codes.shape[1] == 1 else x.shape[1]
        for k in range(sw.size):
            group = x[:, k * x.shape[1] // sw.size :][:, :1] if per == 1 else x
            for i in range(codes.shape[2]):
                for j in range(codes.shape[3]):
                    made[:, k] += (group[:, :, i : i + 6, j : j + 5] * codes[k, :, i, j].astype(np.int64)[:, None, None]
                                   ).sum(1)  # fmt: skip
        return ((made + bias[:, None, None]).astype(np.float32) * unit[:, None, None] ** 0).astype(np.float64), unit

    (x,) = g.feeds.values()
    acc, unit = sums(first, x.astype(np.int64), np.float32([0.02]))
    power = np.float32(2.0 ** np.ceil(np.log2(sy.max())))
    scaled = ((unit / sy).astype(np.float32) * power / np.float32(0.02)).astype(np.float32)
    s = (np.float32(0.02) * scaled).astype(np.float32) / power
    y = np.clip(np.rint(acc.astype(np.float32) * s[:, None, None]) - 128, -128, 127).astype(np.int64)
    acc, unit = sums(second, y + 128, sy)
    s = (unit / last).astype(np.float32)
    wanted = np.clip(np.rint(acc.astype(np.float32) * s[:, None, None]), -128, 127)
    (found,) = evaluate(compile_to_cnn(model), g.feeds).values()
    np.testing.assert_array_equal(found, wanted.astype(np.int8))


def test_who_mixes_channels_requantises() -> None:
    g = Graph(4)
    x = _by_channel(g, g.node("Relu", _conv(g)), _alike())
    g.output(g.node("Conv", x, g.weights(4, CHANNELS, 1, 1)), scale=0.05, zero=0)
    module, off = _compiled(g)
    assert [kind for kind in _kinds(module) if kind != "cnn.host"] == ["cnn.conv2d", "cnn.affine", "cnn.conv2d"]
    assert off <= 4
    assert len(_notes(module)) == 1


def test_zero_points_that_differ_get_one_quantiser() -> None:
    g = Graph(6)
    x = _by_channel(g, g.node("HardSwish", _conv(g)), np.arange(CHANNELS) - 60)
    g.output(_depthwise(g, x), scale=0.05, zero=0)
    model = g.model(14)
    module = compile_to_cnn(model)
    assert _kinds(module).count("cnn.conv2d") == 2
    (note,) = _notes(module)
    assert "in place of quantizelinear_4, which has a scale per channel, step " in note
    with pytest.raises(ModelError, match="A computed tensor has one scale per channel"):
        compile_to_cnn(model, no_host=True, exact=True)


def test_bounds_that_differ_by_channel_get_one_quantiser() -> None:
    g = Graph(6)
    clipped = g.node("Clip", _conv(g), g.constant(np.float32(0)), g.constant(np.float32(1)))
    g.output(_depthwise(g, _by_channel(g, clipped, _alike())), scale=0.02, zero=0)
    module, off = _compiled(g)
    assert off <= 4
    assert len(_notes(module)) == 1


def test_other_scales_behind_are_the_hosts() -> None:
    g = Graph(8)
    x = g.node("Relu", _conv(g))
    codes = _by_channel(g, x, _alike())
    g.nodes[-1].input[1] = g.constant(np.full(CHANNELS, 0.01, np.float32))
    g.output(_depthwise(g, codes), scale=0.02, zero=0)
    with pytest.raises(ModelError, match="are not those with which its operand was quantised"):
        compile_to_cnn(g.model(13), no_host=True)
