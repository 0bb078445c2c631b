"""What stands in a program file: constants, regions, layers, segments, bounds."""

from __future__ import annotations

import hashlib
import random
import struct
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backend.bounds import Work, bounds, certify
from backend.emit import PRODUCER, emit
from dialects.meaning import tile as tile_meaning
from passes.tile.elide_configuration import ElideConfigurationPass
from sim.machine.certificate import Certificate
from sim.machine.configuration_image import decode as decode_image
from sim.machine.description import load
from sim.machine.encoding import decode
from sim.machine.errors import ReconError
from sim.machine.program import HostSegment, MachineSegment, Port, from_bytes
from tests.passes.tile_to_accel.support import FUSED, context, lower, parse, random_inputs, run

MACHINE = load("edge4k")

SEGMENTS = """
builtin.module attributes {"recon.model" = "two", "recon.notes" = ["a note"]} {
  func.func @main(%a: tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xi8> attributes {inputs = ["picture"], outputs = ["codes"]} {
    %q = cnn.host %a {
    ^bb0(%b: tensor<1x4x4x16xf32>):
      %s = onnx.constant <f32, [0.5]> : tensor<f32>
      %z = onnx.constant <i8, [3]> : tensor<i8>
      %c = onnx.node "QuantizeLinear"(%b, %s, %z) : (tensor<1x4x4x16xf32>, tensor<f32>, tensor<i8>) -> tensor<1x4x4x16xi8>
      cnn.yield %c : tensor<1x4x4x16xi8>
    } layer "entry" : (tensor<1x4x4x16xf32>) -> !cnn.tensor<1x4x4x16, scale 0.5, zero 3>
    %y = recon.call @twice(%q) : (!cnn.tensor<1x4x4x16, scale 0.5, zero 3>) -> !cnn.tensor<1x4x4x16, scale 0.5, zero 3>
    %o = cnn.host %y {
    ^bb1(%d: tensor<1x4x4x16xi8>):
      %e = onnx.node "Identity"(%d) : (tensor<1x4x4x16xi8>) -> tensor<1x4x4x16xi8>
      cnn.yield %e : tensor<1x4x4x16xi8>
    } : (!cnn.tensor<1x4x4x16, scale 0.5, zero 3>) -> tensor<1x4x4x16xi8>
    func.return %o : tensor<1x4x4x16xi8>
  }
  tile.schedule @twice machine "edge4k" (%in: !tile.dram<4x4x16xi8>) -> (%out: !tile.dram<4x4x16xi8>) {
    %x = tile.alloc : !tile.sram<4x4x16xi8>
    %y = tile.alloc : !tile.sram<4x4x16xi8>
    tile.load %x[0, 0, 0] [4, 4, 16] from %in[0, 0, 0]
    tile.vector add %y[0, 0, 0] [4, 4, 16] = %x[0], %x[0] law <floats 1.0 1.0 -3.0 0.0 0.0 0.0 zeros 0 0 0 clamp -128 127 size 0>
    tile.store %out[0, 0, 0] [4, 4, 16] from %y[0, 0, 0]
  }
}
"""  # noqa: E501


def test_the_example() -> None:
    module = parse(FUSED.read_text())
    program = emit(lower(module))
    assert program.producer == PRODUCER
    assert program.model == "fused"
    assert program.inputs == (Port("in", "int8", (28, 28, 16)),)
    assert program.outputs == (Port("out", "int8", (28, 28, 16)),)
    assert [layer.name for layer in program.layers] == ["c1", "c2", "c3"]
    first = program.layers[0]
    assert (first.op, first.macs, first.compulsory_bytes, first.configuration, first.onnx) == (
        "conv2d",
        1721344,
        27520,
        "winograd g1 k16 r16 p16",
        ("Conv_3", "Relu_4"),
    )
    (segment,) = program.segments
    assert isinstance(segment, MachineSegment)
    assert len(segment.layer_of) == len(decode(segment.code))
    assert set(segment.layer_of.tolist()) == {0, 1, 2}
    assert all(region.address >= len(program.constants) for region in (*segment.inputs, *segment.outputs))
    assert program.dram_bytes == max(r.address + r.bytes for r in (*segment.inputs, *segment.outputs))


def test_constants_come_first_and_once() -> None:
    text = FUSED.read_text().replace("seed 2>", "seed 1>")
    program = emit(lower(parse(text)))
    stream = decode(program.segments[0].code)  # pyright: ignore[reportAttributeAccessIssue]
    loads = [fields for name, fields in stream.records() if name == "load" and fields["bytes"] == 2304]
    assert len({fields["dram"] for fields in loads}) == 1
    start = int(loads[0]["dram"])
    import random

    assert program.constants[start : start + 2304].tobytes() == random.Random(1).randbytes(2304)
    images = [int(fields["address"]) for name, fields in stream.records() if name == "load_config"]
    held = [decode_image(program.constants[at : at + 16384].tobytes()) for at in images]
    assert [str(configuration) for configuration in held] == ["winograd g1 k16 r16 p16", "direct g1 k16 r16 p16"]
    assert all(at % 64 == 0 for at in (start, *images))


def test_equal_plans_give_equal_bytes() -> None:
    made = [emit(lower(parse(FUSED.read_text()))).to_bytes() for _ in range(2)]
    assert made[0] == made[1]
    assert hashlib.sha256(from_bytes(made[0]).to_bytes()).digest() == hashlib.sha256(made[0]).digest()


def test_segments_around_a_plan() -> None:
    module = parse(SEGMENTS)
    inputs = {"picture": np.linspace(-9, 9, 256, dtype=np.float32).reshape(1, 4, 4, 16)}
    expected = tile_meaning.evaluate(module.clone(), inputs)["codes"]
    program = emit(lower(module))
    assert (program.model, program.notes) == ("two", ("a note",))
    assert program.inputs == (Port("picture", "float32", (1, 4, 4, 16)),)
    assert program.outputs == (Port("codes", "int8", (1, 4, 4, 16)),)
    before, machine, after = program.segments
    assert isinstance(before, HostSegment)
    assert isinstance(machine, MachineSegment)
    assert isinstance(after, HostSegment)
    assert (before.name, before.operators, before.inputs, before.outputs) == (
        "entry",
        ("QuantizeLinear",),
        ("picture",),
        ("q",),
    )
    assert [(r.name, r.shape) for r in (*machine.inputs, *machine.outputs)] == [
        ("q", (1, 4, 4, 16)),
        ("y", (1, 4, 4, 16)),
    ]
    assert (after.inputs, after.outputs) == (("y",), ("codes",))
    onnx.checker.check_model(onnx.ModelProto.FromString(before.model))
    codes = np.clip(np.rint(inputs["picture"] / np.float32(0.5)) + 3, -128, 127).astype(np.int8)
    bare = from_bytes(program.to_bytes())
    import dataclasses

    alone = dataclasses.replace(bare, segments=(machine,))
    assert (run(alone, {"q": codes}).tensors["y"] == expected).all()


def test_calls_that_do_not_fit() -> None:
    for before, after, text in (
        ("@twice(%q)", "@thrice(%q)", "its segment @thrice is not defined"),
        (
            "%in: !tile.dram<4x4x16xi8>",
            "%in: !tile.dram<5x4x16xi8>",
            "The module: recon.call %y: @twice takes 320 bytes, and the call has 256.",
        ),
    ):
        broken = SEGMENTS.replace(before, after)
        with pytest.raises(ReconError) as caught:
            emit(lower(parse(broken)))
        assert text in str(caught.value)


def test_an_input_that_is_also_an_output_is_copied_on_the_host() -> None:
    text = """
    builtin.module {
      func.func @main(%a: tensor<2xi8>) -> (tensor<2xi8>, tensor<2xi8>) attributes {inputs = ["a"], outputs = ["b", "c"]} {
        func.return %a, %a : tensor<2xi8>, tensor<2xi8>
      }
      accel.program @unused machine "edge4k" {
        %0 = accel.configure
      }
    }"""  # noqa: E501
    program = emit(parse(text))
    (segment,) = program.segments
    assert isinstance(segment, HostSegment)
    assert (segment.inputs, segment.outputs) == (("a",), ("b", "c"))
    from dialects.host import run_onnx

    made = run_onnx(segment.model, {"a": np.array([1, -2], np.int8)})
    assert {name: value.tolist() for name, value in made.items()} == {"b": [1, -2], "c": [1, -2]}


def works(compute: list[int], weights: list[int]) -> list[Work]:
    return [Work("", cycles, cycles, 0, size) for cycles, size in zip(compute, weights, strict=True)]


def test_bounds() -> None:
    rate = MACHINE.dram_rate
    assert rate == Fraction(17_064_000_000 * 954, 1000 * 933_000_000)
    found = bounds(works([100, 200, 50], [1 << 20, 30 << 20, 1 << 20]), Certificate(input_bytes=4096), MACHINE)
    assert found.compute == 350
    dram = -(-((32 << 20) + 4096) * rate.denominator // rate.numerator)
    assert found.dram == found.bound == dram
    excess = (32 << 20) - MACHINE.sram.bytes
    assert found.bound2 >= max(dram, -(-excess * rate.denominator // rate.numerator))
    busy = bounds(works([10**9, 200], [64, 64]), Certificate(input_bytes=64), MACHINE)
    assert busy.bound == busy.bound2 == busy.compute == 10**9 + 200
    assert bounds([], Certificate(), MACHINE).bound == 0


@pytest.mark.parametrize("seed", range(20))
def test_bound2_is_the_worst_of_all_pairs_of_layers(seed: int) -> None:
    """Computing before the first, the bytes from the first to the last that SRAM cannot hold, computing behind."""
    dice, rate, held = random.Random(seed), MACHINE.dram_rate, MACHINE.sram.bytes
    count = dice.randrange(1, 9)
    compute = [dice.choice((0, 10**3, 10**6, 10**7)) for _ in range(count)]
    weights = [dice.choice((0, held // 3, held - 1, held, 2 * held)) for _ in range(count)]
    worst = sum(compute)
    for first in range(count):
        for last in range(first, count):
            excess = max(0, sum(weights[first : last + 1]) - held)
            transfer = -(-excess * rate.denominator // rate.numerator)
            worst = max(worst, sum(compute[:first]) + transfer + sum(compute[last + 1 :]))
    found = bounds(works(compute, weights), Certificate(input_bytes=4096, output_bytes=64), MACHINE)
    assert found.dram == -(-(sum(weights) + 4096 + 64) * rate.denominator // rate.numerator)
    assert found.bound == max(sum(compute), found.dram)
    assert found.bound2 == max(found.bound, worst)


def test_the_certificate_weighs_images_against_cycles() -> None:
    """A second image costs 939 cycles of the channel and a swap; it is loaded where one configuration costs more."""
    layers = works([100, 100], [64, 64])
    one = certify(layers, (700, 200, 200), 64, 64, MACHINE)
    assert (one.limit, one.images) == ("array", 1)
    assert one.terms == (("first image", 940 + 80), ("swaps", 64), ("array", 700), ("last result", 81))
    two = certify(layers, (9_000, 200, 200), 64, 64, MACHINE)
    assert (two.limit, two.images) == ("channel", 2)
    assert two.terms == (("bytes", 1_890), ("latency", 80), ("last instruction", 33), ("last result", 81))
    order = certify(works([2_000_000, 100], [64, 30 << 20]), (2_000_100,) * 3, 64, 64, MACHINE)
    assert (order.limit, order.window, order.terms[0]) == ("order", (1, 1), ("array before", 2_000_000))
    assert [each.cycles for each in (one, two)] == [1_865, 2_084]


def test_elided_programs_are_smaller() -> None:
    text = FUSED.read_text().replace("direct g1 k16 r16 p16", "winograd g1 k16 r16 p16").replace("1x1x16", "3x3x16")
    text = text.replace("[16, 1, 1, 16]", "[16, 3, 3, 16]").replace("[4, 1, 1, 16]", "[4, 3, 3, 16]")
    text = text.replace("window <1x1>", "window <3x3 pad 1 1 1 1>")
    plain, fewer = parse(text), parse(text)
    ElideConfigurationPass().apply(context(), fewer)
    a, b = emit(lower(plain)), emit(lower(fewer))
    assert a.code_bytes > b.code_bytes
    inputs = random_inputs(a)
    np.testing.assert_array_equal(run(a, inputs).tensors["out"], run(b, inputs).tensors["out"])


def test_float_bits_survive() -> None:
    """The law's floats reach the instruction bit for bit."""
    text = SEGMENTS.replace("floats 1.0 1.0 -3.0", "floats 0.1 3.4028235e+38 -0.0")
    program = emit(lower(parse(text)))
    machine = next(s for s in program.segments if isinstance(s, MachineSegment))
    fields = next(fields for name, fields in decode(machine.code).records() if name == "vector")
    bits = [struct.pack("<f", fields[name]).hex() for name in ("ra", "rb", "fix")]
    assert bits == ["cdcccc3d", "ffff7f7f", "00000080"]
    assert numpy_helper.to_array(helper.make_tensor("t", TensorProto.FLOAT, [1], [0.1])).tobytes().hex() == bits[0]
