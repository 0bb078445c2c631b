// One instruction per tile op and turn: windows meet padding at the tile's edges only, rings become slots, rows that
// leave the tensor are clipped, slices of dense buffers become strided copies.
// RUN: recon-opt %s -p convert-tile-to-accel | filecheck %s

// CHECK: accel.program @main machine "edge4k" {
// CHECK-NEXT: %in = accel.dram input "in" 6x4x16xi8
// CHECK-NEXT: %out = accel.dram output "out" 6x4x8xi8
// CHECK-NEXT: %w = accel.dram constant <8x3x3x16xi8, seed 1>
// CHECK-NEXT: %p = accel.dram constant <8x2xi32,
// CHECK-NEXT: [[IMAGE:%.*]] = accel.dram image <direct g1 k8 r16 p4> 16384xi8
// CHECK-NEXT: %x = accel.buffer 384 plan 0 11
// CHECK-NEXT: %ws = accel.buffer 1152 plan 0 11
// CHECK-NEXT: %ps = accel.buffer 64 plan 0 11
// CHECK-NEXT: %y = accel.buffer 128 plan 0 11
recon.layer @c "conv2d" "" macs 0 compute 0 weights 0 activations 0
tile.schedule @main machine "edge4k" (%in: !tile.dram<6x4x16xi8>) -> (%out: !tile.dram<6x4x8xi8>) {
  %w = tile.constant <8x3x3x16xi8, seed 1> : !tile.dram<8x3x3x16xi8>
  %p = tile.constant <8x2xi32, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]> : !tile.dram<8x8xi8>
  %x = tile.alloc : !tile.sram<6x4x16xi8>
  %ws = tile.alloc : !tile.sram<8x3x3x16xi8>
  %ps = tile.alloc : !tile.sram<8x8xi8>
  %y = tile.alloc : !tile.sram<6x4x8xi8, ring 4>
  // CHECK-NEXT: %0 = accel.load_config address([[IMAGE]])
  tile.load_config <direct g1 k8 r16 p4>
  // Channels 8 to 15 of all pixels: 24 runs.
  // CHECK-NEXT: %1 = accel.load dram(%in + 8) sram(%x + 8) {bytes = 8, count1 = 24, dram_stride1 = 16, sram_stride1 = 16}
  tile.load %x[0, 0, 8] [6, 4, 8] from %in[0, 0, 8]
  // CHECK-NEXT: %2 = accel.load dram(%in) sram(%x) {bytes = 8, count1 = 24, dram_stride1 = 16, sram_stride1 = 16}
  tile.load %x[0, 0, 0] [6, 4, 8] from %in[0, 0, 0]
  // CHECK-NEXT: %3 = accel.load dram(%w) sram(%ws) {bytes = 1152} layer @c
  tile.load %ws[0, 0, 0, 0] [8, 3, 3, 16] from %w[0, 0, 0, 0] layer @c
  // CHECK-NEXT: %4 = accel.load dram(%p) sram(%ps) {bytes = 64}
  tile.load %ps[0, 0] [8, 8] from %p[0, 0]
  // CHECK-NEXT: %5 = accel.configure
  tile.use <direct g1 k8 r16 p4>
  // CHECK-NEXT: %6 = accel.fill address(%ws) {k = 8, r = 16, p = 4, outputs = 8, inputs = 16, fy = 3, fx = 3, output_stride = 144, tap_stride = 16}
  %h = tile.fill half 0 %ws[0, 0, 0, 0] [8, 3, 3, 16] for <direct g1 k8 r16 p4>
  // Rows 0 to 3 meet the padding above; 4 to 7 are clipped to 4 and 5, wrap to slots 0 and 1, and meet it below.
  // CHECK-NEXT: %7 = accel.conv in(%x) params(%ps) out(%y) {outputs = 8, inputs = 16, fy = 3, fx = 3, top = 1, left = 1, right = 1,
  // CHECK-NEXT: pad_value = -3, oy = 4, ox = 4, in.row_stride = 64, in.pixel_stride = 16, first = 1, last = 1, lo = -128,
  // CHECK-NEXT: hi = 127, out.row_stride = 32, out.pixel_stride = 8, out.ring = 4}
  // CHECK-NEXT: %8 = accel.store dram(%out) sram(%y) {bytes = 32, count2 = 4, dram_stride2 = 32, sram_stride2 = 32, ring = 4}
  // CHECK-NEXT: %9 = accel.conv in(%x + 192) params(%ps)
  // CHECK-NEXT: out(%y) {{{.*}} bottom = 1, left = 1, right = 1, pad_value = -3, oy = 2,
  // CHECK-NEXT: ox = 4,
  // CHECK-NEXT: out.ring = 4}
  // CHECK-NEXT: %10 = accel.store dram(%out + 128) sram(%y) {bytes = 32, count2 = 2, dram_stride2 = 32, sram_stride2 = 32, ring = 4}
  tile.for %i = 0 to 8 step 4 {
    tile.conv %y[%i, 0, 0] [4, 4, 8] = %x[0] [16], %h window <3x3 pad 1 1 1 1> pad_value -3 params %ps[0] requantize <zero 0 clamp -128 127>
    tile.store %out[%i, 0, 0] [4, 4, 8] from %y[%i, 0, 0]
  }
}

// -----

// A result of 8 float32 channels is 32 bytes per pixel, in SRAM and in DRAM.
// CHECK-LABEL: accel.program @float
// CHECK: accel.conv in(%x) params(%ps) out(%y) {outputs = 8, inputs = 16, oy = 6, ox = 4, in.row_stride = 64,
// CHECK-NEXT: in.pixel_stride = 16, first = 1, last = 2, lo = -128, hi = 127, out.row_stride = 128, out.pixel_stride = 32}
// CHECK-NEXT: accel.store dram(%out) sram(%y) {bytes = 768}
tile.schedule @float machine "edge4k" (%in: !tile.dram<6x4x16xi8>) -> (%out: !tile.dram<6x4x32xi8>) {
  %w = tile.constant <8x1x1x16xi8, seed 1> : !tile.dram<8x1x1x16xi8>
  %p = tile.constant <8x2xi32, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]> : !tile.dram<8x8xi8>
  %x = tile.alloc : !tile.sram<6x4x16xi8>
  %ws = tile.alloc : !tile.sram<8x1x1x16xi8>
  %ps = tile.alloc : !tile.sram<8x8xi8>
  %y = tile.alloc : !tile.sram<6x4x32xi8>
  tile.load_config <direct g1 k8 r16 p4>
  tile.load %x[0, 0, 0] [6, 4, 16] from %in[0, 0, 0]
  tile.load %ws[0, 0, 0, 0] [8, 1, 1, 16] from %w[0, 0, 0, 0]
  tile.load %ps[0, 0] [8, 8] from %p[0, 0]
  tile.use <direct g1 k8 r16 p4>
  %h = tile.fill half 0 %ws[0, 0, 0, 0] [8, 1, 1, 16] for <direct g1 k8 r16 p4>
  tile.conv %y[0, 0, 0] [6, 4, 32] = %x[0] [16], %h window <1x1> params %ps[0] requantize <zero 0 clamp -128 127> float
  tile.store %out[0, 0, 0] [6, 4, 32] from %y[0, 0, 0]
}

// -----

// One row, one column, one pixel for all: steps of none, and the flag.
// CHECK-LABEL: accel.program @repeated
// CHECK: accel.vector a(%x) b(%row) out(%y)
// CHECK-NEXT: a.pixel_stride = 16, b.pixel_stride = 16, out.row_stride = 64
// CHECK: accel.vector a(%x) b(%column) out(%y)
// CHECK-NEXT: b.row_stride = 16, out.row_stride = 64
// CHECK: accel.vector a(%x) b(%pixel) out(%y)
// CHECK-NEXT: b.row_stride = 16, b.pixel_stride = 16, out.row_stride = 64
// CHECK: b_broadcast = 1
tile.schedule @repeated machine "edge4k" (%in: !tile.dram<6x4x16xi8>) -> (%out: !tile.dram<6x4x16xi8>) {
  %x = tile.alloc : !tile.sram<6x4x16xi8>
  %row = tile.alloc : !tile.sram<1x4x16xi8>
  %column = tile.alloc : !tile.sram<6x1x16xi8>
  %pixel = tile.alloc : !tile.sram<1x1x16xi8>
  %y = tile.alloc : !tile.sram<6x4x16xi8>
  tile.load %x[0, 0, 0] [6, 4, 16] from %in[0, 0, 0]
  tile.load %row[0, 0, 0] [1, 4, 16] from %in[0, 0, 0]
  tile.load %column[0, 0, 0] [6, 1, 16] from %in[0, 0, 0]
  tile.load %pixel[0, 0, 0] [1, 1, 16] from %in[0, 0, 0]
  tile.vector add %y[0, 0, 0] [6, 4, 16] = %x[0], %row[0] law <floats 1.0 1.0 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp -128 127 size 0>
  tile.vector max %y[0, 0, 0] [6, 4, 16] = %x[0], %column[0]
  tile.vector mul %y[0, 0, 0] [6, 4, 16] = %x[0], %pixel[0] law <floats 1.0 0.0 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp -128 127 size 0>
  tile.store %out[0, 0, 0] [6, 4, 16] from %y[0, 0, 0]
}
