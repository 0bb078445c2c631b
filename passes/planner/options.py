"""What a user may ask of the planner: how hard to try, for what, and which of its freedoms to give up.

The freedoms are there to be taken away one by one, so that what each is worth can be measured.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from sim.machine.description import Machine
from sim.machine.errors import ReconError

OBJECTIVES = ("cycles", "dram", "energy")


@dataclass(frozen=True)
class Options:
    """``level`` 0: one configuration, a layer's weights come when the layer does; 1: configurations by shortest path,
    prefetch, the first partition that fits; 2: a search over partitions. ``objective`` is what the search minimises.

    ``sram_limit`` bytes are all the plan may use (0: all there are). ``trials`` bounds the plans the search looks at
    (0: all), so that a time budget gives the same plan on every computer.
    """

    level: int = 2
    objective: str = "cycles"
    sram_limit: int = 0
    trials: int = 0
    winograd: bool = True
    single: bool = False
    prefetch: bool = True
    residency: bool = True
    fusion: bool = True
    order: bool = True

    def __post_init__(self) -> None:
        if self.level not in (0, 1, 2):
            raise ReconError(f"There is no optimisation level {self.level}; there are 0, 1 and 2.")
        if self.objective not in OBJECTIVES:
            raise ReconError(f"'{self.objective}' is no objective; there are {', '.join(OBJECTIVES)}.")
        if self.sram_limit < 0:
            raise ReconError(f"An SRAM limit is a number of bytes, not {self.sram_limit}.")

    @property
    def one_configuration(self) -> bool:
        return self.single or self.level == 0

    @property
    def orders(self) -> bool:
        """Whether branches may change places: only where loads come ahead does it matter when a layer runs."""
        return self.order and self.ahead

    @property
    def ahead(self) -> bool:
        """Whether loads may come before their layer."""
        return self.prefetch and self.level > 0

    def machine(self, machine: Machine) -> Machine:
        """The machine as the plan may use it."""
        if self.sram_limit > machine.sram.bytes:
            raise ReconError(
                f"The SRAM limit of {self.sram_limit:,} bytes is more than the {machine.sram.bytes:,} that "
                f"{machine.name} has."
            )
        array = machine.array if self.winograd else dataclasses.replace(machine.array, winograd="none")
        sram = dataclasses.replace(machine.sram, bytes=self.sram_limit or machine.sram.bytes)
        return dataclasses.replace(machine, array=array, sram=sram)
