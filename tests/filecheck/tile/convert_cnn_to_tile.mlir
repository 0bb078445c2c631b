// The plan of small networks, as text: buffers, passes, and what costs nothing.
// RUN: recon-opt %s --split-input-file -p select-configuration,convert-cnn-to-tile | filecheck %s

// One convolution: input and constants come, a half is filled, one pass, the result leaves.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %c_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r8 p128>
// CHECK: %c_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %c_1[0, 0, 0] [8, 8, 4] = %x_1[0] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %c_params[0]
// CHECK: tile.store %c[0, 0, 0] [8, 8, 4] from %c_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x4, scale 0.5, zero 3>) {
  %c = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "c"
  func.return %c : !cnn.tensor<1x8x8x4, scale 0.5, zero 3>
}

// -----

// A residual is read in place; the sum is the convolution's last stage.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %c_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r8 p128>
// CHECK: %c = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %c[0, 0, 0] [8, 8, 4] = %x_1[0] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %c_params[0]
// CHECK: %h_1 = tile.fill half 1 %d_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: %d_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.conv %d_1[0, 0, 0] [8, 8, 4] = %c[0] [4], %h_1 window <3x3 pad 1 1 1 1> pad_value 3 params %d_params[0]
// CHECK-NEXT: add %x_1[0]
// CHECK: tile.store %d[0, 0, 0] [8, 8, 4] from %d_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x4, scale 0.5, zero 3>) {
  %c = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "c"
  %d = cnn.conv2d %c residual %x weights <4x3x3x4xi8, seed 2> bias <4xi32, [0, 1, 2, 3]>
      scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3>
      sum <second, scale 0.5, zero 3, clamp 3, 127> layer "d"
  func.return %d : !cnn.tensor<1x8x8x4, scale 0.5, zero 3>
}

// -----

// Two convolutions write the channels of one buffer: joining costs nothing.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %a_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r8 p128>
// CHECK: %j = tile.alloc{{.*}} : !tile.sram<8x8x8xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %j[0, 0, 0] [8, 8, 4] = %x_1[0] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %a_params[0]
// CHECK: %h_1 = tile.fill half 1 %b_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.conv %j[0, 0, 4] [8, 8, 4] = %x_1[0] [4], %h_1 window <3x3 pad 1 1 1 1> pad_value 3 params %b_params[0]
// CHECK: %p_1 = tile.alloc{{.*}} : !tile.sram<4x4x8xi8>
// CHECK: tile.vector max_pool %p_1[0, 0, 0] [4, 4, 8] = %j[0] window <2x2 stride 2 2>
// CHECK: tile.store %p[0, 0, 0] [4, 4, 8] from %p_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x4x4x8, scale 0.5, zero 3>) {
  %a = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "a"
  %b = cnn.conv2d %x weights <4x3x3x4xi8, seed 2> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "b"
  %j = cnn.concat %a, %b layer "j"
  %p = cnn.max_pool2d %j window <2x2 stride 2 2> layer "p"
  func.return %p : !cnn.tensor<1x4x4x8, scale 0.5, zero 3>
}

// -----

// A dense block grows in one buffer: the input and what every layer adds, at channels 0, 4 and 8.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %a_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r16 p64>
// CHECK: %k_1 = tile.alloc{{.*}} : !tile.sram<8x8x12xi8>
// CHECK: tile.load %k_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %k_1[0, 0, 4] [8, 8, 4] = %k_1[0] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %a_params[0]
// CHECK: %h_1 = tile.fill half 1 %b_w0[0, 0, 0, 0] [4, 3, 3, 8]
// CHECK: tile.conv %k_1[0, 0, 8] [8, 8, 4] = %k_1[0] [8], %h_1 window <3x3 pad 1 1 1 1> pad_value 3 params %b_params[0]
// CHECK: tile.store %k[0, 0, 0] [8, 8, 12] from %k_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x12, scale 0.5, zero 3>) {
  %a = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "a"
  %j = cnn.concat %x, %a layer "j"
  %b = cnn.conv2d %j weights <4x3x3x8xi8, seed 2> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "b"
  %k = cnn.concat %j, %b layer "k"
  func.return %k : !cnn.tensor<1x8x8x12, scale 0.5, zero 3>
}

// -----

// A tensor of two concats lives in the later one and is copied into the other.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %a_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r8 p128>
// CHECK: %j_1 = tile.alloc{{.*}} : !tile.sram<8x8x8xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %j_1[0, 0, 0] [8, 8, 4] = %x_1[0] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %a_params[0]
// CHECK: tile.vector copy %j_1[0, 0, 4] [8, 8, 4] = %j_1[0]
// CHECK: tile.store %j[0, 0, 0] [8, 8, 8] from %j_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x8, scale 0.5, zero 3>) {
  %a = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "a"
  %j = cnn.concat %a, %a layer "j"
  func.return %j : !cnn.tensor<1x8x8x8, scale 0.5, zero 3>
}

// -----

// A slice is a channel offset of its operand.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %c_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r8 p128>
// CHECK: %c_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x8xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 8] from %x[0, 0, 0]
// CHECK: tile.conv %c_1[0, 0, 0] [8, 8, 4] = %x_1[4] [4], %h window <3x3 pad 1 1 1 1> pad_value 3 params %c_params[0]
// CHECK: tile.store %c[0, 0, 0] [8, 8, 4] from %c_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x8, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x4, scale 0.5, zero 3>) {
  %s = cnn.slice %x offsets [0, 0, 0, 4] layer "s"
  %c = cnn.conv2d %s weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "c"
  func.return %c : !cnn.tensor<1x8x8x4, scale 0.5, zero 3>
}

// -----

// A reshape is a view; the fully connected layer reads the same bytes.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %c_w0[0, 0, 0, 0] [4, 3, 3, 4]
// CHECK: tile.use <direct g1 k4 r64 p16>
// CHECK: %c = tile.alloc{{.*}} : !tile.sram<4x4x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %c[0, 0, 0] [4, 4, 4] = %x_1[0] [4], %h window <3x3 pad 1 0 1 0 stride 2 2> pad_value 3 params %c_params[0]
// CHECK: %h_1 = tile.fill half 1 %f_w0[0, 0, 0, 0] [4, 1, 1, 64]
// CHECK: %f_1 = tile.alloc{{.*}} : !tile.sram<1x1x4xi8>
// CHECK: %r = tile.view %c : !tile.sram<4x4x4xi8> to !tile.sram<1x1x64xi8>
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %r[0] [64], %h_1 window <1x1> pad_value 3 params %f_params[0]
// CHECK: tile.store %f[0, 0, 0] [1, 1, 4] from %f_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x1x1x4, scale 0.5, zero 3>) {
  %c = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 0 1 0 stride 2 2> quant <scale 0.5, zero 3> layer "c"
  %r = cnn.reshape %c layer "r" -> !cnn.tensor<1x1x1x64, scale 0.5, zero 3>
  %f = cnn.fully_connected %r weights <4x1x1x64xi8, seed 9> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> quant <scale 0.5, zero 3> layer "f"
  func.return %f : !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
}

// -----

// Pools keep their own pads; an average is its own law.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %m = tile.alloc{{.*}} : !tile.sram<4x4x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.vector max_pool %m[0, 0, 0] [4, 4, 4] = %x_1[0] window <3x3 pad 0 1 0 1 stride 2 2>
// CHECK: %a = tile.alloc{{.*}} : !tile.sram<4x4x4xi8>
// CHECK: tile.vector average_pool %a[0, 0, 0] [4, 4, 4] = %m[0] window <3x3 pad 1 1 1 1>
// CHECK: %g_1 = tile.alloc{{.*}} : !tile.sram<1x1x4xi8>
// CHECK: tile.vector global_average_pool %g_1[0, 0, 0] [1, 1, 4] = %a[0]
// CHECK: tile.store %g[0, 0, 0] [1, 1, 4] from %g_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x1x1x4, scale 0.5, zero 3>) {
  %m = cnn.max_pool2d %x window <3x3 pad 0 1 0 1 stride 2 2> layer "m"
  %a = cnn.average_pool2d %m window <3x3 pad 1 1 1 1> layer "a"
  %g = cnn.global_average_pool %a layer "g"
  func.return %g : !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
}

// -----

// Resize and pad: a pad is a mean of one pixel in which what lies outside counts.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %r = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<4x4x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [4, 4, 4] from %x[0, 0, 0]
// CHECK: tile.vector resize %r[0, 0, 0] [8, 8, 4] = %x_1[0] window <1x1 stride 2 2>
// CHECK: %p_1 = tile.alloc{{.*}} : !tile.sram<9x9x4xi8>
// CHECK: tile.vector average_pool %p_1[0, 0, 0] [9, 9, 4] = %r[0] window <1x1 pad 1 0 0 1>
// CHECK: tile.store %p[0, 0, 0] [9, 9, 4] from %p_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x4x4x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x9x9x4, scale 0.5, zero 3>) {
  %r = cnn.resize %x factors [2, 2] layer "r"
  %p = cnn.pad %r pads [1, 0, 0, 1] layer "p"
  func.return %p : !cnn.tensor<1x9x9x4, scale 0.5, zero 3>
}

// -----

// A reduction deeper than a half of L1: several fills and passes, the last one ends the sums.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %f_w0[0, 0, 0, 0] [4, 1, 1, 2000]
// CHECK: tile.use <direct g1 k16 r16 p16>
// CHECK: %f_1 = tile.alloc{{.*}} : !tile.sram<1x1x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<1x1x10000xi8>
// CHECK: tile.load %x_1[0, 0, 0] [1, 1, 10000] from %x[0, 0, 0]
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %x_1[0] [2000], %h window <1x1> pad_value 3
// CHECK: %h_1 = tile.fill half 1 %f_w0_1[0, 0, 0, 0] [4, 1, 1, 2000]
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %x_1[2000] [2000], %h_1 window <1x1> pad_value 3 accumulate
// CHECK: %h_2 = tile.fill half 0 %f_w0_2[0, 0, 0, 0] [4, 1, 1, 2000]
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %x_1[4000] [2000], %h_2 window <1x1> pad_value 3 accumulate
// CHECK: %h_3 = tile.fill half 1 %f_w0_3[0, 0, 0, 0] [4, 1, 1, 2000]
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %x_1[6000] [2000], %h_3 window <1x1> pad_value 3 accumulate
// CHECK: %h_4 = tile.fill half 0 %f_w0_4[0, 0, 0, 0] [4, 1, 1, 2000]
// CHECK: tile.conv %f_1[0, 0, 0] [1, 1, 4] = %x_1[8000] [2000], %h_4 window <1x1> pad_value 3 accumulate params %f_params[0]
// CHECK: tile.store %f[0, 0, 0] [1, 1, 4] from %f_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x1x1x10000, scale 0.5, zero 3>) -> (!cnn.tensor<1x1x1x4, scale 0.5, zero 3>) {
  %f = cnn.fully_connected %x weights <4x1x1x10000xi8, seed 9> bias <4xi32, [0, 1, 2, 3]>
      scales <4xf32, [0.5, 0.5, 0.5, 0.5]> quant <scale 0.5, zero 3>
      layer "f" {configuration = #tile.configuration<direct g1 k16 r16 p16>}
  func.return %f : !cnn.tensor<1x1x1x4, scale 0.5, zero 3>
}

// -----

// Groups are cut with their inputs; depthwise is a group per channel.
// CHECK-LABEL: tile.schedule @main_segment
// CHECK: %h = tile.fill half 0 %g_w0[0, 0, 0, 0] [4, 3, 3, 2]
// CHECK: tile.use <direct g4 k2 r4 p128>
// CHECK: %g = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: %x_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.load %x_1[0, 0, 0] [8, 8, 4] from %x[0, 0, 0]
// CHECK: tile.conv %g[0, 0, 0] [8, 8, 4] = %x_1[0] [4], %h window <3x3 pad 1 1 1 1> groups 2 pad_value 3 params %g_params[0]
// CHECK: %h_1 = tile.fill half 1 %d_w0[0, 0, 0, 0] [4, 3, 3, 1]
// CHECK: %d_1 = tile.alloc{{.*}} : !tile.sram<8x8x4xi8>
// CHECK: tile.conv %d_1[0, 0, 0] [8, 8, 4] = %g[0] [4], %h_1 window <3x3 pad 1 1 1 1> groups 4 pad_value 3 params %d_params[0]
// CHECK: tile.store %d[0, 0, 0] [8, 8, 4] from %d_1[0, 0, 0]
// CHECK: }
func.func @main(%x: !cnn.tensor<1x8x8x4, scale 0.5, zero 3>) -> (!cnn.tensor<1x8x8x4, scale 0.5, zero 3>) {
  %g = cnn.conv2d %x weights <4x3x3x2xi8, seed 1> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> groups 2 quant <scale 0.5, zero 3> layer "g"
  %d = cnn.conv2d %g weights <4x3x3x1xi8, seed 2> bias <4xi32, [0, 1, 2, 3]> scales <4xf32, [0.5, 0.5, 0.5, 0.5]> window <3x3 pad 1 1 1 1> groups 4 quant <scale 0.5, zero 3> layer "d"
  func.return %d : !cnn.tensor<1x8x8x4, scale 0.5, zero 3>
}
