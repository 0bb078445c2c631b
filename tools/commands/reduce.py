"""recon reduce: make a module or a model small while a command goes on failing on it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, Force, InputShape, Quiet, Talk


def reduce_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx|FILE.mlir", help="An ONNX model, or IR of any level.")],
    command: Annotated[
        str, typer.Argument(help="What fails; {} stands for the text's path, which otherwise comes last.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="SMALL.mlir", help="The text to write.")],
    says: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the command has to say, instead of the error that it gives first."),
    ] = None,
    input_shape: InputShape = None,
    force: Force = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a module small while a command goes on failing on it, with the same error.

    \b
    recon reduce model.onnx 'recon compile {} -o /tmp/x.rbin' -o small.mlir
    recon reduce plan.mlir 'recon-opt {} --to accel' -o small.mlir --says 'itself failed'

    Operations are cut off below and above and left out between; the command runs once for every try.
    """
    from sim.machine.errors import ReconError
    from tools.driver import make_context, read_module
    from tools.files.overwrite import IR, check_writable
    from tools.files.text import write_text
    from tools.options import input_shapes
    from tools.reduce import Failing, reduce_module, size

    talk = Talk(quiet, False)
    check_writable("-o", output, IR, [model], force)
    module = read_module(model, make_context(), input_shapes(input_shape or []))
    with tempfile.TemporaryDirectory() as folder, talk.progress("reducing") as progress:
        failing = Failing(command, Path(folder), says)
        if not failing.first(module):
            wanted = f" and says '{says}'" if says is not None else ""
            raise ReconError(f"The command does not fail{wanted} on {model}: exit status {failing.code}.")
        small = reduce_module(module, failing, progress.doing)
    write_text(small, output)
    talk.say(f"{output}: {size(small)} of {size(module)} operations are left")
