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
logic [15:0] d_use;                       // direct: 16 weights and where they go
logic [16*HW-1:0] d_word;
logic [16*LN-1:0] d_lane;
logic [191:0] d_value;
logic [1:0] k_use;                        // Winograd: two kernels at most are whole in a cycle
logic [2*HW-1:0] k_word;
logic [2*LN-1:0] k_lane;
logic [143:0] k_bytes;
wire [383:0] k_spread;
integer fi, fj, fp;

kernel_spread spread_0 (.kernel(k_bytes[71:0]), .spread(k_spread[191:0]));
kernel_spread spread_1 (.kernel(k_bytes[143:72]), .spread(k_spread[383:192]));

always @* begin
  zg = fg; zo = fo; zt = ft; zc = fc; z_out = f_out_at; z_tap = f_tap_at; z_done = f_done; z_kernel = kernel;
  d_use = 0; d_word = 0; d_lane = 0; d_value = 0; k_use = 0; k_word = 0; k_lane = 0; k_bytes = 0;
  for (fi = 0; fi < 16; fi = fi + 1) if (w_busy && !z_done) begin
    z_word = ((zg >> w_lg) * w_kb + (zo >> w_lk)) * w_steps;
    z_lane = ((((zg & ((32'd1 << w_lg) - 1)) << w_lk) | (zo & ((32'd1 << w_lk) - 1))) << w_lr);
    if (w_wino) begin
      z_kernel = {sram[AW'(z_tap + zc)], z_kernel[71:8]};
      if (zt == 8) begin
        if (k_use[0]) begin
          k_use[1] = 1; k_bytes[143:72] = z_kernel;
          k_word[HW +: HW] = HW'(z_word + (zc >> w_lr)); k_lane[LN +: LN] = LN'(z_lane | (zc & ((32'd1 << w_lr) - 1)));
        end else begin
          k_use[0] = 1; k_bytes[71:0] = z_kernel;
          k_word[0 +: HW] = HW'(z_word + (zc >> w_lr)); k_lane[0 +: LN] = LN'(z_lane | (zc & ((32'd1 << w_lr) - 1)));
        end
        zt = 0; z_tap = z_out; zc = zc + 1;
      end else begin
        zt = zt + 1; z_tap = z_tap + `FILL_TAP_STRIDE(rw);
      end
    end else begin
      z_e = zt * w_inputs + zc;
      if (`FLATTEN) z_word = z_word + (z_e >> w_lr);
      else begin z_word = z_word + zt * w_cb + (zc >> w_lr); z_e = zc; end
      d_use[fi] = 1;
      d_word[HW*fi +: HW] = HW'(z_word);
      d_lane[LN*fi +: LN] = LN'(z_lane | (z_e & ((32'd1 << w_lr) - 1)));
      d_value[12*fi +: 12] = 12'($signed(sram[AW'(z_tap + zc)])) - 12'($signed(`FILL_WEIGHT_ZERO(rw)));
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
end

always @(posedge clk) begin
  for (fj = 0; fj < 16; fj = fj + 1)
    if (d_use[fj]) l1[{w_half, d_word[HW*fj +: HW], d_lane[LN*fj +: LN]}] <= d_value[12*fj +: 12];
  for (fj = 0; fj < 16; fj = fj + 1)
    for (fp = 0; fp < 2; fp = fp + 1)
      if (k_use[fp])
        l1[{w_half, HW'(32'(k_word[HW*fp +: HW]) + 32'(fj) * w_cb), k_lane[LN*fp +: LN]}] <= k_spread[192*fp + 12*fj +: 12];
  if (w_go) begin
    w_busy <= 1;
    w_count <= 1;
    fg <= 0; fo <= 0; ft <= 0; fc <= 0; f_out_at <= `FILL_ADDRESS(rw); f_tap_at <= `FILL_ADDRESS(rw);
    f_done <= 0;
    layout[w_half] <= {`FILL_P(rw), `FILL_R(rw), `FILL_K(rw), `FILL_G(rw), 8'b0, `FILL_ALGORITHM(rw)};
  end else if (w_busy) begin
    w_count <= w_count + 1;
    fg <= zg; fo <= zo; ft <= zt; fc <= zc; f_out_at <= z_out; f_tap_at <= z_tap; f_done <= z_done; kernel <= z_kernel;
    if (w_end) begin
      w_busy <= 0;
      head_weights <= head_weights + 1;
    end
  end
end

assign started[2] = w_go;
assign ended[2] = w_end;
