"""Addresses in DRAM: the program's image first (constants, each content once, then configuration images), then network
inputs, outputs and scratch; dense, every address a multiple of 64.

Of programs with frames inputs and outputs are there twice: behind those of even frames lie those of odd ones, and a
text names the former (``accel.window``).
"""

from __future__ import annotations

from collections.abc import Sequence

from dialects import accel
from passes.common.placement import ALIGNMENT
from passes.common.problems import ModelError
from sim.machine.description import Machine

ORDER = ("constant", "image", "input", "output", "scratch")
"""Kinds of region by address."""


def lay_out(programs: Sequence[accel.ProgramOp], machine: Machine) -> int:
    """Give every DRAM region of a module its address; returns the bytes used.

    Constants of equal content and images of one configuration share an address, across programs too. ModelError when
    the machine's DRAM does not hold everything.
    """
    regions = [region for program in programs for region in program.regions_in_dram]
    shared: dict[object, int] = {}
    end = 0
    used = dict.fromkeys(ORDER, 0)
    for kind in ORDER:
        for region in regions:
            if region.kind.data != kind:
                continue
            key = region if region.content is None else region.content
            if key in shared:
                region.put(shared[key])
                continue
            region.put(end)
            shared[key] = end
            size = -(-region.nbytes // ALIGNMENT) * ALIGNMENT
            used[kind] += size
            end += size
        if kind == "output" and any(program.prologue is not None for program in programs):
            start, size = accel.window(regions)
            end = max(end, start + 2 * size)
    if end > machine.dram.bytes:
        parts = ", ".join(f"{kind} {size:,}" for kind, size in used.items() if size)
        raise ModelError(
            f"The program needs {end:,} bytes of DRAM ({parts}) and {machine.name} has {machine.dram.bytes:,}: "
            f"{end - machine.dram.bytes:,} too many; choose a machine with more DRAM or a smaller model."
        )
    return end
