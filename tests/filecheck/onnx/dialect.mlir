// RUN: RECON_ROUNDTRIP
// RUN: RECON_GENERIC_ROUNDTRIP

// CHECK: builtin.module attributes {recon.model = "tiny", onnx.opsets = {"" = 13 : i64, ai.onnx.ml = 2 : i64}} {
builtin.module attributes {recon.model = "tiny", onnx.opsets = {"" = 13 : i64, ai.onnx.ml = 2 : i64}} {
  // CHECK-NEXT: func.func @main(%x: tensor<1x3x8x8xf32>, %u: tensor<?x4xui8>) -> tensor<1x4x8x8xf32> attributes {inputs = ["x", "u"], outputs = ["y"]} {
  func.func @main(%x: tensor<1x3x8x8xf32>, %u: tensor<?x4xui8>) -> tensor<1x4x8x8xf32> attributes {inputs = ["x", "u"], outputs = ["y"]} {
    // CHECK-NEXT: %w = onnx.constant <4x3x1x1xf32, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]> name "w" : tensor<4x3x1x1xf32>
    %w = onnx.constant <4x3x1x1xf32, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]> name "w" : tensor<4x3x1x1xf32>
    // CHECK-NEXT: %none = onnx.none
    %none = onnx.none
    // CHECK-NEXT: %c = onnx.node "Conv"(%x, %w, %none) name "conv/1"
    // CHECK-NEXT: attributes {kernel_shape = array<i64: 1, 1>, auto_pad = "VALID", group = 1 : i64}
    // CHECK-NEXT: : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, !onnx.none) -> tensor<1x4x8x8xf32>
    %c = onnx.node "Conv"(%x, %w, %none) name "conv/1"
        attributes {kernel_shape = array<i64: 1, 1>, auto_pad = "VALID", group = 1 : i64}
        : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, !onnx.none) -> tensor<1x4x8x8xf32>
    // CHECK-NEXT: %a, %b = onnx.node "Split"(%c) attributes {axis = 1 : i64} : (tensor<1x4x8x8xf32>) -> (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>)
    %a, %b = onnx.node "Split"(%c) attributes {axis = 1 : i64} : (tensor<1x4x8x8xf32>) -> (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>)
    // CHECK-NEXT: %y = onnx.node "FusedThing"(%a, %b) domain "com.microsoft"
    // CHECK-NEXT: attributes {alpha = 5.000000e-01 : f32, names = ["p", "q"], fill = #recon.blob<1xf32, 0.0>}
    // CHECK-NEXT: : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x4x8x8xf32>
    %y = onnx.node "FusedThing"(%a, %b) domain "com.microsoft"
        attributes {alpha = 5.000000e-01 : f32, names = ["p", "q"], fill = #recon.blob<1xf32, [0.0]>}
        : (tensor<1x2x8x8xf32>, tensor<1x2x8x8xf32>) -> tensor<1x4x8x8xf32>
    // CHECK-NEXT: func.return %y : tensor<1x4x8x8xf32>
    func.return %y : tensor<1x4x8x8xf32>
  }
}
