// Five in-order queues, each with a memory of its own that the loader fills before the run, as the instruction memory
// is filled when the model is loaded. The loader takes the program's bytes one per cycle.

localparam DEPTH = `QUEUE_DEPTH;
localparam QW = $clog2(DEPTH);

logic [RECORD-1:0] q_load [0:DEPTH-1];
logic [RECORD-1:0] q_store [0:DEPTH-1];
logic [RECORD-1:0] q_weights [0:DEPTH-1];
logic [RECORD-1:0] q_array [0:DEPTH-1];
logic [RECORD-1:0] q_vector [0:DEPTH-1];

logic [QW:0] n_load = 0, n_store = 0, n_weights = 0, n_array = 0, n_vector = 0;

logic [RECORD-1:0] coming = 0;
logic [7:0] held = 0;
logic [RECORD-1:0] next_record;
logic [7:0] opcode;

always @* begin
  next_record = coming | (RECORD'(load_byte) << {held, 3'b0});
  opcode = next_record[7:0];
end

always @(posedge clk) if (load_valid) begin
  if (held + 8'd1 == `RECORD_BYTES(opcode)) begin
    held <= 8'd0;
    coming <= 0;
    case (opcode)
      `OP_LOAD, `OP_LOAD_CONFIG: begin q_load[n_load[QW-1:0]] <= next_record; n_load <= n_load + 1; end
      `OP_STORE: begin q_store[n_store[QW-1:0]] <= next_record; n_store <= n_store + 1; end
      `OP_FILL: begin q_weights[n_weights[QW-1:0]] <= next_record; n_weights <= n_weights + 1; end
      `OP_CONFIGURE, `OP_CONV: begin q_array[n_array[QW-1:0]] <= next_record; n_array <= n_array + 1; end
      default: begin q_vector[n_vector[QW-1:0]] <= next_record; n_vector <= n_vector + 1; end
    endcase
  end else begin
    held <= held + 8'd1;
    coming <= next_record;
  end
end

// Heads, and how many have completed: a transfer leaves the head before it completes.
logic [QW:0] head_load = 0, head_store = 0, head_weights = 0, head_array = 0, head_vector = 0;
logic [QW:0] done_load = 0, done_store = 0;

wire [RECORD-1:0] rl = q_load[head_load[QW-1:0]];
wire [RECORD-1:0] rs = q_store[head_store[QW-1:0]];
wire [RECORD-1:0] rw = q_weights[head_weights[QW-1:0]];
wire [RECORD-1:0] ra = q_array[head_array[QW-1:0]];
wire [RECORD-1:0] rv = q_vector[head_vector[QW-1:0]];

function automatic logic met(input logic [RECORD-1:0] r);
  met = 17'(done_load) >= 17'(`WAIT_LOAD(r)) && 17'(done_store) >= 17'(`WAIT_STORE(r))
      && 17'(head_weights) >= 17'(`WAIT_WEIGHTS(r)) && 17'(head_array) >= 17'(`WAIT_ARRAY(r))
      && 17'(head_vector) >= 17'(`WAIT_VECTOR(r));
endfunction

assign done = run && done_load == n_load && done_store == n_store && head_weights == n_weights
    && head_array == n_array && head_vector == n_vector;
