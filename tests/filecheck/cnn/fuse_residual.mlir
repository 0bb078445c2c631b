// RUN: recon-opt %s -p fuse-residual | filecheck %s

// The later convolution takes the sum; the other operand is its residual, in the sum's place.
// CHECK-LABEL: func.func @later
func.func @later(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> !cnn.tensor<1x4x4x2, scale 1.0, zero 5> {
  // CHECK-NEXT: [[A:%.*]] = cnn.conv2d %x weights {{.*}} layer "a"
  %a = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.125, zero -28> layer "a"
  // CHECK-NEXT: [[B:%.*]] = cnn.conv2d %x residual [[A]] weights
  // CHECK-NEXT: quant <scale 0.25, zero 7> clamp <7, 127> sum <first, scale 1.0, zero 5, clamp 5, 127> layer "b"
  // CHECK-NEXT: nodes ["sum"]
  %b = cnn.conv2d %x weights <2x1x1x2xi8, [5, 6, 7, 8]> bias <2xi32, [0, 0]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <7, 127> layer "b"
  // CHECK-NEXT: func.return [[B]]
  %s = cnn.add %a, %b clamp <5, 127> layer "s" nodes ["sum"] -> !cnn.tensor<1x4x4x2, scale 1.0, zero 5>
  func.return %s : !cnn.tensor<1x4x4x2, scale 1.0, zero 5>
}

// A table stands before the sum, so the convolution has no room for one; a table behind the sum follows it in.
// CHECK-LABEL: func.func @tables
func.func @tables(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 0>) -> !cnn.tensor<1x4x4x2, scale 1.0, zero 5> {
  // CHECK-NEXT: [[A:%.*]] = cnn.conv2d %x
  // CHECK-NEXT: table <256xi8, seed 1>
  %a = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1>
      quant <scale 0.125, zero -28> table <256xi8, seed 1> -> !cnn.tensor<1x4x4x2, scale 0.125, zero 0>
  // CHECK-NEXT: [[S:%.*]] = cnn.add [[A]], %x
  %s = cnn.add %a, %x -> !cnn.tensor<1x4x4x2, scale 0.5, zero 0>
  // CHECK-NEXT: [[C:%.*]] = cnn.conv2d [[S]] residual %x
  // CHECK-NEXT: sum <second, {{.*}}> table <256xi8, seed 2>
  // CHECK-NEXT: -> !cnn.tensor<1x4x4x2, scale 1.0, zero 5>
  %c = cnn.conv2d %s weights <2x1x1x2xi8, [5, 6, 7, 8]> bias <2xi32, [0, 0]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <7, 127>
  %t = cnn.add %c, %x -> !cnn.tensor<1x4x4x2, scale 1.0, zero 0>
  %y = cnn.table %t table <256xi8, seed 2> -> !cnn.tensor<1x4x4x2, scale 1.0, zero 5>
  // CHECK-NEXT: func.return [[C]]
  func.return %y : !cnn.tensor<1x4x4x2, scale 1.0, zero 5>
}
