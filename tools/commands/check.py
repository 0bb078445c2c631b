"""recon check: what of a model would run where, and what is in the way, without planning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tools.terminal.console import Debug, Format, InputShape, Quiet, Talk, Verbose, count, rendered, table

if TYPE_CHECKING:
    from tools.reports.check import Check


def check_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx", help="An ONNX model, or IR of the onnx level.")],
    input_shape: InputShape = None,
    form: Format = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Say what of a model would run on the machine and on the host, and what is refused and why.

    Makes no plan, so it takes seconds. Sizes that the model leaves open are put in, and a float model is looked at as
    if it were quantised. Exits with 1 when the model would not compile as it is.

    \b
    recon check model.onnx
    recon check model.onnx -v                          every node
    recon check detector.onnx --input-shape image=1,3,416,416
    """
    from tools.options import input_shapes
    from tools.reports.check import check_model

    talk = Talk(quiet, verbose)
    with talk.progress("reading the model"):
        found = check_model(model, input_shapes(input_shape or []))
    if form != "text":
        talk.answer(_data(found, form))
    else:
        talk.answer(_text(found, talk.verbose))
    if not found.compiles:
        raise typer.Exit(1)


def _data(found: Check, form: str) -> str:
    from dataclasses import asdict

    header = ("name", "operator", "place", "layer", "reason")
    rows = [(node.name, node.operator, node.place, node.layer, node.reason) for node in found.nodes]
    return rendered({**asdict(found), "compiles": found.compiles}, header, rows, form)


def _text(found: Check, verbose: bool) -> str:
    from tools.reports.check import HOST, by_operator

    parts: list[str] = []
    if found.nodes and verbose:
        rows = [(node.name, node.operator, node.place, node.layer or "-") for node in found.nodes]
        parts.append(table(("node", "operator", "runs on", "layer"), rows))
    elif found.nodes:
        counts = by_operator(found)
        rows = [tuple(f"{cell or '-'}" for cell in row) for row in counts]
        gone = "folded, or behind what is refused" if found.problems else "folded"
        parts.append(table(("operator", "machine", "host", "refused", gone), rows, (1, 2, 3, 4)))
    if told := [(node.name, node.operator, node.reason) for node in found.nodes if node.place == HOST and node.reason]:
        parts.append(table(("on the host", "operator", "why"), told))
    total = found.machine_macs + found.host_macs
    if total and not found.problems:
        share = 100 * found.machine_macs / total
        parts.append(f"{share:.4g} % of {count(total)} MACs on the machine")
    for name, shape in found.assumed_shapes.items():
        parts.append(
            f"The shape of the input '{name}' is open; compile with --input-shape {name}={','.join(map(str, shape))}, "
            "as looked at here, or with the sizes you need."
        )
    if found.as_if_quantised:
        parts.append(
            "The model is float and was looked at as if it were quantised; 'recon quantize' makes it int8, and "
            "--assume-int8 compiles it for its cost alone."
        )
    parts += found.problems
    if found.compiles:
        parts.append(f"{found.model} compiles, as far as can be said without a plan.")
    return "\n\n".join(parts)
