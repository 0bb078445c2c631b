"""recon machines: the machines that come with the project, and what a description says."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tools.terminal.console import Debug, Talk, table


def machines_command(
    name: Annotated[str | None, typer.Argument(metavar="NAME|FILE", help="Show this machine.")] = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the machine's description file, to start one of your own from.")
    ] = False,
    debug: Debug = False,
) -> None:
    """List the machines, or show one.

    \b
    recon machines
    recon machines edge1k
    recon machines edge4k --toml > mine.toml && recon compile model.onnx -o model.rbin --machine mine.toml
    """
    from sim.machine.description import MACHINES, load, names

    talk = Talk()
    if name is None:
        if toml:
            raise typer.BadParameter("needs the name of a machine", param_hint="--toml")
        known = [load(each) for each in names()]
        rows = [
            (m.name, f"{m.array.lanes}", f"{m.clock_hz / 1e6:.0f}", f"{m.sram.bytes / 2**20:g}",
             f"{float(m.dram_rate):.2f}", m.description)
            for m in known
        ]  # fmt: skip
        talk.answer(table(("name", "MACs", "MHz", "SRAM MiB", "DRAM B/cycle", "description"), rows, (1, 2, 3, 4)))
        return
    machine = load(name)
    if toml:
        path = MACHINES / f"{name}.toml" if name in names() else name
        with open(path, encoding="utf-8") as file:
            talk.answer(file.read().rstrip())
        return
    talk.answer(_show(machine.to_json()))


def _show(description: dict[str, Any]) -> str:
    from sim.machine.description import schema_rows

    rows: list[tuple[str, str, str]] = []
    for key, _, doc in schema_rows():
        value: Any = description
        for part in key.split("."):
            value = value[part]
        rows.append((key, _text(value), doc))
    return table(("key", "value", "meaning"), rows)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "any"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
