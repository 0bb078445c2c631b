// RUN: recon-opt %s -p fold-pads | filecheck %s

// CHECK-LABEL: func.func @conv
func.func @conv(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 3>) -> !cnn.tensor<1x2x2x2, scale 0.25, zero 7> {
  // CHECK-NEXT: cnn.conv2d %x weights {{.*}} window <3x3 pad 0 1 0 1 stride 2 2> {{.*}} nodes ["conv", "pad"]
  %p = cnn.pad %x pads [0, 1, 0, 1] nodes ["pad"]
  %y = cnn.conv2d %p weights <2x3x3x2xi8, seed 1> bias <2xi32, [0, 0]> scales <2xf32, [0.25, 0.5]> window <3x3 stride 2 2> quant <scale 0.25, zero 7> clamp <7, 127> nodes ["conv"]
  func.return %y : !cnn.tensor<1x2x2x2, scale 0.25, zero 7>
}

// A fill value that is not the zero point stays a pad of its own.
// CHECK-LABEL: func.func @value
// CHECK-NEXT: cnn.pad %x pads [0, 1, 0, 1] value 9
// CHECK-NEXT: cnn.max_pool2d {{%.*}} window <3x3 stride 2 2>
func.func @value(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero 3>) -> !cnn.tensor<1x2x2x2, scale 0.5, zero 3> {
  %p = cnn.pad %x pads [0, 1, 0, 1] value 9
  %y = cnn.max_pool2d %p window <3x3 stride 2 2>
  func.return %y : !cnn.tensor<1x2x2x2, scale 0.5, zero 3>
}

// A pad that two read serves both; an average pool counts what was padded.
// CHECK-LABEL: func.func @pools
// CHECK-NEXT: cnn.max_pool2d %x window <3x3 pad 0 1 0 1 stride 2 2>
// CHECK-NEXT: cnn.average_pool2d %x window <3x3 pad 0 1 0 1 stride 2 2> count_pads 1
func.func @pools(%x: !cnn.tensor<1x4x4x2, scale 0.5, zero -128>) -> (!cnn.tensor<1x2x2x2, scale 0.5, zero -128>, !cnn.tensor<1x2x2x2, scale 0.5, zero -128>) {
  %p = cnn.pad %x pads [0, 1, 0, 1]
  %y = cnn.max_pool2d %p window <3x3 stride 2 2>
  %z = cnn.average_pool2d %p window <3x3 stride 2 2>
  func.return %y, %z : !cnn.tensor<1x2x2x2, scale 0.5, zero -128>, !cnn.tensor<1x2x2x2, scale 0.5, zero -128>
}
