"""recon disassemble: a program's instructions as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, Force, Talk


def disassemble_command(
    program: Annotated[str, typer.Argument(metavar="MODEL.rbin", help="A program.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of printing.")
    ] = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Print a program's instructions.

    One a line, with the layer each belongs to.

    \b
    recon disassemble model.rbin | less
    recon disassemble model.rbin -o model.asm      edit it, then:
    recon assemble model.asm --base model.rbin -o changed.rbin
    """
    from sim.machine.files import write_whole
    from sim.machine.program import load
    from tools.files.listing import disassemble_program
    from tools.files.overwrite import LISTING, check_writable

    check_writable("-o", output, LISTING, [program], force)
    text = disassemble_program(load(program))
    if output is None:
        Talk().answer(text.rstrip("\n"))
    else:
        write_whole(output, text.encode())
