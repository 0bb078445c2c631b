"""recon assemble: edited instructions back into a program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, Force


def assemble_command(
    text: Annotated[Path, typer.Argument(metavar="MODEL.asm", help="Text as 'recon disassemble' prints it.")],
    base: Annotated[
        str, typer.Option(metavar="MODEL.rbin", help="The program it was taken from: constants, tensors, layers.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.rbin", help="The program to write.")],
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Put edited instructions into a program.

    Everything but the code and its layers comes from the base program.

    \b
    recon disassemble model.rbin -o model.asm
    recon assemble model.asm --base model.rbin -o same.rbin     unchanged text gives the same file
    """
    from sim.machine.errors import EncodingError, ProgramError
    from sim.machine.files import read_text
    from sim.machine.program import load
    from tools.files.listing import assemble_program
    from tools.files.overwrite import PROGRAM, check_writable

    check_writable("-o", output, PROGRAM, [text, base], force)
    try:
        content = read_text(text)
    except OSError as error:
        raise ProgramError(f"{text}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ProgramError(f"{text}: this is not a text file.") from None
    try:
        program = assemble_program(content, load(base))
    except EncodingError as error:
        raise EncodingError(f"{text}: {error}") from None
    program.save(output)
