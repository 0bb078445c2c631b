"""What the lowering says, whole: every refusal names layer and op, and what to do instead."""

from __future__ import annotations

import dataclasses

import pytest

from backend.emit import EmitError, emit
from dialects import tile
from passes.accel.allocate_sram import AllocateSramPass
from passes.common.problems import ModelError
from passes.tile_to_accel.convert_tile_to_accel import ConvertTileToAccelPass
from sim.machine import description as machines
from sim.machine.errors import ReconError
from tests.passes.tile_to_accel.support import FUSED, context, lower, parse
from tools.driver import make_context
from tools.terminal.diagnostics import parse_module

HEAD = """
recon.layer @c "conv2d" "" macs 0 compute 0 weights 0 activations 0
tile.schedule @main machine "edge4k" (%in: !tile.dram<8x8x16xi8>) -> (%out: !tile.dram<8x8x16xi8>) {
  %w = tile.constant <16x3x3x16xi8, seed 1> : !tile.dram<16x3x3x16xi8>
  %x = tile.alloc : !tile.sram<8x8x16xi8>
  %y = tile.alloc : !tile.sram<8x8x16xi8>
  %r = tile.alloc : !tile.sram<8x8x16xi8, ring 3>
  %ws = tile.alloc : !tile.sram<16x3x3x16xi8>
  %ps = tile.alloc : !tile.sram<16x8xi8>
"""
USE = """
  tile.load_config <direct g1 k16 r16 p4>
  tile.use <direct g1 k16 r16 p4>
  %h = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <direct g1 k16 r16 p4>
"""
WINDOW = "window <3x3 pad 1 1 1 1>"
LAST = "params %ps[0] requantize <zero 0 clamp -128 127>"
START = "The plan @main for edge4k: "

REFUSALS = {
    "a use without its load": (
        "tile.use <direct g1 k16 r16 p4> layer @c",
        "layer c, tile.use: the shadow slot is empty, not direct g1 k16 r16 p4; a load_config of it must come before.",
    ),
    "a use of what is active": (
        USE + "tile.use <direct g1 k16 r16 p4>",
        "tile.use: the shadow slot is empty, not direct g1 k16 r16 p4; it is active already, and elide-configuration "
        "drops this use.",
    ),
    "a configuration too large": (
        "tile.load_config <direct g1 k64 r64 p2>",
        "tile.load_config: the array cannot take this configuration: direct g1 k64 r64 p2 needs 8192 lanes and edge4k "
        "has 4096.",
    ),
    "weights too large": (
        "%h = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <direct g1 k1 r16 p4> layer @c",
        "layer c, tile.fill %h: these weights take 144 words of every lane and half of L1 has 128: 16 too many; fill "
        "fewer output channels, or fewer input channels and accumulate.",
    ),
    "winograd with a zero point": (
        "%h = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <winograd g1 k16 r16 p4> zero 3",
        "tile.fill %h: Winograd takes weights of zero point 0, not 3; use a direct configuration.",
    ),
    "winograd with another kernel": (
        "%h = tile.fill half 0 %ws[0, 0, 0, 0] [16, 1, 3, 16] for <winograd g1 k16 r16 p4>",
        "tile.fill %h: Winograd takes 3x3 kernels, not 1x3; use a direct configuration.",
    ),
    "weights that leave their buffer": (
        "%h = tile.fill half 0 %ws[%i, 0, 0, 0] [8, 3, 3, 16] for <direct g1 k16 r16 p4>",
        "tile.fill %h in turn 9: it takes 9 to 16 of dimension 0 of %ws, which has 16 there.",
    ),
    "part of a kernel": (
        "%h = tile.fill half 0 %ws[0, 0, 0, 0] [16, 2, 2, 16] for <direct g1 k16 r16 p4>",
        "tile.fill %h: kernel positions of a 2x2 part of %ws are not evenly spaced; take whole rows.",
    ),
    "another configuration active": (
        USE + f"tile.load_config <direct g1 k16 r32 p4>\n tile.use <direct g1 k16 r32 p4>\n"
        f"tile.conv %y[0, 0, 0] [8, 8, 16] = %x[0] [16], %h {WINDOW} {LAST} layer @c",
        "layer c, tile.conv %y: half 0 of L1 is laid out for direct g1 k16 r16 p4 and direct g1 k16 r32 p4 is active; "
        "use the one or fill for the other.",
    ),
    "a half filled again": (
        USE + "%g = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <direct g1 k16 r16 p4> layer @c\n"
        f"tile.conv %y[0, 0, 0] [8, 8, 16] = %x[0] [16], %h {WINDOW} {LAST}",
        "tile.conv %y: half 0 of L1 no longer holds what it names: layer c, tile.fill %g replaced it; fill it again, or "  # noqa: E501
        "use the other half.",
    ),
    "weights of another shape": (
        USE + f"tile.conv %y[0, 0, 0] [8, 8, 8] = %x[0] [16], %h {WINDOW} {LAST}",
        "tile.conv %y: half 0 of L1 holds weights of 1 groups of 16 output and 16 input channels, 3x3, and it asks for "
        "1 groups of 8 output and 16 input channels, 3x3.",
    ),
    "nothing to accumulate on": (
        USE + f"tile.conv %y[0, 0, 0] [8, 8, 16] = %x[0] [16], %h {WINDOW} accumulate {LAST}",
        "tile.conv %y: it accumulates, and the pass before it in the array's order is a last one (or none); begin the "
        "reduction with a pass that neither accumulates nor requantizes.",
    ),
    "another tile": (
        USE + f"tile.conv %y[0, 0, 0] [8, 8, 16] = %x[0] [16], %h {WINDOW}\n"
        f"tile.conv %y[0, 0, 0] [4, 8, 16] = %x[0] [16], %h {WINDOW} accumulate {LAST}",
        "tile.conv %y: it continues a reduction of 16 channels and 8x8 pixels in direct g1 k16 r16 p4 with one of 16 "
        "channels and 4x8 pixels in direct g1 k16 r16 p4; all passes of a reduction share one tile.",
    ),
    "more rows than a ring stores": (
        USE + f"tile.conv %y[0, 0, 0] [4, 8, 16] = %r[0] [16], %h {WINDOW} {LAST}",
        "tile.conv %y: its inputs are 5 rows of %r, whose ring stores 3; make the ring larger or the tile smaller.",
    ),
    "a load of more rows than a ring stores": (
        "tile.load %r[0, 0, 0] [4, 8, 16] from %in[0, 0, 0]",
        "tile.load %r: it moves 4 rows of %r, whose ring stores 3.",
    ),
    "a walk that leaves its buffer": (
        "tile.move %y[%i * 3, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 1, column 1 sizes [2, 8, 16]",
        "tile.move %y in turn 3: it walks rows 9 to 10 of %y, which has 8.",
    ),
    "a walk by steps through a ring": (
        "tile.move %y[0, 0, 0] by row 1, column 1 = %r[0, 0, 0] by row 2, column 1 sizes [2, 8, 16]",
        "tile.move %y: it walks rows of %r, a ring, and there the outer dimension can go from each row to the next "
        "only; move row by row.",
    ),
    "a walk of more rows than a ring stores": (
        "tile.move %r[0, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 1, column 1 sizes [4, 8, 16]",
        "tile.move %r: it walks 4 rows of %r, whose ring stores 3.",
    ),
    "channels that are not there": (
        "%l = tile.alloc : !tile.sram<8x8x16xi8>\n" + USE
        + f"tile.for %c = 8 to 9 step 1 {{\n tile.conv %y[0, 0, 0] [8, 8, 16] = %x[%c] [16], %h {WINDOW} {LAST}\n}}",
        "tile.conv %y in turn 8: its inputs are channels 8 to 23 of %x, which has 16.",
    ),
    "parameters that are not there": (
        USE + f"tile.conv %y[0, 0, 0] [8, 8, 16] = %x[0] [16], %h {WINDOW} {LAST.replace('%ps[0]', '%ps[4]')}",
        "tile.conv %y: its parameters are bytes 32 to 159 of %ps, which has 128.",
    ),
    "a scale that is no number": (
        USE + "%c = tile.constant <16x2xf32, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, nan, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, "
        "0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]> : "
        f"!tile.dram<16x8xi8>\n tile.load %ps from %c\n tile.conv %y = %x, %h {WINDOW} {LAST} layer @c",
        "layer c, tile.conv %y: row 3 of its parameters %ps holds nan, and scales and offsets are finite float32 "
        "numbers.",
    ),
    "an offset without end": (
        "%c = tile.constant <16x2xf32, inf> : !tile.dram<16x8xi8>\n tile.load %ps[4, 0] [1, 8] from %c[9, 0]\n"
        "tile.vector affine %y = %x params %ps[0]",
        "tile.vector %y: row 4 of its parameters %ps holds inf, and scales and offsets are finite float32 numbers.",
    ),
    "a buffer after its free": (
        "tile.free %x : !tile.sram<8x8x16xi8>\n tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]",
        "tile.load %x: it uses %x after its free; free it later.",
    ),
    "a second free": (
        "tile.free %x : !tile.sram<8x8x16xi8>\n tile.free %x : !tile.sram<8x8x16xi8>",
        "tile.free %x: it frees %x, which is not allocated.",
    ),
    "a box with too many strides": (
        "tile.load %ws[0, 0, 0, 0] [8, 2, 2, 8] from %w[0, 0, 0, 0]",
        "tile.load %ws: the box has more strided dimensions than a copy of the machine, which takes three with the "
        "innermost contiguous; split it.",
    ),
    "a store into a constant": (
        "tile.store %w[0, 0, 0, 0] [16, 3, 3, 16] from %ws[0, 0, 0, 0]",
        "tile.store %w: it stores into %w, a constant; store into a tile.dram or an output.",
    ),
    "a store into an input": (
        "tile.store %in[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]",
        "tile.store %in: it stores into %in, an input; store into a tile.dram or an output.",
    ),
    "a store of what nobody wrote": (
        "tile.store %out[0, 0, 0] [8, 8, 16] from %y[0, 0, 0] layer @c",
        "layer c, tile.store %out: it reads row 0 of %y, which nothing has written; move it behind what writes that "
        "row.",
    ),
    "a store of what nobody wrote where another lay": (
        "%a = tile.alloc at 0 : !tile.sram<8x8x16xi8>\n tile.load %a from %in\n"
        "tile.store %out from %a\n tile.free %a : !tile.sram<8x8x16xi8>\n"
        "%b = tile.alloc at 0 : !tile.sram<8x8x16xi8>\n tile.store %out from %b layer @c",
        "layer c, tile.store %out: it reads row 0 of %b, which nothing has written; move it behind what writes that "
        "row.",
    ),
    "a store of columns that nobody wrote": (
        "tile.load %x[0, 0, 0] [8, 4, 16] from %in[0, 0, 0]\n tile.store %out[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]",
        "tile.store %out: it reads row 0 of %x, which nothing has written; move it behind what writes that row.",
    ),
    "a load of what nobody stored": (
        "%d = tile.dram : !tile.dram<8x8x16xi8>\n tile.load %x[0, 0, 0] [8, 8, 16] from %d[0, 0, 0]\n"
        "tile.store %out[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]",
        "tile.load %x: it loads row 0 of %d, which nothing has stored; store it first.",
    ),
    "a fill of what nobody wrote": (
        USE + "tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]\n"
        "tile.store %out[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]",
        "tile.fill %h: it reads row 0 of %ws, which nothing has written; move it behind what writes that row.",
    ),
    "a row that another has replaced": (
        "tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]\n tile.store %out[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]\n"
        "tile.load %r[0, 0, 0] [3, 8, 16] from %in[0, 0, 0]\n tile.load %r[3, 0, 0] [1, 8, 16] from %in[3, 0, 0]\n"
        "tile.store %out[0, 0, 0] [3, 8, 16] from %r[0, 0, 0] layer @c",
        "layer c, tile.store %out: it reads row 0 of %r, whose place in the ring of 3 rows holds row 3; make the ring "
        "larger, or read the row while it is there.",
    ),
    "an output that is not all there": (
        "tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]\n tile.store %out[0, 0, 0] [7, 8, 16] from %x[0, 0, 0]",
        "tile.schedule: it never stores row 7 of %out; a plan writes all of its outputs.",
    ),
    "a resize that begins inside a pixel": (
        "tile.vector resize %y[%i, 0, 0] [2, 8, 16] = %x[0] window <1x1 stride 2 2>",
        "tile.vector %y in turn 3: a resize by 2x2 begins at a whole input pixel, not at row 3, column 0.",
    ),
    "an image of another size": (
        "%image = tile.image <direct g1 k16 r16 p4> : !tile.dram<64xi8>",
        "tile.image %image: a configuration image of edge4k has 16,384 bytes, not 64.",
    ),
    "a field that does not hold it": (
        "%y2 = tile.alloc : !tile.sram<600x1x16xi8>\n %x2 = tile.alloc : !tile.sram<1x1x16xi8>\n"
        "tile.vector resize %y2[0, 0, 0] [600, 1, 16] = %x2[0] window <1x1 stride 600 1>",
        "tile.vector %y2: the field 'sy' of vector holds whole numbers from 1 to 255, not 600; take another tile.",
    ),
}  # fmt: skip


def refusal(text: str) -> str:
    module = parse(text)
    with pytest.raises(ModelError) as caught:
        ConvertTileToAccelPass().apply(context(), module)
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    body, message = REFUSALS[name]
    if "%i" in body and "%image" not in body:
        low = 9 if "fill" in body else 3
        body = f"tile.for %i = {low} to {low + 1} step 1 {{\n{body}\n}}"
    assert refusal(f"{HEAD}{body}\n}}") == START + message


def test_all_problems_are_told_at_once() -> None:
    text = (
        HEAD + "tile.load_config <direct g1 k64 r64 p2>\n tile.use <direct g1 k16 r16 p4>\n"
        "tile.for %i = 0 to 3 step 1 {\n tile.load %r[0, 0, 0] [4, 8, 16] from %in[%i, 0, 0] layer @c\n}\n}"
    )
    assert refusal(text) == (
        "The plan @main for edge4k has 3 problems:\n"
        "  - tile.load_config: the array cannot take this configuration: direct g1 k64 r64 p2 needs 8192 lanes and "
        "edge4k has 4096.\n"
        "  - tile.use: the shadow slot holds direct g1 k64 r64 p2, not direct g1 k16 r16 p4; a load_config of it must "
        "come before.\n"
        "  - layer c, tile.load %r in turn 0, layer c, tile.load %r in turn 1, layer c, tile.load %r in turn 2: it moves "  # noqa: E501
        "4 rows of %r, whose ring stores 3."
    )


def test_accumulators() -> None:
    text = """
    tile.schedule @main machine "edge4k" () -> () {
      %x = tile.alloc : !tile.sram<128x128x1xi8>
      %y = tile.alloc : !tile.sram<128x128x32xi8>
      %ws = tile.alloc : !tile.sram<32x1x1x1xi8>
      tile.load_config <direct g1 k32 r1 p4>
      tile.use <direct g1 k32 r1 p4>
      %h = tile.fill half 0 %ws[0, 0, 0, 0] [32, 1, 1, 1] for <direct g1 k32 r1 p4>
      tile.conv %y[0, 0, 0] [128, 128, 32] = %x[0] [1], %h window <1x1>
    }"""
    assert refusal(text) == (
        "The plan @main for edge4k: tile.conv %y: a tile of 128x128 pixels and 32 channels takes 524,288 accumulators "
        "and the array has 262,144: 262,144 too many; make the tile smaller."
    )


def test_a_plan_too_long_is_refused_before_it_is_unrolled() -> None:
    text = HEAD + "tile.for %i = 0 to 1000000000 step 1 {\n tile.load_config <direct g1 k16 r16 p4>\n}\n}"
    assert refusal(text) == (
        f"The plan @main for edge4k unrolls to 1,000,000,000 instructions and at most {tile.MAX_INSTRUCTIONS:,} are "
        "allowed; take larger tiles or fewer turns."
    )


def test_turns_that_do_nothing_are_counted_as_well() -> None:
    """They would take their time all the same."""
    text = HEAD + "tile.for %i = 0 to 100000 step 1 {\n tile.for %j = 0 to 100000 step 1 {\n}\n}\n}"
    assert refusal(text) == (
        f"The plan @main for edge4k unrolls to 10,000,000,000 instructions and at most {tile.MAX_INSTRUCTIONS:,} are "
        "allowed; take larger tiles or fewer turns."
    )


def test_an_unknown_machine() -> None:
    module = parse('tile.schedule @main machine "edge9k" () -> () {\n}')
    with pytest.raises(ReconError, match=r"^There is no machine 'edge9k': known are "):
        ConvertTileToAccelPass().apply(context(), module)


def test_instruction_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    module = lower(parse(FUSED.read_text()))
    machine = machines.load("edge4k")
    memory = dataclasses.replace(machine.instruction_memory, bytes=1024, fetch=0)
    monkeypatch.setattr(machines, "load", lambda _: dataclasses.replace(machine, instruction_memory=memory))
    with pytest.raises(EmitError) as caught:
        emit(module)
    assert str(caught.value) == (
        "The program's 40 instructions take 3,116 bytes and the instruction memory of edge4k has 1,024: 2,092 too many. "  # noqa: E501
        "What helps: larger tiles (more rows per stripe, more channels per fill), or a machine with more instruction "
        "memory, or one that fetches instructions from DRAM (instruction_memory.fetch)."
    )


def test_a_program_without_instructions() -> None:
    module = parse('accel.program @main machine "edge4k" {\n%in = accel.dram input "x" 64xi8 at 0\n}')
    with pytest.raises(EmitError) as caught:
        emit(module)
    assert str(caught.value) == "The program @main has no instructions, so there is nothing to run."


def test_two_programs_that_share_a_byte_of_dram() -> None:
    text = (
        'accel.program @{0} machine "edge4k" {{\n%{0} = accel.dram constant <64xi8, {1}> at {1}\n'
        "%b = accel.buffer 64 at 0\n%0 = accel.load dram(%{0}) sram(%b) {{bytes = 64}}\n}}"
    )
    module = parse_module(make_context(), f"{text.format('a', 0)}\n{text.format('c', 63)}", "x.mlir")
    with pytest.raises(EmitError) as caught:
        emit(module)
    assert str(caught.value) == ("x.mlir:7:1: %a is bytes 0 to 63 of DRAM, and %c begins at 63; regions share no byte.")


def test_an_unplaced_program_is_not_emitted() -> None:
    module = parse('accel.program @main machine "edge4k" {\n%in = accel.dram input "x" 64xi8 at 0\n'
                   "%a = accel.buffer 64\n%0 = accel.load dram(%in) sram(%a) {bytes = 64}\n}")  # fmt: skip
    with pytest.raises(EmitError) as caught:
        emit(module)
    assert str(caught.value) == ("The program @main is not placed: %a has no address yet: allocate-sram gives it one.")
    with pytest.raises(EmitError, match=r"^There is no accel\.program to emit: lower the plan with convert-tile"):
        emit(parse("builtin.module {\n}"))


def test_a_constant_that_is_not_at_hand() -> None:
    text = HEAD.replace("<16x3x3x16xi8, seed 1>", '<16x3x3x16xi8, "sha256:0123456789abcdef">') + (
        "tile.load %ws[0, 0, 0, 0] [16, 3, 3, 16] from %w[0, 0, 0, 0]\n"
        "tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]\n tile.store %out[0, 0, 0] [8, 8, 16] from %x[0, 0, 0]\n}"
    )
    with pytest.raises(EmitError) as caught:
        emit(lower(parse(text)))
    assert str(caught.value) == (
        'The program cannot be emitted: the constant "sha256:0123456789ab…" is not at hand: its side file was not read.'
    )


def test_dram_that_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machines.load("edge4k")
    small = dataclasses.replace(machine, dram=dataclasses.replace(machine.dram, bytes=1024))
    module = parse('accel.program @main machine "edge4k" {\n%in = accel.dram input "x" 1000xi8\n'
                   "%c = accel.dram constant <100xi8, seed 1>\n}")  # fmt: skip
    monkeypatch.setattr(machines, "load", lambda _: small)
    with pytest.raises(ModelError) as caught:
        AllocateSramPass().apply(context(), module)
    assert str(caught.value) == (
        "The program needs 1,152 bytes of DRAM (constant 128, input 1,024) and edge4k has 1,024: 128 too many; choose a "  # noqa: E501
        "machine with more DRAM or a smaller model."
    )
