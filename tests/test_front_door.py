"""``import recon``: what it gives, whose packages it accepts, and the wheel in a stranger's project."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

import recon
from sim.machine.program import Program
from tests.conftest import ROOT
from tests.wheel import MODEL, PACKAGES, build, project


@pytest.fixture(scope="module")
def program() -> Program:
    return recon.compile(MODEL, planning=recon.Planning(level=1))


def test_a_model_in_memory_compiles_like_its_file(program: Program) -> None:
    loaded = onnx.load(MODEL)
    again = recon.compile(loaded, "edge4k", planning=recon.Planning(level=1))
    assert again.model == loaded.graph.name
    assert dataclasses.replace(again, model=program.model).to_bytes() == program.to_bytes()


def test_run_takes_a_dictionary_or_the_one_array_and_a_program_or_its_file(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "r.rbin")
    port = program.inputs[0]
    array = np.random.default_rng(1).integers(-128, 128, port.shape).astype(np.int8)
    one = recon.run(program, array)
    other = recon.run(tmp_path / "r.rbin", {port.name: array})
    for name, tensor in one.outputs.items():
        np.testing.assert_array_equal(tensor, other.outputs[name])
    assert one.statistics == other.statistics == recon.run(program, timing_only=True).statistics
    assert one.statistics.cycles == program.predicted_cycles


def test_one_array_is_not_enough_for_two_inputs(adder: Program) -> None:
    two = dataclasses.replace(adder, inputs=(*adder.inputs, dataclasses.replace(adder.inputs[0], name="z")))
    with pytest.raises(recon.ReconError, match=r"^The program has 2 inputs \(x, z\); give a dictionary of arrays by"):
        recon.run(two, np.zeros((1, 4, 4, 3), np.int8))


def test_compare_and_machines() -> None:
    found = recon.compare(onnx.load(MODEL), ["edge1k"], planning=recon.Planning(level=0))
    assert found.first.machine == "edge1k"
    assert "edge4k" in recon.machines()
    assert recon.load_machine("edge1k").array.lanes == 1024
    assert repr(found) == f"Comparison('{found.model}': cycles on edge1k {found.first.cycles:,})"


def test_a_report_is_records_and_a_page(program: Program, tmp_path: Path) -> None:
    said: list[str] = []
    made = recon.report(program, tmp_path / "r.html", progress=said.append)
    assert said == ["drawing"]
    assert made.statistics == recon.run(program, timing_only=True).statistics
    assert sum(layer.array_cycles for layer in made.layers) == pytest.approx(made.statistics.cycles)
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    program.save(tmp_path / "r.rbin")
    assert recon.report(tmp_path / "r.rbin").statistics == made.statistics
    planned = recon.report(MODEL, planning=recon.Planning(level=1))
    assert planned.statistics.cycles == made.statistics.cycles
    assert any(layer.plan for layer in planned.layers)
    assert not any(layer.plan for layer in made.layers)
    with pytest.raises(recon.ReconError, match=r"^This is a program, planned already; a machine, shapes and the"):
        recon.report(program, machine="edge1k")


def test_everything_fits_a_line(program: Program) -> None:
    timed = recon.run(program, timing_only=True)
    assert repr(program) == (
        f"Program('resnet8_cifar10_int8' for edge4k: {len(program.layers)} layers, "
        f"{sum(layer.macs for layer in program.layers):,} MACs, {program.predicted_cycles:,} cycles predicted)"
    )
    assert max(len(repr(each)) for each in (program, timed, timed.statistics)) < 160


def test_every_name_is_there_and_documented() -> None:
    for name in recon.__all__:
        thing = getattr(recon, name)
        assert name == "VERSION" or thing.__doc__, name
    with pytest.raises(AttributeError, match=r"^module 'recon' has no attribute 'nothing'$"):
        _ = recon.nothing  # pyright: ignore[reportAttributeAccessIssue]


def _python(folder: Path, *arguments: str, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(path)},
    )


HELP = (
    ". Rename that one, or leave its folder off the path (python -P SCRIPT leaves off the script's own); "
    "the commands recon and recon-opt work in any folder."
)


def test_a_package_in_the_way_is_named_and_not_run(tmp_path: Path) -> None:
    mine = project(tmp_path / "mine").resolve()
    ended = _python(mine, "-c", "import recon; recon.load_machine('edge4k')")
    assert ended.stderr.splitlines()[-1] == (
        "ImportError: recon needs its own package 'sim', and another one of that name comes first on Python's path: "
        f"{mine / 'sim'}{HELP}"
    )
    ended = _python(mine, "-c", "from recon import main; main()", "--version")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: recon needs its own package 'sim', and another one of that name comes")


def test_a_package_imported_before_is_named(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("")
    ended = _python(tmp_path, "-c", "import tools, recon; recon.Program")
    assert ended.stderr.splitlines()[-1] == (
        "ImportError: recon needs its own package 'tools', and another one of that name is imported already: "
        f"{(tmp_path / 'tools.py').resolve()}{HELP}"
    )


def test_half_an_installation_is_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "recon.py", tmp_path)
    ended = _python(tmp_path, "-S", "-c", "import recon; recon.machines()", path=tmp_path)
    assert ended.stderr.splitlines()[-1] == (
        f"ImportError: recon is not whole: its package 'backend' is missing beside {tmp_path.resolve()}; "
        "install it again."
    )


def test_the_wheel_works_in_a_project_with_such_packages(tmp_path: Path) -> None:
    """What the wheel holds is all that is needed; ``make wheel`` installs it into an environment of its own."""
    wheel = build(tmp_path)
    assert wheel.name.startswith("recon_compiler-")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        assert {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" not in name} == {
            "recon.py", "recon_commands.py", *PACKAGES}  # fmt: skip
        assert {f"{name}/py.typed" for name in PACKAGES} <= set(archive.namelist())
        archive.extractall(site)
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "recon").write_text("from recon import main\nmain()\n")
    mine = project(tmp_path / "mine")
    ended = _python(mine, str(scripts / "recon"), "machines", path=site)
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[1].startswith("edge1k ")
    ended = _python(mine, "-P", "use.py", path=site)
    assert (ended.stdout, ended.stderr) == (f"{site / 'recon.py'}\nTrue\n", "")
