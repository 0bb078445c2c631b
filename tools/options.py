"""Values of command line options, read once for all tools."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from passes.planner.options import OBJECTIVES, Options
from sim.machine.errors import ReconError

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


LEVELS_OF_EFFORT = "0 each layer by itself, 1 the network as a whole, 2 a search as well"
"""What -O0, -O1 and -O2 mean, for help texts."""

FREEDOMS: Mapping[str, Mapping[str, bool]] = {
    "winograd": {"winograd": False},
    "reconfiguration": {"single": True},
    "prefetch": {"prefetch": False},
    "residency": {"residency": False},
    "fusion": {"fusion": False},
    "order": {"order": False},
}
"""Freedoms of the planner that can be taken away, each with the option that does it."""

_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}


@dataclass(frozen=True)
class Planning(Options):
    """All that can be asked of the passes for a plan: the planner's own options, configurations that are pinned, a time
    budget, and that nothing of the model may run on the host."""

    pin: tuple[str, ...] = ()
    time_budget: float = 0.0
    no_host: bool = False

    def for_passes(self) -> dict[str, Any]:
        """By the names of the passes' fields; ``limit`` is the SRAM limit of placement."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"limit": self.sram_limit or None}


def planning(
    level: int | None = None,
    objective: str | None = None,
    sram_limit: str | None = None,
    pin: Iterable[str] = (),
    time_budget: float | None = None,
    without: Iterable[str] = (),
    no_host: bool = False,
) -> Planning:
    """The options as the command line gives them; ReconError says what is wrong with one."""
    if objective is not None and objective not in OBJECTIVES:
        raise ReconError(f"--objective {objective}: there are {', '.join(OBJECTIVES)}.")
    if time_budget is not None and not (math.isfinite(time_budget) and time_budget > 0):
        raise ReconError(f"--time-budget {time_budget:g}: give a number of seconds above 0.")
    freedoms: dict[str, bool] = {}
    for name in without:
        if name not in FREEDOMS:
            raise ReconError(f"--without {name}: there are {', '.join(FREEDOMS)}.")
        freedoms |= FREEDOMS[name]
    return Planning(
        level=2 if level is None else level,
        objective=objective or OBJECTIVES[0],
        sram_limit=0 if sram_limit is None else sram_bytes(sram_limit),
        pin=tuple(pin),
        time_budget=time_budget or 0.0,
        no_host=no_host,
        **freedoms,
    )


def sram_bytes(text: str) -> int:
    """``2MiB``, ``2048KiB``, ``2MB`` or ``2097152`` as bytes; ReconError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    size = float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else 0
    if size < 1 or size != int(size):
        raise ReconError(f"--sram-limit {text}: write a size such as 2MiB, 2048KiB, 2MB or 2097152.")
    return int(size)


def check_unplanned(module: ModuleOp, options: Planning, where: str) -> None:
    """ReconError if the module is planned already and the options ask for a plan."""
    from passes.common.levels import LEVELS, level_of

    level = level_of(module)
    if LEVELS.index(level) < LEVELS.index("tile"):
        return
    # The place of buffers is still open in a plan, so a limit can bind there; in instructions nothing is.
    asked = Planning(sram_limit=options.sram_limit) if level == "tile" else Planning()
    if options != asked:
        raise ReconError(
            f"{where}: this is at level {level}, where the plan is made already; leave the options of the planner out, "
            "or give them where the model is planned."
        )


def check_planned_machine(module: ModuleOp, machine: str, where: str) -> None:
    """ReconError if the module is already planned for another machine than the one the command line names."""
    from xdsl.dialects.builtin import StringAttr

    from sim.machine.description import load

    asked = load(machine)
    for op in module.body.block.ops:
        planned = op.properties.get("machine")
        if isinstance(planned, StringAttr) and load(planned.data).fingerprint != asked.fingerprint:
            raise ReconError(
                f"{where}: this plan is for {planned.data}, and a plan is for one machine; leave --machine out, or "
                f"plan the model again with --machine {machine}."
            )
