"""recon quantize: what stays in float and why, what is lost, and that the result compiles and is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import recon as door
from tests.conftest import Outcome, Tool
from tests.tools.quantise.nets import small
from tools.files.pictures import read_picture
from tools.quantise.biases import ROOM, leave_room
from tools.quantise.losses import BEST, Difference, decibels, session
from tools.quantise.prepare import prepare
from tools.quantise.samples import from_arrays, from_random
from tools.quantise.tail import CHAIN, TAIL, float_nodes, with_its_layer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the small network in opset 13, and a few pictures."""
    monkeypatch.chdir(tmp_path)
    onnx.save(small(), "small.onnx")
    rng = np.random.default_rng(3)
    Path("photos").mkdir()
    for index in range(6):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(f"photos/{index}.png")


def refused(outcome: Outcome, message: str) -> None:
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


PICTURES = ("--images", "photos", "--scale", "0.02", "--mean", "127.5")


def test_the_whole_road(recon: Tool) -> None:
    outcome = recon("quantize", "small.onnx", *PICTURES, "-o", "q.onnx")
    assert outcome.code == 0, outcome.err
    assert outcome.err == (
        "note: The dynamic leading dimension of the input 'image' became 1.\n"
        "note: 1 Sum became Add, which the quantiser knows.\n"
    )
    assert outcome.out.startswith("q.onnx: calibrated on 6 pictures of photos by minmax\n\nstayed in float")
    made = onnx.load("q.onnx")
    assert made.producer_name == "recon quantize"
    # the machine has all of it but the decoder and the softmax, and computes what ONNX Runtime does, steps aside
    assert recon("compile", "q.onnx", "-o", "q.rbin", "-O0").code == 0
    program = door.load("q.rbin")
    assert sum(layer.macs for layer in program.layers) == 285_808
    picture = door.Picture(scale=(0.02,), mean=(127.5,))
    sample = {"image": read_picture(program.inputs[0], Path("photos/3.png"), picture)}
    ours = door.run(program, sample).outputs
    theirs = session(made).run(None, sample)
    exact = session(prepare("small.onnx", {}).model).run(None, sample)
    for (name, tensor), other, real in zip(ours.items(), theirs, exact, strict=True):
        difference = Difference(name)
        difference.add(other, tensor)
        assert difference.decibels > 30
        lost = Difference(name)
        lost.add(real, tensor)
        assert lost.decibels > 15


def test_what_stays_in_float_and_why() -> None:
    reasons = float_nodes(prepare("small.onnx", {}).model)
    assert {name for name, reason in reasons.items() if reason == TAIL} == {
        "softmax", "box_reshape", "box_exp", "box_mul"}  # fmt: skip
    chain = {name for name, reason in reasons.items() if reason == CHAIN}
    assert chain == {"swish_add", "swish_clip", "swish_mul", "swish_div", "silu_sigmoid", "silu_mul"}
    assert set(reasons.values()) == {TAIL, CHAIN}


def test_reasons_are_printed_by_node_with_v(recon: Tool) -> None:
    outcome = recon("quantize", "small.onnx", "--random", "2", "-o", "q.onnx", "-v")
    assert re.search(rf"^box_exp +Exp +{TAIL}$", outcome.out, re.MULTILINE)
    assert "note: calibrated on random data: the ranges fit no real input; good for cycles and bytes alone" in (
        outcome.err
    )


def test_old_opsets_are_raised(recon: Tool) -> None:
    onnx.save(small(11), "old.onnx")
    outcome = recon("quantize", "old.onnx", "--random", "2", "-o", "q.onnx")
    assert "note: The model was raised from opset 11 to 13.\n" in outcome.err
    assert outcome.code == 0
    axes = [a for n in onnx.load("q.onnx").graph.node for a in n.attribute if a.name == "axis" and "_w" in n.input[0]]
    assert axes


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_other_calibrations(recon: Tool, method: str) -> None:
    outcome = recon("quantize", "small.onnx", *PICTURES, "--calibration", method, "-o", "q.onnx", "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_per_tensor_has_one_scale(recon: Tool) -> None:
    def widest() -> int:
        return max(np.prod(item.dims, dtype=int) for item in onnx.load("q.onnx").graph.initializer
                   if item.name.endswith("_w_scale"))  # fmt: skip

    assert recon("quantize", "small.onnx", "--random", "1", "-o", "q.onnx", "-q").code == 0
    assert widest() > 1
    assert recon("quantize", "small.onnx", "--random", "1", "-o", "q.onnx", "--per-tensor", "-q").code == 0
    assert widest() == 1


def _decibels(out: str, output: str) -> list[float]:
    line = next(line for line in out.splitlines() if line.startswith(f"{output} "))
    return [float(number) for number in re.findall(r"\d+\.\d", line)[:2]]


def test_the_worst_layers_can_stay_in_float(recon: Tool) -> None:
    whole = recon("quantize", "small.onnx", *PICTURES, "-o", "q.onnx")
    worst = next(line for line in whole.out.split("layers that lose most")[1].splitlines()[1:]).split()[0]
    better = recon("quantize", "small.onnx", *PICTURES, "-o", "q.onnx", "--float-worst", "3")
    assert better.code == 0, better.err
    assert "among the layers that lose most" in better.out
    (before, *_), (after, was) = _decibels(whole.out, "fc_y" if "fc_y" in whole.out else "softmax_y"), _decibels(
        better.out, "softmax_y")  # fmt: skip
    assert was == before
    assert after > before
    asked = recon("quantize", "small.onnx", *PICTURES, "-o", "q.onnx", "--float", worst, "-v")
    assert re.search(rf"^{worst} +\w+ +asked for$", asked.out, re.MULTILINE)


def test_an_activation_goes_with_its_layer() -> None:
    model = prepare("small.onnx", {}).model
    assert with_its_layer(model, "a_relu") == ["a", "a_relu"]
    assert with_its_layer(model, "fc") == ["fc"]


def test_noise() -> None:
    assert decibels(1.0, 0.0) == BEST
    assert decibels(100.0, 1.0) == pytest.approx(20)
    difference = Difference("y")
    difference.add(np.array([[0.0, 3.0], [4.0, 0.0]]), np.array([[0.0, 2.5], [4.0, 4.5]]))
    assert (difference.largest, difference.rows, difference.agreement) == (4.5, 2, 0.5)
    assert difference.ratio == pytest.approx((0.25 + 4.5**2) / 25)


def test_a_bias_leaves_room_for_the_sum(recon: Tool) -> None:
    model = small()
    for item in model.graph.initializer:
        if item.name in ("d_w", "d_b"):  # weights that are tiny beside their bias, in some channels
            array = onnx.numpy_helper.to_array(item).copy()
            array[:8] *= 1e-7 if item.name == "d_w" else 1
            item.CopyFrom(onnx.numpy_helper.from_array(array, item.name))
    onnx.save(model, "small.onnx")
    assert recon("quantize", "small.onnx", *PICTURES, "-o", "q.onnx", "-q").code == 0
    made = onnx.load("q.onnx")
    codes = {item.name: onnx.numpy_helper.to_array(item) for item in made.graph.initializer}
    biases = [array for name, array in codes.items() if array.dtype == np.int32 and name.startswith("d_b")]
    assert max(int(np.abs(bias).max()) for bias in biases) == ROOM
    assert leave_room(made) == 0
    found = door.check("q.onnx")
    assert (found.compiles, found.host_macs) == (True, 0)
    sample = {"image": np.random.default_rng(1).uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32)}
    lost = Difference("scores")
    exact, other = (session(each).run(None, sample)[0] for each in (prepare("small.onnx", {}).model, made))
    lost.add(exact, other)
    assert lost.decibels > 20


def test_from_python() -> None:
    rng = np.random.default_rng(4)
    samples = [{"image": rng.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(3)]
    told: list[tuple[str, int, int]] = []
    found = door.quantize("small.onnx", samples, progress=lambda *step: told.append(step))
    assert (
        repr(found)
        == f"Quantised(10 nodes in float, {min(o.decibels for o in found.outputs):.1f} dB at the worst output)"
    )
    assert ("calibrating", 3, 3) in told
    onnx.save(found.model, "q.onnx")
    checked = door.check("q.onnx")
    assert checked.compiles
    assert {node.name for node in checked.nodes if node.place == "machine" and node.operator == "Conv"} == {
        "stem", "a", "b", "d", "box"}  # fmt: skip
    with pytest.raises(door.ReconError, match=r"^Sample 0 lacks the input 'image'; it holds x\.$"):
        door.quantize("small.onnx", [{"x": np.zeros(3)}])
    with pytest.raises(door.ReconError, match=r"^There are no samples to calibrate on\.$"):
        door.quantize("small.onnx", [])


def test_samples_of_an_archive() -> None:
    ports = prepare("small.onnx", {}).inputs
    np.savez("a.npz", image=np.zeros((5, 3, 16, 16)))
    assert from_arrays(ports, Path("a.npz"), 128).count == 5
    assert [sample["image"].shape for sample in from_arrays(ports, Path("a.npz"), 2)] == [(1, 3, 16, 16)] * 2
    np.savez("b.npz", whatever=np.zeros((1, 3, 16, 16), np.float32))
    assert from_arrays(ports, Path("b.npz"), 128).count == 1
    first, again = (next(iter(from_random(ports, 1, 7)))["image"] for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("small.onnx", "--images", "gone"), "--images gone: there is no such folder."),
        (("small.onnx", "--images", "."),
         "--images .: there are no pictures (.png, .jpg, .jpeg, .bmp, .gif, .webp) in this folder."),
        (("small.onnx", "--data", "gone.npz"), "gone.npz: cannot be read: No such file or directory."),
        (("small.onnx", "--data", "small.onnx"),
         "small.onnx: this is not a whole .npz file of numbers; numpy.savez writes one."),
        (("small.onnx", "--random", "1", "--float", "fcc"),
         "--float fcc: the model has no node of that name once constants are folded; similar are fc."),
        (("gone.onnx", "--random", "1"), "gone.onnx: There is no such file."),
        (("small.onnx", "--random", "1", "--input-shape", "data=1,3,8,8"),
         "small.onnx: --input-shape data: The model has no input of that name; it has image."),
    ],
)  # fmt: skip
def test_messages(recon: Tool, arguments: tuple[str, ...], message: str) -> None:
    refused(recon("quantize", *arguments, "-o", "q.onnx"), message)
    assert not Path("q.onnx").exists()


def test_quantised_models_are_refused(recon: Tool) -> None:
    assert recon("quantize", "small.onnx", "--random", "1", "-o", "q.onnx").code == 0
    outcome = recon("quantize", "q.onnx", "--random", "1", "-o", "r.onnx")
    assert outcome.code == 1
    assert outcome.err.startswith("error: q.onnx: the model is quantised already (")
    assert outcome.err.endswith("); compile it as it is.\n")


def test_data_that_is_none(recon: Tool) -> None:
    np.savez("a.npz", image=np.full((2, 3, 16, 16), np.nan))
    refused(
        recon("quantize", "small.onnx", "--data", "a.npz", "-o", "q.onnx"),
        "a.npz: 768 of the 768 values for the input 'image' are no numbers (NaN), the first at [0, 0, 0, 0].",
    )
    np.savez("b.npz", image=np.zeros((2, 3, 17, 16), np.float32))
    refused(
        recon("quantize", "small.onnx", "--data", "b.npz", "-o", "q.onnx"),
        "b.npz: the input 'image' must be float32 of shape [1, 3, 16, 16]; this file holds float32 of shape "
        "[3, 17, 16].",
    )


def test_one_kind_of_data_is_given(recon: Tool) -> None:
    assert recon("quantize", "small.onnx", "-o", "q.onnx").code == 2
    assert recon("quantize", "small.onnx", "--random", "1", "--images", "photos", "-o", "q.onnx").code == 2
    assert recon("quantize", "small.onnx", "--random", "1", "--calibration", "best", "-o", "q.onnx").code == 2


def test_the_model_is_not_written_over(recon: Tool) -> None:
    refused(
        recon("quantize", "small.onnx", "--random", "1", "-o", "small.onnx"),
        "-o small.onnx: the command reads this file and would write over it; give another name, or --force.",
    )
