"""recon from Python: compile an ONNX model, run the program, compare machines.

    import recon

    program = recon.compile("model.onnx", machine="edge1k")
    result = recon.run(program, {"input": array})
    result.outputs["output"], result.statistics.cycles

This module is the one name to import; the packages behind it (``tools``, ``sim``, …) have plain names that a project
may well have too. So they are imported when something is asked for, and only after a look at whose they are: an
ImportError says in a sentence which folder is in the way. All functions are pure functions of their arguments and raise
ReconError for what a user can mend. The fields of ``statistics`` are those of docs/stats.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    import numpy as np
    import numpy.typing as npt
    from onnx import ModelProto

    from sim.machine.description import Machine
    from sim.machine.errors import ReconError
    from sim.machine.program import Program
    from sim.statistics import Statistics
    from tools import VERSION
    from tools.files.pictures import Picture
    from tools.options import Planning
    from tools.quantise.road import Quantised, Settings
    from tools.reports.check import Check
    from tools.reports.compare import Comparison
    from tools.reports.profile.records import Profile
    from tools.runtime import Result

__all__ = [
    "VERSION",
    "Check",
    "Comparison",
    "Machine",
    "Picture",
    "Planning",
    "Profile",
    "Program",
    "Quantised",
    "ReconError",
    "Result",
    "Settings",
    "Statistics",
    "check",
    "compare",
    "compile",
    "load",
    "load_machine",
    "machines",
    "quantize",
    "report",
    "run",
]

_BEHIND = ("backend", "dialects", "passes", "sim", "tools")
"""The packages behind this module, which lie beside it."""

_RECORDS = {
    "VERSION": "tools",
    "Check": "tools.reports.check",
    "Comparison": "tools.reports.compare",
    "Machine": "sim.machine.description",
    "Picture": "tools.files.pictures",
    "Planning": "tools.options",
    "Profile": "tools.reports.profile.records",
    "Program": "sim.machine.program",
    "Quantised": "tools.quantise.road",
    "ReconError": "sim.machine.errors",
    "Result": "tools.runtime",
    "Settings": "tools.quantise.road",
    "Statistics": "sim.statistics",
}
"""What can be imported from here and lies in a module behind."""


def compile(
    model: str | Path | ModelProto,
    machine: str | Path | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    planning: Planning | None = None,
    picture: Picture | None = None,
    report: Callable[[str], None] | None = None,
) -> Program:
    """The program of an ONNX model (a path or a ModelProto), or of IR of any level (the path of an ``.mlir`` file).

    ``machine`` is a name of ``machines()`` or a TOML file (default ``edge4k``; a plan names its own). ``input_shapes``
    fixes inputs that the model leaves open. ``assume_int8`` quantises a float model with made-up scales, to learn what
    it would cost. ``planning`` holds the planner's options, ``picture`` how pictures become inputs, and ``report`` is
    called with what is being done. Raises ReconError with all problems of the model at once.
    """
    _check()
    from tools.driver import compile_model

    image = picture.to_json() if picture is not None else None
    name = str(machine) if machine is not None else None
    return compile_model(model, name, input_shapes, assume_int8, image, report, options=planning)


def run(
    program: Program | str | Path,
    inputs: Mapping[str, npt.NDArray[Any]] | np.ndarray[Any, Any] | None = None,
    *,
    timing_only: bool = False,
    sanitize: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a program (or the ``.rbin`` file that holds it) on the simulator: outputs by name, and what they cost.

    ``inputs`` by name, or one array for a program of one input; ``timing_only`` runs the clock alone and takes none.
    ``sanitize`` looks for races as well; ``progress`` is called with instructions executed and their number. Raises
    ReconError for inputs of another name, type or shape, and Fault (a ReconError) where the machine stops.
    """
    _check()
    from tools.runtime import run_program

    program = load(program) if isinstance(program, (str, Path)) else program
    if inputs is not None and not isinstance(inputs, Mapping):
        if len(program.inputs) != 1:
            from sim.machine.errors import ReconError

            raise ReconError(
                f"The program has {len(program.inputs)} inputs ({', '.join(port.name for port in program.inputs)}); "
                "give a dictionary of arrays by name."
            )
        inputs = {program.inputs[0].name: inputs}
    return run_program(program, inputs, timing_only, sanitize, progress)


def compare(
    model: str | Path | ModelProto,
    machines: Sequence[str | Path] = ("edge4k", "edge4k-fixed"),
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    planning: Planning | None = None,
    report: Callable[[str], None] | None = None,
) -> Comparison:
    """Plan a model for every machine, and for the first one without each freedom of the planner; no values are run.

    Raises ReconError for a model or machine that cannot be read and where the first machine cannot run the model; any
    other plan that does not exist is part of the result, with the reason.
    """
    _check()
    from tools.reports.compare import compare as compare_machines

    return compare_machines(model, [str(each) for each in machines], input_shapes, assume_int8, planning, report)


def report(
    model: str | Path | ModelProto | Program,
    page: str | Path | None = None,
    *,
    machine: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    planning: Planning | None = None,
    progress: Callable[[str], None] | None = None,
) -> Profile:
    """Where every cycle and byte of a program goes, as plain records; ``page`` is the HTML file to write of them.

    A program (or its file) is shown as it is; a model is planned for ``machine`` first, and its layers then hold their
    lines of the plan. ``progress`` is called with what is being done. Raises ReconError with all problems of the model,
    and where the page cannot be written.
    """
    _check()
    from tools.reports.reporting import profile_of

    made = profile_of(
        model, str(machine) if machine is not None else None, input_shapes, assume_int8, planning, progress
    )
    if page is not None:
        from sim.machine.files import write_whole
        from tools.reports.page import page as drawn

        write_whole(page, drawn(made).encode())
    return made


def check(path: str | Path, *, input_shapes: Mapping[str, Sequence[int]] | None = None) -> Check:
    """Where every node of a model would run, and what is in the way of compiling it; makes no plan.

    Raises ReconError for a model that cannot be read at all; what is refused is part of the result.
    """
    _check()
    from tools.reports.check import check_model

    return check_model(str(path), input_shapes or {})


def quantize(
    path: str | Path,
    samples: Sequence[Mapping[str, npt.NDArray[Any]]],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    settings: Settings | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Quantised:
    """An int8 model from a float one, calibrated on samples (the inputs by name), and what it lost.

    ``progress`` is called with what is being done and how many samples of how many are through. Raises ReconError with
    what is in the way; ``onnx.save(result.model, …)`` writes the model.
    """
    _check()
    from tools.quantise.prepare import prepare
    from tools.quantise.road import Settings as Defaults
    from tools.quantise.road import quantise
    from tools.quantise.samples import from_memory

    def counter(what: str) -> Callable[[int, int], None]:
        return lambda part, whole: progress(what, part, whole) if progress is not None else None

    prepared = prepare(str(path), input_shapes or {})
    return quantise(prepared, from_memory(prepared.inputs, samples), settings or Defaults(), counter)


def load(path: str | Path) -> Program:
    """The program of a ``.rbin`` file; ReconError when it is missing, foreign, truncated, damaged or too old."""
    _check()
    from sim.machine.program import load as load_program

    return load_program(path)


def load_machine(name_or_file: str | Path) -> Machine:
    """A machine by its name or from a TOML file; ReconError says which key is wrong, in which line."""
    _check()
    from sim.machine.description import load as load_description

    return load_description(str(name_or_file))


def machines() -> tuple[str, ...]:
    """The names of the machines that come with the project."""
    _check()
    from sim.machine.description import names

    return names()


def main() -> None:
    """The command ``recon``."""
    _run("tools.main")


def opt() -> None:
    """The command ``recon-opt``."""
    _run("tools.opt")


def reducer() -> None:
    """The command ``recon-reduce``, which is ``recon reduce`` under the name that people look for."""
    sys.argv[:1] = ["recon", "reduce"]
    _run("tools.main")


class _Interrupted(BaseException):
    """Ctrl-C; no KeyboardInterrupt, which the libraries of the command line would answer in their own way."""


def _run(module: str) -> None:
    from recon_commands import INTERRUPTED, end_at_once

    def interrupt(_signal: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                end_at_once()  # a module of C that is half imported makes an error of its own of it, or crashes
            frame = frame.f_back
        raise _Interrupted

    try:
        signal.signal(signal.SIGINT, interrupt)
        if (problem := _stranger()) is not None:
            sys.exit(f"error: {problem}")
        importlib.import_module(module).main()
    except _Interrupted:
        sys.stderr.write(INTERRUPTED)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, lambda _signal, _frame: end_at_once())  # Python's own end takes a while, too


def __getattr__(name: str) -> Any:
    if name not in _RECORDS:
        raise AttributeError(f"module 'recon' has no attribute '{name}'")
    _check()
    return getattr(importlib.import_module(_RECORDS[name]), name)


def _check() -> None:
    if (problem := _stranger()) is not None:
        raise ImportError(problem)


def _stranger() -> str | None:
    """Which package behind this door is not ours, as a sentence; None when all are. Imports nothing."""
    here = Path(__file__).resolve().parent
    for name in _BEHIND:
        place = _place(name)
        if place == here / name:
            continue
        imported = "is imported already" if name in sys.modules else "comes first on Python's path"
        if place is None:
            return f"recon is not whole: its package '{name}' is missing beside {here}; install it again."
        return (
            f"recon needs its own package '{name}', and another one of that name {imported}: {place}. Rename that one, "
            f"or leave its folder off the path (python -P SCRIPT leaves off the script's own); the commands recon and "
            "recon-opt work in any folder."
        )
    return None


def _place(name: str) -> Path | None:
    """The folder (or file) that Python takes for a package of this name, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # imported already, by something that gave it no spec
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file).resolve() if file else Path(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve()
    return Path(spec.origin).resolve() if spec.origin else Path(name)
