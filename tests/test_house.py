"""The rules of the house that no linter knows: whose packages these are, what stands where, what is tracked."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from passes.common.levels import LEVELS
from passes.pipeline import PIPELINE
from tests import house_sizes
from tests.conftest import ROOT
from tests.house_sizes import oversized
from tools import VERSION
from tools.registry import DIALECTS, get_all_dialects

PACKAGES = ("backend", "dialects", "passes", "sim", "tools")

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    """Text files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    binary = {".onnx", ".png", ".npy", ".safetensors", ".rbin"}
    return [path for path in paths if path.is_file() and path.suffix not in binary]


def sources() -> list[Path]:
    return [ROOT / "recon.py", *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_our_plain_names_are_our_packages(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(module.__file__ or "").resolve() == ROOT / package / "__init__.py"


def test_every_folder_of_python_is_a_package() -> None:
    folders = {path.parent for path in sources()} - {ROOT}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_module_says_what_it_is_for() -> None:
    mute = [str(path.relative_to(ROOT)) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert mute == []


def test_versions_agree() -> None:
    assert SETTINGS["project"]["version"] == VERSION


def test_no_file_names_a_place_of_one_machine_or_an_index() -> None:
    # spelt in pieces so that this file does not name them
    words = ["/wor" + "k/", "/ro" + "ot/", "/ho" + "me/", "/op" + "t/", "files.pytho" + "nhosted", "index-u" + "rl"]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked()
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_locked_requirements_are_exact_and_complete() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {line.partition("==")[0].lower().replace("_", "-") for line in lines if not line.startswith("#")}
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines if not line.startswith("#"))
    wanted = [*SETTINGS["project"]["dependencies"], *SETTINGS["project"]["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=]", line)[0].strip().lower() for line in wanted}
    assert names - locked == set()


def test_machine_in_motion_is_listed_in_the_contract() -> None:
    contracts = SETTINGS["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c["name"].startswith("Only tools")]
    modules = {path.stem for path in (ROOT / "sim").glob("*.py")} - {"__init__"}
    assert sorted(contract["forbidden_modules"]) == sorted(f"sim.{name}" for name in modules)


HEAVY = ("numpy", "onnx", "onnxruntime")
LIGHT = {
    **dict.fromkeys(
        ["passes.pipeline", "sim.machine.isa", "sim.machine.description", "tools.opt", "tools.registry"], HEAVY
    ),
    **dict.fromkeys([f"dialects.{name}" for name in DIALECTS], HEAVY),
    "recon": (*HEAVY, "xdsl", "tools"),
    "tools.main": (*HEAVY, "xdsl", "rich"),
    "tools.runtime": ("onnx", "onnxruntime", "xdsl"),
}
"""Modules and what importing them may not import."""


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_start_light(module: str) -> None:
    script = f"import sys, {module}; print([name for name in {LIGHT[module]!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.stdout == "[]\n"


def test_passes_have_one_name_in_four_spellings() -> None:
    for entry in PIPELINE:
        kind = entry.load()
        assert kind.name == entry.name
        assert kind.__name__ == entry.class_name
        assert entry.level in LEVELS
        assert (importlib.import_module(entry.module).__doc__ or "").strip(), entry.module


def test_every_pass_has_its_text_test() -> None:
    there = {path.stem for path in (ROOT / "tests" / "filecheck").rglob("*.mlir")}
    assert [entry.name for entry in PIPELINE if entry.name.replace("-", "_") not in there] == []


def test_every_pass_is_in_the_pipeline() -> None:
    modules = {entry.module for entry in PIPELINE}
    missing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "passes").rglob("*.py")
        if re.search(r"^class \w+\(ModulePass\b", path.read_text(), re.MULTILINE)
        and ".".join(path.relative_to(ROOT).with_suffix("").parts) not in modules
    ]
    assert missing == []


def test_no_module_imports_a_pass_for_its_helpers() -> None:
    passes = {entry.module for entry in PIPELINE}
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in (ROOT / "passes").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in passes
    ]
    assert found == []


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_load_under_their_names(name: str) -> None:
    assert get_all_dialects()[name]().name == name


def test_makefile_helps_with_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {line.split()[1] for line in shown.stdout.splitlines()} == targets


def test_nothing_is_larger_than_the_house_allows() -> None:
    files, lines, parameters = oversized(ROOT, [path for path in tracked() if path.suffix == ".py"])
    where = "is larger than tests/house_sizes.py allows, or listed there and no longer larger"
    assert set(files) ^ set(house_sizes.LONG_FILES) == set(), where
    assert set(lines) ^ set(house_sizes.LONG_FUNCTIONS) == set(), where
    assert set(parameters) ^ set(house_sizes.MANY_PARAMETERS) == set(), where


def test_the_lists_of_what_is_larger_only_shrink() -> None:
    """Whoever shortens a list lowers its number."""
    assert {name: len(getattr(house_sizes, name)) for name in house_sizes.MOST_LISTED} == house_sizes.MOST_LISTED


def test_what_is_larger_says_why() -> None:
    assert house_sizes.mute(ROOT) == []
