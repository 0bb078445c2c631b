"""Random networks on small machines: the plan, placed and run, gives the network's bytes, or the planner says why not.

More of them: ``RECON_NETWORKS=100-2000 pytest tests/passes/planner/test_random_networks.py`` runs other seeds.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from dialects.cnn import CNN, BinaryOp
from passes.planner.network import OPERATION_OF
from sim.machine.errors import ReconError
from sim.machine.operations import NAMES
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import check_everywhere, planned, random_machine, write_machine

FIRST, LAST = map(int, os.environ.get("RECON_NETWORKS", "0-60").split("-"))

FREEDOMS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"level": 1},
    {"level": 0},
    {"residency": False},
    {"prefetch": False},
    {"fusion": False},
    {"objective": "dram"},
    {"objective": "energy"},
    {"winograd": False},
    {"single": True},
)
"""What may be taken away from the planner."""

REFUSALS = (
    r"(Layer \S+|The plan) does not fit in SRAM: it needs [\d,]+ bytes at once and there are [\d,]+ \(.*\)\. .*help\.",
    r"Layer \S+ does not fit in SRAM: its smallest tile takes [\d,]+ bytes.* and there are [\d,]+: .*help\.",
    r"Layer \S+ fits no configuration of small: one (input channel|pixel) of .*; .* would help\.",
    r"No single configuration of small runs every convolution of this network\.",
)
"""All that the planner may say of a network it cannot plan."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machines")


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_a_plan_computes_what_the_network_does(seed: int, folder: Path) -> None:
    dice = random.Random(seed)
    module = random_net(seed)
    machine = "edge4k" if dice.random() < 0.15 else write_machine(random_machine(seed), folder)
    try:
        plan = planned(module, machine, **dice.choice(FREEDOMS))
    except ReconError as error:
        refused = str(error)
    else:
        check_everywhere(module, plan, seed)
        return
    assert any(re.fullmatch(refusal, refused) for refusal in REFUSALS), refused


def test_random_networks_hold_every_operation_of_the_vector_unit() -> None:
    """The planner makes copies by itself."""
    names = {op.name.removeprefix("cnn.") for seed in range(60) for op in random_net(seed).walk()}
    assert {OPERATION_OF.get(name, name) for name in names} >= set(NAMES) - {"copy"}
    assert names >= {op.name.removeprefix("cnn.") for op in CNN.operations if issubclass(op, BinaryOp)}
