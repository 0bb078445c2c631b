"""A report as one HTML page: the records of a run and how they are drawn, in the browser.

Drawing there lets a click show a layer in every picture.
"""

from __future__ import annotations

from tools.reports.page.assemble import assemble
from tools.reports.page.verdict import verdict
from tools.reports.profile.records import Profile, to_json

SCRIPTS = ("common.js", "base.js", "charts.js", "time.js", "table.js", "main.js")
"""In the order in which they run."""


def page(profile: Profile) -> str:
    """The HTML text of a report."""
    title = f"{profile.statistics.model} on {profile.statistics.machine}: report"
    return assemble("report.html", title, {**to_json(profile), "verdict": verdict(profile)}, SCRIPTS)
