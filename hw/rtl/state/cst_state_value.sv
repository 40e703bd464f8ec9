// cst_state_value: what an operation makes of a value, and the way back of its words into the same
// stage: the loop that one hot key runs through, a carry chain and two LUTs. Combinational.
// Needs      what does not depend on a carry a stage ahead (cst_state_operands), or beside the
//            chains: keeps_i, sums_i and expired_i are asked behind them.
`default_nettype none
module cst_state_value (
  input  wire cst_state_pkg::plan_t            plan_i,
  input  wire logic                            upserts_i,     // else it stays as it is
  input  wire logic                            expired_i,     // no row is there, of upserts
  input  wire logic [2*cst_state_pkg::Lanes-1:0] keeps_i,     // two bits a word: cst_state_lane
  input  wire logic [cst_state_pkg::Lanes-1:0] sums_i,
  input  wire logic [511:0]                    old_i,
  input  wire logic [511:0]                    operands_i,    // as cst_state_operands leaves them
  input  wire logic [511:0]                    double_sums_i,
  input  wire logic                            back_i,
  input  wire logic [511:0]                    other_i,
  output      logic [511:0]                    next_o,
  output      logic [511:0]                    back_o,        // next_o with back_i, else other_i
  output      logic [cst_state_pkg::Lanes-1:0] wrong_o,       // a word leaves its range
  output      logic [cst_state_pkg::Lanes-1:0] leaves_o       // a decimal's sum does: of decimals
);
  localparam int unsigned Lanes = cst_state_pkg::Lanes;

  logic [Lanes:0] carry;
  logic [Lanes:0] less;  // of the decimal that begins a word before
  logic [Lanes-1:0] was;
  assign {carry[0], less[0], less[Lanes], was[Lanes-1], leaves_o[Lanes-1]} = '0;

  for (genvar i = 0; i < Lanes; i++) begin : g_lane
    cst_state_lane u_lane (
      .upserts_i, .expired_i, .keeps_i(keeps_i[2*i +: 2]), .sums_i(sums_i[i]),
      .joins_i(plan_i.joins[i]), .double_i(plan_i.doubles[i]), .signed_i(plan_i.signs[i]),
      .bounded_i(plan_i.bounds[i]), .half_i(plan_i.lower[i] || plan_i.upper[i]),
      .upper_i(plan_i.upper[i]), .less_i(less[i] || less[i+1]), .carry_i(carry[i]),
      .wrong_i(plan_i.wrong[i]), .was_i(was[i] && (plan_i.least[i] || plan_i.most[i])),
      .old_i(old_i[i*64 +: 64]), .operand_i(operands_i[i*64 +: 64]),
      .double_sum_i(double_sums_i[i*64 +: 64]), .back_i, .other_i(other_i[i*64 +: 64]),
      .next_o(next_o[i*64 +: 64]), .back_o(back_o[i*64 +: 64]), .carry_o(carry[i+1]),
      .wrong_o(wrong_o[i])
    );
  end
  for (genvar i = 0; i < Lanes - 1; i++) begin : g_decimal
    cst_state_decimal u_decimal (
      .valid_i(plan_i.lower[i]), .old_i(old_i[i*64 +: 128]), .source_i(operands_i[i*64 +: 128]),
      .less_o(less[i+1]), .leaves_o(leaves_o[i]), .was_o(was[i])
    );
  end

  logic unused_bits;
  assign unused_bits = ^{plan_i, carry};
endmodule
`default_nettype wire
