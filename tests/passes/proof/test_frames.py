"""The proof for frames in a row: what it refuses, and that it takes what the simulator runs for many frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from passes.accel.check_hazards import check_program
from passes.proof.hazards import HazardError
from sim.frames import FrameMachine
from sim.machine.errors import Fault
from sim.machine.program import Program, Region
from tests.sim.support import image
from tests.sim.test_frames import ADD, TEXT, frame, repeating, segment_of


def refusal(made: Program) -> str:
    """The sentence of the proof."""
    with pytest.raises(HazardError) as caught:
        check_program(made)
    return str(caught.value)


def test_a_sound_program_is_proven_and_runs_for_many_frames() -> None:
    made = repeating()
    check_program(made)
    machine = FrameMachine(made, segment_of(made), sanitize=True)
    for number in range(8):
        machine.frame(frame(number))


def test_a_race_of_a_frame_with_the_next() -> None:
    made = repeating(TEXT.format(out=ADD).replace(" | wait vector 1", ""))
    assert refusal(made) == (
        "The program has a race: instruction 2 (vector, layer stem, frame 0) reads and instruction 1 (load, layer "
        "stem, frame 1) writes byte 0x40 of SRAM (they meet between 0x40 and 0x7f), and no chain of waits orders the "
        "two."
    )


def test_a_frame_does_not_overwrite_what_stays() -> None:
    made = repeating(TEXT.format(out="out.pixel_stride=16 | wait load 3, store 1"))
    assert refusal(made) == (
        "A frame overwrites what stays: instruction 2 (vector, layer stem, frame 0) writes byte 0x0 of SRAM, which "
        "instruction 0 (load, layer stem, prologue) wrote for all frames."
    )


def test_the_prologue_touches_no_port() -> None:
    made = repeating(TEXT.format(out=ADD).replace("wait load 3", "wait load 2"), prologue=2)
    assert refusal(made) == (
        "The prologue touches a port: instruction 1 (load, layer stem, prologue) reaches byte 0x0 of DRAM, where "
        "inputs and outputs of every frame lie."
    )


SLOTS = """
load_config address=512
load dram=256 sram=0 bytes=64
configure | wait load {first}
load dram=0 sram=64 bytes=64 | wait array {array}
load_config address={second} | wait array {array}
fill k=4 r=16 outputs=4 inputs=16 output_stride=16 tap_stride=16 | wait load 4, array {array}
conv outputs=4 inputs=16 oy=2 ox=2 in.base=64 in.row_stride=32 in.pixel_stride=16 first=1 last=1 params=0 lo=-128 \
hi=127 out.base=128 out.row_stride=8 out.pixel_stride=4 | wait load 5, weights 2, store 1
configure | wait load {load}
store dram=64 sram=128 bytes=16 | wait array {store}
"""
"""A product between two exchanges of the slots: the prologue makes one configuration active, each frame another."""


@pytest.mark.parametrize("second", ["direct g1 k4 r16 p1", "direct g1 k4 r8 p1"])
def test_a_configuration_that_only_the_first_frame_finds(second: str) -> None:
    """What frame 0 makes active is what frame 1 multiplies in."""
    constants = np.zeros(768, np.uint8)
    constants[512:640], constants[640:768] = image("direct g1 k4 r16 p1"), image(second)
    # One fill and store, two loads and array instructions in a body; two loads and one array instruction above it.
    text = SLOTS.replace("\\\n", "").format(first=3, second=640, array=3, load=6, store=4)
    made = dataclasses.replace(repeating(text, prologue=3), constants=constants)
    small = dataclasses.replace(segment_of(made), outputs=(Region("y", 64, (1, 1, 16)),))
    made = dataclasses.replace(made, segments=(small,))
    if second.split()[3] == "r16":
        check_program(made)
        FrameMachine(made, segment_of(made), sanitize=True).frame(frame(0))
        return
    assert refusal(made) == (
        "The program stops the machine: instruction 6 (conv, layer stem, frame 1) reads half 0 of L1, laid out for "
        "direct g1 k4 r16 p1, while direct g1 k4 r8 p1 is active."
    )


LEFT = """
load_config address=512
load dram=256 sram=0 bytes=64
load dram=320 sram=512 bytes=64
fill k=4 r=16 outputs=4 inputs=16 output_stride=16 tap_stride=16 address=0 | wait load 3
configure | wait load 2
load dram=0 sram=64 bytes=64 | wait array 2
conv outputs=4 inputs=16 oy=2 ox=2 in.base=64 in.row_stride=32 in.pixel_stride=16 first={first} last=1 params=512 \
lo=-128 hi=127 out.base=128 out.row_stride=8 out.pixel_stride=4 | wait load 5, weights 2, store 1
fill k=4 r=16 outputs=4 inputs=16 output_stride=16 tap_stride=16 address=512 half={half} | wait array 3
store dram=64 sram=128 bytes=16 | wait array 3
"""
"""The prologue fills half 0 of L1, each frame multiplies by it and then fills a half for no other pass."""


def leaving(half: int, first: int) -> Program:
    constants = np.zeros(768, np.uint8)
    constants[512:640] = image("direct g1 k4 r16 p1")
    made = repeating(LEFT.replace("\\\n", "").format(half=half, first=first), prologue=5)
    outputs = (Region("y", 64, (1, 1, 16)),)
    segment = dataclasses.replace(segment_of(made), outputs=outputs)
    return dataclasses.replace(made, constants=constants, segments=(segment,))


def test_weights_that_another_frame_left() -> None:
    check_program(leaving(half=1, first=1))
    made = leaving(half=0, first=1)
    assert refusal(made) == (
        "A frame multiplies by weights that another one left: instruction 6 (conv, layer stem, frame 0) reads half 0 "
        "of L1, and instruction 7 (fill, layer stem, frame 0) fills it behind that."
    )
    with pytest.raises(Fault, match="half 0 of L1 is empty"):
        FrameMachine(made, segment_of(made)).frame(frame(0))


def test_sums_that_another_frame_left() -> None:
    assert refusal(leaving(half=1, first=0)) == (
        "A frame goes on with sums that it did not begin: instruction 6 (conv, layer stem, frame 0) is the first pass "
        "of its frame."
    )
