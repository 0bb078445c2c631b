"""The search: a seed gives the same machines; it comes near the front of a space that is known whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sim.machine.description import load
from tests.tools.explore.support import MODELS, written
from tools.explore.findings import front
from tools.explore.point import PointRow
from tools.explore.space import DesignSpace, SpaceChoice, machine_values
from tools.explore.space_file import read_space
from tools.explore.store import StoredPoint, flat
from tools.options import Planning

pytest.importorskip("optuna", reason="pip install -e '.[explore]'")

TEXT = f"""
[[models]]
file = "{MODELS / "dscnn_kws_int8.onnx"}"
[machine]
base = "edge1k"
constraints = ["array.lanes <= 4096"]
[machine.vary]
"array.lanes" = {{ from = 64, to = 8192, factor = 2 }}
"sram.bytes" = {{ from = "64KiB", to = "4MiB", steps = 12 }}
"streams.input" = {{ from = 16, to = 1024, factor = 2 }}
[search]
objectives = ["seconds", "area_mm2"]
trials = 120
population = 20
seed = {{seed}}
"""


@pytest.fixture
def space(tmp_path: Path) -> DesignSpace:
    return read_space(written(tmp_path, TEXT.replace("{seed}", "5")))


def made_up(choice: SpaceChoice) -> StoredPoint:
    """Time falls with lanes, but only as far as the stream feeds them; area grows with everything; huge SRAM fails."""
    machine = load(choice.machine)
    seconds = 1 / min(machine.array.lanes, 4 * machine.streams.input)
    area = machine.array.lanes + machine.streams.input + machine.sram.bytes / 4096
    status = "refused" if machine.sram.bytes > 3 << 20 else "ok"
    row = PointRow(status, seconds=seconds, area_mm2=area)
    return flat(choice.machine, ("m", "m"), machine_values(machine), Planning(), "v", row)


def walked(space: DesignSpace) -> tuple[list[SpaceChoice], list[SpaceChoice]]:
    from tools.explore.search import search

    asked: list[SpaceChoice] = []

    def rows_of(machines: Sequence[SpaceChoice]) -> list[list[StoredPoint]]:
        asked.extend(machines)
        return [[made_up(choice)] for choice in machines]

    assert space.search is not None
    return asked, list(search(space, space.search, rows_of).front)


def test_a_seed_gives_the_same_machines(space: DesignSpace, tmp_path: Path) -> None:
    first, again = walked(space), walked(space)
    assert first == again
    assert len(set(first[0])) == len(first[0]) > 60
    assert max(load(choice.machine).array.lanes for choice in first[0]) <= 4096
    other = walked(read_space(written(tmp_path, TEXT.replace("{seed}", "6"), "other.toml")))
    assert other != first


def test_it_comes_near_the_front(space: DesignSpace) -> None:
    _, found = walked(space)
    everything = [row for choice in space.machines() if (row := made_up(choice)).ok]
    true = front(everything, ("seconds", "area_mm2"))
    least = {row.values["seconds"]: row.values["area_mm2"] for row in true}
    near = 0
    for row in map(made_up, found):
        assert row.ok
        reachable = min(area for seconds, area in least.items() if seconds <= row.values["seconds"])
        near += row.values["area_mm2"] <= 1.25 * reachable
    assert near >= len(found) // 2 > 0
