"""recon certificate: why no program of these layers is faster than its bound, and the check of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.terminal.console import Debug, Quiet, Talk, Verbose


def certificate_command(
    program: Annotated[Path, typer.Argument(metavar="MODEL.rbin", help="The program.")],
    against: Annotated[
        Path | None, typer.Option(metavar="MODEL.onnx", help="The model it was made from: check every figure.")
    ] = None,
    machine: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Check that this is the machine that the program names.")
    ] = "",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Show the certificate of a program's bound, and check it against the model.

    A certificate is the way to bound3: the terms, in cycles, that add up to it, from the least cycles and bytes of each
    layer. The check works every figure out anew from the model alone, sharing no code with the compiler. It exits
    with 1 when a figure claims more than the model and the machine give.

    \b
    recon certificate mobilenet.rbin
    recon certificate mobilenet.rbin --against mobilenet.onnx
    recon certificate mobilenet.rbin --against mobilenet.onnx --machine my.toml

    docs/bounds.md has the proof of each term.
    """
    from passes.onnx.onnx_file import read_model
    from sim.machine.description import load as load_machine
    from sim.machine.errors import ReconError
    from sim.machine.program import load
    from tools.certificate import check
    from tools.terminal.console import table

    talk = Talk(quiet, verbose)
    loaded = load(str(program))
    certificate = loaded.certificate
    if machine and load_machine(machine).fingerprint != loaded.machine.fingerprint:
        raise ReconError(f"{program}: its machine {loaded.machine.name} is not the one that {machine} describes.")
    limit = certificate.limit
    if limit == "order":
        first, last = (certificate.layers[index].name for index in certificate.window)
        limit = f"order, layers {first} to {last}"
    rows = [(name, f"{cycles:,}") for name, cycles in certificate.terms]
    talk.say(table(("because of", "cycles"), [*rows, ("bound3", f"{certificate.cycles:,}")], (1,)))
    talk.say(f"limit: {limit}; the program takes {loaded.predicted_cycles:,} cycles")
    if against is None:
        return
    faults = check(loaded.to_bytes(), read_model(against, str(against)).proto)
    if faults:
        raise ReconError("\n".join([f"{program}: the certificate does not hold:", *(f"  - {each}" for each in faults)]))
    talk.answer(f"certified: {certificate.cycles:,} cycles, recomputed from {against} alone")
