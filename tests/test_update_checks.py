"""Expected lines written by the script: they pass, they stay when it runs again, and a change shows in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.update_checks import NoTest, main, runs_of, updated

TEST = """\
// Tables join; what a person wrote stays.
// RUN: recon-opt %s -p fuse-activations | filecheck %s
// RUN: recon-opt %s | filecheck %s --check-prefix=PLAIN

// CHECK: whatever stood here
!t = !cnn.tensor<1x4x4x4, scale 0.5, zero 0>
func.func @main(%x: !t) -> !t {
  %0 = cnn.table %x table <256xi8, seed 1> layer "a"
  // A remark between.
  %1 = cnn.table %0 table <256xi8, seed 2> layer "b"
  func.return %1 : !t
}
"""


def passes(path: Path) -> bool:
    """Whether lit says that the test passes, with the settings of the project's own."""
    surroundings = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in path.read_text().splitlines():
        if line.startswith("// RUN: "):
            command = line.removeprefix("// RUN: ").replace("%s", str(path))
            ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False,
                                   cwd=ROOT, env={**surroundings, "PYTHONPATH": str(ROOT)})  # fmt: skip
            if ended.returncode:
                return False
    return True


@pytest.fixture
def test_file(tmp_path: Path) -> Path:
    path = tmp_path / "tables.mlir"
    path.write_text(TEST)
    return path


def test_lines_are_written_and_stay(test_file: Path) -> None:
    assert main([str(test_file)]) == 0
    text = test_file.read_text()
    kind = "!cnn.tensor<1x4x4x4, scale 0.5, zero 0>"
    assert text.split("!t = ")[0] == (
        "// Tables join; what a person wrote stays.\n"
        "// RUN: recon-opt %s -p fuse-activations | filecheck %s\n"
        "// RUN: recon-opt %s | filecheck %s --check-prefix=PLAIN\n\n"
        f"// CHECK-LABEL: func.func @main(%x: {kind}) -> {kind} {{\n"
        '// CHECK-NEXT: [[V0:%.*]] = cnn.table %x table <256xi8, "sha256:'
        + text.partition('"sha256:')[2].partition("\n")[0]
        + "\n"
        f"// CHECK-NEXT: func.return [[V0]] : {kind}\n// CHECK-NEXT: }}\n"
        f"// PLAIN-LABEL: func.func @main(%x: {kind}) -> {kind} {{\n"
        '// PLAIN-NEXT: [[V0:%.*]] = cnn.table %x table <256xi8, seed 1> layer "a"\n'
        '// PLAIN-NEXT: [[V1:%.*]] = cnn.table [[V0]] table <256xi8, seed 2> layer "b"\n'
        f"// PLAIN-NEXT: func.return [[V1]] : {kind}\n// PLAIN-NEXT: }}\n"
    )
    assert text.split("!t = ")[1] == TEST.split("!t = ")[1]
    assert passes(test_file)
    assert main([str(test_file)]) == 0
    assert test_file.read_text() == text


def test_a_change_is_noticed_and_written(test_file: Path) -> None:
    lines = test_file.read_text().replace("-p fuse-activations ", "").splitlines(keepends=True)
    test_file.write_text("".join(line for line in lines if "PLAIN" not in line))
    main([str(test_file)])
    test_file.write_text(test_file.read_text().replace('"b"\n  func', '"c"\n  func'))
    assert not passes(test_file)
    main([str(test_file)])
    assert passes(test_file)


def test_parts_stand_above_their_own(tmp_path: Path) -> None:
    text = "// RUN: recon-opt %s --split-input-file | filecheck %s\n\na\n// -----\n// One more.\nb\n"
    output = "builtin.module {\n  %0 = x\n}\n// -----\nbuiltin.module {\n  %0 = y {{1}} [[2]]\n  z %0\n}\n"
    once = updated(text, {"CHECK": output}, "x.mlir")
    assert once == (
        "// RUN: recon-opt %s --split-input-file | filecheck %s\n\n// CHECK: [[V0:%.*]] = x\na\n// -----\n"
        "// One more.\n"
        "// CHECK: [[V0:%.*]] = y {{[{][{]}}1}} {{\\[\\[}}2]]\n// CHECK-NEXT: z [[V0]]\nb\n"
    )
    assert updated(once, {"CHECK": output}, "x.mlir") == once
    with pytest.raises(NoTest, match="the input has 2 parts, and the output for CHECK has 1"):
        updated(text, {"CHECK": "x\n"}, "x.mlir")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("// RUN: recon-opt %s\n", "no RUN line ends in '| filecheck %s'"),
        ("// RUN: recon-opt %s | filecheck %s --check-prefixes=A,B\n",
         "it compares with several prefixes at once, which only a person can divide"),
    ],
)  # fmt: skip
def test_what_it_cannot_write(tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.mlir"
    path.write_text(text)
    assert main([str(path)]) == 1
    assert capsys.readouterr().err == f"error: {path}: {message}.\n"
    assert path.read_text() == text


def test_errors_are_expected_lines_as_well(tmp_path: Path) -> None:
    path = tmp_path / "bad.mlir"
    path.write_text("// RUN: not recon-opt %s 2>&1 | filecheck %s\n\nqq.qqq\n")
    assert main([str(path)]) == 0
    assert path.read_text() == (
        "// RUN: not recon-opt %s 2>&1 | filecheck %s\n\n"
        "// CHECK: {{.*}}bad.mlir:6:1: error: Operation qq.qqq is not registered\n"
        "// CHECK-NEXT: qq.qqq\n// CHECK-NEXT: ^^^^^^\nqq.qqq\n"
    )


def test_every_command_of_the_tests_is_understood() -> None:
    """Those of the project that compare with one prefix; the script finds the commands in each."""
    found = 0
    for path in (ROOT / "tests" / "filecheck").rglob("*.mlir"):
        if "--check-prefixes" not in path.read_text() and "filecheck %s" in path.read_text():
            found += len(runs_of(path.read_text()))
    assert found >= 30


def test_make_filecheck_shows_why_a_test_fails(tmp_path: Path) -> None:
    """The command of the Makefile, on a folder with one test that is not met."""
    (command,) = re.findall(r"^\t@\$\(BIN\)/(lit .*) tests/filecheck$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shutil.copy(ROOT / "tests" / "filecheck" / "lit.cfg.py", tmp_path)
    (tmp_path / "tables.mlir").write_text(TEST)
    binaries = Path(sys.executable).parent
    ended = subprocess.run([str(binaries / "lit"), *command.split()[1:], str(tmp_path)], capture_output=True, text=True,
                           check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert ended.returncode == 1
    assert f'{tmp_path / "tables.mlir"}:5: error: Couldn\'t match "whatever stood here".' in ended.stdout
