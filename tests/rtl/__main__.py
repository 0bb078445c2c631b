"""``make rtl``: the machine in RTL built, and every kind of program run on it and on the simulator.

python -m tests.rtl                      all
python -m tests.rtl --small 50 --timed 20 --networks 1
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rtl import bench
from sim.machine.errors import ReconError
from tests.rtl import cases
from tests.rtl.cases import NETWORKS
from tests.rtl.compare import Verdict, judge


def _row(what: str, verdicts: Sequence[Verdict], seconds: float) -> int:
    """Print a row of the table; how many programs differ."""
    late = [beyond for verdict in verdicts for _, _, beyond in verdict.late]
    differ = [verdict for verdict in verdicts if verdict.differences]
    print(
        f"{what:28} {len(verdicts):8} {sum(v.instructions for v in verdicts):12,} {sum(v.passes for v in verdicts):8,} "
        f"{sum(v.cycles for v in verdicts):12,} {len(late):6} {max(late, default=0):6} {len(differ):7} {seconds:6.1f}",
        flush=True,
    )
    for verdict in differ:
        print(f"  {verdict.name}:", *verdict.differences, sep="\n    ")
    return len(differ)


def main() -> int:
    """Build, run, compare, print; the exit code says whether all agree."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rtl", description="The machine in RTL against the simulator."
    )
    parser.add_argument("--small", type=int, default=400, help="small compiled programs (default: 400)")
    parser.add_argument("--timed", type=int, default=150, help="random programs for their time (default: 150)")
    parser.add_argument("--networks", type=int, default=len(NETWORKS), help="compiled networks (default: all)")
    chosen = parser.parse_args()
    start = time.perf_counter()
    try:
        bench.build(cases.MACHINE)
        print(f"built in {time.perf_counter() - start:.1f} s, machine {cases.MACHINE.name}")
        print(f"{'':28} programs instructions   passes       cycles   late  worst  differ      s")
        kinds = (
            ("small compiled programs", lambda: list(cases.small(range(chosen.small)))),
            ("random programs, time only", lambda: list(cases.timed(range(chosen.timed)))),
            ("compiled networks", lambda: [cases.network(name) for name in NETWORKS[: chosen.networks]]),
        )
        failed = 0
        for what, make in kinds:
            start = time.perf_counter()
            made = make()
            failed += _row(what, judge(made) if made else [], time.perf_counter() - start)
    except ReconError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("late: passes whose datapath was behind the law, by how many cycles at worst; docs/rtl.md says which and why")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
