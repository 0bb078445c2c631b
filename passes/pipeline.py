"""The pipeline: every pass once, in order, by the level it serves.

This tuple registers the passes with the tools, orders the whole road and lists them in the documentation. A pass has
one name in four spellings (``elide_configuration.py``, ``ElideConfigurationPass``, ``elide-configuration``,
``elide_configuration.mlir``), so its module's path says everything; the module is imported when the pass is used.
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import Any

from xdsl.passes import ModulePass

from passes.common.levels import LEVELS


@dataclass(frozen=True)
class Entry:
    """A pass and the level that it makes or improves.

    ``default`` passes run on the whole road; one with ``when`` runs there if the command line gives that option
    (``when="assume_int8"`` for ``--assume-int8``). A ``check`` of its level also meets what comes in at that level,
    text that a person wrote, on its way down.
    """

    level: str
    module: str
    default: bool = True
    when: str = ""
    check: bool = False

    @property
    def name(self) -> str:
        """``elide-configuration``, as command lines spell it."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def takes(self) -> str:
        """The level that the pass works on, by the room that it lives in; nothing for a pass of every level."""
        room = self.module.split(".")[1]
        return {"every_level": "", "quantise": "onnx", "partition": "onnx"}.get(room, room.partition("_to_")[0])

    @property
    def class_name(self) -> str:
        """``ElideConfigurationPass``."""
        return "".join(part.capitalize() for part in self.name.split("-")) + "Pass"

    def load(self) -> type[ModulePass]:
        """The pass itself; its module is imported now."""
        return getattr(importlib.import_module(self.module), self.class_name)


PIPELINE: tuple[Entry, ...] = (
    Entry("cnn", "passes.onnx.fold_constants"),
    Entry("cnn", "passes.onnx.canonicalize_onnx"),
    Entry("cnn", "passes.onnx.fold_batch_norm"),
    Entry("cnn", "passes.quantise.assume_int8", when="assume_int8"),
    Entry("cnn", "passes.quantise.measure_ranges", when="samples"),
    Entry("cnn", "passes.partition.assign_host"),
    Entry("cnn", "passes.onnx_to_cnn.convert_onnx_to_cnn"),
    Entry("cnn", "passes.cnn.fuse_activations"),
    Entry("cnn", "passes.cnn.fuse_residual"),
    Entry("cnn", "passes.cnn.fold_pads"),
    Entry("cnn", "passes.cnn.split_batch"),
    Entry("cnn", "passes.cnn.legalize", check=True),
    Entry("tile", "passes.cnn_to_tile.order_layers"),
    Entry("tile", "passes.cnn_to_tile.select_configuration"),
    Entry("tile", "passes.cnn_to_tile.convert_cnn_to_tile"),
    Entry("tile", "passes.tile.elide_configuration"),
    Entry("accel", "passes.tile_to_accel.convert_tile_to_accel"),
    Entry("accel", "passes.accel.allocate_sram"),
    Entry("accel", "passes.accel.assign_waits"),
    Entry("accel", "passes.accel.check_hazards"),
    Entry("accel", "passes.accel.predict_cycles", default=False),
    Entry("accel", "passes.every_level.verify_structure", default=False),
)
"""All passes. ``recon compile`` and ``recon-opt --to LEVEL`` run the default ones in this order."""


def passes_between(start: str, end: str, options: dict[str, Any] | None = None) -> tuple[ModulePass, ...]:
    """The default passes that take a module from one level to another.

    Each of ``options`` goes to the passes that have a field of that name: ``machine``, for one.
    """
    wanted = LEVELS[LEVELS.index(start) + 1 : LEVELS.index(end) + 1]
    made: list[ModulePass] = []
    for entry in PIPELINE:
        asked = bool((options or {}).get(entry.when)) if entry.when else entry.default
        if asked and (entry.level in wanted or (entry.check and wanted and entry.level == start)):
            kind = entry.load()
            fields = {field.name for field in dataclasses.fields(kind)}
            made.append(kind(**{name: value for name, value in (options or {}).items() if name in fields}))
    return tuple(made)
