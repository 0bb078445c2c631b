"""Frames in a row on the simulator: alike to single ones, ports in turns, and nothing left over from frame to frame."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from sim.frames import WATCHED, FrameMachine
from sim.machine.encoding import decode, encode
from sim.machine.errors import Fault, ProgramError
from sim.machine.frame_order import check, unrolled
from sim.machine.frames import Frames
from sim.machine.program import MachineSegment, Program, Region, from_bytes
from sim.simulator import run_segment
from tests.sim.support import program

X, Y = Region("x", 0, (1, 1, 64)), Region("y", 64, (1, 1, 64))
CONSTANTS = 256
"""Where the prologue's constant lies; x and y of odd frames lie before it, from 128 on."""

TEXT = """
load dram=256 sram=0 bytes=64
load dram=0 sram=64 bytes=64 | wait vector 1
vector op=add ox=4 channels=16 ra=1 rb=1 lo=-128 hi=127 a.base=64 a.pixel_stride=16 b.base=0 b.pixel_stride=16 {out}
store dram=64 sram=128 bytes=64 | wait vector 2
"""
ADD = "out.base=128 out.pixel_stride=16 | wait load 3, store 1"


def repeating(text: str = TEXT.format(out=ADD), prologue: int = 1) -> Program:
    """A program that adds a constant, which stays, to every frame."""
    constants = np.zeros(CONSTANTS + 64, np.uint8)
    constants[CONSTANTS:] = np.arange(64)
    made = program(text, constants=constants, inputs=(X,), outputs=(Y,), dram_bytes=1024)
    (segment,) = made.segments
    assert isinstance(segment, MachineSegment)
    return dataclasses.replace(made, segments=(dataclasses.replace(segment, frames=Frames(prologue, 0, 128)),))


def segment_of(made: Program) -> MachineSegment:
    """Its one segment."""
    (segment,) = made.segments
    assert isinstance(segment, MachineSegment)
    return segment


def frame(seed: int) -> dict[str, npt.NDArray[np.int8]]:
    """Values small enough to be added without a clamp."""
    return {"x": np.random.default_rng(seed).integers(-50, 50, X.shape).astype(np.int8)}


@pytest.mark.parametrize("sanitize", [False, True])
def test_every_frame_is_what_it_would_be_alone(sanitize: bool) -> None:
    made = repeating()
    machine = FrameMachine(made, segment_of(made), sanitize=sanitize)
    for number in range(WATCHED + 2):
        given = frame(number)
        found = machine.frame(given)["y"]
        assert (found == given["x"] + np.arange(64)).all()
        assert (found == run_segment(made, segment_of(made), given, sanitize=sanitize).outputs["y"]).all()
    assert machine.done == WATCHED + 2


def test_ports_of_odd_frames_lie_in_the_upper_half() -> None:
    made = repeating()
    machine = FrameMachine(made, segment_of(made))
    given = [frame(0), frame(1)]
    outputs = [machine.frame(each)["y"] for each in given]
    seen = machine.dram.data.view(np.int8)
    assert (seen[0:64] == given[0]["x"].ravel()).all()
    assert (seen[64:128] == outputs[0].ravel()).all()
    assert (seen[128:192] == given[1]["x"].ravel()).all()
    assert (seen[192:256] == outputs[1].ravel()).all()


def test_a_frame_that_reads_what_the_last_one_left_stops_the_machine() -> None:
    """The vector operation comes before the load: frame 0 finds the prologue's bytes there, frame 1 must not find frame
    0's."""
    text = """
    load dram=256 sram=0 bytes=64
    vector op=copy ox=4 channels=16 ra=1 lo=-128 hi=127 a.pixel_stride=16 out.base=128 out.pixel_stride=16 | wait load 2
    store dram=64 sram=128 bytes=64 | wait vector 2
    vector op=copy ox=4 channels=16 ra=1 lo=-128 hi=127 a.base=64 a.pixel_stride=16 out.base=192 out.pixel_stride=16
    load dram=0 sram=64 bytes=64
    """
    made = repeating(text)
    with pytest.raises(Fault) as caught:
        FrameMachine(made, segment_of(made)).frame(frame(0))
    assert str(caught.value).startswith("Instruction 3 of layer 'stem' in frame 0 (vector op=copy ")
    assert str(caught.value).endswith(
        " stops the machine: it reads byte 0x40 of SRAM, which no instruction of this run has written."
    )


def test_a_race_over_the_border_of_frames_is_found() -> None:
    """Without its wait the load of frame 1 may overwrite what frame 0 still adds."""
    made = repeating(TEXT.format(out=ADD).replace(" | wait vector 1", ""))
    machine = FrameMachine(made, segment_of(made), sanitize=True)
    machine.frame(frame(0))
    with pytest.raises(Fault) as caught:
        machine.frame(frame(1))
    said = str(caught.value)
    assert said.startswith("Instruction 1 of layer 'stem' in frame 1 (load ")
    assert "a race: it writes byte 0x40 of SRAM, which instruction 2 of layer 'stem' in frame 0 (vector " in said


def test_a_program_file_keeps_its_frames() -> None:
    made = dataclasses.replace(repeating(), constants=np.zeros(0, np.uint8))  # in a file ports lie behind constants
    again = segment_of(from_bytes(made.to_bytes()))
    assert again.frames == Frames(1, 0, 128)
    assert again.code == segment_of(made).code


def test_only_a_segment_that_repeats_has_frames() -> None:
    made = repeating()
    plain = dataclasses.replace(segment_of(made), frames=None)
    with pytest.raises(ProgramError) as caught:
        FrameMachine(made, plain)
    assert str(caught.value) == (f"Segment '{plain.name}' does not repeat; compile the model again with --frames.")


def test_waits_are_counted_from_a_whole_body_on() -> None:
    """Two loads and one of each other queue in a line of one prologue and two bodies."""
    line = unrolled(decode(segment_of(repeating()).code), Frames(1, 0, 128), 2)
    names = [line.stream.instruction(index).name for index in range(len(line.stream))]
    assert names == ["load", "load", "vector", "store", "load", "vector", "store"]
    # load, store, weights, array, vector
    assert line.waits.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],  # vector 1 is the frame before the first
        [2, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1],
        [3, 1, 0, 0, 0],
        [0, 0, 0, 0, 2],
    ]
    assert line.stream.fields(4)["dram"] == 128
    assert line.stream.fields(6)["dram"] == 192


@pytest.mark.parametrize(
    ("text", "prologue", "message"),
    [
        (
            TEXT.format(out=ADD),
            9,
            "The prologue has 9 instructions and the whole text 4; compile the model again.",
        ),
        (
            "load bytes=64 | wait vector 2\nvector channels=16",
            0,
            "Instruction 0 in frame 0 (load bytes=64 | wait vector 2) waits for 1 instructions of the queue vector, "
            "and 0 stand before it; frames run in the order of their text.",
        ),
        (
            "load bytes=64\nload dram=200 bytes=8",
            1,
            "Instruction 1, load, names byte 0xc8 of DRAM, where the ports of odd frames lie; a text names those of "
            "even ones, from 0x0 on.",
        ),
    ],
)
def test_what_cannot_repeat_is_refused(text: str, prologue: int, message: str) -> None:
    from sim.machine.assembly import assemble

    with pytest.raises(ProgramError) as caught:
        check(decode(encode(assemble(text))), Frames(prologue, 0, 128))
    assert str(caught.value) == message
