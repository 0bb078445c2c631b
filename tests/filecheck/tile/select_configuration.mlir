// The configuration of every convolution: chosen over the whole network, pinned, restricted.
// RUN: recon-opt %s -p 'select-configuration{machine="edge1k"}' | filecheck %s --check-prefix=PATH
// RUN: recon-opt %s -p 'select-configuration{machine="edge1k" winograd=false}' | filecheck %s --check-prefix=DIRECT
// RUN: recon-opt %s -p 'select-configuration{machine="edge1k" single=true}' | filecheck %s --check-prefix=SINGLE
// RUN: recon-opt %s -p 'select-configuration{machine="edge1k" level=0}' | filecheck %s --check-prefix=NONE
// RUN: recon-opt %s -p 'select-configuration{machine="edge4k-fixed"}' | filecheck %s --check-prefix=FIXED
// RUN: recon-opt %s -p 'select-configuration{machine="edge1k" pin="d=direct g1 k8 r8 p16"}' | filecheck %s --check-prefix=PIN
// RUN: not recon-opt %s -p 'select-configuration{pin="e=direct g1 k4 r4 p64"}' 2>&1 | filecheck %s --check-prefix=NAME
// RUN: not recon-opt %s -p 'select-configuration{pin="d direct"}' 2>&1 | filecheck %s --check-prefix=TEXT
// RUN: not recon-opt %s -p 'select-configuration{pin="d=direct g1 k5 r4 p64"}' 2>&1 | filecheck %s --check-prefix=POWER
// RUN: not recon-opt %s -p 'select-configuration{pin="d=winograd g1 k4 r4 p64"}' 2>&1 | filecheck %s --check-prefix=UNFIT
// RUN: not recon-opt %s -p 'select-configuration{pin="d=direct g1 k64 r64 p64"}' 2>&1 | filecheck %s --check-prefix=LANES
// RUN: not recon-opt %s -p 'select-configuration{level=3}' 2>&1 | filecheck %s --check-prefix=LEVEL

// The path over both layers: Winograd, and a swap to the direct convolution that a pixel-wise one needs.
// PATH: layer "c" {configuration = #tile.configuration<winograd g1 k8 r64 p2>}
// PATH: layer "d" {configuration = #tile.configuration<direct g1 k16 r4 p16>}

// Without Winograd.
// DIRECT: layer "c" {configuration = #tile.configuration<direct g1 k16 r32 p2>}
// DIRECT: layer "d" {configuration = #tile.configuration<direct g1 k16 r32 p2>}

// One configuration for all.
// SINGLE: layer "c" {configuration = #tile.configuration<direct g1 k16 r32 p2>}
// SINGLE: layer "d" {configuration = #tile.configuration<direct g1 k16 r32 p2>}

// Level 0 wants one configuration too.
// NONE: layer "c" {configuration = #tile.configuration<direct g1 k16 r32 p2>}
// NONE: layer "d" {configuration = #tile.configuration<direct g1 k16 r32 p2>}

// A machine that has one.
// FIXED: layer "c" {configuration = #tile.configuration<direct g1 k64 r64 p1>}
// FIXED: layer "d" {configuration = #tile.configuration<direct g1 k64 r64 p1>}

// A pinned layer keeps what the user wants; the other one is chosen as before.
// PIN: layer "c" {configuration = #tile.configuration<winograd g1 k8 r64 p2>}
// PIN: layer "d" {configuration = #tile.configuration<direct g1 k8 r8 p16>}

// NAME: error: There is no convolution 'e' to pin a configuration to; the table of 'recon run' names the layers.
// TEXT: error: Cannot pin: "d direct" is none of LAYER=CONFIGURATION, LAYER=dram, LAYER=sram, LAYER=first, FIRST..LAST=fused N or FIRST..LAST=apart.
// POWER: error: Cannot pin: "direct g1 k5 r4 p64": 5 is not a power of two.
// UNFIT: error: Layer d cannot run in winograd g1 k4 r4 p64 on edge4k: Winograd is for 3×3 kernels with stride and dilation 1.
// LANES: error: Cannot pin: d in direct g1 k64 r64 p64: direct g1 k64 r64 p64 needs 262144 lanes and edge4k has 4096.
// LEVEL: error: There is no optimisation level 3; there are 0, 1 and 2.
func.func @main(%x: !cnn.tensor<1x28x28x64, scale 0.5, zero 3>) -> !cnn.tensor<1x28x28x64, scale 0.5, zero 3> {
  %c = cnn.conv2d %x weights <64x3x3x64xi8, seed 1> bias <64xi32, 0> scales <64xf32, 1>
      window <3x3 pad 1 1 1 1> quant <scale 0.5, zero 3> layer "c"
  %d = cnn.conv2d %c weights <64x1x1x64xi8, seed 2> bias <64xi32, 0> scales <64xf32, 1> window <1x1>
      quant <scale 0.5, zero 3> layer "d"
  func.return %d : !cnn.tensor<1x28x28x64, scale 0.5, zero 3>
}
