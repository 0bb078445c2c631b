"""recon evaluate and recon operators."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import recon as door
from tests.conftest import ROOT, Tool
from tools.quantise.losses import session
from tools.reports.operators import functions, limits, on_host, rows

MODEL = ROOT / "examples" / "mobilenetv1_vww_int8.onnx"


@pytest.fixture(scope="module")
def vww(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, compiled, beside a few pictures."""
    folder = tmp_path_factory.mktemp("evaluate")
    door.compile(MODEL, planning=door.Planning(level=0)).save(folder / "vww.rbin")
    shutil.copytree(ROOT / "tests" / "data" / "images", folder / "photos")
    return folder


def test_a_folder_of_pictures(recon: Tool, vww: Path) -> None:
    outcome = recon("evaluate", vww / "vww.rbin", "--against", MODEL, "--images", vww / "photos")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split() == "against output signal to noise, dB largest difference same argmax".split()
    assert lines[1].endswith("100.0 % of 4")
    assert lines[-1].startswith(f"4 pictures of {vww / 'photos'}, simulated at ")
    assert lines[-1].endswith(" a second, host time not included")


def test_numbers_are_those_of_the_runs(recon: Tool, vww: Path) -> None:
    program = door.load(vww / "vww.rbin")
    arrays = np.random.default_rng(2).uniform(0, 255, (3, 96, 96, 3)).astype(np.float32)
    np.savez(vww / "a.npz", x=arrays)
    found = json.loads(
        recon("evaluate", vww / "vww.rbin", "--against", MODEL, "--data", vww / "a.npz", "--format", "json").out
    )
    exact = session(MODEL)
    name = program.inputs[0].name
    largest = max(
        float(
            np.abs(exact.run(None, {name: array[None]})[0] - door.run(program, array[None]).outputs["Identity"]).max()
        )
        for array in arrays
    )
    (row,) = found["outputs"]
    assert row["largest_difference"] == pytest.approx(largest)
    assert (found["samples"], row["rows"], row["output"]) == (3, 3, "Identity")
    assert found["machine_frames_per_second"] == pytest.approx(
        door.run(program, timing_only=True).statistics.frames_per_second
    )


def test_another_model_is_noticed(recon: Tool, vww: Path) -> None:
    other = vww / "other.onnx"
    onnx.save(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 13]> g (float[1,2] a) => (float[1,2] b) '
                                      "{ b = Relu (a) }"), other)  # fmt: skip
    outcome = recon("evaluate", vww / "vww.rbin", "--against", other, "--images", vww / "photos")
    assert (outcome.code, outcome.err) == (
        1,
        f"error: {other}: this is another model than the program's: it has no input 'input_1'; its inputs are a.\n",
    )
    assert recon("evaluate", vww / "vww.rbin", "--against", MODEL).code == 2


def test_operators(recon: Tool) -> None:
    text = recon("operators").out
    for row in rows():
        assert f"\n{row.operator} " in text
    assert f"{len(on_host())} further operators run on the host" in text
    assert all(said in text for _, said in limits())
    one = recon("operators", "Resize").out.splitlines()
    assert (len(one), one[1].split()[0]) == (2, "Resize")
    assert recon("operators", "TfIdfVectorizer").out.splitlines()[1].split()[1] == "host"
    assert [row["operator"] for row in csv.DictReader(io.StringIO(recon("operators", "--format", "csv").out))] == [
        row.operator for row in rows()]  # fmt: skip
    refused = recon("operators", "Rezise")
    assert (refused.code, refused.err) == (1, "error: ONNX has no operator 'Rezise'; did you mean Resize?\n")


def test_every_operator_says_what_is_taken() -> None:
    assert all(row.taken and row.place for row in rows())
    assert "Tanh" in functions()
    assert not set(on_host()) & {row.operator for row in rows()}
