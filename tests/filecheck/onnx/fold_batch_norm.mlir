// RUN: recon-opt %s -p fold-batch-norm | filecheck %s

func.func @main(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %w = onnx.constant <2x1x1x1xf32, [1.0, 3.0]> : tensor<2x1x1x1xf32>
  %conv = onnx.node "Conv"(%x, %w) name "conv" : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x4x4xf32>
  // Variance 3.75 and epsilon 0.25 make a factor of gamma / 2; the Mul and Add behind it fold as well.
  %gamma = onnx.constant <2xf32, [2.0, 4.0]> : tensor<2xf32>
  %beta = onnx.constant <2xf32, [0.5, 1.0]> : tensor<2xf32>
  %mean = onnx.constant <2xf32, [1.0, 0.0]> : tensor<2xf32>
  %variance = onnx.constant <2xf32, [3.75, 3.75]> : tensor<2xf32>
  %norm = onnx.node "BatchNormalization"(%conv, %gamma, %beta, %mean, %variance) name "norm"
      attributes {epsilon = 2.500000e-01 : f32}
      : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %m = onnx.constant <2x1x1xf32, [1.0, 10.0]> : tensor<2x1x1xf32>
  %scaled = onnx.node "Mul"(%norm, %m) name "scale" : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %k = onnx.constant <1xf32, [1.0]> : tensor<1xf32>
  %y = onnx.node "Add"(%scaled, %k) name "shift" : (tensor<1x2x4x4xf32>, tensor<1xf32>) -> tensor<1x2x4x4xf32>
  // CHECK: func.func
  // CHECK-NEXT: [[W:%.*]] = onnx.constant <2x1x1x1xf32, [1.0, 60.0]> : tensor<2x1x1x1xf32>
  // CHECK-NEXT: [[B:%.*]] = onnx.constant <2xf32, [0.5, 11.0]> : tensor<2xf32>
  // CHECK-NEXT: [[Y:%.*]] = onnx.node "Conv"(%x, [[W]], [[B]]) name "conv" {absorbed = ["norm", "scale", "shift"]}
  // CHECK-NEXT: func.return [[Y]]
  func.return %y : tensor<1x2x4x4xf32>
}
