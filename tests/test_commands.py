"""Every command that README and documentation say is run, as it stands there, in a folder where its files are.

What a page only names (`recon run --stats`) is an option, not a command; placeholders are filled in. What takes long or
needs more than a shell is in LONG and NOT_HERE, each with the reason; ``make commands`` runs the long ones too.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from sim.machine.description import MACHINES
from tests.conftest import ROOT, Tool
from tests.test_docs import commands
from tools.docs import PAGES
from tools.driver import compile_model
from tools.opt import main as opt
from tools.options import Planning

LONG = {
    "recon explore": "starts worker processes",
    "recon sensitivity": "plans the model forty times",
}
"""Beginnings of commands that only ``make commands`` runs."""

NOT_HERE = {
    "recon explore space.toml -o rows.sqlite --scheduler": "needs a cluster",
    "recon gui": "opens a screen; tests/tools/test_gui.py presses its keys",
    "recon-opt --run-reproducer": "reads what a crash has written; tests/tools/test_opt.py makes one",
    "recon reduce": "runs a command of the user's many times; tests/tools/test_reduce.py gives it one",
}

PAGES_OF_THEIR_OWN = ("first-pass.md",)
"""Followed to the letter by tests of their own."""

PLACEHOLDERS = {
    "MODEL.rbin": "model.rbin",
    "MODEL.onnx": "model.onnx",
    "MODEL": "model.onnx",
    "BEFORE": "before.rbin",
    "AFTER": "after.rbin",
    "FILE.json": "file.json",
    "[LAYER]": "conv2d_7",
    "DIR": "dumped",
    "SPACE.toml": "space.toml",
}

SPACE = """
[[models]]
file = "model.onnx"

[machine]
base = "edge1k"

[machine.vary]
"array.lanes" = [512, 1024]
"""


def tiny(quantised: bool) -> onnx.ModelProto:
    """Three convolutions and a mean over 3x16x16 pictures, in float or as quantisers write int8."""
    rng = np.random.default_rng(0)
    constants = {"s": np.float32(0.05), "z": np.int8(0), "ws": np.float32(0.01)}
    nodes: list[onnx.NodeProto] = []
    now, channels = "x", 3

    def rounded(name: str) -> str:
        if not quantised:
            return name
        nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [f"{name}_d"]))
        return f"{name}_d"

    now = rounded(now)
    for name in ("conv2d_5", "conv2d_6", "conv2d_7"):
        weights = rng.integers(-40, 40, (8, channels, 3, 3)).astype(np.int8)
        constants[f"{name}_w"] = weights if quantised else (weights * 0.01).astype(np.float32)
        w = f"{name}_w"
        if quantised:
            nodes.append(helper.make_node("DequantizeLinear", [w, "ws", "z"], [f"{w}_d"]))
            w = f"{w}_d"
        nodes.append(helper.make_node("Conv", [now, w], [name], name=name, pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [name], [f"{name}_r"]))
        now, channels = rounded(f"{name}_r"), 8
    nodes.append(helper.make_node("GlobalAveragePool", [now], ["mean"]))
    nodes.append(helper.make_node("Flatten", [rounded("mean")], ["y"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and pictures, and programs of it."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("examples", "rtl", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("model.onnx", "a.onnx", "b.onnx", "detector.onnx", "classifier.onnx"):
        onnx.save(tiny(True), folder / name)
    for name in ("photos", "frames"):
        (folder / name).mkdir()
    picture = Image.open(ROOT / "examples" / "astronaut.png").convert("RGB").resize((16, 16))
    for number in range(100):
        picture.rotate(3 * number).save(folder / "photos" / f"{number}.png")
    picture.save(folder / "frames" / "0.png")
    picture.save(folder / "photo.jpg")
    (folder / "labels.txt").write_text("".join(f"class {number}\n" for number in range(8)))
    (folder / "space.toml").write_text(SPACE)
    program = compile_model(folder / "model.onnx")
    for name in ("model.rbin", "before.rbin", "after.rbin", "x.rbin"):
        program.save(folder / name)
    compile_model(folder / "model.onnx", options=Planning(frames="stream")).save(folder / "camera.rbin")
    with contextlib.suppress(SystemExit):
        opt([str(folder / "model.onnx"), "--to", "tile", "-o", str(folder / "plan.mlir")])
    text = Path(MACHINES / "edge4k.toml").read_text()
    (folder / "my.toml").write_text(text.replace('name = "edge4k"', 'name = "mine"'))
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, one's own."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def told(page: Path) -> list[str]:
    """The commands of a page, in order, placeholders filled in."""
    lines = [" ".join(PLACEHOLDERS.get(word, word) for word in line.split(" ")) for line, _ in commands(page)]
    return [line for line in dict.fromkeys(lines) if not _is_an_option(line)]


def _is_an_option(line: str) -> bool:
    """Whether a command is named for an option of it, without what it works on."""
    return re.fullmatch(r"recon(-opt)? ([a-z]+ )?--?[a-z-]+( LEVEL| 'name\{key=value\}')?", line) is not None


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in PAGES_OF_THEIR_OWN and told(page)],
    ids=lambda path: path.name,
)
def test_every_command_runs(page: Path, here: Path, recon: Tool, recon_opt: Tool) -> None:
    for line in told(page):
        if line.startswith((*NOT_HERE, *LONG)):
            continue
        tool, *words = shlex.split(line)
        if words[0] == "quantize":
            onnx.save(tiny(False), "model.onnx")
        written = [Path(words[at + 1]) for at, word in enumerate(words) if word in ("-o", "--output", "new")]
        for path in written:
            if path.is_file():
                path.unlink()
        ended = (recon if tool == "recon" else recon_opt)(*words)
        assert ended.code == 0, f"{line}\n{ended.out}{ended.err}"
        assert ended.out or any(path.exists() for path in written), f"{line}: it gives nothing"
        if words[0] == "quantize" and page.name == "README.md":
            onnx.save(tiny(True), "model.onnx")


@pytest.mark.skipif("COMMANDS" not in os.environ, reason="long; make commands runs them")
@pytest.mark.parametrize(
    "line", dict.fromkeys(line for page in PAGES for line in told(page) if line.startswith(tuple(LONG)))
)
def test_every_long_command_runs(line: str, here: Path) -> None:
    if line.startswith(tuple(NOT_HERE)):
        pytest.skip(next(why for start, why in NOT_HERE.items() if line.startswith(start)))
    ended = subprocess.run(
        [sys.executable, "-c", "from recon import main; main()", *shlex.split(line)[1:]],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_what_is_not_run_is_there() -> None:
    """A reason for a command that no page says any more goes with it."""
    lines = [line for page in PAGES for line in told(page)]
    for start in (*LONG, *NOT_HERE):
        assert any(line.startswith(start) for line in lines), start
