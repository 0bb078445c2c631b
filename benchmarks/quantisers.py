"""Small networks as many quantisers write them: ``make quantisers`` measures them and writes docs/quantisers.md.

    python benchmarks/quantisers.py              the files of tests/data/quantisers
    python benchmarks/quantisers.py FILE.onnx…   other files; prints the table and writes nothing

A row is one file: whether it is taken, the share of its multiply-accumulates on the machine, its answer beside ONNX
Runtime's without optimisation, how far ONNX Runtime's two ways are apart themselves, and the cycles over those of the
form that ``quantize_static`` writes of the same network.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from tools.driver import compile_model
from tools.quantise.losses import BEST, Difference, session
from tools.runtime import run_program

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "data" / "quantisers"
PAGE = ROOT / "docs" / "quantisers.md"
FORM = "ort_s8"
"""What ``quantize_static`` writes by default: the form that others are measured by."""

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass
class Row:
    """One file; ``problem`` where it is refused. ``ort`` is the program against ONNX Runtime, ``apart`` ONNX Runtime
    with optimisation against itself without, both in decibels, None where it cannot read the file."""

    name: str
    problem: str = ""
    share: float = 0.0
    cycles: int = 0
    ort: float | None = None
    apart: float | None = None
    host: str = ""

    @property
    def network(self) -> str:
        """The part of the name before the tool."""
        return self.name.partition("_")[0]


def measure(path: Path) -> Row:
    """The row of a file."""
    row = Row(path.stem)
    try:
        program = compile_model(path)
    except ReconError as error:
        row.problem = " ".join(str(error).split())
        return row
    (port,) = program.inputs
    random = np.random.default_rng(0)
    floats = port.dtype.startswith("float")
    values = random.standard_normal(port.shape) if floats else random.integers(-128, 128, port.shape)
    inputs = {port.name: values.astype(port.dtype)}
    result = run_program(program, inputs)
    s = result.statistics
    row.cycles, row.share = s.cycles, s.macs / (s.macs + s.host_macs)
    row.host = ", ".join(sorted({node[1] for segment in s.host for node in segment.nodes if node[0]}))
    plain = _answers(path, inputs, False)
    if plain is not None:
        row.ort = _decibels(plain, result.outputs)
        optimised = _answers(path, inputs, True)
        row.apart = _decibels(plain, optimised) if optimised is not None else None
    return row


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
    lines = ["| file | MACs on the machine | host | against ONNX Runtime | its two ways apart | cycles | ÷ its form |",
             "| --- | ---: | --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for row in rows:
        if row.problem:
            lines.append(f"| `{row.name}` | refused: {row.problem} | | | | | |")
            continue
        form = f"{row.cycles / forms[row.network]:.2f}" if forms.get(row.network) else "–"
        lines.append(
            f"| `{row.name}` | {row.share:.4f} | {row.host or '–'} | {_shown(row.ort)} | {_shown(row.apart)} | "
            f"{row.cycles:,} | {form} |"
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
* **÷ its form**: cycles over those of the form that `quantize_static` writes of the same network by default.

Where a file has no quantiser behind a function of a convolution, one is put in ([arithmetic.md](arithmetic.md)), and
rounds where the file does not; the decibels of such rows are what that costs. Rows whose scales are powers of two lose
some to ties, which are common there and fall either way.

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
