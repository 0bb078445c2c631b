// A program states what it takes, where a test can read it: of two programs each its own, of frames that of one.
// RUN: recon-opt %s -p predict-cycles | filecheck %s
// A plan does, taken down; a pass that changes the program forgets it.
// RUN: recon-opt %S/../tile/frames.mlir --to accel -p predict-cycles | filecheck %s --check-prefix=PLAN
// RUN: recon-opt %s -p predict-cycles,assign-waits | filecheck %s --check-prefix=CHANGED
// RUN: not recon-opt %s -p 'convert-tile-to-accel,predict-cycles' 2>&1 | filecheck %s --check-prefix=LEVEL

// CHECK: accel.program @short machine "edge4k" cycles 188 {
// CHECK: accel.program @long machine "edge4k" cycles 192 {
// PLAN: accel.program @main machine "edge4k" cycles 1239 {
// CHANGED-NOT: cycles
// LEVEL: convert-tile-to-accel works on the tile level
accel.program @short machine "edge4k" {
  %in = accel.dram input "x" 64xi8 at 0
  %out = accel.dram output "y" 64xi8 at 64
  %a = accel.buffer 64 at 0
  %0 = accel.load dram(%in) sram(%a) {bytes = 64}
  %1 = accel.store dram(%out) sram(%a) {bytes = 64} after(%0) waits <load 1>
}
accel.program @long machine "edge4k" cycles 7 {
  %in = accel.dram input "z" 64xi8 at 128
  %out = accel.dram output "w" 64xi8 at 192
  %a = accel.buffer 64 at 0
  %0 = accel.load dram(%in) sram(%a) {bytes = 32}
  %1 = accel.load dram(%in + 32) sram(%a + 32) {bytes = 32}
  %2 = accel.store dram(%out) sram(%a) {bytes = 64} after(%1) waits <load 2>
}
