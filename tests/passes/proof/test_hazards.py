"""Waits are enough, and none is too many: the proof accepts what the compiler made and nothing less."""

from __future__ import annotations

import dataclasses
import random
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from backend.sram import sram_use
from dialects import accel
from passes.accel.check_hazards import check, check_program
from passes.accel.waits import assign
from passes.proof.hazards import DramMap, HazardError, prove
from passes.proof.touched import Touched
from sim.machine.description import load
from sim.machine.encoding import Stream, decode, encode
from sim.machine.errors import Fault
from sim.machine.isa import QUEUES
from sim.machine.program import MachineSegment, Program
from tests.passes.tile_to_accel.plans import random_plan
from tests.passes.tile_to_accel.support import FUSED, lower, parse, random_inputs, run

MACHINE = load("edge4k")


def memory_of(program: Program) -> DramMap:
    (segment,) = program.segments
    assert isinstance(segment, MachineSegment)
    inputs = [(r.address, r.address + r.bytes) for r in segment.inputs]
    outputs = [(r.address, r.address + r.bytes) for r in segment.outputs]
    return DramMap(program.dram_bytes, [(0, len(program.constants)), *inputs], outputs)


def records(program: Program) -> list[tuple[str, dict[str, Any]]]:
    (segment,) = program.segments
    assert isinstance(segment, MachineSegment)
    return [(name, dict(fields)) for name, fields in decode(segment.code).records()]


def changed(program: Program, instructions: list[tuple[str, dict[str, Any]]]) -> Program:
    (segment,) = program.segments
    return dataclasses.replace(program, segments=(dataclasses.replace(segment, code=encode(instructions)),))


def weaker(program: Program, dice: random.Random, count: int) -> list[tuple[int, str, Program]]:
    """The program with one of its wait counts lowered by one, for some of them."""
    plain = records(program)
    waits = [(i, f"wait.{q}") for i, (_, fields) in enumerate(plain) for q in QUEUES if fields[f"wait.{q}"]]
    found: list[tuple[int, str, Program]] = []
    for index, wait in dice.sample(waits, min(count, len(waits))):
        copy = [(name, dict(fields)) for name, fields in plain]
        copy[index][1][wait] -= 1
        found.append((index, wait, changed(program, copy)))
    return found


def stream_of(program: Program) -> Stream:
    (segment,) = program.segments
    assert isinstance(segment, MachineSegment)
    return decode(segment.code)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_every_single_wait_is_needed_and_its_loss_is_found(seed: int, tight: bool) -> None:
    module = lower(parse(random_plan(seed)))
    if tight:
        peak = sram_use(accel.programs(module), MACHINE.sram.bytes).peak_bytes
        module = lower(parse(random_plan(seed)), peak * 5 // 4 + 4096)
    program = emit(module)
    memory = memory_of(program)
    check_program(program)
    dice = random.Random(seed)
    for index, wait, broken in weaker(program, dice, 6):
        with pytest.raises(HazardError, match=r"race|reads what it has not written"):
            prove(stream_of(broken), MACHINE, memory)
        if dice.random() < 0.3:
            with pytest.raises(Fault):
                run(broken, random_inputs(program))
        assert index >= 0, wait


def compiled() -> tuple[ModuleOp, Program]:
    module = lower(parse(FUSED.read_text()))
    return module, emit(module)


def test_a_wait_that_can_never_be_met() -> None:
    _, program = compiled()
    plain = records(program)
    plain[0][1]["wait.store"] = 9
    with pytest.raises(HazardError) as caught:
        prove(stream_of(changed(program, plain)), MACHINE, memory_of(program), lambda i: "c1" if i == 0 else "")
    assert str(caught.value).startswith(
        "The program stands still: instruction 0 (load_config, layer c1) waits for 9 instructions of the queue store to "  # noqa: E501
        "complete, and there are 4; instruction "
    )


def test_two_queues_that_wait_for_each_other() -> None:
    instructions = [
        ("load", {"sram": 0, "bytes": 64, "wait.vector": 1}),
        ("vector", {"channels": 64, "out.base": 64, "wait.load": 1}),
    ]
    with pytest.raises(HazardError) as caught:
        prove(decode(encode(instructions)), MACHINE, DramMap(64, [(0, 64)], []))
    assert str(caught.value) == (
        "The program stands still: instruction 0 (load) waits for 1 instructions of the queue vector to complete, and "
        "only 0 ever do; instruction 1 (vector) waits for 1 instructions of the queue load to complete, and only 0 ever "  # noqa: E501
        "do."
    )


def message(instructions: list[tuple[str, dict[str, Any]]], memory: DramMap) -> str:
    with pytest.raises(HazardError) as caught:
        prove(decode(encode(instructions)), MACHINE, memory, lambda index: f"l{index}")
    return str(caught.value)


def test_messages_of_races_and_reads() -> None:
    load_a = ("load", {"sram": 0x100, "bytes": 64})
    memory = DramMap(256, [(0, 64)], [(128, 192)])
    store = {"dram": 128, "sram": 0x120, "bytes": 64}
    assert message([load_a, ("store", store)], memory) == (
        "The program has a race: instruction 0 (load, layer l0) writes and instruction 1 (store, layer l1) reads byte "
        "0x120 of SRAM (they meet between 0x120 and 0x13f), and no chain of waits orders the two."
    )
    assert message([load_a, ("store", {**store, "wait.load": 1})], memory) == (
        "The program reads what it has not written: instruction 1 (store, layer l1) reads byte 0x140 of SRAM."
    )
    assert message([load_a], memory) == "The program ends and byte 0x80 of DRAM, in an output, was never written."
    assert message([("load", {"sram": MACHINE.sram.bytes - 32, "bytes": 64})], memory) == (
        "The program leaves the machine: instruction 0 (load, layer l0) touches bytes up to 0xc0001f of SRAM, which has "  # noqa: E501
        "0xc00000."
    )
    fill = ("fill", {"address": 0x100, "inputs": 16, "wait.load": 1})
    conv = ("conv", {"inputs": 16, "in.base": 0x100, "first": 1})
    assert message([load_a, fill, ("load_config", {}), ("configure", {"wait.load": 2}), conv],
                   DramMap(16384, [(0, 16384)], [])) == (
        "The program has a race: instruction 1 (fill, layer l1) writes and instruction 4 (conv, layer l4) reads half 0 "
        "of L1, and no chain of waits orders the two."
    )  # fmt: skip


def test_interleaved_channels_do_not_race() -> None:
    apart = {"bytes": 16, "count1": 8, "dram_stride1": 32, "sram_stride1": 32}
    instructions = [
        ("load", {"sram": 0, **apart}),
        ("vector", {"ox": 8, "channels": 16, "a.pixel_stride": 32, "out.pixel_stride": 32, "out.base": 16,
                    "wait.load": 1, "lo": -128, "hi": 127}),
        ("load", {"sram": 0x400, **apart}),
        ("store", {"sram": 0, "dram": 512, "bytes": 16, "count1": 8, "dram_stride1": 16, "sram_stride1": 32,
                   "wait.load": 1}),
    ]  # fmt: skip
    prove(decode(encode(instructions)), MACHINE, DramMap(1024, [(0, 512)], [(512, 640)]))
    instructions[3][1]["sram"] = 16
    assert (
        "race: instruction 1 (vector, layer l1) writes and instruction 3 (store, layer l3) reads byte 0x10"
        in message(instructions, DramMap(1024, [(0, 512)], []))
    )


def test_waits_are_not_repeated() -> None:
    """Assigning again changes nothing, and no wait names what the queue's own history already implies."""
    module, _ = compiled()
    before = str(module)
    for program in accel.programs(module):
        assign(program)
    assert str(module) == before
    program = accel.programs(module)[0]
    best: dict[str, list[int]] = {}
    for op in program.instructions:
        seen = best.setdefault(op.queue, [0] * len(QUEUES))
        for queue, count in enumerate(op.wait_counts):
            assert count == 0 or count > seen[queue]
            seen[queue] = max(seen[queue], count)


def test_a_queue_longer_than_a_wait_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from passes.common.problems import ModelError

    monkeypatch.setattr("passes.accel.waits._MOST", 2)
    program = accel.ProgramOp("main", "edge4k")
    program.body.block.add_ops([accel.ConfigureOp.make({}) for _ in range(3)])
    with pytest.raises(ModelError) as caught:
        assign(program)
    assert str(caught.value) == (
        "The program has 3 instructions in the queue array and a wait counts to 2; take larger tiles."
    )


def test_random_inputs_are_repeatable() -> None:
    _, program = compiled()
    np.testing.assert_array_equal(random_inputs(program)["in"], random_inputs(program)["in"])


def test_thousands_of_instructions_are_ordered_and_proven_quickly() -> None:
    """Loads into a ring, a vector operation per stripe, stores out of another ring; nothing waits more than it must."""
    stripes, size = 1300, 2048
    program = accel.ProgramOp("main", "edge4k")
    source = accel.DramOp("input", (stripes * size,), port="x", address=0)
    target = accel.DramOp("output", (stripes * size,), port="y", address=stripes * size)
    rings = [accel.BufferOp(8 * size, address=at) for at in (0, 8 * size)]
    program.body.block.add_ops([source, target, *rings])
    shape = {"oy": 1, "ox": 32, "channels": 64, "lo": -128, "hi": 127, "ra": 1.0, "rb": 1.0,
             "a.pixel_stride": 64, "out.pixel_stride": 64}  # fmt: skip
    for stripe in range(stripes):
        slot, place = stripe % 8 * size, stripe * size
        inside, outside = rings[0].output, rings[1].output
        program.body.block.add_ops([
            accel.LoadOp.make({"bytes": size}, [("dram", source.output, place), ("sram", inside, slot)]),
            accel.VectorOp.make(shape, [("a.base", inside, slot), ("out.base", outside, slot)]),
            accel.StoreOp.make({"bytes": size}, [("dram", target.output, place), ("sram", outside, slot)]),
        ])  # fmt: skip
    start = time.process_time()
    assign(program)
    ordered = time.process_time()
    check(program, 2 * stripes * size)
    proven = time.process_time()
    assert ordered - start < 2.0
    assert proven - ordered < 2.0
    last = list(program.instructions)[-3:]
    counts = [dict(zip(QUEUES, op.wait_counts, strict=True)) for op in last]
    assert [counts[0]["vector"], counts[1]["load"], counts[1]["store"], counts[2]["vector"]] == [1292, 1300, 1292, 1300]


@pytest.mark.parametrize("seed", range(300))
def test_common_bytes_of_two_blocks(seed: int) -> None:
    """Rows × columns of runs that start near each other, often with the same pixel stride: as sets of bytes."""
    dice = random.Random(seed)
    pixel = dice.choice([1, 4, 6, 16])
    blocks: list[list[int]] = []
    for _ in range(2):
        stride = pixel if dice.random() < 0.8 else dice.choice([0, 3, 5])
        row = dice.choice([0, pixel * dice.randrange(1, 9), dice.randrange(1, 60)])
        blocks.append(
            [dice.randrange(90), dice.randrange(1, 5), row, dice.randrange(1, 6), stride, dice.randrange(1, 9)]
        )
    blocks[1][0] = blocks[0][0] + dice.randrange(max(1, pixel, blocks[0][-1]))  # they meet somewhere
    start, rows, row_stride, columns, column_stride, run = np.array(blocks, np.int64).T
    end = start + (rows - 1) * row_stride + (columns - 1) * column_stride + run
    zeros = np.zeros(2, np.int64)
    if start[1] >= end[0]:
        return
    touched = Touched(zeros, zeros, zeros > 0, start, rows, row_stride, columns, column_stride, run, end)
    sets = [
        {s + y * rs + x * cs + i for y in range(r) for x in range(c) for i in range(n)} for s, r, rs, c, cs, n in blocks
    ]
    assert touched.common(0, 1) == min(sets[0] & sets[1], default=None)


def test_floods_are_refused_before_anything_is_spread_out() -> None:
    """Legal fields, and counts that would keep the proof busy for days or take all memory."""
    memory = DramMap(1 << 16, [(0, 1 << 16)], [])
    load = ("load", {"bytes": 1, "count1": 1 << 24, "count2": 1 << 12})
    assert message([load], memory) == (
        "The program stops the machine: instruction 0 (load, layer l0) reads 68,719,476,736 bytes of DRAM, and no "
        "instruction may read more than 67,108,864."
    )
    store = ("store", {"bytes": 1, "count1": 1 << 12, "count2": 1 << 12})
    assert message([store], memory) == (
        "The program stops the machine: instruction 0 (store, layer l0) writes some bytes twice: its strides let "
        "its own runs overlap."
    )
