// Two fused 3x3 convolutions (the second adds the resident input back), while the weights of a third come in; then the
// third, writing through a double buffer. Compile and run it as it stands, then edit it: the height of a stripe, the
// place of a load, what stays on chip. The text means what it says from top to bottom; what overlaps follows from it.
//
//   recon-opt examples/fused.mlir -p convert-tile-to-accel,allocate-sram,assign-waits,check-hazards
//
recon.layer @c1 "conv2d" "28x28x16 -> 28x28x16 3x3" macs 1721344 compute 187 weights 2432 activations 25088 nodes ["Conv_3", "Relu_4"]
recon.layer @c2 "conv2d" "28x28x16 -> 28x28x16 3x3" macs 1721344 compute 187 weights 2432 activations 37632 nodes ["Conv_5", "Add_6"]
recon.layer @c3 "conv2d" "28x28x16 -> 28x28x16 1x1" macs 200704 compute 49 weights 384 activations 25088 nodes ["Conv_7"]

tile.schedule @fused machine "edge4k" (%in: !tile.dram<28x28x16xi8>) -> (%out: !tile.dram<28x28x16xi8>) {
  // Weights are KxRxSxC, parameters an int32 bias and a float32 scale (here 2^-10, then 2^-9) per output channel.
  %w1 = tile.constant <16x3x3x16xi8, seed 1> : !tile.dram<16x3x3x16xi8>
  %w2 = tile.constant <16x3x3x16xi8, seed 2> : !tile.dram<16x3x3x16xi8>
  %w3 = tile.constant <16x1x1x16xi8, seed 3> : !tile.dram<16x1x1x16xi8>
  %p = tile.constant <16x2xf32, [
    0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625,
    0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625,
    0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625,
    0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625, 0.0, 0.0009765625]> : !tile.dram<16x8xi8>
  %q = tile.constant <16x2xf32, [
    0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125,
    0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125,
    0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125,
    0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125, 0.0, 0.001953125]> : !tile.dram<16x8xi8>

  %x = tile.alloc : !tile.sram<28x28x16xi8>             // resident: the input of c1 and the skip of c2
  %mid = tile.alloc : !tile.sram<28x28x16xi8, ring 6>   // 28 rows seen, 6 stored: row y lies in slot y mod 6
  %y = tile.alloc : !tile.sram<28x28x16xi8>
  %s1 = tile.alloc : !tile.sram<16x3x3x16xi8>
  %s2 = tile.alloc : !tile.sram<16x3x3x16xi8>
  %s3 = tile.alloc : !tile.sram<16x1x1x16xi8>
  %b = tile.alloc : !tile.sram<16x8xi8>
  %d = tile.alloc : !tile.sram<16x8xi8>

  tile.load_config <winograd g1 k16 r16 p16> layer @c1
  tile.load %s1[0, 0, 0, 0] [16, 3, 3, 16] from %w1[0, 0, 0, 0] layer @c1
  tile.load %x[0, 0, 0] [7, 28, 16] from %in[0, 0, 0] layer @c1       // first rows first: the array starts early
  tile.load %b[0, 0] [16, 8] from %p[0, 0] layer @c1
  tile.load %s2[0, 0, 0, 0] [16, 3, 3, 16] from %w2[0, 0, 0, 0] layer @c2
  tile.load %x[7, 0, 0] [21, 28, 16] from %in[7, 0, 0] layer @c1
  tile.use <winograd g1 k16 r16 p16> layer @c1
  %h1 = tile.fill half 0 %s1[0, 0, 0, 0] [16, 3, 3, 16] for <winograd g1 k16 r16 p16> layer @c1
  %h2 = tile.fill half 1 %s2[0, 0, 0, 0] [16, 3, 3, 16] for <winograd g1 k16 r16 p16> layer @c2

  // Row 0 of c1 first, then stripes of 4: c1 stays one row ahead of what c2 reads.
  tile.conv %mid[0, 0, 0] [1, 28, 16] = %x[0] [16], %h1 window <3x3 pad 1 1 1 1> params %b[0] requantize <zero 0 clamp 0 127> layer @c1
  tile.for %i = 0 to 28 step 4 {
    tile.conv %mid[%i + 1, 0, 0] [4, 28, 16] = %x[0] [16], %h1 window <3x3 pad 1 1 1 1> params %b[0] requantize <zero 0 clamp 0 127> layer @c1
    tile.conv %y[%i, 0, 0] [4, 28, 16] = %mid[0] [16], %h2 window <3x3 pad 1 1 1 1> params %b[0] requantize <zero 0 clamp -128 127> add %x[0] <second ratios 0.5 0.5 0.0 clamp -128 127> layer @c2
    tile.load %s3[%i, 0, 0, 0] [4, 1, 1, 16] from %w3[%i, 0, 0, 0] layer @c3   // prefetch, a slice per stripe
  }
  tile.free %x, %mid, %s1, %s2, %b : !tile.sram<28x28x16xi8>, !tile.sram<28x28x16xi8, ring 6>, !tile.sram<16x3x3x16xi8>, !tile.sram<16x3x3x16xi8>, !tile.sram<16x8xi8>

  tile.load %d[0, 0] [16, 8] from %q[0, 0] layer @c3
  tile.load_config <direct g1 k16 r16 p16> layer @c3
  tile.use <direct g1 k16 r16 p16> layer @c3
  %z = tile.alloc : !tile.sram<28x28x16xi8, ring 14>     // a double buffer: two stripes of 7 rows
  %h3 = tile.fill half 0 %s3[0, 0, 0, 0] [16, 1, 1, 16] for <direct g1 k16 r16 p16> layer @c3
  tile.for %j = 0 to 28 step 7 {
    tile.conv %z[%j, 0, 0] [7, 28, 16] = %y[0] [16], %h3 window <1x1> params %d[0] requantize <zero 0 clamp -128 127> layer @c3
    tile.store %out[%j, 0, 0] [7, 28, 16] from %z[%j, 0, 0] layer @c3
  }
  tile.free %y, %z, %s3, %d : !tile.sram<28x28x16xi8>, !tile.sram<28x28x16xi8, ring 14>, !tile.sram<16x1x1x16xi8>, !tile.sram<16x8xi8>
}
