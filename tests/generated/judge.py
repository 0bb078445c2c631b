"""A made model on a machine: compiled, simulated, and compared with the integer oracle bit for bit.

What an operator of the host computed is ONNX Runtime's to the last bit, and the oracle's to the last but one: behind it
the program is compared with the ``cnn`` level's meaning, which runs the same runtime.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from dialects.meaning.cnn import evaluate
from sim.machine.errors import ReconError
from sim.machine.program import Program
from tests.conftest import ROOT
from tests.generated.strategy import Made, models
from tests.oracle import run_integer
from tests.passes.planner.support import random_machine, write_machine
from tests.passes.planner.test_random_networks import REFUSALS
from tools.driver import compile_model, lower, make_context, read_module
from tools.runtime import run_program

FAILING = ROOT / "build" / "failing.onnx"
"""Where the model is left on which the last run failed, with ``failing.npz``, its inputs."""

MACHINES = ("edge4k", "edge1k", "peer4k", "edge4k-fixed")
RANDOM_MACHINES = 12

EQUAL, REFUSED = "equal", "refused for want of room"


def judge(made: Made, machine: str) -> str:
    """How a case went: ``equal`` or ``refused`` by the planner, in its words. AssertionError says what differs."""
    model, feeds = made.model(), made.graph.feeds
    try:
        program = compile_model(model, machine)
    except ReconError as error:
        said = str(error)
        assert any(re.search(refusal, said) for refusal in REFUSALS), f"refused: {said}"
        return REFUSED
    found = run_program(program, feeds).outputs
    wanted = _meaning(model, feeds) if made.hosted else run_integer(model, feeds)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        wrong = np.flatnonzero(found[name] != value)
        first = f" at {wrong[0]}: {found[name].flat[wrong[0]]}, not {value.flat[wrong[0]]}" if wrong.size else ""
        assert not wrong.size, f"{name} differs in {wrong.size} of {value.size}{first}"
    assert isinstance(program, Program)
    return EQUAL


def _meaning(model: onnx.ModelProto, feeds: dict[str, Any]) -> dict[str, Any]:
    context = make_context()
    module = read_module(model, context)
    lower(module, "cnn", context)
    return evaluate(module, feeds)


def hunt(cases: int, start: int, folder: Path, report: Any = lambda _: None) -> Counter[str]:
    """The verdicts of so many cases of a seed. A failure shrinks, its model is saved, and AssertionError says where."""
    verdicts: Counter[str] = Counter()
    machines = [*MACHINES, *(write_machine(random_machine(start + at), folder) for at in range(RANDOM_MACHINES))]

    @seed(start)
    @settings(max_examples=cases, database=None, deadline=None, suppress_health_check=list(HealthCheck),
              phases=(Phase.generate, Phase.shrink), print_blob=False, report_multiple_bugs=False)  # fmt: skip
    @given(models(), st.sampled_from(machines))
    def case(made: Made, machine: str) -> None:
        try:
            verdicts[judge(made, machine)] += 1
        except BaseException:
            FAILING.parent.mkdir(exist_ok=True)
            onnx.save(made.model(), FAILING)
            np.savez(FAILING.with_suffix(".npz"), **made.graph.feeds)
            raise
        report(verdicts.total())

    try:
        case()
    except Exception as error:
        raise AssertionError(f"{FAILING.relative_to(ROOT)}: {error}") from error
    return verdicts
