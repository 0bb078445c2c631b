// Every operation of the cnn level, in a model that runs: recon compile docs/dialects/cnn.mlir -o x.rbin --validate
!image = !cnn.tensor<1x8x8x4, scale 0.5, zero 3>
!codes = !cnn.tensor<1x1x1x4, scale 0.05, zero -10>

func.func @main(%x: !image) -> tensor<1x1x1x4xi8> attributes {inputs = ["x"], outputs = ["y"]} {
  %conv = cnn.conv2d %x weights <4x3x3x4xi8, seed 1> bias <4xi32, [1, -2, 3, -4]> scales <4xf32, 0.01>
      window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "conv"
  %sum = cnn.conv2d %conv residual %x weights <4x1x1x4xi8, seed 2> bias <4xi32, 0> scales <4xf32, 0.01>
      window <1x1> quant <scale 0.5, zero 3> clamp <3, 127> sum <second, scale 0.5, zero 3> layer "sum"
  %max = cnn.max_pool2d %sum window <3x3 pad 1 1 1 1> layer "max_pool"
  %mean = cnn.average_pool2d %max window <2x2 stride 2 2> count_pads 0 layer "average_pool"
  %big = cnn.resize %mean factors [2, 2] layer "resize"
  %add = cnn.add %big, %x clamp <-50, 127> layer "add"
  %sub = cnn.sub %add, %conv layer "sub"
  %pixel = cnn.global_average_pool %sub layer "global_average_pool"
  %mul = cnn.mul %sub, %pixel layer "mul"
  %most = cnn.max %mul, %x layer "max"
  %least = cnn.min %most, %add layer "min"
  %table = cnn.table %least table <256xi8, seed 3> function "Tanh" layer "table" -> !cnn.tensor<1x8x8x4, scale 0.01, zero 0>
  %affine = cnn.affine %table scale <4xf32, [1.0, 2.0, 0.5, -1.0]> offset <4xf32, 0.25> layer "affine"
  %norm = cnn.lrn %affine size 3 alpha 1.0 beta 0.75 bias 1.0 layer "lrn"
  %joined = cnn.concat %norm, %affine layer "concat"
  %half = cnn.slice %joined offsets [0, 0, 0, 2] steps [1, 2, 1, 1] layer "slice" -> !cnn.tensor<1x4x8x4, scale 0.01, zero 0>
  %padded = cnn.pad %half pads [1, 0, 0, 1] value 7 layer "pad"
  %rows = cnn.select %padded rows [4, 0, 0, 1] channels [3, 2, 1, 0] layer "select"
  %woven = cnn.interleave %rows, %rows factors [2, 1] layer "interleave"
  %turned = cnn.transpose %woven permutation [0, 2, 1, 3] layer "transpose"
  %shuffled = cnn.channel_shuffle %turned groups 2 layer "channel_shuffle"
  %flat = cnn.reshape %shuffled layer "reshape" -> !cnn.tensor<1x1x1x288, scale 0.01, zero 0>
  %dense = cnn.fully_connected %flat weights <4x1x1x288xi8, seed 4> bias <4xi32, 0> scales <4xf32, 0.002>
      quant <scale 0.05, zero -10> layer "dense"
  %known = cnn.constant <1x1x1x4xi8, [1, 2, 3, 4]> layer "known" : !codes
  %end = cnn.add %dense, %known layer "end"
  %y = cnn.host %end {
  ^bb0(%z: tensor<1x1x1x4xi8>):
    %r = onnx.node "Identity"(%z) : (tensor<1x1x1x4xi8>) -> tensor<1x1x1x4xi8>
    cnn.yield %r : tensor<1x1x1x4xi8>
  } layer "exit" : (!codes) -> tensor<1x1x1x4xi8>
  func.return %y : tensor<1x1x1x4xi8>
}
