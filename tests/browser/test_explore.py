"""The page of recon explore in a real browser: it draws, its choices and its table answer, no errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Browser
from tests.tools.explore.support import MODELS, SPACE, alone, written
from tools.explore.explore import Exploration
from tools.explore.findings import findings
from tools.explore.page import page
from tools.explore.space_file import read_space
from tools.explore.store import PointStore

SECOND = f"""
[[models]]
file = "{MODELS / "resnet8_cifar10_int8.onnx"}"
name = "pictures"
"""


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explored")
    path = written(folder, SPACE.replace("[machine]\n", SECOND + "\n[machine]\n", 1))
    space = read_space(path)
    exploration = Exploration(space, PointStore(alone(path, folder / "rows.sqlite")))
    rows = exploration.store.rows([point.key for point in exploration.points(space.machines())])
    made = folder / "explored.html"
    made.write_text(
        page(findings(rows, space.goal, (key for key, _ in space.derived)), space, "space"), encoding="utf-8"
    )
    return made


@pytest.mark.parametrize("width", [390, 1280])
def test_it_draws_everything_within_the_window(browser: Browser, explored: Path, width: int) -> None:
    browser.open(explored, width)
    for name in ("front", "generality", "effect"):
        drawn = f"#{name}-chart .main-svg .trace"
        assert browser.run("return document.querySelectorAll(arguments[0]).length", drawn) > 0, name
    assert browser.run("return document.querySelectorAll('#span-chart .heatmaplayer image').length") == 1
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return document.querySelectorAll('#table tbody tr').length") == 32
    assert browser.complaints() == []


def test_choices_change_the_fronts_and_the_table_sorts(browser: Browser, explored: Path) -> None:
    browser.open(explored, 1280)
    traces = "document.getElementById('front-chart').data"
    assert browser.run(f"return {traces}.length") == 4
    browser.run(
        "const m = document.getElementById('model'); m.value = 'pictures'; m.dispatchEvent(new Event('change'))"
    )
    assert browser.run(f"return {traces}.length") == 2
    browser.run(
        "const a = document.getElementById('upwards'); a.value = 'dram_bytes'; a.dispatchEvent(new Event('change'))"
    )
    x, y = browser.run(f"return [{traces}[1].x, {traces}[1].y]")
    assert x == sorted(x)
    assert y == sorted(y, reverse=True)
    browser.run("document.querySelectorAll('#table thead button')[2].click()")
    areas = browser.run(
        "return [...document.querySelectorAll('#table tbody tr')].map(r => parseFloat(r.cells[2].textContent))"
    )
    known = [area for area in areas if area is not None]  # a row without a plan has none
    assert known == sorted(known)
    assert browser.complaints() == []
