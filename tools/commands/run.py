"""recon run: a program runs on the simulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.terminal.console import Debug, Force, Format, Quiet, Set, Talk, Verbose, rendered

if TYPE_CHECKING:
    from sim.machine.program import Program
    from sim.statistics import Statistics
    from tools.files.overwrite import Kind
    from tools.files.pictures import Picture

TOP = 5
"""Classes shown."""


def run_command(
    program: Annotated[str, typer.Argument(metavar="MODEL.rbin", help="A program of 'recon compile'.")],
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="A .npy file or a picture; NAME= may go when there is one input. A folder holds frames in a row.",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(metavar="N", help="Run N frames in a row: of a folder, of an array's first axis, or random."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Names of the classes, one a line.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Write each output there as NAME.npy.")] = None,
    timing_only: Annotated[bool, typer.Option("--timing-only", help="Run the clock alone, without values.")] = False,
    interval: Annotated[
        bool, typer.Option("--interval", help="With --timing-only: least and most cycles, whenever DRAM refreshes.")
    ] = False,
    stats: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write all numbers as JSON.")] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE.pftrace", help="Write a Perfetto trace, for ui.perfetto.dev.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="NUMBER[,…]", help="Pictures become (pixel - mean) * scale.")
    ] = None,
    mean: Annotated[str | None, typer.Option(metavar="NUMBER[,…]", help="See --scale.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random data used without --input.", min=0)] = 0,
    machine: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Refuse a program that was compiled for another machine.")
    ] = None,
    settings: Set = None,
    form: Format = "text",
    sanitize: Annotated[
        bool, typer.Option("--sanitize", help="Look for races, and compute Winograd by its transforms as well; slower.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Run a program on the simulator.

    Prints the answer, what it cost and where the cycles went.

    \b
    recon run mobilenet.rbin --input photo.jpg --labels labels.txt
    recon run detector.rbin --input image=photo.png --scale 0.00392157 --output results
    recon run model.rbin --timing-only --stats stats.json
    recon run model.rbin --timing-only --interval    least and most, with refreshes and closed rows of DRAM
    recon run model.rbin --timing-only --trace run.pftrace
    recon run camera.rbin --input frames/    a file for each frame; compile with --frames stream
    recon run camera.rbin --timing-only --frames 1000000
    recon run model.rbin                     seeded random data

    Pictures are scaled to the input's height and width. Per layer, 'own' are the cycles in which its unit works, and
    'critical' is its share of the critical path: these add up to the total, and a layer that hides behind others has
    none. --format csv prints the table by layer with all its entries and nothing else, --format json all statistics.
    """
    from sim.machine.program import load
    from tools.commands.in_a_row import Asked, is_in_a_row, run_in_a_row
    from tools.files.overwrite import STATISTICS, TRACE
    from tools.files.pictures import Picture
    from tools.files.tensors import answer_of, random_inputs, read_labels, top_classes
    from tools.reports.report import outputs_table
    from tools.runtime import run_program

    talk = Talk(quiet or form != "text", verbose)
    loaded = load(program)
    if (asked := talk.machine(machine, settings)) is not None:
        from sim.machine.description import load as load_machine
        from sim.simulator import check_machine

        check_machine(loaded, load_machine(asked))
    if timing_only:  # a run with values stops at what the machine cannot do; the clock alone would time it
        from passes.accel.check_hazards import check_program

        check_program(loaded)
    if timing_only and (input or output is not None or labels is not None):
        raise typer.BadParameter(
            "runs without values, so it takes no --input, --labels or --output", param_hint="--timing-only"
        )
    if interval:
        _bounded(timing_only and form == "text" and not is_in_a_row(input or [], frames))
    others = (("--stats", stats, STATISTICS), ("--trace", trace, TRACE))
    files = _files(loaded, [program, labels], input or [], output, others, force)
    picture = Picture.parse(scale, mean)
    names = read_labels(labels) if labels is not None else None
    answer = answer_of(loaded.outputs, names)
    if is_in_a_row(input or [], frames):
        asked = Asked(frames, input or [], timing_only, seed, sanitize, output is not None)
        best = (answer, names) if answer is not None and (input or names) else None
        with talk.progress("running") as progress:
            ran = run_in_a_row(loaded, asked, picture, best, talk.note, progress.counter("frames"))
        for number, (name, score) in enumerate(ran.answers):
            talk.answer(f"frame {number}: {name} {score}")
        _end(talk, loaded, (ran.outputs, ran.statistics), form, (files, trace, stats))
        return
    inputs = None
    if input:
        inputs = _read(loaded, input, picture, talk)
    elif not timing_only:
        inputs = random_inputs(loaded, seed)
        talk.note(f"no --input: random data of seed {seed}")
    with talk.progress("running") as progress:
        result = run_program(
            loaded, inputs, timing_only, sanitize, lambda part, whole: progress.done("running", part, whole)
        )
    if form == "text" and answer is not None and (input or names):
        for name, score in top_classes(result.outputs[answer.name], names, TOP):
            talk.answer(f"{name} {score}")
        talk.say()
        talk.say(outputs_table(result.outputs))
    elif form == "text" and not timing_only:
        (talk.answer if input else talk.say)(outputs_table(result.outputs))
    _end(talk, loaded, (result.outputs, result.statistics), form, (files, trace, stats))
    if interval:
        talk.answer(_interval(loaded))


def _bounded(is_one_frame: bool) -> None:
    """BadParameter for an interval of something else than the clock of one frame, in words."""
    if not is_one_frame:
        raise typer.BadParameter("goes with --timing-only, one frame, and --format text", param_hint="--interval")


def _interval(program: Program) -> str:
    from sim.machine.interval import of_program

    found = of_program(program)
    return f"between {found.least:,} and {found.most:,} cycles, whenever DRAM refreshes and opens rows"


def _end(
    talk: Talk,
    program: Program,
    made: tuple[Mapping[str, Any], Statistics],
    form: str,
    written: tuple[Mapping[str, Path], Path | None, Path | None],
) -> None:
    """The files that were asked for (outputs, trace and statistics), and what the run cost."""
    from tools.files.tensors import write_outputs
    from tools.reports.report import layers_as_data

    outputs, statistics = made
    files, trace, stats = written
    if form != "text":
        talk.answer(rendered(statistics.to_json(), *layers_as_data(statistics), form))
    if files:
        write_outputs(outputs, files)
        for path in files.values():
            talk.detail(f"wrote {path}")
    if trace is not None:
        _trace(program, trace)
        talk.detail(f"wrote {trace}")
    _cost(talk, program, statistics, stats)


def _files(
    program: Program,
    reads: Sequence[str | Path | None],
    inputs: Sequence[str],
    output: Path | None,
    others: Sequence[tuple[str, Path | None, Kind]],
    force: bool,
) -> Mapping[str, Path]:
    """The files of the outputs; ReconError before anything runs where one could not be written without loss."""
    from tools.files.overwrite import ARRAY, check_writable
    from tools.files.tensors import input_files, output_files

    reads = [*reads, *(input_files(program, inputs).values() if inputs else ())]
    for option, path, kind in others:
        check_writable(option, path, kind, reads, force)
    files = output_files(program.outputs, output) if output is not None else {}
    for file in files.values():
        if file.exists():
            check_writable("--output", file, ARRAY, reads, force)
    return files


def _read(program: Program, options: Sequence[str], picture: Picture, talk: Talk) -> dict[str, Any]:
    """The inputs; warns where the model cannot tell their values apart."""
    from tools.files.pictures import PICTURES
    from tools.files.saturation import remarks
    from tools.files.tensors import input_files, read_inputs

    inputs = read_inputs(program, options, picture, talk.note)
    files = input_files(program, options)
    pictures = frozenset(name for name, file in files.items() if Path(file).suffix.lower() in PICTURES)
    for remark in remarks(program, inputs, pictures):
        talk.warn(remark)
    return inputs


def _trace(program: Program, path: Path) -> None:
    from sim.machine.files import write_whole
    from tools.reports.profile.records import profile
    from tools.reports.trace import trace

    write_whole(path, trace(profile(program)))


def _cost(talk: Talk, program: Program, statistics: Statistics, stats: Path | None) -> None:
    from sim.machine.files import write_whole
    from tools.reports.host_report import segments_text
    from tools.reports.report import WIDTH, layers, terminal_width, totals

    if stats is not None:
        write_whole(stats, (json.dumps(statistics.to_json(), indent=1) + "\n").encode())
        talk.detail(f"wrote {stats}")
    for note in program.notes:
        talk.note(note)
    talk.say()
    width = terminal_width()
    talk.say(totals(statistics, program.machine, width))
    if hosted := segments_text(statistics.host, width or WIDTH):
        talk.say()
        talk.say(hosted)
    talk.say()
    talk.say(layers(statistics, program.machine.array.lanes, width))
