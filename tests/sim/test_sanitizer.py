"""Races: every kind is found at the byte, ordered programs pass, and single bytes decide."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import simulator
from sim.machine import assembly, encoding, order
from sim.machine.errors import Fault
from sim.machine.isa import BY_NAME, QUEUES
from tests.sim.support import image, program

CONSTANTS = np.concatenate([image("direct g1 k1 r1 p1"), np.zeros(4096, np.uint8)])


def race(text: str) -> str:
    """The race a program is stopped for, or "" if it runs to its end."""
    made = program(text, constants=CONSTANTS)
    simulator.simulate(made, {})
    try:
        simulator.simulate(made, {}, sanitize=True)
    except Fault as fault:
        return str(fault)
    return ""


def after(number: int, line: str, reason: str) -> str:
    """The message of a race; every instruction belongs to layer ``stem``."""
    reason = re.sub(r"(instruction \d+) ", r"\1 of layer 'stem' ", reason)
    return (
        f"Instruction {number} of layer 'stem' ({line}) stops the machine: a race: it {reason}, and no chain of waits "
        "orders the two; one of them must wait for the other."
    )


def test_a_read_that_does_not_wait_for_the_write() -> None:
    line = "vector op=copy channels=16 out.base=0x100 ra=1.0"
    assert race(f"load bytes=16\n{line}") == after(
        1, line, "reads byte 0x0 of SRAM, which instruction 0 (load bytes=16) writes"
    )
    assert race(f"load bytes=16\n{line} | wait load 1") == ""


def test_a_write_that_does_not_wait_for_the_read() -> None:
    text = "load bytes=64\nvector op=copy channels=16 a.base=0x8 out.base=0x100 ra=1.0 | wait load 1\n"
    assert race(text + "load sram=0x17 bytes=4") == after(
        2,
        "load sram=0x17 bytes=4",
        "writes byte 0x17 of SRAM, which instruction 1 (vector op=copy channels=16 a.base=0x8 out.base=0x100 ra=1.0 "
        "| wait load 1) reads",
    )
    assert race(text + "load sram=0x18 bytes=4") == ""
    assert race(text + "load sram=0x17 bytes=4 | wait vector 1") == ""


def test_two_writes() -> None:
    text = "load bytes=64\nvector op=copy channels=16 out.base=0x100 ra=1.0 | wait load 1\n"
    assert race(text + "load sram=0xfe bytes=3") == after(
        2,
        "load sram=0xfe bytes=3",
        "writes byte 0x100 of SRAM, which instruction 1 (vector op=copy channels=16 out.base=0x100 ra=1.0 | wait load 1"
        ") writes",
    )
    assert race(text + "load sram=0xfe bytes=2") == ""


def test_stride_gaps_are_no_accesses() -> None:
    text = "load bytes=64\nvector op=copy ox=4 channels=2 a.pixel_stride=4 out.base=0x100 out.pixel_stride=4 ra=1.0 "
    assert race(text + "| wait load 1\nload sram=0x102 bytes=2 count1=4 sram_stride1=4") == ""
    assert "writes byte 0x101 of SRAM" in race(text + "| wait load 1\nload sram=0x101 bytes=1 count1=4 sram_stride1=4")


def test_dram_between_store_and_load() -> None:
    text = "load bytes=64\nstore dram=0x2000 bytes=64 | wait load 1\n"
    assert race(text + "load dram=0x203f sram=0x400 bytes=1") == after(
        2,
        "load dram=0x203f sram=0x400",
        "reads byte 0x203f of DRAM, which instruction 1 (store dram=0x2000 bytes=64 | wait load 1) writes",
    )
    assert race(text + "load dram=0x203f sram=0x400 bytes=1 | wait store 1") == ""
    text = "load bytes=64\nload dram=0x80 sram=0x400 bytes=64 count2=2 dram_stride2=128 sram_stride2=64\n"
    assert race(text + "store dram=0x80 bytes=1 | wait load 1") == after(
        2,
        "store dram=0x80 | wait load 1",
        "writes byte 0x80 of DRAM, which instruction 1 (load dram=0x80 sram=0x400 bytes=64 count2=2 dram_stride2=128 "
        "sram_stride2=64) reads",
    )
    assert race(text + "store dram=0xc0 bytes=64 | wait load 1") == ""


FILLED = "load dram=0x80 bytes=64\nload_config\nconfigure | wait load 2\nfill | wait load 1\n"


def test_l1_halves() -> None:
    assert race(FILLED + "conv first=1") == after(
        4, "conv first=1", "reads L1 half 0, which instruction 3 (fill | wait load 1) writes"
    )
    text = FILLED + "conv first=1 | wait weights 1\n"
    assert race(text + "fill") == after(
        5, "fill", "writes L1 half 0, which instruction 4 (conv first=1 | wait weights 1) reads"
    )
    assert race(text + "fill half=1") == ""
    assert race(text + "fill | wait array 2") == ""


def test_configuration_slots() -> None:
    assert race("load_config\nconfigure") == after(
        1, "configure", "writes the shadow configuration slot, which instruction 0 (load_config) writes"
    )
    assert race("load_config\nconfigure | wait load 1\nload_config") == after(
        2,
        "load_config",
        "writes the shadow configuration slot, which instruction 1 (configure | wait load 1) writes",
    )
    assert race("load_config\nconfigure | wait load 1\nload_config | wait array 1") == ""


def test_order_is_transitive_and_time_is_no_order() -> None:
    text = """
    load bytes=64
    vector op=copy channels=16 out.base=0x100 ra=1.0 | wait load 1
    store dram=0x2000 sram=0x100 bytes=16 | wait vector 1
    """
    assert race(text + "load bytes=16 | wait store 1") == ""
    late = "load dram=0x80 sram=0x1000 bytes=4096\n" * 3
    assert "a race" in race(text + late + "load bytes=16")


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Random copies within 12 bytes of SRAM and of DRAM by three queues, with random waits."""
    counts = dict.fromkeys(QUEUES, 0)
    lines = ["load bytes=12", "store dram=0x3000 bytes=12 | wait load 1", "vector channels=12 ra=1.0 | wait store 1"]
    counts |= {"load": 1, "store": 1, "vector": 1}
    for _ in range(draw(st.integers(1, 8))):
        name = draw(st.sampled_from(["load", "store", "vector"]))
        a, b = draw(st.integers(0, 8)), draw(st.integers(0, 8))
        size = draw(st.integers(1, 4))
        fields = {
            "load": f"dram={0x3000 + a} sram={b} bytes={size}",
            "store": f"dram={0x3000 + a} sram={b} bytes={size}",
            "vector": f"channels={size} a.base={a} out.base={b} ra=1.0",
        }[name]
        queue = BY_NAME[name].queue
        waits = [
            f"{other} {draw(st.integers(1, counts[other]))}"
            for other in ("load", "store", "vector")
            if other != queue and draw(st.booleans())
        ]
        lines.append(f"{name} {fields}" + (" | wait " + ", ".join(waits) if waits else ""))
        counts[queue] += 1
    return "\n".join(lines)


def touched(name: str, f: dict[str, Any]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """(reads, writes) of an instruction as bytes of a memory."""
    if name == "vector":
        return (
            {("sram", f["a.base"] + i) for i in range(f["channels"])},
            {("sram", f["out.base"] + i) for i in range(f["channels"])},
        )
    dram = {("dram", f["dram"] + i) for i in range(f["bytes"])}
    sram = {("sram", f["sram"] + i) for i in range(f["bytes"])}
    return (dram, sram) if name == "load" else (sram, dram)


def racy(text: str) -> bool:
    """Whether some pair races, by reachability over queue order and waits, pair by pair."""
    records = [(name, {**encoding.defaults(name), **fields}) for name, fields in assembly.assemble(text)]
    queue = [BY_NAME[name].queue for name, _ in records]
    members = {q: [i for i, other in enumerate(queue) if other == q] for q in QUEUES}
    before: list[set[int]] = []
    for index, (_, fields) in enumerate(records):
        direct = [i for i in members[queue[index]] if i < index]
        for q in QUEUES:
            direct += members[q][: int(fields[f"wait.{q}"])]
        before.append(set(direct).union(*(before[i] for i in direct)))
    for j, (name, fields) in enumerate(records):
        reads, writes = touched(name, fields)
        for i in range(j):
            if i not in before[j]:
                other_reads, other_writes = touched(*records[i])
                if writes & (other_reads | other_writes) or reads & other_writes:
                    return True
    return False


@settings(max_examples=150, deadline=None)
@given(programs())
def test_against_all_pairs(text: str) -> None:
    constants = np.zeros(0x3010, np.uint8)
    made = program(text, constants=constants)
    if racy(text):
        with pytest.raises(Fault, match="a race"):
            simulator.simulate(made, {}, sanitize=True)
    else:
        simulator.simulate(made, {}, sanitize=True)


def test_happens_before_counts_what_has_certainly_completed() -> None:
    text = (
        "load bytes=1\nload bytes=1\nvector | wait load 1\nstore bytes=1 | wait vector 1\nload bytes=1 | wait store 1"
    )
    queues = order.order(encoding.decode(encoding.encode(assembly.assemble(text))))
    assert queues.happens_before.tolist() == [
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
        [2, 1, 0, 0, 1],
    ]


@pytest.mark.parametrize("sanitize", [False, True])
def test_values_do_not_depend_on_the_text_order(sanitize: bool) -> None:
    """The store stands first in the text and waits for what follows."""
    made = program("store dram=0x3000 bytes=4 | wait load 1\nload dram=0x80 bytes=4", constants=CONSTANTS)
    simulator.simulate(made, {}, sanitize=sanitize)
