"""Every fault of the manual, each with its whole message; and small programs in which every address bit matters."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from sim import simulator
from sim.machine import assembly, configuration_image, encoding
from sim.machine.description import Configuration
from sim.machine.encoding import Record
from sim.machine.errors import EncodingError, Fault, ProgramError, ReconError
from sim.machine.isa import VECTOR_OPS
from sim.machine.operations import operation
from sim.machine.program import LayerRow, MachineSegment, Program, Region
from tests.sim.support import SMALL, changed, image, params, program

LAYERS = (LayerRow("input", "load", "", 0, 0, "", ()), LayerRow("stem", "conv2d", "", 0, 0, "", ()))


def fault(text: str, **options: Any) -> str:
    """The message with which a program stops the machine."""
    with pytest.raises(Fault) as caught:
        simulator.simulate(program(text, **options), {})
    return str(caught.value)


def last_reason(text: str, **options: Any) -> str:
    """The reason for which the text's last instruction stops the machine; the rest of the message is checked."""
    message = fault(text, **options)
    records = assembly.assemble(text)
    name, fields = records[-1]
    start = f"Instruction {len(records) - 1} of layer 'stem' ({assembly.line(name, fields)}) stops the machine: "
    assert message.startswith(start)
    return message[len(start) :]


READY = """
load bytes=4096
load sram=4096 bytes=4096
fill outputs=2 inputs=4 k=2 r=4 output_stride=4 | wait load 2
load_config dram=8192
configure | wait load 3
"""
RANDOM = np.random.default_rng(0).integers(0, 256, 8192, dtype=np.uint8)
CONSTANTS = np.concatenate([RANDOM, image("direct g1 k2 r4 p1"), image("winograd g1 k2 r4 p1")])


def ready(line: str, prefix: str = READY) -> str:
    """Why a line stops a machine with weights in half 0, their configuration active and 8 KiB of SRAM written."""
    text = prefix.replace("load_config dram=", "load_config address=") + line
    return last_reason(text, constants=CONSTANTS)


def test_a_message_names_instruction_layer_and_text() -> None:
    text = "load bytes=16\nvector op=table channels=16"
    assert fault(text, constants=RANDOM, layers=LAYERS, layer_of=[0, 1]) == (
        "Instruction 1 of layer 'stem' (vector op=table channels=16) stops the machine: it reads byte 0x10 of SRAM, "
        "which no instruction of this run has written."
    )


def test_a_deadlock_names_the_layers_too() -> None:
    text = "load bytes=16 | wait vector 1\nvector channels=16 | wait load 1"
    assert fault(text, constants=RANDOM, layers=LAYERS, layer_of=[0, 1]) == (
        "A wait can never be met: instruction 0 of layer 'input' (load bytes=16 | wait vector 1) waits until queue "
        "vector has completed 1, and it stays at 0; instruction 1 of layer 'stem' (vector op=copy channels=16 | wait "
        "load 1) waits until queue load has completed 1, and it stays at 0."
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("load sram=0xfff0 bytes=17", "it writes bytes 0xfff0 to 0x10000 of SRAM, which has 0x10000 bytes."),
        ("load dram=0xffff bytes=2", "it reads bytes 0xffff to 0x10000 of DRAM, which has 0x10000 bytes."),
        (
            "load count2=2 sram_stride2=0xffffffff bytes=1 row=1",
            "it writes bytes 0xffffffff to 0x1fffffffe of SRAM, which has 0x10000 bytes.",
        ),
        (
            "store dram=0xffff count1=2 dram_stride1=1 sram_stride1=1 bytes=1",
            "it writes bytes 0xffff to 0x10000 of DRAM, which has 0x10000 bytes.",
        ),
        ("load dram=0x2100 bytes=1", "it reads byte 0x2100 of DRAM, which no instruction of this run has written."),
        ("store sram=0x1ff0 bytes=64", "it reads byte 0x2000 of SRAM, which no instruction of this run has written."),
        (
            "load bytes=16 count1=2 sram_stride1=15",
            "it writes some bytes of SRAM twice: its strides let its own runs overlap.",
        ),
        ("load bytes=16 count2=3 sram_stride2=16 ring=2", "it names 3 rows of a ring buffer that stores 2."),
        ("load_config address=1", "these bytes are no configuration image: they do not begin with its mark."),
        (
            "configure | wait load 3",
            "it would make an empty configuration slot the active one; a load_config must come before.",
        ),
        ("fill k=3", "its field 'k' must be a power of two, not 3."),
        (
            "fill g=64 k=8",
            "it lays weights out for a configuration the array cannot take: direct g64 k8 r1 p1 needs 512 "
            "lanes and small has 256.",
        ),
        ("fill algorithm=winograd fy=3 fx=2", "Winograd takes 3×3 kernels, not 3×2; use a direct configuration."),
        (
            "fill algorithm=winograd fy=3 fx=3 weight_zero=-1",
            "Winograd takes weights of zero point 0, not -1; use a direct configuration.",
        ),
        (
            "fill outputs=129",
            "its weights take 129 words of every lane and half of L1 has 128: 1 too many; split the "
            "output or input channels.",
        ),
        ("fill address=0x3000", "it reads byte 0x3000 of SRAM, which no instruction of this run has written."),
        ("conv half=1", "half 1 of L1 is empty; a fill must come before."),
        (
            "conv first=1 last=2 outputs=2 inputs=4 residual=1",
            "its result is float32, to which no residual is added and which no table takes.",
        ),
        (
            "conv outputs=3 inputs=4",
            "half 0 of L1 holds weights of 1 groups of 2 output and 4 input channels, 1×1, and the "
            "instruction names 1 groups of 3 output and 4 input channels, 1×1.",
        ),
        (
            "conv outputs=2 inputs=4",
            "it is not a first pass and does not directly follow a pass that is not the last one.",
        ),
        (
            "conv outputs=2 inputs=4 first=1 ox=2049",
            "its tile takes 4098 accumulators and the array has 4096: 2 too many; make the tile smaller.",
        ),
        (
            "conv outputs=2 inputs=4 first=1\nconv outputs=2 inputs=4 ox=2",
            "it continues a pass of 1·2 channels, 1×1 pixels with one of 1·2 channels, 1×2 pixels.",
        ),
        (
            "conv outputs=2 inputs=4 first=1 top=1 bottom=1",
            "it pads 1 + 1 rows and 0 + 0 columns of a window of 1 × 1.",
        ),
        (
            "conv outputs=2 inputs=4 first=1 last=1 params=0x1ff8",
            "it reads byte 0x2000 of SRAM, which no instruction of this run has written.",
        ),
        (
            "conv outputs=2 inputs=4 first=1 last=1 ox=2 in.pixel_stride=4 out.pixel_stride=1",
            "it writes some bytes of SRAM twice: its strides let its own runs overlap.",
        ),
        ("vector op=global_average_pool", "a global average makes 1 × 1 pixels of at least one, not 1 × 1 of 0 × 0."),
        (
            "vector op=global_average_pool ix=2 iy=2 ox=3",
            "a global average makes 1 × 1 pixels of at least one, not 1 × 3 of 2 × 2.",
        ),
        ("vector op=shuffle channels=8 size=3", "a shuffle in 3 groups cannot divide 8 channels."),
        ("vector op=shuffle channels=8", "a shuffle in 0 groups cannot divide 8 channels."),
        ("vector op=lrn", "a local response normalisation needs a window of at least one channel."),
    ],
)
def test_violations(line: str, reason: str) -> None:
    assert ready(line) == reason


def test_a_conv_needs_an_active_configuration_and_a_half_laid_out_for_it() -> None:
    bare = "load bytes=4096\nfill outputs=2 inputs=4 output_stride=4\n"
    assert ready("conv outputs=2 inputs=4 first=1", bare) == (
        "no configuration is active; load_config and configure must come before."
    )
    assert ready("fill outputs=2 inputs=4 k=1 output_stride=4\nconv outputs=2 inputs=4 first=1") == (
        "half 0 of L1 is laid out for direct g1 k1 r1 p1 and the active configuration is direct g1 k2 r4 p1."
    )


def test_a_configure_between_two_passes_parts_them() -> None:
    passes = "load_config address=8192 | wait array 1\nconv outputs=2 inputs=4 first=1\nconfigure | wait load 4\n"
    assert ready(passes + "conv outputs=2 inputs=4 last=1") == (
        "it is not a first pass and does not directly follow a pass that is not the last one."
    )


def test_winograd_takes_stride_and_dilation_one() -> None:
    prefix = READY.replace("8192", "8320").replace("output_stride=4", "output_stride=36 tap_stride=4 fy=3 fx=3")
    prefix = prefix.replace("fill", "fill algorithm=winograd")
    for field in ("sy=2", "dx=2"):
        assert ready(f"conv outputs=2 inputs=4 fy=3 fx=3 first=1 {field}", prefix) == (
            "Winograd takes stride 1 and dilation 1; use a direct configuration."
        )


def overflowing(bias: int, inputs: int, algorithm: str, code: int = -128, last: int = 1) -> str:
    """A 3×3 convolution of full-scale codes in the named algorithm."""
    words = changed(SMALL, array={"half_words": 2**20}, sram={"bytes": 2**22})
    configuration = f"{algorithm} g1 k1 r16 p1"
    codes = np.full(9 * inputs, code, np.int8).view(np.uint8)
    weights = np.full(9 * inputs, -128, np.int8).view(np.uint8)
    constants = np.concatenate([codes, weights, params([bias], 1e-6), image(configuration)])
    n = 9 * inputs
    extents = f"inputs={inputs} fy=3 fx=3"
    text = f"""
    load bytes={2 * n + 8}
    load_config address={2 * n + 8}
    configure
    fill algorithm={algorithm} r=16 {extents} address={n} tap_stride={inputs}
    conv {extents} first=1 last={last} in.row_stride={3 * inputs} in.pixel_stride={inputs} params={2 * n} \
out.base={2**21}
    """.strip()
    try:
        simulator.simulate(program(text, constants=constants, target=words, dram_bytes=len(constants)), {})
    except Fault as error:
        return str(error).partition("stops the machine: ")[2]
    return "none"


def test_overflow_is_judged_on_exact_integers() -> None:
    """Sums of 16384 per tap: 131072 of them are 2³¹, 131071 fit; 4 × the convolution a quarter of that."""
    assert overflowing(0, 14563, "direct") == "none"
    assert overflowing(0, 14564, "direct") == "an accumulator reaches 2147549184, which does not fit int32."
    assert overflowing(0, 14564, "direct", last=0) == "an accumulator reaches 2147549184, which does not fit int32."
    assert overflowing(0, 14564, "direct", code=127) == "none"
    assert overflowing(0, 3640, "winograd") == "none"
    assert overflowing(0, 3641, "winograd") == "4 × the convolution reaches 2147549184, which does not fit int32."
    rest = 2**31 - 1 - 14563 * 9 * 16384
    assert overflowing(rest, 14563, "direct") == "none"
    assert overflowing(rest + 1, 14563, "direct") == "a sum with its bias reaches 2147483648, which does not fit int32."


def test_a_scale_must_be_a_number() -> None:
    constants = np.concatenate([np.zeros(4, np.uint8), params([0, 0], [1.0, np.inf]), image("direct g1 k2 r4 p1")])
    text = """
    load bytes=20
    load_config address=20
    configure
    fill outputs=2 inputs=2 k=2 r=4 output_stride=2
    conv outputs=2 inputs=2 first=1 last=1 params=4 out.base=64
    """.strip()
    assert last_reason(text, constants=constants) == "the scale of output channel 1, inf, is no finite number."


def test_configuration_images_are_refused_when_foreign_or_damaged() -> None:
    good = image("direct g1 k2 r4 p1").copy()
    assert configuration_image.decode(good.tobytes()) == Configuration("direct", 1, 2, 4, 1)
    for byte in range(len(good)):
        bad = good.copy()
        bad[byte] ^= 1 << (byte % 8)
        reason = last_reason("load_config", constants=bad)
        assert reason.startswith(("these bytes are no configuration image", "this configuration image "))
    wide = image("direct g1 k64 r16 p4")
    assert last_reason("load_config", constants=wide) == (
        "the image holds a configuration the array cannot take: direct g1 k64 r16 p4 needs 4096 lanes and small has "
        "256."
    )
    good[8] = 2
    assert last_reason("load_config", constants=good) == (
        "this configuration image has version 2 and the machine reads version 1."
    )
    body = image("direct g1 k2 r4 p1")[:-32].copy()
    body[20] ^= 1
    forged = np.concatenate([body, np.frombuffer(hashlib.sha256(body.tobytes()).digest(), np.uint8)])
    assert last_reason("load_config", constants=forged) == (
        "this configuration image is damaged: its switch settings are not those of its configuration."
    )
    assert last_reason("load_config", constants=good[:64]) == (
        "it reads byte 0x40 of DRAM, which no instruction of this run has written."
    )


def test_an_output_that_was_never_written_is_a_fault() -> None:
    text = "load bytes=8\nstore dram=0x100 bytes=8"
    assert fault(text, constants=RANDOM[:8], outputs=(Region("y", 0x100, (9,)),)) == (
        "The program ended and byte 0x108 of DRAM, in its output 'y', was never written."
    )


def test_inputs_must_be_there_in_type_and_shape() -> None:
    made = program("load bytes=8", inputs=(Region("x", 0, (2, 4)),))
    for tensors, message in (
        ({}, "The input 'x' is missing; given are none."),
        ({"y": np.zeros(1, np.int8)}, "The input 'x' is missing; given are y."),
        ({"x": np.zeros((4, 2), np.int8)}, "The input 'x' must be int8 of shape [2, 4], not int8 of shape [4, 2]."),
        ({"x": np.zeros((2, 4), np.uint8)}, "The input 'x' must be int8 of shape [2, 4], not uint8 of shape [2, 4]."),
    ):
        with pytest.raises(ReconError) as error:
            simulator.simulate(made, tensors)
        assert str(error.value) == message


def test_programs_that_do_not_fit_their_machine_or_their_tables_are_refused() -> None:
    tiny = changed(SMALL, instruction_memory={"bytes": 64, "fetch": 0})
    for made, message in (
        (
            program("load bytes=1", dram_bytes=2**32),
            "The program needs 4,294,967,296 bytes of DRAM and small has 2,147,483,648.",
        ),
        (
            program("load bytes=1\nload bytes=1", target=tiny),
            "The program needs 102 bytes of instructions and small has 64.",
        ),
        (
            program("load bytes=1", inputs=(Region("x", 0xFFFF, (2,)),)),
            "Region 'x' of segment 'main' ends at 0x10001, beyond the program's 0x10000 bytes of DRAM.",
        ),
        (
            program("load bytes=1", constants=RANDOM, dram_bytes=64),
            "The program's constants take 8,192 bytes, more than its 64 of DRAM.",
        ),
        (
            program("load bytes=1", layer_of=[1]),
            "Segment 'main' names layer 1 and the program has 1 layers; compile the model again.",
        ),
        (
            program("load bytes=1", layer_of=[0, 0]),
            "Segment 'main' has 1 instructions and names the layers of 2; compile the model again.",
        ),
    ):
        with pytest.raises(ProgramError) as error:
            simulator.simulate(made, {}, timing_only=True)
        assert str(error.value) == message


def test_a_program_for_another_machine_is_refused() -> None:
    made = program("load bytes=1")
    simulator.check_machine(made, SMALL)
    for other, message in (
        (
            changed(SMALL, top={"name": "large"}),
            "This program was compiled for small and cannot run on large; compile the "
            "model again with --machine large.",
        ),
        (
            changed(SMALL, dram={"turn": 6}),
            "This program was compiled for another description of small and cannot run on "
            "small; compile the model again with --machine small.",
        ),
    ):
        with pytest.raises(ProgramError) as error:
            simulator.check_machine(made, other)
        assert str(error.value) == message


def every_instruction() -> tuple[Program, list[Record], dict[str, np.ndarray]]:
    """A small program with every instruction and most operand kinds; DRAM and SRAM are filled with random bytes."""
    rng = np.random.default_rng(3)
    scales = np.array([[0.5, 3.0], [0.25, -9.0], [1.5, 1.0], [2.0, 7.0]], np.float32)
    constants = np.concatenate(
        [
            image("direct g1 k4 r8 p1"),
            rng.permutation(256).astype(np.uint8),
            rng.integers(0, 256, 64, dtype=np.uint8),
            params([100, -100, 300, 7], [0.01, 0.02, 0.015, 0.013]),
            scales.view(np.uint8).ravel(),
            rng.integers(0, 256, 8192, dtype=np.uint8),
        ]
    )
    x = rng.integers(-128, 128, (4, 4, 4), dtype=np.int8)
    text = """
    load dram=0x800 sram=0x0 bytes=4096
    load_config address=0
    load dram=0x80 sram=0x1100 bytes=256
    load dram=0x180 sram=0x1240 bytes=64
    load dram=0x1c0 sram=0x1300 bytes=32
    load dram=0x1e0 sram=0x1380 bytes=32
    load dram=0x3000 sram=0x1400 bytes=16 count2=4 dram_stride2=16 sram_stride2=32 ring=4 row=2
    configure | wait load 2
    fill k=4 r=8 outputs=4 inputs=4 fy=2 fx=2 address=0x1240 output_stride=16 tap_stride=4 | wait load 4
    conv outputs=4 inputs=4 fy=2 fx=2 first=1 oy=3 ox=3 in.base=0x1400 in.row_stride=32 in.pixel_stride=4 in.ring=4 \
in.row=2 last=1 params=0x1300 lo=-128 hi=127 residual=1 res.base=0x5 res.row_stride=40 res.pixel_stride=4 ra=0.5 \
rb=0.25 sum_lo=-128 sum_hi=127 has_table=1 table=0x1100 out.base=0x2000 out.row_stride=12 out.pixel_stride=4 \
| wait load 7, weights 1
    vector op=add oy=3 ox=3 channels=4 a.base=0x2000 a.row_stride=12 a.pixel_stride=4 b.base=0x700 b.row_stride=12 \
b.pixel_stride=4 out.base=0x2100 out.row_stride=12 out.pixel_stride=4 ra=0.5 rb=0.5 lo=-128 hi=127 | wait array 2
    vector op=affine oy=3 ox=3 channels=4 a.base=0x2100 a.row_stride=12 a.pixel_stride=4 out.base=0x2200 \
out.row_stride=12 out.pixel_stride=4 params=0x1380 lo=-128 hi=127
    vector op=table oy=3 ox=3 channels=4 a.base=0x2200 a.row_stride=12 a.pixel_stride=4 out.base=0x2300 \
out.row_stride=12 out.pixel_stride=4 table=0x1100
    store dram=0x4000 sram=0x2300 bytes=36 | wait vector 3
    store dram=0x4100 sram=0x2000 bytes=36 | wait vector 3
    """
    made = program(
        text,
        constants=constants,
        inputs=(Region("x", 0x3000, x.shape),),
        outputs=(Region("y", 0x4000, (36,)), Region("z", 0x4100, (36,))),
    )
    return made, assembly.assemble(text), {"x": x}


ADDRESSES = {
    "load": ("dram", "sram"),
    "store": ("dram", "sram"),
    "load_config": ("address",),
    "configure": (),
    "fill": ("address",),
    "conv": ("in.base", "params", "res.base", "table", "out.base"),
}


VECTOR_ADDRESSES = {"a.base", "b.base", "params", "table", "out.base"}


def test_flipping_any_address_bit_changes_the_result_or_faults() -> None:
    made, records, inputs = every_instruction()
    good = simulator.simulate(made, inputs, sanitize=True).tensors
    flips = 0
    for index, (name, fields) in enumerate(records):
        names = ADDRESSES.get(name) or ()
        if name == "vector":
            names = tuple(operation(VECTOR_OPS[int(fields["op"])]).fields & VECTOR_ADDRESSES)
        for field in names:
            for bit in range(32):
                flipped = int(encoding.defaults(name)[field] if field not in fields else fields[field]) ^ (1 << bit)
                other = [*records]
                other[index] = (name, {**fields, field: flipped})
                flips += 1
                try:
                    run = simulator.simulate(with_code(made, other), inputs)
                except (Fault, EncodingError):
                    continue
                same = all(np.array_equal(run.tensors[key], good[key]) for key in ("y", "z"))
                assert not same, f"bit {bit} of {field} of instruction {index} ({name}) does not matter"
    assert flips > 900


def with_code(made: Program, records: list[Record]) -> Program:
    """The same program with other instructions."""
    text = "\n".join(assembly.line(name, fields) for name, fields in records)
    (segment,) = made.segments
    assert isinstance(segment, MachineSegment)
    return program(text, constants=made.constants, inputs=segment.inputs, outputs=segment.outputs)
