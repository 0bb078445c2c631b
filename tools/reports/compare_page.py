"""``recon compare`` as one page that needs no network: machines and ablations of one model, or two runs by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.machine.clock import TERMS
from sim.statistics import Statistics
from tools.reports.changes import Changes
from tools.reports.changes import remarks as remarks_of
from tools.reports.compare import Comparison, Planned
from tools.reports.compare_report import ABLATIONS
from tools.reports.page.assemble import assemble
from tools.reports.report import operator

SCRIPTS = ("common.js", "compare.js")

LAYERS = 25
"""Layers drawn, those that differ most."""


def comparison_page(found: Comparison) -> str:
    """The page of machines and freedoms."""
    first, options = found.first, found.options
    data = {
        "title": f"{first.model}: {len(found.machines)} machines side by side",
        "subtitle": f"Planned at -O{options.level} for {options.objective}; cycles of the programs' own clock.",
        "runs": [_planned(plan) for plan in found.machines],
        "remarks": [],
        "about": f"Shares of the critical path, of the {LAYERS} layers that differ most from {first.machine}.",
        "layers": _layers([plan.cost for plan in found.machines if plan.statistics is not None]),
        "freedoms": [
            {"name": ABLATIONS[plan.without], "factor": plan.statistics.cycles / first.cycles}
            for plan in found.ablations
            if plan.statistics is not None and first.cycles
        ],
    }
    return assemble("compare.html", f"{first.model}: machines side by side", data, SCRIPTS)


def _planned(plan: Planned) -> dict[str, Any]:
    if plan.statistics is None:
        return {"name": plan.machine, "cycles": None, "problem": plan.problem}
    return _run(plan.machine, plan.statistics)


def changes_page(found: Changes) -> str:
    """The page of two runs."""
    before, after = found.before, found.after
    same = before.model == after.model
    data = {
        "title": f"{before.model} before and after" if same else f"{before.model} and {after.model}",
        "subtitle": f"{100 * found.growth:+.2f} % cycles on {after.machine}.",
        "runs": [_run(f"before: {before.model}", before), _run(f"after: {after.model}", after)],
        "remarks": remarks_of(found),
        "about": f"Shares of the critical path before and after, the {LAYERS} layers that changed most.",
        "layers": _layers([before, after]),
        "freedoms": [],
    }
    return assemble("compare.html", str(data["title"]), data, SCRIPTS)


def _run(name: str, s: Statistics) -> dict[str, Any]:
    return {
        "name": name,
        "cycles": s.cycles,
        "seconds": s.seconds,
        "utilization": s.utilization or 0.0,
        "dram_bytes": s.dram_read_bytes + s.dram_write_bytes,
        "energy": s.energy.total_joules,
        "terms": {term: sum(layer.terms[term] for layer in s.layers) for term in TERMS},
        "problem": "",
    }


def _layers(runs: Sequence[Statistics]) -> list[dict[str, Any]]:
    """The layers whose shares differ most between the first run and any other, with their shares in each."""
    shares = [{layer.name: layer.cycles for layer in run.layers} for run in runs]
    known = {layer.name: operator(layer.op, layer.shape) for run in runs for layer in run.layers}

    def difference(name: str) -> int:
        return max(abs(each.get(name, 0) - shares[0].get(name, 0)) for each in shares)

    names = sorted((name for name in known if difference(name)), key=lambda name: -difference(name))[:LAYERS]
    return [{"name": name, "operator": known[name], "cycles": [each.get(name, 0) for each in shares]} for name in names]
