"""Fuzz every reader, each in a process of its own, and print a table.

    python -m tests.fuzz --runs 20000 --seed 3
    python -m tests.fuzz --readers model text --keep build/fuzz

Exit status 1 after a finding; ``--keep`` is the folder that receives the inputs. ``make fuzz`` installs what it needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

CORPUS = Path(__file__).parent / "corpus"

NAMES = ("program", "head", "code", "assembly", "machine", "space", "text", "constants", "model", "array", "picture")
"""All readers; ``tests.fuzz.readers`` says what each is."""


@dataclass
class Fuzzed:
    """What became of one reader: inputs tried, and findings by what went wrong where."""

    reader: str
    executions: int = 0
    taken: int = 0
    refused: int = 0
    findings: dict[str, str] = field(default_factory=dict[str, str])


def installed() -> bool:
    """Whether the fuzzer is there: it is an extra."""
    from importlib.util import find_spec

    return find_spec("atheris") is not None


def fuzz(readers: Sequence[str], runs: int, seed: int, keep: Path) -> Iterator[Fuzzed]:
    """Each reader with so many inputs, from its corpus on."""
    for name in readers:
        folder = keep / name
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        for path in (CORPUS / name).glob("*"):
            (folder / "corpus" / path.name).write_bytes(path.read_bytes())
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(runs), str(seed), str(folder)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        lines = [line for line in ended.stdout.splitlines() if line.startswith('{"executions"')]
        made = Fuzzed(name, **json.loads(lines[-1])) if lines else Fuzzed(name)
        if ended.returncode or not lines:
            said = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            made.findings["the process"] = f"It ended with {ended.returncode}: {said[:300]}"
        yield made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz every reader.")
    parser.add_argument("--runs", type=int, default=5000, help="inputs for each reader (default 5000)")
    parser.add_argument("--seed", type=int, default=1, help="decides every input (default 1)")
    parser.add_argument("--readers", nargs="+", choices=NAMES, default=NAMES, help="which (default all)")
    parser.add_argument("--keep", type=Path, help="folder for the inputs made and the findings")
    chosen = parser.parse_args(arguments)
    if not installed():
        print("atheris is not installed; 'make fuzz' installs it.", file=sys.stderr)
        return 1
    wrong = 0
    print(f"{'reader':10} {'executions':>10} {'taken':>8} {'refused':>8} {'findings':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for one in fuzz(chosen.readers, chosen.runs, chosen.seed, chosen.keep or Path(folder)):
            print(
                f"{one.reader:10} {one.executions:10,} {one.taken:8,} {one.refused:8,} {len(one.findings):8,}",
                flush=True,
            )
            for where, what in one.findings.items():
                print(f"  {where}: {what}", flush=True)
            wrong += len(one.findings)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
