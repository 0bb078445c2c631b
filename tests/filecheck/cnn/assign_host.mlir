// RUN: recon-opt %s -p assign-host | filecheck %s
// RUN: not recon-opt %s -p 'assign-host{no-host=true}' 2>&1 | filecheck %s --check-prefix=REFUSED

// Only the node that the machine has no operation for, and what waits between it and the next QuantizeLinear.
// CHECK: recon.notes = ["The host runs 3 nodes of the model (TopK, Relu, Tanh); its time is not in the cycles."]
// CHECK-NOT: {{ host "}}
// CHECK: onnx.node "Sigmoid"({{.*}}) name "before" :
// CHECK: onnx.node "TopK"({{.*}}) name "best" host "The machine has no operation for TopK." attributes
// CHECK: onnx.node "Relu"({{.*}}) name "kept" host "It works on what best (TopK) leaves on the host." :
// CHECK: onnx.node "QuantizeLinear"({{.*}}) name "again" :
// What works on nothing but the host's results, and multiplies nothing, does not pay on the machine.
// CHECK: onnx.node "Tanh"({{.*}}) name "after" host "Between two turns of the host it would bring 8 bytes across and multiply nothing." :

// REFUSED: net has 3 problems:
// REFUSED-NEXT:   - best: The machine has no operation for TopK.
// REFUSED-NEXT:   - kept: It works on what best (TopK) leaves on the host.
// REFUSED-NEXT:   - after: Between two turns of the host it would bring 8 bytes across and multiply nothing.
builtin.module attributes {recon.model = "net"} {
  func.func @main(%x: tensor<1x8xi8>) -> tensor<1x4xi8> attributes {inputs = ["x"], outputs = ["y"]} {
    %s = onnx.constant <f32, [0.5]> : tensor<f32>
    %z = onnx.constant <i8, [0]> : tensor<i8>
    %k = onnx.constant <1xi64, [4]> : tensor<1xi64>
    %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x8xi8>, tensor<f32>, tensor<i8>) -> tensor<1x8xf32>
    %a = onnx.node "Sigmoid"(%xr) name "before" : (tensor<1x8xf32>) -> tensor<1x8xf32>
    %q = onnx.node "QuantizeLinear"(%a, %s, %z) : (tensor<1x8xf32>, tensor<f32>, tensor<i8>) -> tensor<1x8xi8>
    %qr = onnx.node "DequantizeLinear"(%q, %s, %z) : (tensor<1x8xi8>, tensor<f32>, tensor<i8>) -> tensor<1x8xf32>
    %b, %i = onnx.node "TopK"(%qr, %k) name "best" attributes {axis = 1 : i64} : (tensor<1x8xf32>, tensor<1xi64>) -> (tensor<1x4xf32>, tensor<1x4xi64>)
    %c = onnx.node "Relu"(%b) name "kept" : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %d = onnx.node "QuantizeLinear"(%c, %s, %z) name "again" : (tensor<1x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x4xi8>
    %dr = onnx.node "DequantizeLinear"(%d, %s, %z) : (tensor<1x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x4xf32>
    %t = onnx.node "Tanh"(%dr) name "after" : (tensor<1x4xf32>) -> tensor<1x4xf32>
    %y = onnx.node "QuantizeLinear"(%t, %s, %z) : (tensor<1x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x4xi8>
    func.return %y : tensor<1x4xi8>
  }
}
