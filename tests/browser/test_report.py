"""The page of recon report in a real browser: it draws, a click shows a layer everywhere, filters filter, no errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.description import load
from tests.browser.conftest import Browser
from tests.conftest import ROOT
from tools.options import Planning
from tools.reports.compare import Study, compare
from tools.reports.compare_page import comparison_page
from tools.reports.intensity import page as intensity
from tools.reports.intensity.convolutions import convolutions
from tools.reports.page import page
from tools.reports.profile.records import profile
from tools.reports.reporting import profile_of

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
CHARTS = ("terms", "roofline", "timeline", "sram", "traffic", "losses", "energy", "graph")
ROWS = "document.querySelectorAll('#table tbody tr')"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program, plan = Study(RESNET8).planned("edge4k")
    path = tmp_path_factory.mktemp("report") / "resnet8.html"
    path.write_text(page(profile(program, plan=str(plan))), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1280])
def test_it_draws_everything_within_the_window(browser: Browser, report: Path, width: int) -> None:
    browser.open(report, width)
    for name in CHARTS:
        drawn = f"#{name}-chart .main-svg .trace, #{name}-chart .main-svg .scatterlayer path"
        assert browser.run("return document.querySelectorAll(arguments[0]).length", drawn) > 0, name
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run(f"return {ROWS}.length") == 11
    assert len(browser.run("return document.getElementById('verdict').textContent")) > 200
    assert browser.complaints() == []


def test_a_click_shows_a_layer_in_every_picture(browser: Browser, report: Path) -> None:
    browser.open(report, 1280)
    browser.run(f"{ROWS}[4].click()")
    browser.wait("document.documentElement.dataset.chosen === '4'")
    assert browser.run("return document.getElementById('detail-name').textContent") == "conv2d_3"
    body = browser.run("return document.getElementById('detail-body').textContent")
    assert "tile.conv" in body
    assert "fill k=" in body
    assert "ONNX nodes" in body
    assert browser.run(f"return {ROWS}[4].className") == "chosen"
    for name in ("terms", "traffic", "losses", "energy"):
        assert browser.run(f"return document.querySelector('#{name}-chart').layout.shapes[0].x0") == 3.5
    for name in ("roofline", "graph"):
        assert browser.run(f"return document.querySelector('#{name}-chart').data.at(-1).x.length") == 1
    for name in ("timeline", "sram"):  # what belongs to the layer keeps its strength, the rest fades
        bars = f"document.querySelector('#{name}-chart').data.filter(t => Array.isArray(t.marker?.opacity))"
        strengths = browser.run(f"return {bars}.flatMap(t => t.marker.opacity)")
        assert len(set(strengths)) == 2
        of_layer = browser.run(f"return {bars}.flatMap(t => t.customdata.filter((l, i) => t.marker.opacity[i] > 0.5))")
        assert 4 in of_layer
    browser.run("document.getElementById('close').click()")
    browser.wait("document.documentElement.dataset.chosen === 'null'")
    assert browser.run("return document.getElementById('detail').hidden")
    assert browser.complaints() == []


def test_a_click_into_a_picture_chooses_its_layer(browser: Browser, report: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    browser.open(report, 1280, 1000)
    browser.run(
        "document.documentElement.style.scrollBehavior = 'auto'; document.getElementById('time').scrollIntoView()"
    )
    bars = browser.driver.find_elements(By.CSS_SELECTOR, "#terms-chart .bars .point path")
    tallest = max(bars, key=lambda bar: bar.rect["height"])
    ActionChains(browser.driver).move_to_element(tallest).pause(0.2).click().perform()
    browser.wait("document.documentElement.dataset.chosen !== undefined")
    chosen = int(browser.run("return document.documentElement.dataset.chosen"))
    cycles = browser.run("return JSON.parse(document.getElementById('data').textContent).layers.map(l => l.cycles)")
    assert cycles[chosen] == max(cycles)


def test_filters_and_sorting(browser: Browser, report: Path) -> None:
    browser.open(report, 1280)
    names = f"return [...{ROWS}].map(r => r.cells[0].textContent)"
    browser.run("const s = document.getElementById('search'); s.value = 'AVG'; s.dispatchEvent(new Event('input'))")
    assert browser.run(names) == ["average_pooling2d_AvgPool"]
    assert browser.run("return document.getElementById('shown').textContent").startswith("1 of 11 layers")
    browser.run("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
    browser.run(
        "const f = document.getElementById('filter-op'); f.value = 'conv2d'; f.dispatchEvent(new Event('change'))"
    )
    assert 0 < len(browser.run(names)) < 11
    browser.run("const f = document.getElementById('filter-op'); f.value = ''; f.dispatchEvent(new Event('change'))")
    browser.run("document.querySelectorAll('#table thead button')[4].click()")
    cycles = [
        int(text.replace(",", "")) for text in browser.run(f"return [...{ROWS}].map(r => r.cells[4].textContent)")
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert len(set(cycles)) > 1
    browser.run("document.querySelectorAll('#table thead button')[0].click()")
    assert browser.run(names) == sorted(
        browser.run(names), key=lambda name: [int(p) if p.isdigit() else p for p in name.split("_")]
    )
    assert browser.complaints() == []


def test_zooming_one_picture_over_time_zooms_the_other(browser: Browser, report: Path) -> None:
    browser.open(report, 1280)
    count = "document.querySelector('#timeline-chart').data.at(-1).x.length"
    before = browser.run(f"return {count}")
    browser.run("Plotly.relayout('timeline-chart', {'xaxis.range[0]': 1000, 'xaxis.range[1]': 3000})")
    browser.wait("document.querySelector('#sram-chart').layout.xaxis.range[1] === 3000")
    assert browser.run("return document.querySelector('#sram-chart').layout.xaxis.range[0]") == 1000
    assert browser.run(f"return {count}") != before
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_frames_in_a_row_draw(browser: Browser, tmp_path: Path, width: int) -> None:
    """The prologue and the first frames over time, every layer in the roofline, and what the rhythm is."""
    made = profile_of(RESNET8, planning=Planning(frames="stream"))
    path = tmp_path / "frames.html"
    path.write_text(page(made), encoding="utf-8")
    browser.open(path, width)
    begins = "document.getElementById('timeline-chart').layout.annotations.map(a => a.text)"
    assert browser.run(f"return {begins}")[:2] == ["frames 0–3", "frames 4–7"]
    dots = "document.getElementById('roofline-chart').data.filter(t => t.customdata).flatMap(t => t.customdata)"
    assert sorted(browser.run(f"return {dots}")) == [n for n, layer in enumerate(made.layers) if layer.attained]
    cards = browser.run("return document.getElementById('cards').textContent")
    assert "frames per second" in cards
    assert "latency of a frame" in cards
    assert "of 4 frames of many" in browser.run("return document.getElementById('rhythm').textContent")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_chart_of_convolutions_draws(browser: Browser, tmp_path: Path, width: int) -> None:
    machine = load("edge4k")
    path = tmp_path / "intensity.html"
    path.write_text(intensity.page([convolutions(RESNET8, machine)], machine), encoding="utf-8")
    browser.open(path, width)
    assert browser.run("return document.querySelectorAll('#chart .point').length") == 9
    assert browser.run("return document.querySelectorAll('#shapes tr').length") == 3
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_machines_side_by_side_draw(browser: Browser, tmp_path: Path, width: int) -> None:
    path = tmp_path / "compared.html"
    path.write_text(
        comparison_page(compare(RESNET8, ["edge4k", "edge1k"], options=Planning(level=0))), encoding="utf-8"
    )
    browser.open(path, width)
    for name in ("runs", "layers", "freedoms"):
        assert browser.run("return document.querySelectorAll(arguments[0]).length", f"#{name}-chart .bars .point") > 0
    assert browser.run("return document.querySelectorAll('#runs-table tr').length") == 3
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.complaints() == []
