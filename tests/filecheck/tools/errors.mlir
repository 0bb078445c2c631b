// Errors name the operation in one line and never print the module.
// RUN: not recon-opt %s -p cse 2>&1 | filecheck %s
// RUN: recon-opt %s --verify-diagnostics | filecheck %s --check-prefix=DIAG

// CHECK: error: the window <2x2 stride 2 2> makes 1x4x4x3 of 1x8x8x3, and the result is 1x5x4x3
// CHECK-NEXT: %y = cnn.max_pool2d %x window <2x2 stride 2 2> layer "pool"
// CHECK-NEXT: in layer pool
// CHECK-NOT: builtin.module
// DIAG: the window <2x2 stride 2 2> makes 1x4x4x3 of 1x8x8x3
%x = "test.op"() : () -> !cnn.tensor<1x8x8x3, scale 0.5, zero 0>
%y = cnn.max_pool2d %x window <2x2 stride 2 2> layer "pool" -> !cnn.tensor<1x5x4x3, scale 0.5, zero 0>
