// The machine with a DRAM beside it; what a test sees. Memories are filled and read from outside.

`include "parameters.svh"

module top (
  input logic clk,
  input logic load_valid,
  input logic [7:0] load_byte,
  input logic run,
  output logic done,
  output logic [4:0] started,
  output logic [4:0] ended,
  output logic [15:0] late,
  output logic [7:0] fault
);
  logic [7:0] dram [0:`DRAM_BYTES-1] /*verilator public*/;

  localparam DW = $clog2(`DRAM_BYTES);
  logic [15:0] dram_read, dram_write;
  logic [511:0] dram_address;
  logic [127:0] dram_out, dram_in;
  logic [31:0] head_address;
  logic [159:0] head_in;
  integer i;

  always @* begin
    for (i = 0; i < 16; i = i + 1) dram_in[8*i +: 8] = dram[dram_address[32*i +: DW]];
    for (i = 0; i < 20; i = i + 1) head_in[8*i +: 8] = dram[DW'(head_address + i)];
  end
  always @(posedge clk)
    for (i = 0; i < 16; i = i + 1) if (dram_write[i]) dram[dram_address[32*i +: DW]] <= dram_out[8*i +: 8];

  machine machine (.*);
endmodule
