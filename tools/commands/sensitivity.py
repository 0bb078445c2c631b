"""recon sensitivity: what each resource of a machine is worth to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passes.planner.options import Options
from tools.terminal.console import AssumeInt8, Debug, Format, InputShape, MachineName, Quiet, Set, Talk, Verbose
from tools.terminal.planner_options import takes_planning


@takes_planning("level", "objective", "sram_limit")
def sensitivity_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")],
    machine: MachineName = None,
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    planning: Options | None = None,
    form: Format = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Halve and double each resource of a machine, and say what that does to a model.

    \b
    recon sensitivity model.onnx
    recon sensitivity model.onnx --machine edge1k --set sram.bytes=1MiB
    recon sensitivity float_model.onnx --assume-int8 --format csv

    Each machine is planned for and timed to the end. Resources are every number of the machine file that time depends
    on; those that matter most stand first.
    """
    from tools.driver import DEFAULT_MACHINE
    from tools.explore.sensitivity import report, sensitivity
    from tools.options import Planning, input_shapes
    from tools.reports.compare import Study
    from tools.reports.report import terminal_width
    from tools.terminal.console import rendered

    talk = Talk(quiet, verbose)
    target = talk.machine(machine, settings, DEFAULT_MACHINE) or DEFAULT_MACHINE
    with talk.progress("reading the model") as progress:
        study = Study(model, input_shapes(input_shape or []), assume_int8, talk.detail)
        found = sensitivity(study, model.stem, target, Planning.of(planning), progress.counter("resources"))
    talk.answer(
        report(found, terminal_width()) if form == "text" else rendered(found.to_json(), *found.as_data(), form)
    )
