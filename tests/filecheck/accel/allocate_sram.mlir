// Buffers that live together lie apart; with no room to spare, %b takes the bytes that %a left. In DRAM equal constants
// share an address, and constants and images come first.
// RUN: recon-opt %s -p 'allocate-sram{limit=192}' | filecheck %s
// RUN: not recon-opt %s -p 'allocate-sram{limit=128}' 2>&1 | filecheck %s --check-prefix=FULL

// CHECK: %x = accel.dram input "x" 8x16xi8 at 192
// CHECK-NEXT: %c = accel.dram constant <100xi8, seed 1> at 0
// CHECK-NEXT: %d = accel.dram constant <10x10xi8, seed 1> at 0
// CHECK-NEXT: %e = accel.dram constant <4xi8, [1, 2, 3, 4]> at 128
// CHECK-NEXT: %s = accel.dram scratch 128xi8 at 320
// CHECK-NEXT: %a = accel.buffer 100 at [[A:.*]]
// CHECK-NEXT: %m = accel.buffer 64 at
// CHECK-NEXT: %b = accel.buffer 128 at [[A]]{{$}}
// FULL: allocate_sram.mlir:32:3: error: The program @main needs 192 bytes of SRAM at its tightest point and edge4k has 128 (limited from 12,582,912): 64 too many.
// FULL-NEXT: Alive at instruction 1, load of layer two:
// FULL-NEXT: %a: 100 bytes (layers one, two)
// FULL-NEXT: %m: 64 bytes (layers two, three)
// FULL-NEXT: What helps: fewer rows per stripe or shorter rings, loads placed later or in smaller slices, buffers freed earlier or kept in DRAM in between, a machine with more SRAM.
recon.layer @one "conv2d" "" macs 0 compute 0 weights 0 activations 0
recon.layer @two "conv2d" "" macs 0 compute 0 weights 0 activations 0
recon.layer @three "conv2d" "" macs 0 compute 0 weights 0 activations 0
accel.program @main machine "edge4k" {
  %x = accel.dram input "x" 8x16xi8
  %c = accel.dram constant <100xi8, seed 1>
  %d = accel.dram constant <10x10xi8, seed 1>
  %e = accel.dram constant <4xi8, [1, 2, 3, 4]>
  %s = accel.dram scratch 128xi8
  %a = accel.buffer 100
  %m = accel.buffer 64
  %b = accel.buffer 128
  %0 = accel.load dram(%c) sram(%a) {bytes = 100} layer @one
  %1 = accel.load dram(%x) sram(%m) {bytes = 64} layer @two
  %2 = accel.store dram(%s) sram(%a) {bytes = 100} layer @two
  %3 = accel.load dram(%x) sram(%b) {bytes = 128} layer @three
  %4 = accel.store dram(%s) sram(%b) {bytes = 64} layer @three
  %5 = accel.store dram(%s + 64) sram(%m) {bytes = 64} layer @three
}
