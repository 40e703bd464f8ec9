// cst_state_barrier: what a barrier waits for, and how reads make way for it.
// Promises   older_pending_o: an answer is owed of the epoch before the open one, durable_epoch_o:
//            the newest that is in memory; any_o: an answer is owed. few_o from the clock behind
//            barrier_in_i until the barrier is done and its epoch is in memory.
// Needs      pushes and answers as they happen, each once; parity_i: the lowest bit of the epoch
//            that is written to; at most 2^BarrierBits - 1 barriers between in and done.
`default_nettype none
module cst_state_barrier #(
  localparam int unsigned BarrierBits = 5  // of all operations between issue and execute's end
) (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic [63:0] epoch_i,          // the open one
  input  wire logic        parity_i,
  input  wire logic        key_pushed_i,     // an entry and a record
  input  wire logic        gap_valid_i,
  input  wire logic [1:0]  line_pushed_i,
  input  wire logic        none_i,           // a record that is not to be
  input  wire logic        none_parity_i,
  input  wire logic [9:0]  answered_i,       // of even epochs, of odd ones
  input  wire logic        barrier_in_i,
  input  wire logic        barrier_done_i,
  output      logic        any_o,
  output      logic        older_pending_o,
  output      logic [63:0] durable_epoch_o,
  output      logic        few_o
);
  // ---- Answers that are owed, by the epoch's lowest bit -----------------------------------------
  // Counted where they arrive: what they free waits for its turn behind.
  logic [31:0] owed_q;
  logic [31:0] owed_next;

  always_comb begin
    for (int unsigned p = 0; p < 2; p++) begin
      owed_next[p*16 +: 16] = owed_q[p*16 +: 16] +
          ((32'(parity_i) == p) ? 16'({key_pushed_i, 1'b0}) + 16'(gap_valid_i) +
                                      16'(line_pushed_i[0]) + 16'(line_pushed_i[1]) : 16'd0) -
          16'(none_i && 32'(none_parity_i) == p) - 16'(answered_i[p*5 +: 5]);
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) owed_q <= '0;
    else owed_q <= owed_next;
  end
  assign any_o = owed_q != '0;
  assign older_pending_o = (epoch_i[0] ? owed_q[15:0] : owed_q[31:16]) != '0;
  assign durable_epoch_o = epoch_i - 64'd1 - 64'(older_pending_o);

  // ---- Reads make way for writes while a barrier is under way -----------------------------------
  // A memory controller keeps writes behind reads as long as it can, so that a barrier would wait
  // for those of what is behind it. From when it is issued until its epoch is in memory reads are
  // few; what is before it has none by then.
  logic few_q;
  logic [BarrierBits-1:0] barriers_q;

  assign few_o = few_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      barriers_q <= '0;
      few_q <= 1'b0;
    end else begin
      if (barrier_in_i != barrier_done_i)
        barriers_q <= barrier_in_i ? barriers_q + 1'b1 : barriers_q - 1'b1;
      few_q <= barriers_q != '0 || older_pending_o;
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    a_barrier_came: assert (!barrier_done_i || barriers_q != '0);
  end
`endif
endmodule
`default_nettype wire
