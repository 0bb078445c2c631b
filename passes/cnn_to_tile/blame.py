"""The planner speaks of layers; of a text that a person wrote, the line of the layer is known as well."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from xdsl.ir import Operation

from dialects import cnn
from passes.common.problems import ModelError, place_in_text
from sim.machine.errors import ReconError


@contextmanager
def blamed(ops: Iterable[Operation]) -> Generator[None]:
    """Within, an error about one of these layers begins with the layer's place in the text, if it has one."""
    try:
        yield
    except ReconError as error:
        for op in ops:
            if isinstance(op, cnn.CnnOp) and op.layer is not None and str(error).startswith(f"Layer {op.layer.data} "):
                if place := place_in_text(op):
                    raise ModelError(f"{place}: {error}") from None
        raise
