"""A text compared with its model: edits of a plan that keep the model run, proven; others are refused by line and
buffer, or named at the first element that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.machine.errors import ReconError
from tests.conftest import ROOT, Tool
from tools.driver import compile_model, make_context, read_module
from tools.validation.against import Original
from tools.validation.validate import Validator

PLAN = ROOT / "examples" / "fused.mlir"
MODEL = ROOT / "examples" / "fused_model.mlir"
TEXT = PLAN.read_text()
RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


def line(part: str) -> str:
    """The plan's line that holds this."""
    (found,) = [one for one in TEXT.splitlines(keepends=True) if part in one]
    return found


CONV, STORE, LOAD, FREE = line("tile.conv %z"), line("tile.store"), line("tile.load %d["), line("tile.free %y, %z")

Edit = tuple[tuple[str, str], ...]

KEEP: dict[str, Edit] = {
    "as it stands": (),
    "everything resident": ((", ring 6", ""), (", ring 14", "")),
    "a single buffer for the output": (("ring 14", "ring 7"),),
    "stripes of 7": (
        ("= 0 to 28 step 4", "= 0 to 28 step 7"), ("[%i + 1, 0, 0] [4,", "[%i + 1, 0, 0] [7,"),
        ("%y[%i, 0, 0] [4,", "%y[%i, 0, 0] [7,"), ("%s3[%i, 0, 0, 0] [4,", "%s3[%i, 0, 0, 0] [7,"),
        ("ring 6", "ring 9"),
    ),
    "stripes of 2": (
        ("= 0 to 28 step 4", "= 0 to 28 step 2"), ("[%i + 1, 0, 0] [4,", "[%i + 1, 0, 0] [2,"),
        ("%y[%i, 0, 0] [4,", "%y[%i, 0, 0] [2,"), ("%s3[%i, 0, 0, 0] [4,", "%s3[%i, 0, 0, 0] [2,"),
    ),
    "the last layer in stripes of 14": (
        ("= 0 to 28 step 7", "= 0 to 28 step 14"), ("%z[%j, 0, 0] [7,", "%z[%j, 0, 0] [14,"),
        ("%out[%j, 0, 0] [7,", "%out[%j, 0, 0] [14,"),
    ),
    "a load moved up": ((LOAD, ""), ("  tile.load_config <winograd", f"{LOAD}  tile.load_config <winograd")),
    "an address proposed": (("%x = tile.alloc :", "%x = tile.alloc at 4096 :"),),
    "addresses that overlap": (
        ("%x = tile.alloc :", "%x = tile.alloc at 0 :"), ("%y = tile.alloc :", "%y = tile.alloc at 64 :"),
    ),
    "direct instead of Winograd": (("<winograd g1 k16 r16 p16>", "<direct g1 k16 r16 p16>"),),
    "another configuration": (("<direct g1 k16 r16 p16>", "<direct g1 k16 r16 p4>"),),
    "halves exchanged": (
        ("%h1 = tile.fill half 0", "%h1 = tile.fill half 1"), ("%h2 = tile.fill half 1", "%h2 = tile.fill half 0"),
    ),
    "a box left out": (("tile.load %b[0, 0] [16, 8] from %p[0, 0]", "tile.load %b from %p"),),
    "a free too few": ((FREE, ""),),
    "a layer of another name": (("@c3", "@c4"),),
    "a buffer that nobody uses": (("%y = tile.alloc", "%spare = tile.alloc : !tile.sram<64xi8>\n  %y = tile.alloc"),),
}  # fmt: skip
"""Edits after which the plan is the same model; each runs, and its program is proven for every input."""

CHANGE: dict[str, tuple[Edit, str]] = {
    "no clamp": (
        (("requantize <zero 0 clamp 0 127>", "requantize <zero 0 clamp -128 127>"),),
        "47:3 c1 [0, 0, 0, 0] %mid -59 0 6,243",
    ),
    "a clamp moved": (
        (("clamp 0 127> layer @c1", "clamp 1 127> layer @c1"),), "47:3 c1 [0, 0, 0, 0] %mid 1 0 6,330",
    ),
    "a zero point moved": (
        (("requantize <zero 0 clamp -128 127> layer @c3", "requantize <zero 1 clamp -128 127> layer @c3"),),
        "61:5 c3 [0, 0, 0, 0] %z 9 8 12,544",
    ),
    "a pad value": (
        (("%h1 window <3x3 pad 1 1 1 1>", "%h1 window <3x3 pad 1 1 1 1> pad_value 3"),),
        "47:3 c1 [0, 0, 0, 1] %mid 1 2 651",
    ),
    "no residual": (
        ((" add %x[0] <second ratios 0.5 0.5 0.0 clamp -128 127>", ""),), "50:5 c2 [0, 0, 0, 0] %y -20 34 12,454",
    ),
    "another ratio": ((("ratios 0.5 0.5", "ratios 0.5 0.25"),), "50:5 c2 [0, 0, 0, 0] %y 12 34 12,339"),
    "the sum clamped": (
        (("0.0 clamp -128 127> layer @c2", "0.0 clamp 0 127> layer @c2"),), "50:5 c2 [0, 0, 0, 1] %y 0 -15 6,127",
    ),
    "other weights": (
        (("%s2[0, 0, 0, 0] [16, 3, 3, 16] from %w2", "%s2[0, 0, 0, 0] [16, 3, 3, 16] from %w1"),),
        "50:5 c2 [0, 0, 0, 0] %y 32 34 12,302",
    ),
    "other parameters": (
        (("%d[0, 0] [16, 8] from %q", "%d[0, 0] [16, 8] from %p"),), "61:5 c3 [0, 0, 0, 0] %z 4 8 12,150",
    ),
    "other constants": (
        (("<16x1x1x16xi8, seed 3>", "<16x1x1x16xi8, seed 4>"),), "61:5 c3 [0, 0, 0, 0] %z -13 8 12,370",
    ),
}  # fmt: skip
"""Edits that make another model: place, layer, element, buffer, both values, how many of 12,544 differ."""

REFUSE: dict[str, tuple[Edit, str]] = {
    "a ring too small": (
        (("ring 6", "ring 5"),),
        "x.mlir:50:5: The plan @fused for edge4k: layer c2, tile.conv %y in turn 4, layer c2, tile.conv %y in turn 8, "
        "layer c2, tile.conv %y in turn 12, layer c2, tile.conv %y in turn 16 and 1 more: its inputs are 6 rows of "
        "%mid, whose ring stores 5; make the ring larger or the tile smaller.",
    ),
    "a ring overtaken": (
        (("[%i + 1, 0, 0] [4,", "[%i + 1, 0, 0] [5,"),),
        "x.mlir:50:5: The plan @fused for edge4k: layer c2, tile.conv %y in turn 4: it reads row 3 of %mid, whose "
        "place in the ring of 6 rows holds row 9; make the ring larger, or read the row while it is there.",
    ),
    "a stripe not there yet": (
        (("%i + 1, 0, 0] [4,", "%i + 2, 0, 0] [4,"),),
        "x.mlir:50:5: The plan @fused for edge4k: layer c2, tile.conv %y in turn 0: it reads row 1 of %mid, which "
        "nothing has written; move it behind what writes that row.",
    ),
    "a row not loaded": (
        (("tile.load %x[7, 0, 0] [21", "tile.load %x[8, 0, 0] [20"),),
        "The plan @fused for edge4k has 2 problems:\n"
        "x.mlir:49:5: error: layer c1, tile.conv %mid in turn 4: it reads row 7 of %x, which nothing has written; move "
        "it behind what writes that row.\n"
        "x.mlir:50:5: error: layer c2, tile.conv %y in turn 4: it reads row 7 of %x, which nothing has written; move "
        "it behind what writes that row.",
    ),
    "a store above its convolution": (
        ((STORE, ""), (CONV, STORE + CONV)),
        "x.mlir:61:5: The plan @fused for edge4k: layer c3, tile.store %out in turn 0: it reads row 0 of %z, which "
        "nothing has written; move it behind what writes that row.",
    ),
    "a load forgotten": (
        ((LOAD, ""),),
        "x.mlir:60:5: The plan @fused for edge4k: layer c3, tile.conv %z in turn 0: it reads row 0 of %d, which "
        "nothing has written; move it behind what writes that row.",
    ),
    "freed too early": (
        (("  tile.load %d[", "  tile.free %y : !tile.sram<28x28x16xi8>\n  tile.load %d["), (FREE, "")),
        "x.mlir:62:5: The plan @fused for edge4k: layer c3, tile.conv %z in turn 0, layer c3, tile.conv %z in turn 7, "
        "layer c3, tile.conv %z in turn 14, layer c3, tile.conv %z in turn 21: it uses %y after its free; free it "
        "later.",
    ),
    "no load of the configuration": (
        (("  tile.load_config <direct g1 k16 r16 p16> layer @c3\n", ""),),
        "x.mlir:56:3: The plan @fused for edge4k: layer c3, tile.use: the shadow slot is empty, not direct g1 k16 r16 "
        "p16; a load_config of it must come before.",
    ),
    "weights of a half to come": (
        (("%mid[0] [16], %h2", "%mid[0] [16], %h3"),), "x.mlir:50:56: %h3 is not defined above",
    ),
    "a box beyond its buffer": (
        (("tile.load %x[7, 0, 0] [21, 28, 16]", "tile.load %x[7, 0, 0] [22, 28, 16]"),),
        "x.mlir:41:3: target: offset 7 and size 22 leave dimension 0 of !tile.sram<28x28x16xi8>, which has 28",
    ),
    "half of the output": (
        (("%j = 0 to 28", "%j = 0 to 14"),),
        "x.mlir:11:1: The plan @fused for edge4k: tile.schedule: it never stores row 14 of %out; a plan writes all of "
        "its outputs.",
    ),
    "an unknown layer": (
        ((" layer @c3\n    tile.store", " layer @c9\n    tile.store"),),
        "x.mlir:61:5: The module: tile.conv: its layer @c9 is not defined.",
    ),
    "a window that does not fit": (
        (("%h3 window <1x1>", "%h3 window <3x3>"),),
        "x.mlir:61:5: the window makes 26x26 of 28x28 pixels, and the output buffer has 28x28",
    ),
    "a ring that is none": (
        (("ring 14", "ring 28"),), "x.mlir:58:98: a ring of 28 rows for 28 rows is no ring",
    ),
    "a misspelt word": (
        (("tile.use <winograd", "tile.us <winograd"),),
        "x.mlir:42:3: Operation tile.us is not registered; did you mean tile.use?",
    ),
}  # fmt: skip
"""Edits after which the text is no plan, and what is said first."""


def edited(edit: Edit) -> str:
    text = TEXT
    for before, after in edit:
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def model() -> Original:
    return Original.read(MODEL)


PROVEN = ("as it stands", "stripes of 7", "a layer of another name")
"""Those that go the whole road of ``--validate``; the others are compared with the model and compiled."""


def compare(edit: Edit, model: Original, name: str = "") -> Original:
    """Compile the edited plan, compared with its model on random codes."""
    Path("x.mlir").write_text(edited(edit))
    validator = Validator(1, original=Original("its model", model.module))
    if name in PROVEN or name in REFUSE:
        compile_model("x.mlir", validator=validator)
        assert validator.proven is not None
    else:
        validator.start(read_module("x.mlir", make_context()))
        compile_model("x.mlir")
    assert validator.original is not None
    return validator.original


def test_there_are_forty_edits() -> None:
    assert len(KEEP) + len(CHANGE) + len(REFUSE) >= 40


@pytest.mark.parametrize("name", KEEP)
def test_an_edit_that_keeps_the_model_runs_and_is_proven(name: str, model: Original) -> None:
    found = compare(KEEP[name], model, name)
    renamed = name == "a layer of another name"
    assert (found.layers, found.outputs, found.unseen) == ((2, 1, {"c3"}) if renamed else (3, 1, set()))


@pytest.mark.parametrize("name", CHANGE)
def test_an_edit_that_makes_another_model_is_noticed(name: str, model: Original) -> None:
    edit, said = CHANGE[name]
    place, layer, element = said.split(" ", 2)
    element, _, rest = element.partition("] ")
    buffer, here, there, wrong = rest.split()
    with pytest.raises(ReconError) as caught:
        compare(edit, model)
    assert str(caught.value) == (
        f"x.mlir:{place}: The text is not its model: on input 0 (random codes) layer '{layer}' (cnn.conv2d), element "
        f"{element}], written to {buffer} is {here} here and {there} in the model; {wrong} of 12,544 elements differ."
    )


@pytest.mark.parametrize("name", REFUSE)
def test_an_edit_that_is_no_plan_is_refused(name: str, model: Original) -> None:
    edit, said = REFUSE[name]
    with pytest.raises(ReconError) as caught:
        compare(edit, model, name)
    assert str(caught.value).startswith(said)


def test_what_was_compared_is_said(recon: Tool, recon_opt: Tool) -> None:
    alone = recon_opt(PLAN, "-p", "convert-tile-to-accel", "--validate-inputs", 1, "-o", "a.mlir")
    assert alone.err == (
        "valid: 1 pass checked on 1 input, 3 layers and 1 output compared; the text itself was the reference, and no "
        "model (--against MODEL compares it with one); 0 passes changed nothing\n"
    )
    both = recon("compile", PLAN, "-o", "x.rbin", "--validate-inputs", 1, "--against", MODEL)
    assert both.code == 0
    assert both.out.startswith(
        "valid: 4 passes checked on 1 input, 9 layers and 4 outputs compared; the text compared with "
        f"{MODEL}, 3 layers and 1 output; 1 pass changed nothing; the program proven for every input\n"
    )


def test_instructions_are_compared_by_their_outputs(recon: Tool, recon_opt: Tool) -> None:
    assert recon_opt(PLAN, "--to", "accel", "-o", "a.mlir").code == 0
    text = Path("a.mlir").read_text()
    Path("b.mlir").write_text(text.replace("lo = -128", "lo = -10"))
    assert "the text compared with" in recon("compile", "a.mlir", "-o", "a.rbin", "--against", MODEL).out
    ended = recon("compile", "b.mlir", "-o", "b.rbin", "--against", MODEL)
    assert (ended.code, Path("b.rbin").exists()) == (1, False)
    assert ended.err.startswith(f"error: The text is not {MODEL}: on input 0 (random codes) output 'out', element [")


@pytest.mark.parametrize(
    ("text", "against", "message"),
    [
        (RESNET8, RESNET8, f"--against {RESNET8} is for text below the onnx level, which this is not."),
        (PLAN, PLAN, f"--against {PLAN}: this is at level tile; give the ONNX model, or its cnn text."),
        (PLAN, RESNET8, f"--against {RESNET8}: the model takes input_1_int8 [1, 32, 32, 3], and the text takes in "
         "[28, 28, 16]."),
    ],
    ids=["a model", "a plan", "another model"],
)  # fmt: skip
def test_what_cannot_be_compared(recon: Tool, text: Path, against: Path, message: str) -> None:
    ended = recon("compile", text, "-o", "x.rbin", "--against", against, "-q")
    assert (ended.code, Path("x.rbin").exists()) == (1, False)
    assert ended.err.splitlines()[-1] == f"error: {message}"
