// A pinned configuration stays, and the other layers get the best ones beside it; a configuration in the text is a pin.
// RUN: recon-opt %s -p 'select-configuration{pin="one=winograd g1 k16 r16 p16"}' | filecheck %s
// RUN: recon-opt %s -p 'select-configuration{single=true}' | filecheck %s --check-prefix=SINGLE
// RUN: not recon-opt %s --to tile --pin 'three=direct g1 k16 r16 p16' 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not recon-opt %s --to tile --pin 'one=direct g1 k16 r16 p32' 2>&1 | filecheck %s --check-prefix=LANES

// CHECK: layer "one" {configuration = #tile.configuration<winograd g1 k16 r16 p16>}
// CHECK: layer "two" {configuration = #tile.configuration<direct {{.*}}>}
// CHECK: layer "fixed" {configuration = #tile.configuration<direct g1 k8 r8 p8>}
// SINGLE: layer "one" {configuration = #tile.configuration<direct g1 k8 r8 p8>}
// SINGLE: layer "two" {configuration = #tile.configuration<direct g1 k8 r8 p8>}
// NONE: error: There is no convolution 'three' to pin a configuration to; the table of 'recon run' names the layers.
// LANES: error: Cannot pin: one in direct g1 k16 r16 p32: direct g1 k16 r16 p32 needs 8192 lanes and edge4k has 4096.
func.func @main(%x: !cnn.tensor<1x8x8x16, scale 0.5, zero 3>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7> {
  %y = cnn.conv2d %x weights <2x3x3x16xi8, seed 1> bias <2xi32, [0, 1]> scales <2xf32, [0.25, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.25, zero 7> clamp <-128, 127> layer "one" : (!cnn.tensor<1x8x8x16, scale 0.5, zero 3>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
  %z = cnn.conv2d %y weights <2x1x1x2xi8, seed 4> bias <2xi32, [0, 1]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <-128, 127> layer "two" : (!cnn.tensor<1x8x8x2, scale 0.25, zero 7>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
  %w = cnn.conv2d %z weights <2x1x1x2xi8, seed 4> bias <2xi32, [0, 1]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <-128, 127> layer "fixed" {configuration = #tile.configuration<direct g1 k8 r8 p8>} : (!cnn.tensor<1x8x8x2, scale 0.25, zero 7>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
  func.return %w : !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
}
