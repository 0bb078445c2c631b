// A movement is a copy with strides: steps along rows, columns or channels, repeated and exchanged axes; the rows of a
// ring become slots.
// RUN: recon-opt %s -p convert-tile-to-accel | filecheck %s

// CHECK: accel.program @main machine "edge4k" {
tile.schedule @main machine "edge4k" (%in: !tile.dram<6x4x16xi8>) -> (%out: !tile.dram<4x6x16xi8>) {
  %x = tile.alloc : !tile.sram<6x4x16xi8>
  %r = tile.alloc : !tile.sram<6x4x16xi8, ring 3>
  %y = tile.alloc : !tile.sram<4x6x16xi8>
  tile.load %x[0, 0, 0] [6, 4, 16] from %in[0, 0, 0]
  // Every other column and every third row.
  // CHECK: accel.vector a(%x + 72) out(%y + 16) {oy = 2, ox = 2, channels = 8, a.row_stride = 192, a.pixel_stride = 32, out.row_stride = 96, out.pixel_stride = 16, ra = 1.0
  tile.move %y[0, 1, 0] by row 1, column 1 = %x[1, 0, 8] by row 3, column 2 sizes [2, 2, 8]
  // Rows become columns.
  // CHECK: accel.vector a(%x) out(%y) {oy = 6, ox = 4, channels = 16, a.row_stride = 64, a.pixel_stride = 16, out.row_stride = 16, out.pixel_stride = 96
  tile.move %y[0, 0, 0] by column 1, row 1 = %x[0, 0, 0] by row 1, column 1 sizes [6, 4, 16]
  // One pixel over and over.
  // CHECK: accel.vector a(%x) out(%y) {oy = 4, ox = 6, channels = 16, out.row_stride = 96, out.pixel_stride = 16
  tile.move %y[0, 0, 0] by row 1, column 1 = %x[0, 0, 0] by row 0, column 0 sizes [4, 6, 16]
  // Rows 4 and 5 of a ring of three lie in slots 1 and 2.
  // CHECK: accel.vector a(%x + 256) out(%r) {oy = 2, ox = 4, channels = 16, a.row_stride = 64, a.pixel_stride = 16,
  // CHECK-NEXT: out.row_stride = 64, out.pixel_stride = 16, out.ring = 3, out.row = 1
  tile.move %r[4, 0, 0] by row 1, column 1 = %x[4, 0, 0] by row 1, column 1 sizes [2, 4, 16]
  tile.store %out[0, 0, 0] [4, 6, 16] from %y[0, 0, 0]
}
