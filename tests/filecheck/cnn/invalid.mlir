// RUN: recon-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// CHECK: scale 0.0 is not a positive float32
%x = "test.op"() : () -> !cnn.tensor<1x8x8x4, scale 0.0, zero 3>

// -----
// CHECK: zero point 300 is outside [-128, 127]
%x = "test.op"() : () -> !cnn.tensor<1x8x8x4, scale 0.5, zero 300>

// -----
// CHECK: a cnn tensor has four dimensions N, H, W, C, each at least 1
%x = "test.op"() : () -> !cnn.tensor<8x8x4, scale 0.5, zero 3>

// -----
// CHECK: clamp 5 4 is not within -128 to 127, the lower bound first
%x = "test.op"() : () -> !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
%y = cnn.global_average_pool %x clamp <5, 4> : (!cnn.tensor<1x1x1x4, scale 0.5, zero 3>) -> !cnn.tensor<1x1x1x4, scale 0.5, zero 3>

// -----
// CHECK: 3 groups do not divide 4 input and 2 output channels
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.conv2d %x weights <2x1x1x4xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1> groups 3 quant <scale 0.25, zero 7> clamp <7, 127>

// -----
// CHECK: a wide sum is rounded once: its quantisation is the convolution's
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.conv2d %x residual %x weights <2x1x1x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1>
    quant <scale 0.5, zero 7> clamp <7, 127> sum <wide, scale 0.25, zero 7, clamp 7, 127>

// -----
// CHECK: a float result is in units of 1 and not clamped: scale 1.0, zero 0, clamp -128, 127
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.conv2d %x weights <2x1x1x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1>
    quant <scale 1.0, zero 0> clamp <0, 127> -> !cnn.float<1x4x4x2>

// -----
// CHECK: a float result is final: neither a residual nor a table comes behind it
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.conv2d %x weights <2x1x1x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1>
    quant <scale 1.0, zero 0> table <256xi8, seed 2> -> !cnn.float<1x4x4x2>

// -----
// CHECK: a cnn tensor has four dimensions N, H, W, C, each at least 1
%x = "test.op"() : () -> !cnn.float<1x4x0x2>

// -----
// CHECK: !cnn.float<1x4x4x2> should be of base attribute cnn.tensor
%x = "test.op"() : () -> !cnn.float<1x4x4x2>
%y = cnn.reshape %x : (!cnn.float<1x4x4x2>) -> !cnn.tensor<1x1x1x32, scale 0.5, zero 3>

// -----
// CHECK: a residual operand and its sum come together
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.conv2d %x residual %x weights <2x1x1x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <7, 127>

// -----
// CHECK: a fully connected layer takes and gives Nx1x1xC; reshape before it
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.fully_connected %x weights <2x1x1x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> quant <scale 0.25, zero 7> clamp <7, 127>

// -----
// CHECK: an operand's quantisation differs from the result's: requantise it first
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.concat %x -> !cnn.tensor<1x4x4x2, scale 0.5, zero 4>

// -----
// CHECK: the slice leaves its operand
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.slice %x offsets [0, 1, 0, 0] -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>

// -----
// CHECK: pads [1, 0, 0, 0] do not make !cnn.tensor<1x4x4x2, scale 0.5, zero 3> of !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.pad %x pads [1, 0, 0, 0] -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>

// -----
// CHECK: 3 groups do not divide 4 channels
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.channel_shuffle %x groups 3

// -----
// CHECK: max_pool2d moves codes: its result !cnn.tensor<1x4x4x4, scale 0.5, zero 0> has another scale or zero point than its operand
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.max_pool2d %x window <1x1> -> !cnn.tensor<1x4x4x4, scale 0.5, zero 0>

// -----
// CHECK: table keeps the shape: it does not make !cnn.tensor<1x9x9x16, scale 0.5, zero 3> of !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%y = cnn.table %x table <256xi8, seed 1> -> !cnn.tensor<1x9x9x16, scale 0.5, zero 3>

// -----
// CHECK: affine keeps the shape: it does not make !cnn.tensor<1x7x7x4, scale 0.5, zero 3> of !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%y = cnn.affine %x scale <4xf32, [1.0, 1.0, 1.0, 1.0]> offset <4xf32, [0.0, 0.0, 0.0, 0.0]> -> !cnn.tensor<1x7x7x4, scale 0.5, zero 3>

// -----
// CHECK: lrn keeps the shape: it does not make !cnn.tensor<1x5x5x4, scale 0.5, zero 3> of !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%y = cnn.lrn %x size 3 alpha 1.0 beta 0.75 bias 1.0 -> !cnn.tensor<1x5x5x4, scale 0.5, zero 3>

// -----
// CHECK: lrn normalises over at least one channel, not 0
%x = "test.op"() : () -> !cnn.tensor<1x2x2x4, scale 0.5, zero 3>
%y = cnn.lrn %x size 0 alpha 1.0 beta 0.75 bias 1.0

// -----
// CHECK: the value must be 1x6x6x4xi8, got
%x = cnn.constant <1x1x1x4xi8, [0, 0, 0, 0]> : !cnn.tensor<1x6x6x4, scale 0.5, zero 3>

// -----
// CHECK: 0 groups do not divide 4 input and 2 output channels
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.conv2d %x weights <2x1x1x4xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> window <1x1> groups 0 quant <scale 0.25, zero 7> clamp <7, 127>

// -----
// CHECK: a resize has two factors, each at least 1, not [2]
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.resize %x factors [2] -> !cnn.tensor<1x8x8x4, scale 0.5, zero 3>

// -----
// CHECK: max moves codes: its result !cnn.tensor<1x4x4x4, scale 0.5, zero 0> has another scale or zero point than its operand
%x = "test.op"() : () -> !cnn.tensor<1x4x4x4, scale 0.5, zero 3>
%y = cnn.max %x, %x -> !cnn.tensor<1x4x4x4, scale 0.5, zero 0>

// -----
// CHECK: the operands' shapes do not concatenate to the result's
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.concat %x, %x axis 2 -> !cnn.tensor<1x8x4x2, scale 0.5, zero 3>

// -----
// CHECK: a tensor has the axes 0 to 3, not 4
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.concat %x axis 4 -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>

// -----
// CHECK: index 4 is outside its operand !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.select %x columns [0, 4]

// -----
// CHECK: the result !cnn.tensor<1x4x3x2, scale 0.5, zero 3> does not hold as many rows, columns and channels
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.select %x columns [0, 3] -> !cnn.tensor<1x4x3x2, scale 0.5, zero 3>

// -----
// CHECK: operand 1 must be 1x4x3x2, got !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.interleave %x, %x factors [1, 2] -> !cnn.tensor<1x4x7x2, scale 0.5, zero 3>

// -----
// CHECK: factors 2, 2 take 4 operands, not 1
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.interleave %x factors [2, 2] -> !cnn.tensor<1x8x8x2, scale 0.5, zero 3>

// -----
// A factor of 8 belongs to a row and a column.
// CHECK: permutation [0, 1] does not make
%x = "test.op"() : () -> !cnn.tensor<1x4x4x2, scale 0.5, zero 3>
%y = cnn.transpose %x factors [8, 4] permutation [0, 1] -> !cnn.tensor<1x8x2x2, scale 0.5, zero 3>

// -----
// CHECK: codes and float32 cannot be woven into one image
%x, %y = "test.op"() : () -> (!cnn.tensor<1x4x4x2, scale 0.5, zero 3>, !cnn.float<1x4x4x2>)
%z = cnn.interleave %x, %y factors [1, 2] -> !cnn.float<1x4x8x2>
