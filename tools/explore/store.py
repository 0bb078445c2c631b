"""Where rows are kept: one SQLite file.

SQLite and not Parquet: a row is safe as soon as its transaction is, whatever is killed afterwards; several runs may
write to one file at a time; a primary key says that no row is there twice; and pandas, DuckDB, R and a spreadsheet's
driver read it. A Parquet file is written once, from its first byte to its footer, and can do none of this but the last;
``recon explore --csv`` exports for tools that want a flat file.

The key of a row is the content hash of its point, so equal points of two runs, or of one run that was killed and
started again, are one row. ``points`` holds what follows from the point alone and is the same whoever computed it;
``effort`` holds what it took, which is not.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passes.planner.options import FREEDOMS
from sim.machine.clock import TERMS
from sim.machine.description import schema_rows
from sim.machine.errors import ReconError
from tools.explore.point import PointRow
from tools.options import Planning

PATIENCE = 60.0
"""Seconds that one run waits for another's transaction."""

LOST = "lost"
"""The status of a point whose processes died under it; it is tried again when the space is explored again."""

OURS = int.from_bytes(b"recn", "big")
"""What marks a database as ours."""

_KINDS = {"int": "INTEGER", "int | None": "INTEGER", "float | None": "REAL", "str": "TEXT"}

PLANNED = ("level", "objective", "sram_limit", "frames", "batch", "without")
"""The planner's options that a point has; a space may list any of them."""

MEASURED = tuple(field.name for field in dataclasses.fields(PointRow) if field.name != "terms")
MACHINE_KEYS = tuple(key for key, _, _ in schema_rows() if key not in ("name", "description", "energy.source"))

COLUMNS: Mapping[str, str] = {
    "key": "TEXT PRIMARY KEY",
    "model": "TEXT",
    "model_digest": "TEXT",
    "machine": "TEXT",
    "version": "TEXT",
    "level": "INTEGER",
    "objective": "TEXT",
    "sram_limit": "INTEGER",
    "frames": "TEXT",
    "batch": "INTEGER",
    "without": "TEXT",
    **{field.name: _KINDS[str(field.type)] for field in dataclasses.fields(PointRow) if field.name != "terms"},
    **{f"{term}_cycles": "INTEGER" for term in TERMS},
    **dict.fromkeys(MACHINE_KEYS, ""),
}
"""Columns of ``points`` with their types: a machine's keys have those of their values."""


@dataclass(frozen=True)
class StoredPoint:
    """A row with its point: all columns of ``points`` by name."""

    values: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it was planned and timed."""
        return self.values["status"] == "ok"


@dataclass(frozen=True)
class PointEffort:
    """What a row took: CPU seconds of its process, which had come to ``peak_bytes`` of memory with its ``place``-th
    point."""

    cpu_seconds: float
    process: str
    peak_bytes: int
    place: int


def flat(
    key: str, model: tuple[str, str], machine: Mapping[str, Any], planning: Planning, version: str, row: PointRow
) -> StoredPoint:
    """A row as the store keeps it; ``model`` is its name and digest, ``machine`` all keys of the machine."""
    without = "+".join(name for name, turned in FREEDOMS.items() if _turned(planning, turned))
    values: dict[str, Any] = {
        "key": key,
        "model": model[0],
        "model_digest": model[1],
        "machine": machine["name"],
        "version": version,
        "level": planning.level,
        "objective": planning.objective,
        "sram_limit": planning.sram_limit or None,
        "frames": planning.frames,
        "batch": planning.batch or None,
        "without": without,
        **{name: getattr(row, name) for name in MEASURED},
        **{f"{term}_cycles": row.terms.get(term) for term in TERMS},
        **{name: machine[name] for name in MACHINE_KEYS},
    }
    return StoredPoint(values)


def _turned(planning: Planning, turned: Mapping[str, bool]) -> bool:
    return all(getattr(planning, name) == value for name, value in turned.items())


class PointStore:
    """An open file of rows; made when it is not there. ReconError for a file that is something else."""

    def __init__(self, path: str | Path):
        self.path = str(path)
        try:
            self.connection = sqlite3.connect(self.path, timeout=PATIENCE)
            self._begin()
        except sqlite3.DatabaseError as error:
            raise ReconError(f"{self.path}: this is no store of 'recon explore': {error}.") from None

    def _begin(self) -> None:
        """Make what is missing in the file, one process at a time."""
        self.connection.execute("BEGIN IMMEDIATE")
        (tables,) = self.connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        (owner,) = self.connection.execute("PRAGMA application_id").fetchone()
        if tables and owner != OURS:
            self.connection.rollback()
            raise ReconError(f"{self.path}: this is a database of something else; give another name.")
        columns = ", ".join(f'"{name}" {kind}'.rstrip() for name, kind in COLUMNS.items())
        self.connection.execute(f"PRAGMA application_id = {OURS}")
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS points ({columns}) WITHOUT ROWID")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS effort (key TEXT PRIMARY KEY, cpu_seconds REAL, process TEXT, "
            "peak_bytes INTEGER, place INTEGER) WITHOUT ROWID"
        )
        there = [row[1] for row in self.connection.execute("PRAGMA table_info(points)")]
        for name, kind in COLUMNS.items():
            if name not in there:
                self.connection.execute(f'ALTER TABLE points ADD COLUMN "{name}" {kind}'.rstrip())
        self.connection.commit()
        self.connection.execute("PRAGMA journal_mode = WAL")

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that need no more work."""
        return {key for key, status in self._about("key, status", keys) if status != LOST}

    def add(self, rows: Iterable[tuple[StoredPoint, PointEffort]]) -> None:
        """Keep rows, each with what it took, in one transaction; those that are there stay."""
        with self.connection:
            for stored, effort in rows:
                names = ", ".join(f'"{name}"' for name in stored.values)
                places = ", ".join("?" * len(stored.values))
                self.connection.execute("DELETE FROM points WHERE key = ? AND status = ?", (stored.values["key"], LOST))
                made = self.connection.execute(
                    f"INSERT OR IGNORE INTO points ({names}) VALUES ({places})", tuple(stored.values.values())
                )
                if made.rowcount:
                    self.connection.execute(
                        "INSERT OR REPLACE INTO effort VALUES (?, ?, ?, ?, ?)",
                        (stored.values["key"], *dataclasses.astuple(effort)),
                    )

    def rows(self, keys: Sequence[str]) -> list[StoredPoint]:
        """The rows of these keys, in the order of the keys; those that are not there are left out."""
        names = list(COLUMNS)
        columns = ", ".join(f'"{name}"' for name in names)
        found = {row[0]: StoredPoint(dict(zip(names, row, strict=True))) for row in self._about(columns, keys)}
        return [found[key] for key in keys if key in found]

    def everything(self) -> list[StoredPoint]:
        """All rows of the file, by model and machine."""
        names = list(COLUMNS)
        columns = ", ".join(f'"{name}"' for name in names)
        found = self.connection.execute(f"SELECT {columns} FROM points ORDER BY model, machine, key")
        return [StoredPoint(dict(zip(names, row, strict=True))) for row in found]

    def cpu_seconds(self, keys: Sequence[str]) -> float:
        """What the points took, all together."""
        total = 0.0
        for part in _parts(keys):
            places = ", ".join("?" * len(part))
            (found,) = self.connection.execute(
                f"SELECT COALESCE(SUM(cpu_seconds), 0) FROM effort WHERE key IN ({places})", part
            ).fetchone()
            total += found
        return total

    def close(self) -> None:
        """Leave the file as one that any tool opens."""
        self.connection.close()

    def _about(self, columns: str, keys: Sequence[str]) -> Iterable[tuple[Any, ...]]:
        for part in _parts(keys):
            places = ", ".join("?" * len(part))
            yield from self.connection.execute(f"SELECT {columns} FROM points WHERE key IN ({places})", part)


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[first : first + 500] for first in range(0, len(keys), 500))
