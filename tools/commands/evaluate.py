"""recon evaluate: a program beside other forms of its model, over many inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.terminal.console import Debug, Format, Mean, Quiet, Scale, Talk, Verbose, rendered, table

if TYPE_CHECKING:
    from tools.reports.evaluate import Evaluation


def evaluate_command(
    program: Annotated[str, typer.Argument(metavar="MODEL.rbin", help="A program of 'recon compile'.")],
    against: Annotated[
        list[str], typer.Option(metavar="MODEL.onnx", help="The float model, or the one compiled; repeatable.")
    ],
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Pictures to run; see --scale and --mean.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Arrays to run, by input, samples first.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Samples run at most.", min=1)] = 1000,
    scale: Scale = None,
    mean: Mean = None,
    form: Format = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compare a program with other forms of its model over a folder of pictures.

    The program runs on the simulator, the models in ONNX Runtime. Says per output how much noise there is, the largest
    difference, and for scores how often the greatest is the same.

    \b
    recon evaluate model.rbin --against model.onnx --images photos
    recon evaluate model.rbin --against model.onnx --against model_int8.onnx --data samples.npz
    """
    from sim.machine.program import load
    from tools.files.pictures import Picture
    from tools.quantise.samples import from_arrays, from_pictures
    from tools.reports.evaluate import measure

    talk = Talk(quiet, verbose)
    if (images is None) == (data is None):
        raise typer.BadParameter("say what to run: one of --images and --data")
    loaded = load(program)
    if images is not None:
        samples = from_pictures(loaded.inputs, images, Picture.parse(scale, mean).over(loaded.image), limit)
    else:
        assert data is not None
        samples = from_arrays(loaded.inputs, data, limit)
    with talk.progress("evaluating") as progress:
        found = measure(loaded, against, samples, progress.counter("evaluating"))
    if form != "text":
        talk.answer(rendered(found.to_json(), *found.as_data(), form))
        return
    talk.answer(_text(found))
    talk.say()
    s = found.statistics
    apart = ", host time not included" if s.host_ops else ""
    machine = f"; {s.machine} runs {s.frames_per_second:,.0f} a second{apart}" if s.frames_per_second else ""
    talk.say(f"{samples.said}, simulated at {found.simulated_per_second:.3g} a second{machine}")


def _text(found: Evaluation) -> str:
    rows = [
        (
            each.model,
            output.name,
            f"{output.decibels:.1f}",
            f"{output.largest:.4g}",
            "-" if output.agreement is None else f"{100 * output.agreement:.1f} % of {output.rows}",
        )
        for each in found.agreements
        for output in each.outputs
    ]
    return table(("against", "output", "signal to noise, dB", "largest difference", "same argmax"), rows, (2, 3, 4))
