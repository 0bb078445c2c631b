"""What is printed reads back as the same module, whatever its names, strings and numbers."""

from __future__ import annotations

import math
import re
import struct
import time
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdsl.dialects import test
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, FloatAttr, ModuleOp, StringAttr, SymbolRefAttr, f32
from xdsl.ir import Attribute, Operation
from xdsl.irdl import IRDLOperation
from xdsl.utils.exceptions import ParseError

from dialects import accel, cnn, tile
from dialects.recon import ELEMENT, Blob, BlobAttr, LayerOp, blobs
from dialects.text import TextPrinter, print_float
from dialects.text_lines import broken
from passes.common.levels import LEVELS
from sim.machine.errors import ReconError
from tests.conftest import ROOT, Tool
from tests.passes.onnx_to_cnn.graphs import Graph
from tools.driver import make_context
from tools.terminal.diagnostics import describe, parse_module

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["0", "1", "conv_1", "conv_1_0", "größe", "卷积", 'a"b', "a\nb", "a\\b", "a\x0bb", "layer", "x.y", "-", "\u2028"]
)
HINTS = st.sampled_from(["conv", "conv_1", "conv_1_0", "conv_1_1", "c", "c_1_1_1", "größe", "x.y", "_", "$-", "a_b"])
FLOATS = st.floats(width=32)


def text_of(module: Operation, *, generic: bool = False) -> str:
    stream = StringIO()
    TextPrinter(stream, print_generic_format=generic).print_op(module)
    return stream.getvalue()


def read(text: str) -> ModuleOp:
    return parse_module(make_context(), text, "case.mlir")


def check_reads_back(module: ModuleOp) -> None:
    """In the own and in the generic form: the same module, and the same text again."""
    text = text_of(module)
    for form in (text, text_of(module, generic=True)):
        again = read(form)
        assert again.is_structurally_equivalent(module)
        assert text_of(again) == text


@st.composite
def blob_attributes(draw: st.DrawFn) -> BlobAttr:
    element = draw(st.sampled_from(sorted(ELEMENT)))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    width = ELEMENT[element][1]
    size = math.prod(shape)
    data = draw(st.binary(min_size=width, max_size=width)) * size
    if draw(st.booleans()):
        data = draw(st.binary(min_size=size * width, max_size=size * width))
    if element in ("f32", "f64") and draw(st.booleans()):
        numbers = draw(st.lists(st.floats(width=32 if element == "f32" else 64), min_size=size, max_size=size))
        data = struct.pack(f"<{size}{ELEMENT[element][0]}", *numbers)
    return BlobAttr.make(shape, element, data)


@given(blob_attributes())
@settings(max_examples=400)
def test_constants_read_back(blob: BlobAttr) -> None:
    """Bit by bit; what does not print inline is a reference to the side file."""
    module = ModuleOp([test.TestOp(attributes={"value": blob})])
    (again,) = blobs(read(text_of(module)))
    assert again == blob.data
    if again.data is None:
        assert blob.data.size > 16
    else:
        assert bytes(again.buffer()) == bytes(blob.data.buffer())


@given(FLOATS.filter(math.isfinite), st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_prints_as_the_shortest_decimal_that_reads_back(single: float, double: float) -> None:
    assert struct.pack("<f", float(print_float(single))) == struct.pack("<f", single)
    assert float(print_float(double, double=True)) == double


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "1.0e-05"), (2.5e-5, "2.5e-05"), (1e20, "1.0e+20"), (math.inf, "inf"), (-math.inf, "-inf"), (-0.0, "-0.0"),
     (0.1, "0.1"), (16777216.0, "16777216.0"), (math.nan, "nan")],
)  # fmt: skip
def test_floats_in_text(value: float, text: str) -> None:
    assert print_float(np.float32(value).item()) == text


@given(st.lists(st.tuples(NAMES, HINTS, FLOATS), min_size=1, max_size=6, unique_by=lambda item: item[0]))
@settings(max_examples=60, deadline=None)
def test_names_and_strings_read_back(items: list[tuple[str, str, float]]) -> None:
    """Layers, symbols, ports and node names of any letters; values of equal and of confusable names."""
    program = accel.ProgramOp(items[0][0], items[-1][0])
    layers: list[Operation] = []
    for name, hint, number in items:
        layers.append(LayerOp(name, name, name, 1, 2, 3, 4, [name]))
        region = accel.DramOp("input", (64,), port=name)
        buffer = accel.BufferOp(64)
        region.output.name_hint = buffer.output.name_hint = hint
        load = accel.LoadOp.make({"bytes": 8}, [("dram", region.output, 0), ("sram", buffer.output, 0)])
        load.properties["layer"] = SymbolRefAttr(name)
        program.body.block.add_ops([region, buffer, load])
        extra: dict[str, Attribute] = {
            name: StringAttr(name),
            "deep": ArrayAttr([DictionaryAttr({name: StringAttr(name)})]),
        }
        if math.isfinite(number):
            extra["number"] = FloatAttr(number, f32)
        layers.append(test.TestOp(attributes=extra))
    check_reads_back(ModuleOp([*layers, program]))


@given(
    FLOATS.filter(lambda value: math.isfinite(value) and value > 0),
    st.integers(-128, 127),
    st.lists(FLOATS.filter(math.isfinite), min_size=6, max_size=6),
)
def test_scales_and_laws_read_back(scale: float, zero: int, floats: list[float]) -> None:
    law = tile.VectorLaw(tuple(floats), (1, -2, zero), size=3)  # pyright: ignore[reportArgumentType]
    addition = tile.Sum("second", *floats[:3], lo=-5, hi=zero if zero > -5 else 0)
    values: dict[str, Attribute] = {
        "type": cnn.TensorType.of((1, 2, 3, 4), scale, zero),
        "quant": cnn.QuantAttr.of(scale, zero),
        "law": tile.VectorLawAttr(law),
        "sum": tile.SumAttr(addition),
    }
    check_reads_back(ModuleOp([test.TestOp(attributes=values)]))


def test_confusable_value_names_stay_apart() -> None:
    """``conv_1`` is the second ``conv``, and the first value whose hint is ``conv_1``."""
    ops: list[IRDLOperation] = [test.TestOp(result_types=[f32]) for _ in range(5)]
    for op, hint in zip(ops, ("conv", "conv", "conv_1_0", "conv_1_0", "conv"), strict=True):
        op.results[0].name_hint = hint
    module = ModuleOp([*ops, test.TestOp([op.results[0] for op in ops])])
    assert [line.split()[0] for line in text_of(module).splitlines()[1:6]] == [
        "%conv", "%conv_1", "%conv_1_1", "%conv_1_2", "%conv_2"]  # fmt: skip
    check_reads_back(module)


def named(*names: str) -> onnx.ModelProto:
    """A chain of convolutions whose nodes have these names, the last convolution's result quantised twice."""
    graph = Graph(3)
    x = graph.input(1, 4, 6, 6, scale=2e-5)
    for number, name in enumerate(names):
        real = graph.node("Conv", x, graph.weights(4, 4, 1, 1))
        graph.nodes[-1].name = name
        if number < len(names) - 1:
            x = graph.requantised(
                graph.node("Clip", real, graph.constant(np.float32(1e-5)), graph.constant(np.float32(np.inf)))
            )
        else:
            graph.output(real, scale=0.05)
            graph.output(real, scale=0.1)
    return graph.model()


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "2"),
        ("conv", "conv_1", "conv_1_0"),
        ("block_1", "block_1_1", "block_1_1_1"),
        ("größe/卷积=1", 'a"b', "c\nd"),
        ("x", "x", "x"),
    ],
    ids=lambda names: "-".join(names).encode("ascii", "replace").decode(),
)
def test_every_level_reads_back_whatever_the_nodes_are_called(
    recon_opt: Tool, tmp_path: Path, names: tuple[str, ...]
) -> None:
    onnx.save(named(*names), tmp_path / "m.onnx")
    for level in LEVELS:
        assert recon_opt(tmp_path / "m.onnx", "--to", level, "-o", tmp_path / f"{level}.mlir").err == ""
        again = recon_opt(tmp_path / f"{level}.mlir")
        assert (again.code, again.err) == (0, "")
        assert again.out == (tmp_path / f"{level}.mlir").read_text()


def test_equal_bytes_of_another_type_are_another_constant(recon_opt: Tool, tmp_path: Path) -> None:
    """12 numbers of 4 bytes print inline and have the bytes of 48 numbers of 1 byte, which lie in the side file."""
    numbers = np.arange(12, dtype=np.int32)
    short, long = BlobAttr.make((12,), "i32", numbers.tobytes()), BlobAttr.make((48,), "i8", numbers.tobytes())
    assert short.data.digest == long.data.digest
    module = ModuleOp([test.TestOp(attributes={"a": short, "b": ArrayAttr([DictionaryAttr({"c": long})])})])
    from tools.files import constants

    kept = constants.attach([module], tmp_path / "m.mlir")
    constants.write(kept, tmp_path / "m.mlir")
    (tmp_path / "m.mlir").write_text(text_of(module))
    assert recon_opt(tmp_path / "m.mlir").err == ""


def test_a_reference_of_another_size_is_refused(recon_opt: Tool, tmp_path: Path) -> None:
    assert recon_opt(ROOT / "examples" / "mobilenetv1_vww_int8.onnx", "-o", tmp_path / "m.mlir").code == 0
    text = (tmp_path / "m.mlir").read_text()
    (tmp_path / "m.mlir").write_text(text.replace('<8x3x3x3xi8, "sha256', '<8x3x3x4xi8, "sha256').replace(
        "tensor<8x3x3x3xi8>", "tensor<8x3x3x4xi8>"))  # fmt: skip
    outcome = recon_opt(tmp_path / "m.mlir")
    assert outcome.code == 1
    assert outcome.err.endswith(" has 216 bytes, and the text says 8x3x3x4xi8, which are 288.\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<3xi8, [1, 2]>", "2 numbers given for 3 elements"),
        ("<3xi8, 128>", "128 is no i8"),
        ("<3xi8, 1.5>", "1.5 is no i8"),
        ("<2xf32, [1e39, 0]>", "1e+39 is no f32"),
        ('<2xi8, "0x00">', "1 bytes given for 2"),
        ('<2xi8, "sha256:xy">', 'expected one number, a list of numbers, seed N, "sha256:…", '
         'or bytes as "0x…"'),
        ("<99999x99999xi8, 0>", "a constant of one number or a seed has at most 268,435,456 bytes, not 9,999,800,001"),
        ("<2xi4, 0>", "'i4' is no element type of a blob; allowed are " + ", ".join(ELEMENT)),
    ],
)  # fmt: skip
def test_constants_that_are_none(content: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(f'"test.op"() {{value = #recon.blob{content}}} : () -> ()')
    assert describe(caught.value).splitlines()[0].partition(": ")[2] == message


def test_a_text_cut_anywhere_is_refused_at_once() -> None:
    text = 'builtin.module attributes {a = "' + "long " * 400 + '"} {\n  "test.op"() {b = "x\\22y"} : () -> ()\n}\n'
    for end in (*range(0, 60), *range(1000, 1010), *range(len(text) - 60, len(text) - 4)):
        start = time.process_time()
        if text[:end].strip():
            with pytest.raises(ParseError):
                read(text[:end])
        assert time.process_time() - start < 1


def test_text_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ReconError) as caught:
        read('"test.op"() ({' * 3000)
    assert str(caught.value) == "case.mlir: operations or brackets are nested too deeply in this text."


def test_a_blob_says_its_type() -> None:
    assert repr(Blob((2, 3), "i8", bytes(6))) == "2x3xi8"


LONG = (
    "%y = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, 0> scales <4xf32, [0.5, 0.25, 0.125, 1.0]> "
    'window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 0> layer "a name with -> and : and , and \\" of its own" '
    'nodes ["one", "two"]'
)


def test_long_lines_break_before_the_words_that_begin_a_part() -> None:
    assert list(broken("  " + LONG)) == [
        "  %y = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, 0> scales <4xf32, [0.5, 0.25, 0.125, 1.0]>",
        "      window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 0>"
        ' layer "a name with -> and : and , and \\" of its own"',
        '      nodes ["one", "two"]',
    ]  # fmt: skip
    assert list(broken(LONG[:200])) == [LONG[:200]]
    numbers = ", ".join(map(str, range(100)))
    pieces = list(broken(f"  %y = tile.constant <100xi8, [{numbers}]> : !tile.dram<100xi8>"))
    assert pieces[0].startswith("  %y = tile.constant <100xi8, [0, 1,")
    assert pieces[-1].endswith("99]> : !tile.dram<100xi8>")
    assert all(len(piece) <= 120 for piece in pieces)
    assert list(broken('a = "' + "x" * 300 + '"')) == ['a = "' + "x" * 300 + '"']


WORDS = ["word", "->", ":", "%x", "<3x3,", "[1,", "2]", ">", '"a b, -> c"', "x" * 130, "{", "}"]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.too_slow])  # whatever else the computer does
def test_breaking_changes_nothing_but_white_space(words: list[str]) -> None:
    line = "    " + " ".join(words)
    pieces = list(broken(line))
    assert " ".join(piece.strip(" ") for piece in pieces) == line.strip(" ")
    assert all(piece.startswith("        ") for piece in pieces[1:])


def test_every_level_breaks_its_long_lines_and_reads_them_back(recon_opt: Tool, tmp_path: Path) -> None:
    """The only lines over 200 columns left are those that a string fills."""
    model = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
    for level in LEVELS:
        path = tmp_path / f"{level}.mlir"
        for form in ((), ("--print-op-generic",)):
            assert recon_opt(model, "--to", level, "-o", path, "--force", *form).err == ""
            long = [line for line in path.read_text().splitlines() if len(re.sub('"[^"]*"', '""', line)) > 200]
            assert long == []
            again = recon_opt(path, *form)
            assert again.out == path.read_text()


def test_no_line_of_a_text_test_is_longer_than_people_read() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "tests" / "filecheck").rglob("*.mlir")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 200
    ]
    assert long == []
