// Every operation of the tile level, in a plan that runs: recon compile docs/dialects/tile.mlir -o x.rbin --validate
recon.layer @conv "conv2d" "8x8x16 -> 8x8x16 3x3" macs 147456 compute 36 weights 2432 activations 2048
recon.layer @add "add" "8x8x16 -> 8x8x16" macs 0 compute 0 weights 0 activations 3072
recon.layer @turn "transpose" "8x8x16 -> 8x8x16" macs 0 compute 0 weights 0 activations 2048

tile.schedule @main machine "edge4k" (%in: !tile.dram<8x8x16xi8>) -> (%out: !tile.dram<1x1x1024xi8>) {
  %w = tile.constant <16x3x3x16xi8, seed 1> : !tile.dram<16x3x3x16xi8>
  %p = tile.constant <16x2xf32, [
      0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001,
      0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001]> : !tile.dram<16x8xi8>
  %image = tile.image <direct g1 k16 r16 p16> : !tile.dram<16384xi8>
  %ws = tile.alloc : !tile.sram<16x3x3x16xi8>
  %ps = tile.alloc : !tile.sram<16x8xi8>
  %copy = tile.alloc : !tile.sram<16384xi8>
  tile.load %copy from %image
  tile.load %ws from %w layer @conv
  tile.load %ps from %p layer @conv
  tile.frame
  tile.load_config <direct g1 k16 r16 p16> copy %copy : !tile.sram<16384xi8> layer @conv
  tile.use <direct g1 k16 r16 p16> layer @conv
  %spill = tile.dram : !tile.dram<8x8x16xi8>
  %x = tile.alloc : !tile.sram<8x8x16xi8>
  %c = tile.alloc : !tile.sram<8x8x16xi8>
  %y = tile.alloc at 0 : !tile.sram<8x8x16xi8>
  tile.load %x from %in layer @conv
  %h = tile.fill half 0 %ws for <direct g1 k16 r16 p16> layer @conv
  tile.for %i = 0 to 8 step 4 {
    tile.conv %c[%i, 0, 0] [4, 8, 16] = %x, %h window <3x3 pad 1 1 1 1> params %ps requantize <zero 0 clamp 0 127> layer @conv
    tile.vector add %c[%i, 0, 0] [4, 8, 16] = %c[0], %x[0]
        law <floats 0.5 0.5 0.0 0.0 0.0 0.0 zeros 0 0 0 clamp -128 127 size 0> layer @add
    tile.store %spill[%i, 0, 0] [4, 8, 16] from %c[%i, 0, 0] layer @add
  }
  tile.load %x from %spill layer @turn
  tile.move %y[0, 0, 0] by column 1, row 1 = %x[0, 0, 0] by row 1, column 1 sizes [8, 8, 16] layer @turn
  %flat = tile.view %y : !tile.sram<8x8x16xi8> to !tile.sram<1x1x1024xi8>
  tile.store %out from %flat layer @turn
  tile.free %x, %c, %y : !tile.sram<8x8x16xi8>, !tile.sram<8x8x16xi8>, !tile.sram<8x8x16xi8>
}
