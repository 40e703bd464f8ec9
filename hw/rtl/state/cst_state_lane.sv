// cst_state_lane: what one operation makes of one 64-bit word of a value.
// Promises   docs/formats.md, New value, for counts and for sum, min, max and last of u64, i64 and
//            f64, and for the halves of a decimal128 beside cst_state_decimal; combinational: a
//            carry chain, and two LUTs, the way back among them. wrong_o: the word leaves its
//            range; next_o then says nothing.
// Needs      operands as cst_state_operands leaves them.
`default_nettype none
module cst_state_lane (
  input  wire logic        upserts_i,    // else the word stays
  input  wire logic        expired_i,    // what is old does not count, of upserts
  input  wire logic [1:0]  keeps_i,      // it stays: 1 if it is the least, 2 the most, 3 always;
                                         // of two doubles below zero the other way round
  input  wire logic        sums_i,       // it is added to, or its bits are (joins_i)
  input  wire logic        joins_i,
  input  wire logic        double_i,
  input  wire logic        signed_i,
  input  wire logic        bounded_i,    // the sum may leave its range
  input  wire logic        half_i,       // of a decimal128: less_i says which is less,
  input  wire logic        upper_i,      // of an upper one carry_i what the lower half carries
  input  wire logic        less_i,
  input  wire logic        carry_i,
  input  wire logic        wrong_i,      // of a lower one: the decimal comes with too many digits,
  input  wire logic        was_i,        // had them already, and is the least or the most
  input  wire logic [63:0] old_i,
  input  wire logic [63:0] operand_i,
  input  wire logic [63:0] double_sum_i, // old_i + operand_i, of doubles (cst_f64_add)
  input  wire logic        back_i,       // the word is asked for again at once:
  input  wire logic [63:0] other_i,      // if not, what is asked for
  output      logic [63:0] next_o,
  output      logic [63:0] back_o,       // next_o or other_i
  output      logic        carry_o,
  output      logic        wrong_o
);
  logic [63:0] sum, sum_next, added;
  logic less, keeps, adds, overflows;

  // Bits that are joined carry nothing. With and without the carry side by side: a - ~b is a + b
  // and one more in one chain. What a sum carries out is a comparison, a chain of a third.
  assign sum = old_i + (operand_i & ~(old_i & {64{joins_i}}));
  assign carry_o = ~old_i < operand_i;
  assign sum_next = old_i - ~operand_i;
  assign added = double_i ? double_sum_i : (upper_i && carry_i) ? sum_next : sum;

  // NaN is on top. Which of two that are equal stays is of no matter: one comparison does for both
  // ways.
  assign less = {half_i, operand_i[63] ^ (signed_i || double_i), operand_i[62:0]} <
                {1'b0, old_i[63] ^ (signed_i || double_i), old_i[62:0]};

  assign keeps = !upserts_i ||
                   (!expired_i && ((less || less_i) ? keeps_i[1] : keeps_i[0]));
  assign adds = sums_i && !expired_i;
  assign overflows = bounded_i && (signed_i ? old_i[63] == operand_i[63] && sum[63] != old_i[63]
                                            : carry_o);
  assign wrong_o = wrong_i || (adds && overflows) || (keeps && was_i);
  assign next_o = keeps ? old_i : adds ? added : operand_i;
  assign back_o = !back_i ? other_i : keeps ? old_i : adds ? added : operand_i;
endmodule
`default_nettype wire
