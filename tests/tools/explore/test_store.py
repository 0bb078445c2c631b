"""The store: a row once, kept at once, whoever writes; a point that was lost is tried again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sim.machine.description import load
from sim.machine.errors import ReconError
from tools.explore.point import PointRow
from tools.explore.space import machine_values
from tools.explore.store import COLUMNS, LOST, PointEffort, PointStore, StoredPoint, flat
from tools.options import Planning


def stored(key: str, row: PointRow) -> StoredPoint:
    return flat(
        key, ("net", "d" * 64), machine_values(load("edge1k")), Planning(fusion=False, sram_limit=4096), "v", row
    )


def test_a_row_is_there_once_and_reads_back(tmp_path: Path) -> None:
    first, second = PointStore(tmp_path / "s.sqlite"), PointStore(tmp_path / "s.sqlite")
    first.add([(stored("a", PointRow(cycles=7, terms={"dram": 7})), PointEffort(0.5, "p1", 9, 1))])
    second.add(
        [
            (stored("a", PointRow(cycles=7, terms={"dram": 7})), PointEffort(9.0, "p2", 9, 1)),
            (stored("b", PointRow(cycles=8)), PointEffort(1.0, "p2", 9, 1)),
        ]
    )
    rows = first.rows(["b", "a", "c"])
    assert [row.values["key"] for row in rows] == ["b", "a"]
    assert set(rows[0].values) == set(COLUMNS)
    a = rows[1].values
    assert (a["model"], a["machine"], a["without"], a["sram_limit"]) == ("net", "edge1k", "fusion", 4096)
    assert (a["cycles"], a["dram_cycles"], a["array.lanes"], a["array.flatten"]) == (7, 7, 1024, 1)
    assert first.cpu_seconds(["a", "b"]) == 1.5
    assert second.known(["a", "b", "c"]) == {"a", "b"}


def test_what_was_lost_is_tried_again(tmp_path: Path) -> None:
    store = PointStore(tmp_path / "s.sqlite")
    store.add(
        [
            (stored("a", PointRow(LOST, "every process died")), PointEffort(0.0, "", 9, 1)),
            (stored("b", PointRow("refused", "too large")), PointEffort(0.1, "p", 9, 1)),
        ]
    )
    assert store.known(["a", "b"]) == {"b"}
    store.add(
        [
            (stored("a", PointRow(cycles=3)), PointEffort(0.2, "p", 9, 1)),
            (stored("b", PointRow(cycles=3)), PointEffort(0.2, "p", 9, 1)),
        ]
    )
    assert [(row.values["status"], row.values["cycles"]) for row in store.rows(["a", "b"])] == [
        ("ok", 3),
        ("refused", None),
    ]


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (number INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ReconError, match=r"orders\.sqlite: this is a database of something else; give another name\.$"):
        PointStore(path)
    assert path.read_bytes() == before


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(
        ReconError, match=r"model\.onnx: this is no store of 'recon explore': file is not a database\.$"
    ):
        PointStore(path)
    assert path.read_bytes() == b"something else" * 100
