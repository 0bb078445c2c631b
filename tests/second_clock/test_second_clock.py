"""The second clock against the manual's examples and cases worked by hand, then the simulator's clock against it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sim.machine import clock as simulator_clock
from sim.machine import description as machine
from sim.machine import encoding, laws
from sim.machine.description import Configuration
from sim.machine.errors import Fault
from sim.machine.isa import VECTOR_OPS
from tests.conftest import ROOT
from tests.second_clock import clock
from tests.second_clock.__main__ import main, random_comparison
from tests.second_clock.clock import Record
from tests.second_clock.compare import compare, compare_frames, compare_program
from tests.second_clock.frames import random_frames
from tests.second_clock.laws import conv_cost, runs, transfer_cost
from tests.second_clock.random_programs import all_configurations, odd_machine, random_program

EDGE4K = machine.load("edge4k")
PEER4K = machine.load("peer4k")


# --- the manual's worked examples -----------------------------------------------------------------------------------

STEM = {"groups": 1, "outputs": 64, "inputs": 3, "fy": 7, "fx": 7, "sx": 2, "oy": 16, "ox": 112}
THREE = {"groups": 1, "outputs": 64, "inputs": 64, "fy": 3, "fx": 3, "sx": 1, "oy": 8, "ox": 56}
DEPTHWISE = {"groups": 512, "outputs": 1, "inputs": 1, "fy": 3, "fx": 3, "sx": 1, "oy": 14, "ox": 14}
CONNECTED = {"groups": 1, "outputs": 256, "inputs": 2048, "fy": 1, "fx": 1, "sx": 1, "oy": 1, "ox": 1}


@pytest.mark.parametrize(
    ("configuration", "fields", "expected"),
    [
        ("direct g1 k64 r16 p4", STEM, (10, 4480, 448, 5824, 652_800, 114_688, 10, 4512)),
        ("winograd g1 k64 r16 p4", THREE, (64, 1792, 28, 280, 72_192, 28_672, 64, 1824)),
        ("direct g512 k1 r1 p8", DEPTHWISE, (9, 225, 35, 266, 412_672, 100_352, 9, 838)),
        ("direct g1 k64 r64 p1", CONNECTED, (32, 128, 1, 1, 10_240, 256, 128, 160)),
    ],
)
def test_worked_convolutions(configuration: str, fields: dict[str, int], expected: tuple[int, ...]) -> None:
    cost = conv_cost(EDGE4K, Configuration.parse(configuration), {**fields, "dx": 1, "last": 1})
    found = (cost.steps, cost.mac, cost.segs, cost.cols, cost.bytes_in, cost.bytes_out, cost.words, cost.busy)
    assert found == expected


def test_worked_load() -> None:
    result = clock.run(EDGE4K, [("load", {"dram": 4096, "bytes": 28_672})])
    (load,) = result.timings
    assert (load.start, load.granted, load.taken, load.left, load.completion) == (0, 0, 0, 1644, 1724)
    assert (result.cycles, result.read_bytes, result.written_bytes) == (1724, 28_672, 0)


# --- cases worked by hand -------------------------------------------------------------------------------------------
# edge4k moves 17.448 bytes per cycle: a burst takes 4 cycles, five take 19. Latency 80, turn 20.


def times(records: list[Record], on: machine.Machine = EDGE4K) -> list[tuple[int, int | None, int | None, int]]:
    """(start, taken, left, completion) of every instruction; stepping and jumping agree."""
    result = clock.run(on, records)
    assert clock.run(on, records, jump=True).timings == result.timings
    return [(t.start, t.taken, t.left, t.completion) for t in result.timings]


def test_ties_go_to_the_load_and_readiness_orders_the_rest() -> None:
    burst = {"bytes": 64}
    assert times([("load", burst), ("load", burst), ("store", burst)]) == [
        (0, 0, 4, 84),
        (4, 48, 52, 132),  # ready when the first leaves, and the store was ready before it; then two turns
        (0, 24, 28, 108),
    ]


def test_a_tie_in_the_middle_goes_to_the_load() -> None:
    busy_19 = {"channels": 768}
    five = {"bytes": 320}
    assert times([("load", five), ("vector", busy_19), ("store", {**five, "wait.vector": 1}), ("load", five)]) == [
        (0, 0, 19, 99),
        (0, None, None, 19),
        (19, 58, 77, 157),
        (19, 19, 38, 118),
    ]


def test_an_idle_channel_turns_only_when_asked_and_keeps_to_readiness_meanwhile() -> None:
    records: list[Record] = [
        ("vector", {"channels": 16}),  # 17 cycles each
        ("vector", {"channels": 16}),
        ("store", {"bytes": 64, "wait.vector": 1}),
        ("load", {"bytes": 64, "wait.vector": 2}),
    ]
    assert times(records)[2:] == [(17, 37, 41, 121), (34, 61, 65, 145)]


def test_without_latency_and_turn() -> None:
    assert times([("load", {"bytes": 65}), ("store", {"bytes": 64, "wait.load": 1})], PEER4K) == [
        (0, 0, 8, 8),
        (8, 8, 12, 12),
    ]


def test_waits_see_completions_and_the_queue_sees_the_channel_free() -> None:
    records: list[Record] = [
        ("load", {"bytes": 64}),
        ("load", {"bytes": 64}),
        ("fill", {"outputs": 2, "inputs": 129, "wait.load": 1}),
        ("vector", {"channels": 1, "wait.load": 2, "wait.weights": 1}),
    ]
    assert times(records) == [(0, 0, 4, 84), (4, 4, 8, 88), (84, None, None, 102), (102, None, None, 119)]


def test_configurations_change_hands() -> None:
    small, large = Configuration("direct", 1, 1, 1, 1), Configuration("direct", 1, 64, 1, 64)
    conv = {"outputs": 64, "oy": 8, "ox": 8, "first": 1}
    records: list[Record] = [
        ("load_config", {"space": 1}),
        ("configure", {"wait.load": 1}),
        ("conv", conv),  # 64 outputs of 64 pixels, one after the other
        ("load_config", {"space": 1, "wait.array": 1}),
        ("configure", {"wait.load": 2}),
        ("conv", conv),  # at once
        ("configure", {}),
        ("conv", conv),
    ]
    spans = [(start, end) for start, _, _, end in _timed(records, {0: small, 3: large})]
    slow, fast = 32 + 64 * 64, 32 + 2  # the fast one reads 64 pixels of 16 bytes at 512
    assert slow == 4128
    begin = 128 + slow
    assert spans == [
        (0, 64),
        (64, 128),
        (128, begin),
        (128, 192),
        (begin, begin + 64),
        (begin + 64, begin + 64 + fast),
        (begin + 64 + fast, begin + 128 + fast),
        (begin + 128 + fast, begin + 128 + fast + slow),
    ]


def _timed(records: list[Record], brought: dict[int, Configuration]) -> list[tuple[int, int | None, int | None, int]]:
    result = clock.run(EDGE4K, records, brought)
    return [(t.start, t.taken, t.left, t.completion) for t in result.timings]


def test_an_image_from_dram_takes_the_channel_and_one_from_sram_follows_completed_loads() -> None:
    any_one = Configuration("direct", 1, 1, 1, 1)
    found = _timed(
        [("load_config", {"address": 64}), ("load_config", {"space": 1}), ("load", {"bytes": 64})],
        {0: any_one, 1: any_one},
    )
    assert found == [(0, 0, 940, 1020), (1020, None, None, 1084), (1084, 1084, 1088, 1168)]  # 16,384 / 17.448 = 939.02


@pytest.mark.parametrize(
    ("shape", "expected"),
    [  # address, bytes, count1, count2, stride1, stride2 -> runs, bursts
        ((0, 64, 1, 1, 0, 0), (1, 1)),
        ((63, 2, 1, 1, 0, 0), (1, 2)),
        ((0, 16, 4, 1, 16, 0), (1, 1)),  # the middle dimension merges
        ((0, 16, 4, 4, 16, 64), (1, 4)),  # both do
        ((0, 16, 4, 4, 16, 65), (4, 7)),  # rows at 0, 65, 130 and 195; all but the first straddle
        ((0, 16, 1, 4, 999, 16), (1, 1)),  # a dimension of one element merges whatever its stride
        ((0, 16, 4, 2, 32, 128), (8, 8)),  # one burst touched by two runs counts twice
        ((0, 16, 2, 2, 32, 48), (4, 4)),  # rows adjoin, but the dimension inside has gaps
        ((32, 64, 10, 1, 256, 0), (10, 20)),
        ((8, 4, 3, 1, 0, 0), (3, 3)),
    ],
)
def test_runs_and_bursts(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    names = ("dram", "bytes", "count1", "count2", "dram_stride1", "dram_stride2")
    cost = transfer_cost(EDGE4K, "load", dict(zip(names, shape, strict=True)))
    assert (len(list(runs(*shape))), cost.burst_bytes // 64) == expected
    assert cost.bytes == shape[1] * shape[2] * shape[3]


def test_runs_bind_a_fast_channel() -> None:
    fast = dataclasses.replace(EDGE4K, dram=dataclasses.replace(EDGE4K.dram, bytes_per_second=10**12))
    short = {"bytes": 1, "count1": 100, "dram_stride1": 64, "dram": 0, "count2": 1, "dram_stride2": 0}
    assert transfer_cost(fast, "load", short).cycles == 100
    assert transfer_cost(EDGE4K, "load", short).cycles == 367  # 6400 / 17.448 = 366.8


def test_waits_that_can_never_be_met_stop_both_models() -> None:
    records: list[Record] = [("load", {"wait.store": 1}), ("store", {"wait.load": 1})]
    with pytest.raises(clock.ClockError, match=r"never be met: instruction 0 .load., instruction 1 .store."):
        clock.run(EDGE4K, records)
    with pytest.raises(Fault):
        simulator_clock.run(EDGE4K, encoding.decode(encoding.encode(records)))


# --- the simulator's clock ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_closed_formulas_count_every_small_convolution(algorithm: str) -> None:
    """Row pieces and columns of the laws against their enumeration, for every small tile, block, kernel and stride."""
    kernels = [(fx, sx, dx) for fx in (1, 2, 3, 5) for sx in (1, 2, 3) for dx in (1, 2)]
    oy, ox = (grid.ravel() for grid in np.mgrid[1:8, 1:14])
    ones = {"groups": 1, "outputs": 1, "inputs": 1}
    for p in (1, 2, 4, 8, 16, 32):
        configuration = Configuration(algorithm, 1, 1, 1, p)
        for fx, sx, dx in kernels if algorithm == "direct" else [(3, 1, 1)]:
            fields = {**ones, "fy": 3, "fx": fx, "sx": sx, "dx": dx, "last": 1, "residual": 0}
            winograd = algorithm == "winograd"
            law = laws.conv(EDGE4K, winograd=winograd, g=1, k=1, r=1, p=p, **fields, oy=oy, ox=ox)
            costs = [
                conv_cost(EDGE4K, configuration, {**fields, "oy": y, "ox": x})
                for y, x in zip(oy.tolist(), ox.tolist(), strict=True)
            ]
            assert [cost.segs for cost in costs] == law.segments.tolist()
            assert [cost.cols for cost in costs] == law.columns.tolist()
            assert [cost.mac for cost in costs] == law.compute.tolist()
            assert [cost.busy for cost in costs] == law.busy.tolist()


def test_random_programs_draw_every_operation() -> None:
    records = [record for seed in range(10) for record in random_program(EDGE4K, seed).records]
    assert {fields["op"] for name, fields in records if name == "vector"} == set(range(len(VECTOR_OPS)))


@pytest.mark.parametrize("start", range(0, 60, 10))
def test_random_programs_agree_cycle_for_cycle(start: int) -> None:
    """Ten programs each, every fifth on a made-up machine; one in five is stepped through every cycle."""
    for number in range(start, start + 10):
        result = random_comparison(number, 150, jump=number % 5 != start // 10 % 5)
        assert result.disagreements == (), number
        assert result.instructions >= 150


@pytest.mark.parametrize("seed", range(24))
def test_programs_whose_text_is_fetched_agree_cycle_for_cycle(seed: int) -> None:
    """Small windows, so that pieces wait for those they replace; both stop where a wait reaches beyond the window."""
    base = EDGE4K if seed % 2 else odd_machine(EDGE4K, seed)
    fetch = (256, 300, 1024)[seed % 3]
    memory = dataclasses.replace(base.instruction_memory, fetch=fetch, bytes=fetch * (2 + seed % 7))
    small = dataclasses.replace(base, instruction_memory=memory)
    made = random_program(small, seed)
    try:
        clock.run(small, made.records, made.configurations, True, True)
    except clock.ClockError:
        with pytest.raises(Fault, match=r"^The program stands still: an instruction waits for one so far behind"):
            simulator_clock.run(small, encoding.decode(encoding.encode(made.records)), fetched=True)
        return
    result = compare(small, made.records, made.configurations, jump=True, fetched=True)
    assert result.disagreements == ()
    assert result.instructions >= 150


def test_stepping_and_jumping_agree() -> None:
    for name in machine.names():
        made = random_program(machine.load(name), 1000, 80)
        stepped = clock.run(made.machine, made.records, made.configurations)
        jumped = clock.run(made.machine, made.records, made.configurations, jump=True)
        assert stepped.timings == jumped.timings
        assert jumped.steps < stepped.steps == stepped.cycles + 1


def test_random_programs_hold_everything() -> None:
    """All kinds of instructions and operations, transfers in both spaces, both halves, reductions in several passes."""
    seen: set[tuple[str, str, int | float]] = set()
    used: set[Configuration] = set()
    for seed in range(8):
        made = random_program(EDGE4K, seed)
        used.update(made.configurations.values())
        for name, fields in made.records:
            for key in ("op", "space", "half", "first", "last", "algorithm"):
                if key in fields:
                    seen.add((name, key, fields[key]))
            seen.update((name, key, 1) for key in fields if key.startswith("wait."))
    for number in range(11):
        assert ("vector", "op", number) in seen
    for name, key in (("load_config", "space"), ("conv", "half"), ("conv", "first"), ("conv", "last"),
                      ("fill", "half"), ("fill", "algorithm")):  # fmt: skip
        assert {(name, key, 0), (name, key, 1)} <= seen
    for name, queue in clock.QUEUE_OF.items():
        assert {(name, f"wait.{other}", 1) for other in clock.QUEUES if other != queue} <= seen
    assert len(used) > 15
    assert len(all_configurations(EDGE4K)) > 2000


def test_a_wrong_clock_is_found() -> None:
    """The comparison can fail: one cycle more of anything in the second clock's machine shows."""
    made = random_program(EDGE4K, 5)
    result = compare(EDGE4K, made.records, made.configurations, jump=True)
    assert result.disagreements == ()
    for section, key in (("dram", "turn"), ("dram", "latency"), ("array", "conv_overhead"), ("configuration", "swap"),
                         ("streams", "fill_overhead"), ("streams", "vector_overhead")):  # fmt: skip
        part = getattr(EDGE4K, section)
        slower = dataclasses.replace(EDGE4K, **{section: dataclasses.replace(part, **{key: getattr(part, key) + 1})})
        theirs = simulator_clock.run(EDGE4K, encoding.decode(encoding.encode(made.records)))
        ours = clock.run(slower, made.records, made.configurations, jump=True)
        assert [t.completion for t in ours.timings] != theirs.end.tolist(), key


def test_made_up_machines_differ() -> None:
    assert odd_machine(EDGE4K, 1) != odd_machine(EDGE4K, 2)


def test_the_command_prints_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--programs", "2", "--seed", "3", "--instructions", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| 2 programs | 4")
    assert printed.endswith(" instructions | 0 disagreements |\n")


@pytest.mark.parametrize("name", ["dscnn_kws_int8", "resnet8_cifar10_int8"])
def test_compiled_models_agree(name: str, tmp_path: Path) -> None:
    from tools.driver import compile_model

    made = compile_model(ROOT / "tests" / "data" / "models" / f"{name}.onnx")
    path = tmp_path / "model.rbin"
    made.save(path)
    results = compare_program(path)
    assert [result.disagreements for result in results] == [()] * len(results)
    assert sum(result.instructions for result in results) > 10
    assert sum(result.cycles for result in results) == made.predicted_cycles


@pytest.mark.parametrize("seed", range(12))
def test_frames_in_a_row_agree_and_so_does_their_rhythm(seed: int) -> None:
    """Random texts that repeat, on odd machines: every instruction of nine frames, and the total of thirty."""
    made, frames = random_frames(odd_machine(EDGE4K, seed), seed)
    for count in (1, 3, 9, 30):
        found = compare_frames(made.machine, made.records, frames, count, made.configurations)
        assert not found.disagreements
