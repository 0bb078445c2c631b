// The machine: SRAM, the five queues and their units, the DRAM channel. Nothing here is DRAM itself (top.sv).
//
// Every unit works on the instruction at the head of its queue, whose fields stand still while it runs. A unit *starts*
// in the first cycle in which it is free and the waits are met, and its effects count from the cycle after its last:
// so what an end allows, starts in the cycle of that end.

`include "parameters.svh"
`include "fields.svh"
`include "stages.sv"

module machine (
  input logic clk,
  input logic load_valid,
  input logic [7:0] load_byte,
  input logic run,
  output logic done,
  output logic [4:0] started,
  output logic [4:0] ended,
  output logic [15:0] late,
  output logic [7:0] fault,
  output logic [15:0] dram_read,
  output logic [15:0] dram_write,
  output logic [16*32-1:0] dram_address,
  output logic [127:0] dram_out,
  input logic [127:0] dram_in,
  output logic [31:0] head_address,
  input logic [159:0] head_in
);
  `include "float.svh"

  localparam RECORD = `RECORD_BITS;
  localparam AW = $clog2(`SRAM_BYTES);

  logic [7:0] sram [0:`SRAM_BYTES-1] /*verilator public*/;

  // A row of a ring: both fields are below the ring's rows, and no more rows are named than it stores.
  function automatic logic [31:0] slot(input logic [15:0] ring, input logic [15:0] row, input logic [31:0] y);
    slot = ring != 0 && y + 32'(row) >= 32'(ring) ? y + 32'(row) - 32'(ring) : y + 32'(row);
  endfunction

  function automatic logic [31:0] over16(input logic [31:0] n);
    over16 = (n + 32'd15) >> 4;
  endfunction

  function automatic logic [3:0] log2(input logic [15:0] n);
    integer i;
    begin
      log2 = 4'd0;
      for (i = 1; i < 16; i = i + 1) if (n[i]) log2 = 4'(i);
    end
  endfunction

  `include "queues.svh"
  `include "channel.svh"
  `include "fill.svh"
  `include "pass.svh"
  `include "vector.svh"
endmodule
