"""The road from a model to a program, as every tool takes it; people come in by the module ``recon``.

All are pure functions of their arguments, raise ReconError for what a user can mend, and keep no state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdsl.context import Context
from xdsl.dialects import get_all_dialects as get_xdsl_dialects
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.utils.exceptions import DiagnosticException, ParseError

from passes.common.levels import LEVELS, level_of, levels_in
from passes.every_level.verify_structure import verify_structure
from passes.pipeline import PIPELINE, passes_between
from sim.machine.description import load as load_machine
from sim.machine.errors import ReconError
from sim.machine.files import read_text
from sim.machine.program import Program
from tools import DEFAULT_MACHINE
from tools.files.constants import read as read_constants
from tools.options import Planning, check_planned_machine, check_unplanned, for_passes
from tools.registry import get_all_dialects
from tools.reproducer import note_reproducer
from tools.runtime import Result, run_program
from tools.terminal import diagnostics

if TYPE_CHECKING:
    from onnx import ModelProto

    from tools.validation.validate import Validator

__all__ = ["DEFAULT_MACHINE", "Result", "compile_model", "lower", "make_context", "read_module", "run_program"]

Report = Callable[[str], None]
"""Called with what is being done now."""


def make_context() -> Context:
    """A context that knows our dialects and xDSL's, each imported when first met."""
    context = Context()
    for name, factory in (*get_xdsl_dialects().items(), *get_all_dialects().items()):
        context.register_dialect(name, factory)
    return context


def name_of(model: str | Path | ModelProto) -> str:
    """What messages call the model: its path, or the name of its graph."""
    return str(model) if isinstance(model, (str, Path)) else model.graph.name or "the model"


def read_module(
    model: str | Path | ModelProto, context: Context, input_shapes: Mapping[str, Sequence[int]] | None = None
) -> ModuleOp:
    """The IR of an ONNX model (a path, or in memory) or of textual IR at any level, its constants at hand.

    Raises ReconError for files that are missing or hold something else.
    """
    if not isinstance(model, (str, Path)):
        from passes.onnx.import_onnx import import_model

        return import_model(_serialised(model), input_shapes, name_of(model))
    path = Path(model)
    if path.suffix != ".mlir":
        from passes.onnx.import_onnx import import_model

        return import_model(path, input_shapes)
    try:
        text = read_text(path)
    except OSError as error:
        raise ReconError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ReconError(f"{path}: this is not a text file.") from None
    if input_shapes:
        raise ReconError(f"{path}: the shapes are part of this text; --input-shape is for ONNX models.")
    try:
        module = diagnostics.parse_module(context, text, str(path))
    except (ParseError, DiagnosticException) as error:
        raise ReconError(diagnostics.describe(error)) from None
    read_constants(module, path.parent)
    if levels_in(module) == ["onnx"]:
        from passes.onnx.declared_shapes import check_declared_shapes

        check_declared_shapes(module, str(path))
    return module


def _serialised(model: ModelProto) -> bytes:
    try:
        return model.SerializeToString()
    except Exception as error:  # protobuf has no common type for what is too large or half filled
        raise ReconError(
            f"{name_of(model)}: this model cannot be serialised ({error}); above 2 GB it has to come from a file."
        ) from None


def _beginning(module: ModuleOp, level: str, assume_int8: bool) -> str:
    """The level that the module is at; ReconError where nothing leads from it to ``level``, or it is int8 already."""
    start = level_of(module)
    if LEVELS.index(start) > LEVELS.index(level):
        raise ReconError(f"This is at level {start}, below {level}; the road only goes down.")
    if assume_int8 and start != LEVELS[0]:
        raise ReconError(
            f"--assume-int8 quantises a model of level {LEVELS[0]}, and this is at level {start}, which is int8 "
            "already; leave it out."
        )
    return start


def lower(
    module: ModuleOp,
    level: str,
    context: Context,
    *,
    machine: str | None = None,
    assume_int8: bool = False,
    report: Report | None = None,
    validator: Validator | None = None,
    options: Planning | None = None,
    again: Callable[[], ModuleOp] | None = None,
) -> None:
    """Take the module down to a level in place, verifying at each level, and with a validator after every pass.

    ``machine`` is for passes above ``tile``; a plan names its own; ``options`` are the planner's. ``validator`` checks
    each pass. ReconError says what is wrong, and on what; ``again`` gives the module once more when a pass fails in
    itself, for a reproducer.

    Many parameters: what the command's options say, all but the module with a value.
    """
    start = _beginning(module, level, assume_int8)
    given: dict[str, Any] = {"assume_int8": assume_int8, **(for_passes(options) if options is not None else {})}
    if machine is not None:
        given["machine"] = machine

    level_made = {entry.name: entry.level for entry in PIPELINE}
    begun: list[ModulePass] = []

    def between(before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
        ends = before is None or after is None or level_made[before.name] != level_made[after.name]
        if ends or validator is not None:
            diagnostics.verify(module, before)
        if validator is not None:
            validator.between(before, module)
        if after is not None:
            begun.append(after)
            if report is not None:
                report(after.name)

    with diagnostics.lean_diagnostics():
        try:
            PassPipeline(passes_between(start, level, given), between).apply(context, module)
            verify_structure(module, level)
        except DiagnosticException as error:
            raise ReconError(diagnostics.describe(error)) from None
        except (ReconError, OSError, MemoryError):
            raise
        except Exception as error:
            if begun:
                error.add_note(f"  in the pass {begun[-1].name}")
            if again is not None:
                note_reproducer(error, again, begun)
            raise


def compile_model(
    model: str | Path | ModelProto,
    machine: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    image: Mapping[str, Any] | None = None,
    report: Report | None = None,
    validator: Validator | None = None,
    options: Planning | None = None,
) -> Program:
    """Compile an ONNX model (a path, or in memory), or IR of any level, to a program.

    ``machine`` is a name or a TOML file (default ``edge4k``; a plan names its own); ``image`` records how pictures
    become inputs; ``validator`` checks every pass and the program; ``options`` are the planner's. Raises ReconError,
    with all problems of a model at once.

    Many parameters: what the command's options say, all but the model with a value.
    """
    options = options or Planning()
    if machine is not None:
        options.usable(load_machine(machine))  # a wrong name should not cost a minute of importing
    context = make_context()
    if report is not None:
        report("reading the model")
    module = read_module(model, context, input_shapes)
    if machine is not None:
        check_planned_machine(module, machine, name_of(model))
    check_unplanned(module, options, name_of(model))
    start = level_of(module)
    if LEVELS.index(start) < LEVELS.index("tile"):
        machine = machine or DEFAULT_MACHINE
    lower(
        module,
        "accel",
        context,
        machine=machine,
        assume_int8=assume_int8,
        report=report,
        validator=validator,
        options=options,
        again=lambda: read_module(model, make_context(), input_shapes),
    )
    if report is not None:
        report("writing the program")
    from backend.emit import emit

    if start == "accel":  # no pass ran, so nothing has placed or proven it yet
        from passes.accel.check_hazards import CheckHazardsPass

        CheckHazardsPass().apply(context, module)
    program = emit(module, machine or DEFAULT_MACHINE)
    if validator is not None:
        validator.program("emit", lambda inputs: run_program(program, inputs).outputs)
        validator.prove(program)
    return dataclasses.replace(program, image=dict(image)) if image else program
