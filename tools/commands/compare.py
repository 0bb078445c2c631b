"""recon compare: one model on several machines, and what each freedom of the planner is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from passes.planner.options import Options
from tools.options import Planning
from tools.terminal.console import AssumeInt8, Debug, Force, InputShape, Quiet, Talk, Verbose
from tools.terminal.planner_options import takes_planning


@takes_planning("level", "objective", "sram_limit")
def compare_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")],
    machines: Annotated[
        str, typer.Option(metavar="NAME|FILE[,…]", help="Machines; the first is what the others are compared with.")
    ] = "edge4k,edge4k-fixed",
    planning: Options | None = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all statistics of every plan as JSON.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Plan a model for several machines and compare what it costs.

    Also plans it for the first machine without Winograd, with one configuration for all layers, without prefetch,
    residency and fusion, and in the model's order of layers, each alone.

    \b
    recon compare model.onnx
    recon compare model.onnx --machines edge4k,edge1k,mine.toml --json costs.json
    recon compare float_model.onnx --assume-int8 -O1
    """
    from sim.machine.files import write_whole
    from tools.files.overwrite import COMPARISON, check_writable
    from tools.options import input_shapes
    from tools.reports.compare import compare
    from tools.reports.compare_report import report

    talk = Talk(quiet, verbose)
    names = [name.strip() for name in machines.split(",") if name.strip()]
    check_writable("--json", as_json, COMPARISON, [model, *names], force)
    with talk.progress("comparing") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            if " " in text:  # what is planned, not each pass of it
                progress.doing(text)

        found = compare(model, names, input_shapes(input_shape or []), assume_int8, Planning.of(planning), step)
    if as_json is not None:
        write_whole(as_json, (json.dumps(found.to_json(), indent=1) + "\n").encode())
        talk.detail(f"wrote {as_json}")
    talk.answer(report(found))
