"""recon explore: which machine should be built for these models?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, Force, Quiet, Talk, Verbose


def explore_command(
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="Models, machines and options.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="STORE.sqlite", help="Where rows are kept.")
    ] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write the pictures as one page.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write all rows as CSV.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes on this machine.  [default: one per core]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Use the Dask cluster of this scheduler instead.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Compile and time many machines for several models, and say which is best.

    \b
    recon explore space.toml
    recon explore space.toml -o rows.sqlite --page explored.html --csv rows.csv
    recon explore space.toml -o rows.sqlite --scheduler tcp://10.0.0.1:8786

    Rows are kept as they come: the same command goes on where it was stopped. docs/exploring.md shows what a space
    file says. Needs the extra 'explore' (Dask and Optuna).
    """
    from sim.machine.files import write_whole
    from tools.explore.explore import Exploration, check_installed
    from tools.explore.findings import findings
    from tools.explore.space_file import read_space
    from tools.explore.store import PointStore
    from tools.explore.summary import counted, extent, summary
    from tools.files.overwrite import EXPLORATION, ROWS, STORE, check_writable
    from tools.terminal.console import rendered

    talk = Talk(quiet, verbose)
    check_installed()
    asked = read_space(space)
    asked.check_models()
    reads = [space, *(model.file for model in asked.models), *asked.bases]
    check_writable("--page", page, EXPLORATION, [*reads, output], force)
    check_writable("--csv", csv, ROWS, [*reads, output], force)
    path = output or space.with_suffix(".sqlite")
    check_writable("--output", path, STORE, reads, force)
    from tools.explore.engine import cluster

    with talk.progress("exploring") as progress:

        def step(text: str) -> None:
            talk.detail(text)
            progress.doing(text)

        step("drawing machines" if asked.sample else "looking at the machines")
        talk.say(extent(asked) + "\n")
        store = PointStore(path)
        exploration = Exploration(asked, store, step)
        explored = exploration.kept()
        if explored is None:
            step("starting processes")
            with cluster(scheduler, workers or os.cpu_count() or 1) as client:
                explored = exploration.all_rows(client, progress.counter("points"))
    store.close()
    found = findings(explored.rows, asked.goal, (key for key, _ in asked.derived), asked.together)
    talk.answer(summary(found, asked.goal))
    if csv is not None:
        header, rows = found.as_data()
        write_whole(csv, (rendered(None, header, rows, "csv") + "\n").encode())
        talk.detail(f"wrote {csv}")
    if page is not None:
        from tools.explore.page import page as draw

        write_whole(page, draw(found, asked, space.stem).encode())
        talk.detail(f"wrote {page}")
    talk.say(
        f"\n{counted(len(explored.rows), 'row')} in {path}, {explored.found:,} of them from before; "
        f"{explored.cpu_seconds:,.1f} CPU seconds in all."
    )
