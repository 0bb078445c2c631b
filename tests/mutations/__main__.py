"""Break good programs and see who notices.

    python -m tests.mutations --mutants 2000 --seed 1

Prints a table by kind of mutation. Exit status 1 when a harmful mutant is missed, a good program accused, or a kind has
too few harmful mutants to test anything.
"""

from __future__ import annotations

import argparse
import sys
import time

from sim.machine.assembly import line
from tests.mutations.table import Result, compare


def _show(result: Result, what: str) -> None:
    print(f"\nprogram {result.seed}, {result.kind}: {what}", file=sys.stderr)
    print(f"  really: {result.verdict}", file=sys.stderr)
    print(f"  proof: {result.proof or '-'}\n  sanitizer: {result.sanitizer or '-'}", file=sys.stderr)
    for index, (name, fields) in enumerate(result.records):
        print(f"  {index:3} {line(name, fields)}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description="Break good programs and see who notices."
    )
    parser.add_argument("--mutants", type=int, default=1000, help="mutants of all kinds together (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="decides everything (default 1)")
    parser.add_argument("--show", type=int, default=5, help="failures shown in full (default 5)")
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    table = compare(chosen.mutants, chosen.seed)
    print(table)
    for sentence in table.good_accused[: chosen.show]:
        print(sentence, file=sys.stderr)
    for result in table.missed[: chosen.show]:
        _show(result, f"missed by {' and '.join(result.missed)}")
    for result in table.accused[: chosen.show]:
        _show(result, f"accused by {' and '.join(result.accused)} without cause")
    if table.dull:
        print(f"too few harmful mutants: {', '.join(table.dull)}", file=sys.stderr)
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
    return 1 if table.failures or table.dull else 0


if __name__ == "__main__":
    sys.exit(main())
