// The stages of the datapath, each combinational and a module of its own: what `python -m rtl.synthesis` measures.

`include "parameters.svh"

// One lane's product in a step.
module lane (
  input logic signed [11:0] weight,
  input logic signed [9:0] value,
  input logic valid,
  output logic signed [21:0] product
);
  assign product = valid ? 22'(weight) * 22'(value) : 22'sd0;
endmodule

// The sums of runs of 2^log products.
module adders (
  input logic [`LANES*22-1:0] products,
  input logic [3:0] log,
  output logic [`LANES*32-1:0] sums
);
  logic [`LANES*32-1:0] tree;
  integer i, level;
  always @* begin
    for (i = 0; i < `LANES; i = i + 1) tree[32*i +: 32] = 32'($signed(products[22*i +: 22]));
    sums = tree;
    for (level = 0; level < $clog2(`LANES); level = level + 1) begin
      for (i = 0; i < `LANES; i = i + 1)
        tree[32*i +: 32] = i < `LANES >> (level + 1) ? tree[64*(i % (`LANES/2)) +: 32] + tree[64*(i % (`LANES/2))+32 +: 32]
            : 32'd0;
      if (4'(level) < log) sums = tree;
    end
  end
endmodule

// One input value of Winograd: position (row, column) of Bᵀ·x·B from the four samples that it combines.
module position (
  input logic minus_y,
  input logic minus_x,
  input logic signed [7:0] a, b, c, d,
  output logic signed [9:0] value
);
  function automatic logic signed [9:0] combine(input logic minus, input logic signed [9:0] x, input logic signed [9:0] y);
    combine = minus ? x - y : x + y;
  endfunction
  assign value = combine(minus_y, combine(minus_x, 10'(a), 10'(b)), combine(minus_x, 10'(c), 10'(d)));
endmodule

// Four outputs of one tile from its sixteen sums: Aᵀ·M·A, which is 4 × the convolution.
module tile_outputs (
  input logic [511:0] sums,
  output logic [127:0] outputs
);
  logic signed [31:0] u [0:7];
  integer j;
  always @* begin
    for (j = 0; j < 4; j = j + 1) begin
      u[j] = sums[32*j +: 32] + sums[32*(4+j) +: 32] + sums[32*(8+j) +: 32];
      u[4+j] = sums[32*(4+j) +: 32] - sums[32*(8+j) +: 32] - sums[32*(12+j) +: 32];
    end
    for (j = 0; j < 2; j = j + 1) begin
      outputs[64*j +: 32] = (u[4*j] + u[4*j+1] + u[4*j+2]) >>> 2;
      outputs[64*j+32 +: 32] = (u[4*j+1] - u[4*j+2] - u[4*j+3]) >>> 2;
    end
  end
endmodule

// One channel of a pass's end: bias, scale, rounding, residual; the table comes after.
module requantise (
  input logic [31:0] sum, bias, scale,
  input logic [7:0] zero_point, lo, hi,
  input logic [1:0] residual,
  input logic [7:0] other,
  input logic [31:0] ra, rb, fix,
  input logic [7:0] sum_lo, sum_hi,
  output logic [7:0] code
);
  `include "float.svh"
  logic [31:0] product, left, right;
  logic [7:0] own;
  always @* begin
    product = f_mul(f_int(sum + bias), scale);
    own = f_code(product, zero_point, lo, hi);
    // the adder has three uses: a sum on codes in either order, and one before the rounding
    case (residual)
      2'd1: begin left = f_mul(ra, f_code_int(own)); right = f_code_int(other); end
      2'd2: begin left = f_mul(ra, f_code_int(other)); right = f_code_int(own); end
      default: begin left = product; right = f_code_int(other); end
    endcase
    code = residual == 2'd0 ? own : f_sum(left, right, rb, fix, sum_lo, sum_hi);
  end
endmodule

// The law of a pass, by shifts and products.
module pass_law (
  input logic [31:0] oy, ox, G, K, C, ky, kx, sx, Y, X, P, PB, GB, KB, steps,
  input logic shared, last,
  input logic [3:0] lg, lp,
  output logic [31:0] cycles
);
  function automatic logic [31:0] over16(input logic [31:0] n);
    over16 = (n + 32'd15) >> 4;
  endfunction

  logic [4:0] odd;                              // lcm(p, X) = X << (lp - odd)
  logic [31:0] segments, columns, granules, out_beats, in_beats, multiplies, most;
  integer i;
  always @* begin
    odd = 5'(lp);
    for (i = 15; i >= 0; i = i - 1) if (X[i] && 5'(i) < odd) odd = 5'(i);
    segments = Y + PB - 1 - ((Y - 1) >> (5'(lp) - odd));
    columns = shared ? P * (sx < kx ? sx : kx) + (kx > sx ? segments * (kx - sx) : 32'd0) : P * kx;
    granules = (G >> lg) * over16(C << lg) + over16((G & ((32'd1 << lg) - 1)) * C);
    out_beats = last ? oy * ox * over16(G * K) : 32'd0;
    in_beats = KB * ky * columns * granules + (last ? (G * K + 1) >> 1 : 32'd0);
    multiplies = GB * KB * PB * steps;
    most = in_beats > multiplies ? in_beats : multiplies;
    cycles = 32'd`CONV_OVERHEAD + (most > out_beats ? most : out_beats);
  end
endmodule

// A kernel of Winograd: (2G)·w·(2G)ᵀ of nine weights, tap by tap.
module kernel_spread (
  input logic [71:0] kernel,
  output logic [191:0] spread
);
  function automatic logic signed [11:0] one(
    input logic [1:0] row, input logic signed [11:0] a, input logic signed [11:0] b, input logic signed [11:0] c
  );
    case (row)
      2'd0: one = a <<< 1;
      2'd1: one = a + b + c;
      2'd2: one = a - b + c;
      default: one = c <<< 1;
    endcase
  endfunction
  function automatic logic signed [11:0] weight(input logic [71:0] bytes, input integer place);
    weight = 12'($signed(bytes[8*place +: 8]));
  endfunction
  logic signed [11:0] columns [0:11];
  integer j, p;
  always @* begin
    for (j = 0; j < 3; j = j + 1)
      for (p = 0; p < 4; p = p + 1)
        columns[4*j + p] = one(2'(p), weight(kernel, j), weight(kernel, 3 + j), weight(kernel, 6 + j));
    for (j = 0; j < 4; j = j + 1)
      for (p = 0; p < 4; p = p + 1)
        spread[12*(4*j + p) +: 12] = one(2'(p), columns[j], columns[4 + j], columns[8 + j]);
  end
endmodule
