// The array's queue: configure, and the passes of a convolution.
//
// The sequencer knows how long a pass lasts from its fields, by shifts and products (the law); it ends the pass at that
// cycle, or when the datapath is ready if that is later, and counts the cycles too late. The datapath is three
// processes that run at once:
//
//   fetch     16 bytes per cycle from SRAM, block by block of p pixels (Winograd: tiles) and g groups: kernel row, pixel,
//             columns that no pixel before it in its row has brought, 16 channels at a time; into the input store, where
//             every lane finds its element under the step's number. Two blocks: one filled while one is worked on.
//   multiply  one step per cycle: every lane one product, a tree adds the r lanes of a sum, sums go into accumulators.
//   finish    16 channels of a pixel per cycle: bias, requantise, residual, table, to SRAM.
//
// A block is fetched once and serves all its output channels, though the law charges it once per channel block.

logic a_busy = 0;
logic [31:0] a_count = 0;
wire a_conv = ra[7:0] == `OP_CONV;
wire a_go = run && head_array != n_array && met(ra) && !a_busy;

// --- the pass: its layout and what the law makes of it

wire a_half = `CONV_HALF(ra) != 0;
wire [79:0] a_layout = layout[a_half];
wire wino = a_layout[15:0] != 0;
wire [3:0] lg = log2(a_layout[31:16]), lk = log2(a_layout[47:32]), lr = log2(a_layout[63:48]), lp = log2(a_layout[79:64]);
wire [31:0] G = `CONV_GROUPS(ra), K = `CONV_OUTPUTS(ra), C = `CONV_INPUTS(ra);
wire [31:0] oy = 32'(`CONV_OY(ra)), ox = 32'(`CONV_OX(ra));
wire [31:0] ky = wino ? 4 : 32'(`CONV_FY(ra)), kx = wino ? 4 : 32'(`CONV_FX(ra));
wire [31:0] sy = wino ? 2 : 32'(`CONV_SY(ra)), sx = wino ? 2 : 32'(`CONV_SX(ra));
wire [31:0] dy = 32'(`CONV_DY(ra)), dx = 32'(`CONV_DX(ra));
wire first = `CONV_FIRST(ra) != 0, last = `CONV_LAST(ra) != 0;
wire [1:0] residual = 2'(`CONV_RESIDUAL(ra));

wire [31:0] gn = 32'd1 << lg, kn = 32'd1 << lk, rn = 32'd1 << lr, pn = 32'd1 << lp;
wire [31:0] GB = (G + gn - 1) >> lg, KB = (K + kn - 1) >> lk, CB = (C + rn - 1) >> lr;
wire tapwise = wino || !`FLATTEN;             // every tap begins a word of its own
wire [31:0] E = C * ky * kx;
wire [31:0] steps = tapwise ? ky * kx * CB : (E + rn - 1) >> lr;
wire [31:0] Y = wino ? (oy + 1) >> 1 : oy, X = wino ? (ox + 1) >> 1 : ox;
wire [31:0] P = Y * X;
wire [31:0] PB = (P + pn - 1) >> lp;
wire [31:0] channels = G * K;
wire shared = dx == 1 || kx == 1;             // neighbours in x share columns

wire [31:0] p_time;
pass_law law (.oy, .ox, .G, .K, .C, .ky, .kx, .sx, .Y, .X, .P, .PB, .GB, .KB, .steps, .shared, .last, .lg, .lp,
              .cycles(p_time));
wire [31:0] a_time = a_conv ? p_time : 32'd`SWAP;

wire p_run = a_busy && a_conv;
logic m_free, m_side = 0;  // the multipliers have done with a block of the input store
logic o_free, o_side = 0;  // all of a block's results have gone out

// --- stores of the array

logic [7:0] input_store [0:2*HALF*`LANES-1];            // {block, word, lane}
logic [31:0] accumulators [0:`ACCUMULATORS*`LANES-1];   // {block · positions + position, sum}
logic [2047:0] results [0:2*HALF-1];                    // {block, word}: the sums of a channel block
logic [127:0] parameters [0:`PARAMETERS/2-1];

// --- fetch

logic f_run = 0, f_params = 0;
logic [31:0] f_left = 0;                 // pixels of the tile from this block on
logic [31:0] f_gb = 0, f_ky = 0, f_i = 0, f_y = 0, f_x = 0, f_y0 = 0, f_x0 = 0, f_kx = 0, f_q = 0, f_g = 0, f_c = 0;
logic f_side = 0;
logic [31:0] params_left = 0, params_at = 0, params_to = 0;
logic [1:0] full = 0;
logic [31:0] rows_in [0:1];

wire [31:0] f_count = f_left < pn ? f_left : pn;
wire [31:0] f_groups = (f_gb + 1) << lg <= G ? gn : G & (gn - 1);
wire [31:0] f_width = f_groups * C;
wire [31:0] in_rows = (oy - 1) * 32'(`CONV_SY(ra)) + (32'(`CONV_FY(ra)) - 1) * dy + 1 - 32'(`CONV_TOP(ra)) - 32'(`CONV_BOTTOM(ra));
wire [31:0] in_columns = (ox - 1) * 32'(`CONV_SX(ra)) + (32'(`CONV_FX(ra)) - 1) * dx + 1 - 32'(`CONV_LEFT(ra)) - 32'(`CONV_RIGHT(ra));
wire [31:0] f_iy = f_y * sy + f_ky * dy - 32'(`CONV_TOP(ra));
wire [31:0] f_ix = f_x * sx + f_kx * dx - 32'(`CONV_LEFT(ra));
wire f_real = f_iy < in_rows && f_ix < in_columns;    // below 0 is far above
wire [31:0] f_at = `CONV_IN_BASE(ra) + slot(`CONV_IN_RING(ra), `CONV_IN_ROW(ra), f_iy) * `CONV_IN_ROW_STRIDE(ra)
    + f_ix * `CONV_IN_PIXEL_STRIDE(ra) + (f_gb << lg) * C;

logic [31:0] e_g, e_c, e_e, e_word, e_kx;
logic e_stop;
logic [7:0] e_byte;
logic [127:0] e_beat;
logic n_pixel, n_row, n_block;
integer ei, ej;

wire f_fetch = p_run && f_run && !f_params && !full[f_side];
wire f_taking = p_run && f_params;

always @(posedge clk) begin
  if (f_fetch) begin
    e_g = f_g; e_c = f_c;
    for (ei = 0; ei < 16; ei = ei + 1) if (f_q + 32'(ei) < f_width) begin
      e_byte = f_real ? sram[AW'(f_at + f_q + 32'(ei))] : `CONV_PAD_VALUE(ra);
      e_stop = 0;
      for (ej = 0; ej < `SHARERS; ej = ej + 1) begin
        e_kx = f_kx - 32'(ej) * sx;
        if (f_i + 32'(ej) >= f_count || f_x + 32'(ej) >= X || e_kx >= kx || (ej != 0 && !shared)) e_stop = 1;
        if (!e_stop) begin
          e_e = tapwise ? e_c : (f_ky * kx + e_kx) * C + e_c;
          e_word = (tapwise ? (f_ky * kx + e_kx) * CB : 32'd0) + (e_e >> lr);
          input_store[{f_side, HW'(e_word), LN'((((e_g << lp) | (f_i + 32'(ej))) << lr) | (e_e & (rn - 1)))}] <= e_byte;
        end
      end
      e_c = e_c + 1;
      if (e_c == C) begin e_c = 0; e_g = e_g + 1; end
    end
    f_q <= f_q + 16; f_g <= e_g; f_c <= e_c;
    if (f_q + 16 >= f_width) begin
      f_q <= 0; f_g <= 0; f_c <= 0;
      if (f_kx + 1 != kx) f_kx <= f_kx + 1;
      else begin
        f_i <= f_i + 1;
        f_kx <= f_x + 1 == X || !shared || sx >= kx ? 32'd0 : kx - sx;
        if (f_x + 1 == X) begin f_x <= 0; f_y <= f_y + 1; end else f_x <= f_x + 1;
        if (f_i + 1 == f_count) begin
          f_i <= 0; f_kx <= 0;
          rows_in[f_side] <= f_ky + 1;
          if (f_ky + 1 != ky) begin
            f_ky <= f_ky + 1; f_y <= f_y0; f_x <= f_x0;
          end else begin
            f_ky <= 0;
            full[f_side] <= 1;
            f_side <= !f_side;
            rows_in[!f_side] <= 0;
            if (params_left != 0) f_params <= 1;
            if (f_gb + 1 != GB) begin
              f_gb <= f_gb + 1; f_y <= f_y0; f_x <= f_x0;
            end else begin
              f_gb <= 0;
              f_left <= f_left - f_count;
              f_run <= f_left != f_count;
              f_y0 <= f_x + 1 == X ? f_y + 1 : f_y;
              f_x0 <= f_x + 1 == X ? 32'd0 : f_x + 1;
            end
          end
        end
      end
    end
  end
  if (f_taking) begin
    for (ei = 0; ei < 16; ei = ei + 1) e_beat[8*ei +: 8] = sram[AW'(params_at + 32'(ei))];
    parameters[$clog2(`PARAMETERS/2)'(params_to)] <= e_beat;
    params_at <= params_at + 16;
    params_to <= params_to + 1;
    params_left <= params_left < 2 ? 32'd0 : params_left - 2;
    if (params_left <= 2) f_params <= 0;
  end
  if (m_free) full[m_side] <= 0;
  if (a_go) begin
    f_run <= 1; f_params <= 0; f_side <= 0; f_left <= P;
    f_gb <= 0; f_ky <= 0; f_i <= 0; f_y <= 0; f_x <= 0; f_y0 <= 0; f_x0 <= 0; f_kx <= 0; f_q <= 0; f_g <= 0; f_c <= 0;
    params_left <= last ? channels : 32'd0; params_at <= `CONV_PARAMS(ra); params_to <= 0;
    full <= 0; rows_in[0] <= 0; rows_in[1] <= 0;
  end
end

// --- multiply

logic m_run = 0;
logic [31:0] m_left = 0, m_gb = 0, m_kb = 0, m_blk = 0;    // pixels left; m_blk = m_gb · KB + m_kb
logic [31:0] m_step = 0, m_word = 0, m_chunk = 0, m_pos = 0, m_tap = 0, m_acc = 0;
logic m_out = 0;                                            // the half of the results it writes
logic [2047:0] sums = 0;
logic [2047:0] held_sums [0:15];                            // Winograd: of the positions so far
logic [1:0] out_busy = 0;
logic [31:0] out_done = 0;                                  // channels of its block whose sums are there

wire m_last_chunk = tapwise ? m_chunk + 1 == CB && (wino || m_tap + 1 == ky * kx) : m_step + 1 == steps;
wire m_last_step = m_step + 1 == steps;
wire m_first_step = m_chunk == 0 && (wino || m_tap == 0);
wire m_ready = full[m_side] || (!wino && (tapwise ? m_tap < rows_in[m_side] * kx : (m_step + 1) << lr <= rows_in[m_side] * kx * C));
wire m_go = p_run && m_run && m_ready && !(last && out_busy[m_out]);
assign m_free = m_go && m_last_step && m_kb + 1 == KB;

logic [`LANES*12-1:0] m_weights;
logic [`LANES*10-1:0] m_values;
logic [`LANES-1:0] m_valid;
wire [`LANES*32-1:0] m_products;
logic [`LANES*32-1:0] m_sums;
wire [2047:0] y_words [0:3];
logic [31:0] m_a, m_r, m_p, m_k, m_g, m_in;
integer mi;
genvar gi;

function automatic logic [7:0] taken(input logic side, input logic [31:0] word, input logic [31:0] lane);
  taken = input_store[{side, HW'(word), LN'(lane)}];
endfunction

// The two of four samples that row n of Bᵀ combines, and whether the second is subtracted.
function automatic logic [4:0] pair(input logic [1:0] n);
  case (n)
    2'd0: pair = {1'b1, 2'd0, 2'd2};
    2'd1: pair = {1'b0, 2'd1, 2'd2};
    2'd2: pair = {1'b1, 2'd2, 2'd1};
    default: pair = {1'b1, 2'd1, 2'd3};
  endcase
endfunction

wire [4:0] pair_y = pair(m_pos[3:2]), pair_x = pair(m_pos[1:0]);
logic [`LANES*32-1:0] m_samples;  // of each lane the four that a position combines
wire [`LANES*10-1:0] m_positions;

always @* begin
  m_weights = 0; m_values = 0; m_valid = 0; m_samples = 0;
  if (m_go)
    for (mi = 0; mi < `LANES; mi = mi + 1) begin
      m_r = 32'(mi) & (rn - 1);
      m_a = 32'(mi) >> lr;
      m_p = m_a & (pn - 1);
      m_k = (m_a >> lp) & (kn - 1);
      m_g = m_a >> (lp + lk);
      m_in = (((m_g << lp) | m_p) << lr) | m_r;
      m_valid[mi] = m_g < gn && (tapwise ? (m_chunk << lr) + m_r < C : (m_step << lr) + m_r < E);
      m_weights[12*mi +: 12] = l1[{a_half, HW'(m_word), LN'((((m_g << lk) | m_k) << lr) | m_r)}];
      if (wino) begin
        m_samples[32*mi +: 8] = taken(m_side, {28'b0, pair_y[3:2], pair_x[3:2]} * CB + m_chunk, m_in);
        m_samples[32*mi+8 +: 8] = taken(m_side, {28'b0, pair_y[3:2], pair_x[1:0]} * CB + m_chunk, m_in);
        m_samples[32*mi+16 +: 8] = taken(m_side, {28'b0, pair_y[1:0], pair_x[3:2]} * CB + m_chunk, m_in);
        m_samples[32*mi+24 +: 8] = taken(m_side, {28'b0, pair_y[1:0], pair_x[1:0]} * CB + m_chunk, m_in);
        m_values[10*mi +: 10] = m_positions[10*mi +: 10];
      end else m_values[10*mi +: 10] = 10'($signed(taken(m_side, m_step, m_in)));
    end
end

wire [`LANES*22-1:0] m_each;
adders adders (.products(m_each), .log(lr), .sums(m_products));

generate
  for (gi = 0; gi < `LANES; gi = gi + 1) begin : of_lane
    lane lane (.weight(m_weights[12*gi +: 12]), .value(m_values[10*gi +: 10]), .valid(m_valid[gi]),
               .product(m_each[22*gi +: 22]));
    position position (
      .minus_y(pair_y[4]), .minus_x(pair_x[4]), .a(m_samples[32*gi +: 8]), .b(m_samples[32*gi+8 +: 8]),
      .c(m_samples[32*gi+16 +: 8]), .d(m_samples[32*gi+24 +: 8]), .value(m_positions[10*gi +: 10])
    );
    tile_outputs tile_outputs (
      .sums({m_sums[32*gi +: 32], held_sums[14][32*gi +: 32], held_sums[13][32*gi +: 32], held_sums[12][32*gi +: 32],
             held_sums[11][32*gi +: 32], held_sums[10][32*gi +: 32], held_sums[9][32*gi +: 32], held_sums[8][32*gi +: 32],
             held_sums[7][32*gi +: 32], held_sums[6][32*gi +: 32], held_sums[5][32*gi +: 32], held_sums[4][32*gi +: 32],
             held_sums[3][32*gi +: 32], held_sums[2][32*gi +: 32], held_sums[1][32*gi +: 32], held_sums[0][32*gi +: 32]}),
      .outputs({y_words[3][32*gi +: 32], y_words[2][32*gi +: 32], y_words[1][32*gi +: 32], y_words[0][32*gi +: 32]})
    );
  end
endgenerate

always @* for (mi = 0; mi < `LANES; mi = mi + 1)
  m_sums[32*mi +: 32] = m_products[32*mi +: 32]
      + (!m_first_step ? sums[32*mi +: 32] : first ? 32'd0 : accumulators[{$clog2(`ACCUMULATORS)'(m_acc), LN'(mi)}]);

integer mj;

always @(posedge clk) begin
  if (m_go) begin
    if (m_last_chunk && !last)
      for (mj = 0; mj < `LANES; mj = mj + 1) accumulators[{$clog2(`ACCUMULATORS)'(m_acc), LN'(mj)}] <= m_sums[32*mj +: 32];
    sums <= m_sums;
    // where the next step is
    m_step <= m_step + 1;
    m_word <= m_word + 1;
    m_chunk <= tapwise ? (m_chunk + 1 == CB ? 32'd0 : m_chunk + 1) : m_chunk + 1;
    if (tapwise && m_chunk + 1 == CB) m_tap <= m_tap + 1;
    if (m_last_chunk) begin
      m_acc <= m_acc + 1;
      m_pos <= m_pos + 1;
      held_sums[m_pos[3:0]] <= m_sums;
    end
    if (m_last_step) begin
      m_step <= 0; m_chunk <= 0; m_tap <= 0; m_pos <= 0;
      if (last) begin
        if (wino)
          for (mj = 0; mj < 4; mj = mj + 1) results[{m_out, HW'((m_blk << 2) | 32'(mj))}] <= y_words[mj];
        else results[{m_out, HW'(m_blk)}] <= m_sums;
        out_done <= GB == 1 && m_kb + 1 != KB ? (gn == 1 || G == 1 ? (m_kb + 1) << lk : 32'd0)
            : m_kb + 1 != KB ? (gn == 1 ? m_gb * K + ((m_kb + 1) << lk) : (m_gb << lg) * K)
            : m_gb + 1 == GB ? channels : ((m_gb + 1) << lg) * K;
      end
      m_blk <= m_blk + 1;
      if (m_kb + 1 != KB) m_kb <= m_kb + 1;
      else begin
        m_kb <= 0;
        m_side <= !m_side;
        if (m_gb + 1 != GB) m_gb <= m_gb + 1;
        else begin
          m_gb <= 0; m_blk <= 0; m_word <= 0;
          m_left <= m_left < pn ? 32'd0 : m_left - pn;
          m_run <= m_left > pn;
          if (last) begin
            m_out <= !m_out;
            out_busy[m_out] <= 1;
            out_done <= 0;
          end
        end
      end
    end
  end
  if (o_free) out_busy[o_side] <= 0;
  if (a_go) begin
    m_run <= 1; m_side <= 0; m_left <= P; m_gb <= 0; m_kb <= 0; m_blk <= 0; m_step <= 0; m_word <= 0; m_chunk <= 0;
    m_tap <= 0; m_pos <= 0; m_acc <= 0; m_out <= 0; out_busy <= 0; out_done <= 0;
  end
end

// --- finish

logic o_run = 0;
logic [31:0] o_left = 0, o_cg = 0, o_i = 0, o_y = 0, o_x = 0, o_y0 = 0, o_x0 = 0, o_g = 0, o_k = 0;
logic [1:0] o_sub = 0;

wire [31:0] o_count = o_left < pn ? o_left : pn;
wire [31:0] o_need = o_cg + 16 < channels ? o_cg + 16 : channels;
wire o_there = out_busy[o_side] || (m_out == o_side && out_done >= o_need);
wire o_go = p_run && last && o_run && o_there && params_to << 1 >= o_need;
wire [31:0] o_py = wino ? (o_y << 1) + 32'(o_sub[1]) : o_y;
wire [31:0] o_px = wino ? (o_x << 1) + 32'(o_sub[0]) : o_x;
wire o_right = wino && (o_x << 1) + 1 < ox;      // a tile at the edge has fewer than four pixels
wire o_below = wino && (o_y << 1) + 1 < oy;
wire o_tile = o_sub == 2'd3 || (o_sub == 2'd2 && !o_right) || (o_sub == 2'd1 && !o_below)
    || (o_sub == 2'd0 && !o_right && !o_below);
wire o_granule = o_go && o_tile && o_i + 1 == o_count;
assign o_free = o_granule && o_cg + 16 >= channels;

wire [31:0] res_at = `CONV_RES_BASE(ra) + slot(`CONV_RES_RING(ra), `CONV_RES_ROW(ra), o_py) * `CONV_RES_ROW_STRIDE(ra)
    + o_px * `CONV_RES_PIXEL_STRIDE(ra) + o_cg;
wire [31:0] out_at = `CONV_OUT_BASE(ra) + slot(`CONV_OUT_RING(ra), `CONV_OUT_ROW(ra), o_py) * `CONV_OUT_ROW_STRIDE(ra)
    + o_px * `CONV_OUT_PIXEL_STRIDE(ra) + o_cg;

logic [31:0] t_g, t_k, t_blk, t_ch;
logic [2047:0] t_word;
logic [127:0] t_pair;
logic [511:0] t_sums, t_biases, t_scales;
logic [127:0] t_others;
wire [127:0] t_codes;
logic [7:0] t_code;
integer oi, oj;

always @* begin
  t_g = o_g; t_k = o_k;
  t_sums = 0; t_biases = 0; t_scales = 0; t_others = 0;
  for (oi = 0; oi < 16; oi = oi + 1) begin
    t_ch = o_cg + 32'(oi);
    if (o_go && t_ch < channels) begin
      t_blk = (t_g >> lg) * KB + (t_k >> lk);
      t_word = results[{o_side, HW'(wino ? (t_blk << 2) | 32'(o_sub) : t_blk)}];
      t_sums[32*oi +: 32] = t_word[{LN'(((((t_g & (gn - 1)) << lk) | (t_k & (kn - 1))) << lp) | o_i), 5'b0} +: 32];
      t_pair = parameters[$clog2(`PARAMETERS/2)'(t_ch >> 1)];
      t_biases[32*oi +: 32] = t_ch[0] ? t_pair[95:64] : t_pair[31:0];
      t_scales[32*oi +: 32] = t_ch[0] ? t_pair[127:96] : t_pair[63:32];
      t_others[8*oi +: 8] = sram[AW'(res_at + 32'(oi))];
      if (t_k + 1 == K) begin t_k = 0; t_g = t_g + 1; end else t_k = t_k + 1;
    end
  end
end

generate
  for (gi = 0; gi < 16; gi = gi + 1) begin : of_channel
    requantise requantise (
      .sum(t_sums[32*gi +: 32]), .bias(t_biases[32*gi +: 32]), .scale(t_scales[32*gi +: 32]),
      .zero_point(`CONV_ZERO_POINT(ra)), .lo(`CONV_LO(ra)), .hi(`CONV_HI(ra)), .residual, .other(t_others[8*gi +: 8]),
      .ra(`CONV_RA(ra)), .rb(`CONV_RB(ra)), .fix(`CONV_FIX(ra)), .sum_lo(`CONV_SUM_LO(ra)), .sum_hi(`CONV_SUM_HI(ra)),
      .code(t_codes[8*gi +: 8])
    );
  end
endgenerate

always @(posedge clk) begin
  if (o_go) begin
    for (oj = 0; oj < 16; oj = oj + 1)
      if (o_cg + 32'(oj) < channels) begin
        t_code = t_codes[8*oj +: 8];
        if (`CONV_HAS_TABLE(ra) != 0) t_code = sram[AW'(`CONV_TABLE(ra) + {24'b0, ~t_code[7], t_code[6:0]})];
        sram[AW'(out_at + 32'(oj))] <= t_code;
      end
    if (!o_tile) o_sub <= o_sub == 2'd0 && !o_right ? 2'd2 : o_sub + 2'd1;
    else begin
      o_sub <= 0;
      o_i <= o_i + 1;
      if (o_x + 1 == X) begin o_x <= 0; o_y <= o_y + 1; end else o_x <= o_x + 1;
    end
    if (o_granule) begin
      o_i <= 0; o_y <= o_y0; o_x <= o_x0;
      o_cg <= o_cg + 16; o_g <= t_g; o_k <= t_k;
    end
    if (o_free) begin
      o_cg <= 0; o_g <= 0; o_k <= 0;
      o_left <= o_left - o_count;
      o_run <= o_left != o_count;
      o_side <= !o_side;
      o_y <= o_x + 1 == X ? o_y + 1 : o_y;
      o_x <= o_x + 1 == X ? 32'd0 : o_x + 1;
      o_y0 <= o_x + 1 == X ? o_y + 1 : o_y;
      o_x0 <= o_x + 1 == X ? 32'd0 : o_x + 1;
    end
  end
  if (a_go) begin
    o_run <= 1; o_side <= 0; o_left <= P; o_cg <= 0; o_i <= 0; o_y <= 0; o_x <= 0; o_y0 <= 0; o_x0 <= 0;
    o_g <= 0; o_k <= 0; o_sub <= 0;
  end
end

// --- the end of an instruction

wire a_through = !a_conv || (!f_run && !m_run && !(last && o_run));
wire a_end = a_busy && a_count + 1 >= a_time && a_through;
wire a_late = a_busy && a_count + 1 >= a_time && !a_through;
assign swap = a_end && !a_conv;

always @(posedge clk)
  if (a_go) begin
    a_busy <= 1;
    a_count <= 1;
  end else if (a_busy) begin
    a_count <= a_count + 1;
    if (a_end) begin
      a_busy <= 0;
      head_array <= head_array + 1;
    end
  end

assign started[3] = a_go;
assign ended[3] = a_end;
