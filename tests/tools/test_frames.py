"""Frames in a row from the command line: compile, run from a folder or an array, time a million."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sim.machine.program import Program, load
from tests.conftest import ROOT, Tool
from tools.files.tensors import random_inputs
from tools.runtime import run_program

DSCNN = ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program for frames in a row."""
    from tools.main import main

    path = tmp_path_factory.mktemp("frames") / "camera.rbin"
    main(["compile", str(DSCNN), "-o", str(path), "-q", "--frames", "stream", "--batch", "1"], exits=False)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(program: Program, frames: int) -> np.ndarray:
    """The first output of so many frames of random data, each run by itself."""
    (port,) = program.outputs
    return np.concatenate(
        [run_program(program, random_inputs(program, seed)).outputs[port.name] for seed in range(frames)]
    )


def outputs(folder: str) -> np.ndarray:
    (file,) = Path(folder).glob("*.npy")
    return np.load(file)


def test_frames_are_those_of_single_runs(recon: Tool, camera: Path, here: Path) -> None:
    program = load(camera)
    assert recon("run", camera, "--frames", 4, "--output", "random", "-q", "--sanitize").code == 0
    np.testing.assert_array_equal(outputs("random"), expected(program, 4))


def test_an_array_and_a_folder_hold_frames(recon: Tool, camera: Path, here: Path) -> None:
    program = load(camera)
    (port,) = program.inputs
    frames = [random_inputs(program, seed)[port.name] for seed in range(11)]
    np.save("frames.npy", np.concatenate(frames))
    Path("frames").mkdir()
    for number, frame in enumerate(frames):
        np.save(f"frames/frame{number}.npy", frame)
    assert recon("run", camera, "--input", "frames", "--output", "folder", "-q").code == 0
    assert recon("run", camera, "--input", "frames.npy", "--frames", 11, "--output", "array", "-q").code == 0
    assert len(outputs("folder")) == 11
    np.testing.assert_array_equal(outputs("folder"), outputs("array"))
    np.testing.assert_array_equal(outputs("folder"), expected(program, 11))


def test_answers_come_frame_by_frame(recon: Tool, camera: Path, here: Path) -> None:
    program = load(camera)
    Path("labels.txt").write_text("\n".join(f"word{number}" for number in range(12)))
    outcome = recon("run", camera, "--frames", 3, "--labels", "labels.txt")
    lines = [line for line in outcome.out.splitlines() if line.startswith("frame ")]
    best = [int(scores.argmax()) for scores in expected(program, 3)]
    assert [line.split()[2] for line in lines] == [f"word{number}" for number in best]


def test_a_million_frames_are_timed_and_none_is_run(recon: Tool, camera: Path) -> None:
    outcome = recon("run", camera, "--timing-only", "--frames", 1_000_000, "--format", "json")
    stats = json.loads(outcome.out)
    frames, rhythm = stats["frames"], load(camera).rhythm
    assert rhythm is not None
    assert frames["frames"] == 1_000_000
    assert frames["total_cycles"] == rhythm.total(1_000_000)
    assert frames["cycles_per_frame"] == stats["cycles"] == stats["predicted_cycles"] == rhythm.cycles
    ten = json.loads(recon("run", camera, "--timing-only", "--frames", 10, "--format", "json").out)["frames"]
    assert frames["total_cycles"] - ten["total_cycles"] == 999_990 * rhythm.cycles


def test_what_frames_cost_is_printed(recon: Tool, camera: Path) -> None:
    said = recon("run", camera, "--timing-only", "--frames", 100).out
    rhythm = load(camera).rhythm
    assert rhythm is not None
    assert f"frames        100 in {rhythm.total(100):,} cycles" in said
    assert f"latency       {rhythm.latency:,} cycles" in said
    assert f"stays         {rhythm.resident_bytes:,} bytes" in said


def test_a_program_of_one_frame_runs_frames_by_themselves(recon: Tool, here: Path) -> None:
    assert recon("compile", DSCNN, "-o", "one.rbin", "-q").code == 0
    assert recon("run", "one.rbin", "--frames", 2, "--output", "out", "-q").code == 0
    np.testing.assert_array_equal(outputs("out"), expected(load("one.rbin"), 2))


def test_a_batch_gives_what_its_frames_give_alone(recon: Tool, camera: Path, here: Path) -> None:
    """Four frames in batches of three: the second one is not full. A single run is one frame too."""
    assert recon("compile", DSCNN, "-o", "batch.rbin", "-q", "--batch", 3).code == 0
    batch = load("batch.rbin")
    assert batch.batch == 3
    assert recon("run", "batch.rbin", "--frames", 4, "--output", "out", "-q", "--sanitize").code == 0
    np.testing.assert_array_equal(outputs("out"), expected(load(camera), 4))
    np.testing.assert_array_equal(expected(batch, 2), expected(load(camera), 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch", "0"), "--batch 0: give a whole number from 1 to 64."),
        (
            ("--batch", "4", "--objective", "latency"),
            "A batch of 4 works on frames together and keeps them in SRAM, so it goes with neither the objective "
            "latency nor without residency.",
        ),
        (
            ("--batch", "64", "--sram-limit", "16KiB"),
            "A batch of 64 does not fit in SRAM: edge4k has 16,384 bytes. A smaller batch, or a machine with more "
            "SRAM, would help.",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(recon: Tool, here: Path, options: tuple[str, ...], message: str) -> None:
    outcome = recon("compile", DSCNN, "-o", "x.rbin", *options)
    assert (outcome.code, outcome.err) == (1, f"error: {message}\n")


def test_text_of_a_program_in_a_row_reads_back(recon: Tool, camera: Path, here: Path) -> None:
    text = recon("disassemble", camera).out
    assert text.count("\n.frame  ; ") == 1
    Path("text").write_text(text)
    assert recon("assemble", "text", "--base", camera, "-o", "again.rbin").code == 0
    assert Path("again.rbin").read_bytes() == camera.read_bytes()
    Path("text").write_text(text.replace("\n.frame", "\n; frame"))
    outcome = recon("assemble", "text", "--base", camera, "-o", "again.rbin", "--force")
    assert "lacks '.frame': what stands above it runs once, what stands below it for every frame." in outcome.err
    Path("text").write_text(text + ".frame\n")
    outcome = recon("assemble", "text", "--base", camera, "-o", "again.rbin", "--force")
    assert "'.frame' stands once in a segment that repeats in the base program, and in no other." in outcome.err


def test_a_batch_is_proven_for_every_input(recon: Tool, here: Path) -> None:
    assert recon("compile", DSCNN, "-o", "batch.rbin", "-q", "--batch", 2).code == 0
    assert "proven for every input" in recon("prove", "batch.rbin", "--against", DSCNN).out


def test_one_frame_in_a_row_is_the_program_without_frames(recon: Tool, here: Path) -> None:
    for name, options in (("a", ()), ("b", ("--frames", "1"))):
        assert recon("compile", DSCNN, "-o", f"{name}.rbin", "-q", *options).code == 0
    assert Path("a.rbin").read_bytes() == Path("b.rbin").read_bytes()


def test_latency_keeps_the_plan_of_one_frame(recon: Tool, here: Path) -> None:
    assert recon("compile", DSCNN, "-o", "one.rbin", "-q").code == 0
    assert recon("compile", DSCNN, "-o", "many.rbin", "-q", "--frames", "8", "--objective", "latency").code == 0
    one, many = load("one.rbin"), load("many.rbin")
    assert many.rhythm is not None
    assert many.rhythm.resident_bytes == 0
    assert (
        json.loads(recon("run", "many.rbin", "--timing-only", "--frames", 1, "--format", "json").out)["frames"][
            "total_cycles"
        ]
        == one.predicted_cycles
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--frames", "0"), "--frames 0: give at least one frame."),
        (("--frames", "3", "--input", "two"), "--frames 3: the inputs hold 2 frames."),
        (("--input", "none"), "none: this folder holds no frames; they are .npy files or pictures."),
    ],
)
def test_what_is_no_frames_is_refused(
    recon: Tool, camera: Path, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    for folder, count in (("two", 2), ("none", 0)):
        Path(folder).mkdir()
        for number in range(count):
            Image.new("L", (8, 8)).save(f"{folder}/{number}.png")
    outcome = recon("run", camera, *arguments)
    assert (outcome.code, outcome.err) == (1, f"error: {message}\n")


@pytest.mark.parametrize("frames", ["0", "-1", "many", "1.5"])
def test_frames_are_a_number_or_a_stream(recon: Tool, here: Path, frames: str) -> None:
    outcome = recon("compile", DSCNN, "-o", "x.rbin", f"--frames={frames}")
    assert (outcome.code, outcome.err) == (
        1,
        f"error: --frames {frames}: write how many frames follow each other, or stream.\n",
    )
