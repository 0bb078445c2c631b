"""Frames in a row, planned for random networks on small machines: every frame is what the network gives for it alone,
and the plan's own clock is the second clock's.

More of them: ``RECON_NETWORKS=100-2000 pytest tests/passes/planner/test_frames.py`` runs other seeds.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from dialects.meaning import cnn as cnn_meaning
from dialects.meaning import tile as tile_meaning
from sim.machine import encoding
from sim.machine.errors import ReconError
from sim.machine.program import MachineSegment, Program
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import planned, random_inputs, random_machine, same, write_machine
from tests.passes.planner.test_random_networks import REFUSALS
from tests.passes.tile_to_accel.support import lower
from tests.second_clock.compare import compare_frames, configurations_of
from tools.frames import frame_statistics, run_frames

FIRST, LAST = map(int, os.environ.get("RECON_NETWORKS", "0-24").split("-"))
FRAMES = 7
"""Odd, so that a batch is not full at the end, and with a batch of two more than those in which races are looked
for."""

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"batch": 1},
    {"batch": 2},
    {"batch": 3},
    {"level": 1},
    {"objective": "latency"},
    {"objective": "dram"},
    {"residency": False},
    {"prefetch": False},
    {"fusion": False},
)

BATCH = r"A batch of \d does not fit in SRAM: small has [\d,]+ bytes\. A smaller batch, .*help\."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machines")


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_frames_in_a_row_compute_what_the_network_does(seed: int, folder: Path) -> None:
    dice = random.Random(seed)
    module = random_net(seed)
    machine = "edge4k" if dice.random() < 0.3 else write_machine(random_machine(seed), folder)
    try:
        plan = planned(module, machine, frames="stream", **dice.choice(OPTIONS))
    except ReconError as error:
        refused = str(error)
    else:
        check_frames(module, plan, seed)
        return
    assert any(re.fullmatch(refusal, refused) for refusal in (*REFUSALS, BATCH)), refused


def check_frames(module: ModuleOp, plan: ModuleOp, seed: int) -> None:
    """Run a plan's frames: each gives what the network gives, and the clocks agree."""
    frames = [random_inputs(module, 100 * seed + number) for number in range(FRAMES)]
    expected = [cnn_meaning.evaluate(module, inputs) for inputs in frames]
    same(expected[0], tile_meaning.evaluate(plan, frames[0]), "the plan")
    program = emit(lower(plan.clone()))
    for number, outputs in enumerate(run_frames(program, frames, sanitize=True)):
        same(expected[number], outputs, f"frame {number}")
    clocks_agree(program)


def clocks_agree(program: Program) -> None:
    """Prediction, statistics and second clock, and no bound above what is reached."""
    (segment,) = program.segments
    assert isinstance(segment, MachineSegment)
    assert segment.frames is not None
    assert program.rhythm is not None
    found = frame_statistics(program, 40)
    assert found.frames is not None
    rhythm = program.rhythm
    assert program.bounds.bound3 * rhythm.period <= found.cycles == rhythm.cycles
    assert sum(layer.cycles for layer in found.layers) == found.cycles
    assert sum(layer.dram_read_bytes for layer in found.layers) == found.dram_read_bytes
    each = (found.frames.prologue_cycles, found.frames.epilogue_cycles, found.frames.resident_bytes)
    assert each == (rhythm.prologue, rhythm.epilogue, rhythm.resident_bytes)
    assert found.frames.total_cycles == rhythm.total(-(-40 // program.batch))
    records = encoding.decode(segment.code).records()
    brought = configurations_of(program.machine, records, program.constants.tobytes())
    compared = compare_frames(program.machine, records, segment.frames, FRAMES, brought)
    assert not compared.disagreements
