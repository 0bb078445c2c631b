"""recon report: a program's run as a page of pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passes.planner.options import Options
from tools.terminal.console import (
    AssumeInt8,
    Debug,
    Force,
    InputShape,
    Quiet,
    Set,
    Talk,
    Verbose,
)
from tools.terminal.planner_options import takes_planning

if TYPE_CHECKING:
    from sim.machine.program import Program
    from tools.options import Planning


@takes_planning("level", "objective", "sram_limit")
def report_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.rbin|MODEL.onnx", help="A program of 'recon compile', or a model.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="REPORT.html", help="The page to write.")],
    machine: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="The machine to plan a model for.  [default: edge4k]")
    ] = None,
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    planning: Options | None = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write what the pictures are drawn from as JSON.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show where every cycle and every byte of a program goes.

    \b
    recon report model.rbin -o report.html
    recon report model.onnx -o report.html --machine edge1k
    recon report float_model.onnx -o report.html --assume-int8 --json records.json

    Writes one HTML page that needs no network: totals, roofline, timeline, SRAM map, DRAM traffic, utilisation, energy,
    the network and a table of its layers; a click on a layer shows it in every picture. Made from a model, it shows
    each layer's plan as well.
    """
    from sim.machine.files import write_whole
    from tools.files.overwrite import RECORDS, REPORT, check_writable
    from tools.options import Planning, input_shapes
    from tools.reports.page import page
    from tools.reports.profile.records import profile, to_json

    talk = Talk(quiet, verbose)
    check_writable("--output", output, REPORT, [model, machine], force)
    check_writable("--json", as_json, RECORDS, [model, machine, output], force)
    machine = talk.machine(machine, settings)
    options = Planning.of(planning)
    asked = machine is not None or assume_int8 or bool(input_shape) or options != Planning()
    with talk.progress("reporting") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            progress.doing(text)

        if model.suffix in (".onnx", ".mlir"):
            program, plan = _planned(model, machine, input_shapes(input_shape or []), assume_int8, options, step)
        else:
            program, plan = _program(model, asked), ""
        step("drawing")
        made = profile(program, plan=plan)
        write_whole(output, page(made).encode())
        if as_json is not None:
            write_whole(as_json, (json.dumps(to_json(made)) + "\n").encode())
    for note in program.notes:
        talk.note(note)
    talk.say(f"{output}: {len(program.layers)} layers, {made.statistics.cycles:,} cycles on {program.machine.name}")


def _planned(
    model: Path,
    machine: str | None,
    shapes: Mapping[str, Sequence[int]],
    assume_int8: bool,
    options: Planning,
    step: Callable[[str], None],
) -> tuple[Program, str]:
    from tools.driver import DEFAULT_MACHINE
    from tools.reports.compare import Study

    study = Study(model, shapes, assume_int8, step)
    step("planning")
    program, plan = study.planned(machine or DEFAULT_MACHINE, options)
    return program, str(plan)


def _program(path: Path, asked: bool) -> Program:
    from sim.machine.errors import ReconError
    from sim.machine.program import load

    if asked:
        raise ReconError(
            f"{path}: this is a program, planned already; --machine, --input-shape, --assume-int8, -O, --objective "
            "and --sram-limit are for models."
        )
    return load(path)
