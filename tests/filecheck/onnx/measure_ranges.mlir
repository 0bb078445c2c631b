// RUN: python -c "import numpy, sys; numpy.savez(sys.argv[1], numpy.float32([[[1, -3]], [[2, 0.5]]]))" %t.npz
// RUN: recon-opt %s -p 'measure-ranges{samples="%t.npz"}' | filecheck %s
// RUN: recon-opt %s -p measure-ranges | filecheck %s --check-prefix=NONE

// Least and greatest over both samples, behind nodes whose float result more than quantisers read.
// NONE-NOT: seen
// CHECK: func.func
func.func @main(%x: tensor<1x2xf32>) -> (tensor<1x2xi8>, tensor<1x2xf32>) attributes {inputs = ["x"], outputs = ["q", "y"]} {
  %s = onnx.constant <1xf32, [0.5]> : tensor<1xf32>
  %z = onnx.constant <1xi8, [0]> : tensor<1xi8>
  // CHECK: onnx.node "Relu"(%x) name "r" seen <0.0, 2.0>
  %r = onnx.node "Relu"(%x) name "r" : (tensor<1x2xf32>) -> tensor<1x2xf32>
  // CHECK: onnx.node "Neg"(%r) :
  %n = onnx.node "Neg"(%r) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %q = onnx.node "QuantizeLinear"(%n, %s, %z) : (tensor<1x2xf32>, tensor<1xf32>, tensor<1xi8>) -> tensor<1x2xi8>
  // CHECK: onnx.node "Abs"(%x) seen <0.5, 3.0>
  %a = onnx.node "Abs"(%x) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  // CHECK: onnx.node "Sqrt"(%a) :
  %y = onnx.node "Sqrt"(%a) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %q, %y : tensor<1x2xi8>, tensor<1x2xf32>
}
