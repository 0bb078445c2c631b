"""The pipeline: every pass once, in order, by the level it serves.

This tuple registers the passes with the tools, orders the whole road and lists them in the documentation. A pass has
one name in four spellings (``elide_configuration.py``, ``ElideConfigurationPass``, ``elide-configuration``,
``elide_configuration.mlir``), so its module's path says everything; the module is imported when the pass is used.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

LEVELS = ("onnx", "cnn", "tile", "accel")
"""The levels of the IR, top down; a module's level is the lowest whose operations it holds."""


@dataclass(frozen=True)
class Entry:
    """A pass and the level that it makes or improves.

    ``default`` passes run on the whole road; one with ``when`` runs there if the command line gives that option
    (``when="assume_int8"`` for ``--assume-int8``).
    """

    level: str
    module: str
    default: bool = True
    when: str = ""

    @property
    def name(self) -> str:
        """``elide-configuration``, as command lines spell it."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def class_name(self) -> str:
        """``ElideConfigurationPass``."""
        return "".join(part.capitalize() for part in self.name.split("-")) + "Pass"

    def load(self) -> type[ModulePass]:
        """The pass itself; its module is imported now."""
        return getattr(importlib.import_module(self.module), self.class_name)


PIPELINE: tuple[Entry, ...] = (
    Entry("cnn", "passes.fold_constants"),
    Entry("cnn", "passes.canonicalize_onnx"),
    Entry("cnn", "passes.fold_batch_norm"),
    Entry("cnn", "passes.assume_int8", when="assume_int8"),
    Entry("cnn", "passes.convert_onnx_to_cnn"),
    Entry("cnn", "passes.fuse_activations"),
    Entry("cnn", "passes.fuse_residual"),
    Entry("cnn", "passes.fold_pads"),
    Entry("cnn", "passes.legalize"),
    Entry("tile", "passes.order_layers"),
    Entry("tile", "passes.select_configuration"),
    Entry("tile", "passes.convert_cnn_to_tile"),
    Entry("tile", "passes.elide_configuration"),
    Entry("accel", "passes.convert_tile_to_accel"),
    Entry("accel", "passes.allocate_sram"),
    Entry("accel", "passes.assign_waits"),
    Entry("accel", "passes.check_hazards"),
    Entry("accel", "passes.verify_structure", default=False),
)
"""All passes. ``recon compile`` and ``recon-opt --to LEVEL`` run the default ones in this order."""


def all_passes() -> dict[str, Callable[[], type[ModulePass]]]:
    """Every pass by name, as a factory that imports it when called."""
    return {entry.name: entry.load for entry in PIPELINE}


def level_of(module: ModuleOp) -> str:
    """The lowest level whose operations stand in the module, not counting those inside host regions."""
    lowest = 0
    for op in module.walk():
        dialect = op.name.partition(".")[0]
        if dialect in LEVELS:
            lowest = max(lowest, LEVELS.index(dialect))
    return LEVELS[lowest]


def passes_between(start: str, end: str, options: dict[str, Any] | None = None) -> tuple[ModulePass, ...]:
    """The default passes that take a module from one level to another.

    Each of ``options`` goes to the passes that have a field of that name: ``machine``, for one.
    """
    wanted = LEVELS[LEVELS.index(start) + 1 : LEVELS.index(end) + 1]
    made: list[ModulePass] = []
    for entry in PIPELINE:
        asked = bool((options or {}).get(entry.when)) if entry.when else entry.default
        if asked and entry.level in wanted:
            kind = entry.load()
            fields = {field.name for field in dataclasses.fields(kind)}
            made.append(kind(**{name: value for name, value in (options or {}).items() if name in fields}))
    return tuple(made)
