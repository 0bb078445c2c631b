"""The law of the search: whatever is taken away from the full planner, the plan gets no better by it.

More random networks: ``RECON_NETWORKS=100-400 pytest tests/passes/planner/test_nothing_beats_it.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.passes.planner.laws import MEASURES, beaten
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import random_machine, write_machine
from tools.reports.compare import Study

MODELS = sorted((Path(__file__).parents[2] / "data" / "models").glob("*.onnx"))

FIRST, LAST = map(int, os.environ.get("RECON_NETWORKS", "0-3").split("-"))

TAUGHT = (45, 64, 157, 212, 248)
"""Networks whose plan was beaten once: by no prefetch, by no Winograd, by no prefetch, by the model's own order, by no
fusion."""


@pytest.mark.parametrize("machine", ["edge4k", "edge1k"])
@pytest.mark.parametrize("path", MODELS, ids=[path.stem for path in MODELS])
def test_no_plan_of_a_vendored_model_is_better(path: Path, machine: str) -> None:
    small = path.stem.startswith("resnet8")
    assert beaten(Study(path).module, machine, MEASURES if small else MEASURES[:1]) == {}


@pytest.mark.parametrize("seed", [*range(FIRST, LAST), *TAUGHT])
def test_no_plan_of_a_random_network_is_better(seed: int, tmp_path: Path) -> None:
    machines = ("edge4k", "edge1k", write_machine(random_machine(seed), tmp_path))
    assert beaten(random_net(seed), machines[seed % 3]) == {}
