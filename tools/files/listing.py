"""A whole program as text, and back: what ``recon disassemble`` prints and ``recon assemble`` reads.

    .segment main               ; a machine segment: takes input 0x0 1x96x96x3, gives output 0x9000 1x2
    .layer 3                    ; conv_3: conv2d 48x48x8 -> 48x48x16; until the next .layer
    .frame                      ; of a segment that repeats: above it stands what runs once
    load sram=0x100 bytes=64    ; one instruction a line, as sim.machine.assembly writes them

The text holds code and layers; everything else (constants, tensors, machine, host segments) comes from the program
that the text was taken from, so what is assembled again unchanged is the same file byte for byte.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from sim.machine.assembly import assemble, line
from sim.machine.encoding import decode, encode
from sim.machine.errors import EncodingError
from sim.machine.frames import Frames
from sim.machine.program import HostSegment, MachineSegment, Program, Region

BY_HAND = "Its code was assembled from text; the predicted cycles are those of the program it was taken from."
"""The note that a program carries once its code has been changed."""


def disassemble_program(program: Program) -> str:
    """The text of all segments."""
    machine = program.machine
    lines = [
        f"; {program.model} for {machine.name} ({machine.fingerprint[:12]}), by {program.producer}",
        f"; {program.constants.size} bytes of constants from DRAM address 0",
    ]
    for segment in program.segments:
        lines.append("")
        if isinstance(segment, HostSegment):
            lines.append(
                f"; host segment {segment.name}: {', '.join(segment.operators)}; "
                f"{', '.join(segment.inputs)} -> {', '.join(segment.outputs)}"
            )
        else:
            lines += _segment(program, segment)
    return "\n".join(lines) + "\n"


def _regions(regions: tuple[Region, ...]) -> str:
    return ", ".join(f"{r.name} {r.address:#x} {'x'.join(map(str, r.shape))}" for r in regions) or "nothing"


def _segment(program: Program, segment: MachineSegment) -> list[str]:
    lines = [f".segment {segment.name}  ; takes {_regions(segment.inputs)}; gives {_regions(segment.outputs)}"]
    stream = decode(segment.code)
    current = -1
    for index, layer in enumerate(segment.layer_of.tolist()):
        if segment.frames is not None and index == segment.frames.prologue:
            lines.append(".frame  ; what stands above runs once, what follows for every frame")
        if layer != current:
            current = layer
            known = program.layers[layer] if layer < len(program.layers) else None
            lines.append(f".layer {layer}" + (f"  ; {known.name}: {known.op} {known.shape}" if known else ""))
        lines.append(f"  {line(stream.instruction(index).name, stream.fields(index))}")
    return lines


def assemble_program(text: str, base: Program) -> Program:
    """The base program with the code and layers of this text; EncodingError names the line that is wrong."""
    segments = {segment.name: segment for segment in base.segments if isinstance(segment, MachineSegment)}
    code: dict[str, list[str]] = {}
    layers: dict[str, list[int]] = {}
    frames: dict[str, Frames] = {}
    name, layer = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        words = re.split(r"[;#]", raw, maxsplit=1)[0].split()
        if not words:
            continue
        if words[0] == ".segment":
            name = _segment_name(words, number, segments, code)
            code[name], layers[name], layer = [], [], 0
        elif words[0] == ".layer":
            layer = _layer_number(words, number, len(base.layers))
        elif words[0] == ".frame":
            frames[name] = _frames(segments.get(name), name in frames, len(layers.get(name, ())), number)
        elif not name:
            raise EncodingError(f"Line {number}: an instruction stands before the first '.segment NAME'.")
        else:
            code[name] += [""] * (number - 1 - len(code[name])) + [raw]  # so that messages count the text's own lines
            layers[name].append(layer)
    missing = [name for name in segments if name not in code]
    if missing:
        raise EncodingError(f"The text lacks the machine segment{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    made = tuple(
        _assembled(segment, code[segment.name], layers[segment.name], frames.get(segment.name))
        if isinstance(segment, MachineSegment)
        else segment
        for segment in base.segments
    )
    program = dataclasses.replace(base, segments=made)
    if program.to_bytes() == base.to_bytes() or BY_HAND in base.notes:
        return program
    return dataclasses.replace(program, notes=(*base.notes, BY_HAND))


def _frames(segment: MachineSegment | None, again: bool, prologue: int, number: int) -> Frames:
    """How the segment repeats when so many instructions stand above '.frame'."""
    if segment is None or segment.frames is None or again:
        raise EncodingError(
            f"Line {number}: '.frame' stands once in a segment that repeats in the base program, and in no other."
        )
    return dataclasses.replace(segment.frames, prologue=prologue)


def _assembled(segment: MachineSegment, lines: list[str], layers: list[int], frames: Frames | None) -> MachineSegment:
    """The segment with this code; what its buffers were is known only while the code is the same."""
    if segment.frames is not None and frames is None:
        raise EncodingError(
            f"The text of '{segment.name}' lacks '.frame': what stands above it runs once, what stands below it for "
            "every frame."
        )
    code = encode(assemble("\n".join(lines)))
    buffers = segment.buffers if code == segment.code else segment.buffers[:0]
    return dataclasses.replace(segment, code=code, layer_of=np.array(layers, np.uint32), buffers=buffers, frames=frames)


def _segment_name(
    words: list[str], number: int, segments: dict[str, MachineSegment], seen: dict[str, list[str]]
) -> str:
    if len(words) != 2 or words[1] not in segments:
        raise EncodingError(
            f"Line {number}: '.segment' names one of the base program's machine segments: "
            f"{', '.join(segments) or 'it has none'}."
        )
    if words[1] in seen:
        raise EncodingError(f"Line {number}: the segment '{words[1]}' stands twice in the text.")
    return words[1]


def _layer_number(words: list[str], number: int, layers: int) -> int:
    if len(words) != 2 or not words[1].isdecimal() or int(words[1]) >= layers:
        raise EncodingError(f"Line {number}: '.layer' takes a whole number from 0 to {layers - 1}.")
    return int(words[1])
