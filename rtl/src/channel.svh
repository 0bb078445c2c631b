// The DRAM channel, the loads and stores that take it in order of readiness, and load_config.
//
// The rate is a fraction: a bucket gains its numerator every cycle, and a burst costs the burst's bytes times the
// denominator. Runs are walked one per cycle, so that a transfer takes max(bursts at the rate, runs) cycles. The bytes
// themselves move beside that, up to 16 a cycle, each with addresses of its own.

wire l_config = rl[7:0] == `OP_LOAD_CONFIG;
wire l_near = l_config && `LOAD_CONFIG_SPACE(rl) == 8'd1;  // an image in SRAM: no channel

logic near_busy = 0;
logic [15:0] near_count = 0;
wire near_end = near_busy && near_count + 16'd1 == 16'd`SRAM_LOAD;

logic c_busy = 0;          // a transfer has the channel, or its turn
logic c_store = 0;         // it is the store queue's
logic c_write = 0;         // direction of the last transfer
logic [15:0] c_turn = 0;
logic [1:0] c_first = 0;   // who became ready first among those that wait: 1 load, 2 store

wire l_open = run && head_load != n_load && met(rl) && !(c_busy && !c_store) && !near_busy;
wire l_ready = l_open && !l_near;
wire s_ready = run && head_store != n_store && met(rs) && !(c_busy && c_store);
wire [1:0] c_next = c_first != 0 ? c_first : l_ready ? 2'd1 : s_ready ? 2'd2 : 2'd0;
wire c_grant = !c_busy && c_next != 0;
wire near_start = l_open && l_near && done_load == head_load;

// --- one transfer, of whoever has it or gets it

wire t_store = c_busy ? c_store : c_next == 2'd2;
wire [RECORD-1:0] rt = t_store ? rs : rl;
wire t_config = !t_store && l_config;
wire [31:0] t_dram = t_config ? `LOAD_CONFIG_ADDRESS(rl) : `LOAD_DRAM(rt);
wire [31:0] t_bytes = t_config ? 32'd`IMAGE_BYTES : `LOAD_BYTES(rt);
wire [31:0] t_count1 = t_config ? 32'd1 : `LOAD_COUNT1(rt);
wire [31:0] t_count2 = t_config ? 32'd1 : `LOAD_COUNT2(rt);
wire [31:0] t_stride1 = `LOAD_DRAM_STRIDE1(rt);
wire [31:0] t_stride2 = `LOAD_DRAM_STRIDE2(rt);

// dimensions that are contiguous in DRAM merge into runs
logic [31:0] m_size, m_count1, m_stride1, m_count2, m_stride2;
always @* begin
  m_size = t_bytes; m_count1 = t_count1; m_stride1 = t_stride1; m_count2 = t_count2; m_stride2 = t_stride2;
  if (t_count1 == 1 || t_stride1 == t_bytes) begin
    m_size = t_bytes * t_count1; m_count1 = t_count2; m_stride1 = t_stride2; m_count2 = 1;
    if (m_count1 == 1 || m_stride1 == m_size) begin
      m_size = m_size * m_count1; m_count1 = 1;
    end
  end
end

logic [31:0] w_run1 = 0, w_run2 = 0, w_row = 0, w_at = 0;    // the walk over runs
logic w_more = 0;
logic [63:0] w_need = 0, w_paid = 0;
logic [31:0] w_bursts;
logic [63:0] w_need_next;
logic w_last;

always @* begin
  w_bursts = (w_at + m_size - 32'd1) / 32'd`BURST - w_at / 32'd`BURST + 32'd1;
  w_need_next = w_more ? w_need + 64'(w_bursts) * (64'd`BURST * 64'd`RATE_DENOMINATOR) : w_need;
  w_last = !w_more || (w_run1 + 1 == m_count1 && w_run2 + 1 == m_count2);
end
wire [31:0] first_bursts = (t_dram + m_size - 32'd1) / 32'd`BURST - t_dram / 32'd`BURST + 32'd1;
wire c_walking = c_busy && c_turn == 0;
logic move_done = 1;
wire c_leave = c_walking && w_last && w_paid + 64'd`RATE_NUMERATOR >= w_need_next && move_done;

// --- the bytes

logic [31:0] b_byte = 0, b_1 = 0, b_2 = 0;      // the next byte, by its place in the copy
logic [31:0] b_d0 = 0, b_d1 = 0, b_d2 = 0;      // where it, its element and its row begin in DRAM
logic [31:0] b_s0 = 0, b_s1 = 0, b_slot = 0;    // the same in SRAM, the row by its slot

logic [31:0] x_byte, x_1, x_2, x_d0, x_d1, x_d2, x_s0, x_s1, x_slot;
logic x_done;
logic [511:0] x_sram;
logic [15:0] x_use;
integer ci;
wire [31:0] t_base = `LOAD_SRAM(rt);
wire [31:0] t_sram1 = `LOAD_SRAM_STRIDE1(rt);
wire [31:0] t_sram2 = `LOAD_SRAM_STRIDE2(rt);
wire [31:0] t_ring = 32'(`LOAD_RING(rt));
wire [31:0] t_row = 32'(`LOAD_ROW(rt));

always @* begin
  x_byte = b_byte; x_1 = b_1; x_2 = b_2; x_d0 = b_d0; x_d1 = b_d1; x_d2 = b_d2;
  x_s0 = b_s0; x_s1 = b_s1; x_slot = b_slot; x_done = move_done;
  dram_address = 0; dram_out = 0; dram_read = 0; dram_write = 0; x_sram = 0; x_use = 0;
  if (c_walking && !move_done)
    for (ci = 0; ci < 16; ci = ci + 1)
      if (!x_done) begin
        x_use[ci] = 1;
        dram_address[32*ci +: 32] = x_d0;
        x_sram[32*ci +: 32] = x_s0;
        dram_read[ci] = !t_store;
        dram_write[ci] = t_store;
        if (t_store) dram_out[8*ci +: 8] = sram[x_s0[AW-1:0]];
        if (x_byte + 1 != t_bytes) begin
          x_byte = x_byte + 1; x_d0 = x_d0 + 1; x_s0 = x_s0 + 1;
        end else begin
          x_byte = 0;
          if (x_1 + 1 != t_count1) begin
            x_1 = x_1 + 1; x_d1 = x_d1 + t_stride1; x_s1 = x_s1 + t_sram1;
          end else begin
            x_1 = 0;
            x_2 = x_2 + 1;
            x_done = x_2 == t_count2;
            x_d2 = x_d2 + t_stride2; x_d1 = x_d2;
            x_slot = x_slot + 1 == t_ring ? 0 : x_slot + 1;
            x_s1 = t_base + x_slot * t_sram2;
          end
          x_d0 = x_d1; x_s0 = x_s1;
        end
      end
end

always @(posedge clk) if (c_walking && !t_store)
  for (ci = 0; ci < 16; ci = ci + 1)
    if (x_use[ci]) sram[x_sram[32*ci +: AW]] <= dram_in[8*ci +: 8];

// --- configuration slots: shadow and active, as (algorithm, g, k, r, p)

logic [79:0] image = 0, shadow = 0, active = 0;
assign head_address = `LOAD_CONFIG_ADDRESS(rl);
logic [159:0] near_image;
always @* for (ci = 0; ci < 20; ci = ci + 1)
  near_image[8*ci +: 8] = sram[AW'(`LOAD_CONFIG_ADDRESS(rl) + 32'(ci))];

logic swap;  // of the array's queue: configure completes

always @(posedge clk)
  if (swap) begin
    active <= shadow;
    shadow <= active;
  end else if ((c_leave && t_config) || near_end) shadow <= image;

// completions wait out the latency; bit 0 left the channel one cycle ago
logic [`LATENCY:0] out_load = 0, out_store = 0;
always @(posedge clk) if (run) begin
  // who waits, and who came first
  if (c_grant) c_first <= c_next == 2'd1 ? (s_ready ? 2'd2 : 2'd0) : (l_ready ? 2'd1 : 2'd0);
  else c_first <= c_next;

  if (c_grant) begin
    c_busy <= 1;
    c_store <= t_store;
    c_write <= t_store;
    if (t_store != c_write && `TURN != 0) begin
      c_turn <= 16'd`TURN - 16'd1;  // this cycle is the first of the turn
      w_run1 <= 0; w_run2 <= 0; w_row <= t_dram; w_at <= t_dram; w_more <= 1; w_need <= 0; w_paid <= 0;
    end else begin  // this cycle is the first of the transfer: it walks a run and pays
      c_turn <= 0;
      w_paid <= 64'd`RATE_NUMERATOR;
      w_need <= 64'(first_bursts) * (64'd`BURST * 64'd`RATE_DENOMINATOR);
      w_more <= m_count1 != 1 || m_count2 != 1;
      w_run1 <= m_count1 == 1 ? 32'd0 : 32'd1;
      w_run2 <= m_count1 == 1 ? 32'd1 : 32'd0;
      w_row <= m_count1 == 1 ? t_dram + m_stride2 : t_dram;
      w_at <= m_count1 == 1 ? t_dram + m_stride2 : t_dram + m_stride1;
    end
    b_byte <= 0; b_1 <= 0; b_2 <= 0; b_d0 <= t_dram; b_d1 <= t_dram; b_d2 <= t_dram;
    b_s0 <= t_base + t_row * t_sram2; b_s1 <= t_base + t_row * t_sram2; b_slot <= t_row;
    move_done <= t_config;
  end
  if (c_busy && c_turn != 0) c_turn <= c_turn - 1;
  if (c_walking) begin
    w_paid <= w_paid + 64'd`RATE_NUMERATOR;
    w_need <= w_need_next;
    w_more <= !w_last;
    if (w_run1 + 1 == m_count1) begin
      w_run1 <= 0; w_run2 <= w_run2 + 1; w_row <= w_row + m_stride2; w_at <= w_row + m_stride2;
    end else begin
      w_run1 <= w_run1 + 1; w_at <= w_at + m_stride1;
    end
    b_byte <= x_byte; b_1 <= x_1; b_2 <= x_2; b_d0 <= x_d0; b_d1 <= x_d1; b_d2 <= x_d2;
    b_s0 <= x_s0; b_s1 <= x_s1; b_slot <= x_slot; move_done <= x_done;
    if (t_config) image <= head_in[159:80];
    if (c_leave) begin
      c_busy <= 0;
      if (t_store) head_store <= head_store + 1; else head_load <= head_load + 1;
    end
  end

  if (near_start) begin
    near_busy <= 1;
    near_count <= 16'd1;
  end else if (near_busy) begin
    near_count <= near_count + 1;
    image <= near_image[159:80];
    if (near_end) begin
      near_busy <= 0;
      head_load <= head_load + 1;
    end
  end

  out_load <= {out_load[`LATENCY-1:0], c_leave && !t_store};
  out_store <= {out_store[`LATENCY-1:0], c_leave && t_store};
  if (out_load[`LATENCY-1] || near_end) done_load <= done_load + 1;
  if (out_store[`LATENCY-1]) done_store <= done_store + 1;
end

assign started[0] = (c_grant && c_next == 2'd1) || near_start;
assign started[1] = c_grant && c_next == 2'd2;
assign ended[0] = out_load[`LATENCY-1] || near_end;
assign ended[1] = out_store[`LATENCY-1];
