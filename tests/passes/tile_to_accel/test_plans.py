"""Plans become programs that compute what the plan says: single convolutions against numpy, fused and random plans
against their meaning at every level."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.emit import emit
from dialects.meaning import tile as tile_meaning
from dialects.meaning.steps import MeaningError
from passes.common.problems import ModelError
from sim.machine.operations import NAMES
from sim.machine.program import Program
from tests.passes.tile_to_accel.plans import random_plan
from tests.passes.tile_to_accel.support import FUSED, check_everywhere, lower, parse, random_inputs, run


@dataclass(frozen=True)
class Case:
    """A convolution over height × width × inputs, in tiles of ``rows`` × ``columns``, with ``slices`` of input channels
    accumulated and ``blocks`` of output channels (of groups, if there are several)."""

    height: int
    width: int
    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    rows: int = 4
    columns: int = 100
    slices: int = 1
    blocks: int = 1
    configuration: str = "direct g1 k16 r16 p4"
    pad_value: int = 0
    zero: int = 0

    @property
    def size(self) -> tuple[int, int]:
        top, bottom, left, right = self.pads
        rows = (self.height + top + bottom - (self.kernel[0] - 1) * self.dilations[0] - 1) // self.strides[0] + 1
        return rows, (self.width + left + right - (self.kernel[1] - 1) * self.dilations[1] - 1) // self.strides[1] + 1

    def text(self, bias: npt.NDArray[Any], scale: npt.NDArray[Any]) -> str:
        (oy, ox), (fy, fx) = self.size, self.kernel
        ct = self.inputs // self.groups
        numbers = ", ".join(
            f"{b}, {struct.unpack('<i', struct.pack('<f', s))[0]}" for b, s in zip(bias, scale, strict=True)
        )
        pads, strides, dilations = (" ".join(map(str, p)) for p in (self.pads, self.strides, self.dilations))
        window = f"<{fy}x{fx} pad {pads} stride {strides} dilation {dilations}>"
        lines = [
            f"""
tile.schedule @main machine "edge4k" (%in: !tile.dram<{self.height}x{self.width}x{self.inputs}xi8>) -> (%out: !tile.dram<{oy}x{ox}x{self.outputs}xi8>) {{
  %w = tile.constant <{self.outputs}x{fy}x{fx}x{ct}xi8, seed 11> : !tile.dram<{self.outputs}x{fy}x{fx}x{ct}xi8>
  %p = tile.constant <{self.outputs}x2xi32, [{numbers}]> : !tile.dram<{self.outputs}x8xi8>
  %x = tile.alloc : !tile.sram<{self.height}x{self.width}x{self.inputs}xi8>
  %ws = tile.alloc : !tile.sram<{self.outputs}x{fy}x{fx}x{ct}xi8>
  %ps = tile.alloc : !tile.sram<{self.outputs}x8xi8>
  %y = tile.alloc : !tile.sram<{oy}x{ox}x{self.outputs}xi8>
  tile.load %x[0, 0, 0] [{self.height}, {self.width}, {self.inputs}] from %in[0, 0, 0]
  tile.load %ws[0, 0, 0, 0] [{self.outputs}, {fy}, {fx}, {ct}] from %w[0, 0, 0, 0]
  tile.load %ps[0, 0] [{self.outputs}, 8] from %p[0, 0]
  tile.load_config <{self.configuration}>
  tile.use <{self.configuration}>"""  # noqa: E501
        ]
        k = self.outputs // self.blocks
        groups = self.groups // self.blocks if self.groups > 1 else 1
        c = ct // self.slices
        turn = 0
        for block in range(self.blocks):
            for x in range(0, ox, self.columns):
                lines.append(f"  tile.for %y{block}_{x} = 0 to {oy} step {self.rows} {{")
                for part in range(self.slices):
                    half, turn = turn % 2, turn + 1
                    lines.append(
                        f"    %h{turn} = tile.fill half {half} %ws[{block * k}, 0, 0, {part * c}] "
                        f"[{k}, {fy}, {fx}, {c}] for <{self.configuration}> groups {groups} zero {self.zero}"
                    )
                    channel = part * c if self.groups == 1 else block * groups * ct
                    last = part == self.slices - 1
                    lines.append(
                        f"    tile.conv %y[%y{block}_{x}, {x}, {block * k}] [{self.rows}, {min(self.columns, ox - x)}, {k}] "  # noqa: E501
                        f"= %x[{channel}] [{c * groups}], %h{turn} window {window} groups {groups} "
                        f"pad_value {self.pad_value}"
                        + (" accumulate" if part else "")
                        + (f" params %ps[{block * k}] requantize <zero 3 clamp -110 120>" if last else "")
                    )
                lines.append("  }")
        lines.append(f"  tile.store %out[0, 0, 0] [{oy}, {ox}, {self.outputs}] from %y[0, 0, 0]\n}}")
        return "\n".join(lines)


def direct(case: Case, x: npt.NDArray[Any], w: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The sums, output by output."""
    (oy, ox), (fy, fx) = case.size, case.kernel
    kt, ct = case.outputs // case.groups, case.inputs // case.groups
    result = np.zeros((oy, ox, case.outputs), np.int64)
    for row in range(oy):
        for column in range(ox):
            patch = np.full((fy, fx, case.inputs), case.pad_value, np.int64)
            for i in range(fy):
                for j in range(fx):
                    y = row * case.strides[0] - case.pads[0] + i * case.dilations[0]
                    z = column * case.strides[1] - case.pads[2] + j * case.dilations[1]
                    if 0 <= y < case.height and 0 <= z < case.width:
                        patch[i, j] = x[y, z]
            for k in range(case.outputs):
                group = k // kt
                result[row, column, k] = (patch[:, :, group * ct : group * ct + ct] * w[k]).sum()
    return result


CASES = {
    "pointwise": Case(5, 6, 16, 8),
    "padded": Case(9, 8, 8, 16, (3, 3), (1, 1, 1, 1), pad_value=-7),
    "asymmetric pads and stride": Case(9, 8, 6, 5, (3, 2), (0, 1, 1, 0), (2, 3), rows=2),
    "dilated": Case(11, 9, 4, 8, (3, 3), (2, 2, 2, 2), (1, 1), (2, 2), rows=3),
    "pads wider than a tile": Case(3, 3, 4, 4, (5, 5), (4, 4, 4, 4), rows=1, columns=2, pad_value=5),
    "grouped": Case(7, 7, 12, 8, (3, 3), (1, 1, 1, 1), groups=4, configuration="direct g4 k2 r16 p2", blocks=2),
    "depthwise": Case(8, 8, 16, 16, (3, 3), (1, 1, 1, 1), groups=16, configuration="direct g16 k1 r1 p8"),
    "depthwise in blocks": Case(8, 8, 16, 32, (5, 3), (2, 2, 1, 1), (2, 2), groups=16, blocks=4,
                                configuration="direct g4 k2 r4 p4"),
    "output channels in blocks": Case(6, 6, 16, 24, (3, 3), (1, 1, 1, 1), blocks=3, rows=6),
    "reduction in passes": Case(6, 6, 24, 8, (3, 3), (1, 1, 1, 1), slices=3, rows=2, columns=4),
    "blocks and passes": Case(7, 5, 16, 16, (3, 3), (1, 1, 1, 1), slices=2, blocks=2, rows=3, columns=3),
    "winograd": Case(9, 7, 16, 16, (3, 3), (1, 1, 1, 1), configuration="winograd g1 k16 r16 p4", pad_value=-3),
    "winograd in passes": Case(8, 8, 16, 8, (3, 3), slices=2, configuration="winograd g1 k8 r16 p4", rows=3),
    "weights with a zero point": Case(5, 5, 8, 8, (3, 3), (1, 1, 1, 1), zero=-9, pad_value=4),
    "one pixel": Case(1, 1, 64, 16, slices=4),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_single_convolutions(name: str) -> None:
    case = CASES[name]
    generator = np.random.default_rng(len(name))
    bias = generator.integers(-5000, 5000, case.outputs)
    scale = generator.uniform(0.0005, 0.002, case.outputs).astype(np.float32)
    text = case.text(bias, scale)
    program, outputs = check_everywhere(text)
    (constant,) = [op for op in parse(text).walk() if op.name == "tile.constant" and op.results[0].name_hint == "w"]
    w = np.frombuffer(constant.properties["value"].data.buffer(), np.int8).astype(np.int64)  # pyright: ignore
    w = w.reshape(case.outputs, *case.kernel, case.inputs // case.groups) - case.zero
    total = direct(case, random_inputs(program)["in"].astype(np.int64), w) + bias
    values = np.rint(total.astype(np.float32) * scale) + 3
    np.testing.assert_array_equal(outputs["out"], np.clip(values, -110, 120).astype(np.int8))


def edited(*changes: tuple[str, str]) -> str:
    text = FUSED.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def instructions(program: Program) -> int:
    from backend.emit import opcodes_used

    return sum(opcodes_used(program).values())


def test_the_example_runs_and_edits_change_it() -> None:
    plain, expected = check_everywhere(FUSED.read_text())
    edits = {
        "stripes of 7": edited(("= 0 to 28 step 4", "= 0 to 28 step 7"), ("[%i + 1, 0, 0] [4,", "[%i + 1, 0, 0] [7,"),
                               ("%y[%i, 0, 0] [4,", "%y[%i, 0, 0] [7,"), ("ring 6", "ring 9"),
                               ("%s3[%i, 0, 0, 0] [4,", "%s3[%i, 0, 0, 0] [7,")),
        "no prefetch of c3": edited(
            ("    tile.load %s3[%i, 0, 0, 0] [4, 1, 1, 16] from %w3[%i, 0, 0, 0] layer @c3   // prefetch, a slice per stripe\n", ""),  # noqa: E501
            ("  tile.load %d[0", "  tile.load %s3[0, 0, 0, 0] [16, 1, 1, 16] from %w3[0, 0, 0, 0] layer @c3\n  tile.load %d[0")),  # noqa: E501
        "a single buffer for the output": edited(("ring 14", "ring 7")),
        "everything resident": edited((", ring 6", ""), (", ring 14", "")),
    }  # fmt: skip
    seen = {(instructions(plain), plain.predicted_cycles)}
    for name, text in edits.items():
        program, outputs = check_everywhere(text)
        np.testing.assert_array_equal(outputs["out"], expected["out"], err_msg=name)
        seen.add((instructions(program), program.predicted_cycles))
        if name == "a single buffer for the output":
            assert program.predicted_cycles > plain.predicted_cycles
    assert len(seen) >= 4


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[%i + 1, 0, 0] [4,", "[%i + 1, 0, 0] [5,", "tile.conv of layer c2 in turn 4: it reads row 3 of %mid, whose slot holds row 9"),  # noqa: E501
        ("ring 6", "ring 5", "tile.conv of layer c2 in turn 4: 6 rows of %mid do not fit its ring of 5"),
        ("%i + 1, 0, 0] [4,", "%i + 2, 0, 0] [4,", "tile.conv of layer c2 in turn 0: it reads row 1 of %mid, which nothing has written"),  # noqa: E501
        ("  tile.load %x[7, 0, 0] [21", "  tile.load %x[8, 0, 0] [20", "tile.conv of layer c1 in turn 4: it reads row 7 of %x, which nothing has written"),  # noqa: E501
        ("%w2[0, 0, 0, 0] layer @c2", "%w2[0, 0, 0, 0] layer @c2\n  tile.free %y : !tile.sram<28x28x16xi8>", "tile.conv of layer c2 in turn 0: %y is not allocated"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_plan_that_reuses_a_row_too_early_is_noticed(before: str, after: str, message: str) -> None:
    module = parse(edited((before, after)))
    with pytest.raises(MeaningError) as caught:
        tile_meaning.evaluate(module, {"in": np.zeros((28, 28, 16), np.int8)})
    assert str(caught.value) == message


AHEAD = ("    tile.conv %y[%i, 0, 0] [4,", "    tile.conv %y[%i - 4, 0, 0] [4,")
"""The second convolution one stripe behind; the last of its stripes is still to come."""

LAST = (
    "  tile.free %x, %mid, %s1",
    "  tile.conv %y[24, 0, 0] [4, 28, 16] = %mid[0] [16], %h2 window <3x3 pad 1 1 1 1> params %b[0] requantize <zero 0 "
    "clamp -128 127> add %x[0] <second ratios 0.5 0.5 0.0 clamp -128 127> layer @c2\n  tile.free %x, %mid, %s1",
)
STORE = "    tile.store %out[%j, 0, 0] [7, 28, 16] from %z[%j, 0, 0] layer @c3\n"
BEHIND = (
    (
        "  tile.free %y, %z,",
        "  tile.for %k = 0 to 28 step 7 {\n" + STORE.replace("%j", "%k") + "  }\n  tile.free %y, %z,",
    ),
    (STORE, ""),
)
CONV3 = next(line + "\n" for line in FUSED.read_text().splitlines() if "tile.conv %z" in line)


def test_a_ring_that_is_large_enough_for_a_stripe_ahead() -> None:
    """Ten rows are needed when the first convolution is one stripe ahead."""
    _, expected = check_everywhere(FUSED.read_text())
    _, outputs = check_everywhere(edited(AHEAD, LAST, ("ring 6", "ring 10")))
    np.testing.assert_array_equal(outputs["out"], expected["out"])


@pytest.mark.parametrize(
    ("edits", "place", "found"),
    [
        ((AHEAD, LAST, ("ring 6", "ring 9")), "tile.conv %y in turn 8",
         "row 3 of %mid, whose place in the ring of 9 rows holds row 12"),
        ((AHEAD, LAST), "tile.conv %y in turn 4", "row 0 of %mid, whose place in the ring of 6 rows holds row 6"),
        (BEHIND, "tile.store %out in turn 0", "row 0 of %z, whose place in the ring of 14 rows holds row 14"),
        (((STORE, ""), (CONV3, STORE + CONV3)), "tile.store %out in turn 0", "row 0 of %z, which nothing has written"),
    ],
    ids=["ring 9", "ring 6", "stores behind", "store moved up"],
)  # fmt: skip
def test_what_is_not_there_is_refused_by_the_lowering(
    edits: tuple[tuple[str, str], ...], place: str, found: str
) -> None:
    """By a plain compile: what such a plan answers would depend on where its buffers lie."""
    with pytest.raises(ModelError) as caught:
        lower(parse(edited(*edits)))
    move, enlarge = "move it behind what writes that row", "make the ring larger, or read the row while it is there"
    advice = move if "nothing" in found else enlarge
    said = str(caught.value)
    assert said.startswith("The plan @fused for edge4k: layer c")
    assert said.endswith(f", {place}: it reads {found}; {advice}.")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000))
def test_random_plans_mean_the_same_at_every_level(seed: int) -> None:
    check_everywhere(random_plan(seed), seed)


def test_random_plans_draw_every_operation() -> None:
    assert {kind for seed in range(150) for kind in re.findall(r"tile\.vector (\w+)", random_plan(seed))} == set(NAMES)


def test_a_tight_memory_gives_the_same_answers() -> None:
    program, _ = check_everywhere(FUSED.read_text(), limit=32 * 1024)
    loose, _ = check_everywhere(FUSED.read_text())
    assert program.predicted_cycles >= loose.predicted_cycles


def test_a_copy_of_an_image_in_sram_serves_load_config() -> None:
    text = """
    tile.schedule @main machine "edge4k" (%in: !tile.dram<4x4x16xi8>) -> (%out: !tile.dram<4x4x16xi8>) {
      %image = tile.image <direct g1 k16 r16 p4> : !tile.dram<16384xi8>
      %w = tile.constant <16x1x1x16xi8, seed 3> : !tile.dram<16x1x1x16xi8>
      %p = tile.constant <16x8xi8, seed 0> : !tile.dram<16x8xi8>
      %scratch = tile.dram : !tile.dram<4x4x16xi8>
      %copy = tile.alloc : !tile.sram<16384xi8>
      %x = tile.alloc : !tile.sram<4x4x16xi8>
      %flat = tile.view %x : !tile.sram<4x4x16xi8> to !tile.sram<1x1x256xi8>
      %y = tile.alloc : !tile.sram<1x1x256xi8>
      %z = tile.view %y : !tile.sram<1x1x256xi8> to !tile.sram<4x4x16xi8>
      tile.load %copy[0] [16384] from %image[0]
      tile.load %x[0, 0, 0] [4, 4, 16] from %in[0, 0, 0]
      tile.load_config <direct g1 k16 r16 p4> copy %copy : !tile.sram<16384xi8>
      tile.use <direct g1 k16 r16 p4>
      tile.vector copy %y[0, 0, 0] [1, 1, 256] = %flat[0]
      tile.store %scratch[0, 0, 0] [4, 4, 16] from %z[0, 0, 0]
      tile.load %x[0, 0, 0] [4, 4, 16] from %scratch[0, 0, 0]
      tile.store %out[0, 0, 0] [4, 4, 16] from %x[0, 0, 0]
    }"""
    program, outputs = check_everywhere(text)
    np.testing.assert_array_equal(outputs["out"], random_inputs(program)["in"])


@pytest.mark.parametrize(("beta", "bias"), [("1.0e+30", "2.0"), ("0.5", "-1.0"), ("-1.0e+30", "0.0")])
def test_a_power_beyond_all_numbers_means_the_same_at_every_level(beta: str, bias: str) -> None:
    check_everywhere(f"""
    tile.schedule @main machine "edge4k" (%in: !tile.dram<2x2x16xi8>) -> (%out: !tile.dram<2x2x16xi8>) {{
      %x = tile.alloc : !tile.sram<2x2x16xi8>
      %y = tile.alloc : !tile.sram<2x2x16xi8>
      tile.load %x from %in
      tile.vector lrn %y = %x law <floats 1.0 1.0 0.0 1.0 {beta} {bias} zeros 0 0 7 clamp -128 127 size 3>
      tile.store %out from %y
    }}""")


def test_outputs_are_the_machines_own() -> None:
    program = emit(lower(parse(FUSED.read_text())))
    result = run(program, random_inputs(program))
    assert result.cycles == program.predicted_cycles
    assert result.tensors["out"].shape == (28, 28, 16)
