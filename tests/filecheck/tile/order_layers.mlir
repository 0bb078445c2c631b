// A branch whose weights are many waits until they can be there, unless something in between reads what it gives.
// RUN: recon-opt %s --split-input-file -p 'order-layers{machine="edge1k"}' | filecheck %s
// RUN: recon-opt %s --split-input-file -p 'order-layers{machine="edge1k" order=false}' | filecheck %s --check-prefix=SAME
// RUN: recon-opt %s --split-input-file -p 'order-layers{machine="edge1k" prefetch=false}' | filecheck %s --check-prefix=SAME
// RUN: recon-opt %s --split-input-file -p 'order-layers{machine="edge1k" level=0}' | filecheck %s --check-prefix=SAME

// The head's weights come while the others multiply.
// CHECK: layer "wide"
// CHECK: layer "head"
// CHECK: func.return
// SAME: layer "head"
// SAME: layer "wide"
// SAME: func.return
func.func @main(%x: !cnn.tensor<1x32x32x8, scale 0.5, zero 3>) -> (!cnn.tensor<1x1x1x8, scale 0.5, zero 3>, !cnn.tensor<1x32x32x8, scale 0.5, zero 3>) {
  %f = cnn.reshape %x layer "flat" -> !cnn.tensor<1x1x1x8192, scale 0.5, zero 3>
  %h = cnn.fully_connected %f weights <8x1x1x8192xi8, seed 1> bias <8xi32, [0, 0, 0, 0, 0, 0, 0, 0]> scales <8xf32, [1, 1, 1, 1, 1, 1, 1, 1]> quant <scale 0.5, zero 3> layer "head"
  %w = cnn.conv2d %x weights <8x3x3x8xi8, seed 2> bias <8xi32, [0, 0, 0, 0, 0, 0, 0, 0]> scales <8xf32, [1, 1, 1, 1, 1, 1, 1, 1]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "wide"
  func.return %h, %w : !cnn.tensor<1x1x1x8, scale 0.5, zero 3>, !cnn.tensor<1x32x32x8, scale 0.5, zero 3>
}

// -----

// A host region reads the head's result before the other branch begins.
// CHECK: layer "head"
// CHECK: layer "exit"
// CHECK: layer "wide"
// SAME: func.return
func.func @main(%x: !cnn.tensor<1x32x32x8, scale 0.5, zero 3>) -> (tensor<1x1x1x8xi8>, !cnn.tensor<1x32x32x8, scale 0.5, zero 3>) {
  %f = cnn.reshape %x layer "flat" -> !cnn.tensor<1x1x1x8192, scale 0.5, zero 3>
  %h = cnn.fully_connected %f weights <8x1x1x8192xi8, seed 1> bias <8xi32, [0, 0, 0, 0, 0, 0, 0, 0]> scales <8xf32, [1, 1, 1, 1, 1, 1, 1, 1]> quant <scale 0.5, zero 3> layer "head"
  %r = cnn.host %h {
  ^bb0(%z: tensor<1x1x1x8xi8>):
    %q = onnx.node "Relu"(%z) : (tensor<1x1x1x8xi8>) -> tensor<1x1x1x8xi8>
    cnn.yield %q : tensor<1x1x1x8xi8>
  } layer "exit" : (!cnn.tensor<1x1x1x8, scale 0.5, zero 3>) -> tensor<1x1x1x8xi8>
  %w = cnn.conv2d %x weights <8x3x3x8xi8, seed 2> bias <8xi32, [0, 0, 0, 0, 0, 0, 0, 0]> scales <8xf32, [1, 1, 1, 1, 1, 1, 1, 1]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "wide"
  func.return %r, %w : tensor<1x1x1x8xi8>, !cnn.tensor<1x32x32x8, scale 0.5, zero 3>
}
