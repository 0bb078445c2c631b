"""The commands on small programs: answers, statistics, files, round trips."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sim.machine.program import Port, Program, load
from sim.statistics import Statistics
from tests.conftest import ROOT, Tool
from tools import VERSION
from tools.files.listing import BY_HAND, assemble_program, disassemble_program
from tools.files.pictures import Picture, read_picture
from tools.files.tensors import answer_of, random_inputs, top_classes
from tools.reports.report import operator
from tools.runtime import check_inputs, from_codes, run_program, to_codes
from tools.terminal.console import count


@pytest.fixture
def program(adder: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``adder.rbin`` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    adder.save("adder.rbin")
    return Path("adder.rbin")


def test_run_writes_outputs_and_statistics(recon: Tool, program: Path) -> None:
    x = np.arange(-24, 24, dtype=np.int8).reshape(1, 4, 4, 3)
    np.save("x.npy", x)
    outcome = recon("run", program, "--input", "x=x.npy", "--output", "out", "--stats", "stats.json", "-v")
    assert outcome.code == 0
    assert outcome.err == "wrote out/y.npy\nwrote stats.json\n"
    np.testing.assert_array_equal(np.load("out/y.npy"), x)
    stats = json.loads(Path("stats.json").read_text())
    assert list(stats) == [field.name for field in dataclasses.fields(Statistics)]
    assert stats["dram_read_bytes"] == stats["dram_write_bytes"] == 48
    assert sum(layer["cycles"] for layer in stats["layers"]) == stats["cycles"]


def test_run_prints_outputs_totals_and_layers(recon: Tool, program: Path) -> None:
    outcome = recon("run", program)
    assert outcome.err == "note: no --input: random data of seed 0\n"
    lines = outcome.out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["output", "type", "and", "shape", "least", "greatest"], ["y", "int8", "1x4x4x3", "-128", "120"]]  # fmt: skip
    assert lines[3].startswith("model         adder on edge4k")
    header = "layer operator and shape MACs ops/B configuration own used critical DRAM B limited by"
    assert lines[-5].split() == header.split()
    assert lines[-4].startswith("sum    add 4x4x3")


def test_timing_only_takes_no_values(recon: Tool, program: Path) -> None:
    outcome = recon("run", program, "--timing-only", "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    outcome = recon("run", program, "--timing-only", "--input", "x.npy")
    assert outcome.code == 2
    assert "runs without values, so it takes no --input, --labels or --output" in outcome.err


def test_disassemble_and_assemble_give_the_same_file(recon: Tool, program: Path) -> None:
    assert recon("disassemble", program, "-o", "code.asm").code == 0
    assert recon("disassemble", program).out == Path("code.asm").read_text()
    assert recon("assemble", "code.asm", "--base", program, "-o", "same.rbin").code == 0
    assert Path("same.rbin").read_bytes() == program.read_bytes()


def test_changed_code_is_marked(adder: Program) -> None:
    text = disassemble_program(adder)
    assert text.splitlines()[3:6] == [
        ".segment main  ; takes x 0x40 1x4x4x3; gives y 0x80 1x4x4x3",
        ".layer 0  ; sum: add 4x4x3",
        "  load dram=0x40 bytes=48",
    ]
    changed = assemble_program(text.replace("ra=0.5", "ra=0.25").replace("rb=0.5", "rb=0.25"), adder)
    assert changed.notes == (BY_HAND,)
    x = np.full((1, 4, 4, 3), 100, np.int8)
    np.testing.assert_array_equal(run_program(changed, {"x": x}).outputs["y"], x // 2)


def test_machines(recon: Tool) -> None:
    assert [line.split()[0] for line in recon("machines").out.splitlines()] == [
        "name", "edge1k", "edge4k", "edge4k-fixed", "edge4k-real", "micro256", "nvdla-large", "peer4k"]  # fmt: skip
    shown = recon("machines", "edge4k").out
    assert "array.lanes" in shown
    assert "4,096" in shown


def test_a_machine_printed_as_toml_is_that_machine(recon: Tool, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(recon("machines", "edge1k", "--toml").out)
    assert recon("machines", mine).out == recon("machines", "edge1k").out


def test_version_and_help(recon: Tool) -> None:
    assert recon("--version").out == f"recon {VERSION}\n"
    for command in ("compile", "run", "disassemble", "assemble", "machines"):
        assert f"recon {command} " in recon(command, "--help").out


def test_random_inputs_are_the_same_every_time(adder: Program) -> None:
    first, second = random_inputs(adder, 7), random_inputs(adder, 7)
    np.testing.assert_array_equal(first["x"], second["x"])
    assert first["x"].dtype == np.int8
    assert not np.array_equal(first["x"], random_inputs(adder, 8)["x"])


@pytest.mark.parametrize(
    ("port", "picture", "expected"),
    [
        (Port("x", "float32", (1, 2, 2, 3)), Picture(), [10, 20, 30]),
        (Port("x", "uint8", (1, 3, 2, 2)), Picture(), [10, 20, 30]),
        (Port("x", "int8", (1, 2, 2, 3)), Picture(), [-118, -108, -98]),
        (Port("x", "float32", (3, 2, 2)), Picture((0.5,), (10.0, 10.0, 20.0)), [0, 5, 5]),
        (Port("x", "int8", (2, 2, 3)), Picture((100.0,), (0.0,)), [127, 127, 127]),
    ],
)
def test_pictures_become_inputs(tmp_path: Path, port: Port, picture: Picture, expected: list[int]) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (5, 4), (10, 20, 30)).save(path)
    tensor = read_picture(port, path, picture)
    assert tensor.shape == port.shape
    assert tensor.dtype.name == port.dtype
    channels = tensor.reshape(3, -1).T if port.shape[-3] == 3 else tensor.reshape(-1, 3)
    np.testing.assert_array_equal(channels, np.tile(np.array(expected), (4, 1)))


def test_pictures_use_what_the_program_recorded(adder: Program) -> None:
    recorded = {"scale": [2.0], "mean": [1.0]}
    assert Picture().over(recorded) == Picture((2.0,), (1.0,))
    assert Picture((3.0,), None).over(recorded) == Picture((3.0,), (1.0,))


def test_top_classes() -> None:
    scores = np.array([[0.1, 0.7, 0.2]], np.float32)
    assert top_classes(scores, ["a", "b", "c"], 2) == [("b", "0.70"), ("c", "0.20")]
    assert top_classes(np.array([5, 9], np.int8), None, 1) == [("class 1", "9")]


def test_which_output_is_the_answer() -> None:
    picture, two, three = (Port("y", "int8", shape) for shape in ((1, 4, 4, 3), (2,), (1, 3, 1, 1)))
    assert answer_of([picture, three], None) == three
    assert answer_of([two, three], None) is None
    assert answer_of([two, three], ["p", "q"]) == two


def test_uint8_at_the_edge() -> None:
    codes = np.array([0, 127, 128, 255], np.uint8)
    shifted = to_codes(codes)
    np.testing.assert_array_equal(shifted, np.array([-128, -1, 0, 127], np.int8))
    np.testing.assert_array_equal(from_codes(Port("y", "uint8", (4,)), shifted), codes)


def test_check_inputs(adder: Program) -> None:
    from sim.machine.errors import ReconError

    with pytest.raises(ReconError, match=r"^The input 'x' is missing; it is int8 of shape \[1, 4, 4, 3\]\.$"):
        check_inputs(adder, {})
    with pytest.raises(ReconError, match=r"^The program has no input 'z'; its inputs are x\.$"):
        check_inputs(adder, {"z": np.zeros(1)})


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (12_345, "12.3k"), (7_400_000, "7.40M"), (123_456_789, "123M"), (1.2e9, "1.20G")],
)
def test_numbers_for_people(number: float, text: str) -> None:
    assert count(number) == text


def test_the_installed_scripts_start() -> None:
    scripts = Path(sys.executable).parent
    for script in ("recon", "recon-opt"):
        ended = subprocess.run([scripts / script, "--version"], capture_output=True, text=True, check=True, cwd=ROOT)
        assert VERSION in ended.stdout


def test_program_files_are_the_same_after_reading(adder: Program, program: Path) -> None:
    assert load(program).to_bytes() == adder.to_bytes()


def test_a_device_is_written_to_and_not_replaced(recon: Tool, program: Path) -> None:
    assert recon("disassemble", program, "-o", os.devnull).code == 0
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("op", "shape", "text"),
    [
        ("conv2d", "48x48x16 -> 24x24x32 3x3/2", "conv 3x3/2 16→24x24x32"),
        ("conv2d", "48x48x16 -> 48x48x16 3x3 in 16 groups", "depthwise 3x3 48x48x16"),
        ("conv2d", "48x48x16 -> 48x48x16 3x3 in 4 groups", "conv 3x3 g4 16→48x48x16"),
        ("add", "8x8x64 -> 8x8x64", "add 8x8x64"),
        ("global_average_pool", "3x3x256 -> 1x1x256", "global_avg 3x3x256→1x1x256"),
        ("resize", "by hand", "resize by hand"),
    ],
)
def test_operators_are_named_briefly(op: str, shape: str, text: str) -> None:
    assert operator(op, shape) == text
