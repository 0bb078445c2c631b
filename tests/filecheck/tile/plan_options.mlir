// The planner's options: less SRAM makes stripes and rings, no fusion sends what does not fit through DRAM.
// RUN: recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=2048}' | filecheck %s --check-prefix=FUSED
// RUN: recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=2048 fusion=false}' | filecheck %s --check-prefix=ALONE
// RUN: recon-opt %s -p 'select-configuration,convert-cnn-to-tile{prefetch=false}' | filecheck %s --check-prefix=LATE
// RUN: not recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=256}' 2>&1 | filecheck %s --check-prefix=SMALL
// RUN: not recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=99999999}' 2>&1 | filecheck %s --check-prefix=LARGE
// RUN: not recon-opt %s -p 'select-configuration,convert-cnn-to-tile{sram-limit=-1}' 2>&1 | filecheck %s --check-prefix=NEGATIVE
// RUN: not recon-opt %s -p 'select-configuration,convert-cnn-to-tile{objective="speed"}' 2>&1 | filecheck %s --check-prefix=OBJECTIVE

// Rings of a few rows, rows come and go while both layers work.
// FUSED-NOT: tile.dram :
// FUSED: %x_1 = tile.alloc{{.*}} : !tile.sram<28x28x4xi8, ring {{[0-9]+}}>
// FUSED: %c = tile.alloc{{.*}} : !tile.sram<28x28x4xi8, ring {{[0-9]+}}>
// FUSED: tile.conv %c[0, 0, 0] [[A:.*]] = %x_1[0]
// FUSED: tile.conv %d_1[0, 0, 0]
// FUSED: tile.store %d[0, 0, 0]
// FUSED: tile.conv %c[

// The first layer's result goes through DRAM.
// ALONE: [[C:%.*]] = tile.dram : !tile.dram<28x28x4xi8>
// ALONE: tile.store [[C]][0, 0, 0]
// ALONE: tile.load %c_1[0, 0, 0] [{{.*}}] from [[C]][0, 0, 0]

// The second layer's weights are loaded when the first is under way.
// LATE: tile.conv
// LATE: tile.load %d_w0

// SMALL: error: Layer c does not fit in SRAM: its smallest tile takes {{.*}} bytes and there are 256: {{.*}} too many. A machine with more SRAM, or a layer with a smaller window, would help.
// LARGE: error: The SRAM limit of 99,999,999 bytes is more than the 12,582,912 that edge4k has.
// NEGATIVE: error: An SRAM limit is a number of bytes, not -1.
// OBJECTIVE: error: 'speed' is no objective; there are cycles, latency, throughput, dram, energy.
func.func @main(%x: !cnn.tensor<1x28x28x4, scale 0.5, zero 3>) -> !cnn.tensor<1x28x28x4, scale 0.5, zero 3> {
  %c = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "c"
  %d = cnn.conv2d %c weights <4x1x1x4xi8, seed 2> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <1x1> quant <scale 0.5, zero 3> layer "d"
  func.return %d : !cnn.tensor<1x28x28x4, scale 0.5, zero 3>
}
