"""A report as one HTML page that needs no network: the records of a run, a plotting library, and how they are drawn.

The page draws in the browser, so that a click can show a layer in every picture. Texts of a model are data in it, never
markup: they stand in one JSON text whose ``<`` are escaped, and the page's policy forbids every request.
"""

from __future__ import annotations

import json
from importlib import resources

from plotly.offline import get_plotlyjs

from tools.reports.page.verdict import verdict
from tools.reports.profile.records import Profile, to_json

SCRIPTS = ("base.js", "charts.js", "time.js", "table.js", "main.js")
"""In the order in which they run."""


def page(profile: Profile) -> str:
    """The HTML text of a report."""
    data = {**to_json(profile), "verdict": verdict(profile)}
    title = f"{profile.statistics.model} on {profile.statistics.machine}: report"
    parts = {
        "title": title.replace("&", "&amp;").replace("<", "&lt;"),
        "style": _asset("style.css"),
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "plotly": get_plotlyjs(),
        "scripts": "(() => {\n" + "\n".join(_asset(name) for name in SCRIPTS) + "})();",
    }
    pieces = _asset("report.html").split("{{")
    text = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        text += [parts[name], rest]
    return "".join(text)


def _asset(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
