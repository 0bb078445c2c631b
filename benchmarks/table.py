"""How near the schedules come to the bound, network by network: part of ``make bench``.

    python benchmarks/table.py                              everything; takes some minutes
    python benchmarks/table.py --quick                      three small networks and short chains
    python benchmarks/table.py --only resnet50 yolov3-416   these networks of ``networks.py``

Float networks with seeded weights, quantised with made-up scales: neither changes a cycle. A row is one network on one
machine; ``bound2`` counts all SRAM of the machine, also where the plan may use less; ``=`` says that the planned cycles
are those of the simulator. Nothing is asserted; the demands are printed with what was measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from cost import Cost
from demands import ALL, DENSE, WINOGRAD, lines
from figures import VARIANTS, Figures, Growth, Results, compile_cost, geometric_mean, growth, network_figures
from networks import parse

QUICK = ("squeezenet", "yolov3_tiny-416", "mobilenetv1-224")
CHAINS = (10, 30, 100, 300, 1000)


def machines(names: Sequence[str]) -> Results:
    """Plan every network for every machine, and print a row for each."""
    results: Results = {}
    print(
        f"{'network':18}{'machine':28}{'cycles':>12}{'÷ bound':>9}{'÷ bound2':>9}{'÷ bound3':>9}{'DRAM MB':>9}  planned"
    )
    for name in names:
        row = results[name] = {}
        for variant, found in network_figures(name, any(name == each for each, _, _ in WINOGRAD)):
            row[variant] = found
            if found.problem:
                print(f"{name:18}{variant:28}refused: {found.problem}", flush=True)
                continue
            planned = "=" if found.predicted == found.cycles else f"{found.predicted:,}"
            print(
                f"{name:18}{variant:28}{found.cycles:12,}{found.per_bound:9.3f}{found.per_bound2:9.3f}"
                f"{found.per_bound3:9.3f}{found.dram_bytes / 1e6:9.2f}  {planned}",
                flush=True,
            )
    for title, group in (("dense nets", DENSE), ("all nets", tuple(names))):
        for variant in VARIANTS:
            _mean(title, variant, [row[variant] for name, row in results.items() if name in group])
    return results


def _mean(title: str, variant: str, rows: Iterable[Figures]) -> None:
    done = [found for found in rows if not found.problem]
    if done:
        bound = geometric_mean(found.per_bound for found in done)
        bound2 = geometric_mean(found.per_bound2 for found in done)
        bound3 = geometric_mean(found.per_bound3 for found in done)
        print(f"{title:18}{variant:28}{'geom. mean':>12}{bound:9.3f}{bound2:9.3f}{bound3:9.3f}")


def fixed(results: Results) -> None:
    """What one configuration costs, and by which terms of the critical path."""
    print(f"\n{'network':18}{'fixed ÷ edge4k':>14}  largest changes of the critical path, in cycles")
    for name, row in results.items():
        free, bound = row["edge4k"], row["edge4k-fixed"]
        if free.terms is None or bound.terms is None:
            continue
        changes = {term: bound.terms[term] - free.terms[term] for term in free.terms}
        largest = sorted(changes, key=lambda term: -abs(changes[term]))[:3]
        text = ", ".join(f"{term} {changes[term]:+,}" for term in largest if changes[term])
        print(f"{name:18}{bound.cycles / free.cycles:14.2f}  {text}")


def costs(names: Sequence[str]) -> dict[str, Cost]:
    """What compiling each network takes, in a process of its own."""
    found: dict[str, Cost] = {}
    print(f"\n{'compile -O2':18}{'CPU s':>8}{'s':>8}{'MB':>8}")
    for name in names:
        found[name] = cost = compile_cost(name)
        print(f"{name:18}{cost.cpu:8.2f}{cost.wall:8.2f}{cost.memory * 1.048576:8.0f}", flush=True)
    return found


def chains(lengths: Sequence[int]) -> list[Growth]:
    """How compile time grows with depth."""
    found: list[Growth] = []
    print(f"\n{'convolutions':>12}{'CPU s':>8}{'µs / (n log2 n)':>18}")
    for each in growth(lengths):
        found.append(each)
        print(f"{each.length:12}{each.seconds:8.2f}{each.per_n_log_n:18.1f}", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How near the schedules come to the bound.")
    parser.add_argument("--quick", action="store_true", help="three small networks and short chains")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks, and no chains")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.only or (QUICK if arguments.quick else ALL)
    for name in names:
        try:
            parse(name)
        except ValueError as error:
            parser.error(str(error))
    results = machines(names)
    fixed(results)
    spent = costs(names)
    grown = [] if arguments.only else chains(CHAINS[:3] if arguments.quick else CHAINS)
    print("\nDemands")
    for line in lines(results, spent, grown):
        print(line)


if __name__ == "__main__":
    main()
