"""How a segment's text repeats for frames in a row.

It is a *prologue*, run once, and a *body*, run once for every frame; both are parts of one text. Each queue runs its
part of the text by itself, so one may be in the next frame while another is in this one. Ports lie in a window of DRAM
that is there twice, and frames take its halves in turns. docs/machine.md, section 3, has the law and why a few frames
stand for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class Frames:
    """How a segment repeats: its first ``prologue`` instructions run once, the others once for every frame.

    ``window`` is the DRAM address at which the ports of even frames begin, ``window_bytes`` their size; those of odd
    frames lie directly behind them.
    """

    prologue: int
    window: int
    window_bytes: int


@dataclass(frozen=True)
class Rhythm:
    """What frames in a row take, as the compiler predicts it: ``n`` of them ``prologue + n · cycles / period +
    epilogue`` cycles, each ``latency`` from its first start to its last completion.

    ``resident_bytes`` of constants stay in SRAM, and ``frame_bytes`` cross the DRAM channel for each frame.
    """

    prologue: int
    cycles: int
    period: int
    epilogue: int
    latency: int
    resident_bytes: int
    frame_bytes: int

    def total(self, bodies: int) -> int:
        """Cycles of so many frames (batches of them), for more than the few that have not found the rhythm."""
        return self.prologue + bodies * self.cycles // self.period + self.epilogue


Record = TypeVar("Record", Frames, Rhythm)


def read(kind: type[Record], entry: Mapping[str, Any] | None) -> Record | None:
    """A record from a program file, None for none; ValueError for what is no count (a prologue may be below 0)."""
    if entry is None:
        return None
    for name, value in entry.items():
        if type(value) is not int or (value < 0 and (kind, name) != (Rhythm, "prologue")):
            raise ValueError(f"{value!r} is no count")
    return kind(**entry)
