"""recon vary: another model, one step away, to learn what a change of the network would give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import AssumeInt8, Debug, Force, InputShape, Quiet, Talk, Verbose


def vary_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="VARIED", help="What to write: .mlir, or .onnx.")],
    layer: Annotated[str | None, typer.Option(metavar="LAYER", help="The layer to change.")] = None,
    channels: Annotated[int | None, typer.Option(metavar="N", help="Give it so many output channels.", min=1)] = None,
    pointwise: Annotated[bool, typer.Option("--pointwise", help="Give it a kernel of 1x1.")] = False,
    without: Annotated[bool, typer.Option("--without", help="Leave it out.")] = False,
    smaller: Annotated[
        int | None, typer.Option(metavar="FACTOR", help="Take pictures of so many times fewer rows and columns.", min=2)
    ] = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Write a model that differs in one thing, to measure what that would give.

    \b
    recon vary model.onnx -o varied.mlir --layer conv2d_7 --channels 48
    recon vary model.onnx -o varied.mlir --layer conv2d_7 --pointwise
    recon vary model.onnx -o varied.mlir --layer conv2d_7 --without
    recon vary model.onnx -o smaller.onnx --smaller 2
    recon compile varied.mlir -o varied.rbin

    Its answers mean nothing: channels are cut off or zeros, a kernel is its middle. Its cycles and bytes do: 'recon
    explain' measures such models and names the commands.
    """
    from sim.machine.errors import ReconError
    from sim.machine.files import write_whole
    from tools.files import constants
    from tools.files.overwrite import CONSTANTS, IR, check_writable
    from tools.options import input_shapes
    from tools.reports.compare import Study
    from tools.reports.explain.variants import LayerVariant, changed
    from tools.reports.explain.variants import smaller as with_smaller_pictures

    talk = Talk(quiet, verbose)
    asked = [channels is not None or pointwise, without, smaller is not None]
    if sum(asked) != 1 or (layer is None) != (smaller is not None):
        raise typer.BadParameter("say one change: --smaller, or --layer with --channels, --pointwise or --without")
    if smaller is not None:
        if output.suffix != ".onnx":
            raise ReconError(f"-o {output}: a model for smaller pictures is an ONNX file; give a name in .onnx.")
        if output.exists() and not force:
            raise ReconError(f"{output}: this file is there already; --force writes over it.")
        write_whole(output, with_smaller_pictures(model, smaller).SerializeToString())
        talk.say(f"{output}: {model.name} for pictures of {smaller} times fewer rows and columns")
        return
    if output.suffix != ".mlir":
        raise ReconError(f"-o {output}: a model with another layer is text of the cnn level; give a name in .mlir.")
    check_writable("-o", output, IR, [model], force)
    check_writable("-o", constants.side_file(output), CONSTANTS, [model], force)
    change = LayerVariant(layer or "", channels or 0, pointwise, without)
    made = changed(Study(model, input_shapes(input_shape or []), assume_int8).module, change)
    kept = constants.attach([made], output)
    constants.write(kept, output)
    write_whole(output, (str(made) + "\n").encode())
    talk.say(f"{output}: {model.name} with another {layer}")
