"""Pages that need no network: a template, its data, a plotting library and our scripts in one HTML text.

Texts of a model are data in it, never markup: they stand in one JSON text whose ``<`` are escaped, and the page's
policy forbids every request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from plotly.offline import get_plotlyjs

from tools.reports.palette import COLOURS

GENERATORS = {
    "compare.html": "recon compare",
    "explore.html": "recon explore",
    "intensity.html": "recon roofline",
    "report.html": "recon report",
}
"""The pages, and the command that makes each; their head is ``head.html``."""


def assemble(template: str, title: str, data: Mapping[str, Any], scripts: Sequence[str]) -> str:
    """The template with its ``{{names}}`` filled in; the scripts run in order, in one scope."""
    parts = {
        "generator": GENERATORS[template],
        "title": title.replace("&", "&amp;").replace("<", "&lt;"),
        "policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:",
        "style": _asset("style.css"),
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "plotly": get_plotlyjs(),
        "scripts": "\n".join((f"(() => {{\nconst COLOUR = {json.dumps(COLOURS)};", *map(_asset, scripts), "})();")),
    }
    first, *rest = (_asset("head.html") + _asset(template)).split("{{")
    text = [first]
    for piece in rest:
        name, _, after = piece.partition("}}")
        text += [parts[name], after]
    return "".join(text)


def _asset(name: str) -> str:
    return resources.files("tools.reports.page").joinpath(name).read_text(encoding="utf-8")
