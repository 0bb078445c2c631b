"""What a space teaches as one page that needs no network, in the style of ``recon report``."""

from __future__ import annotations

from typing import Any

from tools.explore.findings import Findings, ForAll, cost_of
from tools.explore.point import MEASURES
from tools.explore.space import DesignSpace
from tools.explore.store import StoredPoint
from tools.explore.summary import sentences
from tools.reports.page.assemble import assemble

SCRIPTS = ("common.js", "explore.js")

SHOWN = ("frames_per_second", "utilization")
"""Columns of the page beside the measures."""


def page(found: Findings, space: DesignSpace, title: str) -> str:
    """The HTML text."""
    columns = ["model", "machine", "status", "reason", *MEASURES, *SHOWN, *found.axes]
    data: dict[str, Any] = {
        "title": title,
        "sentences": sentences(found, space.goal),
        "models": found.models,
        "measures": MEASURES,
        "axes": {key: list(values) for key, values in found.axes.items()},
        "columns": columns,
        "rows": [[row.values[name] for name in columns] for row in found.rows],
        "costs": [cost_of(row, space.goal) if row.ok else None for row in found.rows],
        "goal": {"least": space.goal.least.text, "where": space.goal.where.text if space.goal.where else ""},
        "best": {name: _row(best.row if best else None, columns) for name, best in found.best.items()},
        "choices": {
            name: _choice(each, columns)
            for name, each in (
                ("one machine for all", found.for_all),
                ("the best that reconfigures", found.free),
                ("the best of one configuration", found.fixed),
            )
            if each is not None
        },
        "effects": {
            name: [{"key": e.key, "values": e.values, "factors": e.factors, "span": e.span} for e in effects]
            for name, effects in found.effects.items()
        },
        "area": space.area.source,
        "energy": next((_energies(row) for row in found.rows), ""),
    }
    return assemble("explore.html", f"{title}: which machine?", data, SCRIPTS)


def _energies(row: StoredPoint) -> str:
    """The unit energies of a row's machine, in a sentence."""
    v = row.values
    return (
        f"{v['energy.mac_fj']} fJ per multiply-accumulate, {v['energy.sram_fj_per_byte']} fJ per byte of SRAM, "
        f"{v['energy.dram_fj_per_byte']} fJ per byte of a DRAM burst."
    )


def _row(row: StoredPoint | None, columns: list[str]) -> list[Any] | None:
    return None if row is None else [row.values[name] for name in columns]


def _choice(each: ForAll, columns: list[str]) -> dict[str, Any]:
    return {
        "excess": dict(each.excess),
        "mean": each.mean,
        "rows": {name: _row(row, columns) for name, row in each.rows.items()},
    }
