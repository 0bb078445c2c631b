// RUN: recon-opt %s -p fold-constants | filecheck %s

func.func @main(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  // What ConstantOfShape fills and Unsqueeze reshapes is a constant; the shape it came from is gone.
  // CHECK: func.func
  // CHECK-NEXT: [[WIDE:%.*]] = onnx.constant <2x1x1xf32, 0.5> : tensor<2x1x1xf32>
  // CHECK-NEXT: %y = onnx.node "Mul"(%x, [[WIDE]]) name "scale"
  %shape = onnx.constant <1xi64, [2]> : tensor<1xi64>
  %filled = onnx.node "ConstantOfShape"(%shape) attributes {value = #recon.blob<1xf32, [0.5]>} : (tensor<1xi64>) -> tensor<2xf32>
  %axes = onnx.constant <2xi64, [1, 2]> : tensor<2xi64>
  %wide = onnx.node "Unsqueeze"(%filled, %axes) : (tensor<2xf32>, tensor<2xi64>) -> tensor<2x1x1xf32>
  %y = onnx.node "Mul"(%x, %wide) name "scale" : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>

  // int8 weights stay behind their DequantizeLinear.
  // CHECK: onnx.node "DequantizeLinear"
  %w = onnx.constant <2xi8, [1, 2]> : tensor<2xi8>
  %s = onnx.constant <f32, [0.25]> : tensor<f32>
  %z = onnx.constant <i8, [0]> : tensor<i8>
  %real = onnx.node "DequantizeLinear"(%w, %s, %z) : (tensor<2xi8>, tensor<f32>, tensor<i8>) -> tensor<2xf32>
  func.return %y : tensor<1x2x4x4xf32>
}
