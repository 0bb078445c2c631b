// RUN: recon-opt %s -p convert-onnx-to-cnn --split-input-file | filecheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x2x3x5xi8>) -> tensor<3x10xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %sx = onnx.constant <f32, [0.5]> : tensor<f32>
  %zx = onnx.constant <i8, [3]> : tensor<i8>
  %xr = onnx.node "DequantizeLinear"(%x, %sx, %zx) : (tensor<1x2x3x5xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xf32>
  %w = onnx.constant <2x2x1x1xi8, [1, 2, 3, 4]> : tensor<2x2x1x1xi8>
  %sw = onnx.constant <2xf32, [0.25, 0.5]> : tensor<2xf32>
  %zw = onnx.constant <2xi8, [0, 0]> : tensor<2xi8>
  %wr = onnx.node "DequantizeLinear"(%w, %sw, %zw) attributes {axis = 0 : i64} : (tensor<2x2x1x1xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x2x1x1xf32>
  %b = onnx.constant <2xf32, [1.0, -1.0]> : tensor<2xf32>
  %c = onnx.node "Conv"(%xr, %wr, %b) name "conv1" : (tensor<1x2x3x5xf32>, tensor<2x2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x3x5xf32>
  %r = onnx.node "Relu"(%c) name "relu1" : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %sy = onnx.constant <f32, [0.25]> : tensor<f32>
  %zy = onnx.constant <i8, [-28]> : tensor<i8>
  %q = onnx.node "QuantizeLinear"(%r, %sy, %zy) : (tensor<1x2x3x5xf32>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xi8>
  // The entry region changes the layout.
  // CHECK: [[IN:%.*]] = cnn.host %x {
  // CHECK: onnx.node "Transpose"
  // CHECK: layer "entry"
  // CHECK-SAME: -> !cnn.tensor<1x3x5x2, scale 0.5, zero 3>
  // The float bias is in units of input scale times weight scale, the Relu a clamp at the zero point.
  // CHECK-NEXT: [[Q:%.*]] = cnn.conv2d [[IN]] weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [8, -4]> scales <2xf32, [0.25, 0.5]> window <1x1>
  // CHECK-NEXT: quant <scale 0.25, zero -28> clamp <-28, 127> layer "conv1" nodes ["conv1", "relu1"]
  %qr = onnx.node "DequantizeLinear"(%q, %sy, %zy) : (tensor<1x2x3x5xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xf32>
  // A Flatten moves nothing where the host continues; what follows the last QuantizeLinear is the host's.
  // CHECK-NEXT: cnn.host [[Q]] {
  // CHECK: onnx.node "Softmax"
  // CHECK: layer "exit" nodes ["flat", "soft"]
  %shape = onnx.constant <2xi64, [3, 10]> : tensor<2xi64>
  %flat = onnx.node "Reshape"(%qr, %shape) name "flat" : (tensor<1x2x3x5xf32>, tensor<2xi64>) -> tensor<3x10xf32>
  %y = onnx.node "Softmax"(%flat) name "soft" : (tensor<3x10xf32>) -> tensor<3x10xf32>
  func.return %y : tensor<3x10xf32>
}

// -----

// Reshape, Transpose, Reshape between two operations is a channel shuffle, and concat inputs of foreign quantisation
// are requantised first.
// CHECK-LABEL: func.func @main
// CHECK: [[IN:%.*]] = cnn.host %x
// CHECK: [[T:%.*]] = cnn.table [[IN]] table <256xi8, {{.*}}>
// CHECK-NEXT: function "Sigmoid" layer "sig" nodes ["sig"] -> !cnn.tensor<1x3x3x4, scale 0.00390625, zero 0>
// CHECK-NEXT: [[S:%.*]] = cnn.channel_shuffle [[T]] groups 2 layer "shuffle_0"
// CHECK-NEXT: [[P:%.*]] = cnn.max_pool2d [[S]] window <2x2> layer "pool"
// CHECK-NEXT: [[A:%.*]] = cnn.table [[P]] table <256xi8, {{.*}}>
// CHECK-NEXT: function "requantise" layer "requantise_0" nodes ["join"] -> !cnn.tensor<1x2x2x4, scale 0.5, zero 0>
// CHECK-NEXT: [[B:%.*]] = cnn.slice [[IN]] offsets [0, 1, 1, 0] layer "cut"
// CHECK-NEXT: cnn.concat [[A]], [[B]] layer "join" nodes ["join"]
func.func @main(%x: tensor<1x4x3x3xi8>) -> tensor<1x8x2x2xi8> attributes {inputs = ["x"], outputs = ["y"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %z = onnx.constant <i8, [0]> : tensor<i8>
  %fine = onnx.constant <f32, [0.00390625]> : tensor<f32>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x4x3x3xi8>, tensor<f32>, tensor<i8>) -> tensor<1x4x3x3xf32>
  %g = onnx.node "Sigmoid"(%xr) name "sig" : (tensor<1x4x3x3xf32>) -> tensor<1x4x3x3xf32>
  %q = onnx.node "QuantizeLinear"(%g, %fine, %z) : (tensor<1x4x3x3xf32>, tensor<f32>, tensor<i8>) -> tensor<1x4x3x3xi8>
  %qr = onnx.node "DequantizeLinear"(%q, %fine, %z) : (tensor<1x4x3x3xi8>, tensor<f32>, tensor<i8>) -> tensor<1x4x3x3xf32>
  %shape = onnx.constant <5xi64, [1, 2, 2, 3, 3]> : tensor<5xi64>
  %split = onnx.node "Reshape"(%qr, %shape) : (tensor<1x4x3x3xf32>, tensor<5xi64>) -> tensor<1x2x2x3x3xf32>
  %turned = onnx.node "Transpose"(%split) attributes {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<1x2x2x3x3xf32>) -> tensor<1x2x2x3x3xf32>
  %back = onnx.constant <4xi64, [1, 4, 3, 3]> : tensor<4xi64>
  %shuffled = onnx.node "Reshape"(%turned, %back) : (tensor<1x2x2x3x3xf32>, tensor<4xi64>) -> tensor<1x4x3x3xf32>
  %pool = onnx.node "MaxPool"(%shuffled) name "pool" attributes {kernel_shape = array<i64: 2, 2>} : (tensor<1x4x3x3xf32>) -> tensor<1x4x2x2xf32>
  %starts = onnx.constant <2xi64, [1, 1]> : tensor<2xi64>
  %ends = onnx.constant <2xi64, [3, 3]> : tensor<2xi64>
  %axes = onnx.constant <2xi64, [2, 3]> : tensor<2xi64>
  %cut = onnx.node "Slice"(%xr, %starts, %ends, %axes) name "cut" : (tensor<1x4x3x3xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<1x4x2x2xf32>
  %join = onnx.node "Concat"(%pool, %cut) name "join" attributes {axis = 1 : i64} : (tensor<1x4x2x2xf32>, tensor<1x4x2x2xf32>) -> tensor<1x8x2x2xf32>
  %y = onnx.node "QuantizeLinear"(%join, %s, %z) : (tensor<1x8x2x2xf32>, tensor<f32>, tensor<i8>) -> tensor<1x8x2x2xi8>
  func.return %y : tensor<1x8x2x2xi8>
}

// -----

// A node without a cnn form runs on the host, where it stands: int8 crosses on both sides, and the machine goes on.
// CHECK-LABEL: func.func @main
// CHECK: cnn.table {{.*}} function "Sigmoid"
// CHECK-NEXT: cnn.host {{%.*}} {
// CHECK: onnx.node "DequantizeLinear"
// CHECK: onnx.node "Resize"({{.*}}) name "resize"
// CHECK-NEXT: host "It resizes with mode 'cubic'; the machine repeats pixels, or takes linear means of neighbours. Export the model with one of these."
// CHECK-NEXT: attributes {mode = "cubic"}
// CHECK: onnx.node "QuantizeLinear"
// CHECK: layer "middle" nodes ["resize"]
// CHECK-NEXT: cnn.table {{.*}} function "Tanh"
// CHECK-NEXT: cnn.host {{%.*}} {
func.func @main(%x: tensor<1x1x2x2xi8>) -> tensor<1x1x4x4xi8> attributes {inputs = ["x"], outputs = ["y"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %z = onnx.constant <i8, [0]> : tensor<i8>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x1x2x2xi8>, tensor<f32>, tensor<i8>) -> tensor<1x1x2x2xf32>
  %sigmoid = onnx.node "Sigmoid"(%xr) : (tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
  %p = onnx.node "QuantizeLinear"(%sigmoid, %s, %z) : (tensor<1x1x2x2xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x2x2xi8>
  %pr = onnx.node "DequantizeLinear"(%p, %s, %z) : (tensor<1x1x2x2xi8>, tensor<f32>, tensor<i8>) -> tensor<1x1x2x2xf32>
  %none = onnx.none
  %scales = onnx.constant <4xf32, [1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %big = onnx.node "Resize"(%pr, %none, %scales) name "resize" attributes {mode = "cubic"} : (tensor<1x1x2x2xf32>, !onnx.none, tensor<4xf32>) -> tensor<1x1x4x4xf32>
  %q = onnx.node "QuantizeLinear"(%big, %s, %z) : (tensor<1x1x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xi8>
  %qr = onnx.node "DequantizeLinear"(%q, %s, %z) : (tensor<1x1x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xf32>
  %t = onnx.node "Tanh"(%qr) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %y = onnx.node "QuantizeLinear"(%t, %s, %z) : (tensor<1x1x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xi8>
  func.return %y : tensor<1x1x4x4xi8>
}

// -----

// Quantisers at the inputs only: the residual joins before the one rounding.
// CHECK-LABEL: func.func @main
// CHECK: cnn.conv2d {{.*}} residual {{.*}}
// CHECK-NEXT: quant <scale 0.25, zero -28> sum <wide, scale 0.25, zero -28, clamp -28, 127> layer "conv1"
// CHECK-NEXT: nodes ["conv1", "sum", "relu"]
func.func @main(%x: tensor<1x2x3x5xi8>, %r: tensor<1x2x3x5xi8>) -> tensor<1x2x3x5xi8> attributes {inputs = ["x", "r"], outputs = ["y"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %z = onnx.constant <i8, [3]> : tensor<i8>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x2x3x5xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xf32>
  %rr = onnx.node "DequantizeLinear"(%r, %s, %z) : (tensor<1x2x3x5xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xf32>
  %w = onnx.constant <2x2x1x1xi8, [1, 2, 3, 4]> : tensor<2x2x1x1xi8>
  %zw = onnx.constant <i8, [0]> : tensor<i8>
  %wr = onnx.node "DequantizeLinear"(%w, %s, %zw) : (tensor<2x2x1x1xi8>, tensor<f32>, tensor<i8>) -> tensor<2x2x1x1xf32>
  %c = onnx.node "Conv"(%xr, %wr) name "conv1" : (tensor<1x2x3x5xf32>, tensor<2x2x1x1xf32>) -> tensor<1x2x3x5xf32>
  %t = onnx.node "Add"(%rr, %c) name "sum" : (tensor<1x2x3x5xf32>, tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %u = onnx.node "Relu"(%t) name "relu" : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %sy = onnx.constant <f32, [0.25]> : tensor<f32>
  %zy = onnx.constant <i8, [-28]> : tensor<i8>
  %y = onnx.node "QuantizeLinear"(%u, %sy, %zy) : (tensor<1x2x3x5xf32>, tensor<f32>, tensor<i8>) -> tensor<1x2x3x5xi8>
  func.return %y : tensor<1x2x3x5xi8>
}

// -----

// No quantiser rounds the product: the machine gives it to the host in float32, its bias added.
// CHECK-LABEL: func.func @main
// CHECK: [[RAW:%.*]] = cnn.fully_connected {{.*}} bias <2xi32, [8, -4]>
// CHECK-NEXT: scales <2xf32, [0.25, 0.5]> quant <scale 1.0, zero 0> layer "fc" nodes ["fc", "bias"] -> !cnn.float<1x1x1x2>
// CHECK: cnn.host [[RAW]] {
// CHECK: onnx.node "Reshape"
// CHECK-NEXT: onnx.node "Softmax"
func.func @main(%x: tensor<1x3xi8>) -> tensor<1x2xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %z = onnx.constant <i8, [3]> : tensor<i8>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x3xi8>, tensor<f32>, tensor<i8>) -> tensor<1x3xf32>
  %w = onnx.constant <3x2xi8, [1, 2, 3, 4, 5, 6]> : tensor<3x2xi8>
  %sw = onnx.constant <2xf32, [0.25, 0.5]> : tensor<2xf32>
  %zw = onnx.constant <2xi8, [0, 0]> : tensor<2xi8>
  %wr = onnx.node "DequantizeLinear"(%w, %sw, %zw) attributes {axis = 1 : i64} : (tensor<3x2xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<3x2xf32>
  %b = onnx.constant <2xf32, [1.0, -1.0]> : tensor<2xf32>
  %m = onnx.node "MatMul"(%xr, %wr) name "fc" : (tensor<1x3xf32>, tensor<3x2xf32>) -> tensor<1x2xf32>
  %a = onnx.node "Add"(%m, %b) name "bias" : (tensor<1x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %y = onnx.node "Softmax"(%a) name "prob" : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2xf32>
}

// -----

// Reductions over channels: a mean is a product with ones, an extreme takes halves against each other.
// CHECK-LABEL: func.func @main
// CHECK: [[C:%.*]] = cnn.conv2d
// CHECK: cnn.conv2d [[C]] weights <1x1x1x3xi8, 1> bias <1xi32, 0> scales <1xf32, 1.0> window <1x1> count 3 quant <scale 0.5, zero 3> layer "mean"
// CHECK: [[A:%.*]] = cnn.slice [[C]] offsets [0, 0, 0, 0]
// CHECK-NEXT: [[B:%.*]] = cnn.slice [[C]] offsets [0, 0, 0, 1]
// CHECK-NEXT: [[D:%.*]] = cnn.max [[A]], [[B]]
// CHECK-NEXT: [[E:%.*]] = cnn.slice [[D]] offsets [0, 0, 0, 0]
// CHECK-NEXT: [[F:%.*]] = cnn.slice [[D]] offsets [0, 0, 0, 1]
// CHECK-NEXT: cnn.max [[E]], [[F]] layer "most"
func.func @main(%x: tensor<1x2x4x4xi8>) -> (tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>) attributes {inputs = ["x"], outputs = ["y", "z"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %z = onnx.constant <i8, [3]> : tensor<i8>
  %axes = onnx.constant <1xi64, [1]> : tensor<1xi64>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x2x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x4x4xf32>
  %w = onnx.constant <3x2x1x1xi8, [1, 2, 3, 4, 5, 6]> : tensor<3x2x1x1xi8>
  %zw = onnx.constant <i8, [0]> : tensor<i8>
  %wr = onnx.node "DequantizeLinear"(%w, %s, %zw) : (tensor<3x2x1x1xi8>, tensor<f32>, tensor<i8>) -> tensor<3x2x1x1xf32>
  %c = onnx.node "Conv"(%xr, %wr) name "conv" : (tensor<1x2x4x4xf32>, tensor<3x2x1x1xf32>) -> tensor<1x3x4x4xf32>
  %cq = onnx.node "QuantizeLinear"(%c, %s, %z) : (tensor<1x3x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x3x4x4xi8>
  %cr = onnx.node "DequantizeLinear"(%cq, %s, %z) : (tensor<1x3x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x3x4x4xf32>
  %m = onnx.node "ReduceMean"(%cr, %axes) name "mean" : (tensor<1x3x4x4xf32>, tensor<1xi64>) -> tensor<1x1x4x4xf32>
  %y = onnx.node "QuantizeLinear"(%m, %s, %z) : (tensor<1x1x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xi8>
  %n = onnx.node "ReduceMax"(%cr, %axes) name "most" : (tensor<1x3x4x4xf32>, tensor<1xi64>) -> tensor<1x1x4x4xf32>
  %o = onnx.node "QuantizeLinear"(%n, %s, %z) : (tensor<1x1x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xi8>
  func.return %y, %o : tensor<1x1x4x4xi8>, tensor<1x1x4x4xi8>
}

// -----

// A row of numbers for all rows is read again and again; a plane is spread over the channels first.
// CHECK-LABEL: func.func @main
// CHECK: [[ROW:%.*]] = cnn.table {{.*}} -> !cnn.tensor<1x1x4x2, scale 0.25, zero 3>
// CHECK: [[S:%.*]] = cnn.sub [[X:%.*]], [[ROW]] layer "sub"
// CHECK: [[P:%.*]] = cnn.conv2d {{.*}} weights <2x1x1x1xi8, 1> bias <2xi32, 0> scales <2xf32, 1.0> window <1x1> quant <scale 0.5, zero 3> layer "spread_0"
// CHECK-NEXT: cnn.mul [[S]], [[P]] layer "mul"
func.func @main(%x: tensor<1x2x4x4xi8>, %r: tensor<1x2x1x4xi8>, %p: tensor<1x1x4x4xi8>) -> tensor<1x2x4x4xi8> attributes {inputs = ["x", "r", "p"], outputs = ["y"]} {
  %s = onnx.constant <f32, [0.5]> : tensor<f32>
  %t = onnx.constant <f32, [0.25]> : tensor<f32>
  %z = onnx.constant <i8, [3]> : tensor<i8>
  %xr = onnx.node "DequantizeLinear"(%x, %s, %z) : (tensor<1x2x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x4x4xf32>
  %rr = onnx.node "DequantizeLinear"(%r, %s, %z) : (tensor<1x2x1x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x1x4xf32>
  %pr = onnx.node "DequantizeLinear"(%p, %s, %z) : (tensor<1x1x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x1x4x4xf32>
  %rq = onnx.node "QuantizeLinear"(%rr, %t, %z) : (tensor<1x2x1x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x2x1x4xi8>
  %rs = onnx.node "DequantizeLinear"(%rq, %t, %z) : (tensor<1x2x1x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x1x4xf32>
  %d = onnx.node "Sub"(%xr, %rs) name "sub" : (tensor<1x2x4x4xf32>, tensor<1x2x1x4xf32>) -> tensor<1x2x4x4xf32>
  %dq = onnx.node "QuantizeLinear"(%d, %s, %z) : (tensor<1x2x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x2x4x4xi8>
  %dr = onnx.node "DequantizeLinear"(%dq, %s, %z) : (tensor<1x2x4x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x2x4x4xf32>
  %m = onnx.node "Mul"(%dr, %pr) name "mul" : (tensor<1x2x4x4xf32>, tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32>
  %y = onnx.node "QuantizeLinear"(%m, %s, %z) : (tensor<1x2x4x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x2x4x4xi8>
  func.return %y : tensor<1x2x4x4xi8>
}
