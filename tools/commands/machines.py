"""recon machines: the machines that come with the project, what a description says, and one of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.terminal.console import Debug, Force, Format, Set, Talk, rendered, table

if TYPE_CHECKING:
    from sim.machine.description import Machine

NEW = "new"
"""The word that asks for a file of one's own."""


def machines_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE|new", help="Show this machine, or begin one of your own.")
    ] = None,
    file: Annotated[Path | None, typer.Argument(metavar="MY.toml", help="The file that 'new' writes.")] = None,
    base: Annotated[
        str | None, typer.Option("--from", metavar="NAME|FILE", help="What 'new' begins from.  [default: edge4k]")
    ] = None,
    settings: Set = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the machine's description file, to start one of your own from.")
    ] = False,
    form: Format = "text",
    force: Force = False,
    debug: Debug = False,
) -> None:
    """List the machines, show one, or begin a description of your own.

    \b
    recon machines
    recon machines edge1k
    recon machines new my.toml --from edge4k --set sram.bytes=4MiB
    recon compile model.onnx -o model.rbin --machine my.toml
    """
    from sim.machine.description import borrowed_name, load, names, with_settings

    talk = Talk()
    if name == NEW:
        if file is None:
            raise typer.BadParameter("needs the name of the file to write", param_hint=NEW)
        _begin(talk, file, base or "edge4k", settings or [], force)
        return
    if file is not None or base is not None:
        raise typer.BadParameter("is for 'recon machines new MY.toml'", param_hint="MY.toml" if file else "--from")
    if name is None:
        if toml or settings:
            raise typer.BadParameter("needs the name of a machine", param_hint="--toml" if toml else "--set")
        talk.answer(_list([load(each) for each in names()], form))
        return
    machine = load(with_settings(name, settings or []))
    if remark := borrowed_name(name):
        talk.note(remark)
    if toml:
        talk.answer(_source(name, machine, bool(settings)))
        return
    talk.answer(_show(machine.to_json(), form))


def _begin(talk: Talk, file: Path, base: str, settings: list[str], force: bool) -> None:
    from sim.machine.description import load, with_settings
    from sim.machine.files import write_whole
    from tools.files.machine_file import machine_text
    from tools.files.overwrite import MACHINE, check_writable

    check_writable(NEW, file, MACHINE, [base], force)
    asked = with_settings(base, settings)
    write_whole(file, machine_text(load(asked), file.stem, asked).encode())
    talk.say(f"{file}: the machine {file.stem}, as {asked}; edit it, and give it with --machine {file}")


def _source(name: str, machine: Machine, changed: bool) -> str:
    from sim.machine.description import MACHINES, names
    from sim.machine.files import read_text
    from tools.files.machine_file import machine_text

    if changed:
        return machine_text(machine, machine.name, machine.name).rstrip()
    return read_text(MACHINES / f"{name}.toml" if name in names() else name).rstrip()


def _list(known: list[Machine], form: str) -> str:
    header = ("name", "MACs", "MHz", "SRAM MiB", "DRAM B/cycle", "description")
    rows = [
        (m.name, f"{m.array.lanes}", f"{m.clock_hz / 1e6:.0f}", f"{m.sram.bytes / 2**20:g}",
         f"{float(m.dram_rate):.2f}", m.description)
        for m in known
    ]  # fmt: skip
    if form == "json":
        return rendered([machine.to_json() for machine in known], (), (), form)
    return table(header, rows, (1, 2, 3, 4)) if form == "text" else rendered([], header, rows, form)


def _show(description: dict[str, Any], form: str) -> str:
    from sim.machine.description import schema_rows

    rows: list[tuple[str, str, str]] = []
    for key, _, doc in schema_rows():
        value: Any = description
        for part in key.split("."):
            value = value[part]
        rows.append((key, _text(value) if form == "text" else str(value), doc))
    header = ("key", "value", "meaning")
    return table(header, rows) if form == "text" else rendered(description, header, rows, form)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "any"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
