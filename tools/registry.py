"""Our dialects and passes as factories: nothing is imported before a tool needs it.

``UNIVERSE`` is the entry point through which every xDSL tool, ``xdsl-opt`` included, sees them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe

from passes.common.levels import LEVELS
from passes.pipeline import all_passes

DIALECTS = ("recon", *LEVELS)
"""Dialect ``cnn`` is ``CNN`` in ``dialects/cnn.py``, and so on."""


def get_all_dialects() -> dict[str, Callable[[], Dialect]]:
    """Every dialect by name, as a factory that imports it when called."""

    def factory(name: str) -> Callable[[], Dialect]:
        return lambda: getattr(importlib.import_module(f"dialects.{name}"), name.upper())

    return {name: factory(name) for name in DIALECTS}


def get_all_passes() -> dict[str, Callable[[], type[ModulePass]]]:
    """Every pass by name, as a factory that imports it when called."""
    return all_passes()


UNIVERSE = Universe(all_dialects=get_all_dialects(), all_passes=get_all_passes())
