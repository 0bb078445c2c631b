// A wait for the latest instruction of each other queue that matters, none that the others imply: the store waits for
// the vector operation, which waited for the loads. Channel slices that only interleave do not conflict; the fourth
// load reuses the bytes of %a and waits for their last reader.
// RUN: recon-opt %s -p assign-waits | filecheck %s
// RUN: recon-opt %s -p assign-waits,check-hazards | filecheck %s

// CHECK: %0 = accel.load {{.*}} sram(%a) {bytes = 16, count1 = 4, dram_stride1 = 16, sram_stride1 = 32}{{$}}
// CHECK-NEXT: %1 = accel.vector a(%a) out(%b) {{.*}} after(%0) waits <load 1>{{$}}
// CHECK-NEXT: %2 = accel.load {{.*}} sram(%a + 16) {bytes = 16, count1 = 4, dram_stride1 = 16, sram_stride1 = 32}{{$}}
// CHECK-NEXT: %3 = accel.vector a(%a + 16) out(%b + 64) {{.*}} after(%2) waits <load 2>{{$}}
// CHECK-NEXT: %4 = accel.store dram(%out) sram(%b) {bytes = 128} after(%3) waits <vector 2>{{$}}
// CHECK-NEXT: %5 = accel.load dram(%in) sram(%c) {bytes = 16} after(%1) waits <vector 1>{{$}}
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 64xi8 at 0
  %out = accel.dram output "y" 128xi8 at 64
  %a = accel.buffer 128 at 0
  %b = accel.buffer 128 at 128
  %c = accel.buffer 16 at 0
  %0 = accel.load dram(%in) sram(%a) {bytes = 16, count1 = 4, dram_stride1 = 16, sram_stride1 = 32}
  %1 = accel.vector a(%a) out(%b) {ox = 4, channels = 16, a.pixel_stride = 32, out.pixel_stride = 16, lo = -128, hi = 127}
  %2 = accel.load dram(%in) sram(%a + 16) {bytes = 16, count1 = 4, dram_stride1 = 16, sram_stride1 = 32}
  %3 = accel.vector a(%a + 16) out(%b + 64) {ox = 4, channels = 16, a.pixel_stride = 32, out.pixel_stride = 16, lo = -128, hi = 127}
  %4 = accel.store dram(%out) sram(%b) {bytes = 128}
  %5 = accel.load dram(%in) sram(%c) {bytes = 16}
}
