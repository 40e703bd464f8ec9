// cst_state_lane: what one operation makes of one 64-bit word of a value.
// Promises   docs/formats.md, New value, for counts and for sum, min, max and last of u64, i64 and
//            f64; combinational, one carry chain. wrong_o: the word leaves its range; next_o then
//            says nothing. first_o: the word in a row that begins with this operation. Halves of a
//            decimal128 (cst_state_decimal): supported_o is low.
// Needs      a double's and a count's operand as cst_state_operands leaves it.
`default_nettype none
module cst_state_lane (
  input  wire logic [2:0]  op_i,         // cst_pkg::accumulate_e, 0: the word is no accumulator's
  input  wire logic [2:0]  number_i,     // cst_pkg::number_e
  input  wire logic        has_source_i,
  input  wire logic        null_i,
  input  wire logic        seen_i,       // the accumulator has a value already
  input  wire logic [63:0] old_i,
  input  wire logic [63:0] operand_i,
  input  wire logic [63:0] double_sum_i, // old_i + operand_i, of doubles (cst_f64_add)
  output      logic [63:0] next_o,
  output      logic [63:0] first_o,
  output      logic        wrong_o,
  output      logic        sees_o,       // it has one now
  output      logic        supported_o
);
  logic is_count, is_double, is_signed, skips, adds, bounded, overflows;
  logic below, unlike, less, keeps;
  logic [63:0] sum;
  logic carry;

  assign is_count = op_i == cst_pkg::AccCount;
  assign is_double = number_i == cst_pkg::NumberF64;
  assign is_signed = number_i == cst_pkg::NumberI64;
  assign skips = op_i == 3'd0 ||
                 (has_source_i && null_i && !cst_mistake_pkg::planted(cst_mistake_pkg::Null));
  assign adds = seen_i && (is_count || op_i == cst_pkg::AccSum);

  assign {carry, sum} = {1'b0, old_i} + {1'b0, operand_i};
  assign bounded = !skips && adds && !is_double;
  assign overflows = is_signed ? old_i[63] == operand_i[63] && sum[63] != operand_i[63] : carry;

  // By sign where signs differ. Doubles below zero go the other way round; NaN is on top. Which of
  // two that are equal stays is of no matter: one comparison does for both ways.
  assign below = operand_i[62:0] < old_i[62:0];
  assign unlike = operand_i[63] != old_i[63];
  assign less = unlike ? operand_i[63] == (is_signed || is_double)
                       : below != (is_double && old_i[63]);
  assign keeps = seen_i && ((op_i == cst_pkg::AccMin && !less) ||
                            (op_i == cst_pkg::AccMax && less));

  always_comb begin
    next_o = operand_i;
    if (adds) next_o = is_double ? double_sum_i : sum;
    if (skips || keeps) next_o = old_i;
  end
  assign wrong_o = bounded && overflows;

  assign first_o = skips ? '0 : operand_i;
  assign sees_o = !skips;
  assign supported_o = op_i == 3'd0 || is_count || number_i == cst_pkg::NumberU64 || is_signed ||
                       is_double;
endmodule
`default_nettype wire
