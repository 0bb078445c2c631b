"""What the planner says when a network does not fit a machine: which resource is short, by how much, and what helps.

Several plans are tried before one is refused; the sentence quotes the one that came nearest.
"""

from __future__ import annotations

from sim.machine.errors import ReconError


class DoesNotFit(ReconError):
    """No plan: ``missing`` bytes of SRAM in the attempt that it tells of."""

    def __init__(self, message: str, missing: int):
        super().__init__(message)
        self.missing = missing


def smallest_tile(layer: str, tile: int, whole: int, capacity: int) -> DoesNotFit:
    """A layer whose smallest tile takes ``tile`` bytes while ``whole`` bytes of other tensors have to be there."""
    missing = tile + whole - capacity
    beside = f", beside {whole:,} bytes of tensors that stay whole," if whole else ""
    return DoesNotFit(
        f"Layer {layer} does not fit in SRAM: its smallest tile takes {tile:,} bytes{beside} and there are "
        f"{capacity:,}: {missing:,} too many. A machine with more SRAM, or a layer with a smaller window, would help.",
        missing,
    )


def nearest(before: ReconError | None, now: ReconError) -> ReconError:
    """Of two failures the one that came nearer to fitting."""
    if isinstance(before, DoesNotFit) and isinstance(now, DoesNotFit):
        return now if now.missing < before.missing else before
    return before or now
