"""recon: compile a model, run the program, look inside."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from sim.machine.errors import ReconError
from tools import VERSION
from tools.commands.assemble import assemble_command
from tools.commands.bisect import bisect_command
from tools.commands.certificate import certificate_command
from tools.commands.check import check_command
from tools.commands.compare import compare_command
from tools.commands.compile import compile_command
from tools.commands.disassemble import disassemble_command
from tools.commands.dump import dump_command
from tools.commands.evaluate import evaluate_command
from tools.commands.explain import explain_command
from tools.commands.explore import explore_command
from tools.commands.gui import gui_command
from tools.commands.machines import machines_command
from tools.commands.operators import operators_command
from tools.commands.prove import prove_command
from tools.commands.quantize import quantize_command
from tools.commands.reduce import reduce_command
from tools.commands.report import report_command
from tools.commands.roofline import roofline_command
from tools.commands.run import run_command
from tools.commands.sensitivity import sensitivity_command
from tools.commands.vary import vary_command
from tools.terminal.errors import as_error

COMMANDS = (
    check_command,
    quantize_command,
    compile_command,
    run_command,
    report_command,
    dump_command,
    gui_command,
    explain_command,
    vary_command,
    roofline_command,
    evaluate_command,
    compare_command,
    explore_command,
    sensitivity_command,
    disassemble_command,
    assemble_command,
    machines_command,
    operators_command,
    bisect_command,
    prove_command,
    reduce_command,
    certificate_command,
)

app = typer.Typer(
    name="recon",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in COMMANDS:
    app.command(command.__name__.removesuffix("_command"))(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recon {VERSION}")
        raise typer.Exit


@app.callback()
def recon(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Compile int8 ONNX CNNs for a reconfigurable accelerator and run them on its simulator.

    \b
    recon compile model.onnx -o model.rbin
    recon run model.rbin --input photo.png --labels labels.txt

    'recon COMMAND --help' shows examples of each command; recon-opt is the tool for the compiler's own text.
    """


def main(args: Sequence[str] | None = None, *, exits: bool = True) -> None:
    """Entry point: ``error: …`` on stderr and exit 1 for what a user can mend, never a traceback unless --debug.

    With ``exits`` false it returns when all went well.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    gc.set_threshold(100_000, 50, 100)  # IR is many small objects that live to the end
    try:
        app(arguments, standalone_mode=exits)
    except (ReconError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        _fail(arguments, str(error) if isinstance(error, ReconError) else f"{error.filename}: {error.strerror}.")
    except MemoryError:
        _fail(arguments, "there is not enough memory for this.")
    except Exception as error:
        from tools.terminal.diagnostics import describe_unexpected

        _fail(arguments, describe_unexpected(error, "recon"))


def _fail(arguments: Sequence[str], text: str) -> None:
    if "--debug" in arguments:
        traceback.print_exc()
    typer.echo(as_error(text), err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
