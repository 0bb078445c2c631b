// The vector unit: one beat per cycle, 16 channels of one pixel read per operand, 16 written.
//
// Elementwise operations, resize and shuffle walk the output's pixels. Pools walk, for each output row and 16 channels,
// the columns their windows meet and in each the kernel's rows; a column is combined once and waits beside the `fx - 1`
// before it. A global average walks the whole image. Reading more than one beat per output, each takes what the law says.

logic v_busy = 0;
logic [31:0] v_count = 0;
wire v_go = run && head_vector != n_vector && met(rv) && !v_busy;

wire [7:0] v_op = `VECTOR_OP(rv);
wire v_pool = v_op == `VECTOR_MAX_POOL || v_op == `VECTOR_AVERAGE_POOL;
wire v_global = v_op == `VECTOR_GLOBAL_AVERAGE_POOL;
wire v_binary = v_op == `VECTOR_ADD || v_op == `VECTOR_MUL || v_op == `VECTOR_MAX || v_op == `VECTOR_MIN;
wire [31:0] v_oy = 32'(`VECTOR_OY(rv)), v_ox = 32'(`VECTOR_OX(rv)), v_channels = `VECTOR_CHANNELS(rv);
wire [31:0] v_fy = 32'(`VECTOR_FY(rv)), v_fx = 32'(`VECTOR_FX(rv)), v_sy = 32'(`VECTOR_SY(rv)), v_sx = 32'(`VECTOR_SX(rv));
wire [31:0] v_iy = 32'(`VECTOR_IY(rv)), v_ix = 32'(`VECTOR_IX(rv));
wire [31:0] v_columns = (v_ox - 1) * v_sx + v_fx;
wire [31:0] v_rows = (v_oy - 1) * v_sy + v_fy - 32'(`VECTOR_TOP(rv)) - 32'(`VECTOR_BOTTOM(rv));
wire [31:0] v_real = v_columns - 32'(`VECTOR_LEFT(rv)) - 32'(`VECTOR_RIGHT(rv));
wire [31:0] v_written = v_oy * v_ox * over16(v_channels);
wire [31:0] v_read = v_pool ? v_oy * v_fy * v_columns * over16(v_channels)
    : v_global ? v_iy * v_ix * over16(v_channels) : 32'd0;
wire [31:0] v_time = 32'd`VECTOR_OVERHEAD + (v_written > v_read ? v_written : v_read);

logic v_run = 0;
logic [31:0] vy = 0, vx = 0, vc = 0, vk = 0;   // pixel (pools: row and column), channel, kernel row
logic [31:0] vo = 0, vw = 0;                   // pools: output column, and columns until its window is whole
logic [31:0] vyd = 0, vym = 0, vxd = 0, vxm = 0; // resize: y div sy, y mod sy, and so in x
logic [31:0] vi = 0, vj = 0;                   // shuffle: channel = vj · size + vi

wire [31:0] va_y = v_pool ? vy * v_sy + vk - 32'(`VECTOR_TOP(rv)) : v_op == `VECTOR_RESIZE ? vyd : vy;
wire [31:0] va_x = v_pool ? vx - 32'(`VECTOR_LEFT(rv)) : v_op == `VECTOR_RESIZE ? vxd : vx;
wire va_there = !v_pool || (va_y < v_rows && va_x < v_real);
wire [31:0] va_at = `VECTOR_A_BASE(rv) + slot(`VECTOR_A_RING(rv), `VECTOR_A_ROW(rv), va_y) * `VECTOR_A_ROW_STRIDE(rv)
    + va_x * `VECTOR_A_PIXEL_STRIDE(rv);
wire v_pixel = `VECTOR_B_BROADCAST(rv) != 0;
wire [31:0] vb_at = `VECTOR_B_BASE(rv) + slot(`VECTOR_B_RING(rv), `VECTOR_B_ROW(rv), v_pixel ? 32'd0 : vy)
    * `VECTOR_B_ROW_STRIDE(rv) + (v_pixel ? 32'd0 : vx * `VECTOR_B_PIXEL_STRIDE(rv)) + vc;
wire [31:0] vo_at = `VECTOR_OUT_BASE(rv) + slot(`VECTOR_OUT_RING(rv), `VECTOR_OUT_ROW(rv), v_global ? 32'd0 : vy)
    * `VECTOR_OUT_ROW_STRIDE(rv) + (v_global ? 32'd0 : v_pool ? vo : vx) * `VECTOR_OUT_PIXEL_STRIDE(rv) + vc;
wire v_emits = v_global ? vy + 1 == v_iy && vx + 1 == v_ix : !v_pool || (vk + 1 == v_fy && vw == 0);

// --- scales

localparam [31:0] ONE = 32'h3f800000;
wire [31:0] v_ra = `VECTOR_RA(rv);
wire [31:0] v_rb = `VECTOR_RB(rv) << 1 == 0 ? ONE : `VECTOR_RB(rv);
wire [31:0] v_low = vy * v_sy < 32'(`VECTOR_TOP(rv)) ? 32'(`VECTOR_TOP(rv)) : vy * v_sy;
wire [31:0] v_high = vy * v_sy + v_fy < 32'(`VECTOR_TOP(rv)) + v_rows ? vy * v_sy + v_fy : 32'(`VECTOR_TOP(rv)) + v_rows;
wire [31:0] v_left = vo * v_sx < 32'(`VECTOR_LEFT(rv)) ? 32'(`VECTOR_LEFT(rv)) : vo * v_sx;
wire [31:0] v_right = vo * v_sx + v_fx < 32'(`VECTOR_LEFT(rv)) + v_real ? vo * v_sx + v_fx : 32'(`VECTOR_LEFT(rv)) + v_real;
wire [31:0] v_inside = v_high > v_low && v_right > v_left ? (v_high - v_low) * (v_right - v_left) : 32'd1;
wire [31:0] v_counted = v_global ? v_iy * v_ix : `VECTOR_SIZE(rv) == 1 ? v_fy * v_fx : v_inside;
wire [31:0] v_scale = f_div(v_ra, f_mul(v_rb, f_int(v_counted)));
wire [31:0] v_zeros = (v_global ? v_iy * v_ix : v_fy * v_fx) * 32'($signed(`VECTOR_ZA(rv)));
wire v_same = v_ra == v_rb && `VECTOR_ZA(rv) == `VECTOR_ZERO_POINT(rv);
wire v_free = `VECTOR_LO(rv) == 0 && `VECTOR_HI(rv) == 0;   // copy: an all-zero clamp is none
wire [7:0] v_lo = v_op == `VECTOR_COPY && v_free ? 8'h80 : `VECTOR_LO(rv);
wire [7:0] v_hi = v_op == `VECTOR_COPY && v_free ? 8'h7f : `VECTOR_HI(rv);
wire [31:0] v_split = v_channels / 32'(`VECTOR_SIZE(rv));

function automatic logic [7:0] bounded(input logic signed [7:0] v, input logic signed [7:0] lo, input logic signed [7:0] hi);
  bounded = v < lo ? lo : v > hi ? hi : v;
endfunction

function automatic logic [63:0] side(input logic [31:0] at);
  integer n;
  for (n = 0; n < 8; n = n + 1) side[8*n +: 8] = sram[AW'(at + 32'(n))];
endfunction

// --- one beat

logic [511:0] column = 0, totals = 0;          // of 16 channels: the column so far, the image so far
logic [511:0] beside [0:`POOL_COLUMNS-2];      // the columns before it
logic [511:0] v_column;
logic signed [31:0] v_value, v_total, v_one;
logic [7:0] v_a, v_b, v_code;
logic [63:0] v_pair;
logic [31:0] v_si, v_sj;
integer vn, vm;

always @(posedge clk) begin
  if (v_busy && v_run) begin
    v_si = vi; v_sj = vj;
    for (vn = 0; vn < 16; vn = vn + 1) if (vc + 32'(vn) < v_channels) begin
      v_a = sram[AW'(va_at + (v_op == `VECTOR_SHUFFLE ? v_si * v_split + v_sj : vc + 32'(vn)))];
      v_b = sram[AW'(vb_at + 32'(vn))];
      // pools: this column with the kernel's rows so far, then the window
      v_one = va_there ? 32'($signed(v_a)) : v_op == `VECTOR_MAX_POOL ? -32'sd128 : 32'($signed(`VECTOR_ZA(rv)));
      v_value = column[32*vn +: 32];
      if (vk == 0) v_value = v_one;
      else if (v_op == `VECTOR_MAX_POOL) v_value = v_one > v_value ? v_one : v_value;
      else v_value = v_value + v_one;
      v_column[32*vn +: 32] = v_value;
      v_total = v_value;
      for (vm = 0; vm < `POOL_COLUMNS-1; vm = vm + 1) if (32'(vm) + 1 < v_fx) begin
        v_one = beside[vm][32*vn +: 32];
        if (v_op == `VECTOR_MAX_POOL) v_total = v_one > v_total ? v_one : v_total;
        else v_total = v_total + v_one;
      end
      if (v_global) begin
        v_total = 32'($signed(v_a)) + (vy == 0 && vx == 0 ? 32'd0 : totals[32*vn +: 32]);
        totals[32*vn +: 32] <= v_total;
      end
      v_pair = side(`VECTOR_PARAMS(rv) + ((vc + 32'(vn)) << 3));
      case (v_op)
        `VECTOR_COPY: v_code = v_same ? bounded(v_a, v_lo, v_hi)
            : f_code(f_div(f_mul(f_int(32'($signed(v_a)) - 32'($signed(`VECTOR_ZA(rv)))), v_ra), v_rb),
                     `VECTOR_ZERO_POINT(rv), v_lo, v_hi);
        `VECTOR_ADD: v_code = f_sum(f_mul(v_ra, f_code_int(v_a)), f_code_int(v_b), `VECTOR_RB(rv), `VECTOR_FIX(rv), v_lo, v_hi);
        `VECTOR_MUL: v_code = f_code(f_add(f_mul(f_int(
            (32'($signed(v_a)) - 32'($signed(`VECTOR_ZA(rv)))) * (32'($signed(v_b)) - 32'($signed(`VECTOR_ZB(rv))))), v_ra),
            f_code_int(`VECTOR_ZERO_POINT(rv))), 8'sd0, v_lo, v_hi);
        `VECTOR_AFFINE: v_code = f_code(f_add(f_mul(f_code_int(v_a), v_pair[31:0]), v_pair[63:32]),
                                        `VECTOR_ZERO_POINT(rv), v_lo, v_hi);
        `VECTOR_TABLE: v_code = sram[AW'(`VECTOR_TABLE_AT(rv) + {24'b0, ~v_a[7], v_a[6:0]})];
        `VECTOR_MAX: v_code = bounded($signed(v_a) > $signed(v_b) ? v_a : v_b, v_lo, v_hi);
        `VECTOR_MIN: v_code = bounded($signed(v_a) < $signed(v_b) ? v_a : v_b, v_lo, v_hi);
        `VECTOR_MAX_POOL: v_code = v_total[7:0];
        `VECTOR_AVERAGE_POOL, `VECTOR_GLOBAL_AVERAGE_POOL:
          v_code = f_code(f_mul(f_int(v_total - v_zeros), v_scale), `VECTOR_ZERO_POINT(rv), v_lo, v_hi);
        default: v_code = v_a;  // resize, shuffle
      endcase
      if (v_emits) sram[AW'(vo_at + 32'(vn))] <= v_code;
      if (v_si + 1 == 32'(`VECTOR_SIZE(rv))) begin v_si = 0; v_sj = v_sj + 1; end else v_si = v_si + 1;
    end
    column <= v_column;
    if (v_pool && vk + 1 == v_fy) begin
      beside[0] <= v_column;
      for (vm = 1; vm < `POOL_COLUMNS-1; vm = vm + 1) beside[vm] <= beside[vm-1];
    end
    // where the next beat is
    if (v_pool) begin
      if (vk + 1 != v_fy) vk <= vk + 1;
      else begin
        vk <= 0;
        if (vw == 0) begin vo <= vo + 1; vw <= v_sx - 1; end else vw <= vw - 1;
        if (vx + 1 != v_columns) vx <= vx + 1;
        else begin
          vx <= 0; vo <= 0; vw <= v_fx - 1;
          if (vc + 16 < v_channels) vc <= vc + 16;
          else begin
            vc <= 0; vy <= vy + 1;
            v_run <= vy + 1 != v_oy;
          end
        end
      end
    end else if (v_global) begin
      if (vx + 1 != v_ix) vx <= vx + 1;
      else begin
        vx <= 0;
        if (vy + 1 != v_iy) vy <= vy + 1;
        else begin
          vy <= 0; vc <= vc + 16;
          v_run <= vc + 16 < v_channels;
        end
      end
    end else begin
      vi <= v_si; vj <= v_sj;
      if (vc + 16 < v_channels) vc <= vc + 16;
      else begin
        vc <= 0; vi <= 0; vj <= 0;
        if (vx + 1 != v_ox) begin
          vx <= vx + 1;
          if (vxm + 1 == v_sx) begin vxm <= 0; vxd <= vxd + 1; end else vxm <= vxm + 1;
        end else begin
          vx <= 0; vxd <= 0; vxm <= 0; vy <= vy + 1;
          if (vym + 1 == v_sy) begin vym <= 0; vyd <= vyd + 1; end else vym <= vym + 1;
          v_run <= vy + 1 != v_oy;
        end
      end
    end
  end
  if (v_go) begin
    v_run <= 1;
    vy <= 0; vx <= 0; vc <= 0; vk <= 0; vo <= 0; vw <= v_fx - 1; vyd <= 0; vym <= 0; vxd <= 0; vxm <= 0; vi <= 0; vj <= 0;
  end
end

wire v_end = v_busy && v_count + 1 >= v_time && !v_run;
wire v_late = v_busy && v_count + 1 >= v_time && v_run;

always @(posedge clk)
  if (v_go) begin
    v_busy <= 1;
    v_count <= 1;
  end else if (v_busy) begin
    v_count <= v_count + 1;
    if (v_end) begin
      v_busy <= 0;
      head_vector <= head_vector + 1;
    end
  end

assign started[4] = v_go;
assign ended[4] = v_end;

// --- what is wrong

assign late = {13'b0, v_late, a_late, w_late};
assign fault = {7'b0, a_go && a_conv && active != a_layout};
