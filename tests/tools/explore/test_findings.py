"""What rows teach, on rows made by hand: the best for each and for all, fronts, what each parameter moves."""

from __future__ import annotations

import itertools

import pytest

from sim.machine.description import load, with_settings
from tools.explore.expressions import Expression
from tools.explore.findings import findings, front
from tools.explore.point import PointRow
from tools.explore.space import Goal, machine_values
from tools.explore.store import StoredPoint, flat
from tools.explore.summary import summary
from tools.options import Planning

GOAL = Goal(Expression.parse("area_mm2", "goal"), Expression.parse("frames_per_second >= 10", "goal"))
FIXED = "array.configurations=systolic 16x16"


def stored(model: str, seconds: float, area: float, *settings: str, status: str = "ok") -> StoredPoint:
    machine = load(with_settings("edge1k", settings))
    row = PointRow(status, "" if status == "ok" else "too large", cycles=1, seconds=seconds,
                   frames_per_second=1 / seconds, area_mm2=area,
                   energy_joules=1.0, dram_bytes=8, utilization=0.5)  # fmt: skip
    return flat(f"{model} {settings}", (model, model), machine_values(machine), Planning(), "v", row)


def test_the_best_for_each_and_for_all() -> None:
    rows = [
        stored("a", 0.05, 4.0, "array.lanes=256"),
        stored("b", 0.20, 4.0, "array.lanes=256"),  # too slow
        stored("a", 0.02, 6.0, "array.lanes=512"),
        stored("b", 0.09, 6.0, "array.lanes=512"),
        stored("a", 0.09, 9.0, "array.lanes=1024", FIXED),
        stored("b", 0.09, 9.0, "array.lanes=1024", FIXED),
        stored("a", 0.01, 3.0, "array.lanes=64", status="refused"),
    ]
    found = findings(rows, GOAL)
    best = {name: each.cost for name, each in found.best.items() if each is not None}
    assert best == {"a": 4.0, "b": 6.0}
    assert found.for_all is not None
    assert dict(found.for_all.excess) == {"a": 1.5, "b": 1.0}
    assert found.for_all.mean == pytest.approx(1.5**0.5)
    assert found.free == found.for_all
    assert found.fixed is not None
    assert dict(found.fixed.excess) == {"a": 2.25, "b": 1.5}
    text = summary(found, GOAL)
    assert "6 of 7 points have a plan. Best is the least area_mm2 where frames_per_second >= 10." in text
    assert "One machine for all costs 1.22 times the best for each." in text
    assert "reconfiguration gives back a factor of 1.50." in text
    assert "No plan:\n1 × too large" in text


def test_no_machine_is_good_for_all() -> None:
    found = findings([stored("a", 0.01, 1.0), stored("b", 9.0, 1.0)], GOAL)
    assert found.best["b"] is None
    assert found.for_all is None
    assert "No machine of the space is good for all models." in summary(found, GOAL)


def test_a_front_holds_what_nothing_is_better_than() -> None:
    rows = [
        stored("a", s, a, f"array.lanes={n}") for n, (s, a) in enumerate([(3, 1), (1, 3), (2, 2), (2, 4), (3, 1)], 64)
    ]
    assert [(row.values["seconds"], row.values["area_mm2"]) for row in front(rows, ("seconds", "area_mm2"))] == [
        (1, 3),
        (2, 2),
        (3, 1),
    ]


def test_effects_are_taken_apart_even_where_a_sample_is_uneven() -> None:
    rows = [
        stored("a", 2.0 ** -(lanes // 512) * (3 if sram == 65536 else 1), 1.0, f"array.lanes={lanes}",
               f"sram.bytes={sram}", f"streams.input={lanes // 8}", f"dram.turn={turn}", f"dram.latency={turn}")
        for lanes, sram, turn in itertools.product((512, 1024), (65536, 131072), (20, 30))
        if (lanes, sram, turn) not in ((512, 65536, 20), (1024, 131072, 30))
    ]  # fmt: skip
    effects = {effect.key: effect for effect in findings(rows, GOAL, ["streams.input"]).effects["a"]}
    assert list(effects) == ["sram.bytes", "array.lanes", "dram.latency, dram.turn"]
    assert effects["array.lanes"].factors == pytest.approx((1.0, 0.5))
    assert effects["sram.bytes"].factors == pytest.approx((1.0, 1 / 3))
    assert effects["dram.latency, dram.turn"].span == pytest.approx(1.0)
    assert effects["dram.latency, dram.turn"].values == ("20, 20", "30, 30")
    named = findings(rows, GOAL, ["streams.input"], {"array": ["array.lanes", "sram.bytes"]}).effects["a"]
    assert [effect.key for effect in named] == ["array", "dram.latency, dram.turn"]
    assert named[0].values == ("1024, 131072", "1024, 65536", "512, 131072", "512, 65536")
