"""recon roofline: the convolutions of several models on one axis, operations per byte."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import AssumeInt8, Debug, Force, InputShape, Quiet, Set, Talk, Verbose


def roofline_command(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL.onnx…", help="ONNX models.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.svg|.html", help="The chart to write.")],
    machine: Annotated[str, typer.Option(metavar="NAME|FILE", help="The machine whose ridge is drawn.")] = "edge4k",
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Draw every convolution of a set of models by its operations per byte.

    \b
    recon roofline yolov3.onnx resnet50.onnx inception.onnx -o roofline.svg
    recon roofline float_model.onnx -o roofline.html --assume-int8 --machine edge1k

    Bytes are those that any machine has to move: input, weights and output once. Prints how many shapes of convolutions
    occur in one of the models only.
    """
    from sim.machine.description import load
    from sim.machine.errors import ReconError
    from sim.machine.files import write_whole
    from tools.files.overwrite import INTENSITY, check_writable
    from tools.options import input_shapes
    from tools.reports.intensity import page, svg
    from tools.reports.intensity.convolutions import HEADER, KIND, SHAPE, Model, convolutions, shapes
    from tools.terminal.console import table

    talk = Talk(quiet, verbose)
    draw = {".svg": svg.svg, ".html": page.page}.get(output.suffix)
    if draw is None:
        raise ReconError(f"{output}: a chart is an .svg or an .html file; name it so.")
    check_writable("--output", output, INTENSITY, [*models, machine], force)
    target = load(talk.machine(machine, settings) or machine)
    with talk.progress("reading") as progress:
        found: list[Model] = []
        for path in models:
            progress.doing(f"reading {path}")
            talk.detail(f"reading {path}")
            found.append(convolutions(path, target, input_shapes(input_shape or []), assume_int8))
        write_whole(output, draw(found, target).encode())
    rows = [tuple(str(value) for value in dataclasses.astuple(row)) for row in shapes(found)]
    talk.say(table(HEADER, rows, range(1, len(HEADER))))
    talk.say(f"shape: {SHAPE}")
    talk.say(f"kind: {KIND}")
    talk.detail(f"wrote {output}")
