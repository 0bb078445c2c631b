// Frames in a row. Counts begin with a whole body: the weights' load is the first of three in its queue, one of which
// stands above the line, so the product waits for `load 5` (2 in the body, 1 above, the second below). The input's load
// waits for the vector operation of the frame before (`vector 1`), and that for the last frame's store.
// RUN: recon-opt %s -p assign-waits | filecheck %s
// RUN: recon-opt %s -p allocate-sram,assign-waits,check-hazards | filecheck %s --check-prefix=WHOLE

// WHOLE: accel.dram output "y" 64xi8 at 128
// WHOLE: accel.dram scratch 64xi8 at 320

// CHECK: %0 = accel.load dram(%stay) sram(%w) {bytes = 64}{{$}}
// CHECK-NEXT: accel.frame
// CHECK-NEXT: %1 = accel.load dram(%in) sram(%a) {bytes = 64} waits <vector 1>{{$}}
// CHECK-NEXT: %2 = accel.load dram(%stay) sram(%b) {bytes = 64}{{$}}
// CHECK-NEXT: %3 = accel.vector {{.*}} after(%2) waits <load 5, store 1>{{$}}
// CHECK-NEXT: %4 = accel.store dram(%out) sram(%c) {bytes = 64} after(%3) waits <vector 2>{{$}}
// CHECK-NEXT: %5 = accel.store dram(%spare) sram(%w) {bytes = 64}{{$}}
accel.program @main machine "edge4k" {
  %stay = accel.dram constant <64xi8, seed 1> at 0
  %in = accel.dram input "x" 64xi8 at 64
  %out = accel.dram output "y" 64xi8 at 128
  %spare = accel.dram scratch 64xi8 at 320
  %w = accel.buffer 64 at 0
  %a = accel.buffer 64 at 64
  %b = accel.buffer 64 at 128
  %c = accel.buffer 64 at 192
  %0 = accel.load dram(%stay) sram(%w) {bytes = 64}
  accel.frame
  %1 = accel.load dram(%in) sram(%a) {bytes = 64}
  %2 = accel.load dram(%stay) sram(%b) {bytes = 64}
  %3 = accel.vector a(%a) b(%b) out(%c) {op = 1, ox = 4, channels = 16, a.pixel_stride = 16, b.pixel_stride = 16, out.pixel_stride = 16, lo = -128, hi = 127}
  %4 = accel.store dram(%out) sram(%c) {bytes = 64}
  %5 = accel.store dram(%spare) sram(%w) {bytes = 64}
}
