"""The levels of the IR, top down."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

LEVELS = ("onnx", "cnn", "tile", "accel")
"""The levels of the IR, top down; a module's level is the lowest whose operations it holds."""


def level_of(module: ModuleOp) -> str:
    """The lowest level whose operations stand in the module, not counting those inside host regions."""
    lowest = 0
    for op in module.walk():
        dialect = op.name.partition(".")[0]
        if dialect in LEVELS:
            lowest = max(lowest, LEVELS.index(dialect))
    return LEVELS[lowest]
