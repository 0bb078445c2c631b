"""recon report: a program's run as a page of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

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


@takes_planning("level", "objective", "sram_limit", "frames", "batch")
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
    from tools.reports.profile.records import to_json
    from tools.reports.reporting import profile_of

    talk = Talk(quiet, verbose)
    check_writable("--output", output, REPORT, [model, machine], force)
    check_writable("--json", as_json, RECORDS, [model, machine, output], force)
    machine = talk.machine(machine, settings)
    with talk.progress("reporting") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            progress.doing(text)

        shapes = input_shapes(input_shape or [])
        made = profile_of(model, machine, shapes, assume_int8, Planning.of(planning), step)
        write_whole(output, page(made).encode())
        if as_json is not None:
            write_whole(as_json, (json.dumps(to_json(made)) + "\n").encode())
    for note in made.notes:
        talk.note(note)
    talk.say(f"{output}: {len(made.layers)} layers, {made.statistics.cycles:,} cycles on {made.machine.name}")
