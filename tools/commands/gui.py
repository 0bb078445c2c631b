"""recon gui: xDSL's interactive explorer of passes, with ours."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, InputShape


def gui_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx|PLAN.mlir", help="An ONNX model, or IR of any level.")],
    input_shape: InputShape = None,
    debug: Debug = False,
) -> None:
    """Explore what each pass does to a model, in the terminal.

    \b
    recon gui model.onnx

    Choose passes on the left; the text on the right is what they make of the model. Needs two packages more:
    pip install 'recon-compiler[gui]'.
    """
    from sim.machine.errors import ReconError
    from tools.driver import make_context, read_module
    from tools.options import input_shapes

    try:
        from tools.explorer import Explorer
    except ModuleNotFoundError as error:
        raise ReconError(
            f"The explorer needs {error.name}, which is not installed: pip install 'recon-compiler[gui]'."
        ) from None
    if not sys.stdout.isatty():
        raise ReconError("The explorer needs a terminal; 'recon dump MODEL --dump-dir DIR' writes what it would show.")
    module = read_module(model, make_context(), input_shapes(input_shape or []))
    Explorer(module, model).run()
