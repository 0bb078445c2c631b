"""Addresses of buffers in SRAM: the plan's own where they fit together, else others by the lives of the buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialects import accel
from dialects.text import at_its_place
from passes.common import placement
from passes.common.problems import ModelError
from sim.machine.description import Machine

_SLACKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Parts of the program that a buffer is kept clear of its predecessors, largest first."""
_SHOWN = 8


@dataclass(frozen=True)
class Lifetimes:
    """The buffers of a program that are used, with their first and last instruction."""

    buffers: list[accel.BufferOp]
    births: list[int]
    deaths: list[int]

    @property
    def sizes(self) -> list[int]:
        return [buffer.nbytes for buffer in self.buffers]


def lifetimes(program: accel.ProgramOp) -> Lifetimes:
    """First and last use of every buffer, as positions among the instructions."""
    lives = program.lifetimes()
    return Lifetimes(list(lives), [first for first, _ in lives.values()], [last for _, last in lives.values()])


def allocate(program: accel.ProgramOp, machine: Machine, capacity: int) -> None:
    """Place one program's buffers in [0, capacity); ModelError says what does not fit and what would help."""
    live = lifetimes(program)
    proposed = [buffer.at if buffer.address is not None else -1 for buffer in live.buffers]
    if placement.fits(live.sizes, live.births, live.deaths, proposed, capacity):
        return
    count = sum(1 for _ in program.instructions)
    addresses: Sequence[int] | None = None
    for part in _SLACKS:
        if addresses is None and count >= part:
            births = [max(0, birth - count // part) for birth in live.births]
            addresses = placement.place(live.sizes, births, live.deaths, capacity, effort=2 * len(live.buffers))
    if addresses is None:
        addresses = placement.place(live.sizes, live.births, live.deaths, capacity)
    if addresses is None:
        raise ModelError(_overflow(program, machine, capacity, live))
    for buffer in program.buffers:
        buffer.put(0)
    for buffer, address in zip(live.buffers, addresses, strict=True):
        buffer.put(address)


def _overflow(program: accel.ProgramOp, machine: Machine, capacity: int, live: Lifetimes) -> str:
    demand, time = placement.peak(live.sizes, live.births, live.deaths)
    instructions = list(program.instructions)
    tight = instructions[time]
    alive = [
        buffer
        for buffer, birth, death in zip(live.buffers, live.births, live.deaths, strict=True)
        if birth <= time <= death
    ]
    alive.sort(key=lambda buffer: -buffer.nbytes)
    layers = _layers(instructions)
    lines = [f"  {buffer.label}: {buffer.nbytes:,} bytes{_of(layers.get(buffer, []))}" for buffer in alive[:_SHOWN]]
    if len(alive) > _SHOWN:
        rest = sum(buffer.nbytes for buffer in alive[_SHOWN:])
        lines.append(f"  and {len(alive) - _SHOWN} more: {rest:,} bytes")
    where = f"instruction {time}, {tight.MNEMONIC}" + (f" of layer {tight.layer_name}" if tight.layer_name else "")
    room = f"{capacity:,}" if capacity == machine.sram.bytes else f"{capacity:,} (limited from {machine.sram.bytes:,})"
    if demand > capacity:
        problem = (
            f"needs {demand:,} bytes of SRAM at its tightest point and {machine.name} has {room}: "
            f"{demand - capacity:,} too many."
        )
    else:
        problem = (
            f"needs {demand:,} bytes of SRAM at its tightest point, which {machine.name} with {room} has, but "
            "no placement without gaps was found."
        )
    levers = (
        "What helps: fewer rows per stripe or shorter rings, loads placed later or in smaller slices, buffers "
        "freed earlier or kept in DRAM in between, a machine with more SRAM."
    )
    said = at_its_place(tight, f"The program @{program.sym_name.data} {problem}")
    return "\n".join([said, f"Alive at {where}:", *lines, levers])


def _layers(instructions: Sequence[accel.InstructionOp]) -> dict[accel.MemoryOp, list[str]]:
    """The layers that use each buffer, in order of first use."""
    found: dict[accel.MemoryOp, list[str]] = {}
    for op in instructions:
        for _, memory, _ in op.operands_in_memory():
            names = found.setdefault(memory, [])
            if op.layer_name and op.layer_name not in names:
                names.append(op.layer_name)
    return found


def _of(layers: Sequence[str]) -> str:
    if not layers:
        return ""
    shown = ", ".join(layers[:3]) + (", …" if len(layers) > 3 else "")
    return f" (layer{'s' if len(layers) > 1 else ''} {shown})"
