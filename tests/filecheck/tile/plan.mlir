// Every part of a plan's text reads back as it was written.
// RUN: RECON_ROUNDTRIP
// RUN: RECON_GENERIC_ROUNDTRIP

// CHECK: tile.schedule @main machine "edge4k" (%in: !tile.dram<8x8x16xi8>) -> (%out: !tile.dram<8x8x16xi8>) {
// CHECK-NEXT: %w = tile.constant <16x3x3x16xi8, seed 1> : !tile.dram<16x3x3x16xi8>
// CHECK-NEXT: %s = tile.dram : !tile.dram<8x8x16xi8>
// CHECK-NEXT: %i = tile.image <direct g1 k16 r16 p4> : !tile.dram<16384xi8>
// CHECK-NEXT: %x = tile.alloc : !tile.sram<8x8x16xi8>
// CHECK-NEXT: %r = tile.alloc at 4096 : !tile.sram<8x8x16xi8, ring 6>
// CHECK-NEXT: %v = tile.view %x : !tile.sram<8x8x16xi8> to !tile.sram<1x1x1024xi8>
// CHECK-NEXT: %c = tile.alloc : !tile.sram<16384xi8>
// CHECK-NEXT: %ws = tile.alloc : !tile.sram<16x3x3x16xi8>
// CHECK-NEXT: %p = tile.alloc : !tile.sram<16x8xi8>
// CHECK-NEXT: %t = tile.alloc : !tile.sram<256xi8>
// CHECK-NEXT: tile.load_config <winograd g1 k16 r16 p4> layer @c
// CHECK-NEXT: tile.load_config <direct g1 k16 r16 p4> copy %c : !tile.sram<16384xi8>
// CHECK-NEXT: tile.use <direct g1 k16 r16 p4> layer @c
// CHECK-NEXT: %h = tile.fill half 1 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <direct g1 k16 r16 p4> zero -3 layer @c
// CHECK-NEXT: %g = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 1] for <direct g16 k1 r16 p4> groups 16
// CHECK-NEXT: tile.for %j = 0 to 8 step 4 {
// CHECK-NEXT: tile.load %x[%j, 0, 0] [4, 8, 16] from %in[%j, 0, 0] layer @c
// CHECK-NEXT: tile.conv %r[%j - 1, 0, 0] [4, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> pad_value -7
// CHECK-NEXT: tile.conv %r[%j * 2 + 1, 0, 0] [4, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> accumulate params %p[0]
// CHECK-NEXT: requantize <zero 1 clamp -128 127> add %x[0] <first ratios 0.5 0.25 -1.0 clamp 0 127> table %t layer @c
// CHECK-NEXT: tile.conv %x[%j, 0, 0] [1, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> float
// CHECK-NEXT: tile.conv %x[%j, 0, 0] [1, 8, 16] = %r[0] [16], %h window <3x3 pad 1 1 1 1> accumulate params %p[0] requantize <zero 0 clamp -128 127> float layer @c
// CHECK-NEXT: tile.vector max_pool %x[%j, 0, 0] [4, 8, 16] = %r[0] window <3x3 pad 1 1 1 1>
// CHECK-NEXT: tile.vector add %x[%j, 0, 0] [4, 8, 16] = %r[0], %x[0] law <floats 0.5 0.25 1.0 0.0 0.0 0.0 zeros 1 2 3 clamp 0 127 size 0> layer @c
// CHECK-NEXT: tile.vector affine %x[%j, 0, 0] [4, 8, 16] = %r[0] params %p[0]
// CHECK-NEXT: tile.vector table %x[%j, 0, 0] [4, 8, 16] = %r[0] table %t
// CHECK-NEXT: tile.move %x[%j, 0, 8] by row 2, column 2 = %r[0, 1, 0] by column 1, row 0 sizes [2, 4, 8] layer @c
// CHECK-NEXT: tile.store %out[%j, 0, 0] [4, 8, 16] from %x[%j, 0, 0]
// CHECK-NEXT: }
// CHECK-NEXT: tile.free %x, %r : !tile.sram<8x8x16xi8>, !tile.sram<8x8x16xi8, ring 6>
recon.layer @c "conv2d" "" macs 0 compute 0 weights 0 activations 0
tile.schedule @main machine "edge4k" (%in: !tile.dram<8x8x16xi8>) -> (%out: !tile.dram<8x8x16xi8>) {
  %w = tile.constant <16x3x3x16xi8, seed 1> : !tile.dram<16x3x3x16xi8>
  %s = tile.dram : !tile.dram<8x8x16xi8>
  %i = tile.image <direct g1 k16 r16 p4> : !tile.dram<16384xi8>
  %x = tile.alloc : !tile.sram<8x8x16xi8>
  %r = tile.alloc at 4096 : !tile.sram<8x8x16xi8, ring 6>
  %v = tile.view %x : !tile.sram<8x8x16xi8> to !tile.sram<1x1x1024xi8>
  %c = tile.alloc : !tile.sram<16384xi8>
  %ws = tile.alloc : !tile.sram<16x3x3x16xi8>
  %p = tile.alloc : !tile.sram<16x8xi8>
  %t = tile.alloc : !tile.sram<256xi8>
  tile.load_config <winograd g1 k16 r16 p4> layer @c
  tile.load_config <direct g1 k16 r16 p4> copy %c : !tile.sram<16384xi8>
  tile.use <direct g1 k16 r16 p4> layer @c
  %h = tile.fill half 1 %ws[0, 0, 0, 0] [16, 3, 3, 16] for <direct g1 k16 r16 p4> zero -3 layer @c
  %g = tile.fill half 0 %ws[0, 0, 0, 0] [16, 3, 3, 1] for <direct g16 k1 r16 p4> groups 16
  tile.for %j = 0 to 8 step 4 {
    tile.load %x[%j, 0, 0] [4, 8, 16] from %in[%j, 0, 0] layer @c
    tile.conv %r[%j - 1, 0, 0] [4, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> pad_value -7
    tile.conv %r[%j * 2 + 1, 0, 0] [4, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> accumulate params %p[0]
        requantize <zero 1 clamp -128 127> add %x[0] <first ratios 0.5 0.25 -1.0 clamp 0 127> table %t layer @c
    tile.conv %x[%j, 0, 0] [1, 8, 16] = %x[0] [16], %h window <3x3 pad 1 1 1 1> float
    tile.conv %x[%j, 0, 0] [1, 8, 16] = %r[0] [16], %h window <3x3 pad 1 1 1 1> accumulate params %p[0] requantize <zero 0 clamp -128 127> float layer @c
    tile.vector max_pool %x[%j, 0, 0] [4, 8, 16] = %r[0] window <3x3 pad 1 1 1 1>
    tile.vector add %x[%j, 0, 0] [4, 8, 16] = %r[0], %x[0] law <floats 0.5 0.25 1.0 0.0 0.0 0.0 zeros 1 2 3 clamp 0 127 size 0> layer @c
    tile.vector affine %x[%j, 0, 0] [4, 8, 16] = %r[0] params %p[0]
    tile.vector table %x[%j, 0, 0] [4, 8, 16] = %r[0] table %t
    tile.move %x[%j, 0, 8] by row 2, column 2 = %r[0, 1, 0] by column 1, row 0 sizes [2, 4, 8] layer @c
    tile.store %out[%j, 0, 0] [4, 8, 16] from %x[%j, 0, 0]
  }
  tile.free %x, %r : !tile.sram<8x8x16xi8>, !tile.sram<8x8x16xi8, ring 6>
}
