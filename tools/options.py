"""Values of command line options, read once for all tools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from passes.planner.options import Options
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


@dataclass(frozen=True)
class Planning(Options):
    """All that can be asked of the passes for a plan: the planner's own options, that nothing of the model may run on
    the host, that no quantiser be put in (``exact``), or where calibration data are from which those put in take their
    ranges (``samples``: an ``.npz`` file, an array per input, samples first)."""

    no_host: bool = False
    exact: bool = False
    samples: str = ""

    @classmethod
    def of(cls, options: Options | None, no_host: bool = False, exact: bool = False, samples: str = "") -> Planning:
        """The planner's options with ours."""
        given = {field.name: getattr(options, field.name) for field in fields(Options)} if options is not None else {}
        return cls(**given, no_host=no_host, exact=exact, samples=samples)


def for_passes(options: Options) -> dict[str, Any]:
    """By the names of the passes' fields; ``limit`` is the SRAM limit of placement."""
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return values | {"limit": options.sram_limit or None}


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
