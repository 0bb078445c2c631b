"""recon dump: a text per pass that reads back, times apart from it, and where instructions come from."""

from __future__ import annotations

from pathlib import Path

from passes.pipeline import PIPELINE
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.reports.dump import debug_table, lines

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
ROAD = [entry.name for entry in PIPELINE if entry.default and not entry.when]


def test_a_file_for_every_pass_in_order(recon: Tool, recon_opt: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    ended = recon("dump", RESNET8, "--dump-dir", folder)
    assert ended.code == 0
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == [*(f"{number:02d}-{name}.mlir" for number, name in enumerate(["input", *ROAD])), "instructions.tsv"]
    for path in folder.glob("*.mlir"):
        assert recon_opt(path).code == 0, path.name
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "99-of-an-older-compiler.mlir").write_text("")
    assert recon("dump", RESNET8, "--dump-dir", folder, "-q").code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before  # no times in them
    assert ended.out.splitlines()[0] == f"{folder}: {len(ROAD) + 1} files of text, and instructions.tsv"


def test_the_table_of_passes(recon: Tool) -> None:
    rows = [line.split() for line in recon("dump", RESNET8).out.splitlines()]
    assert rows[0] == ["after", "level", "ms", "of", "CPU", "lines", "changed"]
    assert [row[0] for row in rows[1:-1]] == ["input", *ROAD]
    assert rows[-1][:2] == ["all", "passes"]
    assert rows[2][-1] in ("yes", rows[2][3])


def test_a_stage(recon: Tool) -> None:
    plan = recon("dump", RESNET8, "--stage", "tile").out
    assert "tile.schedule" in plan
    assert plan == recon("dump", RESNET8, "--stage", "elide-configuration").out
    assert "accel.program" in recon("dump", RESNET8, "--stage", "accel").out
    ended = recon("dump", RESNET8, "--stage", "nonsense")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(
        "error: --stage nonsense: there is no such pass or level here; there are onnx, cnn, tile"
    )


def test_where_instructions_come_from() -> None:
    program = compile_model(RESNET8)
    found = list(lines(program))
    assert len(found) == sum(len(segment.layer_of) for segment in program.segments if hasattr(segment, "layer_of"))
    assert {line.layer for line in found} == {layer.name for layer in program.layers}
    nodes = {layer.name: layer.onnx for layer in program.layers}
    assert all(line.nodes == nodes[line.layer] for line in found)
    rows = [row.split("\t") for row in debug_table(program).splitlines()]
    assert {len(row) for row in rows} == {5}
    assert rows[1][:3] == [found[0].segment, "0", found[0].layer]


def test_a_value_of_the_machine_is_set(recon: Tool) -> None:
    plan = recon("dump", RESNET8, "--stage", "tile", "--set", "sram.bytes=4MiB", "-O0")
    assert plan.code == 0
    assert "edge4k with sram.bytes=4MiB" in plan.out
