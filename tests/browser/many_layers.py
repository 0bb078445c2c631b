"""A model of a thousand layers: its page stays small, and answers at once.

Half a minute of work, so ``make browser`` runs it and ``make test`` does not.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.browser.conftest import Browser
from tools.driver import compile_model
from tools.options import Planning
from tools.reports.page import page
from tools.reports.profile.records import Profile, profile

LAYERS = 1000
CHANNELS = (16, 32, 24, 8)
ROWS = "document.querySelectorAll('#table tbody tr')"


def deep() -> onnx.ModelProto:
    """A chain of 1x1 convolutions, one after the other, named as exporters name them."""
    rng = np.random.default_rng(0)
    scales = {"s": np.float32(0.02), "z": np.int8(0), "ws": np.float32(0.01)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in scales.items()]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q0"])]
    for number in range(LAYERS):
        inputs, outputs = CHANNELS[number % 4], CHANNELS[(number + 1) % 4]
        weights = rng.integers(-50, 50, (outputs, inputs, 1, 1)).astype(np.int8)
        constants.append(numpy_helper.from_array(weights, f"w{number}"))
        name = f"model.stages.{number // 50}.blocks.{number % 50}.conv"
        nodes += [
            helper.make_node("DequantizeLinear", [f"q{number}", "s", "z"], [f"d{number}"]),
            helper.make_node("DequantizeLinear", [f"w{number}", "ws", "z"], [f"wd{number}"]),
            helper.make_node("Conv", [f"d{number}", f"wd{number}"], [f"c{number}"], name=name),
            helper.make_node("QuantizeLinear", [f"c{number}", "s", "z"], [f"q{number + 1}"]),
        ]
    nodes.append(helper.make_node("DequantizeLinear", [f"q{LAYERS}", "s", "z"], ["y"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, CHANNELS[0], 8, 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "thousand", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def run(browser: Browser) -> Profile:  # after the browser, so that nothing is compiled without one
    return profile(compile_model(deep(), options=Planning(level=0)))


@pytest.fixture(scope="module")
def report(run: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deep") / "deep.html"
    path.write_text(page(run), encoding="utf-8")
    return path


def milliseconds(browser: Browser, script: str) -> float:
    """What a script and the layout after it take."""
    return browser.run(
        f"const begin = performance.now(); {script}; document.body.offsetHeight; return performance.now() - begin"
    )


def test_the_page_is_small(report: Path, run: Profile) -> None:
    assert len(run.layers) == LAYERS
    assert report.stat().st_size < 8_000_000


@pytest.mark.parametrize("width", [390, 1280])
def test_it_draws_within_seconds(browser: Browser, report: Path, width: int) -> None:
    begin = time.monotonic()
    browser.open(report, width)
    assert time.monotonic() - begin < 20
    assert browser.run(f"return {ROWS}.length") == LAYERS
    assert browser.run("return document.documentElement.scrollWidth") <= width
    # a few paths for each picture by layer, not thousands
    assert browser.run("return document.querySelectorAll('#losses-chart .main-svg path').length") < 200
    assert browser.complaints() == []


def test_the_table_filters_and_sorts_at_once(browser: Browser, report: Path) -> None:
    browser.open(report, 1280)
    typed = "const s = document.getElementById('search'); s.value = {!r}; s.dispatchEvent(new Event('input'))"
    assert milliseconds(browser, typed.format("stages.7.")) < 500
    assert browser.run(f"return {ROWS}.length") == 50
    assert milliseconds(browser, typed.format("")) < 1000
    assert milliseconds(browser, "document.querySelectorAll('#table thead button')[4].click()") < 1000
    cycles = [int(t.replace(",", "")) for t in browser.run(f"return [...{ROWS}].map(r => r.cells[4].textContent)")]
    assert cycles == sorted(cycles, reverse=True)
    assert browser.complaints() == []


def test_a_layer_shows_at_once_and_then_in_every_picture(browser: Browser, report: Path) -> None:
    browser.open(report, 1280)
    assert milliseconds(browser, f"{ROWS}[700].click()") < 300
    assert browser.run("return document.getElementById('detail').hidden") is False
    begin = time.monotonic()
    browser.wait("document.documentElement.dataset.chosen === '700'")
    assert time.monotonic() - begin < 10
    assert browser.run("return document.querySelector('#losses-chart').layout.shapes[0].x0") == 699.5
    zoom = "Plotly.relayout('timeline-chart', {'xaxis.range[0]': 20000, 'xaxis.range[1]': 21000})"
    assert milliseconds(browser, zoom) < 3000
    browser.wait("document.querySelector('#sram-chart').layout.xaxis.range[1] === 21000")
    assert browser.complaints() == []
