// RUN: recon-opt %s -p assume-int8 | filecheck %s
// RUN: recon-opt %s -p 'assume-int8{seed=3},assume-int8' | filecheck %s --check-prefix=TWICE

// CHECK: recon.notes = ["The model is float and was given int8 scales by one run on random input (--assume-int8, seed 0): cycles and bytes are those of the network, its outputs are not the model's."]
// TWICE: recon.notes = ["{{.*}}seed 3{{.*}}"]}
// CHECK: func.func
func.func @main(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  // CHECK: [[XQ:%.*]] = onnx.node "QuantizeLinear"(%x,
  // CHECK-NEXT: [[X:%.*]] = onnx.node "DequantizeLinear"([[XQ]],
  %w = onnx.constant <2x2x1x1xf32, [1.0, -2.0, 0.5, 0.25]> : tensor<2x2x1x1xf32>
  // Weights are symmetric, one scale per output channel; between a convolution and its Relu there is no quantiser.
  // CHECK: [[CODES:%.*]] = onnx.constant <2x2x1x1xi8, [64, -127, 127, 64]>
  // CHECK-NEXT: [[SCALES:%.*]] = onnx.constant <2xf32, [0.015748031, 0.003937008]>
  // CHECK: [[W:%.*]] = onnx.node "DequantizeLinear"([[CODES]], [[SCALES]],
  // CHECK-NEXT: [[C:%.*]] = onnx.node "Conv"([[X]], [[W]])
  // CHECK-NEXT: [[R:%.*]] = onnx.node "Relu"([[C]])
  %c = onnx.node "Conv"(%x, %w) : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %r = onnx.node "Relu"(%c) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  // CHECK: onnx.node "QuantizeLinear"([[R]],
  // CHECK: [[S:%.*]] = onnx.node "Softmax"
  // CHECK-NEXT: func.return [[S]]
  %y = onnx.node "Softmax"(%r) attributes {axis = 1 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  func.return %y : tensor<1x2x4x4xf32>
}
