"""Whole programs: values from end to end, segments in order, timing without values, and the statistics' sums."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sim import simulator, statistics
from sim.machine import assembly
from sim.machine import program as programs
from sim.machine.clock import TERMS
from sim.machine.errors import ReconError
from sim.machine.isa import BY_NAME
from sim.machine.program import Bounds, HostSegment, LayerRow, Program, Region
from sim.simulator import Tensors
from tests.sim.support import EDGE, image, params, program

LAYERS = (
    LayerRow("input", "load", "", 0, 64, "", ()),
    LayerRow("conv", "conv2d", "4x4x4 -> 4x4x8", 512, 300, "direct g1 k8 r4 p1", ("Conv_0",)),
    LayerRow("unused", "none", "", 0, 0, "", ()),
    LayerRow("pool", "max_pool", "4x4x8 -> 2x2x8", 0, 160, "", ()),
)


def small() -> tuple[Program, Tensors, Tensors]:
    """A 1×1 convolution and a pool, with inputs and the outputs numpy expects."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-128, 128, (8, 4), dtype=np.int8)
    bias, scale = rng.integers(-500, 500, 8), rng.uniform(0.002, 0.01, 8).astype(np.float32)
    constants = np.concatenate([image("direct g1 k8 r4 p1"), weights.view(np.uint8).ravel(), params(bias, scale)])
    x = rng.integers(-128, 128, (4, 4, 4), dtype=np.int8)
    text = """
    load_config address=0
    load dram=0x80 sram=0 bytes=96
    load dram=0x1000 sram=0x100 bytes=64
    configure | wait load 1
    fill k=8 r=4 outputs=8 inputs=4 output_stride=4 | wait load 2
    conv outputs=8 inputs=4 first=1 last=1 oy=4 ox=4 in.base=0x100 in.row_stride=16 in.pixel_stride=4 params=0x20 \
lo=-128 hi=127 out.base=0x200 out.row_stride=32 out.pixel_stride=8 | wait load 3, weights 1
    store dram=0x2000 sram=0x200 bytes=128 | wait array 2
    vector op=max_pool oy=2 ox=2 channels=8 a.base=0x200 a.row_stride=32 a.pixel_stride=8 out.base=0x300 \
out.row_stride=16 out.pixel_stride=8 fy=2 fx=2 sy=2 sx=2 | wait array 2
    store dram=0x2080 sram=0x300 bytes=32 | wait vector 1
    """
    made = program(
        text,
        constants=constants,
        inputs=(Region("x", 0x1000, (4, 4, 4)),),
        outputs=(Region("y", 0x2000, (4, 4, 8)), Region("z", 0x2080, (2, 2, 8))),
        layers=LAYERS,
        layer_of=[1, 1, 0, 1, 1, 1, 1, 3, 3],
    )
    total = x.reshape(16, 4).astype(np.int64) @ weights.T.astype(np.int64) + bias
    y = np.clip(np.rint(total.astype(np.float32) * scale), -128, 127).astype(np.int8).reshape(4, 4, 8)
    z = y.reshape(2, 2, 2, 2, 8).max(axis=(1, 3))
    return dataclasses.replace(made, bounds=Bounds(10, 20, 20, 40)), {"x": x}, {"y": y, "z": z}


def test_a_program_computes_what_it_says() -> None:
    made, inputs, expected = small()
    steps: list[tuple[int, int]] = []
    run = simulator.simulate(made, inputs, sanitize=True, progress=lambda done, total: steps.append((done, total)))
    for name, tensor in expected.items():
        np.testing.assert_array_equal(run.tensors[name], tensor)
    assert steps == [(9, 9)]
    again = simulator.simulate(programs.from_bytes(made.to_bytes()), inputs)
    np.testing.assert_array_equal(again.tensors["z"], expected["z"])
    assert again.cycles == run.cycles


def test_timing_needs_no_values_and_gives_the_same_clock() -> None:
    made, inputs, _ = small()
    timed, run = simulator.simulate(made, {}, timing_only=True), simulator.simulate(made, inputs)
    assert timed.tensors == {}
    np.testing.assert_array_equal(timed.segments[0].timeline.end, run.segments[0].timeline.end)


def test_segments_pass_tensors_by_name_and_the_host_runs_its_own() -> None:
    made, inputs, expected = small()
    host = HostSegment("softmax", b"", ("Softmax",), ("z",), ("x",))
    twice = dataclasses.replace(made, segments=(made.segments[0], host, made.segments[0]))
    seen: list[Tensors] = []

    def run_host(segment: HostSegment, tensors: Tensors) -> Tensors:
        assert segment is host
        seen.append(dict(tensors))
        return {"x": np.zeros((4, 4, 4), np.int8)}

    run = simulator.simulate(twice, inputs, host=run_host)
    np.testing.assert_array_equal(seen[0]["z"], expected["z"])
    zeros = simulator.simulate(made, {"x": np.zeros((4, 4, 4), np.int8)})
    np.testing.assert_array_equal(run.tensors["z"], zeros.tensors["z"])
    assert run.cycles == 2 * zeros.cycles
    with pytest.raises(ReconError) as error:
        simulator.simulate(twice, inputs)
    assert str(error.value) == "Segment 'softmax' runs on the host (Softmax), and this run was given no host."
    result = statistics.collect(twice, simulator.simulate(twice, {}, timing_only=True))
    assert (result.host_ops, result.host_operators) == (1, ("Softmax",))
    assert result.cycles == run.cycles == sum(layer.cycles for layer in result.layers)
    assert result.layers[3].end == result.cycles


def test_statistics_add_up() -> None:
    made, inputs, _ = small()
    run = simulator.simulate(made, inputs)
    result = statistics.collect(made, run)
    assert result.cycles == run.cycles == sum(layer.cycles for layer in result.layers)
    for layer in result.layers:
        assert sum(layer.terms.values()) == layer.cycles
        assert tuple(layer.terms) == TERMS
    assert result.dram_read_bytes == 128 + 96 + 64 == sum(layer.dram_read_bytes for layer in result.layers)
    assert result.dram_write_bytes == 128 + 32 == sum(layer.dram_write_bytes for layer in result.layers)
    assert result.dram_burst_bytes == 64 * (2 + 2 + 1 + 2 + 1)
    assert result.configuration_bytes == 128
    assert result.reconfigurations == 1
    assert result.program_bytes == made.code_bytes
    assert result.instructions == 9
    assert (result.bound_cycles, result.bound2_cycles) == (20, 40)
    assert result.cycles_per_bound == result.cycles / 20
    assert result.macs == 512
    assert result.utilization == 512 / (256 * result.cycles)
    assert result.seconds == result.cycles / 1e9
    conv, unused, pool = result.layers[1:]
    assert (conv.name, conv.op, conv.shape) == ("conv", "conv2d", "4x4x4 -> 4x4x8")
    assert conv.array_busy == 32 + 16
    assert conv.ops_per_byte == 2 * 512 / (128 + 96 + 128)
    assert (unused.start, unused.end, unused.cycles, unused.limited_by) == (None, None, 0, "hidden")
    assert unused.ops_per_byte is None
    assert pool.vector_busy == 16 + 1
    assert pool.end == result.cycles
    assert result.energy.total_joules == pytest.approx(
        result.energy.array_joules + result.energy.sram_joules + result.energy.dram_joules
    )
    assert result.energy.dram_joules == pytest.approx(result.dram_burst_bytes * 64_000e-15)
    assert json.loads(json.dumps(result.to_json()))["layers"][1]["macs"] == 512


def test_the_schema_names_every_entry() -> None:
    made, inputs, _ = small()
    data = statistics.collect(made, simulator.simulate(made, inputs)).to_json()
    names = [key for key, _, _ in statistics.schema_rows()]
    assert [key for key in names if "." not in key] == list(data)
    assert [key.removeprefix("layers[].") for key in names if key.startswith("layers[].")] == list(data["layers"][0])
    assert all(meaning and not meaning.endswith(".") for _, _, meaning in statistics.schema_rows())


def test_a_program_without_instructions_runs() -> None:
    made = program("", layers=LAYERS, layer_of=[])
    result = statistics.collect(made, simulator.simulate(made, {}, sanitize=True))
    assert (result.cycles, result.frames_per_second, result.utilization) == (0, None, None)


def test_timing_a_long_program_is_quick() -> None:
    """Two thousand instructions with waits, well under the budget of 0.3 s."""
    lines = ["load bytes=64", "fill outputs=16 inputs=64 k=64 r=16 p=4 output_stride=64 | wait load 1"]
    for number in range(500):
        lines += [
            f"load dram={64 * number:#x} sram=0x10000 bytes=448 count2=56 dram_stride2=500 sram_stride2=448 | wait "
            f"store {max(0, number - 2)}",
            f"conv outputs=16 inputs=64 oy=8 ox=56 first=1 | wait load {number + 2}, weights 1",
            f"vector op=add oy=8 ox=56 channels=64 | wait array {number + 1}",
            f"store bytes=512 count2=8 dram_stride2=600 sram_stride2=512 | wait vector {number + 1}",
        ]
    made = program("\n".join(lines), target=EDGE)
    begin = time.process_time()
    run = simulator.simulate(made, {}, timing_only=True)
    assert time.process_time() - begin < 0.6
    stream = run.segments[0].stream
    assert len(stream.indices(BY_NAME["conv"].opcode)) == 500
    assert len(assembly.disassemble(stream)) == len(lines)


def test_matrix_products_run_on_one_thread_while_a_program_runs_and_as_before_afterwards() -> None:
    made, inputs, _ = small()
    during: set[int] = set()

    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        simulator.simulate(made, inputs, observer=lambda *_: during.update(threads()))
        assert (during, threads()) == ({1}, before) == ({1}, {2})
