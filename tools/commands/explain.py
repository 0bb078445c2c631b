"""recon explain: why a plan is as it is, and what would help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from passes.planner.options import Options
from tools.terminal.console import AssumeInt8, Debug, InputShape, MachineName, Quiet, Set, Talk, Verbose
from tools.terminal.planner_options import takes_planning


@takes_planning("level", "objective", "sram_limit")
def explain_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An ONNX model.")],
    layer: Annotated[str | None, typer.Argument(metavar="[LAYER]", help="A layer, or a node of the model.")] = None,
    machine: MachineName = None,
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    planning: Options | None = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Say why a model, or one layer of it, costs what it costs.

    \b
    recon explain model.onnx
    recon explain model.onnx conv2d_7
    recon explain float_model.onnx --assume-int8 --machine edge1k

    Of a layer: why it has its configuration and what the runners-up would have cost; why its weights come late, why it
    is not fused, why activations wait in DRAM; what would help, in the machine and in the model. Every other plan it
    speaks of was planned and timed, and its options stand beside it.
    """
    from tools.driver import DEFAULT_MACHINE
    from tools.options import Planning, input_shapes
    from tools.reports.compare import Study
    from tools.reports.explain.text import explain_layer, explain_run, find_layer
    from tools.reports.explain.trials import CommandLine, Laboratory
    from tools.reports.profile.records import profile

    talk = Talk(quiet, verbose)
    target = talk.machine(machine, settings, DEFAULT_MACHINE) or DEFAULT_MACHINE
    options = Planning.of(planning)
    with talk.progress("explaining") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            progress.doing(text)

        study = Study(model, input_shapes(input_shape or []), assume_int8, step)
        step("planning")
        program = study.program(target, options)
        made = profile(program)
        given = {
            "--machine": [machine] if machine else [],
            "--set": settings or [],
            "-O": [str(options.level)] if options.level != Planning().level else [],
            "--objective": [options.objective] if options.objective != Planning().objective else [],
            "--sram-limit": [str(options.sram_limit)] if options.sram_limit else [],
        }
        words = [word for option, values in given.items() for value in values for word in (option, value)]
        reading = [word for shape in input_shape or [] for word in ("--input-shape", shape)]
        reading += ["--assume-int8"] if assume_int8 else []
        laboratory = Laboratory(study, target, options, CommandLine(str(model), tuple(reading), tuple(words)), step)
        if layer is None:
            text = explain_run(made, laboratory)
        else:
            text = explain_layer(made, find_layer(made, layer), laboratory)
    for note in program.notes:
        talk.note(note)
    talk.answer(text)
