"""What a machine takes of a die: an estimate from unit costs, as the energy is, and of the same process (45 nm).

Counted are multipliers and adders, all memories by their bytes, the arithmetic of vector unit and requantisation, and
the channel's circuits by its rate. Not counted are wires: neither those of any machine nor those that let an array
take several configurations. So a fixed array and a reconfigurable one of equal parts take the same, and the difference
that a comparison finds is what such wires may cost before the fixed one is the better choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.machine.description import Machine
from sim.machine.errors import ReconError


@dataclass(frozen=True)
class AreaCosts:
    """Unit costs in square micrometres; a space file may state others under ``[area]``."""

    mac_um2: float = 282 + 137
    """One lane: an 8-bit multiplier and a 32-bit adder."""
    float_um2: float = 7700 + 4184
    """One element per cycle of the vector unit, one byte per cycle of the output stream: a float32 multiplier and an
    adder."""
    sram_um2_per_byte: float = 594_786 / (162 * 1024)
    """One byte of any memory, with its periphery."""
    dram_mm2_per_gb_per_second: float = 0.03 * 331 / 17
    """The channel's circuits for each GB/s of its peak rate; of a 28 nm chip, since drivers hardly shrink."""
    source: str = (
        "45 nm. Multipliers and adders: Dally, tutorial at NIPS 2015 (8-bit multiply 282 µm², 32-bit add 137, float32 "
        "multiply 7700 and add 4184). SRAM: Han et al., EIE, ISCA 2016 (594,786 µm² for the 162 KiB of one processing "
        "element). DRAM channel: Jouppi et al., ISCA 2017 (one DDR3 port of 17 GB/s is 3 % of a die of at most 331 mm²)"
    )
    """Where the numbers come from."""

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str) -> AreaCosts:
        """The costs with those of a table; ReconError for a key or a value that is none."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name, value in table.items():
            if name not in names:
                raise ReconError(f"{where}: key 'area.{name}' is not known; allowed here are {', '.join(names)}.")
            if isinstance(value, bool) or not isinstance(value, str if name == "source" else (int, float)):
                kind = "a text" if name == "source" else "a number of at least 0"
                raise ReconError(f"{where}: key 'area.{name}' must be {kind}, not {value!r}.")
            if isinstance(value, int | float) and value < 0:
                raise ReconError(f"{where}: key 'area.{name}' must be a number of at least 0, not {value!r}.")
        if table and "source" not in table:
            raise ReconError(f"{where}: key 'area.source' is missing: an estimate says where its numbers come from.")
        return cls(**table)


def area_mm2(machine: Machine, costs: AreaCosts) -> float:
    """Square millimetres of a machine."""
    memory = (
        machine.sram.bytes
        + 2 * machine.array.half_words * machine.array.lanes
        + 4 * machine.array.accumulators
        + 2 * machine.configuration.image_bytes
        + machine.instruction_memory.bytes
    )
    floats = machine.streams.vector + machine.streams.output
    logic = machine.array.lanes * costs.mac_um2 + floats * costs.float_um2
    channel = machine.dram.bytes_per_second / 1e9 * costs.dram_mm2_per_gb_per_second
    return (logic + memory * costs.sram_um2_per_byte) / 1e6 + channel
