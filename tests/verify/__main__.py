"""Run every check and print one table.

    python -m tests.verify --length short
    python -m tests.verify --length normal --mutants 5000 --seed 7

Exit status 1 when anything failed. ``make verify LENGTH=long`` does the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time

from tests.verify.checks import PARTS
from tests.verify.lengths import LENGTHS, Length
from tests.verify.tally import Tally

NUMBERS = (
    "inputs",
    "operators",
    "plans",
    "mutants",
    "proofs",
    "programs",
    "surroundings",
    "texts",
    "cases",
    "graphs",
    "named",
    "fuzzed",
    "flips",
    "broken",
    "kills",
    "seed",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description="Run every check, print one table.")
    parser.add_argument("--length", choices=LENGTHS, default="normal", help="how much is tried (default normal)")
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=int, help=f"instead of the length's number of {name}")
    chosen = parser.parse_args(arguments)
    numbers = {name: getattr(chosen, name) for name in NUMBERS if getattr(chosen, name) is not None}
    began = time.monotonic()
    tally = verify(dataclasses.replace(LENGTHS[chosen.length], **numbers))
    width = max(len(what) for what, _ in tally.rows())
    print(f"\n{'check'.ljust(width)}  {chosen.length}\n{'-' * width}  {'-' * 20}")
    for what, count in tally.rows():
        print(f"{what.ljust(width)}  {count}")
    for table in tally.tables:
        print(f"\n{table}")
    for failure in tally.failures:
        print(f"failure: {failure}", file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if tally.failures else 0


def verify(length: Length) -> Tally:
    """All parts in order; on a terminal, what is being done."""
    tally = Tally()
    live = sys.stderr.isatty()

    def say(what: str) -> None:
        if live:
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)

    for part in PARTS:
        part(length, tally, say)
    say("")
    return tally


if __name__ == "__main__":
    sys.exit(main())
