// RUN: recon-opt %s --split-input-file -p canonicalize-onnx | filecheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x2x5x5xf32>, %w: tensor<2x2x3x3xf32>) -> (tensor<1x50xf32>, tensor<1x2x1x1xf32>) attributes {inputs = ["x", "w"], outputs = ["y", "z"]} {
  // A Sum is Adds, first to last.
  // CHECK-NEXT: [[FIRST:%.*]] = onnx.node "Add"(%x, %x) name "sum_0"
  // CHECK-NEXT: [[SUM:%.*]] = onnx.node "Add"([[FIRST]], %x) name "sum"
  %sum = onnx.node "Sum"(%x, %x, %x) name "sum" : (tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>, tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  // What passes its operand through is nothing; auto_pad is numbers.
  // CHECK-NEXT: [[CONV:%.*]] = onnx.node "Conv"([[SUM]], %w) name "conv" attributes {pads = array<i64: 1, 1, 1, 1>}
  %same = onnx.node "Identity"(%sum) : (tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  %drop = onnx.node "Dropout"(%same) : (tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  %conv = onnx.node "Conv"(%drop, %w) name "conv" attributes {auto_pad = "SAME_UPPER"} : (tensor<1x2x5x5xf32>, tensor<2x2x3x3xf32>) -> tensor<1x2x5x5xf32>
  // Flatten is a Reshape.
  // CHECK-NEXT: [[SHAPE:%.*]] = onnx.constant <2xi64, [1, 50]> : tensor<2xi64>
  // CHECK-NEXT: [[FLAT:%.*]] = onnx.node "Reshape"([[CONV]], [[SHAPE]]) name "flat"
  %flat = onnx.node "Flatten"(%conv) name "flat" : (tensor<1x2x5x5xf32>) -> tensor<1x50xf32>
  // CHECK-NEXT: [[POOL:%.*]] = onnx.node "MaxPool"([[CONV]]) attributes {kernel_shape = array<i64: 5, 5>}
  %pool = onnx.node "GlobalMaxPool"(%conv) : (tensor<1x2x5x5xf32>) -> tensor<1x2x1x1xf32>
  // CHECK-NEXT: func.return [[FLAT]], [[POOL]]
  func.return %flat, %pool : tensor<1x50xf32>, tensor<1x2x1x1xf32>
}

// -----

// What broadcasts step by step has the shape of each step.
// CHECK: func.func
func.func @main(%x: tensor<1x1xf32>, %y: tensor<1x2xf32>, %z: tensor<3x1xf32>) -> tensor<3x2xf32> attributes {inputs = ["x", "y", "z"], outputs = ["m"]} {
  // CHECK-NEXT: [[FIRST:%.*]] = onnx.node "Add"(%x, %y) name "mean_0" : (tensor<1x1xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  // CHECK-NEXT: [[ALL:%.*]] = onnx.node "Add"([[FIRST]], %z) name "mean_1" : (tensor<1x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  // CHECK-NEXT: [[THREE:%.*]] = onnx.constant <f32, 3.0> : tensor<f32>
  // CHECK-NEXT: onnx.node "Div"([[ALL]], [[THREE]]) name "mean"
  %m = onnx.node "Mean"(%x, %y, %z) name "mean" : (tensor<1x1xf32>, tensor<1x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  func.return %m : tensor<3x2xf32>
}
