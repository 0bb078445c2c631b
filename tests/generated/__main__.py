"""Hunt for models on which compiler, simulator and oracle disagree.

    python -m tests.generated --cases 2000 --seed 7
    python -m tests.generated --minutes 60            a soak: seed after seed until the time is over

A failing model shrinks and stays in build/failing.onnx, its inputs beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.generated.judge import hunt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.generated", description="Models at random, hunted.")
    parser.add_argument("--cases", type=int, default=200, help="models per seed (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--minutes", type=float, default=0, help="go on with other seeds for so long")
    chosen = parser.parse_args()
    end, seed, verdicts = time.monotonic() + 60 * chosen.minutes, chosen.seed, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        while True:
            try:
                verdicts += hunt(chosen.cases, seed, Path(folder), _say(seed))
            except AssertionError as error:
                print(f"\nseed {seed}: {error}", file=sys.stderr)
                return 1
            seed += 1
            if time.monotonic() >= end:
                break
    print(", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.items()))
    return 0


def _say(seed: int):
    live = sys.stderr.isatty()
    return lambda done: print(f"\rseed {seed}: {done:,}", end="", file=sys.stderr, flush=True) if live else None


if __name__ == "__main__":
    sys.exit(main())
