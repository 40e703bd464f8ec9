// cst_state_lane: what one operation makes of one 64-bit word of a value.
// Promises   docs/formats.md, New value, for counts and for sum, min, max and last of u64, i64 and
//            f64; combinational, one carry chain. wrong_o: the word leaves its range; next_o then
//            says nothing. Halves of a decimal128 (cst_state_decimal): supported_o is low.
`default_nettype none
module cst_state_lane (
  input  wire logic [2:0]  op_i,         // cst_pkg::accumulate_e, 0: the word is no accumulator's
  input  wire logic [2:0]  number_i,     // cst_pkg::number_e
  input  wire logic        has_source_i,
  input  wire logic        null_i,
  input  wire logic        seen_i,       // the accumulator has a value already
  input  wire logic [63:0] old_i,        // zero in a fresh row
  input  wire logic [63:0] operand_i,
  input  wire logic [63:0] double_sum_i, // old_i + operand_i, of doubles (cst_f64_add)
  output      logic [63:0] next_o,
  output      logic        wrong_o,
  output      logic        sees_o,       // it has one now
  output      logic        supported_o
);
  localparam logic [63:0] Nan = 64'h7ff8000000000000;

  logic is_count, is_double, is_signed, skips, less, fits;
  logic [63:0] source, canonical, a, b, sum;
  logic carry;

  assign is_count = op_i == cst_pkg::AccCount;
  assign is_double = number_i == cst_pkg::NumberF64;
  assign is_signed = number_i == cst_pkg::NumberI64;
  assign skips = op_i == 3'd0 ||
                 (has_source_i && null_i && !cst_mistake_pkg::planted(cst_mistake_pkg::Null));

  // One zero, one NaN.
  always_comb begin
    canonical = operand_i;
    if (operand_i[62:52] == '1 && operand_i[51:0] != '0) canonical = Nan;
    if (operand_i[62:0] == '0) canonical = '0;
  end
  assign source = is_count ? 64'd1 : is_double ? canonical : operand_i;

  // Order as of unsigned numbers; canonical doubles keep theirs, NaN on top.
  always_comb begin
    a = old_i;
    b = source;
    if (is_signed) begin
      a[63] = !old_i[63];
      b[63] = !source[63];
    end
    if (is_double) begin
      a = old_i[63] ? ~old_i : {1'b1, old_i[62:0]};
      b = source[63] ? ~source : {1'b1, source[62:0]};
    end
  end
  assign less = b < a;
  assign {carry, sum} = {1'b0, old_i} + {1'b0, source};
  assign fits = is_signed ? (old_i[63] != source[63] || sum[63] == source[63]) : !carry;

  always_comb begin
    next_o = source;
    wrong_o = 1'b0;
    if (skips) begin
      next_o = old_i;
    end else if (seen_i) begin
      if (is_count || op_i == cst_pkg::AccSum) begin
        next_o = is_double ? double_sum_i : sum;
        wrong_o = !is_double && !fits;
      end
      if (op_i == cst_pkg::AccMin && !less) next_o = old_i;
      if (op_i == cst_pkg::AccMax && (less || a == b)) next_o = old_i;
    end
  end

  assign sees_o = !skips;
  assign supported_o = op_i == 3'd0 || is_count || number_i == cst_pkg::NumberU64 || is_signed ||
                       is_double;
endmodule
`default_nettype wire
