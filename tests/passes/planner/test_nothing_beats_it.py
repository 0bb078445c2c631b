"""The law of the search: whatever is taken away from the full planner, the plan gets no better by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp

from passes.planner.options import FREEDOMS, Options, options_from
from sim.machine.errors import ReconError
from tests.passes.planner.support import program_of
from tools.reports.compare import Study

MODELS = sorted((Path(__file__).parents[2] / "data" / "models").glob("*.onnx"))


def lesser() -> Iterator[tuple[str, Options]]:
    """Every level below, every freedom taken away, every other objective."""
    yield from ((f"-O{level}", Options(level=level)) for level in (0, 1))
    yield from ((f"without {name}", options_from(without=[name])) for name in FREEDOMS)
    yield from ((objective, Options(objective=objective)) for objective in ("dram", "energy"))


def cycles(module: ModuleOp, machine: str, options: Options) -> int | None:
    try:
        return program_of(module, machine, options).predicted_cycles
    except ReconError:
        return None


def check(module: ModuleOp, machine: str) -> None:
    best = cycles(module, machine, Options())
    found = {name: cycles(module, machine, options) for name, options in lesser()}
    better = {name: other for name, other in found.items() if other is not None and (best is None or other < best)}
    assert not better, f"{best} cycles for {machine}"


@pytest.mark.parametrize("machine", ["edge4k", "edge1k"])
@pytest.mark.parametrize("path", MODELS, ids=[path.stem for path in MODELS])
def test_no_plan_of_a_vendored_model_is_better(path: Path, machine: str) -> None:
    check(Study(path).module, machine)
