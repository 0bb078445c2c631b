"""The clock on programs small enough to time by hand.

The small machine moves 64 bytes per cycle (a load of n bursts holds the channel n cycles), has latency 10 and turn 5; a
vector ``copy`` of one pixel of up to 256 channels takes 16 + 1 cycles, a configure 64, an image (two bursts) 2.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.machine import assembly, clock, encoding, laws, order, steady
from sim.machine.clock import TERMS, Timeline
from sim.machine.description import Machine
from sim.machine.errors import Fault
from sim.machine.frames import Frames
from sim.machine.isa import BY_NAME, QUEUES
from tests.sim.support import SMALL, changed


def timed(text: str, target: Machine = SMALL) -> Timeline:
    """The timeline of a program in text."""
    return clock.run(target, encoding.decode(encoding.encode(assembly.assemble(text))))


def spans(text: str, target: Machine = SMALL) -> list[tuple[int, int, int]]:
    """(start, leave, end) of every instruction."""
    line = timed(text, target)
    return list(zip(line.start.tolist(), line.leave.tolist(), line.end.tolist(), strict=True))


def test_an_empty_program_takes_no_time() -> None:
    line = timed("")
    assert line.cycles == 0
    assert line.critical() == []


def test_the_next_transfer_goes_when_the_channel_is_free_and_completion_is_one_latency_later() -> None:
    assert spans("load bytes=256\nload bytes=64") == [(0, 4, 14), (4, 5, 15)]


def test_a_burst_touched_in_part_counts_whole() -> None:
    assert spans("load dram=63 bytes=2") == [(0, 2, 12)]


def test_a_turn_is_paid_when_the_direction_changes() -> None:
    """The channel starts in read direction, so a first store pays too; a tie goes to the load."""
    assert spans("store bytes=64") == [(0, 6, 16)]
    assert spans("store bytes=64\nload bytes=128") == [(2, 8, 18), (0, 2, 12)]
    assert spans("load bytes=64\nstore bytes=64\nload bytes=64 | wait store 1") == [
        (0, 1, 11),
        (1, 7, 17),
        (17, 23, 33),
    ]


def test_the_channel_goes_to_the_transfer_that_was_ready_first() -> None:
    """Load 1 is ready at 100, when load 0 leaves; the store since 17: it goes first, and the load pays a turn too."""
    text = """
    load bytes=6400
    vector channels=1 | wait load 0
    store bytes=64 | wait vector 1
    load bytes=64
    """
    assert spans(text) == [(0, 100, 110), (0, 17, 17), (100, 106, 116), (106, 112, 122)]


def test_a_store_that_depends_on_a_later_load_does_not_hold_it_up() -> None:
    text = """
    load bytes=64
    load bytes=64
    vector channels=1 | wait load 2
    store bytes=64 | wait vector 1
    load bytes=64
    """
    assert spans(text) == [(0, 1, 11), (1, 2, 12), (12, 29, 29), (29, 35, 45), (2, 3, 13)]


def test_waits_count_completions_not_departures() -> None:
    assert spans("load bytes=64\nvector channels=1 | wait load 1") == [(0, 1, 11), (11, 28, 28)]


def test_engines_are_in_order_and_independent_of_one_another() -> None:
    text = """
    vector channels=256
    vector channels=257
    configure
    configure | wait vector 2
    """
    assert spans(text) == [(0, 17, 17), (17, 35, 35), (0, 64, 64), (64, 128, 128)]


def test_an_image_from_sram_takes_no_channel_but_waits_for_the_loads_before_it() -> None:
    assert spans("load bytes=64\nload_config space=1\nload bytes=64") == [(0, 1, 11), (11, 75, 75), (75, 76, 86)]
    assert spans("load_config\nload bytes=64") == [(0, 2, 12), (2, 3, 13)]


def test_latency_and_turn_can_be_nothing() -> None:
    free = changed(SMALL, dram={"latency": 0, "turn": 0})
    assert spans("store bytes=64\nload bytes=128", free) == [(2, 3, 3), (0, 2, 2)]


def test_a_conv_takes_the_layout_its_half_was_filled_for_last() -> None:
    """Four output channels of 16 inputs: one k-block in 'k4 r16', four in 'k1 r16'."""
    fill = "fill outputs=4 inputs=16 r=16"
    conv = "conv outputs=4 inputs=16 oy=4 ox=64 first=1 last=0"
    line = timed(
        f"{fill} k=4\n{fill} k=1 half=1\n{conv}\n{conv} half=1\n{fill} k=1 | wait array 2\n{conv} | wait weights 3"
    )
    busy = [
        int(
            laws.conv(
                SMALL,
                winograd=False,
                g=1,
                k=k,
                r=16,
                p=1,
                groups=1,
                outputs=4,
                inputs=16,
                fy=1,
                fx=1,
                sx=1,
                dx=1,
                oy=4,
                ox=64,
                last=0,
                residual=0,
            ).busy
        )
        for k in (4, 1)
    ]
    assert busy == [32 + 256, 32 + 1024]
    assert line.costs.busy.tolist() == [17, 17, busy[0], busy[1], 17, busy[1]]
    assert [TERMS[term] for term in line.costs.term] == [
        "weights",
        "weights",
        "compute",
        "compute",
        "weights",
        "compute",
    ]


def test_a_conv_without_a_filled_half_has_no_time() -> None:
    with pytest.raises(Fault) as fault:
        timed("fill half=1\nconv first=1")
    assert str(fault.value) == (
        "Instruction 1 (conv first=1) stops the machine: half 0 of L1 is empty; a fill must come before."
    )


def test_a_wait_that_can_never_be_met_is_a_fault_that_names_who_stands_still() -> None:
    with pytest.raises(Fault) as fault:
        timed("load bytes=64 | wait store 1\nstore bytes=64 | wait load 1\nvector channels=1")
    assert str(fault.value) == (
        "A wait can never be met: instruction 0 (load bytes=64 | wait store 1) waits until queue store has completed "
        "1, and it stays at 0; instruction 1 (store bytes=64 | wait load 1) waits until queue load has completed 1, "
        "and it stays at 0."
    )
    with pytest.raises(Fault) as fault:
        timed("vector channels=1 | wait load 2\nload bytes=64")
    assert str(fault.value) == (
        "A wait can never be met: instruction 0 (vector op=copy | wait load 2) waits until queue load has completed 2, "
        "and its program has 1."
    )


def test_the_text_may_name_an_instruction_before_one_it_waits_for() -> None:
    assert spans("vector channels=1 | wait load 1\nload bytes=64") == [(11, 28, 28), (0, 1, 11)]
    stream = encoding.decode(encoding.encode(assembly.assemble("vector channels=1 | wait load 1\nload bytes=64")))
    assert order.order(stream).linear.tolist() == [1, 0]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Random programs that cannot deadlock: every wait is for instructions that stand before."""
    counts = dict.fromkeys(QUEUES, 0)
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 25))):
        name = draw(st.sampled_from(["load", "store", "load_config", "configure", "fill", "vector"]))
        size = draw(st.integers(1, 9000))
        fields = {
            "load": f" bytes={size}",
            "store": f" bytes={size}",
            "load_config": f" space={size % 2}",
            "configure": "",
            "fill": "",
            "vector": f" channels={size}",
        }[name]
        queue = BY_NAME[name].queue
        waits = [
            f"{other} {draw(st.integers(0, counts[other]))}"
            for other in QUEUES
            if other != queue and draw(st.booleans())
        ]
        lines.append(name + fields + (" | wait " + ", ".join(waits) if waits else ""))
        counts[queue] += 1
    return "\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(programs())
def test_every_cycle_is_charged_exactly_once(text: str) -> None:
    line = timed(text)
    chain = line.critical()
    assert chain[0][1] == 0
    assert chain[-1][2] == line.cycles
    assert all(before[2] == after[1] for before, after in itertools.pairwise(chain))
    layer_of = (np.arange(len(line.end)) % 3).astype(np.uint32)
    shares = clock.attribute(line, layer_of, 3)
    assert int(shares.sum()) == line.cycles
    assert (shares >= 0).all()


@settings(max_examples=150, deadline=None)
@given(programs())
def test_the_laws_hold_on_every_timeline(text: str) -> None:
    """Waits met, queues in order, the channel never shared, turns paid, nothing started later than it could have."""
    stream = encoding.decode(encoding.encode(assembly.assemble(text)))
    queues, line = order.order(stream), timed(text)
    transfers = sorted(np.flatnonzero(line.costs.channel).tolist(), key=lambda index: int(line.taken[index]))
    ready = np.zeros(len(stream), np.int64)
    for index in range(len(stream)):
        queue, position = int(queues.queue[index]), int(queues.position[index])
        times = [0]
        if position:
            before = int(queues.members[queue][position - 1])
            sram_image = QUEUES[queue] == "load" and not line.costs.channel[index]
            times.append(int(line.end[before] if sram_image else line.leave[before]))
            assert line.end[before] <= line.end[index]
        times += [int(line.end[queues.members[q][need - 1]]) for q, need in enumerate(queues.waits[index]) if need]
        ready[index] = max(times)
        if index not in transfers:
            assert line.start[index] == ready[index]
            assert line.end[index] == line.start[index] + line.costs.busy[index]
    free, direction = 0, "load"
    for place, index in enumerate(transfers):
        queue = QUEUES[int(queues.queue[index])]
        assert line.start[index] == max(free, ready[index])
        assert line.taken[index] == line.start[index] + (5 if queue != direction else 0)
        assert line.leave[index] == line.taken[index] + line.costs.busy[index]
        assert line.end[index] == line.leave[index] + 10
        for later in transfers[place + 1 :]:
            assert (ready[index], queue != "load") <= (ready[later], QUEUES[int(queues.queue[later])] != "load")
        free, direction = int(line.leave[index]), queue


def test_some_instructions_of_a_timeline() -> None:
    """Every column of some instructions, costs among them, is theirs in the whole."""
    line = timed("load bytes=256\nstore bytes=64\nvector op=copy channels=16 ra=1.0 | wait load 1")
    for which in (np.array([True, False, True]), np.array([2, 1])):
        part = line.only(which)
        for name in ("start", "taken", "leave", "end", "cause", "by_leave"):
            assert getattr(part, name).tolist() == getattr(line, name)[which].tolist()
        for name in clock.Costs.__dataclass_fields__:
            assert getattr(part.costs, name).tolist() == getattr(line.costs, name)[which].tolist()


def test_frames_without_a_rhythm() -> None:
    """A load that nobody waits for goes every 4 cycles, the vector unit every 17: they never repeat."""
    stream = encoding.decode(encoding.encode(assembly.assemble("load bytes=256\nvector op=copy channels=16 ra=1.0")))
    with pytest.raises(Fault) as caught:
        steady.steady(SMALL, stream, Frames(0, 1 << 20, 64))
    assert str(caught.value) == (
        f"The frames of this program find no rhythm within {steady.TRIED[-1]}: something in it runs ahead of all that "
        "could hold it."
    )
