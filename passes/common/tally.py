"""What passes count while they run, for whoever asked: ``count("waits", 12)`` goes nowhere when nobody did.

with tally(counts):                     # recon-opt --statistics
    pass.apply(context, module)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_OPEN: ContextVar[Counter[str] | None] = ContextVar("tally", default=None)


def count(what: str, number: int = 1) -> None:
    """Add to what the pass that runs has counted."""
    if (counts := _OPEN.get()) is not None:
        counts[what] += number


@contextmanager
def tally(counts: Counter[str]) -> Generator[None]:
    """Within, ``count`` adds to ``counts``."""
    token = _OPEN.set(counts)
    try:
        yield
    finally:
        _OPEN.reset(token)
