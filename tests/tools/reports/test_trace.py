"""recon run --trace, read back: balanced slices, flows that meet, counters in order, and the numbers of the run."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from sim.machine.description import with_settings
from sim.machine.isa import QUEUES
from sim.machine.program import Program
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.options import Planning
from tools.reports.profile.records import Profile, profile
from tools.reports.trace import FRAMES, HOST, WAITS, trace

MODELS = ROOT / "tests" / "data" / "models"


FETCHED = with_settings("edge4k", ["instruction_memory.bytes=2048", "instruction_memory.fetch=256"])
RUNS = {
    "once": ("mobilenetv1_vww_int8", "edge4k", Planning()),
    "fetched": ("resnet8_cifar10_int8", FETCHED, Planning()),
    "frames in a row": ("resnet8_cifar10_int8", "edge4k", Planning(frames="stream")),
}


@pytest.fixture(scope="module", params=RUNS)
def made(request: pytest.FixtureRequest) -> Profile:
    model, machine, planning = RUNS[request.param]
    return profile(compile_model(MODELS / f"{model}.onnx", machine, options=planning))


@pytest.fixture(scope="module")
def parsed(made: Profile) -> Any:
    read = Trace()
    read.ParseFromString(trace(made))
    return read


def tracks(parsed: Any) -> dict[int, str]:
    return {p.track_descriptor.uuid: p.track_descriptor.name for p in parsed.packet if p.HasField("track_descriptor")}


def events(parsed: Any) -> list[tuple[int, Any]]:
    return [(p.timestamp, p.track_event) for p in parsed.packet if p.HasField("track_event")]


def annotations(event: Any) -> dict[str, int | str]:
    return {
        note.name: note.int_value if note.HasField("int_value") else note.string_value
        for note in event.debug_annotations
    }


def test_tracks(made: Profile, parsed: Any) -> None:
    names = tracks(parsed)
    root = f"{made.statistics.model} on {made.machine.name}"
    frames = [FRAMES] if made.steps.period else []
    counters = ["SRAM taken", "DRAM bandwidth", "DRAM bytes moved", "MAC utilisation"]
    assert list(names.values()) == [root, *frames, "DRAM channel", *QUEUES, *counters, HOST]
    below = [p.track_descriptor for p in parsed.packet if p.HasField("track_descriptor")][1:]
    assert {track.parent_uuid for track in below} == {1}
    assert {event.track_uuid for _, event in events(parsed)} <= set(names)


def test_slices_are_balanced_and_time_goes_on(parsed: Any) -> None:
    names = tracks(parsed)
    open_slices: dict[str, list[tuple[int, str]]] = defaultdict(list)
    latest = 0
    for time, event in events(parsed):
        assert time >= latest
        latest = time
        stack = open_slices[names[event.track_uuid]]
        if event.type == TrackEvent.Type.TYPE_SLICE_BEGIN:
            assert len(stack) < 2
            stack.append((time, event.name))
        elif event.type == TrackEvent.Type.TYPE_SLICE_END:
            assert stack.pop()[0] <= time
    assert not any(open_slices.values())


def test_slices_are_the_instructions_and_the_waits(made: Profile, parsed: Any) -> None:
    begins = [event for _, event in events(parsed) if event.type == TrackEvent.Type.TYPE_SLICE_BEGIN]
    by_category = {kind: [e for e in begins if e.categories[0] == kind] for kind in ("instruction", "wait", "layer")}
    steps, stalls = made.steps, made.stalls
    busy = sum(annotations(event)["cycles"] for event in by_category["instruction"])
    queued = steps.queue >= 0
    assert busy == (steps.leave - steps.start)[queued].sum()
    assert len(by_category["instruction"]) == queued.sum()
    fetched = [event for event in begins if event.categories[0] == "program"]
    assert len(fetched) == (~queued).sum()
    assert len(by_category["wait"]) == len(stalls.start)
    assert sum(annotations(event)["cycles"] for event in by_category["wait"]) == (stalls.end - stalls.start).sum()
    assert {event.name for event in by_category["wait"]} <= set(WAITS.values())
    assert {event.name for event in by_category["layer"]} == {layer.statistics.name for layer in made.layers}


def test_flows_lead_from_what_was_waited_for(made: Profile, parsed: Any) -> None:
    begun: dict[int, tuple[int, Any]] = {}
    ended: dict[int, tuple[int, Any]] = {}
    for time, event in events(parsed):
        for flow in event.flow_ids:
            assert flow not in begun
            begun[flow] = time, event
        for flow in event.terminating_flow_ids:
            assert flow not in ended
            ended[flow] = time, event
    assert begun.keys() == ended.keys()
    assert begun
    for flow, (time, source) in begun.items():
        later, target = ended[flow]
        assert time <= later
        assert source.track_uuid != target.track_uuid


def test_counters(made: Profile, parsed: Any) -> None:
    names = tracks(parsed)
    values: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for time, event in events(parsed):
        if event.type == TrackEvent.Type.TYPE_COUNTER:
            exact = event.counter_value if event.HasField("counter_value") else event.double_counter_value
            values[names[event.track_uuid]].append((time, exact))
    for counter in values.values():
        assert [time for time, _ in counter] == sorted(time for time, _ in counter)
    s = made.statistics
    moved = [value for _, value in values["DRAM bytes moved"]]
    assert moved == sorted(moved)
    assert moved[-1] == made.steps.dram_bytes.sum()
    if not made.steps.period:
        assert moved[-1] == s.dram_read_bytes + s.dram_write_bytes
    assert max(value for _, value in values["SRAM taken"]) == made.memory.occupancy.peak_bytes
    assert max(value for _, value in values["DRAM bandwidth"]) <= made.machine.dram.bytes_per_second / 1e9
    assert 0 < max(value for _, value in values["MAC utilisation"]) <= 225
    kept = {"DRAM bytes moved"} | ({"SRAM taken"} if s.frames else set())
    assert all(counter[-1][1] == 0 for name, counter in values.items() if name not in kept)


def test_frames_in_a_row_say_which_they_are(made: Profile, parsed: Any) -> None:
    f, names = made.statistics.frames, tracks(parsed)
    begins = [e for _, e in events(parsed) if e.type == TrackEvent.Type.TYPE_SLICE_BEGIN]
    row = [event for event in begins if names[event.track_uuid] == FRAMES]
    instructions = [annotations(event) for event in begins if event.categories[0] == "instruction"]
    if f is None:
        assert row == []
        assert not any("frame" in about for about in instructions)
        return
    assert [event.name for event in row] == ["prologue and first frames", "frames in their rhythm"]
    assert annotations(row[1])["cycles"] == f.latency_cycles
    assert annotations(row[1])["frames per second"] == f"{f.frames_per_second:,.1f}"
    assert {about["frame"] for about in instructions} >= {"prologue", 0, 1}


def test_a_program_of_one_vector_instruction(adder: Program) -> None:
    read = Trace()
    read.ParseFromString(trace(profile(adder)))
    named = [event.name for _, event in events(read) if event.type == TrackEvent.Type.TYPE_SLICE_BEGIN]
    assert named.count("vector") == 1
    assert HOST not in tracks(read).values()


def test_command(recon: Tool, tmp_path: Path) -> None:
    program, written = tmp_path / "m.rbin", tmp_path / "run.pftrace"
    compile_model(MODELS / "resnet8_cifar10_int8.onnx").save(program)
    assert recon("run", program, "--timing-only", "-q", "--trace", written).code == 0
    read = Trace()
    read.ParseFromString(written.read_bytes())
    assert len(read.packet) > 100
