"""The founding chart as a page that needs no network, with the table of shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sim.machine.description import Machine
from tools.reports.intensity.convolutions import HEADER, KIND, SHAPE, Model, shapes
from tools.reports.page.assemble import assemble
from tools.reports.profile.records import roofline


def page(models: Sequence[Model], machine: Machine) -> str:
    """The HTML text of the chart of these models on a machine's ridge."""
    roof = roofline(machine)
    data = {
        "machine": machine.name,
        "keys": {"shape": SHAPE, "kind": KIND},
        "header": HEADER,
        "ridge": roof.ridge,
        "winograd": None if roof.winograd is None else roof.winograd / roof.bandwidth,
        "models": [
            {
                "name": model.name,
                "layers": [
                    {"name": each.layer, "operator": each.operator, "macs": each.macs, "intensity": each.intensity}
                    for each in model.convolutions
                ],
            }
            for model in models
        ],
        "shapes": [dataclasses.astuple(row) for row in shapes(models)],
    }
    return assemble("intensity.html", f"Operations per byte on {machine.name}", data, ("common.js", "intensity.js"))
