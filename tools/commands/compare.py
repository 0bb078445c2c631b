"""recon compare: one model on several machines, and what each freedom of the planner is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from passes.planner.options import Options
from tools.options import Planning
from tools.terminal.console import AssumeInt8, Debug, Force, Format, InputShape, Quiet, Set, Talk, Verbose, rendered
from tools.terminal.planner_options import takes_planning


@takes_planning("level", "objective", "sram_limit", "frames", "batch")
def compare_command(
    model: Annotated[str, typer.Argument(metavar="MODEL.onnx|BEFORE", help="An ONNX model, or a program.")],
    after: Annotated[
        str | None, typer.Argument(metavar="[AFTER]", help="Another one, to compare with it layer by layer.")
    ] = None,
    machines: Annotated[
        str, typer.Option(metavar="NAME|FILE[,…]", help="Machines; the first is what the others are compared with.")
    ] = "edge4k,edge4k-fixed",
    settings: Set = None,
    planning: Options | None = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all statistics of every plan as JSON.")
    ] = None,
    fail_above: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="With AFTER: fail if it takes so much longer, and name the layers."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.html", help="Write the pictures as one page.")
    ] = None,
    form: Format = "text",
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Plan a model for several machines and compare what it costs.

    Also plans it for the first machine without Winograd, with one configuration for all layers, without prefetch,
    residency and fusion, and in the model's order of layers, each alone.

    \b
    recon compare model.onnx
    recon compare model.onnx --machines edge4k,edge1k,mine.toml --json costs.json
    recon compare float_model.onnx --assume-int8 -O1
    recon compare model.onnx --set sram.bytes=4MiB --format csv > costs.csv
    recon compare model.onnx -o compared.html
    recon compare before.rbin after.rbin --fail-above 2%
    recon compare model_v1.onnx model_v2.onnx --machines edge1k

    With two programs, or two models planned for the first machine, it compares them layer by layer: what each layer
    costs before and after, which are new or gone, which shapes nothing had before, and which fell off a cliff.
    """
    from sim.machine.files import write_whole
    from tools.files.overwrite import COMPARISON, COMPARISON_PAGE, check_writable
    from tools.options import input_shapes
    from tools.reports.compare import compare
    from tools.reports.compare_report import report
    from tools.reports.report import terminal_width

    talk = Talk(quiet, verbose)
    names = [name.strip() for name in machines.split(",") if name.strip()]
    asked_for = [talk.machine(name, settings) or name for name in names]
    if after is not None:
        given = {"input_shapes": input_shapes(input_shape or []), "assume_int8": assume_int8}
        _two(talk, (model, after), asked_for[0], Planning.of(planning), given, (fail_above, as_json, page, form, force))
        return
    if fail_above is not None:
        raise typer.BadParameter("needs two programs or models to compare", param_hint="--fail-above")
    check_writable("--json", as_json, COMPARISON, [model, *names], force)
    check_writable("--output", page, COMPARISON_PAGE, [model, *names, as_json], force)
    with talk.progress("comparing") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            if " " in text:  # what is planned, not each pass of it
                progress.doing(text)

        shapes = input_shapes(input_shape or [])
        found = compare(model, asked_for, shapes, assume_int8, Planning.of(planning), step)
    if as_json is not None:
        write_whole(as_json, (json.dumps(found.to_json(), indent=1) + "\n").encode())
        talk.detail(f"wrote {as_json}")
    if page is not None:
        from tools.reports.compare_page import comparison_page

        write_whole(page, comparison_page(found).encode())
        talk.detail(f"wrote {page}")
    talk.answer(
        report(found, terminal_width()) if form == "text" else rendered(found.to_json(), *found.as_data(), form)
    )


def _two(
    talk: Talk,
    paths: tuple[str, str],
    machine: str,
    planning: Planning,
    given: dict[str, Any],
    asked: tuple[str | None, Path | None, Path | None, str, bool],
) -> None:
    """Compare two programs or models; ReconError where the second is slower than allowed."""
    from sim.machine.errors import ReconError
    from sim.machine.files import write_whole
    from tools.files.overwrite import CHANGES, COMPARISON_PAGE, check_writable
    from tools.reports.changes import changes, percentage, report, statistics_of, verdict
    from tools.reports.report import terminal_width

    fail_above, as_json, page, form, force = asked
    allowed = percentage(fail_above) if fail_above is not None else None
    check_writable("--json", as_json, CHANGES, [*paths, machine], force)
    check_writable("--output", page, COMPARISON_PAGE, [*paths, machine, as_json], force)
    with talk.progress("comparing") as progress:
        runs = [statistics_of(path, machine, planning=planning, report=progress.doing, **given) for path in paths]
    found = changes(*runs)
    if as_json is not None:
        write_whole(as_json, (json.dumps(found.to_json(), indent=1) + "\n").encode())
    if page is not None:
        from tools.reports.compare_page import changes_page

        write_whole(page, changes_page(found).encode())
    talk.answer(
        report(found, terminal_width()) if form == "text" else rendered(found.to_json(), *found.as_data(), form)
    )
    if allowed is not None and (problem := verdict(found, allowed)) is not None:
        raise ReconError(problem)
