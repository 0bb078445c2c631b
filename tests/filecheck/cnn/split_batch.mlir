// RUN: recon-opt %s -p split-batch --split-input-file | filecheck %s

// Two images, two layers of the same weights; the host takes the batch apart and puts it together.
// CHECK-LABEL: func.func @main
// CHECK: [[A:%.*]], [[B:%.*]] = cnn.host %x {
// CHECK: onnx.node "Gather"
// CHECK: [[C:%.*]] = cnn.conv2d [[A]] weights <2x1x1x2xi8, [1, 2, 3, 4]> {{.*}} layer "c.0" nodes ["conv"]
// CHECK-NEXT: [[T:%.*]] = cnn.table [[C]] table <256xi8, seed 1> layer "t.0"
// CHECK-NEXT: [[D:%.*]] = cnn.conv2d [[B]] weights {{.*}} layer "c.1" nodes ["conv"]
// CHECK-NEXT: [[U:%.*]] = cnn.table [[D]] table <256xi8, seed 1> layer "t.1"
// CHECK: cnn.host [[T]], [[U]] {
// CHECK: onnx.node "Concat"
func.func @main(%x: tensor<2x3x3x2xi8>) -> tensor<2x3x3x2xi8> attributes {inputs = ["x"], outputs = ["y"]} {
  %a = cnn.host %x {
  ^bb0(%b: tensor<2x3x3x2xi8>):
    cnn.yield %b : tensor<2x3x3x2xi8>
  } layer "entry" : (tensor<2x3x3x2xi8>) -> !cnn.tensor<2x3x3x2, scale 0.5, zero 3>
  %c = cnn.conv2d %a weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [0, 0]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> layer "c" nodes ["conv"]
  %t = cnn.table %c table <256xi8, seed 1> layer "t"
  %y = cnn.host %t {
  ^bb0(%d: tensor<2x3x3x2xi8>):
    cnn.yield %d : tensor<2x3x3x2xi8>
  } layer "exit" : (!cnn.tensor<2x3x3x2, scale 0.25, zero 7>) -> tensor<2x3x3x2xi8>
  func.return %y : tensor<2x3x3x2xi8>
}

// -----

// Vectors of a batch become the columns of one image, and columns become a batch.
// CHECK-LABEL: func.func @main
// CHECK: [[R:%.*]] = cnn.reshape {{.*}} layer "r.0" -> !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
// CHECK: [[S:%.*]] = cnn.reshape {{.*}} layer "r.1" -> !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
// CHECK: [[J:%.*]] = cnn.concat [[R]], [[S]] axis 2 layer "r"
// CHECK: [[T:%.*]] = cnn.table [[J]]
// CHECK: cnn.slice [[T]] offsets [0, 0, 0, 0] layer "b.0"
// CHECK: cnn.slice [[T]] offsets [0, 0, 1, 0] layer "b.1"
func.func @main(%x: tensor<2x2x1x2xi8>) -> tensor<2x4xi8> attributes {inputs = ["x"], outputs = ["y"]} {
  %a = cnn.host %x {
  ^bb0(%b: tensor<2x2x1x2xi8>):
    cnn.yield %b : tensor<2x2x1x2xi8>
  } layer "entry" : (tensor<2x2x1x2xi8>) -> !cnn.tensor<2x2x1x2, scale 0.5, zero 3>
  %r = cnn.reshape %a layer "r" -> !cnn.tensor<1x1x2x4, scale 0.5, zero 3>
  %t = cnn.table %r table <256xi8, seed 1> layer "t"
  %b = cnn.reshape %t layer "b" -> !cnn.tensor<2x1x1x4, scale 0.5, zero 3>
  %y = cnn.host %b {
  ^bb0(%d: tensor<2x1x1x4xi8>):
    %s = onnx.constant <2xi64, [2, 4]> : tensor<2xi64>
    %e = onnx.node "Reshape"(%d, %s) : (tensor<2x1x1x4xi8>, tensor<2xi64>) -> tensor<2x4xi8>
    cnn.yield %e : tensor<2x4xi8>
  } layer "exit" : (!cnn.tensor<2x1x1x4, scale 0.5, zero 3>) -> tensor<2x4xi8>
  func.return %y : tensor<2x4xi8>
}
