"""recon explore as a command: what it writes, and what it says where something is in the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Tool
from tests.tools.explore.support import alone, table, written
from tools.explore.explore import Exploration
from tools.explore.findings import findings
from tools.explore.page import page
from tools.explore.space_file import read_space
from tools.explore.store import PointStore

pytest.importorskip("distributed", reason="pip install -e '.[explore]'")


def test_the_page_needs_no_network_and_holds_all_rows(tmp_path: Path) -> None:
    path = written(tmp_path)
    store = alone(path, tmp_path / "rows.sqlite")
    space = read_space(path)
    exploration = Exploration(space, PointStore(store))
    rows = exploration.store.rows([point.key for point in exploration.points(space.machines())])
    assert len(rows) == len(table(store))
    found = findings(rows, space.goal, (key for key, _ in space.derived))
    text = page(found, space, "space")
    assert "default-src 'none'" in text
    assert text.count("edge1k with ") == len(rows) + 4  # the best of the model, and three choices for all
    header, data = found.as_data()
    assert len(data) == len(rows)
    assert header[:3] == ("key", "model", "model_digest")


def test_what_is_in_the_way_is_told_before_any_work(recon: Tool, tmp_path: Path) -> None:
    path = written(tmp_path)
    assert recon("explore", tmp_path / "none.toml").err == (
        f"error: {tmp_path / 'none.toml'}: cannot be read: No such file or directory.\n"
    )
    outcome = recon("explore", path, "--csv", path)
    assert (outcome.code, outcome.err) == (
        1,
        f"error: --csv {path}: the command reads this file and would write over it; give another name, or --force.\n",
    )
    outcome = recon("explore", path, "-o", path)
    assert "would write over it" in outcome.err


def test_without_the_extra_it_says_what_to_install(
    recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = recon("explore", written(tmp_path))
    assert (outcome.code, outcome.err) == (
        1,
        "error: This needs Dask and Optuna, which are not installed: pip install 'recon-compiler[explore]'.\n",
    )
