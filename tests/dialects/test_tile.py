"""The accel dialect and the machine's book say the same."""

from __future__ import annotations

import time

import pytest
from xdsl.utils.exceptions import VerifyException

from dialects import accel, accel_attributes, tile
from dialects.meaning import accel as meaning
from dialects.meaning import tile as tile_meaning
from passes.tile_to_accel import lowering
from sim.machine import encoding
from sim.machine.isa import BY_NAME, INTEGERS
from tests.passes.tile_to_accel.support import parse


def test_every_tile_op_has_a_meaning_and_a_lowering() -> None:
    structure = {tile.ScheduleOp, tile.ForOp}
    for handlers in (tile_meaning.HANDLERS, lowering.HANDLERS):
        assert set(handlers) | structure == set(tile.TILE.operations)


def test_every_instruction_has_an_op_and_a_meaning() -> None:
    assert set(accel.INSTRUCTION_OPS) == set(BY_NAME)
    assert set(meaning.HANDLERS) == set(BY_NAME)
    for name, op in accel.INSTRUCTION_OPS.items():
        assert op.name == f"accel.{name}"


@pytest.mark.parametrize("name", BY_NAME)
def test_fields_are_those_of_the_table(name: str) -> None:
    known = {field: value for field, value in encoding.defaults(name).items() if not field.startswith("wait.")}
    assert dict(zip(accel_attributes.names(name), accel_attributes.defaults(name), strict=True)) == known
    for field, low, high in zip(BY_NAME[name].fields, *accel_attributes.limits(name), strict=True):
        if field.type in INTEGERS:
            assert (low, high) == (field.low, field.high)
        if accel_attributes.is_address(field.name):
            assert field.type == "u32"
            assert "ddress" in field.doc
        else:
            assert "address of" not in field.doc


def test_building_is_cheap() -> None:
    program = accel.ProgramOp("main", "edge4k")
    buffer = accel.BufferOp(4096)
    program.body.block.add_op(buffer)
    fields = {"half": 1, "oy": 5, "ox": 7, "fy": 3, "fx": 3}
    memory = [("in.base", buffer.output, 4), ("out.base", buffer.output, 7), ("params", buffer.output, 8)]
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        for _ in range(200):
            accel.ConvOp.make(fields, memory)
        best = min(best, (time.process_time() - start) / 200)
    assert best < 1e-4


def test_an_address_needs_a_place() -> None:
    buffer = accel.BufferOp(64)
    buffer.output.name_hint = "x"
    with pytest.raises(ValueError, match=r"^%x has no address yet: allocate-sram gives it one$"):
        _ = buffer.at


def test_ranges_are_checked_before_anything_is_encoded() -> None:
    buffer = accel.BufferOp(64)
    op = accel.FillOp.make({"weight_zero": 300}, [("address", buffer.output, 0)])
    with pytest.raises(VerifyException, match=r"^field 'weight_zero' holds whole numbers from -128 to 127, not 300$"):
        op.verify_()
    op = accel.ConvOp.make({"ra": float("nan")}, [("in.base", buffer.output, 0)])
    with pytest.raises(VerifyException, match=r"^field 'ra' holds a finite float32, not nan$"):
        op.verify_()


def test_record_and_waits() -> None:
    module = parse("""
    accel.program @main machine "edge4k" {
      %in = accel.dram input "x" 64xi8 at 128
      %a = accel.buffer 64 at 256
      %0 = accel.load dram(%in + 4) sram(%a + 8) {bytes = 16}
      %1 = accel.load dram(%in + 4) sram(%a + 8) {bytes = 16} waits <store 2, vector 3>
    }""")
    first, second = accel.programs(module)[0].instructions
    name, fields = first.record()
    assert (name, fields["dram"], fields["sram"], fields["bytes"], "wait.store" in fields) == (
        "load",
        132,
        264,
        16,
        False,
    )
    second.order([first.event], (0, 5, 0, 0, 0))
    assert second.record()[1]["wait.store"] == 5
    assert "after(%0) waits <store 5>" in str(module)
    second.order([], (0, 0, 0, 0, 0))
    assert "after" not in str(module)
    module.verify()
