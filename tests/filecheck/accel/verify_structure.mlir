// xDSL's verifier accepts all of this; ours does not, and names everything at once.
// RUN: not recon-opt %s --disable-verify -p 'verify-structure{level=accel}' 2>&1 | filecheck %s

// CHECK: error: The module has 3 problems:
// CHECK-NEXT: {{.*}}verify_structure.mlir:8:1: error: tile.schedule: tile.schedule is left at level accel; its lowering has not run.
// CHECK-NEXT: {{.*}}verify_structure.mlir:13:3: error: accel.store: it uses %e before its definition, or from a region that does not see it.
// CHECK-NEXT: {{.*}}verify_structure.mlir:16:3: error: accel.load %e: its layer @nowhere is not defined.
tile.schedule @plan machine "edge4k" () -> () {
}
"accel.program"() <{sym_name = "main", machine = "edge4k"}> ({
  %in = accel.dram input "x" 64xi8
  %a = accel.buffer 64
  "accel.store"(%in, %a, %e) <{fields = #accel.fields<[0, 0, 64, 1, 1, 0, 0, 0, 0, 0, 0]>,
      places = #accel.places<[dram, sram]>, operandSegmentSizes = array<i32: 2, 1>}>
      : (!accel.dram, !accel.sram, !accel.event) -> !accel.event
  %e = accel.load dram(%in) sram(%a) {bytes = 64} layer @nowhere
}) : () -> ()
