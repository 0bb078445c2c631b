"""recon operators: which operators of ONNX run where."""

from __future__ import annotations

from typing import Annotated

import typer

from tools.terminal.console import Debug, Format, Talk, rendered, table


def operators_command(
    name: Annotated[str | None, typer.Argument(metavar="OPERATOR", help="Show this one alone.")] = None,
    form: Format = "text",
    debug: Debug = False,
) -> None:
    """List the operators of ONNX that run on the machine, what is taken of each, and the limits of all layers.

    'recon check MODEL.onnx' says what that means for a model.

    \b
    recon operators
    recon operators Resize
    """
    import difflib

    from sim.machine.errors import ReconError
    from tools.reports.operators import HOST, Row, limits, on_host, rows

    talk = Talk()
    found = rows()
    others = on_host()
    if name is not None:
        known = [row.operator for row in found] + others
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ReconError(f"ONNX has no operator '{name}'" + (f"; did you mean {near[0]}?" if near else "."))
        found = [row for row in found if row.operator == name] or [Row(name, HOST, "As ONNX Runtime has it.")]
    cells = [(row.operator, row.place, row.taken) for row in found]
    header = ("operator", "runs as", "what is taken")
    if form != "text":
        talk.answer(rendered([row.__dict__ for row in found], header, cells, form))
        return
    talk.answer(table(header, cells))
    if name is None:
        talk.answer()
        talk.answer(table(("limit of every layer", "what is told"), limits()))
        talk.answer()
        talk.answer(f"{len(others)} further operators run on the host, by ONNX Runtime.")
