"""What comes first and what comes last: an image before what is read behind it, and little to do with the last byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from passes.planner.mapping import Axis, Loop
from passes.planner.options import Options
from sim.machine.encoding import decode
from sim.machine.isa import BY_NAME
from sim.machine.program import MachineSegment, Program
from tests.passes.planner.support import program_of
from tools.reports.compare import Study

MODELS = Path(__file__).parents[2] / "data" / "models"


def compiled(name: str) -> Program:
    return program_of(Study(MODELS / f"{name}.onnx").module, "edge4k", Options())


def test_a_taper_cuts_the_last_step_in_halves() -> None:
    assert Loop(Axis.OUTPUT, 64, taper=8).steps((0, 192)) == [
        (0, 64), (64, 128), (128, 160), (160, 176), (176, 184), (184, 192),
    ]  # fmt: skip
    assert Loop(Axis.OUTPUT, 64, taper=48).steps((0, 96)) == [(0, 64), (64, 96)]
    assert Loop(Axis.OUTPUT, 64, taper=3).steps((0, 10)) == [(0, 6), (6, 9), (9, 10)]


@pytest.mark.parametrize("taper", range(1, 9))
@pytest.mark.parametrize("stop", [1, 7, 30, 64, 65, 100])
def test_tapered_steps_cover_everything_once(stop: int, taper: int) -> None:
    steps = Loop(Axis.OUTPUT, 32, taper=taper).steps((0, stop))
    assert [first for first, _ in steps] == [0, *(end for _, end in steps[:-1])]
    assert steps[-1][1] == stop
    assert steps[-1][1] - steps[-1][0] <= taper


def test_little_is_left_to_do_when_the_last_byte_has_come() -> None:
    """All weights of this model come through one channel: a fill, two small passes and a result behind the last."""
    program = compiled("mobilenetv1_vww_int8")
    assert program.predicted_cycles <= 16_060
    assert program.predicted_cycles / program.bounds.bound3 <= 1.02


def test_an_image_comes_before_what_is_read_behind_it() -> None:
    """The load queue begins with the image, and before the second comes what the pass before its use still reads."""
    program = compiled("dscnn_kws_int8")
    segment = next(one for one in program.segments if isinstance(one, MachineSegment))
    stream = decode(segment.code)
    queue = [op for op in stream.opcodes if op in (BY_NAME["load"].opcode, BY_NAME["load_config"].opcode)]
    names = ["image" if op == BY_NAME["load_config"].opcode else "load" for op in queue]
    assert names[:5] == ["image", "load", "load", "load", "image"]
    assert program.predicted_cycles / program.bounds.bound3 <= 1.10
