"""Several networks in one program: each gives what it gives alone, and what turns cost is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sim.machine.errors import ReconError
from tests.conftest import Tool
from tests.oracle import run_integer
from tests.passes.onnx_to_cnn.graphs import Graph, conv
from tools.frames import frame_statistics, run_frames
from tools.options import Planning
from tools.together import compile_together, turns_of

MACHINE = "edge1k"


def _detector(seed: int) -> Graph:
    g = Graph(seed)
    x = g.requantised(conv(g, g.input(1, 3, 20, 18), 16, 3, (3, 3), strides=[2, 2]))
    g.output(conv(g, g.requantised(g.node("LeakyRelu", x)), 5, 16, (1, 1)))
    return g


def _classifier(seed: int) -> Graph:
    g = Graph(seed)
    x = g.requantised(conv(g, g.input(1, 8, 7, 7), 16, 8, (3, 3)))
    x = g.requantised(g.node("GlobalAveragePool", x))
    g.output(g.node("Gemm", g.node("Flatten", x), g.weights(5, 16), g.vector(5), transB=1))
    return g


@pytest.mark.parametrize("options", [Planning(frames="stream"), Planning(), Planning(frames="stream", batch=2)])
def test_each_network_gives_what_it_gives_alone(tmp_path: Path, options: Planning) -> None:
    graphs = {"detector": _detector(3), "classifier": _classifier(4)}
    paths = [tmp_path / f"{name}.onnx" for name in graphs]
    for path, graph in zip(paths, graphs.values(), strict=True):
        path.write_bytes(graph.model().SerializeToString())
    found = compile_together(paths, {"classifier": 3}, MACHINE, options=options)
    dice = np.random.default_rng(1)
    turns = {"detector/{}": graphs["detector"]} | {f"classifier/{{}}.{n}": graphs["classifier"] for n in range(3)}
    rounds: list[dict[str, np.ndarray]] = []
    expected: list[dict[str, np.ndarray]] = []
    for _ in range(3):
        rounds.append({})
        expected.append({})
        for place, graph in turns.items():
            feeds = {name: dice.permuted(value) for name, value in graph.feeds.items()}
            rounds[-1] |= {place.format(name): value for name, value in feeds.items()}
            made = run_integer(graph.model(), feeds)
            expected[-1] |= {place.format(name): value for name, value in made.items()}
    for outputs, wanted in zip(run_frames(found.program, rounds, sanitize=True), expected, strict=True):
        assert outputs.keys() == wanted.keys()
        for name, value in wanted.items():
            assert np.array_equal(outputs[name], value), name
    assert [turn.times for turn in found.turns] == [1, 3]
    assert found.change == pytest.approx(found.cycles - found.turns[0].cycles - 3 * found.turns[1].cycles)
    if options.frames:
        statistics = frame_statistics(found.program, 10)
        assert found.program.rhythm is not None
        assert statistics.cycles == found.program.rhythm.cycles


def test_what_is_said_of_a_round(recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, graph in (("detector", _detector(3)), ("classifier", _classifier(4))):
        Path(f"{name}.onnx").write_bytes(graph.model().SerializeToString())
    files = ("detector.onnx", "classifier.onnx")
    outcome = recon("compile", *files, "-o", "both.rbin", "--machine", MACHINE, "--times", "classifier=2", "-O", 1)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith("a round of 2 networks takes ")
    assert lines[1].startswith("detector: once a round, ")
    assert lines[2].startswith("classifier: 2 times a round, ")
    assert lines[3].startswith("taking turns ")
    refused = recon("compile", *files, "-o", "x.rbin", "--validate")
    assert (refused.code, refused.err) == (1, "error: --validate is for one model; 2 models take turns here.\n")
    refused = recon("compile", "detector.onnx", "-o", "x.rbin", "--times", "detector=2")
    assert (refused.code, refused.err) == (1, "error: --times is for several models that take turns.\n")


def _refusal(ask: Callable[[], object]) -> str:
    with pytest.raises(ReconError) as caught:
        ask()
    return str(caught.value)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "--times a: write NAME=N, a network and how often it runs in a round."),
        (["a=-1"], "--times a=-1: write NAME=N, a network and how often it runs in a round."),
        (["a=1", "a=2"], "--times: the network 'a' is given twice."),
    ],
)
def test_turns_that_cannot_be_read(texts: list[str], message: str) -> None:
    assert _refusal(lambda: turns_of(texts)) == message


def test_networks_that_cannot_take_turns(tmp_path: Path) -> None:
    a, b, other = tmp_path / "a.onnx", tmp_path / "b.onnx", tmp_path / "sub" / "a.onnx"
    other.parent.mkdir()
    for path in (a, other):
        path.write_bytes(_classifier(4).model().SerializeToString())
    between = Graph(5)
    x = between.requantised(conv(between, between.input(1, 8, 6, 5), 8, 8, (3, 3)))
    y = between.requantised(between.node("Softmax", x, axis=1), 1 / 256, -128)
    between.output(conv(between, y, 4, 8, (1, 1)))
    b.write_bytes(between.model().SerializeToString())
    assert _refusal(lambda: compile_together([a, other], {}, MACHINE)) == (
        f"Two networks are called 'a' ({a}, {other}); files of different names tell them apart."
    )
    assert _refusal(lambda: compile_together([a, b], {"c": 2}, MACHINE)) == (
        "--times c=2: there is no network 'c'; there are a, b."
    )
    assert _refusal(lambda: compile_together([a, b], {"b": 0}, MACHINE)) == (
        "--times b=0: a network takes at least one turn."
    )
    refused = _refusal(lambda: compile_together([a, b], {}, MACHINE))
    assert refused.startswith("Network b: the host computes between layers of the machine (")
    assert refused.endswith("), so it cannot take turns; 'recon check' says what the host runs.")
