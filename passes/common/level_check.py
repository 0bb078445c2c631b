"""A pass on a module of the wrong level says so, instead of finding nothing to do.

Decision. A level that a pass takes is that of the room it lives in (``passes/pipeline.py``); the sentence names the
conversions on the way by the levels themselves, so that this file knows no pass.
"""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from passes.common.levels import LEVELS, levels_in
from passes.common.problems import ModelError, place_in_text


def check_level(name: str, takes: str, module: ModuleOp) -> None:
    """ModelError if the pass ``name`` works on the level ``takes`` and the module holds other levels, and not that one.

    A module of no level at all, or of nothing but host regions, has nothing to do for any pass.
    """
    found = levels_in(module)
    if not takes or not found or takes in found:
        return
    given = found[-1]
    first = next(op for op in module.walk() if op.name.startswith(f"{given}."))
    place = f"{where}: " if (where := place_in_text(first)) else ""
    sentence = f"{place}{name} works on the {takes} level, and this module is on the {given} level"
    at, wanted = LEVELS.index(given), LEVELS.index(takes)
    if at > wanted:
        raise ModelError(f"{sentence}, below it; no pass leads up, so take the text of the {takes} level.")
    road = [f"convert-{LEVELS[level]}-to-{LEVELS[level + 1]}" for level in range(at, wanted)]
    leads = "leads" if len(road) == 1 else "lead"
    raise ModelError(f"{sentence}; {', '.join(road)} {leads} there, as does recon-opt --to {takes}.")
