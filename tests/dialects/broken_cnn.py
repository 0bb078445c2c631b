"""Bodies of the cnn level that break one rule of a verifier each, and what is said of them."""

from __future__ import annotations

T = "!cnn.tensor<1x8x8x4, scale 0.5, zero 0>"
CONV = (
    "%y = cnn.conv2d %x weights <4x3x3x4xi8, 1> bias <4xi32, 0> scales <4xf32, 0.5> window <3x3 pad 1 1 1 1> "
    "quant <scale 0.5, zero 0> clamp <-128, 127>"
)

BODY = f"\n %r = cnn.reshape %a : ({T}) -> {T}\n func.return %r : {T}\n}}"

CNN = {
    "groups of none": (
        CONV.replace("quant", "groups 0 quant") + f" : ({T}) -> {T}",
        "0 groups do not divide 4 input and 4 output channels",
    ),
    "a shape that the window does not make": (
        CONV.replace(" pad 1 1 1 1", "") + f" : ({T}) -> {T}",
        "the window <3x3> makes 1x6x6x4 of 1x8x8x4, and the result is 1x8x8x4",
    ),
    "another batch": (
        CONV + f" : ({T}) -> {T.replace('1x8x8x4', '2x8x8x4')}",
        "the window <3x3 pad 1 1 1 1> makes 1x8x8x4 of 1x8x8x4, and the result is 2x8x8x4",
    ),
    "a window larger than the image": (
        CONV.replace("4x3x3x4", "4x11x3x4").replace("3x3 pad", "11x3 pad") + f" : ({T}) -> {T}",
        "the window <11x3 pad 1 1 1 1> does not fit into 8x8 pixels with its pads",
    ),
    "a zero point of weights": (
        CONV.replace("quant", "weight_zero 300 quant") + f" : ({T}) -> {T}",
        "weight_zero is 300, and -128 to 127 are allowed",
    ),
    "scales that are no numbers": (
        CONV.replace("<4xf32, 0.5>", "<4xf32, nan>") + f" : ({T}) -> {T}",
        "scales are finite numbers, one for each output channel",
    ),
    "a result of another quantisation": (
        CONV + f" : ({T}) -> {T.replace('scale 0.5', 'scale 0.25')}",
        "the result !cnn.tensor<1x8x8x4, scale 0.25, zero 0> has not the quantisation #cnn.quant<scale 0.5, zero 0> of "
        "its last stage, the requantisation",
    ),
    "a count of pads": (
        f"%y = cnn.average_pool2d %x window <3x3 pad 1 1 1 1> count_pads 5 : ({T}) -> {T}",
        "count_pads is 5, and 0 to 1 are allowed",
    ),
    "a mean of padding alone": (
        f"%y = cnn.average_pool2d %x window <2x2 pad 2 2 2 2> -> {T.replace('8x8', '11x11')}",
        "the window <2x2 pad 2 2 2 2> lies wholly in the padding of 8x8 pixels somewhere, and a mean of nothing has no "
        "value; make the pads smaller, or count them",
    ),
    "a mean between the pixels": (
        f"%y = cnn.average_pool2d %x window <2x1 pad 2 2 0 0 dilation 11 1> -> {T.replace('8x8', '1x8')}",
        "the window <2x1 pad 2 2 0 0 dilation 11 1> lies wholly in the padding of 8x8 pixels somewhere, and a mean of "
        "nothing has no value; make the pads smaller, or count them",
    ),
    "a pad's value": (
        f"%y = cnn.pad %x pads [0, 0, 0, 0] value 300 : ({T}) -> {T}",
        "the value of the pads is 300, and -128 to 127 are allowed",
    ),
    "one factor": (
        f"%y = cnn.resize %x factors [1] : ({T}) -> {T}",
        "a resize has two factors, each at least 1, not [1]",
    ),
    "scales too far apart": (
        f"%y = cnn.add %x, %x -> {T.replace('0.5', '1e-38')}",
        "scale 0.5 is more than 2^100 times the result's scale 1.0e-38: float32 has no number for the law",
    ),
    "a mean of scales too far apart": (
        f"%y = cnn.average_pool2d %x window <3x3 pad 1 1 1 1> -> {T.replace('0.5', '1e-38')}",
        "scale 0.5 is more than 2^100 times the result's scale 1.0e-38: float32 has no number for the law",
    ),
    "a residual of scales too far apart": (
        CONV.replace("%x", "%x residual %x", 1) + f" sum <second, scale 1e-38, zero 0> -> {T.replace('0.5', '1e-38')}",
        "scale 0.5 is more than 2^100 times the result's scale 1.0e-38: float32 has no number for the law",
    ),
    "a product of scales too far apart": (
        f"%y = cnn.mul %x, %x -> {T.replace('0.5', '1e-38')}",
        "the product of scales 0.25 is more than 2^100 times the result's scale 1.0e-38: float32 has no number for the "
        "law",
    ),
    "a scale that is no number": (
        "%y = cnn.affine %x scale <4xf32, nan> offset <4xf32, 0.0>",
        "scale and offset are finite numbers, one of each for every channel",
    ),
    "an offset without end": (
        "%y = cnn.affine %x scale <4xf32, 1.0> offset <4xf32, inf>",
        "scale and offset are finite numbers, one of each for every channel",
    ),
    "three pads": (
        f"%y = cnn.pad %x pads [0, 0, 0] -> {T}",
        "pads are four numbers (top, bottom, left, right), each at least 0, not [0, 0, 0]",
    ),
    "a pad below 0": (
        "%y = cnn.pad %x pads [0, 0, -1, 0]",
        "pads are four numbers (top, bottom, left, right), each at least 0, not [0, 0, -1, 0]",
    ),
    "three pads of a window": (
        "%y = cnn.max_pool2d %x window <3x3 pad 1 1 1>",
        "'pad' is 4 numbers, not 3",
    ),
    "a column that is not there": (
        "%y = cnn.select %x columns [0, -1]",
        "index -1 is outside its operand !cnn.tensor<1x8x8x4, scale 0.5, zero 0>",
    ),
    "a step of 0": (
        f"%y = cnn.slice %x offsets [0, 0, 0, 0] steps [1, 0, 1, 1] -> {T}",
        "a slice's offsets are at least 0 and its steps at least 1, not [0, 0, 0, 0] and [1, 0, 1, 1]",
    ),
    "an offset below 0": (
        "%y = cnn.slice %x offsets [0, -1, 0, 0]",
        "a slice's offsets are at least 0 and its steps at least 1, not [0, -1, 0, 0] and [1, 1, 1, 1]",
    ),
    "a dimension twice": (
        "%y = cnn.transpose %x permutation [0, 1, 1, 3]",
        "a permutation of 4 dimensions names each of 0 to 3 once, not [0, 1, 1, 3]",
    ),
    "a dimension too few": (
        f"%y = cnn.transpose %x permutation [0, 1, 2] -> {T}",
        "a permutation of 4 dimensions names each of 0 to 3 once, not [0, 1, 2]",
    ),
    "an axis too many": (
        "%y = cnn.concat %x, %x axis 4",
        "a tensor has the axes 0 to 3, not 4",
    ),
    "an interleaving with one factor": (
        f"%y = cnn.interleave %x factors [1] -> {T}",
        "an interleaving has two factors, each at least 1, not [1]",
    ),
    "a factor of 0": (
        f"%y = cnn.resize %x factors [0, 1] : ({T}) -> {T}",
        "a resize has two factors, each at least 1, not [0, 1]",
    ),
    "a host region of other types": (
        f"%y = cnn.host %x {{\n^bb0(%a: tensor<1x8x8x4xui8>):\n cnn.yield %a : tensor<1x8x8x4xui8>\n}} : ({T}) -> {T}",
        "argument 0 of the host region is tensor<1x8x8x4xui8>, and tensor<1x8x8x4xi8> outside",
    ),
    "a host region that yields another type": (
        f"%y = cnn.host %x {{\n^bb0(%a: tensor<1x8x8x4xi8>):\n cnn.yield %a : tensor<1x8x8x4xi8>\n}} : ({T}) -> "
        "tensor<1x8x8x4xf32>",
        "yielded value 0 of the host region is tensor<1x8x8x4xi8>, and tensor<1x8x8x4xf32> outside",
    ),
    "a host region that yields less": (
        f"%y = cnn.host %x {{\n^bb0(%a: tensor<1x8x8x4xi8>):\n cnn.yield\n}} : ({T}) -> {T}",
        "a host region with 1 outside has 0 yielded values",
    ),
}
"""Bodies over ``%x``, and what is said of them."""
