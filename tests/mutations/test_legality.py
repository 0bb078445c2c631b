"""What the machine refuses whatever the values, the proof refuses too, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from passes.accel.check_hazards import check_program
from passes.proof.hazards import HazardError
from sim import simulator
from sim.machine.errors import Fault
from sim.machine.program import Region
from tests.sim.support import image, params, program

ARRAY = """
load_config
configure | wait load 1
load dram=0x100 bytes=160
fill address=0x40 outputs=2 inputs=2 output_stride=2 tap_stride=2 k=2 r=2 | wait load 2
conv first=1 last=1 outputs=2 inputs=2 lo=-128 hi=127 out.base=0x100 | wait load 2, weights 1
store dram=0x8000 sram=0x100 bytes=2 | wait array 2
"""
TWO = np.concatenate([image("direct g1 k2 r2 p1"), image("direct g1 k4 r2 p1"), params([1, 2], [0.01, 0.02]),
                      np.arange(160, dtype=np.uint8)])  # fmt: skip


def stops(text: str) -> tuple[str, str]:
    """What the proof and what the simulator say against a program of the small machine."""
    made = program(text, constants=TWO, outputs=(Region("y", 0x8000, (2,)),))
    sentences: list[str] = []
    try:
        check_program(made)
    except HazardError as error:
        sentences.append(str(error))
    try:
        simulator.simulate(made, {}, sanitize=True)
    except Fault as fault:
        sentences.append(str(fault))
    assert len(sentences) != 1, sentences
    return (sentences[0], sentences[1]) if sentences else ("", "")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("", "", ""),
        ("load_config\n", "load_config address=0x80\n", "instruction 4 (conv, layer stem) reads half 0 of L1, laid out "
         "for direct g1 k2 r2 p1, while direct g1 k4 r2 p1 is active"),
        ("load_config\n", "load_config address=0x40\n", "instruction 0 (load_config, layer stem) loads bytes that are "
         "no configuration image"),
        ("wait load 1\n", "wait load 1\nconfigure\n", "instruction 2 (configure, layer stem) would make an empty "
         "configuration slot the active one"),
        ("conv first=1", "conv", "instruction 4 (conv, layer stem) continues a reduction that is not under way"),
        ("k=2 r=2", "k=3 r=2", "names a layout whose g, k, r or p is no power of two"),
        ("k=2 r=2", "k=256 r=2", "lays weights out for a configuration that the array cannot take: direct g1 k256 r2 "
         "p1 needs 512 lanes and small has 256"),
        ("outputs=2 inputs=2 lo", "outputs=2 inputs=1 lo", "reads half 0 of L1 as weights of other extents than those "
         "it was filled with"),
        ("k=2 r=2", "algorithm=winograd k=2 r=2", "lays out for Winograd what is no 3x3 kernel of zero point 0"),
        ("out.base=0x100", "out.base=0x100 ox=2 out.pixel_stride=1", "writes some bytes twice: its strides let its own "
         "runs overlap"),
        ("out.base=0x100", "out.base=0x100 top=1 bottom=1", "pads more rows or columns than its window has"),
        ("out.base=0x100", "out.base=0x100 oy=2 in.ring=1 in.row_stride=2 out.row_stride=2", "names more rows of its "
         "operand 'in' than its ring stores"),
        ("last=1", "last=2 residual=1 res.base=0x40", "adds a residual to a float32 result or looks it up in a table"),
        ("out.base=0x100", "out.base=0x100 last=2", ""),
        ("load dram=0x100 bytes=160", "load dram=0x100 bytes=80 count2=2 ring=1 sram_stride2=80 dram_stride2=80",
         "instruction 2 (load, layer stem) moves more rows than its ring stores"),
    ],
)  # fmt: skip
def test_refusals(old: str, new: str, sentence: str) -> None:
    text = ARRAY.replace(old, new, 1) if old else ARRAY
    text = text.replace("last=1", "") if "last=2" in new else text
    proof, fault = stops(text.replace("array 2", f"array {text.count('configure') + 1}"))
    assert sentence in proof
    assert bool(proof) == bool(fault) == bool(sentence)


@pytest.mark.parametrize(
    ("loads", "good"),
    [
        ("load sram=0x200 bytes=128", True),
        ("load sram=0x200 bytes=50\nload dram=50 sram=0x232 bytes=78", True),
        ("load dram=64 sram=0x200 bytes=64 count2=2 dram_stride2=0 sram_stride2=64 ring=2 row=1", False),
        ("load dram=0 sram=0x200 bytes=64 count2=2 dram_stride2=64 sram_stride2=64 ring=2", True),
        ("load dram=0 sram=0x200 bytes=64 count2=2 dram_stride2=64 sram_stride2=64 ring=2 row=1", False),
        ("load sram=0x200 bytes=128\nload dram=0x80 sram=0x27f bytes=1", False),
        ("load sram=0x200 bytes=128\nload dram=0x80 sram=0x280 bytes=1", True),
    ],
)
def test_images_are_followed_through_sram(loads: str, good: bool) -> None:
    text = f"{loads}\nload_config space=1 address=0x200\n" + ARRAY.split("load_config\n")[1]
    count = len(loads.splitlines())
    text = text.replace("wait load 1", f"wait load {count + 1}").replace("wait load 2", f"wait load {count + 2}")
    proof, fault = stops(text)
    assert (proof == "") == (fault == "") == good
    assert good or "loads bytes that are no configuration image" in proof


def test_an_image_written_over_is_none() -> None:
    text = "load dram=0x100 sram=0x300 bytes=1\nstore dram=0x7f sram=0x300 | wait load 1\n" + ARRAY
    text = text.replace("load_config\n", "load_config | wait store 1\n").replace("wait load 2", "wait load 3")
    proof, fault = stops(text.replace("configure | wait load 1", "configure | wait load 2"))
    assert "loads bytes that are no configuration image" in proof
    assert fault


FAST = """
load_config
configure | wait load 1
load dram=0x80 bytes=1024
fill algorithm=winograd outputs=2 inputs=1 fy=3 fx=3 output_stride=9 tap_stride=1 k=2 | wait load 2
conv first=1 outputs=2 inputs=1 fy=3 fx=3 oy={oy} ox={ox} in.row_stride=40 | wait load 2, weights 1
"""


@pytest.mark.parametrize(("oy", "ox", "good"), [(16, 32, True), (15, 31, True), (16, 33, False), (17, 32, False)])
def test_accumulators_of_winograd(oy: int, ox: int, good: bool) -> None:
    """A tile of two by two pixels keeps sixteen sums of each of two outputs, and there are 4,096."""
    constants = np.concatenate([image("winograd g1 k2 r1 p1"), np.zeros(1024, np.uint8)])
    made = program(FAST.format(oy=oy, ox=ox), constants=constants)
    said = ""
    try:
        check_program(made)
    except HazardError as error:
        said = str(error)
    assert ("takes more than the 4096 accumulators there are" in said) == (not good)
    assert good == (not said)
    if good:
        simulator.simulate(made, {}, sanitize=True)
    else:
        with pytest.raises(Fault, match="accumulators"):
            simulator.simulate(made, {}, sanitize=True)
