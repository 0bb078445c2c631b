// What examples/fused.mlir computes, at the cnn level: compare the plan, as it stands or edited, with it.
//
//   recon compile examples/fused.mlir -o fused.rbin --validate --against examples/fused_model.mlir
//
!codes = !cnn.tensor<1x28x28x16, scale 1.0, zero 0>
func.func @main(%in: !codes) -> !codes attributes {inputs = ["in"], outputs = ["out"]} {
  %c1 = cnn.conv2d %in weights <16x3x3x16xi8, seed 1> bias <16xi32, 0> scales <16xf32, 0.0009765625>
      window <3x3 pad 1 1 1 1> quant <scale 1.0, zero 0> clamp <0, 127> layer "c1"
  %c2 = cnn.conv2d %c1 residual %in weights <16x3x3x16xi8, seed 2> bias <16xi32, 0> scales <16xf32, 0.0009765625>
      window <3x3 pad 1 1 1 1> quant <scale 1.0, zero 0> sum <second, scale 2.0, zero 0> layer "c2"
  %c3 = cnn.conv2d %c2 weights <16x1x1x16xi8, seed 3> bias <16xi32, 0> scales <16xf32, 0.0009765625>
      window <1x1> quant <scale 1.0, zero 0> layer "c3"
  func.return %c3 : !codes
}
