// What is active already is not exchanged, and what a slot holds is not loaded; loops count in every turn.
// RUN: recon-opt %s --split-input-file -p elide-configuration | filecheck %s

// CHECK-LABEL: tile.schedule @twice
// CHECK-NEXT: tile.load_config <direct g1 k64 r16 p4>
// CHECK-NEXT: tile.use <direct g1 k64 r16 p4>
// CHECK-NEXT: tile.load_config <direct g1 k64 r32 p2>
// CHECK-NEXT: tile.use <direct g1 k64 r32 p2>
// CHECK-NEXT: tile.use <direct g1 k64 r16 p4>
// CHECK-NEXT: }
tile.schedule @twice machine "edge4k" () -> () {
  tile.load_config <direct g1 k64 r16 p4>
  tile.use <direct g1 k64 r16 p4>
  tile.load_config <direct g1 k64 r16 p4>
  tile.use <direct g1 k64 r16 p4>
  tile.load_config <direct g1 k64 r32 p2>
  tile.use <direct g1 k64 r32 p2>
  tile.load_config <direct g1 k64 r16 p4>
  tile.use <direct g1 k64 r16 p4>
}

// -----

// The first turn needs both: they stay, and so does everything they rely on.
// CHECK-LABEL: tile.schedule @loop
// CHECK-NEXT: tile.for %i = 0 to 4 step 1 {
// CHECK-NEXT: tile.load_config <direct g1 k64 r16 p4>
// CHECK-NEXT: tile.use <direct g1 k64 r16 p4>
// CHECK-NEXT: }
tile.schedule @loop machine "edge4k" () -> () {
  tile.for %i = 0 to 4 step 1 {
    tile.load_config <direct g1 k64 r16 p4>
    tile.use <direct g1 k64 r16 p4>
  }
}

// -----

// CHECK-LABEL: tile.schedule @inside
// CHECK: tile.use <direct g1 k64 r16 p4>
// CHECK-NEXT: }
tile.schedule @inside machine "edge4k" () -> () {
  tile.load_config <direct g1 k64 r16 p4>
  tile.use <direct g1 k64 r16 p4>
  tile.for %i = 0 to 4 step 1 {
    tile.load_config <direct g1 k64 r16 p4>
    tile.use <direct g1 k64 r16 p4>
  }
}
