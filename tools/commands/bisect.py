"""recon bisect: where a compiled model leaves its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, InputShape, MachineName, Quiet, Set, Talk, Verbose


def bisect_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="An ONNX model, or IR of the cnn level.")],
    program: Annotated[
        Path | None,
        typer.Option(metavar="MODEL.rbin", help="Search this program of the model instead of compiling one."),
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="onnxruntime|cnn", help="The reference: ONNX Runtime, or the cnn level's meaning.")
    ] = "onnxruntime",
    input: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="A .npy file or a picture; NAME= may go when there is one input."),
    ] = None,
    inputs: Annotated[int, typer.Option(metavar="N", help="Inputs tried without --input.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the inputs tried without --input.", min=0)] = 0,
    machine: MachineName = None,
    settings: Set = None,
    input_shape: InputShape = None,
    scale: Annotated[
        str | None, typer.Option(metavar="NUMBER[,…]", help="Pictures become (pixel - mean) * scale.")
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="NUMBER[,…]", help="See --scale.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Find the first layer at which a compiled model leaves its reference.

    Runs the program on the simulator and compares every layer. Exits with 1 when something differs.

    \b
    recon bisect mobilenet.onnx
    recon bisect mobilenet.onnx --program mobilenet.rbin --input photo.png
    recon bisect mobilenet.onnx --against cnn --inputs 8 --machine edge1k

    ONNX Runtime computes in float, each operator on the integers that the program made; a difference of one step
    where rounding ties is counted and is none. Against 'cnn' every byte must agree.
    """
    from sim.machine.program import load
    from tools.files.pictures import Picture
    from tools.files.tensors import read_inputs
    from tools.options import input_shapes
    from tools.validation.bisect import NAMES, Looked, bisect, compile_for_bisect
    from tools.validation.probes import entrances, probes

    if against not in ("onnxruntime", "cnn"):
        raise typer.BadParameter("the references are onnxruntime and cnn", param_hint="--against")
    talk = Talk(quiet, verbose)
    loaded = load(str(program)) if program is not None else None
    looked = Looked()
    with talk.progress("compiling") as progress:
        compiled = compile_for_bisect(
            model,
            talk.machine(machine, settings) or (loaded.machine.name if loaded is not None else None),
            input_shapes(input_shape or []),
            loaded,
            progress.doing,
        )
        if input:
            tried = [("the input", read_inputs(compiled.program, input, Picture.parse(scale, mean), talk.note))]
        else:
            tried = probes(entrances(compiled.cnn), inputs, seed)
        for label, tensors in tried:
            progress.doing(f"running {label}")
            finding = bisect(compiled, tensors, against, looked)
            if finding is not None:
                break
        else:
            label, finding = "", None
    reference = NAMES[against]
    if finding is None:
        ties = f", {looked.ties:,} at a rounding tie" if against == "onnxruntime" else ""
        count = "the input" if input else f"{len(tried)} input{'s' if len(tried) > 1 else ''}"
        talk.answer(
            f"no difference from {reference} on {count}: {looked.layers:,} layers compared, "
            f"{looked.elements:,} elements{ties}"
        )
        if looked.unseen:
            talk.note(f"compared only through what follows them: {', '.join(sorted(looked.unseen))}")
        return
    if finding.fault:
        talk.answer(f"on {label} no layer that was computed differs, and then the machine stops")
        talk.answer(f"  {finding.fault}")
    else:
        talk.answer(f"on {label} the first difference from {reference} is in {finding.where}")
        talk.answer(f"  element {list(finding.index)}: {reference} {finding.expected}, the program {finding.found}")
        talk.answer(f"  {finding.wrong:,} of {finding.elements:,} elements differ")
        if finding.instruction:
            talk.answer(f"  {finding.instruction}")
        if finding.others:
            talk.answer(f"  further layers that differ: {', '.join(finding.others)}")
    raise typer.Exit(1)
