// Every operation of the accel level, in a program that runs (tile.mlir becomes it):
// recon compile docs/dialects/accel.mlir -o x.rbin --validate
recon.layer @conv "conv2d" "8x8x16 -> 8x8x16 3x3" macs 147456 compute 36 weights 2432 activations 2048
recon.layer @add "add" "8x8x16 -> 8x8x16" macs 0 compute 0 weights 0 activations 3072
recon.layer @turn "transpose" "8x8x16 -> 8x8x16" macs 0 compute 0 weights 0 activations 2048
accel.program @main machine "edge4k" {
  %in = accel.dram input "in" 8x8x16xi8 at 18816
  %out = accel.dram output "out" 1x1x1024xi8 at 19840
  %w = accel.dram constant <16x3x3x16xi8, seed 1> at 0
  %p = accel.dram constant <16x2xf32, [
      0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001,
      0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001, 0.0, 0.001]> at 2304
  %direct_g1_k16_r16_p16 = accel.dram image <direct g1 k16 r16 p16> 16384xi8 at 2432
  %spill = accel.dram scratch 8x8x16xi8 at 22912
  %ws = accel.buffer 2304 plan 0 16 at 16384
  %ps = accel.buffer 128 plan 0 16 at 21760
  %copy = accel.buffer 16384 plan 0 16 at 0
  %x = accel.buffer 1024 plan 5 16 at 19712
  %c = accel.buffer 1024 plan 5 16 at 20736
  %y = accel.buffer 1024 plan 5 16 at 18688
  %0 = accel.load dram(%direct_g1_k16_r16_p16) sram(%copy) {bytes = 16384}
  %1 = accel.load dram(%w) sram(%ws) {bytes = 2304} layer @conv
  %2 = accel.load dram(%p) sram(%ps) {bytes = 128} layer @conv
  accel.frame
  %3 = accel.load_config address(%copy) {space = 1} layer @conv
  %4 = accel.configure after(%3) waits <load 7> layer @conv
  %5 = accel.load dram(%in) sram(%x) {bytes = 1024} waits <vector 3> layer @conv
  %6 = accel.fill address(%ws) {k = 16, r = 16, p = 16, outputs = 16, inputs = 16, fy = 3, fx = 3, output_stride = 144, tap_stride = 16} after(%1) waits <load 5, array 3> layer @conv
  %7 = accel.conv in(%x) params(%ps) out(%c) {outputs = 16, inputs = 16, fy = 3, fx = 3, top = 1, left = 1, right = 1,
      oy = 4, ox = 8, in.row_stride = 128, in.pixel_stride = 16, first = 1, last = 1, hi = 127, out.row_stride = 128,
      out.pixel_stride = 16} after(%5, %6) waits <load 8, weights 2> layer @conv
  %8 = accel.vector a(%c) b(%x) out(%c) {op = 1, oy = 4, ox = 8, channels = 16, a.row_stride = 128,
      a.pixel_stride = 16, b.row_stride = 128, b.pixel_stride = 16, out.row_stride = 128, out.pixel_stride = 16,
      ra = 0.5, rb = 0.5, lo = -128, hi = 127} after(%5, %7) waits <array 5> layer @add
  %9 = accel.store dram(%spill) sram(%c) {bytes = 512} after(%7, %8) waits <vector 4> layer @add
  %10 = accel.conv in(%x + 384) params(%ps)
      out(%c + 512) {outputs = 16, inputs = 16, fy = 3, fx = 3, bottom = 1, left = 1, right = 1, oy = 4, ox = 8,
      in.row_stride = 128, in.pixel_stride = 16, first = 1, last = 1, hi = 127, out.row_stride = 128,
      out.pixel_stride = 16} layer @conv
  %11 = accel.vector a(%c + 512) b(%x + 512)
      out(%c + 512) {op = 1, oy = 4, ox = 8, channels = 16, a.row_stride = 128, a.pixel_stride = 16,
      b.row_stride = 128, b.pixel_stride = 16, out.row_stride = 128, out.pixel_stride = 16, ra = 0.5, rb = 0.5,
      lo = -128, hi = 127} after(%10) waits <array 6> layer @add
  %12 = accel.store dram(%spill + 512) sram(%c + 512) {bytes = 512} after(%10, %11) waits <vector 5> layer @add
  %13 = accel.load dram(%spill) sram(%x) {bytes = 1024} after(%10, %11, %12) waits <store 5> layer @turn
  %14 = accel.vector a(%x) out(%y) {oy = 8, ox = 8, channels = 16, a.row_stride = 128, a.pixel_stride = 16,
      out.row_stride = 16, out.pixel_stride = 128, ra = 1.0, lo = -128, hi = 127} after(%13) waits <load 9>
      layer @turn
  %15 = accel.store dram(%out) sram(%y) {bytes = 1024} after(%14) waits <vector 6> layer @turn
}
