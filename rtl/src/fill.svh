// fill: weights from SRAM into one half of L1, 16 bytes per cycle, each lane's words where its passes will read them.
//
// Word (group block · KB + channel block) · steps + step, lane ((gi·k + ki)·r + ri). A direct layout takes the weights in
// the order of memory; Winograd takes each 3×3 kernel whole, and expands it to the 16 values of (2G)·w·(2G)ᵀ.

localparam HALF = `HALF_WORDS;
localparam HW = $clog2(HALF);
localparam LN = $clog2(`LANES);

logic signed [11:0] l1 [0:2*HALF*`LANES-1];  // {half, word, lane}

logic [79:0] layout [0:1];                   // what each half is laid out for, as an image says it

logic w_busy = 0;
logic [31:0] w_count = 0;
wire w_go = run && head_weights != n_weights && met(rw) && !w_busy;

wire w_half = `FILL_HALF(rw) != 0;
wire w_wino = `FILL_ALGORITHM(rw) != 0;
wire [3:0] w_lg = log2(`FILL_G(rw)), w_lk = log2(`FILL_K(rw)), w_lr = log2(`FILL_R(rw));
wire [31:0] w_groups = `FILL_GROUPS(rw), w_outputs = `FILL_OUTPUTS(rw), w_inputs = `FILL_INPUTS(rw);
wire [31:0] w_taps = 32'(`FILL_FY(rw)) * 32'(`FILL_FX(rw));
wire [31:0] w_kb = (w_outputs + 32'(`FILL_K(rw)) - 1) >> w_lk;
wire [31:0] w_cb = (w_inputs + 32'(`FILL_R(rw)) - 1) >> w_lr;
wire [31:0] w_steps = w_wino ? w_cb << 4 : `FLATTEN ? (w_inputs * w_taps + 32'(`FILL_R(rw)) - 1) >> w_lr : w_taps * w_cb;
wire [31:0] w_time = 32'd`FILL_OVERHEAD + over16(w_groups * w_outputs * w_taps * w_inputs);

// the next weight: group, output, tap and channel, and where its output channel and its tap begin
logic [31:0] fg = 0, fo = 0, ft = 0, fc = 0, f_out_at = 0, f_tap_at = 0;
logic f_done = 1;
wire w_end = w_busy && w_count + 1 >= w_time && f_done;
wire w_late = w_busy && w_count + 1 >= w_time && !f_done;
logic [71:0] kernel = 0;  // of a 3×3 kernel, the bytes that have come

logic [31:0] zg, zo, zt, zc, z_out, z_tap, z_word, z_lane, z_e;
logic z_done;
logic [71:0] z_kernel;
logic signed [8:0] z_value;
logic signed [11:0] z_rows [0:11];
logic signed [11:0] z_u;
integer fi, fj, fp;

function automatic logic signed [11:0] spread(
  input logic [1:0] row, input logic signed [11:0] a, input logic signed [11:0] b, input logic signed [11:0] c
);
  case (row)
    2'd0: spread = a <<< 1;
    2'd1: spread = a + b + c;
    2'd2: spread = a - b + c;
    default: spread = c <<< 1;
  endcase
endfunction

function automatic logic signed [11:0] weight(input logic [71:0] bytes, input integer place);
  weight = 12'($signed(bytes[8*place +: 8]));
endfunction

always @(posedge clk) begin
  if (w_go) begin
    w_busy <= 1;
    w_count <= 1;
    fg <= 0; fo <= 0; ft <= 0; fc <= 0; f_out_at <= `FILL_ADDRESS(rw); f_tap_at <= `FILL_ADDRESS(rw);
    f_done <= 0;
    layout[w_half] <= {`FILL_P(rw), `FILL_R(rw), `FILL_K(rw), `FILL_G(rw), 8'b0, `FILL_ALGORITHM(rw)};
  end else if (w_busy) begin
    w_count <= w_count + 1;
    if (w_end) begin
      w_busy <= 0;
      head_weights <= head_weights + 1;
    end
  end
  if (w_busy && !f_done) begin
    zg = fg; zo = fo; zt = ft; zc = fc; z_out = f_out_at; z_tap = f_tap_at; z_done = 0; z_kernel = kernel;
    for (fi = 0; fi < 16; fi = fi + 1) if (!z_done) begin
      z_word = ((zg >> w_lg) * w_kb + (zo >> w_lk)) * w_steps;
      z_lane = ((((zg & ((32'd1 << w_lg) - 1)) << w_lk) | (zo & ((32'd1 << w_lk) - 1))) << w_lr);
      if (w_wino) begin
        z_kernel = {sram[AW'(z_tap + zc)], z_kernel[71:8]};
        if (zt == 8) begin
          for (fj = 0; fj < 3; fj = fj + 1)
            for (fp = 0; fp < 4; fp = fp + 1)
              z_rows[4*fj + fp] = spread(2'(fp), weight(z_kernel, fj), weight(z_kernel, 3 + fj), weight(z_kernel, 6 + fj));
          for (fj = 0; fj < 4; fj = fj + 1)
            for (fp = 0; fp < 4; fp = fp + 1) begin
              z_u = spread(2'(fp), z_rows[fj], z_rows[4 + fj], z_rows[8 + fj]);
              l1[{w_half, HW'(z_word + 32'(4*fj + fp) * w_cb + (zc >> w_lr)), LN'(z_lane | (zc & ((32'd1 << w_lr) - 1)))}]
                <= z_u;
            end
          zt = 0; z_tap = z_out; zc = zc + 1;
        end else begin
          zt = zt + 1; z_tap = z_tap + `FILL_TAP_STRIDE(rw);
        end
      end else begin
        z_value = 9'($signed(sram[AW'(z_tap + zc)])) - 9'($signed(`FILL_WEIGHT_ZERO(rw)));
        z_e = zt * w_inputs + zc;
        if (`FLATTEN) z_word = z_word + (z_e >> w_lr);
        else begin z_word = z_word + zt * w_cb + (zc >> w_lr); z_e = zc; end
        l1[{w_half, HW'(z_word), LN'(z_lane | (z_e & ((32'd1 << w_lr) - 1)))}] <= 12'(z_value);
        zc = zc + 1;
        if (zc == w_inputs && zt + 1 != w_taps) begin
          zc = 0; zt = zt + 1; z_tap = z_tap + `FILL_TAP_STRIDE(rw);
        end
      end
      if (zc == w_inputs) begin
        zc = 0; zt = 0; z_out = z_out + `FILL_OUTPUT_STRIDE(rw); z_tap = z_out;
        if (zo + 1 == w_outputs) begin
          zo = 0; zg = zg + 1; z_done = zg == w_groups;
        end else zo = zo + 1;
      end
    end
    fg <= zg; fo <= zo; ft <= zt; fc <= zc; f_out_at <= z_out; f_tap_at <= z_tap; f_done <= z_done; kernel <= z_kernel;
  end
end

assign started[2] = w_go;
assign ended[2] = w_end;
