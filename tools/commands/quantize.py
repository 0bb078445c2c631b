"""recon quantize: a float model becomes one of int8, and what that loses is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.terminal.console import Debug, Force, InputShape, Mean, Quiet, Scale, Talk, Verbose, table

if TYPE_CHECKING:
    import onnx

    from tools.quantise.losses import LayerLoss
    from tools.quantise.prepare import Prepared
    from tools.quantise.road import Quantised
    from tools.quantise.samples import Samples

SHOWN = 10
"""Layers and nodes shown without -v."""


def quantize_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="A float model.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The int8 model to write.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures to calibrate on; see --scale and --mean.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Arrays to calibrate on, by input, samples first.")
    ] = None,
    random: Annotated[
        int | None, typer.Option(metavar="N", help="Calibrate on N random samples: for cost, not for use.", min=1)
    ] = None,
    calibration: Annotated[
        str, typer.Option(metavar="minmax|percentile|entropy", help="How ranges follow from the data.")
    ] = "minmax",
    limit: Annotated[int, typer.Option(metavar="N", help="Samples used at most.", min=1)] = 128,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One scale for all weights of a layer, not one per output channel.")
    ] = False,
    in_float: Annotated[
        list[str] | None, typer.Option("--float", metavar="NODE", help="Leave this node in float; repeatable.")
    ] = None,
    float_worst: Annotated[
        int, typer.Option(metavar="K", help="Leave the K layers in float that lose most.", min=0)
    ] = 0,
    input_shape: InputShape = None,
    scale: Scale = None,
    mean: Mean = None,
    seed: Annotated[int, typer.Option(help="Seed of --random.", min=0)] = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Quantise a float model with ONNX Runtime's quantiser.

    Shapes, opset, constants and batch normalisations are seen to; a decoder behind the last weights stays in float.
    Says what stayed in float and why, what each output lost, and which layers lose most.

    \b
    recon quantize resnet.onnx --images photos --scale 0.01712475 --mean 123.7,116.3,103.5 -o resnet_int8.onnx
    recon quantize detector.onnx --data samples.npz --calibration percentile -o detector_int8.onnx
    recon quantize model.onnx --random 4 -o model_int8.onnx
    recon quantize model.onnx --images photos --float-worst 2 -o model_int8.onnx
    """
    from sim.machine.files import write_whole
    from tools.files.overwrite import QUANTISED, check_writable
    from tools.files.pictures import Picture
    from tools.options import input_shapes
    from tools.quantise.prepare import prepare
    from tools.quantise.quantise import METHODS
    from tools.quantise.road import Settings, quantise

    talk = Talk(quiet, verbose)
    if calibration not in METHODS:
        raise typer.BadParameter(f"there are {', '.join(METHODS)}", param_hint="--calibration")
    if sum(each is not None for each in (images, data, random)) != 1:
        raise typer.BadParameter("say what to calibrate on: one of --images, --data and --random")
    check_writable("-o", output, QUANTISED, [model, data], force)
    picture = Picture.parse(scale, mean)
    settings = Settings(calibration, not per_tensor, tuple(in_float or ()), float_worst)
    with talk.progress("reading the model") as progress:
        prepared = prepare(model, input_shapes(input_shape or []))
        samples = _samples(prepared, images, data, random, picture, limit, seed)
        found = quantise(prepared, samples, settings, progress.counter)
    write_whole(output, found.model.SerializeToString(deterministic=True))
    for note in prepared.notes:
        talk.note(note)
    if random is not None:
        talk.note("calibrated on random data: the ranges fit no real input; good for cycles and bytes alone")
    talk.say(f"{output}: calibrated on {samples.said} by {calibration}")
    for part in (_floats(prepared.model, found.in_float, verbose), _outputs(found), _layers(found.layers, verbose)):
        talk.say()
        talk.say(part)


def _samples(
    prepared: Prepared,
    images: Path | None,
    data: Path | None,
    random: int | None,
    picture: object,
    limit: int,
    seed: int,
) -> Samples:
    from tools.files.pictures import Picture
    from tools.quantise.samples import from_arrays, from_pictures, from_random

    if images is not None:
        assert isinstance(picture, Picture)
        return from_pictures(prepared.inputs, images, picture, limit)
    if data is not None:
        return from_arrays(prepared.inputs, data, limit)
    return from_random(prepared.inputs, min(random or 1, limit), seed)


def _floats(model: onnx.ModelProto, reasons: Mapping[str, str], verbose: bool) -> str:
    """What stayed in float and why, operators of one reason together; with -v each node."""
    if not reasons:
        return "nothing stayed in float"
    kinds = {node.name: node.op_type for node in model.graph.node}
    rows: list[tuple[str, str, str]] = []
    if verbose:
        rows = [(name, kinds[name], reason) for name, reason in reasons.items()]
        return table(("stayed in float", "operator", "why"), rows)
    counts: dict[tuple[str, str], int] = {}
    for name, reason in reasons.items():
        key = (reason, kinds[name])
        counts[key] = counts.get(key, 0) + 1
    rows = [(str(number), kind, reason) for (reason, kind), number in counts.items()]
    return table(("stayed in float", "operator", "why"), rows, (0,))


def _outputs(found: Quantised) -> str:
    rows = [
        (
            each.name,
            f"{each.decibels:.1f}" + ("" if each is old else f"  (was {old.decibels:.1f})"),
            f"{each.largest:.4g}",
            "-" if each.agreement is None else f"{100 * each.agreement:.0f} % of {each.rows}",
        )
        for each, old in zip(found.outputs, found.outputs_before, strict=True)
    ]
    return table(("output", "signal to noise, dB", "largest difference", "same argmax"), rows, (1, 2, 3))


def _layers(layers: Sequence[LayerLoss], verbose: bool) -> str:
    losing = [layer for layer in layers if layer.added > 0]
    shown = losing if verbose else losing[:SHOWN]
    rows = [(each.node, each.op_type, f"{each.decibels:.1f}", f"{100 * each.added:.2g} %") for each in shown]
    more = f"\n{len(losing) - len(shown)} more lose less (-v)" if len(losing) > len(shown) else ""
    header = ("layers that lose most", "operator", "dB behind it", "noise added, of its signal")
    return table(header, rows, (2, 3)) + more
