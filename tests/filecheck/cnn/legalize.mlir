// RUN: not recon-opt %s -p legalize 2>&1 | filecheck %s

// CHECK: tiny has 3 problems:
// CHECK-NEXT: legalize.mlir:9:5: error: stem: Its batch is 2. The machine takes one image at a time; export the model with a batch of 1 or of no fixed size.
// CHECK-NEXT: legalize.mlir:9:5: error: stem: Its stride is 300x1; the most is 255. Windows are limited by the fields of the instructions; a larger one can be split into several layers.
// CHECK-NEXT: legalize.mlir:10:5: error: pool: It pools with dilation 2x2. The vector unit's windows are dense; replace the dilated pool by a plain one.
builtin.module attributes {recon.model = "tiny"} {
  func.func @main(%x: !cnn.tensor<2x4x4x2, scale 0.5, zero 3>, %y: !cnn.tensor<1x8x8x2, scale 0.5, zero 3>) {
    %p = cnn.conv2d %x weights <2x1x1x2xi8, [1, 2, 3, 4]> bias <2xi32, [0, 0]> scales <2xf32, [0.25, 0.5]> window <1x1 stride 300 1> quant <scale 0.25, zero 7> clamp <7, 127> layer "c" nodes ["stem"]
    %q = cnn.max_pool2d %y window <3x3 dilation 2 2> layer "pool"
    func.return
  }
}
