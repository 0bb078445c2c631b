// RUN: recon-opt %s --split-input-file --parsing-diagnostics --verify-diagnostics | filecheck %s

// CHECK: 'nope' is no field of load; its fields are bytes, count1, count2, dram_stride1, dram_stride2, sram_stride1, sram_stride2, ring, row
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 64xi8
  %x = accel.buffer 64
  %0 = accel.load dram(%in) sram(%x) {nope = 64}
}

// -----

// CHECK: field 'bytes' holds whole numbers from 1 to 4294967295, not 0
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 64xi8
  %x = accel.buffer 64
  %0 = accel.load dram(%in) sram(%x) {bytes = 0}
}

// -----

// CHECK: dram lies in DRAM, not in !accel.sram
accel.program @main machine "edge4k" {
  %x = accel.buffer 64
  %0 = accel.load dram(%x) sram(%x) {bytes = 1}
}

// -----

// CHECK: sram begins at byte 64 of 64
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 64xi8
  %x = accel.buffer 64
  %0 = accel.load dram(%in) sram(%x + 64) {bytes = 1}
}

// -----

// CHECK: this fill needs an operand address(…)
accel.program @main machine "edge4k" {
  %0 = accel.fill
}

// -----

// CHECK: an instruction of the queue load does not wait for its own queue
accel.program @main machine "edge4k" {
  %in = accel.dram input "x" 64xi8
  %x = accel.buffer 64
  %0 = accel.load dram(%in) sram(%x) {bytes = 1} waits <load 3>
}

// -----

// CHECK: 'tape' is no kind of DRAM region; allowed are input, output, scratch, constant, image
accel.program @main machine "edge4k" {
  %in = accel.dram tape 64xi8
}

// -----

// CHECK: 'weight' is no queue; the machine has load, store, weights, array, vector
accel.program @main machine "edge4k" {
  %0 = accel.configure waits <weight 3>
}
