"""Small networks as many quantisers write them: ``make quantisers`` measures them and writes docs/quantisers.md.

    python benchmarks/quantisers.py              the files of tests/data/quantisers
    python benchmarks/quantisers.py FILE.onnx…   other files; prints the table and writes nothing
    python benchmarks/quantisers.py --tools      also what tools write now, each in an environment of its own

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
import onnx
from onnx import helper
from quantiser_nets import NETS
from quantiser_tools import Written, quantisers, written

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


def measure(path: Path, bare: bool = True) -> Row:
    """The row of a file; with ``bare`` also of the program that was compiled without examples."""
    row = Row(path.stem)
    try:
        port = port_of(path)
        with tempfile.TemporaryDirectory() as folder:
            np.savez(samples := f"{folder}/samples.npz", _noise(port, 1, (EXAMPLES,)))
            program = compile_model(path, options=Planning(samples=samples))
        other = compile_model(path) if bare else program
    except ReconError as error:
        row.problem = " ".join(str(error).split())
        return row
    inputs = {port.name: _noise(port, 0)}
    plain, optimised = (_answers(path, inputs, each) for each in (False, True))
    row.bare_cycles, row.bare = _run(other, inputs, plain)[:2]
    row.cycles, row.ort, s = _run(program, inputs, plain)
    row.share = s.macs / (s.macs + s.host_macs)
    row.host = ", ".join(sorted({node[1] for segment in s.host for node in segment.nodes if node[0]}))
    if plain is not None and optimised is not None:
        row.apart = _decibels(plain, optimised)
    return row


def port_of(path: Path) -> Port:
    """The one input of a model."""
    model = onnx.load(path)
    constants = {item.name for item in model.graph.initializer}
    (value,) = (each for each in model.graph.input if each.name not in constants)
    kind = value.type.tensor_type
    shape = tuple(dim.dim_value or 1 for dim in kind.shape.dim)
    return Port(value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


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


TOOLS_HEAD = """
## As tools write it now

Written by `make quantisers QUANTISERS_ARGS=--tools`: four small networks
([quantiser_nets.py](../benchmarks/quantiser_nets.py): residual; inverted residuals; a detector with SiLU,
concatenation, upsampling and two float heads; squeeze-excite with hard-swish) by tools in environments of their own,
with pinned packages ([quantiser_tools.toml](../benchmarks/quantiser_tools.toml)).

A cell: decibels against ONNX Runtime without optimisation, what its two ways are apart in brackets, cycles over those
of the form of `onnxruntime` `s8`, and the share of multiply-accumulates on the machine where it is not all.

"""


def tools_table(found: Sequence[tuple[Written, Row | None]]) -> str:
    """A row per tool and setting, a column per network."""
    forms = {made.network: row.cycles for made, row in found if row and (made.tool, made.setting) == TOOL_FORM}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for made, row in found:
        cells.setdefault((made.tool, made.setting), {})[made.network] = _cell(made, row, forms.get(made.network))
    lines = [f"| tool | setting | {' | '.join(NETS)} |", f"| --- | --- |{' --- |' * len(NETS)}"]
    for (tool, setting), by_network in cells.items():
        values = " | ".join(by_network.get(network, by_network.get("", "")) for network in NETS)
        lines.append(f"| {tool} | {setting} | {values} |")
    return "\n".join(lines)


TOOL_FORM = ("onnxruntime", "s8")
"""The tool and the setting by whose cycles others are measured."""


def _cell(made: Written, row: Row | None, form: int | None) -> str:
    if row is None or row.problem:
        return f"the tool failed: {made.problem}" if row is None else f"refused: {row.problem}"
    over = f", {row.cycles / form:.2f}" if form else ""
    share = f", {row.share:.4f} of the MACs" if row.share < 1 else ""
    return f"{_shown(row.ort)} ({_shown(row.apart)}){over}{share}"


def tools() -> str:
    """The section of the page about tools: they write, and what they wrote is measured."""
    found: list[tuple[Written, Row | None]] = []
    for tool in quantisers():
        for made in written(tool):
            row = None if made.problem else measure(made.path, bare=False)
            found.append((made, row))
            print(f"{made.tool} {made.setting} {made.network}: {_cell(made, row, None)}", flush=True)
    return TOOLS_HEAD + tools_table(found) + "\n"


def main() -> int:
    """Measure and write; 1 when a file is refused."""
    given = [Path(name) for name in sys.argv[1:] if name != "--tools"]
    rows = [measure(path) for path in given or sorted(FILES.glob("*.onnx"))]
    print(table(rows))
    if not given:
        before = PAGE.read_text(encoding="utf-8").partition(TOOLS_HEAD.strip().partition("\n")[0])
        section = tools() if "--tools" in sys.argv else "\n" + before[1] + before[2] if before[1] else ""
        PAGE.write_text(HEAD + table(rows) + "\n" + section, encoding="utf-8")
    return 1 if any(row.problem for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
