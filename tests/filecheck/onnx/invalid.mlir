// RUN: recon-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// CHECK: an ONNX node has an operator type
%a = onnx.node ""() : () -> tensor<1xf32>

// -----
// CHECK: the Relu node has no result
%x = "test.op"() : () -> tensor<4xf32>
onnx.node "Relu"(%x) : (tensor<4xf32>) -> ()

// -----
// CHECK: an operand of Relu is i32, not a tensor or !onnx.none
%x = "test.op"() : () -> i32
%y = onnx.node "Relu"(%x) : (i32) -> tensor<4xf32>

// -----
// CHECK: the constant 2xf32 is not of type tensor<3xf32>
%c = onnx.constant <2xf32, [1.0, 2.0]> : tensor<3xf32>
