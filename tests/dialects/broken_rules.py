"""Texts that break one rule of a verifier each, and what is said of them, for the rules that need more than a body."""

from __future__ import annotations

T = "!cnn.tensor<1x8x8x4, scale 0.5, zero 0>"
V = "!cnn.tensor<1x1x1x4, scale 0.5, zero 0>"
X = f'%x, %v = "test.op"() : () -> ({T}, {V})\n'
BUFFERS = (
    '%x, %y, %w, %p, %t = "test.op"() : () -> (!tile.sram<8x8x16xi8>, !tile.sram<8x8x16xi8>, '
    "!tile.sram<16x3x3x16xi8>, !tile.sram<16x8xi8>, !tile.sram<256xi8>)\n"
    '%in, %h = "test.op"() : () -> (!tile.dram<8x8x16xi8>, !tile.half)\n'
)
CONV = "tile.conv %y = %x, %h window <3x3 pad 1 1 1 1>"
LAST = " params %p requantize <zero 0 clamp 0 4>"
MOVE = "tile.move %y[0, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 1, column 1 sizes [8, 8, 16]"
SEGMENTS = "operandSegmentSizes = array<i32: 1, 1, 1, "

TEXTS: dict[str, tuple[str, str]] = {
    "dense weights of another depth": (
        X + "%y = cnn.fully_connected %v weights <2x1x1x5xi8, 1> bias <2xi32, 0> scales <2xf32, 1.0> "
        "quant <scale 0.5, zero 0>",
        "weights must be Kx1x1x4xi8, got 2x1x1x5xi8",
    ),
    "a mean of another shape": (
        X + f"%y = cnn.global_average_pool %x -> {T}",
        f"the result must be 1x1x1x4, got {T}",
    ),
    "a short table": (X + "%y = cnn.table %x table <255xi8, 0>", "a table is 256xi8, got 255xi8"),
    "a factor too few": (
        X + "%y = cnn.affine %x scale <3xf32, 1.0> offset <4xf32, 1.0>",
        "scale and offset are one f32 per channel, got 3xf32",
    ),
    "a constant of another shape": (
        f"%y = cnn.constant <1x1x1x4xi8, 0> : {T}",
        "the value must be 1x8x8x4xi8, got 1x1x1x4xi8",
    ),
    "a host region without an end": (
        X + f'%y = cnn.host %v {{\n^bb0(%a: tensor<1x1x1x4xi8>):\n "test.termop"() : () -> ()\n}} : ({V}) -> {V}',
        "a host region ends with cnn.yield",
    ),
    "a shuffle that makes rows": (
        X + f"%y = cnn.channel_shuffle %x groups 2 -> {T.replace('8x8x4', '4x16x4')}",
        "a channel shuffle keeps the shape",
    ),
    "a reshape of another size": (
        X + f"%y = cnn.reshape %x -> {V}",
        f"{T} and {V} do not hold as many elements",
    ),
    "factors that make another shape": (
        X + f"%y = cnn.resize %x factors [2, 2] -> {T}",
        f"factors 2, 2 do not make {T} of {T}",
    ),
    "an offset too few": (
        X + f"%y = cnn.slice %x offsets [0, 0, 0] -> {T}",
        "a slice has four offsets and four steps",
    ),
    "a slice beyond its operand": (
        X + f"%y = cnn.slice %x offsets [0, 1, 0, 0] -> {T}",
        f"the slice leaves its operand {T}",
    ),
    "a permutation of another shape": (
        X + f"%y = cnn.transpose %x permutation [0, 3, 1, 2] -> {T}",
        f"permutation [0, 3, 1, 2] does not make {T} of {T}",
    ),
    "a schedule on chip": (
        'tile.schedule @main machine "edge4k" (%a: !tile.sram<8xi8>) -> () {\n}',
        "a schedule takes and gives DRAM tensors",
    ),
    "two frames": (
        'tile.schedule @main machine "edge4k" () -> () {\n tile.frame\n tile.frame\n}',
        "a schedule has one tile.frame at most: below it everything is done for every frame",
    ),
    "a view of another size": (
        BUFFERS + "%z = tile.view %x : !tile.sram<8x8x16xi8> to !tile.sram<8x8x8xi8>",
        "!tile.sram<8x8x16xi8> cannot be seen as !tile.sram<8x8x8xi8>",
    ),
    "a loop that stands": (
        'tile.schedule @main machine "edge4k" () -> () {\n tile.for %i = 0 to 4 step 0 {\n }\n}',
        "a loop's step is at least 1",
    ),
    "a load on chip": (BUFFERS + "tile.load %x from %y", "a load goes from DRAM to SRAM"),
    "a store on chip": (BUFFERS + "tile.store %x from %y", "a store goes from SRAM to DRAM"),
    "weights of three dimensions": (
        BUFFERS + "%g = tile.fill half 0 %x for <direct g1 k16 r16 p4>",
        "weights are KxRxSxC",
    ),
    "a third half": (
        BUFFERS + "%g = tile.fill half 2 %w for <direct g1 k16 r16 p4>",
        "L1 has halves 0 and 1, not 2",
    ),
    "a convolution of a table": (
        BUFFERS + CONV.replace("= %x", "= %t[0] [16]"),
        "a convolution works on HxWxC buffers",
    ),
    "a table without a last pass": (
        BUFFERS + CONV + " table %t",
        "only a last pass (with requantize) adds a residual or looks up a table",
    ),
    "a float32 result cut": (
        BUFFERS + CONV.replace("%y =", "%y[0, 0, 0] [8, 8, 6] =") + " float",
        "6 bytes are no whole number of float32",
    ),
    "a table of float32": (
        BUFFERS + CONV + LAST + " float table %t",
        "a float32 result takes neither a residual nor a table",
    ),
    "an operation that is not there": (
        BUFFERS + "tile.vector cube %y = %x[0]",
        "the vector unit has no 'cube'; it has ",
    ),
    "parameters that are no rows": (
        BUFFERS + CONV + LAST.replace("%p", "%x"),
        "params are a buffer of Kx8 bytes, a row for every channel, not !tile.sram<8x8x16xi8>",
    ),
    "parameters that are a table": (
        BUFFERS + "tile.vector affine %y = %x[0] params %t[0]",
        "params are a buffer of Kx8 bytes, a row for every channel, not !tile.sram<256xi8>",
    ),
    "a table of rows": (
        BUFFERS + CONV + LAST + " table %p",
        "a table is a buffer of 256 bytes, not !tile.sram<16x8xi8>",
    ),
    "a table that is an image": (
        BUFFERS + "tile.vector table %y = %x[0] table %x",
        "a table is a buffer of 256 bytes, not !tile.sram<8x8x16xi8>",
    ),
    "groups that do not divide": (
        BUFFERS + "tile.vector shuffle %y = %x[0] "
        "law <floats 0.0 0.0 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp -128 127 size 3>",
        "3 groups do not divide 16 channels",
    ),
    "a mean of all in every pixel": (
        BUFFERS + "tile.vector global_average_pool %y = %x[0]",
        "global_average_pool makes one pixel of its whole operand, not 8x8",
    ),
    "a move of nothing": (
        BUFFERS + MOVE.replace("[8, 8, 16]", "[8, 0, 16]"), "a move has three sizes, each at least 1",
    ),
    "a move onto itself": (
        BUFFERS + MOVE.replace("by row 1, column 1 =", "by row 0, column 1 ="),
        "output: a move writes every element once, so its steps are at least 1",
    ),
    "a move of a table": (BUFFERS + MOVE.replace("= %x", "= %t"), "a move works on HxWxC buffers"),
    "a move beyond its buffer": (
        BUFFERS + MOVE.replace("%x[0", "%x[1"),
        "input: row 1 to 8 leave !tile.sram<8x8x16xi8>",
    ),
    "a part of a table": (
        "%x = tile.alloc : !tile.sram<256xi8, columns 0 to 4>",
        "only a buffer of rows, columns and channels stores a part of itself",
    ),
    "a part that is all": (
        "%x = tile.alloc : !tile.sram<8x8x16xi8, columns 0 to 8>",
        "all of 8 columns and 16 channels is no part",
    ),
    "a part beyond its buffer": (
        "%x = tile.alloc : !tile.sram<8x8x16xi8, columns 4 to 9>",
        "columns 4 to 9 are none of 8",
    ),
    "two frames of a program": (
        'accel.program @main machine "edge4k" {\n accel.frame\n accel.frame\n}',
        "a program has one accel.frame at most: below it everything runs for every frame",
    ),
    "an operation of another dialect": (
        'accel.program @main machine "edge4k" {\n "test.op"() : () -> ()\n}',
        "a program holds memory and instructions, and no test.op",
    ),
    "half an image": (
        'accel.program @main machine "edge4k" {\n %a = accel.dram image <direct g1 k1 r1 p1> 16xi8\n}',
        "a configuration image has at least 64 bytes, not 16",
    ),
    "cycles below 0": (
        'accel.program @main machine "edge4k" cycles -1 {\n}',
        "a program takes no cycles below 0, not -1",
    ),
    "a buffer of nothing": (
        'accel.program @main machine "edge4k" {\n %a = accel.buffer 0\n}',
        "a buffer has at least one byte, not 0",
    ),
}  # fmt: skip
"""By name the text and the beginning of what is said of it."""

GENERIC: dict[str, tuple[str, tuple[str, str], str]] = {
    "channels in a box": (
        BUFFERS + CONV, ("channels = #tile.slice<[0] [16]>", "channels = #tile.slice<[0, 0] [16, 1]>"),
        "input channels are one offset and one size",
    ),
    "params that requantize nothing": (
        BUFFERS + CONV + LAST, (", requantize = #tile.requantize<zero 0 clamp 0 4>", ""),
        "params come with requantize, a residual with its sum",
    ),
    "params from no channel": (
        BUFFERS + "tile.vector affine %y = %x[0] params %p[0]", (", params_offset = #tile.slice<[0] [1]>", ""),
        "params come with the channel they start at",
    ),
    "a view of DRAM": (
        BUFFERS + "%z = tile.view %x : !tile.sram<8x8x16xi8> to !tile.sram<8x8x16xi8>",
        ('"tile.view"(%x) : (!tile.sram<8x8x16xi8>)', '"tile.view"(%in) : (!tile.dram<8x8x16xi8>)'),
        "operand 'input' at position 0 does not verify",
    ),
    "a scratch of a value": (
        'accel.program @main machine "edge4k" {\n %a = accel.dram scratch 8xi8\n}',
        ('kind = "scratch"', 'kind = "scratch", value = #recon.blob<8xi8, 0>'),
        "a region of kind scratch has no value",
    ),
    "a constant of a shape": (
        'accel.program @main machine "edge4k" {\n %a = accel.dram constant <8xi8, 0>\n}',
        ('kind = "constant"', 'kind = "constant", shape = array<i64: 8>'),
        "a constant, and no other region, has its shape from its value",
    ),
}  # fmt: skip
"""What only the generic form can say: a right text, what is changed in its generic form, what is said."""
