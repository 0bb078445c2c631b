"""What recon-opt tells of its passes: which one failed, how long each took, what it counted, and where each is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from passes.common.tally import count, tally
from tests.conftest import ROOT, Tool

T = "!cnn.tensor<1x4x4x4, scale 0.5, zero 0>"
TABLES = f"""\
func.func @main(%x: {T}) -> {T} {{
  %a = cnn.table %x table <256xi8, seed 1> layer "a"
  %b = cnn.table %a table <256xi8, seed 2> layer "b"
  %c = cnn.table %b table <256xi8, seed 3> layer "c"
  func.return %c : {T}
}}
"""
DILATED = f"""\
func.func @main(%x: {T}) -> {T} {{
  %y = cnn.max_pool2d %x window <3x3 pad 2 2 2 2 dilation 2 2> layer "p"
  func.return %y : {T}
}}
"""
REFUSED = (
    "the model: p: It pools with dilation 2x2. The vector unit's windows are dense; replace the dilated pool by a "
    "plain one."
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tables.mlir").write_text(TABLES)
    Path("pool.mlir").write_text(DILATED)


def test_statistics_of_patterns_and_operations(recon_opt: Tool) -> None:
    plain = recon_opt("tables.mlir", "-p", "fuse-activations,legalize")
    ended = recon_opt("tables.mlir", "-p", "fuse-activations,legalize", "--statistics")
    assert (ended.code, ended.out) == (0, plain.out)
    assert ended.err == (
        "fuse-activations\n"
        "       6 operations before, 4 after\n"
        "      -2 cnn.table\n"
        "       0 applied ClampIntoProducer\n"
        "       0 applied OneTensorIntoTable\n"
        "       0 applied TableIntoConv\n"
        "       2 applied TableIntoTable\n"
        "legalize\n"
        "       4 operations before, 4 after\n"
    )


def test_statistics_of_what_passes_count(recon_opt: Tool) -> None:
    ended = recon_opt(ROOT / "examples" / "fused.mlir", "--to", "accel", "--statistics", "-o", "x.mlir")
    text = Path("x.mlir").read_text()
    lines = ended.err.splitlines()
    assert lines[0] == "convert-tile-to-accel"
    assert f"{text.count('accel.buffer'):>8} buffers placed" in lines
    assert (
        f"{text.count(' = accel.') - text.count('accel.buffer') - text.count('accel.dram'):>8} instructions proven"
        in lines
    )
    assert lines.index("allocate-sram") < lines.index("assign-waits") < lines.index("check-hazards")


def test_nobody_asked_and_nothing_is_counted() -> None:
    count("waits")
    counts = Counter[str]()
    with tally(counts):
        count("waits", 2)
        count("waits")
    count("waits")
    assert counts == {"waits": 3}


def test_each_has_a_stream_of_its_own(recon_opt: Tool) -> None:
    """The result on standard output, the IR in a folder, timings and statistics in a file, and nothing left to mix."""
    passes = ["-p", "fuse-activations,cse"]
    told = ["--time-passes", "--statistics", "--info-output-file", "info.txt"]
    shown = ["--print-ir-after-all", "--print-ir-before", "cse", "--print-ir-dir", "ir"]
    ended = recon_opt("tables.mlir", *passes, *told, *shown)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == recon_opt("tables.mlir", *passes).out
    info = Path("info.txt").read_text().splitlines()
    assert [line.partition(" took ")[0] for line in info if line.startswith("Pass ")] == [
        "Pass fuse-activations", "Pass cse"]  # fmt: skip
    assert [line for line in info if line[:1].isalpha() and not line.startswith("Pass ")] == ["fuse-activations", "cse"]
    files = sorted(Path("ir").iterdir())
    assert [path.name for path in files] == ["00-after-fuse-activations.mlir", "01-after-cse.mlir"]
    assert files[0].read_text().startswith("// ----- IR after fuse-activations and before cse\n")
    assert recon_opt(files[1]).out == ended.out


def test_a_failing_pass_is_named(recon_opt: Tool) -> None:
    ended = recon_opt("pool.mlir", "-p", "cse,legalize", "--time-passes", "--info-output-file", "info.txt")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"pool.mlir:2:3: error: {REFUSED}\n  in the pass legalize\n"
    assert Path("info.txt").read_text().startswith("Pass cse took ")
    shown = recon_opt("pool.mlir", "-p", "legalize", "--verify-diagnostics")
    assert (shown.code, shown.out) == (0, f"pool.mlir:2:3: {REFUSED}\n  in the pass legalize\n")


def test_a_pass_that_leaves_nonsense_is_named(recon_opt: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    from xdsl.dialects.builtin import IntegerAttr, i64

    from passes.cnn.fold_pads import FoldPadsPass

    def broken(_self: object, _context: object, module: object) -> None:
        for op in module.walk():  # pyright: ignore
            if op.name == "cnn.max_pool2d":
                op.attributes["strides"] = IntegerAttr(1, i64)

    monkeypatch.setattr(FoldPadsPass, "apply", broken)
    ended = recon_opt("pool.mlir", "-p", "fold-pads")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "pool.mlir:2:3: error: The module: cnn.max_pool2d %y: it has no attribute 'strides'; a name of your own has a "
        "dot in it.\n  behind the pass fold-pads\n"
    )


def test_an_error_that_names_the_pass_says_it_once(recon_opt: Tool) -> None:
    ended = recon_opt(ROOT / "examples" / "fused.mlir", "-p", "fold-pads")
    assert ended.code == 1
    assert ended.err.count("fold-pads") == 1
