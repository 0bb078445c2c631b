"""The records behind every report: they add up, and they say what the program does."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.planner.options import options_from
from sim.machine.description import with_settings
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.order import QUEUE_NUMBER
from sim.machine.program import HostSegment, Program
from sim.simulator import simulate
from tests.conftest import ROOT
from tools.driver import compile_model
from tools.options import Planning
from tools.reports.compare import Study
from tools.reports.profile.graph import places
from tools.reports.profile.losses import LOSSES
from tools.reports.profile.memory import CONTENTS
from tools.reports.profile.records import Profile, profile, to_json
from tools.reports.profile.shown import shown
from tools.reports.profile.steps import FETCH, KINDS, STALLS, steps

MODELS = ROOT / "tests" / "data" / "models"
RESNET8 = MODELS / "resnet8_cifar10_int8.onnx"
FETCHED = with_settings("edge4k", ["instruction_memory.bytes=2048", "instruction_memory.fetch=256"])
"""A machine that holds no whole program of these models."""

MANY = {"stream": Planning(frames="stream", batch=1), "together": Planning(frames="stream", batch=4)}
"""Frames in a row, one by one and several in one text."""

PROGRAMS = [(path, limit) for path in sorted(MODELS.glob("*.onnx")) for limit in ("", "32KiB")]


@pytest.fixture(scope="module")
def resnet8() -> Profile:
    program, plan = Study(RESNET8).planned("edge4k")
    return profile(program, plan=str(plan))


@functools.cache
def programs(path: Path, limit: str) -> Program:
    return compile_model(path, options=Planning.of(options_from(sram_limit=limit or None)))


@functools.cache
def repeated(path: Path, how: str) -> Program:
    return compile_model(path, options=MANY[how])


@pytest.mark.parametrize(("path", "limit"), PROGRAMS, ids=lambda value: getattr(value, "stem", value))
def test_cycles_bytes_and_energy_add_up(path: Path, limit: str) -> None:
    made = profile(programs(path, limit))
    check_sums(made)
    s = made.statistics
    assert sum(len(layer.instructions) for layer in made.layers) == s.instructions
    assert (sum(layer.traffic["spill"] for layer in made.layers) > 0) == (limit != "" and "resnet8" in path.stem)


def check_sums(made: Profile) -> None:
    """What layers have adds up to what the run has."""
    s = made.statistics
    assert sum(layer.array_cycles for layer in made.layers) == pytest.approx(s.cycles)
    assert min(min(layer.losses.values()) for layer in made.layers) >= 0
    moved = s.dram_read_bytes + s.dram_write_bytes
    assert sum(sum(layer.traffic.values()) for layer in made.layers) == moved
    assert sum(layer.traffic["configuration"] for layer in made.layers) == s.configuration_bytes
    assert sum(layer.program_bytes for layer in made.layers) == s.program_bytes
    energy = {name: sum(layer.energy[name] for layer in made.layers) for name in ("array", "SRAM", "DRAM")}
    e = s.energy
    assert list(energy.values()) == pytest.approx([e.array_joules, e.sram_joules, e.dram_joules])
    assert sum(layer.statistics.macs for layer in made.layers) == s.macs
    assert sum(layer.traffic["program"] for layer in made.layers) == s.program_read_bytes


@pytest.mark.parametrize("how", MANY)
@pytest.mark.parametrize("path", dict.fromkeys(path for path, _ in PROGRAMS), ids=lambda path: path.stem)
def test_frames_in_a_row_are_those_of_their_rhythm(path: Path, how: str) -> None:
    """Numbers are those of a period; shown are the prologue and the frames up to the end of those that count."""
    program = repeated(path, how)
    made = profile(program)
    check_sums(made)
    s, ran, f = made.statistics, made.steps, made.statistics.frames
    assert f is not None
    assert ran.rhythm == s.cycles
    mine = ran.counted
    assert ran.end[mine].max() == ran.cycles
    assert ran.cycles - ran.start[mine].min() == f.latency_cycles
    assert s.batch == ran.period * program.batch == round(s.cycles / f.cycles_per_frame)
    assert set(ran.frame[~mine]) >= {-1, 0}
    assert sorted(set(ran.frame[mine])) == list(range(min(ran.frame[mine]), min(ran.frame[mine]) + ran.period))
    loads = (ran.frame < 0) & (ran.opcode == BY_NAME["load"].opcode)
    assert ran.dram_bytes[loads].sum() == f.resident_bytes
    assert len(made.layers[0].instructions) == sum(
        program.layers[number].name == made.layers[0].statistics.name
        for segment in program.segments
        if not isinstance(segment, HostSegment)
        for number in segment.layer_of.tolist()
    )


def test_what_stays_is_never_free_again() -> None:
    made = profile(repeated(RESNET8, "stream"))
    stay = [buffer for buffer in made.memory.buffers if buffer.stays]
    assert sum(buffer.bytes for buffer in stay if buffer.content in ("weights", "parameters")) > 70_000
    assert {buffer.end for buffer in stay} == {made.steps.cycles}
    come = [buffer for buffer in made.memory.buffers if not buffer.stays]
    for buffer in come:  # every frame has its own
        assert sum((other.address, other.bytes) == (buffer.address, buffer.bytes) for other in come) > 1
    once = profile(programs(RESNET8, ""))
    assert {edge for edge in made.memory.edges if max(edge) < len(made.layers)} == {
        edge for edge in once.memory.edges if max(edge) < len(once.layers)
    }


def test_instructions_that_are_fetched_have_their_place() -> None:
    made = profile(compile_model(RESNET8, FETCHED))
    check_sums(made)
    ran, stood = made.steps, made.stalls
    fetches = np.flatnonzero(ran.opcode == FETCH)
    assert len(fetches) > 3
    assert ran.dram_bytes[fetches].sum() == made.statistics.program_read_bytes > 0
    assert ran.channel[fetches].all()
    assert (ran.end[ran.cause[ran.cause >= 0]] <= ran.end.max()).all()
    assert (ran.start[ran.cause >= 0] >= ran.start[ran.cause[ran.cause >= 0]]).all()
    waited = stood.cause == STALLS.index("program")
    assert waited.any()
    assert set(stood.of[waited]) <= set(fetches)
    assert QUEUE_NUMBER["array"] in stood.queue[waited]


@pytest.mark.parametrize(("path", "limit"), PROGRAMS, ids=lambda value: getattr(value, "stem", value))
def test_a_queue_is_at_work_or_stands_still_for_a_cause(path: Path, limit: str) -> None:
    made = profile(programs(path, limit))
    ran, stood = made.steps, made.stalls
    for queue in range(len(QUEUES)):
        mine, waits = ran.queue == queue, stood.queue == queue
        spans = [*zip(ran.start[mine], ran.leave[mine], strict=True)]
        spans += [*zip(stood.start[waits], stood.end[waits], strict=True)]
        reached = 0
        for start, end in sorted(spans):
            assert start == reached or start in ran.begins
            reached = end
        if QUEUES[queue] == "array":
            assert reached == ran.cycles
    # while a queue waits, what it waits for is itself under way
    assert (ran.start[stood.of] <= stood.start).all()
    assert (stood.end <= ran.end[stood.of]).all()


def test_useful_work_is_the_utilisation(resnet8: Profile) -> None:
    direct = [layer for layer in resnet8.layers if layer.statistics.configuration.startswith("direct")]
    lanes = resnet8.machine.array.lanes
    assert direct
    for layer in direct:
        assert layer.losses["useful"] == pytest.approx(layer.statistics.macs / lanes)


@pytest.mark.parametrize(("path", "limit"), PROGRAMS, ids=lambda value: getattr(value, "stem", value))
def test_edges_are_those_of_the_model(path: Path, limit: str) -> None:
    """The program's instructions connect the layers that the model's own tensors connect."""
    made = profile(programs(path, limit))
    graph = onnx.load(path).graph
    layer_of = {node: number for number, layer in enumerate(made.layers) for node in layer.onnx}
    makers = {tensor: node for node in graph.node for tensor in node.output}
    wanted: set[tuple[int, int]] = set()

    def follow(reader: int, node: onnx.NodeProto) -> None:
        for tensor in node.input:
            if tensor in makers and (maker := layer_of.get(makers[tensor].name)) is None:
                follow(reader, makers[tensor])  # quantisers and the like belong to no layer
            elif tensor in makers and maker != reader:
                wanted.add((maker, reader))

    for node in graph.node:
        if node.name in layer_of:
            follow(layer_of[node.name], node)
    count = len(made.layers)
    assert {edge for edge in made.memory.edges if max(edge) < count} == wanted
    assert wanted
    assert {edge for edge in made.memory.edges if max(edge) >= count}


def test_the_table_of_buffers_holds_every_byte_that_is_touched() -> None:
    program = compile_model(RESNET8)
    ran = steps(program, shown(program.machine, simulate(program, {}, timing_only=True)))
    assert len(ran.buffers)
    assert (ran.buffers[:, 2] <= ran.buffers[:, 3]).all()
    assert ran.buffers[:, 3].max() < len(ran)


def test_sram(resnet8: Profile) -> None:
    kept = resnet8.memory
    assert {buffer.content for buffer in kept.buffers} <= set(CONTENTS)
    assert {"weights", "parameters", "input", "activation"} <= {buffer.content for buffer in kept.buffers}
    assert all(buffer.address + buffer.bytes <= resnet8.machine.sram.bytes for buffer in kept.buffers)
    use = kept.occupancy
    assert use.peak_bytes == max(use.taken) <= resnet8.machine.sram.bytes
    assert use.peak_from < use.peak_to
    assert use.taken[-1] == 0
    assert list(use.times) == sorted(set(use.times))


def test_a_program_without_a_table_of_buffers(adder: Program) -> None:
    made = profile(adder)
    assert made.memory.buffers == ()
    assert made.memory.occupancy.peak_bytes == 0
    assert made.layers[0].attained is None
    assert made.layers[0].plan == ()
    assert dict(made.layers[0].traffic) == dict.fromkeys(KINDS, 0) | {"input": 48, "output": 48}


def test_a_layer_knows_its_plan_and_its_instructions(resnet8: Profile) -> None:
    for layer in resnet8.layers:
        assert layer.plan[0].startswith(f"recon.layer @{layer.statistics.name} ")
        assert all(f"layer @{layer.statistics.name}" in line for line in layer.plan)
        assert len(layer.plan) > 1
        assert layer.instructions
        assert layer.onnx


def test_json(resnet8: Profile) -> None:
    text = json.dumps(to_json(resnet8), allow_nan=False)
    data = json.loads(text)
    assert list(data["losses"]) == list(LOSSES)
    assert len(data["layers"]) == len(resnet8.layers)
    assert json.dumps(to_json(resnet8)) == text
    n = len(resnet8.steps)
    assert all(len(data["steps"][name]) == n for name in ("taken", "leave", "layer", "queue", "critical"))


def test_a_model_for_the_host_alone_has_a_report() -> None:
    program = compile_model(ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx")
    hosts = tuple(segment for segment in program.segments if isinstance(segment, HostSegment))
    made = profile(dataclasses.replace(program, segments=hosts, layers=()))
    assert made.statistics.cycles == 0
    assert len(made.hosts) == len(hosts)


NUMBER = st.integers(0, 19)


@given(st.integers(0, 20), st.lists(st.tuples(NUMBER, NUMBER), max_size=25))
def test_places(nodes: int, pairs: list[tuple[int, int]]) -> None:
    edges = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1] and max(pair) < nodes}
    made = places(nodes, edges)
    assert sorted(made.row) == list(range(nodes))
    assert all(made.row[a] < made.row[b] for a, b in edges)
    for node in range(nodes):  # nothing stands in the lane of a tensor before its last reader
        last = max((made.row[b] for a, b in edges if a == node), default=made.row[node])
        between = [n for n in range(nodes) if made.row[node] < made.row[n] < last]
        assert all(made.lane[n] != made.lane[node] for n in between)


def test_places_survive_a_circle() -> None:
    assert sorted(places(3, [(0, 1), (1, 2), (2, 1)]).row) == [0, 1, 2]
    assert np.array(places(0, []).row).size == 0
