"""Every rule of the verifiers, by a text that violates it: what is said, whole, where the rule is about meaning."""

from __future__ import annotations

from io import StringIO

import pytest
from xdsl.dialects.builtin import i8
from xdsl.utils.exceptions import ParseError, VerifyException
from xdsl.utils.test_value import create_ssa_value

from dialects.cnn_attributes import WindowAttr, tensor_of
from dialects.text import TextPrinter
from passes.common.problems import ModelError
from tests.dialects import broken_rules
from tests.dialects.broken_cnn import BODY, CNN, CONV, T
from tools.driver import make_context
from tools.terminal import diagnostics
from tools.terminal.diagnostics import parse_module

TILE = {
    "groups of none": (
        "%h = tile.fill half 0 %w for <direct g1 k16 r16 p4> groups 0",
        "0 groups do not divide 16 output channels",
    ),
    "a zero point of weights": (
        "%h = tile.fill half 0 %w for <direct g1 k16 r16 p4> zero 300",
        "the weights' zero point is 300, and -128 to 127 are allowed",
    ),
    "a pad's value": (
        "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1> pad_value 300",
        "pad_value is 300, and -128 to 127 are allowed",
    ),
    "bytes that are no float32": (
        "tile.conv %y[0, 0, 0] [8, 8, 14] = %x, %h window <3x3 pad 1 1 1 1> float",
        "14 bytes are no whole number of float32",
    ),
    "a table of float32": (
        "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1> params %p requantize <zero 0 clamp 0 4> table %p float",
        "a float32 result takes neither a residual nor a table",
    ),
    "an empty clamp": (
        "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1> params %p requantize <zero 0 clamp 5 4>",
        "clamp 5 4 is not within -128 to 127, the lower bound first",
    ),
    "a zero point of a result": (
        "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1> params %p requantize <zero 300 clamp 0 4>",
        "the zero point is 300, and -128 to 127 are allowed",
    ),
    "a law of no number": (
        "tile.vector copy %y = %x law <floats nan 0.0 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp 0 1 size 0>",
        "the numbers of a law are finite float32, not nan",
    ),
    "a zero point of a law": (
        "tile.vector copy %y = %x law <floats 1.0 0.0 0.0 0.0 0.0 0.0 zeros 0 -200 0 clamp 0 1 size 0>",
        "a zero point is -200, and -128 to 127 are allowed",
    ),
    "a window over what it reads": (
        "tile.conv %x = %x, %h window <3x3 pad 1 1 1 1> params %p requantize <zero 0 clamp 0 4>",
        "a convolution cannot write channels 0 to 15 of the buffer of which it reads channels 0 to 15; take another "
        "buffer for its output",
    ),
    "a pool over what it reads": (
        "tile.vector max_pool %x = %x window <3x3 pad 1 1 1 1>",
        "max_pool cannot write channels 0 to 15 of the buffer of which it reads channels 0 to 15; take another buffer "
        "for its output",
    ),
    "an output that the window does not make": (
        "tile.conv %y = %x, %h window <3x3>",
        "the window makes 6x6 of 8x8 pixels, and the output buffer has 8x8",
    ),
    "a pool that its window does not make": (
        "tile.vector max_pool %y = %x window <3x3 stride 2 2>",
        "the window makes 3x3 of 8x8 pixels, and the output buffer has 8x8",
    ),
    "a mean of padding alone": (
        "tile.vector average_pool %y = %x window <1x1 pad 8 0 8 0 stride 2 2> "
        "law <floats 1.0 1.0 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp 0 1 size 0>",
        "the window <1x1 pad 8 0 8 0 stride 2 2> lies wholly in the padding of 8x8 pixels somewhere, and a mean of "
        "nothing has no value; make the pads smaller, or count them",
    ),
    "channels that the input does not have": (
        "tile.conv %y = %x[4] [16], %h window <3x3 pad 1 1 1 1>",
        "input channels 4 to 19 are asked for, and the buffer has 16",
    ),
    "channels that an operand does not have": (
        "tile.vector copy %y = %x[1]",
        "channels of the first operand 1 to 16 are asked for, and the buffer has 16",
    ),
    "a load that leaves its buffer": (
        "tile.load %x[0, 0, 0] [9, 8, 16] from %in[0, 0, 0]",
        "target: offset 0 and size 9 leave dimension 0 of !tile.sram<8x8x16xi8>, which has 8",
    ),
    "a tile that leaves its buffer": (
        "tile.conv %y[4, 0, 0] [5, 8, 16] = %x, %h window <3x3 pad 1 1 1 1>",
        "output: offset 4 and size 5 leave dimension 0 of !tile.sram<8x8x16xi8>, which has 8",
    ),
    "sizes left out": (
        "tile.load %x[0, 0, 0] [8, 8] from %in[0, 0]",
        "target: 3 offsets and 2 sizes are given for a buffer of 3 dimensions, !tile.sram<8x8x16xi8>",
    ),
    "an average of nothing said": (
        "tile.vector average_pool %y = %x window <3x3 pad 1 1 1 1> law <floats 1.0 1.0 0.0 0.0 0.0 0.0 zeros 0 0 0 "
        "clamp 0 1 size 7>",
        "the size of an average pool, which counts padded positions if it is 1, is 7, and 0 to 1 are allowed",
    ),
    "a window of no channels": (
        "tile.vector lrn %y = %x law <floats 1.0 1.0 0.0 1.0 1.0 1.0 zeros 0 0 0 clamp 0 1 size 0>",
        "the size of lrn is at least 1, not 0",
    ),
    "a constant of another size": (
        "%c = tile.constant <5xi8, 0> : !tile.dram<2x2xi8>",
        "5xi8 is 5 bytes and does not fill !tile.dram<2x2xi8>, which is 4",
    ),
    "an address below 0": (
        '%c = "tile.alloc"() <{address = -64 : i64}> : () -> !tile.sram<8xi8>',
        "an address is at least 0, not -64",
    ),
}
"""Lines of a plan, and what is said of them."""

ACCEL = {
    "two constants on one place": (
        "%a = accel.dram constant <64xi8, 1> at 0\n %b = accel.dram constant <64xi8, 2> at 0",
        "%a is bytes 0 to 63 of DRAM, and %b begins at 0; regions share no byte",
    ),
    "a constant and an image": (
        "%a = accel.dram image <direct g1 k1 r1 p1> 16384xi8 at 0\n %b = accel.dram constant <64xi8, 2> at 16320",
        "%a is bytes 0 to 16383 of DRAM, and %b begins at 16320; regions share no byte",
    ),
    "an output over an input": (
        '%a = accel.dram input "a" 128xi8 at 0\n %b = accel.dram output "b" 64xi8 at 64',
        "%a is bytes 0 to 127 of DRAM, and %b begins at 64; regions share no byte",
    ),
    "ports of one name": (
        '%a = accel.dram input "x" 64xi8\n %b = accel.dram output "x" 64xi8',
        "two regions are called 'x'; every input and output has a name of its own",
    ),
    "a life that ends before it begins": (
        "%a = accel.buffer 64 plan 5 3",
        "a buffer's plan is the numbers of two instructions in their order, not 5 3",
    ),
    "a buffer below 0": (
        '%a = "accel.buffer"() <{size = 64 : i64, address = -1 : i64}> : () -> !accel.sram',
        "an address is at least 0, not -1",
    ),
    "a region of nothing": (
        '%a = accel.dram scratch 0x8xi8',
        "a region has at least one byte, not 0x8",
    ),
}  # fmt: skip
"""Lines of a program, and what is said of them."""

X = f'%x = "test.op"() : () -> {T}\n'
OTHER = '%v = "test.op"() : () -> !cnn.tensor<1x1x1x6, scale 0.5, zero 0>\n'
SRAM = '%x, %d = "test.op"() : () -> (!tile.sram<8x8x16xi8>, !tile.dram<8x8x16xi8>)\n'
MOVE = (
    '"tile.load"(%x, %d) <{{target_slice = #tile.slice<[0, 0, 0] [8, 8, 16]>, source_slice = #tile.slice<[0, 0, 0] '
    "{}>}}> : ({}, !tile.dram<8x8x16xi8>) -> ()"
)
ACCEL_MEMORY = (
    'accel.program @main machine "edge4k" {\n %in = accel.dram input "in" 64xi8\n %a = accel.buffer 64\n '
    '%e = "accel.load"(%in, %a) <{fields = #accel.fields<[0, 0, 64, 1, 1, 0, 0, 0, 0, 0, 0]>, '
    "places = #accel.places<[dram, sram]>, operandSegmentSizes = array<i32: 2, 0>}> "
    ": (!accel.dram, !accel.sram) -> !accel.event\n}"
)

MORE = {
    "a convolution of no part": (
        X + CONV.replace("quant", "count 0 quant"),
        "count is 0, and 1 to 16777216 are allowed",
    ),
    "weights of another number": (
        X + CONV.replace("4x3x3x4", "5x3x3x4") + f" -> {T}",
        "weights must be 4xRxSxCxi8, got 5x3x3x4xi8",
    ),
    "a residual of another shape": (
        X + OTHER + CONV.replace("%x", "%x residual %v", 1) + " sum <first, scale 0.5, zero 0>",
        "the residual !cnn.tensor<1x1x1x6, scale 0.5, zero 0> has not the result's shape",
    ),
    "operands of other shapes": (
        X + OTHER + "%y = cnn.add %x, %v",
        "shapes (1, 8, 8, 4), (1, 1, 1, 6) and (1, 8, 8, 4) do not fit together",
    ),
    "a product beyond float32": (
        X.replace("0.5", "2e20") + f"%y = cnn.mul %x, %x -> {T.replace('0.5', '3e38')}",
        "the product of scales 2.0e+20 and 2.0e+20 is beyond float32",
    ),
    "a kernel of nothing": (
        X + "%y = cnn.max_pool2d %x window <0x3>",
        "kernel sizes, strides and dilations are at least 1 and pads at least 0",
    ),
    "a third operand": (
        X + CONV.replace("%x", "%x residual %x", 1) + " sum <third, scale 0.5, zero 0>",
        "the residual is the sum's first or second operand, or wide, not 'third'",
    ),
    "a box of nothing": (
        SRAM + "tile.load %x[0, 0, 0] [0, 8, 16] from %d[0, 0, 0]",
        "target: size 0 in dimension 0",
    ),
    "boxes of two sizes": (
        SRAM + MOVE.format("[8, 4, 16]", "!tile.sram<8x8x16xi8>"),
        "both slices of a move have the same sizes",
    ),
    "a load into no buffer": (
        '%x, %d = "test.op"() : () -> (i8, !tile.dram<8x8x16xi8>)\n' + MOVE.format("[8, 8, 16]", "i8"),
        "expected a buffer, got i8",
    ),
    "a vector operation on a table": (
        SRAM + '%t = "test.op"() : () -> !tile.sram<256xi8>\ntile.vector copy %x = %t[0]',
        "a vector operation works on HxWxC buffers",
    ),
    "a buffer of nothing": (
        "%x = tile.alloc : !tile.sram<0x4xi8>",
        "a buffer has one to four dimensions, each at least 1",
    ),
    "a ring of all rows": (
        "%x = tile.alloc : !tile.sram<8x8x16xi8, ring 8>",
        "a ring of 8 rows for 8 rows is no ring",
    ),
    "fields left out": (
        ACCEL_MEMORY.replace("[0, 0, 64, 1, 1, 0, 0, 0, 0, 0, 0]", "[0, 0, 64]"),
        "load has 11 fields, not 3",
    ),
    "a place too few": (
        ACCEL_MEMORY.replace("[dram, sram]", "[dram]"),
        "2 memory operands for 1 address fields",
    ),
    "a place of another instruction": (
        ACCEL_MEMORY.replace("[dram, sram]", "[dram, params]"),
        "'params' is no address field of load",
    ),
}
"""Whole texts, and what is said of them."""

TWICE = {
    "%x = tile.alloc : !tile.sram<8x8x16xi8, ring 3, ring 4>": "'ring' is given twice",
    "%x = tile.alloc : !tile.sram<8x8x16xi8, columns 0 to 4, columns 0 to 2>": "'columns' is given twice",
    ACCEL_MEMORY.partition("%e")[0] + "%e = accel.load dram(%in) sram(%a) {bytes = 64, bytes = 32}\n}":
        "'bytes' is given twice",
    ACCEL_MEMORY.partition("%e")[0] + "%e = accel.load dram(%in) sram(%a) sram(%a + 1) {bytes = 64}\n}":
        "'sram' is given twice",
    ACCEL_MEMORY.partition("%e")[0] + "%e = accel.load dram(%in) sram(%a) {bytes = 64} waits <array 2, array 3>\n}":
        "'array' is given twice",
}  # fmt: skip
"""Parts given twice, of which the last would win in silence."""

MADE = {
    "half a window": (
        lambda: WindowAttr.of((3, 3), (0, 0)),
        "a window has 2 kernel sizes, 4 pads, 2 strides and 2 dilations",
    ),
    "no tensor": (lambda: tensor_of(create_ssa_value(i8)), "expected a cnn tensor, got i8"),
}
"""What no text can say, as Python makes it."""

HEAD = """
tile.schedule @main machine "edge4k" (%in: !tile.dram<8x8x16xi8>) -> (%out: !tile.dram<8x8x16xi8>) {
  %x = tile.alloc : !tile.sram<8x8x16xi8>
  %y = tile.alloc : !tile.sram<8x8x16xi8>
  %w = tile.alloc : !tile.sram<16x3x3x16xi8>
  %p = tile.alloc : !tile.sram<16x8xi8>
"""


def refusal(text: str) -> str:
    """The first line of what is said of a text."""
    with pytest.raises((VerifyException, ParseError)) as caught:
        diagnostics.verify(parse_module(make_context(), text, "x.mlir"))
    first = diagnostics.describe(caught.value).splitlines()[0]
    return first.partition(": ")[2] if first.startswith("x.mlir:") else first


@pytest.mark.parametrize("name", CNN)
def test_cnn(name: str) -> None:
    body, message = CNN[name]
    assert refusal(f'%x = "test.op"() : () -> {T}\n{body}') == message


@pytest.mark.parametrize("name", TILE)
def test_tile(name: str) -> None:
    body, message = TILE[name]
    fill = "%h = tile.fill half 0 %w for <direct g1 k16 r16 p4>\n" if "%h =" not in body else ""
    assert refusal(f"{HEAD}{fill}{body}\n}}") == message


@pytest.mark.parametrize("name", MORE)
def test_whole_texts(name: str) -> None:
    text, message = MORE[name]
    assert refusal(text) == message


@pytest.mark.parametrize("text", TWICE)
def test_what_is_given_twice(text: str) -> None:
    assert refusal(text) == TWICE[text]


@pytest.mark.parametrize("name", broken_rules.TEXTS)
def test_other_texts(name: str) -> None:
    text, message = broken_rules.TEXTS[name]
    assert refusal(text).startswith(message)


@pytest.mark.parametrize("name", broken_rules.GENERIC)
def test_generic_forms(name: str) -> None:
    text, (before, after), message = broken_rules.GENERIC[name]
    stream = StringIO()
    TextPrinter(stream, print_generic_format=True).print_op(parse_module(make_context(), text, "x.mlir"))
    assert before in stream.getvalue(), stream.getvalue()
    assert refusal(stream.getvalue().replace(before, after)).startswith(message)


@pytest.mark.parametrize("name", MADE)
def test_what_no_text_can_say(name: str) -> None:
    make, message = MADE[name]
    with pytest.raises(VerifyException) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ACCEL)
def test_accel(name: str) -> None:
    body, message = ACCEL[name]
    assert refusal(f'accel.program @main machine "edge4k" {{\n {body}\n}}') == message


def test_constants_of_equal_bytes_share_a_place() -> None:
    text = "%a = accel.dram constant <64xi8, 1> at 0\n %b = accel.dram constant <64xi8, 1> at 0"
    diagnostics.verify(parse_module(make_context(), f'accel.program @main machine "edge4k" {{\n {text}\n}}', "x.mlir"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'%y = cnn.table %x table <256xi8, seed 1> {{confguration = 1 : i64}} : ({T}) -> {T}',
         "x.mlir:2:1: The module: cnn.table %y: it has no attribute 'confguration'; did you mean 'function'?"),
        (CONV + f" {{confguration = 1 : i64}} : ({T}) -> {T}",
         "x.mlir:2:1: The module: cnn.conv2d %y: it has no attribute 'confguration'; did you mean 'configuration'?"),
        (CONV + f' {{configuration = "foo"}} : ({T}) -> {T}',
         'x.mlir:2:1: The module: cnn.conv2d %y: its configuration is a tile.configuration, not "foo".'),
        (f"%y = cnn.reshape %x layer \"a\" : ({T}) -> {T}\n%z = cnn.reshape %y layer \"a\" : ({T}) -> {T}",
         "x.mlir:3:1: The module: cnn.reshape %z: the layer 'a' is defined twice, first at x.mlir:2:1."),
        (f'func.func @main(%a: {T}) -> {T} attributes {{inputs = ["a", "b"]}} {{{BODY}',
         "x.mlir:2:1: The module: func.func: its inputs name 2 of 1 arguments; name each, or none."),
        (f'func.func @main(%a: {T}) -> {T} attributes {{outputs = "a"}} {{{BODY}',
         "x.mlir:2:1: The module: func.func: its outputs are a list of names, one for every result."),
        (f'func.func @main(%a: {T}) -> {T} attributes {{inputs = ["b"], outputs = ["b"]}} {{{BODY}',
         "x.mlir:2:1: The module: func.func: an input and an output are called 'b'; tensors go by their names."),
        (f'func.func @main(%output0: {T}) -> {T} {{{BODY.replace("%a", "%output0")}',
         "x.mlir:2:1: The module: func.func: an input and an output are called 'output0'; tensors go by their names."),
        (f'func.func @main(%a: {T}, %b: {T}) -> {T} attributes {{inputs = ["a", "a"]}} {{{BODY}',
         "x.mlir:2:1: The module: func.func: two of its inputs are called 'a'."),
    ],
)  # fmt: skip
def test_names_and_attributes(text: str, message: str) -> None:
    module = parse_module(make_context(), f'%x = "test.op"() : () -> {T}\n{text}', "x.mlir")
    module.verify()
    with pytest.raises((VerifyException, ModelError)) as caught:
        diagnostics.verify(module)
    assert message in str(caught.value)


def test_an_attribute_of_ones_own_has_a_dot() -> None:
    text = f'%x = "test.op"() : () -> {T}\n%y = cnn.reshape %x {{my.mark}} : ({T}) -> {T}'
    diagnostics.verify(parse_module(make_context(), text, "x.mlir"))


def test_parts_come_in_any_order_and_whole_buffers_need_no_box() -> None:
    body = (
        "%h = tile.fill half 0 %w for <direct g1 k16 r16 p4>\n tile.load %x from %in\n"
        "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1> {} \n}}"
    )
    parts = (
        "params %p requantize <zero 0 clamp 0 4> pad_value 3",
        "pad_value 3 params %p[0] requantize <zero 0 clamp 0 4>",
    )
    one, other = (parse_module(make_context(), HEAD + body.format(part), "x.mlir") for part in parts)
    assert one.is_structurally_equivalent(other)
    assert "tile.load %x[0, 0, 0] [8, 8, 16] from %in[0, 0, 0]" in str(one)
    assert refusal(HEAD + body.format("pad_value 3 pad_value 4")) == "'pad_value' is given twice"
