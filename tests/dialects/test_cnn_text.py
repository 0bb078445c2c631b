"""What is implied may be left out of a cnn operation: printed short, read short and long."""

from __future__ import annotations

import re

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import ParseError

from dialects.cnn import CNN
from tests.dialects.test_text import check_reads_back, text_of
from tools.driver import make_context
from tools.terminal.diagnostics import describe, parse_module

X = "!cnn.tensor<1x8x8x4, scale 0.5, zero 3>"
V = "!cnn.tensor<1x1x1x4, scale 0.25, zero -1>"
CONV = "weights <6x3x3x4xi8, seed 1> bias <6xi32, 0> scales <6xf32, 0.5> window <3x3 stride 2 2> quant"
OTHER = X.replace("scale 0.5, zero 3", "scale 1.0, zero 0")

SHORT = {
    "conv2d": (f"%x {CONV} <scale 0.1, zero 7>", "1x3x3x6, scale 0.1, zero 7"),
    "conv2d with a sum": (
        f"%x residual %r {CONV} <scale 0.1, zero 7> sum <second, scale 0.2, zero 1>",
        "1x3x3x6, scale 0.2, zero 1",
    ),
    "fully_connected": (
        "%v weights <6x1x1x4xi8, 1> bias <6xi32, 0> scales <6xf32, 0.5> quant <scale 0.1, zero 7>",
        "1x1x1x6, scale 0.1, zero 7",
    ),
    "max_pool2d": ("%x window <2x2 stride 2 2>", "1x4x4x4, scale 0.5, zero 3"),
    "average_pool2d": ("%x window <3x3 pad 1 1 1 1>", "1x8x8x4, scale 0.5, zero 3"),
    "global_average_pool": ("%x", "1x1x1x4, scale 0.5, zero 3"),
    "add": ("%x, %v", "1x8x8x4, scale 0.5, zero 3"),
    "sub": ("%x, %x", "1x8x8x4, scale 0.5, zero 3"),
    "mul": ("%x, %v", "1x8x8x4, scale 0.5, zero 3"),
    "max": ("%x, %x", "1x8x8x4, scale 0.5, zero 3"),
    "min": ("%x, %x", "1x8x8x4, scale 0.5, zero 3"),
    "table": ("%x table <256xi8, seed 1>", "1x8x8x4, scale 0.5, zero 3"),
    "affine": ("%x scale <4xf32, 1.0> offset <4xf32, 0.5>", "1x8x8x4, scale 0.5, zero 3"),
    "lrn": ("%x size 5 alpha 1.000000e+00 beta 7.500000e-01 bias 1.000000e+00", "1x8x8x4, scale 0.5, zero 3"),
    "concat": ("%x, %x, %x", "1x8x8x12, scale 0.5, zero 3"),
    "concat of rows": ("%x, %x axis 1", "1x16x8x4, scale 0.5, zero 3"),
    "slice": ("%x offsets [0, 1, 0, 2] steps [1, 2, 1, 1]", "1x4x8x2, scale 0.5, zero 3"),
    "pad": ("%x pads [1, 0, 2, 0]", "1x9x10x4, scale 0.5, zero 3"),
    "resize": ("%x factors [2, 3]", "1x16x24x4, scale 0.5, zero 3"),
    "select": ("%x rows [7, 0, 0] channels [3, 1]", "1x3x8x2, scale 0.5, zero 3"),
    "interleave": ("%x, %x factors [1, 2]", "1x8x16x4, scale 0.5, zero 3"),
    "transpose": ("%x permutation [0, 3, 1, 2]", "1x4x8x8, scale 0.5, zero 3"),
    "channel_shuffle": ("%x groups 2", "1x8x8x4, scale 0.5, zero 3"),
}
"""Operations without the type of their result, and the type that is implied."""

NOT_IMPLIED = {
    "reshape": "%x",
    "transpose": "%x factors [8, 4, 2, 2, 2] permutation [0, 3, 1, 4, 2]",
}


def read(body: str) -> ModuleOp:
    values = f'%x, %v, %r = "test.op"() : () -> ({X}, {V}, !cnn.tensor<1x3x3x6, scale 0.5, zero 3>)\n'
    return parse_module(make_context(), values + body, "case.mlir")


def test_every_operation_is_here() -> None:
    names = {op.name.removeprefix("cnn.") for op in CNN.operations}
    assert {name.split()[0] for name in SHORT} | set(NOT_IMPLIED) == names - {"constant", "host", "yield"}


@pytest.mark.parametrize("name", SHORT)
def test_types_that_follow_are_left_out(name: str) -> None:
    text, implied = SHORT[name]
    operation = f'%y = cnn.{name.split()[0]} {text} layer "a"'
    types = {"%x": X, "%v": V, "%r": "!cnn.tensor<1x3x3x6, scale 0.5, zero 3>"}
    operands = ", ".join(types[value] for value in re.findall(r"%[xvr]", text))
    short, arrow = read(operation), read(f"{operation} -> !cnn.tensor<{implied}>")
    long = read(f"{operation} : ({operands}) -> !cnn.tensor<{implied}>")
    assert short.is_structurally_equivalent(long)
    assert short.is_structurally_equivalent(arrow)
    short.verify()
    assert text_of(short).splitlines()[2].strip() == operation
    check_reads_back(short)


@pytest.mark.parametrize("name", ["table", "add", "average_pool2d"])
def test_another_type_stands_behind_an_arrow(name: str) -> None:
    text, implied = SHORT[name]
    module = read(f"%y = cnn.{name} {text} -> !cnn.tensor<{implied.replace('0.5, zero 3', '1.0, zero 0')}>")
    module.verify()
    assert "scale 1.0, zero 0>" in text_of(module)
    check_reads_back(module)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        *(
            (f"%y = cnn.{name} {text}", "the result's type does not follow from the operands: write it behind '->'")
            for name, text in NOT_IMPLIED.items()
        ),
        ("%y = cnn.add %x, %z", "%z is not defined above"),
        ("%y = cnn.max_pool2d %x window <9x9>", "the window <9x9> does not fit into 8x8 pixels with its pads"),
        (
            "%y = cnn.slice %x offsets [0, 9, 0, 0]",
            "a cnn tensor has four dimensions N, H, W, C, each at least 1",
        ),
    ],
)
def test_a_type_that_does_not_follow(body: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(body)
    assert describe(caught.value).splitlines()[0].partition(": ")[2] == message


def test_a_clamp_to_all_of_int8_is_none() -> None:
    text = f"%y = cnn.conv2d %x {CONV} <scale 0.1, zero 7>"
    assert read(text).is_structurally_equivalent(read(f"{text} clamp <-128, 127>"))
    summed = f"%y = cnn.conv2d %x residual %r {CONV} <scale 0.1, zero 7> sum <first, scale 0.2, zero 1"
    assert read(f"{summed}>").is_structurally_equivalent(read(f"{summed}, clamp -128, 127>"))


def test_types_have_aliases() -> None:
    aliased = parse_module(
        make_context(),
        "!image = !cnn.tensor<1x8x8x4, scale 0.5, zero 3>\n"
        "func.func @main(%x: !image) -> !image {\n %y = cnn.add %x, %x : (!image, !image) -> !image\n"
        " func.return %y : !image\n}",
        "case.mlir",
    )
    plain = parse_module(make_context(), text_of(aliased), "case.mlir")
    assert f"func.func @main(%x: {X}) -> {X}" in text_of(aliased)
    assert plain.is_structurally_equivalent(aliased)
