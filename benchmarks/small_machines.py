"""Networks on small machines: refused or not, cycles over the bound, DRAM bytes. ``make small``.

    python benchmarks/small_machines.py                                     everything; takes long
    python benchmarks/small_machines.py --only resnet50 unet-512            these networks of ``networks.py``
    python benchmarks/small_machines.py --machines edge1k/512KiB edge4k     these machines, ``/`` before an SRAM limit

As in ``table.py``: seeded weights, made-up scales, nothing asserted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from demands import ALL
from figures import Figures, figures, geometric_mean
from networks import cached, parse

from passes.planner.options import sram_bytes
from tools.options import Planning
from tools.reports.compare import Study

PICTURES = (
    "mobilenetv3_large-224",
    "efficientnet_b0-224",
    "resnet18-224",
    "unet-512",
    "fsrcnn-540",
    "fcn_resnet50-256",
    "yolov3-1440",
    "vgg19_features-1024",
    "mobilenetv2_wide-1080",
)
"""Networks beside the benchmark's own: newer ones, and large pictures."""

MACHINES = (
    "edge4k",
    *(f"edge4k/{limit}" for limit in ("2MiB", "1MiB", "512KiB", "256KiB")),
    "edge1k",
    *(f"edge1k/{limit}" for limit in ("1MiB", "512KiB", "256KiB", "128KiB")),
    "micro256",
    "nvdla-large",
)
"""Machines, each with the SRAM its plans may use."""


def row(study: Study, variant: str) -> tuple[Figures, float]:
    """One network on one machine, and the CPU seconds it took."""
    machine, _, limit = variant.partition("/")
    start = time.process_time()
    found = figures(study, machine, Planning(sram_limit=sram_bytes(limit) if limit else 0))
    return found, time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Networks on small machines.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[*ALL, *PICTURES], help="these networks")
    parser.add_argument("--machines", nargs="+", metavar="MACHINE", default=MACHINES, help="MACHINE or MACHINE/LIMIT")
    arguments = parser.parse_args()
    names: Sequence[str] = arguments.only
    for name in names:
        try:
            parse(name)
        except ValueError as error:
            parser.error(str(error))
    results: dict[str, list[Figures]] = {variant: [] for variant in arguments.machines}
    print(f"{'network':23}{'machine':18}{'cycles':>13}{'÷ bound':>9}{'÷ bound3':>9}{'DRAM MB':>9}{'CPU s':>7}")
    for name in names:
        study = Study(cached(name), assume_int8=True)
        for variant in arguments.machines:
            found, seconds = row(study, variant)
            results[variant].append(found)
            if found.problem:
                print(f"{name:23}{variant:18}refused: {found.problem}", flush=True)
                continue
            print(
                f"{name:23}{variant:18}{found.cycles:13,}{found.per_bound:9.3f}{found.per_bound3:9.3f}"
                f"{found.dram_bytes / 1e6:9.2f}{seconds:7.1f}",
                flush=True,
            )
    print(f"\n{'machine':18}{'refused':>9}{'geometric mean ÷ bound':>24}{'÷ bound3':>10}")
    for variant, found in results.items():
        done = [each for each in found if not each.problem]
        means = [geometric_mean(values) for values in ([e.per_bound for e in done], [e.per_bound3 for e in done])]
        print(f"{variant:18}{len(found) - len(done):9}{means[0]:24.3f}{means[1]:10.3f}")


if __name__ == "__main__":
    main()
