"""recon compile: a model or a plan becomes a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passes.planner.options import OFFERS, Options
from sim.machine.errors import ReconError
from tools.commands.turns import only_for_one, take_turns
from tools.options import Planning
from tools.terminal.console import (
    AssumeInt8,
    Debug,
    Exact,
    Force,
    InputShape,
    MachineName,
    Quiet,
    Set,
    Talk,
    Verbose,
    count,
)
from tools.terminal.planner_options import takes_planning

if TYPE_CHECKING:
    from sim.machine.program import Program


@takes_planning(*OFFERS, without=True)
def compile_command(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL.onnx|PLAN.mlir",
            help="An ONNX model, or IR of any level; several models take turns on the machine.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL.rbin", help="The program to write.")],
    machine: MachineName = None,
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    planning: Options | None = None,
    exact: Exact = False,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures that say how far values go where the compiler puts quantisers in."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="The same from arrays by input, samples first.")
    ] = None,
    times: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N", help="Of several models: the turns of one in a round; repeatable.  [default: 1]"
        ),
    ] = None,
    no_host: Annotated[
        bool, typer.Option("--no-host", help="Refuse what would run on the host, with the whole list.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(metavar="NUMBER[,…]", help="Record how pictures become inputs: (pixel - mean) * scale."),
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="NUMBER[,…]", help="See --scale.")] = None,
    validate: Annotated[
        bool,
        typer.Option("--validate", help="Run the model before and after every pass, and stop where an answer changes."),
    ] = False,
    validate_inputs: Annotated[
        int | None, typer.Option(metavar="N", help="Inputs tried by --validate.  [default: 4]", min=1)
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="MODEL.onnx", help="With --validate: compare a plan in text with its model first."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compile a model to a program for a machine.

    \b
    recon compile mobilenet.onnx -o mobilenet.rbin
    recon compile mobilenet.onnx -o small.rbin --machine edge1k
    recon compile mobilenet.onnx -o wide.rbin --set dram.bytes_per_second=34e9 --set sram.bytes=4MiB
    recon compile detector.onnx -o detector.rbin --input-shape image=1,3,416,416
    recon compile float_model.onnx -o cost.rbin --assume-int8
    recon compile plan.mlir -o plan.rbin
    recon compile model.onnx -o small.rbin --sram-limit 2MiB --objective dram
    recon compile model.onnx -o mine.rbin --pin "conv2d_1=direct g1 k64 r16 p4"
    recon compile model.onnx -o quick.rbin -O1          or --time-budget 5
    recon compile model.onnx -o camera.rbin --frames stream
    recon compile detector.onnx classifier.onnx -o both.rbin --frames stream --times classifier=4
    recon compile model.onnx -o model.rbin --validate
    recon compile plan.mlir -o plan.rbin --validate --against model.onnx
    recon compile model.onnx -o model.rbin --no-host
    recon compile inputs_only.onnx -o model.rbin --images photos --scale 0.00392157

    A model must be int8: QDQ or QOperator form, as onnxruntime.quantization and TensorFlow Lite converters write it.
    What the machine lacks runs on the host, in ONNX Runtime; what that is, and why, is printed.
    """
    from tools.driver import compile_model
    from tools.files.overwrite import PROGRAM, check_writable
    from tools.files.pictures import Picture
    from tools.options import input_shapes
    from tools.quantise.calibration import measured_on

    talk = Talk(quiet, verbose)
    check_writable("-o", output, PROGRAM, [*models, machine, data], force)
    machine = talk.machine(machine, settings)
    if len(models) > 1:
        asked = {"input-shape": input_shape, "images": images, "data": data, "scale": scale, "mean": mean}
        only_for_one(models, asked | {"validate": validate or validate_inputs, "against": against})
        options = Planning.of(planning, no_host=no_host, exact=exact)
        take_turns(models, times or [], machine, assume_int8, options, talk).save(output)
        return
    if times:
        raise ReconError("--times is for several models that take turns.")
    (model,) = models
    shapes = input_shapes(input_shape or [])
    picture = Picture.parse(scale, mean)
    with talk.progress("compiling") as progress, measured_on(model, shapes, images, data, picture) as samples:
        options = Planning.of(planning, no_host=no_host, exact=exact, samples=samples)

        def report(step: str) -> None:
            talk.detail(step)
            progress.doing(step)

        validator = None
        if validate or validate_inputs is not None or against is not None:
            from tools.validation.validate import DEFAULT_INPUTS, Validator

            validator = Validator(validate_inputs or DEFAULT_INPUTS, report=progress.doing)
            if against is not None:
                from tools.validation.against import Original

                validator.original = Original.read(against, shapes, assume_int8)
        program = compile_model(model, machine, shapes, assume_int8, picture.to_json(), report, validator, options)
        verdict = validator.summary() if validator is not None else ""
        program.save(output)
    _say(talk, program, output, verdict)


def _say(talk: Talk, program: Program, output: Path, verdict: str) -> None:
    """What became of a model: notes, the host's part, frames in a row, and the program."""
    from sim.statistics import host_of
    from tools.reports.host_report import segments_text
    from tools.reports.report import rhythm_text

    for note in program.notes:
        talk.note(note)
    if hosted := segments_text(host_of(program)):
        talk.say(hosted)
    macs = sum(layer.macs for layer in program.layers)
    bounds = (("bound", program.bounds.bound), ("bound3", program.bounds.bound3))
    ratio = "".join(f", {program.predicted_cycles / cycles:.2f} × {name}" for name, cycles in bounds if cycles)
    if verdict:
        talk.say(f"valid: {verdict}")
    if program.rhythm is not None:
        talk.say(f"frames in a row: {rhythm_text(program)}")
    talk.say(
        f"{output}: {len(program.layers)} layers, {count(macs)} MACs for {program.machine.name}; "
        f"{program.predicted_cycles:,} cycles predicted{ratio}"
    )
