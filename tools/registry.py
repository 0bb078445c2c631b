"""Our dialects and passes as factories: nothing is imported before a tool needs it.

``UNIVERSE`` is the entry point through which every xDSL tool, ``xdsl-opt`` included, sees them. Passes chosen by hand
meet modules of any level, and those tools know no side files: so here every pass first gives the constants of a text
their bytes and refuses a module of a level that it does not work on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe

from passes.common.level_check import check_level
from passes.common.levels import LEVELS
from passes.pipeline import PIPELINE, Entry

DIALECTS = ("recon", *LEVELS)
"""Dialect ``cnn`` is ``CNN`` in ``dialects/cnn.py``, and so on."""


def get_all_dialects() -> dict[str, Callable[[], Dialect]]:
    """Every dialect by name, as a factory that imports it when called."""

    def factory(name: str) -> Callable[[], Dialect]:
        return lambda: getattr(importlib.import_module(f"dialects.{name}"), name.upper())

    return {name: factory(name) for name in DIALECTS}


def get_all_passes() -> dict[str, Callable[[], type[ModulePass]]]:
    """Every pass by name, as a factory that imports it when called."""

    def factory(entry: Entry) -> Callable[[], type[ModulePass]]:
        return lambda: _by_hand(entry.load(), entry.takes)

    return {entry.name: factory(entry) for entry in PIPELINE}


def _by_hand(kind: type[ModulePass], takes: str) -> type[ModulePass]:
    """The pass as tools offer it: it checks what it is given."""

    def apply(self: ModulePass, ctx: Context, op: ModuleOp) -> None:
        check_level(self.name, takes, op)
        _recall_constants(op)
        kind.apply(self, ctx, op)

    return type(kind.__name__, (kind,), {"__doc__": kind.__doc__, "__module__": kind.__module__, "apply": apply})


def _recall_constants(module: ModuleOp) -> None:
    """Read the side file that a text names, if a tool has not done so."""
    from dialects.recon import blobs

    origins = {blob.origin for blob in blobs(module) if blob.data is None and blob.origin}
    if origins:
        from tools.files.constants import read

        read(module, Path(min(origins)).parent)


UNIVERSE = Universe(all_dialects=get_all_dialects(), all_passes=get_all_passes())
