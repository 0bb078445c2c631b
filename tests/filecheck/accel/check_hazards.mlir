// The proof names both instructions, their layers and the bytes in common.
// RUN: recon-opt %s --split-input-file -p check-hazards --verify-diagnostics | filecheck %s

// CHECK: accel.program @sound
accel.program @sound machine "edge4k" {
  %in = accel.dram input "x" 64xi8 at 0
  %out = accel.dram output "y" 64xi8 at 64
  %a = accel.buffer 64 at 0
  %0 = accel.load dram(%in) sram(%a) {bytes = 64}
  %1 = accel.store dram(%out) sram(%a) {bytes = 64} waits <load 1>
}
