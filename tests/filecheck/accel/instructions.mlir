// Every part of the dialect's text reads back as it was written.
// RUN: RECON_ROUNDTRIP
// RUN: RECON_GENERIC_ROUNDTRIP

// CHECK: accel.program @main machine "edge4k" {
// CHECK-NEXT: %in = accel.dram input "x" 56x56x64xi8 at 65536
// CHECK-NEXT: %out = accel.dram output "y" 64xi8
// CHECK-NEXT: %w = accel.dram constant <64x3x3x64xi8, seed 7> at 0
// CHECK-NEXT: %c = accel.dram image <winograd g1 k64 r16 p4> 16384xi8
// CHECK-NEXT: %s = accel.dram scratch 7x11xi8
// CHECK-NEXT: %x = accel.buffer 200704 plan 0 5 at 64
// CHECK-NEXT: %y = accel.buffer 4096
// CHECK-NEXT: %0 = accel.load dram(%in) sram(%x + 512) {bytes = 3584}
// CHECK-NEXT: %1 = accel.load_config address(%c)
// CHECK-NEXT: %2 = accel.load_config address(%x) {space = 1}
// CHECK-NEXT: %3 = accel.configure after(%1) waits <load 2>
// CHECK-NEXT: %4 = accel.fill address(%x + 3) {half = 1, algorithm = 1, fy = 3, fx = 3, weight_zero = -3} waits <load 1>
// CHECK-NEXT: %5 = accel.conv in(%x) params(%x + 8) out(%y) {half = 1, in.ring = 18, last = 1, zero_point = -3, ra = 1.5, rb = -0.0} after(%0, %1) waits <load 1, weights 2> layer @c1
// CHECK-NEXT: %6 = accel.vector a(%x) b(%y) out(%y + 1) {op = 1, channels = 16}
// CHECK-NEXT: %7 = accel.store dram(%out) sram(%y) {bytes = 64}
// CHECK-NEXT: }
recon.layer @c1 "conv2d" "" macs 0 compute 0 weights 0 activations 0
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 56x56x64xi8 at 65536
  %out = accel.dram output "y" 64xi8
  %w = accel.dram constant <64x3x3x64xi8, seed 7> at 0
  %c = accel.dram image <winograd g1 k64 r16 p4> 16384xi8
  %s = accel.dram scratch 7x11xi8
  %x = accel.buffer 200704 plan 0 5 at 64
  %y = accel.buffer 4096
  %0 = accel.load dram(%in) sram(%x + 512) {bytes = 3584}
  %1 = accel.load_config address(%c)
  %2 = accel.load_config address(%x) {space = 1}
  %3 = accel.configure after(%1) waits <load 2>
  %4 = accel.fill address(%x + 3) {half = 1, algorithm = 1, fy = 3, fx = 3, weight_zero = -3} waits <load 1>
  %5 = accel.conv in(%x) params(%x + 8) out(%y) {half = 1, in.ring = 18, last = 1, zero_point = -3, ra = 1.5, rb = -0.0} after(%0, %1) waits <load 1, weights 2> layer @c1
  %6 = accel.vector a(%x) b(%y) out(%y + 1) {op = 1, channels = 16}
  %7 = accel.store dram(%out) sram(%y) {bytes = 64}
}
