"""Where the array's time goes, layer by layer: what its multipliers did, and why they did nothing.

Every cycle of a run belongs to one layer here: the cycles in which the array works or is set up for it, and those in
which it waits for what the layer's next instruction needs. After the last convolution of a segment the array waits for
whatever finishes the segment, and the time is that layer's. So all layers' cycles add up to the run's; of frames in a
row the cycles of one period are told apart so, from one frame's first instruction on the array to that of the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.machine.description import Machine
from sim.machine.isa import BY_NAME
from sim.machine.order import QUEUE_NUMBER
from tools.reports.profile.steps import STALLS, Stalls, Steps

Floats = npt.NDArray[np.float64]

LOSSES = {
    "useful": "multiplications of real inputs, on all lanes",
    "spatial fit": "lanes without work: a shape that does not fill the configuration, padding, rows computed twice",
    "streams": "the array slows down to the rate at which inputs arrive or outputs leave",
    "start-up": "the fixed overhead of every convolution pass",
    "fill": "waiting until weights have gone from SRAM into the array",
    "DRAM": "waiting for a transfer from or to DRAM",
    "reconfiguration": "exchanging the configuration, or waiting for its image",
    "dependencies": "waiting for another layer, or for the vector unit",
}
"""What the array's cycles go to, and what that means."""

_OF_STALL = {
    "dram": "DRAM",
    "program": "DRAM",
    "reconfiguration": "reconfiguration",
    "fill": "fill",
    "array": "dependencies",
    "vector": "dependencies",
}

WINOGRAD = 4 / 9
"""Multiplications of F(2x2, 3x3) over those of the direct algorithm: 16 of 36 per block of four outputs."""


def losses(machine: Machine, macs: Sequence[int], steps: Steps, stalls: Stalls) -> Floats:
    """float64[layers, losses]: cycles of the array by layer and cause; they add up to the cycles that count.

    ``macs`` are each layer's multiply-accumulates of real inputs, of all repetitions that count.
    """
    names = list(LOSSES)
    table = np.zeros((len(macs), len(names)))
    _work(machine, np.array(macs, np.int64), steps, table)
    swaps = steps.counted & (steps.opcode == BY_NAME["configure"].opcode)
    np.add.at(table[:, names.index("reconfiguration")], steps.layer[swaps], steps.busy[swaps])
    counted = (stalls.before < 0) | steps.counted[stalls.before]
    mine = np.flatnonzero((stalls.queue == QUEUE_NUMBER["array"]) & counted)
    waits = np.where(stalls.before[mine] >= 0, stalls.before[mine], stalls.of[mine])
    column = np.array([names.index(_OF_STALL[name]) for name in STALLS])[stalls.cause[mine]]
    np.add.at(table, (steps.layer[waits], column), (stalls.end - stalls.start)[mine])
    return table


def _work(machine: Machine, macs: npt.NDArray[np.int64], steps: Steps, table: Floats) -> None:
    """The cycles of ``conv`` instructions: useful, and the three ways to do less than the lanes could."""
    conv = np.flatnonzero(steps.counted & (steps.opcode == BY_NAME["conv"].opcode))
    layer, busy, compute = steps.layer[conv], steps.busy[conv], steps.compute[conv]
    executed = np.zeros(len(macs))
    np.add.at(executed, layer, steps.macs[conv])
    real = np.minimum(1.0, macs / np.maximum(executed, 1))
    multiplications = steps.macs[conv] * np.where(steps.winograd[conv], WINOGRAD, 1.0) * real[layer]
    useful = np.minimum(multiplications / machine.array.lanes, compute)
    overhead = machine.array.conv_overhead
    parts = (useful, compute - useful, busy - overhead - compute, np.full(len(conv), overhead))
    for column, part in enumerate(parts):
        np.add.at(table[:, column], layer, part)
