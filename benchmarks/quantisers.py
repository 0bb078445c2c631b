"""Small networks as many quantisers write them: ``make quantisers`` measures them and writes docs/quantisers.md.

    python benchmarks/quantisers.py              the files of tests/data/quantisers
    python benchmarks/quantisers.py FILE.onnx…   other files; prints the table and writes nothing

A row is one file: whether it is taken, the share of its multiply-accumulates on the machine, its answer beside ONNX
Runtime's without optimisation, how far ONNX Runtime's two ways are apart themselves, and the cycles over those of the
form that ``quantize_static`` writes of the same network. Quantisers that the compiler puts in take their ranges from
examples, of the noise that the networks were calibrated on; what they take without stands beside it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.program import Port, Program
from sim.statistics import Statistics
from tools.driver import compile_model
from tools.options import Planning
from tools.quantise.losses import BEST, Difference, session
from tools.runtime import run_program

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "data" / "quantisers"
PAGE = ROOT / "docs" / "quantisers.md"
FORM = "ort_s8"
"""What ``quantize_static`` writes by default: the form that others are measured by."""

EXAMPLES = 16
"""Samples of noise on which ranges of quantisers put in are measured; none of them is the one that is run."""

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass
class Row:
    """One file; ``problem`` where it is refused. ``ort`` is the program against ONNX Runtime, ``apart`` ONNX Runtime
    with optimisation against itself without, both in decibels, None where it cannot read the file; ``bare`` and
    ``bare_cycles`` are ``ort`` and ``cycles`` of the program that was compiled without examples."""

    name: str
    problem: str = ""
    share: float = 0.0
    cycles: int = 0
    ort: float | None = None
    apart: float | None = None
    bare: float | None = None
    bare_cycles: int = 0
    host: str = ""

    @property
    def network(self) -> str:
        """The part of the name before the tool."""
        return self.name.partition("_")[0]


def measure(path: Path) -> Row:
    """The row of a file."""
    row = Row(path.stem)
    try:
        bare = compile_model(path)
        (port,) = bare.inputs
        with tempfile.TemporaryDirectory() as folder:
            np.savez(samples := f"{folder}/samples.npz", _noise(port, 1, (EXAMPLES,)))
            program = compile_model(path, options=Planning(samples=samples))
    except ReconError as error:
        row.problem = " ".join(str(error).split())
        return row
    inputs = {port.name: _noise(port, 0)}
    plain, optimised = (_answers(path, inputs, each) for each in (False, True))
    row.bare_cycles, row.bare = _run(bare, inputs, plain)[:2]
    row.cycles, row.ort, s = _run(program, inputs, plain)
    row.share = s.macs / (s.macs + s.host_macs)
    row.host = ", ".join(sorted({node[1] for segment in s.host for node in segment.nodes if node[0]}))
    if plain is not None and optimised is not None:
        row.apart = _decibels(plain, optimised)
    return row


def _run(program: Program, inputs: Tensors, wanted: Tensors | None) -> tuple[int, float | None, Statistics]:
    result = run_program(program, inputs)
    return result.statistics.cycles, None if wanted is None else _decibels(wanted, result.outputs), result.statistics


def _noise(port: Port, seed: int, lead: tuple[int, ...] = ()) -> npt.NDArray[Any]:
    """Normal floats, or any codes."""
    random = np.random.default_rng(seed)
    shape = (*lead, *port.shape)
    floats = port.dtype.startswith("float")
    return (random.standard_normal(shape) if floats else random.integers(-128, 128, shape)).astype(port.dtype)


def _answers(path: Path, inputs: Tensors, optimised: bool) -> Tensors | None:
    """ONNX Runtime's outputs; None for a file that it cannot read."""
    try:
        run = session(path, optimised)
    except Exception:  # ONNX Runtime's exceptions share no base class
        return None
    names = [output.name for output in run.get_outputs()]
    return dict(zip(names, run.run(names, dict(inputs)), strict=True))


def _decibels(exact: Tensors, other: Tensors) -> float:
    found: list[float] = []
    for name, values in exact.items():
        difference = Difference(name)
        difference.add(values, other[name].reshape(values.shape))
        found.append(difference.decibels)
    return min(found)


def table(rows: Sequence[Row]) -> str:
    """The table as Markdown."""
    forms = {row.network: row.cycles for row in rows if row.name == f"{row.network}_{FORM}"}
    lines = ["| file | MACs on the machine | host | against ONNX Runtime | its two ways apart | cycles | ÷ its form | "
             "without examples | ÷ its form |",
             "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for row in rows:
        if row.problem:
            lines.append(f"| `{row.name}` | refused: {row.problem} | | | | | | | |")
            continue
        form = forms.get(row.network)
        over = [f"{cycles / form:.2f}" if form else "–" for cycles in (row.cycles, row.bare_cycles)]
        same = (row.bare, row.bare_cycles) == (row.ort, row.cycles)
        without = "| |" if same else f"{_shown(row.bare)} | {over[1]} |"
        lines.append(
            f"| `{row.name}` | {row.share:.4f} | {row.host or '–'} | {_shown(row.ort)} | {_shown(row.apart)} | "
            f"{row.cycles:,} | {over[0]} | {without}"
        )
    return "\n".join(lines)


def _shown(decibels: float | None) -> str:
    if decibels is None:
        return "cannot run it"
    return "equal" if decibels >= BEST else f"{decibels:.1f} dB"


HEAD = """# As quantisers write it

Written by `make quantisers`: two small networks, `res` (residual) and `mb3` (like MobileNetV3), as the tools named in
[tests/data/quantisers](../tests/data/quantisers/README.md) wrote them, compiled for edge4k and run on noise.

* **against ONNX Runtime**: signal to noise of the program's output, ONNX Runtime without optimisation being the signal;
* **its two ways apart**: the same of ONNX Runtime with optimisation (integer kernels) against itself without (float);
* **÷ its form**: cycles over those of the form that `quantize_static` writes of the same network by default;
* **without examples**: the same two where the compiler was given none (`--data`, `--images`).

Where a file leaves a value in float that the machine hands on, a quantiser is put in ([arithmetic.md](arithmetic.md)),
and rounds where the file does not; the decibels of such rows are what that costs. Its range comes from 16 examples of
the noise that the networks were calibrated on, without them from the file; where the file says nothing of a range, the
host computes. Codes of 7 bits (`qat_pt_leg`) and scales that are powers of two lose most to single steps: one step of
one of its ten outputs is 37 dB, and a bias in float is rounded to 32 bits in units of input scale times weight scale.

"""


def main() -> int:
    """Measure and write; 1 when a file is refused."""
    given = [Path(name) for name in sys.argv[1:]]
    rows = [measure(path) for path in given or sorted(FILES.glob("*.onnx"))]
    print(table(rows))
    if not given:
        PAGE.write_text(HEAD + table(rows) + "\n", encoding="utf-8")
    return 1 if any(row.problem for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
