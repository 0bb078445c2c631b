// RUN: not recon-opt %s -p check-hazards 2>&1 | filecheck %s

// CHECK: error: The program has a race: instruction 0 (load, layer in) writes and instruction 1 (store, layer out, at {{.*}}race.mlir:12:3)
// CHECK-SAME: reads byte 0x10 of SRAM (%a + 16) (they meet between 0x10 and 0x3f), and no chain of waits orders the two.
recon.layer @in "conv2d" "" macs 0 compute 0 weights 0 activations 0
recon.layer @out "conv2d" "" macs 0 compute 0 weights 0 activations 0
accel.program @race machine "edge4k" {
  %in = accel.dram input "x" 64xi8 at 0
  %out = accel.dram output "y" 64xi8 at 64
  %a = accel.buffer 64 at 0
  %0 = accel.load dram(%in) sram(%a) {bytes = 64} layer @in
  %1 = accel.store dram(%out) sram(%a + 16) {bytes = 48} layer @out
}
