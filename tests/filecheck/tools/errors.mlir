// Errors name the operation in one line and never print the module.
// RUN: not recon-opt %s -p cse 2>&1 | filecheck %s
// RUN: recon-opt %s --verify-diagnostics | filecheck %s --check-prefix=DIAG

// CHECK: error: this window makes (4, 4) of (8, 8), not !cnn.tensor<1x5x4x3, scale 0.5, zero 0>
// CHECK-NEXT: %y = cnn.max_pool2d %x window <2x2 stride 2 2> layer "pool"
// CHECK-NEXT: in layer pool
// CHECK-NOT: builtin.module
// DIAG: this window makes (4, 4) of (8, 8)
%x = "test.op"() : () -> !cnn.tensor<1x8x8x3, scale 0.5, zero 0>
%y = cnn.max_pool2d %x window <2x2 stride 2 2> layer "pool" : (!cnn.tensor<1x8x8x3, scale 0.5, zero 0>) -> !cnn.tensor<1x5x4x3, scale 0.5, zero 0>
