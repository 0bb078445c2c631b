"""Values of command line options, read once for all tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sim.errors import ReconError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp


def input_shapes(options: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """``["data=1,3,224,224"]`` as shapes by input name; ReconError says what is wrong with one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for option in options:
        name, equals, text = option.rpartition("=")
        try:
            dims = tuple(int(number) for number in text.split(","))
        except ValueError:
            dims = ()
        if not equals or not name or not dims or min(dims) < 1:
            raise ReconError(f"--input-shape {option}: write NAME=1,3,224,224, with whole numbers of at least 1.")
        if name in shapes:
            raise ReconError(f"--input-shape: the input '{name}' is given twice.")
        shapes[name] = dims
    return shapes


def check_planned_machine(module: ModuleOp, machine: str, where: str) -> None:
    """ReconError if the module is already planned for another machine than the one the command line names."""
    from xdsl.dialects.builtin import StringAttr

    from sim.machine import load

    asked = load(machine)
    for op in module.body.block.ops:
        planned = op.properties.get("machine")
        if isinstance(planned, StringAttr) and load(planned.data).fingerprint != asked.fingerprint:
            raise ReconError(
                f"{where}: this plan is for {planned.data}, and a plan is for one machine; leave --machine out, or "
                f"plan the model again with --machine {machine}."
            )
