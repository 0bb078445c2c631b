// RUN: recon-opt %s -p fuse-activations | filecheck %s

// CHECK-LABEL: func.func @table
func.func @table(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1> {
  // CHECK-NEXT: [[Y:%.*]] = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1>
  // CHECK-NEXT: quant <scale 0.125, zero -28> table <256xi8, seed 1> layer "c" nodes ["conv", "act"]
  // CHECK-NEXT: -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
  // CHECK-NEXT: func.return [[Y]]
  %c = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.125, zero -28> layer "c" nodes ["conv"]
  %y = cnn.table %c table <256xi8, seed 1> layer "a" nodes ["act"] -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
  func.return %y : !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
}

// A second use keeps the convolution as it is.
// CHECK-LABEL: func.func @two_uses
// CHECK: cnn.conv2d
// CHECK-NEXT: cnn.table
func.func @two_uses(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> (!cnn.tensor<1x4x4x2, scale 0.25, zero 1>, !cnn.tensor<1x4x4x2, scale 0.125, zero -28>) {
  %c = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.125, zero -28>
  %y = cnn.table %c table <256xi8, seed 1> -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
  func.return %y, %c : !cnn.tensor<1x4x4x2, scale 0.25, zero 1>, !cnn.tensor<1x4x4x2, scale 0.125, zero -28>
}

// A table that somebody else reads, too, stays and keeps its name.
// CHECK-LABEL: func.func @shared_table
// CHECK-NEXT: cnn.table %x {{.*}} function "sigmoid" layer "s2" nodes ["sig2"]
// CHECK-NEXT: cnn.table %x
// CHECK-NEXT: function "mul of sigmoid" layer "m2" nodes ["sig2", "mul2"]
func.func @shared_table(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> (!cnn.tensor<1x4x4x2, scale 0.25, zero 0>, !cnn.tensor<1x4x4x2, scale 0.00390625, zero -128>) {
  %s = cnn.table %x table <256xi8, seed 1> function "sigmoid" layer "s2" nodes ["sig2"] -> !cnn.tensor<1x4x4x2, scale 0.00390625, zero -128>
  %m = cnn.mul %x, %s layer "m2" nodes ["mul2"] -> !cnn.tensor<1x4x4x2, scale 0.25, zero 0>
  func.return %m, %s : !cnn.tensor<1x4x4x2, scale 0.25, zero 0>, !cnn.tensor<1x4x4x2, scale 0.00390625, zero -128>
}

// Two tables in a row are one; so is the product of a tensor with a table of itself.
// CHECK-LABEL: func.func @tables
func.func @tables(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1> {
  // CHECK-NEXT: [[Y:%.*]] = cnn.table %x table <256xi8, "sha256:{{[0-9a-f]+}}">
  // CHECK-NEXT: function "mul of sigmoid then half" layer "s" nodes ["sig", "mul", "half"]
  // CHECK-NEXT: -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
  // CHECK-NEXT: func.return [[Y]]
  %s = cnn.table %x table <256xi8, seed 1> function "sigmoid" layer "s" nodes ["sig"] -> !cnn.tensor<1x4x4x2, scale 0.00390625, zero -128>
  %m = cnn.mul %x, %s layer "m" nodes ["mul"] -> !cnn.tensor<1x4x4x2, scale 0.25, zero 0>
  %y = cnn.table %m table <256xi8, seed 2> function "half" layer "h" nodes ["half"] -> !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
  func.return %y : !cnn.tensor<1x4x4x2, scale 0.25, zero 1>
}
