"""Write the expected lines of a filecheck test anew, from what its commands print now.

    python -m tests.update_checks tests/filecheck/cnn/fold_pads.mlir

Every ``RUN`` line that ends in ``| filecheck %s`` is run, and the lines of its prefix are written again: all that was
printed, the first line of each function, plan and program as a ``-LABEL``, the others as ``-NEXT``. Numbered values
become captures, for their numbers say nothing; names stay. With ``--split-input-file`` each part of the output stands
above its part of the input. What a person wrote besides stays where it is, so the second run changes nothing. Read what
comes out before you keep it: the script writes what is, and a test says what shall be.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

FOLDER = Path(__file__).resolve().parent / "filecheck"
SPLIT = "// -----"
TRIES = 4
"""Once for the lines; again where errors name lines of the file, which the lines written have moved."""
_RUN = re.compile(r"^// RUN: (.*?)\s*\|\s*filecheck %s(.*)$")
_HEAD = re.compile(r"(func\.func|tile\.schedule|accel\.program) ")
_VALUE = re.compile(r"%\d+")


@dataclass(frozen=True)
class Run:
    """A command of a test, and the prefix of the lines that its output is compared with."""

    command: str
    prefix: str


class NoTest(Exception):
    """A file in which there is nothing to write anew, with the reason."""


def runs_of(text: str) -> list[Run]:
    """The commands of a test whose output is compared; NoTest if there are none, or two share a prefix."""
    found: list[Run] = []
    for line in text.splitlines():
        if (match := _RUN.match(line)) is None:
            continue
        words = shlex.split(match[2])
        if any(word.startswith("--check-prefixes") for word in words):
            raise NoTest("it compares with several prefixes at once, which only a person can divide")
        prefix = "CHECK"
        for at, word in enumerate(words):
            if word == "--check-prefix":
                prefix = words[at + 1]
            elif word.startswith("--check-prefix="):
                prefix = word.partition("=")[2]
        if all(run.prefix != prefix for run in found):
            found.append(Run(match[1], prefix))
    if not found:
        raise NoTest("no RUN line ends in '| filecheck %s'")
    return found


def settings() -> SimpleNamespace:
    """Substitutions and environment as lit has them for these tests."""
    config = SimpleNamespace(substitutions=[], environment={"PATH": os.environ["PATH"]})
    path = FOLDER / "lit.cfg.py"
    exec(compile(path.read_text(), str(path), "exec"), {"config": config, "__file__": str(path)})
    return config


def printed(run: Run, path: Path) -> str:
    """What the command of a test prints."""
    config = settings()
    command = run.command
    for name, meant in config.substitutions:
        command = command.replace(name, meant.partition(" | filecheck")[0])
    command = command.replace("%s", shlex.quote(str(path))).replace("%S", shlex.quote(str(path.parent)))
    not_ = 'not() { ! "$@"; }; '  # lit's own
    surroundings: Mapping[str, str] = {**os.environ, **config.environment}
    ended = subprocess.run(
        ["bash", "-c", not_ + command], capture_output=True, text=True, check=False, env=surroundings, cwd=FOLDER.parent
    )
    if not ended.stdout.strip():
        raise NoTest(f"'{run.command}' prints nothing{f': {ended.stderr.strip()}' if ended.stderr.strip() else ''}")
    return ended.stdout


def expected(output: str, prefix: str, name: str) -> list[str]:
    """The lines that a part of an output is compared with."""
    lines = [line.rstrip() for line in output.strip("\n").splitlines() if line.strip()]
    if lines and lines[0].startswith("builtin.module") and lines[-1] == "}":
        lines = lines[1:-1] if lines[0] == "builtin.module {" else lines[:-1]
    return list(_checks(lines, prefix, name))


def _checks(lines: list[str], prefix: str, name: str) -> Iterator[str]:
    known: dict[str, str] = {}
    for number, line in enumerate(lines):
        text = line.strip()
        head = _HEAD.match(text) is not None
        if head:
            known.clear()  # filecheck forgets nothing at a label, but numbers begin again there
        kind = "-LABEL" if head else "-NEXT" if number else ""
        yield f"// {prefix}{kind}: {_pattern(text, known, name)}"


def _pattern(line: str, known: dict[str, str], name: str) -> str:
    """The line as a pattern: what filecheck would read quoted, numbered values captured, the file's folder left out."""
    line = line.replace("{{", "{{[{][{]}}").replace("[[", "{{\\[\\[}}")
    line = re.sub(rf"\S*/{re.escape(name)}:\d+", lambda found: f"{{{{.*}}}}{found[0].rpartition('/')[2]}", line)

    def captured(found: re.Match[str]) -> str:
        value = found[0]
        if value in known:
            return f"[[{known[value]}]]"
        known[value] = f"V{value[1:]}"
        return f"[[{known[value]}:%.*]]"

    return _VALUE.sub(captured, line)


def updated(text: str, outputs: Mapping[str, str], name: str) -> str:
    """The test with the lines of these prefixes written anew from these outputs."""
    parts = text.split(f"{SPLIT}\n")
    for prefix, output in outputs.items():
        made = output.split(f"{SPLIT}\n")
        if len(parts) > 1 and len(made) != len(parts):
            raise NoTest(f"the input has {len(parts)} parts, and the output for {prefix} has {len(made)}")
        if len(parts) == 1:
            made = [output]
        parts = [_replaced(part, prefix, expected(one, prefix, name)) for part, one in zip(parts, made, strict=True)]
    return f"{SPLIT}\n".join(parts)


def _replaced(part: str, prefix: str, checks: list[str]) -> str:
    """A part of a test with other lines of a prefix: where the old ones began, else above its first line of code."""
    old = re.compile(rf"// {re.escape(prefix)}(-LABEL|-NEXT|-SAME|-NOT|-DAG|-EMPTY|-COUNT-\d+)?:")
    lines = part.split("\n")
    first = next((at for at, line in enumerate(lines) if old.match(line)), None)
    kept = [line for line in lines if not old.match(line)]
    if first is None:
        first = next((at for at, line in enumerate(kept) if line and not line.startswith("//")), len(kept))
    return "\n".join([*kept[:first], *checks, *kept[first:]])


def update(path: Path) -> bool:
    """Write a test's expected lines anew; whether that changed it."""
    began = text = path.read_text()
    for _ in range(TRIES):
        new = updated(text, {run.prefix: printed(run, path.resolve()) for run in runs_of(text)}, path.name)
        if new == text:
            return text != began
        text = new
        path.write_text(text)
    raise NoTest("what it prints is another thing every time")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.update_checks", description="Write the expected lines of filecheck tests anew."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.mlir")
    failed = False
    for path in parser.parse_args(arguments).files:
        try:
            print(f"{path}: {'written' if update(path) else 'as it was'}")
        except (NoTest, OSError) as reason:
            failed = True
            print(f"error: {path}: {reason}.", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
