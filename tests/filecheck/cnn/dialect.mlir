// RUN: RECON_ROUNDTRIP
// RUN: RECON_GENERIC_ROUNDTRIP

// CHECK: [[X:%.*]], [[V:%.*]] = "test.op"()
%x, %v = "test.op"() : () -> (!cnn.tensor<1x8x8x4, scale 0.5, zero 3>, !cnn.tensor<1x1x1x4, scale 0.25, zero -1>)
// CHECK: cnn.conv2d %x residual %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [1, -2, 3, -4]>
// CHECK-NEXT: scales <4xf32, [0.5, 0.25, 0.125, 1.0]> window <3x3 pad 2 2 2 2 dilation 2 2> weight_zero 5
// CHECK-NEXT: quant <scale 0.1, zero 0> clamp <0, 127> sum <first, scale 0.2, zero 1, clamp -128, 100> table <256xi8, seed 2>
// CHECK-NEXT: layer "c" nodes ["a", "b"] -> !cnn.tensor<1x8x8x4, scale 0.3, zero 2>
%c = cnn.conv2d %x residual %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [1, -2, 3, -4]>
    scales <4xf32, [0.5, 0.25, 0.125, 1.0]> window <3x3 pad 2 2 2 2 dilation 2 2> groups 1 weight_zero 5
    quant <scale 0.1, zero 0> clamp <0, 127> sum <first, scale 0.2, zero 1, clamp -128, 100> table <256xi8, seed 2>
    layer "c" nodes ["a", "b"] -> !cnn.tensor<1x8x8x4, scale 0.3, zero 2>
// CHECK: cnn.conv2d %x residual %x
// CHECK-NEXT: quant <scale 0.2, zero 1>{{$}}
// CHECK-NEXT: sum <wide, scale 0.2, zero 1, clamp 1, 127>{{$}}
%wide = cnn.conv2d %x residual %x weights <4x1x1x4xi8, seed 1> bias <4xi32, [1, -2, 3, -4]>
    scales <4xf32, [0.5, 0.25, 0.125, 1.0]> window <1x1> quant <scale 0.2, zero 1>
    sum <wide, scale 0.2, zero 1, clamp 1, 127>
// CHECK: cnn.conv2d %x {{.*}} quant <scale 1.0, zero 0> layer "raw" -> !cnn.float<1x8x8x4>
%raw = cnn.conv2d %x weights <4x1x1x4xi8, seed 1> bias <4xi32, 0> scales <4xf32, 0.5> window <1x1>
    quant <scale 1.0, zero 0> layer "raw" -> !cnn.float<1x8x8x4>
// CHECK: cnn.host %raw {
// CHECK-NEXT: ^bb0({{.*}}: tensor<1x8x8x4xf32>):
%sm = cnn.host %raw {
^bb0(%rr: tensor<1x8x8x4xf32>):
  %rs = onnx.node "Softmax"(%rr) : (tensor<1x8x8x4xf32>) -> tensor<1x8x8x4xf32>
  cnn.yield %rs : tensor<1x8x8x4xf32>
} : (!cnn.float<1x8x8x4>) -> tensor<1x8x8x4xf32>
// CHECK: cnn.fully_connected %v weights <2x1x1x4xi8, [1, 2, 3, 4, 5, 6, 7, 8]> bias <2xi32, 0> scales <2xf32, 0.5> count 4 quant <scale 0.1, zero 0> layer "fc"
%f = cnn.fully_connected %v weights <2x1x1x4xi8, [1, 2, 3, 4, 5, 6, 7, 8]> bias <2xi32, [0, 0]> scales <2xf32, [0.5, 0.5]> count 4 quant <scale 0.1, zero 0> layer "fc"
// CHECK: cnn.max_pool2d %x window <2x2 stride 2 2>
%m = cnn.max_pool2d %x window <2x2 stride 2 2>
// CHECK: cnn.average_pool2d %x window <3x3 pad 1 1 1 1> count_pads 1 clamp <3, 127>
%a = cnn.average_pool2d %x window <3x3 pad 1 1 1 1> count_pads 1 clamp <3, 127>
// CHECK: cnn.global_average_pool %x
%g = cnn.global_average_pool %x
// CHECK: cnn.add %x, %a clamp <-5, 127>
%s = cnn.add %x, %a clamp <-5, 127>
// CHECK: cnn.sub %x, %a
%d = cnn.sub %x, %a
// CHECK: cnn.mul %x, %g
%p = cnn.mul %x, %g
// CHECK: cnn.max %x, %a clamp <-5, 127>
%most = cnn.max %x, %a clamp <-5, 127>
// CHECK: cnn.min %x, %a
%least = cnn.min %x, %a
// CHECK: cnn.concat %x, %a layer "join"
%j = cnn.concat %x, %a layer "join"
// CHECK: cnn.slice %x offsets [0, 1, 0, 2] steps [1, 2, 1, 1]
%l = cnn.slice %x offsets [0, 1, 0, 2] steps [1, 2, 1, 1]
// CHECK: cnn.pad %x pads [1, 0, 2, 0] value -7
%q = cnn.pad %x pads [1, 0, 2, 0] value -7
// CHECK: cnn.resize %x factors [2, 3]
%r = cnn.resize %x factors [2, 3]
// CHECK: cnn.transpose %l permutation [0, 2, 1, 3]
%t = cnn.transpose %l permutation [0, 2, 1, 3]
// CHECK: cnn.transpose %x factors [8, 4, 2, 2, 2] permutation [0, 3, 1, 4, 2]
%t2 = cnn.transpose %x factors [8, 4, 2, 2, 2] permutation [0, 3, 1, 4, 2] -> !cnn.tensor<1x16x4x4, scale 0.5, zero 3>
// CHECK: cnn.select %x rows [7, 0, 0] channels [3, 1]
%c2 = cnn.select %x rows [7, 0, 0] channels [3, 1]
// CHECK: cnn.interleave %x, %x factors [1, 2]
%w2 = cnn.interleave %x, %x factors [1, 2]
// CHECK: cnn.concat %x, %x axis 1
%j2 = cnn.concat %x, %x axis 1
// CHECK: cnn.channel_shuffle %x groups 2
%h = cnn.channel_shuffle %x groups 2
// CHECK: cnn.reshape %x
%e = cnn.reshape %x -> !cnn.tensor<1x1x1x256, scale 0.5, zero 3>
// CHECK: cnn.table %x table <256xi8, seed 3> function "Tanh"
%b = cnn.table %x table <256xi8, seed 3> function "Tanh" -> !cnn.tensor<1x8x8x4, scale 0.01, zero 0>
// CHECK: cnn.affine %v scale <4xf32, [1.0, 2.0, 3.0, 4.0]> offset <4xf32, 0.5> clamp <0, 127>
%i = cnn.affine %v scale <4xf32, [1.0, 2.0, 3.0, 4.0]> offset <4xf32, [0.5, 0.5, 0.5, 0.5]> clamp <0, 127> -> !cnn.tensor<1x1x1x4, scale 0.25, zero 0>
// CHECK: cnn.lrn %x size 5 alpha {{.*}} beta 7.500000e-01 bias 1.000000e+00
%n = cnn.lrn %x size 5 alpha 9.99999974E-5 beta 7.500000e-01 bias 1.000000e+00
// CHECK: cnn.constant <1x1x1x4xi8, [1, 2, 3, 4]> layer "k"
%k = cnn.constant <1x1x1x4xi8, [1, 2, 3, 4]> layer "k" : !cnn.tensor<1x1x1x4, scale 0.25, zero -1>
// CHECK: cnn.host %v {
// CHECK-NEXT: ^bb0(%z: tensor<1x1x1x4xi8>):
// CHECK-NEXT: onnx.node "Relu"(%z)
// CHECK-NEXT: cnn.yield
// CHECK-NEXT: } layer "exit"
%o = cnn.host %v {
^bb0(%z: tensor<1x1x1x4xi8>):
  %w = onnx.node "Relu"(%z) : (tensor<1x1x1x4xi8>) -> tensor<1x1x1x4xi8>
  cnn.yield %w : tensor<1x1x1x4xi8>
} layer "exit" : (!cnn.tensor<1x1x1x4, scale 0.25, zero -1>) -> tensor<1x1x1x4xi8>
