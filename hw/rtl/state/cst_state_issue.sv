// cst_state_issue: operations on their way to execution; here sums of doubles are made.
// Promises   order kept. An operation goes on when its key's state has come on chip; of a program
//            without sums of doubles in that clock, one a clock.
//            In one with them an upsert's sums come out beside it, in order. Rows of different
//            keys are one a clock, rows of one key one in 9: doubles are added in row order, each
//            to what the one before it left.
// Needs      done_i of each operation that may write its key's state (cst_state_pkg::writes_state),
//            and state_write_i, if it does, in the same clock; known_valid_i once for each
//            ident_write_i, behind it; no operation in the first 1024 clocks behind a reset.
// Cost       eight adders; the values of all keys on chip, a second time; two queues; two times two
//            bits of LUT memory a key, as in cst_state_pins.
//
//                      ┌─────────────────────────────► queue ─► out: execute 0, 1, 2, 3, 4
//   op ─► s0: known,   │                                                         ▲     │
//             alone? ──┴► s1: its key's value ─► adders ─► queue ─► sums ────────┘     │
//               ▲             ▲                                                        │
//               └─────────────┴─────────────────────── done, state ────────────────────┘
//
// stage   known                    decided
// in      the operation            known and alone, by the memories and what comes now
// s0      both, kept current       waits here for them, and for room behind it
// s1      its key's value          sums
//
// Alone: what is before it on its key has left execution, or leaves it now. So the value at s1 is
// the one that execution will find. A look-up of a key that is on chip changes none: it neither
// waits nor is waited for.
`default_nettype none
module cst_state_issue #(
  localparam int unsigned IdBits = cst_state_pkg::IdBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire cst_state_pkg::config_t config_i,
  input  wire logic                   in_valid_i,
  output      logic                   in_ready_o,
  input  wire cst_state_pkg::queued_t in_op_i,
  // what is known of keys
  input  wire logic                   ident_write_i,
  input  wire logic [IdBits-1:0]      ident_id_i,
  input  wire logic                   known_valid_i,
  input  wire logic [IdBits-1:0]      known_id_i,
  input  wire logic [511:0]           known_value_i,
  // what execution did
  input  wire logic                   done_i,
  input  wire logic                   state_write_i,
  input  wire logic [IdBits-1:0]      state_id_i,
  input  wire logic [511:0]           state_value_i,
  // to execution
  output      logic                   out_valid_o,
  input  wire logic                   out_ready_i,
  output      cst_state_pkg::queued_t out_op_o,
  output      logic                   out_sums_o,    // sums_o has some for it
  output      logic                   sums_valid_o,
  input  wire logic                   sums_ready_i,
  output      logic [511:0]           sums_o,        // of each word that is a sum of doubles
  output      logic                   here_o,        // an operation is, at s0
  output      logic                   goes_o,        // it goes on
  output      logic                   barrier_goes_o,
  output      logic                   wait_o,        // for its key
  output      logic                   busy_o
);
  localparam int unsigned Lanes = cst_state_pkg::Lanes;
  localparam int unsigned QueuedBits = cst_state_pkg::QueuedBits;
  localparam int unsigned OpDepth = 8;     // as many as wait for their sums at a row a clock
  localparam int unsigned SumsDepth = 16;  // those, and what stands in execution
  localparam int unsigned ValueBits = 512;

  // ---- May it go on -----------------------------------------------------------------------------
  logic asked_q [cst_state_pkg::Ids];  // known from told on, as long as it is the same
  logic told_q [cst_state_pkg::Ids];
  logic begun_q [cst_state_pkg::Ids];  // what writes the key is under way from begun to ended
  logic ended_q [cst_state_pkg::Ids];
  logic filling_q;
  logic [IdBits-1:0] fill_q;
  logic [Lanes-1:0] lane_sums_q;
  logic sums_q, writes, adds, begins, done_here, can, take;
  logic in_writes, in_known, in_alone;
  logic s0_valid_q, s0_known_q, s0_alone_q;
  cst_state_pkg::queued_t s0_op_q;

  assign in_ready_o = !s0_valid_q || take;
  assign in_writes = cst_state_pkg::writes_state(in_op_i.uses_key, in_op_i.kind, in_op_i.first);
  assign in_known = !in_op_i.uses_key || !in_op_i.first ||
                    asked_q[in_op_i.id] == told_q[in_op_i.id] ||
                    (known_valid_i && known_id_i == in_op_i.id);
  assign in_alone = !sums_q || !in_writes ||
                    (!(begins && s0_op_q.id == in_op_i.id) &&
                     (begun_q[in_op_i.id] == ended_q[in_op_i.id] ||
                      (done_i && state_id_i == in_op_i.id)));

  assign writes = cst_state_pkg::writes_state(s0_op_q.uses_key, s0_op_q.kind, s0_op_q.first);
  assign adds = s0_op_q.uses_key && s0_op_q.kind == cst_state_pkg::KindUpsert;
  assign done_here = done_i && state_id_i == s0_op_q.id;
  assign can = s0_known_q && (s0_alone_q || done_here);
  assign take = s0_valid_q && can && (sums_q ? queue_ready : out_ready_i);
  assign begins = take && sums_q && writes;
  assign here_o = s0_valid_q;
  assign goes_o = take;
  assign barrier_goes_o = take && s0_op_q.kind == cst_state_pkg::KindBarrier;
  assign wait_o = s0_valid_q && !can;

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < Lanes; i++)
      lane_sums_q[i] <= !config_i.replace && config_i.lane_op[i*3 +: 3] == cst_pkg::AccSum &&
                        config_i.lane_number[i*3 +: 3] == cst_pkg::NumberF64;
    sums_q <= lane_sums_q != '0;
    if (ident_write_i) asked_q[ident_id_i] <= !told_q[ident_id_i];
    if (known_valid_i) told_q[known_id_i] <= asked_q[known_id_i];
    if (filling_q) begin
      begun_q[fill_q] <= 1'b0;
      ended_q[fill_q] <= 1'b0;
    end else begin
      // The one before it on its key may end in this clock: then it is what is under way.
      if (begins) begun_q[s0_op_q.id] <= !begun_q[s0_op_q.id];
      if (done_i) ended_q[state_id_i] <= begun_q[state_id_i];
    end
    if (in_ready_o) begin
      s0_op_q <= in_op_i;
      s0_known_q <= in_known;
      s0_alone_q <= in_alone;
    end else begin
      if (known_valid_i && known_id_i == s0_op_q.id) s0_known_q <= 1'b1;
      if (done_here) s0_alone_q <= 1'b1;
    end
    if (!rst_ni) begin
      filling_q <= 1'b1;
      fill_q <= '0;
      s0_valid_q <= 1'b0;
    end else begin
      fill_q <= fill_q + 1'b1;
      if (&fill_q) filling_q <= 1'b0;
      if (in_ready_o) s0_valid_q <= in_valid_i;
    end
  end

  // ---- The way around the adders, or straight on ------------------------------------------------
  logic queue_ready, queued_valid;
  cst_state_pkg::queued_t queued;

  cst_fifo #(.Width(QueuedBits), .Depth(OpDepth)) u_ops (
    .clk_i, .rst_ni, .in_valid_i(s0_valid_q && can && sums_q), .in_ready_o(queue_ready),
    .in_data_i(s0_op_q), .out_valid_o(queued_valid), .out_ready_i(out_ready_i),
    .out_data_o(queued), .fill_o()
  );
  assign out_valid_o = sums_q ? queued_valid : s0_valid_q && can;
  assign out_op_o = sums_q ? queued : s0_op_q;
  assign out_sums_o = sums_q && out_op_o.uses_key && out_op_o.kind == cst_state_pkg::KindUpsert;

  // ---- s1, the adders ---------------------------------------------------------------------------
  logic s1_valid_q, s1_first_q;
  logic [ValueBits-1:0] s1_operands_q, s1_known, s1_result, s1_value, sums;
  logic [Lanes-1:0] sum_valid;

  cst_state_ram #(.Width(ValueBits), .AddressBits(IdBits), .Follow(1'b0)) u_known (
    .clk_i, .write_i(known_valid_i), .write_address_i(known_id_i), .write_data_i(known_value_i),
    .read_i(take && sums_q), .read_address_i(s0_op_q.id), .data_o(s1_known)
  );
  cst_state_ram #(.Width(ValueBits), .AddressBits(IdBits), .Follow(1'b0)) u_result (
    .clk_i, .write_i(state_write_i), .write_address_i(state_id_i), .write_data_i(state_value_i),
    .read_i(take && sums_q), .read_address_i(s0_op_q.id), .data_o(s1_result)
  );
  assign s1_value = s1_first_q ? s1_known : s1_result;

  always_ff @(posedge clk_i) begin
    if (take && sums_q) begin
      s1_first_q <= s0_op_q.first;
      s1_operands_q <= s0_op_q.operands;
    end
    if (!rst_ni) s1_valid_q <= 1'b0;
    else s1_valid_q <= take && sums_q && adds;
  end

  // What a null source or a row's first value makes of a sum is execution's to say.
  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    cst_f64_add u_add (
      .clk_i, .rst_ni, .in_valid_i(s1_valid_q && lane_sums_q[i]),
      .a_i(s1_value[i*64 +: 64]), .b_i(s1_operands_q[i*64 +: 64]),
      .out_valid_o(sum_valid[i]), .sum_o(sums[i*64 +: 64])
    );
  end

  logic sums_ready;
  cst_fifo #(.Width(ValueBits), .Depth(SumsDepth)) u_sums (
    .clk_i, .rst_ni, .in_valid_i(sum_valid != '0), .in_ready_o(sums_ready), .in_data_i(sums),
    .out_valid_o(sums_valid_o), .out_ready_i(sums_ready_i), .out_data_o(sums_o), .fill_o()
  );
  assign busy_o = s0_valid_q || queued_valid;

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    sums_have_room: assert (sums_ready || sum_valid == '0);
    done_is_busy: assert (!done_i || !sums_q || begun_q[state_id_i] != ended_q[state_id_i]);
    begins_alone: assert (!begins || done_here ||
                          begun_q[s0_op_q.id] == ended_q[s0_op_q.id]);
    nothing_while_filling: assert (!filling_q || (!in_valid_i && !done_i));
  end
`endif

  logic unused_bits;
  assign unused_bits = ^{config_i, sums_ready};
endmodule
`default_nettype wire
