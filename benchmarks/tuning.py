"""What the planner's tuning numbers are worth: networks planned with other values of ``passes/planner/tuning.py``.

    python benchmarks/tuning.py NEAR=1.1 NEAR=1.5
    python benchmarks/tuning.py --crowded "BUDGETS=(85,)"

Prints, for every value, how many more cycles the networks take than with the value in the table: the geometric mean,
the best and the worst. Cycles are those of the programs' clock; nothing here is a wall clock.
"""

from __future__ import annotations

import argparse
import ast
import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from networks import cached

from passes.planner import tuning
from sim.machine.errors import ReconError
from tools.options import Planning
from tools.reports.compare import Study
from tools.runtime import run_program

ROOT = Path(__file__).resolve().parent.parent

ROOMY = (
    ("mobilenetv2_kws_int8", "edge4k", 0),
    ("shufflenet", "edge4k", 0),
    ("mobilenetv1_vww_int8", "edge1k", 0),
    ("squeezenet", "edge1k", 0),
)
LARGE = (
    *((name, "edge4k", 0) for name in ("mobilenetv1", "mobilenetv2", "inception_v1", "resnet50", "densenet121")),
    ("mobilenetv1_vww_int8", "edge4k", 0),
    ("mobilenetv2_kws_int8", "edge4k", 0),
)
TIGHT = (
    ("mobilenetv1_vww_int8", "edge1k", 3 * 2**14),
    ("squeezenet", "edge1k", 2**18),
    ("resnet18", "edge1k", 2**18),
)
FRAMES = (
    ("mobilenetv2_kws_int8", "edge1k", 0),
    ("squeezenet", "edge4k", 0),
    ("mobilenetv2", "edge4k", 2**21),
)
CROWDED = (
    ("squeezenet", "edge4k", 3 * 2**18),
    ("mobilenetv2_kws_int8", "edge1k", 0),
    ("mobilenetv2", "edge1k", 0),
)
"""Networks, their machines and the limit on SRAM in bytes (0: none)."""

_studies: dict[str, Study] = {}


def cycles(name: str, machine: str, limit: int, frames: str = "") -> float:
    """Cycles of a network's program, of one frame of many with ``frames``; 0 where there is none."""
    if name not in _studies:
        path = ROOT / "tests" / "data" / "models" / f"{name}.onnx"
        _studies[name] = Study(path) if path.exists() else Study(cached(name), assume_int8=True)
    try:
        program = _studies[name].program(machine, Planning(sram_limit=limit, frames=frames))
    except ReconError:
        return 0
    found = run_program(program, timing_only=True).statistics
    return found.frames.cycles_per_frame if found.frames is not None else found.cycles


@contextmanager
def changed(name: str, value: Any) -> Generator[None]:
    """The planner with another value, in every module that took it from the table, and with nothing remembered."""
    before = getattr(tuning, name)
    ours = [module for key, module in sys.modules.items() if key.startswith(("passes.", "sim.machine.")) and module]
    holders = [module for module in ours if getattr(module, name, None) is before]
    try:
        for module in holders:
            setattr(module, name, value)
        _forget(ours)
        yield
    finally:
        for module in holders:
            setattr(module, name, before)
        _forget(ours)


def _forget(modules: list[Any]) -> None:
    for module in modules:
        for thing in list(vars(module).values()):
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()


def main() -> None:
    """Measure the values given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("values", nargs="+", metavar="NAME=VALUE")
    parser.add_argument("--crowded", action="store_true", help="networks whose activations crowd SRAM")
    parser.add_argument("--large", action="store_true", help="large networks and small ones")
    parser.add_argument("--tight", action="store_true", help="networks that neither weights nor maps of which fit")
    parser.add_argument("--frames", action="store_true", help="networks whose frames follow each other")
    given = parser.parse_args()
    cases = (
        CROWDED
        if given.crowded
        else TIGHT
        if given.tight
        else LARGE
        if given.large
        else FRAMES
        if given.frames
        else ROOMY
    )
    frames = "stream" if given.frames else ""
    usual = {case: cycles(*case, frames) for case in cases}
    for text in given.values:
        name, _, value = text.partition("=")
        with changed(name, ast.literal_eval(value)):
            made = {case: cycles(*case, frames) for case in cases}
        ratios = [made[case] / usual[case] if made[case] else math.inf for case in cases]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        figures = ", ".join(f"{100 * (ratio - 1):+.2f} %" for ratio in (mean, min(ratios), max(ratios)))
        print(f"{text}: mean, best, worst {figures}", flush=True)


if __name__ == "__main__":
    main()
