"""What holds between the tables of a program file, whoever wrote it: regions, segments, layers and limits fit together.

A checksum says that a file is as it was written; that what was written makes sense it does not say. So whoever reads a
program, and whoever runs one, asks here first; instructions themselves are checked where they are decoded and executed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sim.machine.errors import ProgramError

if TYPE_CHECKING:
    from sim.machine.program import MachineSegment, Program


def check(program: Program, where: str) -> None:
    """ProgramError with the first thing in a program's tables that cannot be; ``where`` names its file."""
    for problem in (*_memory(program), *_tensors(program), *_apart(program)):
        raise ProgramError(f"{where}: {problem}")


def check_memory(program: Program) -> None:
    """ProgramError where a program does not fit its machine, or a segment's tables do not fit its memory and layers."""
    for problem in _memory(program):
        raise ProgramError(problem)


def _memory(program: Program) -> Iterator[str]:
    yield from _limits(program)
    for segment in program.machine_segments:
        yield from _regions(program, segment)
        yield from _rows(program, segment)


def _limits(program: Program) -> Iterator[str]:
    machine, sram = program.machine, program.sram
    size, repeats = program.code_bytes, any(segment.frames is not None for segment in program.machine_segments)
    runs = machine.instruction_memory.runs(size, repeats)
    for what, need, has in (
        (
            "bytes of DRAM",
            program.dram_bytes + (size if machine.instruction_memory.fetches(size) else 0),
            machine.dram.bytes,
        ),
        ("bytes of instructions", 0 if runs else size, machine.instruction_memory.bytes),
        ("bytes of SRAM", sram.peak_bytes, machine.sram.bytes),
    ):
        if need > has:
            yield f"The program needs {need:,} {what} and {machine.name} has {has:,}."
    if program.constants.size > program.dram_bytes:
        yield (
            f"The program's constants take {program.constants.size:,} bytes, more than its "
            f"{program.dram_bytes:,} of DRAM."
        )
    if sram.largest_free_bytes > sram.free_bytes:
        yield (
            f"The program's largest free piece of SRAM has {sram.largest_free_bytes:,} bytes, of "
            f"{sram.free_bytes:,} that are free."
        )


def _tensors(program: Program) -> Iterator[str]:
    """Tensors pass from segment to segment by name: each has one maker, before its readers."""
    sizes = {port.name: port.bytes for port in program.inputs}
    for what, ports in (("inputs", program.inputs), ("outputs", program.outputs)):
        if (name := _twice(port.name for port in ports)) is not None:
            yield f"The program has two {what} called '{name}'."
    made = set(sizes)
    for segment in program.segments:
        for name in segment.takes:
            if name not in made:
                yield f"Segment '{segment.name}' takes '{name}', which is no input and comes from no segment before it."
        for name in segment.gives:
            if name in made:
                yield f"Segment '{segment.name}' gives '{name}', which is there already."
            made.add(name)
    for port in program.outputs:
        if port.name not in made:
            yield f"The output '{port.name}' is made by no segment."
    for segment in program.machine_segments:
        for region in (*segment.inputs, *segment.outputs):
            sizes.setdefault(region.name, region.bytes)
    for port in program.outputs:
        if sizes.get(port.name, port.bytes) != port.bytes:
            yield f"The output '{port.name}' has {port.bytes:,} bytes and {sizes[port.name]:,} are made."
    for segment in program.machine_segments:
        for region in segment.inputs:
            if sizes[region.name] != region.bytes:
                yield (
                    f"Segment '{segment.name}' takes {region.bytes:,} bytes of '{region.name}', which has "
                    f"{sizes[region.name]:,}."
                )


def _regions(program: Program, segment: MachineSegment) -> Iterator[str]:
    """Inputs and outputs lie in DRAM."""
    for region in (*segment.inputs, *segment.outputs):
        whose = f"Region '{region.name}' of segment '{segment.name}'"
        if region.bytes < 1:
            yield f"{whose} has no bytes."
        if region.address + region.bytes > program.dram_bytes:
            yield (
                f"{whose} ends at {region.address + region.bytes:#x}, beyond the program's {program.dram_bytes:#x} "
                "bytes of DRAM."
            )


def _apart(program: Program) -> Iterator[str]:
    """A segment's inputs and outputs lie behind the constants and share no byte."""
    for segment in program.machine_segments:
        end, before = program.constants.size, "the program's constants"
        for region in sorted((*segment.inputs, *segment.outputs), key=lambda region: (region.address, region.bytes)):
            if region.address < end:
                yield (
                    f"Region '{region.name}' of segment '{segment.name}' begins at {region.address:#x}, and {before} "
                    f"end at {end:#x}."
                )
            end, before = region.address + region.bytes, f"the bytes of '{region.name}'"


def _rows(program: Program, segment: MachineSegment) -> Iterator[str]:
    """Instructions belong to layers there are, buffers lie in SRAM and in time."""
    if len(segment.layer_of) and int(segment.layer_of.max()) >= len(program.layers):
        yield (
            f"Segment '{segment.name}' names layer {int(segment.layer_of.max())} and the program has "
            f"{len(program.layers)} layers; compile the model again."
        )
    if (frames := segment.frames) is not None:
        end = frames.window + 2 * frames.window_bytes
        inside = [
            frames.window <= region.address and region.address + region.bytes <= frames.window + frames.window_bytes
            for region in (*segment.inputs, *segment.outputs)
        ]
        if end > program.dram_bytes or not all(inside) or frames.prologue > len(segment.layer_of):
            yield (
                f"Segment '{segment.name}' repeats {len(segment.layer_of) - frames.prologue} instructions, with ports "
                f"twice in {frames.window_bytes:#x} bytes from {frames.window:#x} on, which does not fit its regions "
                "and the program's DRAM."
            )
    if not len(segment.buffers):
        return
    address, size, first, last = segment.buffers.T
    if int((address + size).max()) > program.machine.sram.bytes or int(size.min()) < 1:
        yield f"A buffer of segment '{segment.name}' lies outside the {program.machine.sram.bytes:,} bytes of SRAM."
    if int(last.max()) >= len(segment.layer_of) or bool((first > last).any()):
        yield f"A buffer of segment '{segment.name}' lives between instructions that the segment does not have."


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
