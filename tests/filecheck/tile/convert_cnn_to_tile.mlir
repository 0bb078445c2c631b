// What stands between host regions becomes one plan, with a row per layer and a call where the ops stood.
// RUN: recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=65536}' | filecheck %s
// RUN: not recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=13631488}' 2>&1 | filecheck %s --check-prefix=MORE

// CHECK: recon.notes = ["Planned within 65,536 bytes of SRAM."]
// CHECK: recon.layer @one "conv2d" "8x8x16 -> 8x8x2 3x3" macs 15488 compute 2 weights 304 activations 1152
// CHECK: recon.layer @two "conv2d" "8x8x2 -> 8x8x2 1x1" macs 256 compute 1 weights 20 activations 256
// CHECK: tile.schedule @main_segment machine "edge4k" (%x: !tile.dram<8x8x16xi8>) -> (%two: !tile.dram<8x8x2xi8>) {
// CHECK: tile.load {{.*}} from %x[0, 0, 0] layer @one
// CHECK: tile.conv {{.*}} window <3x3 pad 1 1 1 1> pad_value 3 {{.*}} requantize <zero 7 clamp -128 127> layer @one
// CHECK: tile.conv {{.*}} window <1x1> pad_value 7 {{.*}} requantize <zero 7 clamp -128 127> layer @two
// CHECK: tile.store %two[0, 0, 0] [8, 8, 2] from {{.*}} layer @two
// CHECK: func.func @main
// CHECK-NEXT: %z = recon.call @main_segment(%x)
// CHECK-NEXT: func.return %z
// MORE: error: The SRAM limit of 13,631,488 bytes is more than the 12,582,912 that edge4k has.
func.func @main(%x: !cnn.tensor<1x8x8x16, scale 0.5, zero 3>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7> {
  %y = cnn.conv2d %x weights <2x3x3x16xi8, seed 1> bias <2xi32, [0, 1]> scales <2xf32, [0.25, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.25, zero 7> clamp <-128, 127> layer "one" : (!cnn.tensor<1x8x8x16, scale 0.5, zero 3>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
  %z = cnn.conv2d %y weights <2x1x1x2xi8, seed 4> bias <2xi32, [0, 1]> scales <2xf32, [0.25, 0.5]> window <1x1> quant <scale 0.25, zero 7> clamp <-128, 127> layer "two" : (!cnn.tensor<1x8x8x2, scale 0.25, zero 7>) -> !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
  func.return %z : !cnn.tensor<1x8x8x2, scale 0.25, zero 7>
}
