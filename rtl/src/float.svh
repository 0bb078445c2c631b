// float32 as the machine uses it: one rounding per operation, to nearest, ties to even.
//
// Numbers below 2^-126 count as zero, given or made. That changes no code: a term so small cannot move a sum across a
// tie of integers, and alone it rounds to 0. Programs whose *scales* are that small are refused before they run.

function automatic logic [31:0] pack(input logic sign, input logic signed [11:0] exponent, input logic [26:0] wide);
  // wide: 24 bits of significand, then guard, round and sticky
  logic [24:0] m;
  logic signed [11:0] e;
  begin
    m = {1'b0, wide[26:3]} + {24'b0, wide[2] & (wide[1] | wide[0] | wide[3])};
    e = exponent;
    if (m[24]) begin
      m = m >> 1;
      e = e + 12'sd1;
    end
    if (e >= 12'sd255) pack = {sign, 8'hff, 23'b0};
    else if (e <= 12'sd0 || wide == 27'b0) pack = {sign, 31'b0};
    else pack = {sign, e[7:0], m[22:0]};
  end
endfunction

function automatic logic is_nan(input logic [31:0] a);
  is_nan = a[30:23] == 8'hff && a[22:0] != 23'b0;
endfunction

function automatic logic [31:0] f_mul(input logic [31:0] a, input logic [31:0] b);
  logic sign;
  logic [47:0] product;
  logic signed [11:0] e;
  begin
    sign = a[31] ^ b[31];
    product = {24'b0, 1'b1, a[22:0]} * {24'b0, 1'b1, b[22:0]};
    e = $signed({4'b0, a[30:23]}) + $signed({4'b0, b[30:23]}) - 12'sd127;
    if (is_nan(a) || is_nan(b)) f_mul = 32'h7fc00000;
    else if (a[30:23] == 8'hff || b[30:23] == 8'hff)
      f_mul = (a[30:23] == 0 || b[30:23] == 0) ? 32'h7fc00000 : {sign, 8'hff, 23'b0};
    else if (a[30:23] == 0 || b[30:23] == 0) f_mul = {sign, 31'b0};
    else if (product[47]) f_mul = pack(sign, e + 12'sd1, {product[47:22], |product[21:0]});
    else f_mul = pack(sign, e, {product[46:21], |product[20:0]});
  end
endfunction

function automatic logic [31:0] f_div(input logic [31:0] a, input logic [31:0] b);
  logic sign;
  logic [50:0] top;
  logic [50:0] quotient;
  logic rest;
  logic signed [11:0] e;
  begin
    sign = a[31] ^ b[31];
    e = $signed({4'b0, a[30:23]}) - $signed({4'b0, b[30:23]}) + 12'sd127;
    top = {1'b0, 1'b1, a[22:0], 26'b0};
    quotient = top / {27'b0, 1'b1, b[22:0]};
    rest = quotient * {27'b0, 1'b1, b[22:0]} != top;
    if (is_nan(a) || is_nan(b)) f_div = 32'h7fc00000;
    else if (a[30:23] == 8'hff) f_div = b[30:23] == 8'hff ? 32'h7fc00000 : {sign, 8'hff, 23'b0};
    else if (b[30:23] == 8'hff) f_div = {sign, 31'b0};
    else if (b[30:23] == 0) f_div = a[30:23] == 0 ? 32'h7fc00000 : {sign, 8'hff, 23'b0};
    else if (a[30:23] == 0) f_div = {sign, 31'b0};
    else if (quotient[26]) f_div = pack(sign, e, {quotient[26:1], quotient[0] | rest});
    else f_div = pack(sign, e - 12'sd1, {quotient[25:0], rest});
  end
endfunction

function automatic logic [31:0] f_add(input logic [31:0] a, input logic [31:0] b);
  logic [31:0] x;
  logic [31:0] y;
  logic [27:0] more;
  logic [27:0] less;
  logic [27:0] sum;
  logic [7:0] distance;
  logic lost;
  logic signed [11:0] e;
  integer i;
  begin
    x = a[30:0] >= b[30:0] ? a : b;
    y = a[30:0] >= b[30:0] ? b : a;
    distance = x[30:23] - y[30:23];
    more = {1'b0, 1'b1, x[22:0], 3'b0};
    less = {1'b0, 1'b1, y[22:0], 3'b0};
    if (distance > 8'd27) less = 28'd1;
    else begin
      lost = (less & ((28'd1 << distance) - 28'd1)) != 0;
      less = (less >> distance) | {27'b0, lost};
    end
    sum = x[31] == y[31] ? more + less : more - less;
    e = $signed({4'b0, x[30:23]});
    if (sum[27]) begin
      sum = (sum >> 1) | {27'b0, sum[0]};
      e = e + 12'sd1;
    end
    for (i = 0; i < 26; i = i + 1)
      if (!sum[26] && sum != 0) begin
        sum = sum << 1;
        e = e - 12'sd1;
      end
    if (is_nan(a) || is_nan(b)) f_add = 32'h7fc00000;
    else if (x[30:23] == 8'hff)
      f_add = y[30:23] == 8'hff && x[31] != y[31] ? 32'h7fc00000 : {x[31], 8'hff, 23'b0};
    else if (y[30:23] == 0) f_add = x[30:23] == 0 ? 32'b0 : x;
    else f_add = pack(x[31], e, sum[26:0]);
  end
endfunction

function automatic logic [31:0] f_int(input logic signed [31:0] value);
  logic [31:0] magnitude;
  logic signed [11:0] e;
  integer i;
  begin
    magnitude = value[31] ? -value : value;
    e = 12'sd158;
    for (i = 0; i < 31; i = i + 1)
      if (!magnitude[31] && magnitude != 0) begin
        magnitude = magnitude << 1;
        e = e - 12'sd1;
      end
    f_int = magnitude == 0 ? 32'b0 : pack(value[31], e, {magnitude[31:6], |magnitude[5:0]});
  end
endfunction

// clamp(rne(a) + zero, lo, hi); NaN counts as 0, and what is beyond ±1023 is as far beyond every clamp.
function automatic logic [7:0] f_code(
  input logic [31:0] a, input logic signed [7:0] zero, input logic signed [7:0] lo, input logic signed [7:0] hi
);
  logic [47:0] fixed;
  logic signed [15:0] whole;
  begin
    if (is_nan(a) || a[30:23] < 8'd126) whole = 16'sd0;
    else if (a[30:23] >= 8'd137) whole = 16'sd1023;
    else begin
      fixed = {1'b1, a[22:0], 24'b0} >> (8'd150 - a[30:23]);
      whole = $signed({5'b0, fixed[34:24]});
      if (fixed[23] && (fixed[22:0] != 0 || fixed[24])) whole = whole + 16'sd1;
    end
    if (a[31]) whole = -whole;
    whole = whole + 16'(zero);
    if (whole < 16'(lo)) whole = 16'(lo);
    if (whole > 16'(hi)) whole = 16'(hi);
    f_code = whole[7:0];
  end
endfunction

function automatic logic [31:0] f_code_int(input logic [7:0] code);
  f_code_int = f_int(32'($signed(code)));
endfunction

// clamp(rne(ra·a + (rb·b + fix)), lo, hi): four roundings
function automatic logic [7:0] f_sum(
  input logic [31:0] a, input logic [31:0] b, input logic [31:0] rb, input logic [31:0] fix,
  input logic [7:0] lo, input logic [7:0] hi
);
  f_sum = f_code(f_add(a, f_add(f_mul(rb, b), fix)), 8'sd0, lo, hi);
endfunction
