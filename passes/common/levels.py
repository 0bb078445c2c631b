"""The levels of the IR, top down."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

LEVELS = ("onnx", "cnn", "tile", "accel")
"""The levels of the IR, top down; a module's level is the lowest whose operations it holds."""


def levels_in(module: ModuleOp) -> list[str]:
    """The levels whose operations stand in the module, top down; host regions and what is in them are of none."""
    found: set[str] = set()
    open_blocks = [module.body.block]
    while open_blocks:
        for op in open_blocks.pop().ops:
            if op.name == "cnn.host":
                continue
            found.add(op.name.partition(".")[0])
            for region in op.regions:
                open_blocks += region.blocks
    return [level for level in LEVELS if level in found]


def level_of(module: ModuleOp) -> str:
    """The lowest level whose operations stand in the module, not counting those inside host regions."""
    lowest = 0
    for op in module.walk():
        dialect = op.name.partition(".")[0]
        if dialect in LEVELS:
            lowest = max(lowest, LEVELS.index(dialect))
    return LEVELS[lowest]
