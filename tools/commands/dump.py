"""recon dump: the compiler's text after every pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passes.planner.options import Options
from tools.terminal.console import AssumeInt8, Debug, InputShape, Quiet, Set, Talk, Verbose
from tools.terminal.planner_options import takes_planning

if TYPE_CHECKING:
    from tools.reports.dump import Stage

DEBUG = "instructions.tsv"
"""The file of a folder that says where each instruction comes from."""


@takes_planning("level", "objective", "sram_limit")
def dump_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx|PLAN.mlir", help="An ONNX model, or IR of any level.")],
    stage: Annotated[
        str | None, typer.Option(metavar="PASS|LEVEL", help="Print the text after this pass, or at this level.")
    ] = None,
    dump_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the text after every pass there, one file each.")
    ] = None,
    machine: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="The machine.  [default: edge4k]")] = None,
    settings: Set = None,
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    planning: Options | None = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show the compiler's text after every pass, how long each took, and where each instruction comes from.

    \b
    recon dump model.onnx                             the table of passes
    recon dump model.onnx --stage tile                the plan
    recon dump model.onnx --stage fuse-residual
    recon dump model.onnx --dump-dir before           and later: diff -r before after

    Constants stand in the text as their hashes; recon-opt writes text that can be compiled on.
    """
    from backend.emit import emit
    from passes.common.levels import LEVELS, level_of
    from sim.machine.errors import ReconError
    from tools.driver import DEFAULT_MACHINE, lower, make_context, read_module
    from tools.options import Planning, input_shapes
    from tools.reports.dump import Dumper, debug_table

    talk = Talk(quiet, verbose)
    machine = talk.machine(machine, settings)
    context = make_context()
    with talk.progress("compiling") as progress:
        module = read_module(model, context, input_shapes(input_shape or []))
        dumper = Dumper(module)

        def step(name: str) -> None:
            dumper.step(name)
            talk.detail(name)
            progress.doing(name)

        above = LEVELS.index(level_of(module)) < LEVELS.index("tile")
        target = (machine or DEFAULT_MACHINE) if above else machine
        options = Planning.of(planning)
        lower(module, "accel", context, machine=target, assume_int8=assume_int8, report=step, options=options)
        stages = dumper.finish()
    if stage is not None:
        chosen = [each for each in stages if stage in (each.name, each.level)]
        if not chosen:
            raise ReconError(
                f"--stage {stage}: there is no such pass or level here; there are "
                f"{', '.join(dict.fromkeys([each.level for each in stages]))}, "
                f"{', '.join(each.name for each in stages)}."
            )
        talk.answer(chosen[-1].text.rstrip("\n"))
    if dump_dir is not None:
        _write(stages, debug_table(emit(module)), dump_dir)
        talk.say(f"{dump_dir}: {len(stages)} files of text, and {DEBUG}")
    if stage is None:
        talk.answer(_table(stages))


def _table(stages: list[Stage]) -> str:
    from tools.terminal.console import table

    rows = [
        (
            each.name,
            each.level,
            f"{1000 * each.seconds:,.1f}",
            f"{len(each.text.splitlines()):,}",
            "" if each.number and each.text == stages[each.number - 1].text else "yes",
        )
        for each in stages
    ]
    rows.append(("all passes", "", f"{1000 * sum(each.seconds for each in stages[1:]):,.1f}", "", ""))
    return table(("after", "level", "ms of CPU", "lines", "changed"), rows, (2, 3))


def _write(stages: list[Stage], table: str, folder: Path) -> None:
    """Every stage in a file, and nothing of an older dump beside them."""
    from sim.machine.errors import ReconError
    from sim.machine.files import write_whole

    if folder.exists() and not folder.is_dir():
        raise ReconError(f"{folder}: this is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9]-*.mlir"):
        old.unlink()
    for each in stages:
        write_whole(folder / each.file, each.text.encode())
    write_whole(folder / DEBUG, table.encode())
