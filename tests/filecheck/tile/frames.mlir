// A plan for frames in a row: what stands above tile.frame is done once, and its buffer lives for all frames. The image
// is loaded and exchanged once, above, so what is said of it below goes.
// RUN: recon-opt %s -p elide-configuration | filecheck %s --check-prefix=TILE
// RUN: recon-opt %s -p elide-configuration,convert-tile-to-accel,allocate-sram,assign-waits,check-hazards | filecheck %s

// TILE: tile.use <direct g1 k8 r16 p4>
// TILE: tile.frame
// TILE-NOT: tile.use
// TILE: tile.store

// CHECK: accel.program @main machine "edge4k" {
// CHECK: %ws = accel.buffer 512 plan 0 8 at 0
// CHECK: accel.load_config
// CHECK-NEXT: accel.load {{.*}} sram(%ws) {bytes = 512}
// CHECK-NEXT: accel.load {{.*}} sram(%ps) {bytes = 64}
// CHECK-NEXT: accel.configure
// CHECK-NEXT: accel.frame
// CHECK-NEXT: accel.load dram(%in) sram(%x) {bytes = 1024} waits <array 2>
// CHECK-NEXT: accel.fill address(%ws) {{.*}} waits <load 3, array 2>
// CHECK-NEXT: accel.conv in(%x) params(%ps) out(%y)
// CHECK: waits <load 5, store 1, weights 2>
// CHECK-NEXT: accel.store {{.*}} waits <array 3>
tile.schedule @main machine "edge4k" (%in: !tile.dram<4x4x64xi8>) -> (%out: !tile.dram<4x4x8xi8>) {
  %w = tile.constant <8x1x1x64xi8, seed 1> : !tile.dram<8x1x1x64xi8>
  %p = tile.constant <8x2xi32, 1> : !tile.dram<8x8xi8>
  %ws = tile.alloc at 0 : !tile.sram<8x1x1x64xi8>
  %ps = tile.alloc at 1024 : !tile.sram<8x8xi8>
  tile.load_config <direct g1 k8 r16 p4>
  tile.load %ws[0, 0, 0, 0] [8, 1, 1, 64] from %w[0, 0, 0, 0]
  tile.load %ps[0, 0] [8, 8] from %p[0, 0]
  tile.use <direct g1 k8 r16 p4>
  tile.frame
  %x = tile.alloc at 2048 : !tile.sram<4x4x64xi8>
  %y = tile.alloc at 4096 : !tile.sram<4x4x8xi8>
  tile.load %x[0, 0, 0] [4, 4, 64] from %in[0, 0, 0]
  tile.load_config <direct g1 k8 r16 p4>
  tile.use <direct g1 k8 r16 p4>
  %h = tile.fill half 0 %ws[0, 0, 0, 0] [8, 1, 1, 64] for <direct g1 k8 r16 p4>
  tile.conv %y[0, 0, 0] [4, 4, 8] = %x[0] [64], %h window <1x1> params %ps[0] requantize <zero 0 clamp -128 127>
  tile.store %out[0, 0, 0] [4, 4, 8] from %y[0, 0, 0]
  tile.free %x, %y : !tile.sram<4x4x64xi8>, !tile.sram<4x4x8xi8>
}
