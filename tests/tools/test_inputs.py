"""Inputs as people have them: taken with a note where one reading is possible, refused by name where none is."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from PIL import Image

from sim.machine.program import HostSegment, Port, Program
from tests.conftest import ROOT, Outcome, Tool
from tools.files import pictures
from tools.files.arrays import fit
from tools.files.saturation import Range, ranges
from tools.reports.report import outputs_table
from tools.runtime import check_inputs


@pytest.fixture
def program(adder: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``adder.rbin`` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    adder.save("adder.rbin")
    return Path("adder.rbin")


def refused(outcome: Outcome, message: str) -> None:
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


FLOATS = Port("image", "float32", (1, 3, 4, 5))


@pytest.mark.parametrize(
    ("port", "given", "expected", "notes"),
    [
        (FLOATS, np.ones((1, 3, 4, 5), np.float32), np.ones((1, 3, 4, 5)), []),
        (FLOATS, np.ones((1, 3, 4, 5)), np.ones((1, 3, 4, 5)), ["x.npy: float64 became float32."]),
        (FLOATS, np.full((1, 3, 4, 5), 200, np.uint8), np.full((1, 3, 4, 5), 200), ["x.npy: uint8 became float32."]),
        (FLOATS, np.ones((3, 4, 5), np.float32), np.ones((1, 3, 4, 5)),
         ["x.npy: [3, 4, 5] became [1, 3, 4, 5], a batch of one."]),
        (FLOATS, np.arange(60, dtype=np.float32).reshape(4, 5, 3),
         np.arange(60).reshape(4, 5, 3).transpose(2, 0, 1)[None],
         ["x.npy: [4, 5, 3] became [1, 3, 4, 5], a batch of one and channels moved first."]),
        (Port("x", "int8", (1, 4, 5, 3)), np.arange(60, dtype=np.int64).reshape(1, 3, 4, 5),
         np.arange(60).reshape(1, 3, 4, 5).transpose(0, 2, 3, 1),
         ["x.npy: [1, 3, 4, 5] became [1, 4, 5, 3], channels moved last.", "x.npy: int64 became int8."]),
        (Port("gain", "float32", ()), np.array(2.0, np.float32), np.array(2.0), []),
        (Port("gain", "float32", ()), np.array([2.0], np.float32), np.array(2.0),
         ["x.npy: [1] became [], without its batch of one."]),
    ],
)  # fmt: skip
def test_one_reading_is_taken(port: Port, given: np.ndarray, expected: np.ndarray, notes: list[str]) -> None:
    tensor, done = fit(port, given, "x.npy")
    assert (tensor.dtype.name, tensor.shape, done) == (port.dtype, port.shape, notes)
    np.testing.assert_array_equal(tensor, expected)


@pytest.mark.parametrize(
    ("port", "given"),
    [
        (FLOATS, np.zeros((1, 3, 5, 4), np.float32)),  # rows and columns exchanged, or the wrong picture
        (FLOATS, np.zeros((60,), np.float32)),
        (FLOATS, np.zeros((2, 3, 4, 5), np.float32)),
        (FLOATS, np.zeros((1, 3, 4, 5), bool)),
        (Port("x", "int8", (1, 4, 4, 3)), np.zeros((1, 4, 4, 3), np.uint8)),  # shifted by 128, or not
        (Port("x", "int8", (1, 4, 4, 3)), np.full((1, 4, 4, 3), 200, np.int64)),
        (Port("x", "float32", (1, 8, 4, 8)), np.zeros((1, 8, 8, 4), np.float32)),  # 8 rows of 4 channels, or a mistake
    ],
)
def test_several_readings_or_none_are_refused(port: Port, given: np.ndarray) -> None:
    from sim.machine.errors import ReconError

    with pytest.raises(ReconError) as caught:
        fit(port, given, "x.npy")
    assert str(caught.value) == (
        f"x.npy: the input '{port.name}' must be {port.dtype} of shape {list(port.shape)}; this file holds "
        f"{given.dtype.name} of shape {list(given.shape)}."
    )


def test_notes_are_printed(recon: Tool, program: Path) -> None:
    np.save("x.npy", np.zeros((4, 4, 3), np.int64))
    outcome = recon("run", program, "--input", "x.npy")
    assert outcome.err == (
        "note: x.npy: [4, 4, 3] became [1, 4, 4, 3], a batch of one.\nnote: x.npy: int64 became int8.\n"
    )


def test_no_number_is_refused(adder: Program) -> None:
    from sim.machine.errors import ReconError

    values = np.zeros((1, 3, 4, 5), np.float32)
    values[0, 1, 2, 3] = values[0, 2, 0, 0] = np.nan
    with pytest.raises(ReconError) as caught:
        fit(FLOATS, values, "x.npy")
    assert str(caught.value) == (
        "x.npy: 2 of the 60 values for the input 'image' are no numbers (NaN), the first at [0, 1, 2, 3]."
    )
    program = dataclasses.replace(adder, inputs=(FLOATS,))
    with pytest.raises(ReconError, match=r"^2 values of the input 'image' are no numbers \(NaN\)\.$"):
        check_inputs(program, {"image": values})


@pytest.mark.parametrize("text", ["nan", "1,inf", "", "1,,2"])
def test_scale_is_finite(recon: Tool, program: Path, text: str) -> None:
    refused(
        recon("run", program, "--scale", text),
        f"--scale {text}: write one number, or one per channel with commas: 127.5,127.5,127.5.",
    )


def test_scale_is_not_zero(recon: Tool, program: Path) -> None:
    refused(
        recon("run", program, "--scale", "0"),
        "--scale 0: a scale of 0 makes every pixel the same; 1/255 is 0.00392157.",
    )


WHOLE = "x.npy: this is not a whole .npy file of numbers; numpy.save writes one."


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"(1, 4, 4, 3)", b"(1, 4, 4, 9)"),
        lambda data: data.replace(b"(1, 4, 4, 3)", b"(9999999,) +"),
        lambda data: data.replace(b"(1, 4, 4, 3)", b"(-1,-4,4,3 )"),
        lambda data: data.replace(b"(1, 4, 4, 3)", b"((((((((((((("[:12]),
        lambda data: data.replace(b"'|i1'", b"'|O1'"),
        lambda data: data.replace(b"'|i1'", b"'|q1'"),
        lambda data: data.replace(b"descr", b"d\x00scr"),
        lambda data: data[:6] + b"\x09" + data[7:],
        lambda data: data + b"more",
    ],
)
def test_damaged_heads(recon: Tool, program: Path, damage: object) -> None:
    Path("x.npy").write_bytes(damage(_npy(np.zeros((1, 4, 4, 3), np.int8))))  # pyright: ignore[reportCallIssue]
    refused(recon("run", program, "--input", "x.npy"), WHOLE)


def test_an_archive_of_arrays_is_no_array(recon: Tool, program: Path) -> None:
    np.savez("x.npz", x=np.zeros((1, 4, 4, 3), np.int8))
    Path("x.npz").rename("x.npy")
    refused(recon("run", program, "--input", "x.npy"), WHOLE)


def test_a_head_that_claims_much_reserves_nothing(recon: Tool, program: Path) -> None:
    Path("x.npy").write_bytes(_npy(np.zeros(3, np.int8)).replace(b"(3,), }           ", b"(99999999999,), } "))
    refused(recon("run", program, "--input", "x.npy"), WHOLE)


@pytest.mark.parametrize("name", ["zero.npy", "zero.png"])
def test_devices_and_pipes_are_not_read(recon: Tool, program: Path, name: str) -> None:
    os.symlink("/dev/zero", name)
    refused(recon("run", program, "--input", name), f"{name}: cannot be read: it is no regular file.")
    os.unlink(name)
    os.mkfifo(name)
    refused(recon("run", program, "--input", name), f"{name}: cannot be read: it is no regular file.")


def test_other_files_that_never_end(recon: Tool, program: Path) -> None:
    os.symlink("/dev/zero", "plan.mlir")
    message = "cannot be read: it is no regular file."
    refused(recon("run", "plan.mlir"), f"plan.mlir: {message}")
    refused(recon("compile", "plan.mlir", "-o", "x.rbin"), f"plan.mlir: {message}")
    refused(recon("assemble", "plan.mlir", "--base", program, "-o", "x.rbin"), f"plan.mlir: {message}")
    refused(recon("run", program, "--labels", "plan.mlir"), f"plan.mlir: the labels {message}")
    os.mkfifo("pipe.onnx")
    refused(recon("compile", "pipe.onnx", "-o", "x.rbin"), "pipe.onnx: The file cannot be read: it is no regular file.")
    model = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
    text = Path("held.mlir")
    subprocess.run([sys.executable, "-m", "tools.opt", model, "--to", "tile", "-o", text.resolve()], cwd=ROOT,
                   check=True, capture_output=True)  # fmt: skip
    Path("held.safetensors").unlink()
    os.symlink("/dev/zero", "held.safetensors")
    refused(
        recon("compile", "held.mlir", "-o", "x.rbin"),
        f"held.safetensors: the constants of this module {message}",
    )


def test_huge_pictures_are_refused_by_number(recon: Tool, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (130, 110)).save("x.png")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 130 * 110 - 1)
    refused(
        recon("run", program, "--input", "x.png"),
        "x.png: this picture has 130 x 110 pixels, and at most 14,299 are read; scale it down first.",
    )
    monkeypatch.setattr(pictures, "MOST_PIXELS", 130 * 110)
    assert recon("run", program, "--input", "x.png").code == 0


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((13_000, 13_000), "this picture has 13,000 x 13,000 pixels, and at most 67,108,864 are read"),
        ((60_000, 60_000), "this picture has more than the 67,108,864 pixels that are read"),
    ],
)
def test_a_bomb_is_refused_before_it_is_unpacked(recon: Tool, program: Path, size: tuple[int, int], message: str
                                                 ) -> None:  # fmt: skip
    Image.new("1", (8, 8)).save("x.bmp")
    data = bytearray(Path("x.bmp").read_bytes())
    data[18:26] = b"".join(n.to_bytes(4, "little") for n in size)
    Path("x.bmp").write_bytes(data)
    refused(recon("run", program, "--input", "x.bmp"), f"x.bmp: {message}; scale it down first.")


def _with_quantiser(adder: Program, scale: float, zero: int) -> Program:
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 13]>
        g (float[1,4,4,3] a) => (int8[1,4,4,3] b) <float s = {{{scale}}}, int8 z = {{{zero}}}>
        {{ t = Transpose <perm = [0, 1, 2, 3]> (a)
           b = QuantizeLinear (t, s, z) }}"""
    )
    entry = HostSegment("entry", model.SerializeToString(), ("Transpose", "QuantizeLinear"), ("photo",), ("x",))
    return dataclasses.replace(
        adder, inputs=(Port("photo", "float32", (1, 4, 4, 3)),), segments=(entry, *adder.segments)
    )


def test_the_range_of_the_first_quantiser(adder: Program) -> None:
    assert ranges(_with_quantiser(adder, 0.5, -128)) == {"photo": Range(0.0, 127.5, 0.5)}
    assert ranges(adder) == {}


@pytest.mark.parametrize(
    ("scale", "zero", "options", "warning"),
    [
        (1 / 255, -128, [], "98 % of the input 'photo' saturates: its values go from 0 to 255, and the model's first "
         "quantiser holds 0 to 1; --scale 0.00392157 would fit."),
        (2 / 255, 0, [], "98 % of the input 'photo' saturates: its values go from 0 to 255, and the model's first "
         "quantiser holds -1.00392 to 0.996078; --scale 0.00784314 --mean 128 would fit."),
        (1.0, -128, ["--scale", "0.00392157"], "The input 'photo' uses two codes at most: its values go from 0 to 1, "
         "and the model's first quantiser holds 0 to 255; --scale 1 would fit."),
        (1 / 255, -128, ["--scale", "0.00392157"], ""),
        (1.0, -128, [], ""),
    ],
)  # fmt: skip
def test_saturation_is_said(
    recon: Tool, adder: Program, program: Path, scale: float, zero: int, options: list[str], warning: str
) -> None:
    _with_quantiser(adder, scale, zero).save(program)
    values = np.linspace(0, 255, 48).round().astype(np.uint8)
    values[0] = 0
    Image.fromarray(values.reshape(4, 4, 3)).save("x.png")
    outcome = recon("run", program, "--input", "x.png", "-q", *options)
    assert (outcome.code, outcome.err) == (0, f"warning: {warning}\n" if warning else "")


def test_outputs_are_summarised() -> None:
    outputs = {"boxes": np.array([[0.25, -3.0]], np.float32), "count": np.array(7, np.int64), "none": np.zeros((0, 4))}
    assert outputs_table(outputs).splitlines() == [
        "output  type and shape  least  greatest",
        "boxes   float32 1x2        -3      0.25",
        "count   int64 scalar        7         7",
        "none    float64 0x4         -         -",
    ]


@pytest.mark.parametrize("delay", [0.05, 0.6])
def test_interrupting_says_so(delay: float) -> None:
    model = ROOT / "tests" / "data" / "models" / "mobilenetv2_kws_int8.onnx"
    command = "import recon; print('ready', flush=True); recon.main()"
    running = subprocess.Popen(
        [sys.executable, "-c", command, "compare", model], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    time.sleep(delay)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, "", "interrupted; a file is written whole or not at all.\n")


@pytest.mark.parametrize("module", ["recon", "tools.main", "tools.driver", "numpy"])
def test_interrupting_an_import_says_so(module: str) -> None:
    """A module of C that is interrupted half imported would crash, or make an error of its own of it."""
    script = (
        "import os, signal, sys, recon_commands\n"
        "class Finder:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.argv = ['recon', 'compile', {str(ROOT / 'examples' / 'fused_model.mlir')!r}, '-o', '/dev/null']\n"
        "recon_commands.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = "interrupted; a file is written whole or not at all.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", said)
