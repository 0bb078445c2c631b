"""Whether instructions know where their operands lie: what every pass behind ``allocate-sram`` needs."""

from __future__ import annotations

from collections.abc import Iterable

from dialects import accel
from passes.common.problems import ModelError, place_in_text


def check_placed(programs: Iterable[accel.ProgramOp]) -> None:
    """ModelError, by line, for memory that has no address yet."""
    for program in programs:
        for memory in (*program.regions_in_dram, *program.buffers):
            if memory.address is None:
                place = place_in_text(memory)
                file = place.rpartition(":")[0].rpartition(":")[0] or "FILE"
                raise ModelError(
                    f"{f'{place}: ' if place else ''}{memory.label} has no address yet; recon-opt {file} -p "
                    "allocate-sram,assign-waits gives all of them one."
                )
