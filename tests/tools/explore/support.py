"""A small space, and what its rows are when one process computes them one after the other."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.conftest import ROOT
from tools.explore.bundle import Bundle
from tools.explore.explore import Exploration
from tools.explore.space_file import read_space
from tools.explore.store import PointStore

MODELS = ROOT / "tests" / "data" / "models"

SPACE = f"""
[[models]]
file = "{MODELS / "dscnn_kws_int8.onnx"}"
name = "keywords"

[machine]
base = "edge1k"

[machine.vary]
"array.lanes" = [256, 512]
"sram.bytes" = {{ from = 128, to = "64KiB", factor = 8 }}
array = [ {{ "array.configurations" = "", "array.winograd" = "on_fill" }},
          {{ "array.configurations" = "systolic 16x16", "array.winograd" = "none" }} ]

[machine.derive]
"streams.input" = "max(64, array.lanes / 8)"

[options]
level = 0
"""


def written(folder: Path, text: str = SPACE, name: str = "space.toml") -> Path:
    """A space file in a folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def alone(space: Path, store: Path) -> Path:
    """The store that one process fills, without any engine."""
    exploration = Exploration(read_space(space), PointStore(store))
    bundle: Bundle = exploration.bundle
    bundle.prepare()
    points = exploration.points(exploration.space.machines())
    exploration.store.add((exploration.flat(done), done.effort) for done in map(bundle.compute, points))
    exploration.store.close()
    return store


def table(store: Path) -> list[tuple[object, ...]]:
    """Everything in ``points``, in the order of the keys."""
    connection = sqlite3.connect(store)
    try:
        return connection.execute("SELECT * FROM points ORDER BY key").fetchall()
    finally:
        connection.close()
