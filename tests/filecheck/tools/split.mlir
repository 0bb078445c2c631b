// What xdsl-opt's users expect keeps working, and plain xdsl-opt sees the dialects.
// RUN: recon-opt %s --split-input-file --parsing-diagnostics | filecheck %s
// RUN: xdsl-opt %s --split-input-file --parsing-diagnostics | filecheck %s --check-prefix=XDSL

// CHECK: recon.call @segment()
// XDSL: recon.call @segment()
recon.call @segment() : () -> ()

// -----

// CHECK: // -----
// CHECK: Operation recon.nothing is not registered
recon.nothing
