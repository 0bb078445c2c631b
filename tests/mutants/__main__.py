"""Mutate our own source and see which tests notice.

    python -m tests.mutants --sample 30 --seed 1
    python -m tests.mutants --areas laws clock --sample 100

Draws that many mutants of each area, prints a table and every survivor that is not known as equivalent; exit status 1
below ``ENOUGH``. ``make mutants`` installs mutmut, whose mutations these are.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tests.mutants.areas import AREAS, NAMED, Area
from tests.mutants.equivalent import EQUIVALENT

ROOT = Path(__file__).resolve().parent.parent.parent
ENOUGH = 0.95
SECONDS = 240
"""Seconds of processor time that the tests of one mutant may take; a mutant that takes longer is noticed."""

ONCE = "once"
"""The area of the mutants that once survived."""

KILLED, SURVIVED, KNOWN = "killed", "survived", "equivalent"


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed, and the lines that differ."""

    file: str
    source: str
    before: str
    after: str

    @property
    def known(self) -> str:
        """Why no test can kill it, "" if one should."""
        return EQUIVALENT.get((self.file, self.before, self.after), "")


def drawn(area: Area, count: int, seed: int) -> list[Mutant]:
    """So many mutants of the area, the same for the same seed and source."""
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    every: list[tuple[str, str, Any, Any]] = []
    for file in area.modules:
        code = (ROOT / file).read_text()
        module, mutations, _, _ = create_mutations(file, code)
        every += [(file, code, module, mutation) for mutation in mutations]
    dice = random.Random(f"{seed} {' '.join(area.modules)}")
    made: list[Mutant] = []
    for file, code, module, mutation in dice.sample(every, len(every)):
        source = deep_replace(module, mutation.original_node, mutation.mutated_node).code
        before, after = _difference(code, source)
        if before != after:
            made.append(Mutant(file, source, before, after))
        if len(made) == count:
            break
    return made


def _difference(code: str, source: str) -> tuple[str, str]:
    """The lines that differ, of either text, as one line each."""
    lines = list(difflib.unified_diff(code.splitlines(), source.splitlines(), n=0, lineterm=""))[2:]
    before, after = (
        " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in ("-", "+")
    )  # fmt: skip
    return before, after


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from another source than its file's."""

    source = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant):
        self.name = mutant.file.removesuffix(".py").replace("/", ".")
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        loader = _Mutated(fullname, str(ROOT / self.mutant.file))
        loader.source = self.mutant.source
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


def survives(mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Whether all tests pass with the mutant (or with none), in a child of this process."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    import pytest

    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    code = 1
    with contextlib.suppress(BaseException):
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=200"]
        code = pytest.main([*tests, *options, "-W", "ignore::pytest.PytestAssertRewriteWarning"])
    os._exit(min(int(code), 100))


def named() -> Iterator[tuple[Mutant, str]]:
    """The mutants that once survived, and what becomes of them."""
    for file, before, after, tests in NAMED:
        code = (ROOT / file).read_text()
        if code.count(before) != 1:
            raise ValueError(f"{file} holds {before!r} {code.count(before)} times")
        mutant = Mutant(file, code.replace(before, after), before, after)
        yield mutant, SURVIVED if survives(mutant, tests) else KILLED


def judged(area: Area, count: int, seed: int) -> Iterator[tuple[Mutant, str]]:
    """Each mutant drawn, and what became of it."""
    for mutant in drawn(area, count, seed):
        yield mutant, KNOWN if mutant.known else SURVIVED if survives(mutant, area.tests) else KILLED


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Mutate our own source.")
    parser.add_argument("--sample", type=int, default=30, help="mutants of each area (default 30)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--areas", nargs="+", choices=(ONCE, *AREAS), default=(ONCE, *AREAS))
    chosen = parser.parse_args(arguments)
    for name in ("numpy", "onnx", "onnxruntime", "xdsl.dialects.builtin", "hypothesis", "pytest", "rich"):
        importlib.import_module(name)  # once, before the processes part
    print(f"{'area':<12}{'mutants':>9}{'killed':>9}{'equivalent':>12}{'survived':>10}", flush=True)
    totals = dict.fromkeys((KILLED, KNOWN, SURVIVED), 0)
    for name in chosen.areas:
        if name in AREAS and not survives(None, AREAS[name].tests):
            print(f"the tests of '{name}' fail without a mutant", file=sys.stderr)
            return 1
        counts = dict.fromkeys(totals, 0)
        for mutant, what in judged(AREAS[name], chosen.sample, chosen.seed) if name in AREAS else named():
            counts[what] += 1
            totals[what] += 1
            if what == SURVIVED:
                print(f"  {mutant.file}\n    - {mutant.before}\n    + {mutant.after}", flush=True)
        print(_row(name, counts), flush=True)
    print(_row("all", totals))
    return 0 if totals[KILLED] >= ENOUGH * (totals[KILLED] + totals[SURVIVED]) else 1


def _row(name: str, counts: dict[str, int]) -> str:
    return f"{name:<12}{sum(counts.values()):>9}{counts[KILLED]:>9}{counts[KNOWN]:>12}{counts[SURVIVED]:>10}"


if __name__ == "__main__":
    sys.exit(main())
