"""The whole road on the example of ``make run``: the photos' answers, the same program by every way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from passes.common.levels import LEVELS
from sim.machine.program import load
from tests.conftest import ROOT, Tool
from tools.driver import compile_model, run_program
from tools.files.listing import assemble_program, disassemble_program

MODEL = ROOT / "examples" / "mobilenetv1_vww_int8.onnx"
LABELS = ROOT / "examples" / "vww_labels.txt"
IMAGES = ROOT / "tests" / "data" / "images"


@pytest.fixture(scope="module")
def vww(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled example."""
    path = tmp_path_factory.mktemp("road") / "vww.rbin"
    compile_model(MODEL).save(path)
    return path


@pytest.mark.parametrize(
    ("image", "answer"),
    [
        ("astronaut", "person 0.90\nno person 0.10\n"),
        ("chelsea", "no person 0.94\nperson 0.06\n"),
        ("coffee", "no person 0.99\nperson 0.01\n"),
        ("rocket", "no person 0.86\nperson 0.14\n"),
    ],
)
def test_photos(recon: Tool, vww: Path, image: str, answer: str) -> None:
    outcome = recon("run", vww, "--input", IMAGES / f"{image}.png", "--labels", LABELS, "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, answer, "")


def test_the_report_shows_all_that_was_asked_for(recon: Tool, vww: Path, tmp_path: Path) -> None:
    outcome = recon("run", vww, "--timing-only", "--stats", tmp_path / "s.json")
    stats = json.loads((tmp_path / "s.json").read_text())
    assert f"{stats['cycles']:,}" in outcome.out
    assert len(re.findall(r"^\S+ +(?:conv|depthwise|fc|global_avg) ", outcome.out, re.MULTILINE)) == 29
    for total, entry in (("cycles", "cycles"), ("dram_read_bytes",) * 2, ("dram_write_bytes",) * 2, ("macs",) * 2):
        assert sum(layer[entry] for layer in stats["layers"]) == stats[total]


def test_compiling_again_gives_the_same_bytes(vww: Path) -> None:
    assert compile_model(MODEL).to_bytes() == vww.read_bytes()


@pytest.mark.parametrize("level", LEVELS)
def test_text_of_any_level_gives_the_same_program(
    recon: Tool, recon_opt: Tool, vww: Path, tmp_path: Path, level: str
) -> None:
    outcome = recon_opt(MODEL, "--to", level, "-o", tmp_path / "level.mlir")
    assert (outcome.code, outcome.err) == (0, "")
    outcome = recon("compile", tmp_path / "level.mlir", "-o", tmp_path / "level.rbin")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "level.rbin").read_bytes() == vww.read_bytes()


def test_assembling_what_was_disassembled(vww: Path) -> None:
    program = load(vww)
    assert assemble_program(disassemble_program(program), program).to_bytes() == vww.read_bytes()


def test_machine_decides(tmp_path: Path) -> None:
    small, large = (run_program(compile_model(MODEL, machine=name), timing_only=True) for name in ("edge1k", "edge4k"))
    assert small.statistics.cycles > large.statistics.cycles
    assert small.statistics.macs == large.statistics.macs


def test_no_races(vww: Path) -> None:
    image = np.zeros((1, 96, 96, 3), np.float32)
    plain = run_program(load(vww), {"input_1": image})
    watched = run_program(load(vww), {"input_1": image}, sanitize=True)
    np.testing.assert_array_equal(plain.outputs["Identity"], watched.outputs["Identity"])


def test_recorded_scale_and_mean(recon: Tool, tmp_path: Path) -> None:
    outcome = recon("compile", MODEL, "-o", tmp_path / "m.rbin", "--scale", "0.5,1,1", "--mean", "3", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    assert load(tmp_path / "m.rbin").image == {"scale": [0.5, 1.0, 1.0], "mean": [3.0]}


def test_instructions_written_by_hand_are_proven(recon: Tool, tmp_path: Path) -> None:
    """Text of the accel level passes no pass, and is proven all the same; nothing is written."""
    output = tmp_path / "race.rbin"
    race = ROOT / "tests" / "filecheck" / "accel" / "race.mlir"
    result = recon("compile", race, "-o", output)
    assert result.code == 1
    assert result.err == (
        f"{race}:11:3: error: The program has a race: instruction 0 (load, layer in) writes and instruction 1 (store, "
        f"layer out, at {race}:12:3) reads byte 0x10 of SRAM (%a + 16) (they meet between 0x10 and 0x3f), and no chain "
        "of waits orders the two.\n"
    )
    assert not output.exists()
