"""Every message a user can meet at the command line, whole: exit 1, one ``error:`` on stderr, nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from sim.machine.description import MACHINES
from sim.machine.program import Program
from tests.conftest import ROOT, Outcome, Tool

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


@pytest.fixture
def program(adder: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``adder.rbin`` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    adder.save("adder.rbin")
    return Path("adder.rbin")


def refused(outcome: Outcome, message: str) -> None:
    """The tool ended with this message and nothing else."""
    assert (outcome.code, outcome.out, outcome.err) == (
        1,
        "",
        f"{message if ': error: ' in message.splitlines()[0] else f'error: {message}'}\n",
    )


def write_model(path: str, graph: str) -> None:
    """A model of this graph in ONNX's textual form."""
    onnx.save(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 13]> ' + graph), path)


@pytest.mark.usefixtures("program")
class TestCompile:
    def test_missing_file(self, recon: Tool) -> None:
        refused(recon("compile", "gone.onnx", "-o", "x.rbin"), "gone.onnx: There is no such file.")
        assert not Path("x.rbin").exists()

    def test_missing_text(self, recon: Tool) -> None:
        refused(recon("compile", "gone.mlir", "-o", "x.rbin"), "gone.mlir: cannot be read: No such file or directory.")

    def test_no_folder_for_the_program(self, recon: Tool) -> None:
        refused(
            recon("compile", MODEL, "-o", "nowhere/x.rbin"),
            "nowhere/x.rbin: cannot be written: there is no folder nowhere.",
        )

    def test_no_onnx(self, recon: Tool) -> None:
        Path("words.onnx").write_text("These are words, not a network.")
        refused(
            recon("compile", "words.onnx", "-o", "x.rbin"),
            "words.onnx: This is not an ONNX model (it does not read as one). A model ends in .onnx and is what an "
            "exporter such as torch.onnx.export or tf2onnx writes.",
        )

    def test_truncated(self, recon: Tool) -> None:
        Path("half.onnx").write_bytes(MODEL.read_bytes()[:50_000])
        refused(
            recon("compile", "half.onnx", "-o", "x.rbin"),
            "half.onnx: The file is truncated or damaged: it ends after 50,000 bytes in the middle of a field. "
            "Copy or download it again.",
        )

    def test_unknown_machine(self, recon: Tool) -> None:
        refused(
            recon("compile", MODEL, "-o", "x.rbin", "--machine", "edge9"),
            "There is no machine 'edge9': known are edge1k, edge4k, edge4k-fixed, edge4k-real, micro256, "
            "nvdla-large, peer4k, or give "
            "the path of a TOML file.",
        )

    def test_malformed_machine(self, recon: Tool) -> None:
        text = (MACHINES / "edge1k.toml").read_text()
        text = text.replace('winograd = "on_fill"', 'winograd = "maybe"').replace("clock_hz", "clock")
        Path("mine.toml").write_text(text)
        outcome = recon("compile", MODEL, "-o", "x.rbin", "--machine", "mine.toml")
        lines = {line.split()[0]: number for number, line in enumerate(text.splitlines(), 1) if line.strip()}
        refused(
            outcome,
            f"mine.toml:{lines['clock']}: key 'clock' is not known; allowed here are name, description, clock_hz, "
            "array, streams, sram, dram, configuration, instruction_memory, energy.\n"
            "mine.toml: key 'clock_hz' is missing (cycles per second).\n"
            f"mine.toml:{lines['winograd']}: key 'array.winograd' must be one of none, on_fill, not 'maybe'.",
        )

    def test_no_toml(self, recon: Tool) -> None:
        Path("mine.toml").write_text("name = edge")
        refused(
            recon("compile", MODEL, "-o", "x.rbin", "--machine", "mine.toml"),
            "mine.toml: this is not TOML: Invalid value (at line 1, column 8).",
        )

    @pytest.mark.parametrize("option", ["data", "data=", "=1,2", "data=1,x", "data=1,0"])
    def test_input_shape(self, recon: Tool, option: str) -> None:
        refused(
            recon("compile", MODEL, "-o", "x.rbin", "--input-shape", option),
            f"--input-shape {option}: write NAME=1,3,224,224, with whole numbers of at least 1.",
        )

    def test_scale(self, recon: Tool) -> None:
        refused(
            recon("compile", MODEL, "-o", "x.rbin", "--scale", "a,b"),
            "--scale a,b: write one number, or one per channel with commas: 127.5,127.5,127.5.",
        )

    def test_float_model(self, recon: Tool) -> None:
        write_model("f.onnx", "g (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = Relu(x) }")
        refused(
            recon("compile", "f.onnx", "-o", "x.rbin"),
            "f: The model is not quantised; the machine computes with int8. Quantise it, for example with "
            "onnxruntime.quantization.quantize_static(…, per_channel=True), or, to learn cycles and bytes without a "
            "calibrated model, compile with --assume-int8.",
        )

    def test_dynamic_shape(self, recon: Tool) -> None:
        write_model("d.onnx", "g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu(x) }")
        refused(
            recon("compile", "d.onnx", "-o", "x.rbin"),
            "d.onnx: the input 'x': Its dimension 2 ('H') is dynamic, and every size must be known. State the shape: "
            "--input-shape x=1,3,224,224",
        )

    def test_sram_too_small(self, recon: Tool) -> None:
        text = (MACHINES / "edge1k.toml").read_text()
        Path("tiny.toml").write_text(text.replace("bytes = 2_097_152", "bytes = 512").replace("edge1k", "tiny"))
        outcome = recon("compile", MODEL, "-o", "x.rbin", "--machine", "tiny.toml")
        assert outcome.code == 1
        assert re.fullmatch(
            r"error: Layer \S+ does not fit in SRAM: its smallest tile takes [\d,]+ bytes(, beside [\d,]+ bytes of "
            r"tensors that stay whole,)? and there are 512: [\d,]+ too many\. A machine with more SRAM, or a layer "
            r"with a smaller window, would help\.\n",
            outcome.err,
        ), outcome.err

    def test_plan_for_another_machine(self, recon: Tool, recon_opt: Tool) -> None:
        Path("plan.mlir").write_text('tile.schedule @main machine "edge4k" () -> () {\n}\n')
        message = (
            "plan.mlir: this plan is for edge4k, and a plan is for one machine; leave --machine out, or plan the model "
            "again with --machine edge1k."
        )
        refused(recon("compile", "plan.mlir", "-o", "x.rbin", "--machine", "edge1k"), message)
        refused(recon_opt("plan.mlir", "--to", "accel", "--machine", "edge1k"), message)

    def test_text_that_does_not_parse(self, recon: Tool) -> None:
        Path("plan.mlir").write_text("tile.schedule @main\ntile.free")
        refused(
            recon("compile", "plan.mlir", "-o", "x.rbin"),
            "plan.mlir:2:1: error: Expected 'machine'\n  tile.free\n  ^^^^^^^^^",
        )

    def test_text_with_an_impossible_attribute(self, recon: Tool) -> None:
        line = '"test.op"() : () -> !cnn.tensor<1x2x2x8, scale 1.0, zero 200>'
        Path("plan.mlir").write_text(line + "\n")
        refused(
            recon("compile", "plan.mlir", "-o", "x.rbin"),
            "plan.mlir:1:61: error: zero point 200 is outside [-128, 127]\n  " + line + "\n  " + 60 * " " + "^",
        )

    def test_text_that_uses_a_value_before_it_is_there(self, recon: Tool) -> None:
        kind = "!cnn.tensor<1x2x2x8, scale 1.0, zero 0>"
        Path("plan.mlir").write_text(
            f'%y = cnn.add %x, %x : ({kind}, {kind}) -> {kind}\n%x = "test.op"() : () -> {kind}\n'
        )
        refused(
            recon("compile", "plan.mlir", "-o", "x.rbin"),
            "plan.mlir:1:1: error: The module: cnn.add %y: it uses %x before its definition, or from a region that "
            "does not see it.",
        )


@pytest.mark.usefixtures("program")
class TestRun:
    def test_missing_program(self, recon: Tool) -> None:
        refused(recon("run", "gone.rbin"), "gone.rbin: cannot be read: No such file or directory.")

    def test_foreign_program(self, recon: Tool) -> None:
        Path("words.rbin").write_text("These are words, not a program.")
        refused(
            recon("run", "words.rbin"),
            "words.rbin: this is not a recon program, or its beginning is missing; 'recon compile MODEL.onnx -o "
            "MODEL.rbin' makes one.",
        )

    def test_truncated_program(self, recon: Tool, program: Path) -> None:
        data = program.read_bytes()[:-100]
        Path("half.rbin").write_bytes(data)
        refused(
            recon("run", "half.rbin"),
            f"half.rbin: the program is truncated: {len(data)} bytes do not hold all its parts; copy the file again or "
            "compile again.",
        )

    def test_damaged_program(self, recon: Tool, program: Path) -> None:
        data = bytearray(program.read_bytes())
        data[-1] ^= 1
        program.write_bytes(data)
        outcome = recon("run", program)
        assert outcome.code == 1
        assert "is damaged (its checksum differs); compile again." in outcome.err

    def test_other_machine(self, recon: Tool, program: Path) -> None:
        refused(
            recon("run", program, "--machine", "edge1k"),
            "This program was compiled for edge4k and cannot run on edge1k; compile the model again with "
            "--machine edge1k.",
        )

    def test_wrong_input_name(self, recon: Tool, program: Path) -> None:
        np.save("x.npy", np.zeros((1, 4, 4, 3), np.int8))
        refused(
            recon("run", program, "--input", "z=x.npy"),
            "The program has no input 'z'; its inputs are 'x' (int8 of shape [1, 4, 4, 3]).",
        )

    def test_input_given_twice(self, recon: Tool, program: Path) -> None:
        refused(recon("run", program, "--input", "x=a.npy", "--input", "b.npy"), "The input 'x' is given twice.")

    def test_wrong_input_shape(self, recon: Tool, program: Path) -> None:
        np.save("x.npy", np.zeros((1, 4, 3, 4), np.int8))
        refused(
            recon("run", program, "--input", "x=x.npy"),
            "x.npy: the input 'x' must be int8 of shape [1, 4, 4, 3]; this file holds int8 of shape [1, 4, 3, 4].",
        )

    def test_wrong_input_type(self, recon: Tool, program: Path) -> None:
        np.save("x.npy", np.zeros((1, 4, 4, 3), np.float32))
        refused(
            recon("run", program, "--input", "x.npy"),
            "x.npy: the input 'x' must be int8 of shape [1, 4, 4, 3]; this file holds float32 of shape [1, 4, 4, 3].",
        )

    def test_missing_input_file(self, recon: Tool, program: Path) -> None:
        refused(recon("run", program, "--input", "x=gone.npy"), "gone.npy: there is no such file.")

    def test_input_of_an_unknown_kind(self, recon: Tool, program: Path) -> None:
        Path("x.csv").write_text("1,2")
        refused(
            recon("run", program, "--input", "x.csv"),
            "x.csv: inputs are .npy files or pictures (.png, .jpg, .jpeg, .bmp, .gif, .webp).",
        )

    @pytest.mark.parametrize("size", [0, 10, 100, 150])
    def test_truncated_npy(self, recon: Tool, program: Path, size: int) -> None:
        np.save("x.npy", np.zeros((1, 4, 4, 3), np.int8))
        Path("x.npy").write_bytes(Path("x.npy").read_bytes()[:size])
        refused(
            recon("run", program, "--input", "x.npy"),
            "x.npy: this is not a whole .npy file of numbers; numpy.save writes one.",
        )

    def test_pickled_npy(self, recon: Tool, program: Path) -> None:
        np.save("x.npy", np.array([{}], object), allow_pickle=True)
        refused(
            recon("run", program, "--input", "x.npy"),
            "x.npy: this is not a whole .npy file of numbers; numpy.save writes one.",
        )

    @pytest.mark.parametrize("keep", [0, 30, 2000])
    def test_unreadable_picture(self, recon: Tool, program: Path, keep: int) -> None:
        data = (ROOT / "examples" / "astronaut.png").read_bytes()
        Path("x.png").write_bytes(data[:keep])
        refused(
            recon("run", program, "--input", "x.png"),
            "x.png: this picture cannot be read; it is damaged or of a kind that Pillow does not know.",
        )

    def test_labels_that_fit_nothing(self, recon: Tool, program: Path) -> None:
        Path("labels.txt").write_text("cat\ndog\n")
        refused(
            recon("run", program, "--input", "x.npy", "--labels", "labels.txt"),
            "There are 2 labels and no output with as many scores; outputs have none.",
        )

    def test_missing_labels(self, recon: Tool, program: Path) -> None:
        refused(
            recon("run", program, "--labels", "gone.txt"),
            "gone.txt: the labels cannot be read: No such file or directory.",
        )

    def test_channels_of_scale(self, recon: Tool, program: Path) -> None:
        refused(
            recon("run", program, "--input", ROOT / "examples" / "astronaut.png", "--scale", "1,2"),
            "--scale has 2 numbers and the input 3 channels; give 1 or 3.",
        )


class TestAssemble:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("load", "Line 1: an instruction stands before the first '.segment NAME'."),
            ("\n.segment other", "Line 2: '.segment' names one of the base program's machine segments: main."),
            (".segment main\n.segment main", "Line 2: the segment 'main' stands twice in the text."),
            (".segment main\n.layer 7", "Line 2: '.layer' takes a whole number from 0 to 0."),
            ("; nothing", "The text lacks the machine segment main."),
            (
                ".segment main\n\n  load sram=-1",
                "Line 3, load: field 'sram' holds whole numbers from 0 to 4294967295, not '-1'.",
            ),
        ],
    )
    def test_wrong_text(self, recon: Tool, program: Path, text: str, message: str) -> None:
        Path("code.asm").write_text(text)
        outcome = recon("assemble", "code.asm", "--base", program, "-o", "new.rbin")
        refused(outcome, f"code.asm: {message}")
        assert not Path("new.rbin").exists()

    def test_missing_text(self, recon: Tool, program: Path) -> None:
        refused(
            recon("assemble", "gone.asm", "--base", program, "-o", "new.rbin"),
            "gone.asm: cannot be read: No such file or directory.",
        )


def test_what_the_machine_cannot_do_is_not_timed(recon: Tool, program: Path) -> None:
    """A run with values would stop at it; the clock alone has no reason to."""
    Path("code.asm").write_text(".segment main\n.layer 0\n  load bytes=16\n  store bytes=16\n")
    assert recon("assemble", "code.asm", "--base", program, "-o", "new.rbin").code == 0
    outcome = recon("run", "new.rbin", "--timing-only")
    refused(
        outcome,
        "The program has a race: instruction 0 (load, layer sum) reads and instruction 1 (store, layer sum) writes "
        "byte 0x0 of DRAM (they meet between 0x0 and 0xf), and no chain of waits orders the two.",
    )


def test_a_defect_of_ours_is_one_sentence(recon: Tool, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr("tools.runtime.run_program", broken)
    refused(
        recon("run", program, "-q"),
        "recon itself failed (ZeroDivisionError: division by zero); this is a defect of recon, and --debug shows the "
        "traceback.",
    )
    assert "Traceback" in recon("run", program, "-q", "--debug").err
