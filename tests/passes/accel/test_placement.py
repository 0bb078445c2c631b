"""Buffers that live together never share a byte, and the placement is close to the best there can be."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.sram import sram_use
from dialects import accel
from passes.accel.sram_addresses import allocate, lifetimes
from passes.common.placement import ALIGNMENT, peak, place
from sim.machine import description as machines
from sim.machine.program import SramUse
from tests.passes.tile_to_accel.support import lower, parse

buffers = st.lists(st.tuples(st.integers(1, 900), st.integers(0, 40), st.integers(0, 12)), min_size=1, max_size=30)


def sound(sizes: list[int], births: list[int], deaths: list[int], addresses: list[int], capacity: int) -> bool:
    rows = list(zip(sizes, births, deaths, addresses, strict=True))
    apart = all(
        b[1] > a[2] or a[1] > b[2] or a[3] + a[0] <= b[3] or b[3] + b[0] <= a[3]
        for a, b in itertools.combinations(rows, 2)
    )
    return apart and all(at % ALIGNMENT == 0 and at + size <= capacity for size, _, _, at in rows)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])  # of a busy computer, not of the test
@given(buffers, st.integers(0, 30))
def test_buffers_that_live_together_lie_apart(rows: list[tuple[int, int, int]], slack: int) -> None:
    sizes, births = [row[0] for row in rows], [row[1] for row in rows]
    deaths = [row[1] + row[2] for row in rows]
    demand, when = peak(sizes, births, deaths)
    alive = [-(-s // 64) * 64 for s, b, d in zip(sizes, births, deaths, strict=True) if b <= when <= d]
    assert sum(alive) == demand
    capacity = demand * (100 + slack) // 100
    addresses = place(sizes, births, deaths, capacity)
    if addresses is None:
        assert slack < 25
        return
    assert sound(sizes, births, deaths, addresses, capacity)
    assert max((a + s for a, s in zip(addresses, sizes, strict=True)), default=0) <= capacity
    assert place(sizes, births, deaths, capacity) == addresses


def test_what_cannot_fit_is_refused_at_once() -> None:
    assert place([65, 64], [0, 0], [1, 1], 191) is None
    assert place([65, 64], [0, 0], [1, 1], 192) == [0, 128]
    assert place([], [], [], 0) == []


def test_two_thousand_buffers_are_placed_quickly() -> None:
    dice = random.Random(7)
    sizes = [dice.choice([256, 2048, dice.randrange(1, 100_000), dice.randrange(1, 400_000)]) for _ in range(2000)]
    births = [dice.randrange(8000) for _ in range(2000)]
    deaths = [birth + int(dice.expovariate(1 / 30)) for birth in births]
    capacity = peak(sizes, births, deaths)[0] * 105 // 100
    start = time.process_time()
    assert place(sizes, births, deaths, capacity) is not None
    assert time.process_time() - start < 1.0


def program(lines: str) -> accel.ProgramOp:
    module = parse(f'accel.program @main machine "edge4k" {{\n%in = accel.dram input "x" 4096xi8\n{lines}\n}}')
    return accel.programs(module)[0].clone()


def test_room_keeps_a_buffer_clear_of_its_predecessor() -> None:
    made = program("\n".join(
        [f"%b{i} = accel.buffer 640" for i in range(6)]
        + [f"%e{i} = accel.load dram(%in) sram(%b{i}) {{bytes = 640}}" for i in range(6)]
    ))  # fmt: skip
    machine = machines.load("edge4k")
    allocate(made, machine, 6400)
    assert len({buffer.at for buffer in made.buffers}) == 6
    allocate(made, machine, 640)
    assert {buffer.at for buffer in made.buffers} == {0}
    assert sram_use([made], 6400) == SramUse(640, 5760, 5760)
    assert lifetimes(made).births == [0, 1, 2, 3, 4, 5]


def test_a_gap_that_no_order_closes_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = program("%b = accel.buffer 640\n%e = accel.load dram(%in) sram(%b) {bytes = 640}")
    monkeypatch.setattr("passes.common.placement.place", lambda *_, **__: None)
    with pytest.raises(Exception, match="with 12,582,912 has, but no placement without gaps was found"):
        allocate(made, machines.load("edge4k"), 12_582_912)


def test_proposed_addresses_are_taken_when_they_fit() -> None:
    lines = "\n".join(
        f"%b{i} = accel.buffer 64 at {at}\n%e{i} = accel.load dram(%in) sram(%b{i}) {{bytes = 64}}"
        for i, at in enumerate((640, 64, 640))
    )
    made = program(lines)
    machine = machines.load("edge4k")
    allocate(made, machine, 704)
    assert [buffer.at for buffer in made.buffers] == [640, 64, 640]
    allocate(made, machine, 640)
    assert max(buffer.at for buffer in made.buffers) <= 576
    overlapping = program(lines + "\n%f = accel.load dram(%in) sram(%b0) {bytes = 64}")
    allocate(overlapping, machine, 6400)
    assert len({buffer.at for buffer in overlapping.buffers}) == 3


def test_a_buffer_of_a_loop_is_a_new_one_in_every_turn() -> None:
    module = parse("""
    tile.schedule @main machine "edge4k" (%in: !tile.dram<8x4x16xi8>) -> (%out: !tile.dram<8x4x16xi8>) {
      tile.for %i = 0 to 8 step 2 {
        %x = tile.alloc : !tile.sram<2x4x16xi8>
        tile.load %x[0, 0, 0] [2, 4, 16] from %in[%i, 0, 0]
        tile.store %out[%i, 0, 0] [2, 4, 16] from %x[0, 0, 0]
        tile.free %x : !tile.sram<2x4x16xi8>
      }
    }""")
    lower(module)
    buffers = accel.programs(module)[0].buffers
    assert [buffer.label for buffer in buffers] == ["%x"] * 4
    assert len({buffer.at for buffer in buffers}) == 4


def test_the_fullest_moment_and_its_holes() -> None:
    """Three buffers with holes between them, all alive for a while."""
    made = program("\n".join(
        [f"%b{i} = accel.buffer 64 at {at}" for i, at in enumerate((0, 128, 256))]
        + [f"%e{i} = accel.load dram(%in) sram(%b{j}) {{bytes = 64}}" for i, j in enumerate((0, 1, 2, 1, 0, 2))]
    ))  # fmt: skip
    use = sram_use([made], 1000)
    assert use == SramUse(192, 808, 680)
    assert use.fragmentation == 1 - 680 / 808
    assert sram_use([], 1000) == SramUse(0, 1000, 1000)
    assert SramUse(10, 0, 0).fragmentation == 0
