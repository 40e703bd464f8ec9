// cst_state_decimal: what one operation makes of a decimal128, two words of a value.
// Promises   docs/formats.md, New value, for sum, min, max and last of decimal128; combinational.
//            wrong_o: the source, or what the value would be, has more than 38 digits; next_o then
//            says nothing. source_wrong_o: the source has.
// Cost       chains of 64 to 66 bits, side by side: an upper half is there with and without a carry
//            before it is known whether the lower one has one.
`default_nettype none
module cst_state_decimal (
  input  wire logic         valid_i,    // it is one, and has a source; else it stays as it is
  input  wire logic [2:0]   op_i,       // cst_pkg::accumulate_e
  input  wire logic         seen_i,     // the accumulator has a value already
  input  wire logic [127:0] old_i,
  input  wire logic [127:0] source_i,
  output      logic [127:0] next_o,
  output      logic         wrong_o,
  output      logic         source_wrong_o
);
  localparam logic [127:0] Bound = 128'h4b3b4ca85a86c47a098a224000000000;  // 10^38
  localparam logic [127:0] Least = -Bound;

  function automatic logic less(input logic [127:0] a, input logic [127:0] b);
    less = $signed(a[127:64]) < $signed(b[127:64]) ||
           (a[127:64] == b[127:64] && a[63:0] < b[63:0]);
  endfunction

  function automatic logic in_range(input logic [127:0] units);
    in_range = less(units, Bound) && less(Least, units);
  endfunction

  // a - ~b is a + b and a carry, which is one chain. Chosen bit by bit: of a condition's two sums
  // tools make one that waits for the condition.
  function automatic logic [129:0] sum(input logic [129:0] a, input logic [129:0] b);
    logic [64:0] low;
    logic [65:0] high, next;
    low = {1'b0, a[63:0]} + {1'b0, b[63:0]};
    high = a[129:64] + b[129:64];
    next = a[129:64] - ~b[129:64];
    sum = {high ^ ((high ^ next) & {66{low[64]}}), low[63:0]};
  endfunction

  // Of three at once: the sum of two need not be there first.
  function automatic logic [129:0] sum3(input logic [129:0] a, input logic [129:0] b,
                                        input logic [129:0] c);
    sum3 = sum(a ^ b ^ c, ((a & b) | (a & c) | (b & c)) << 1);
  endfunction

  // Within conditions, so that a simulator does it for decimals alone.
  logic [129:0] old, source, total, over, under;
  always_comb begin
    old = {{2{old_i[127]}}, old_i};
    source = {{2{source_i[127]}}, source_i};
    total = '0;
    over = '0;
    under = '0;
    next_o = old_i;
    wrong_o = 1'b0;
    source_wrong_o = 1'b0;
    if (valid_i) begin
      next_o = source_i;
      source_wrong_o = !in_range(source_i);
      wrong_o = source_wrong_o;
      if (seen_i && op_i == cst_pkg::AccSum) begin
        total = sum(old, source);
        over = sum3(old, source, {2'b11, Least});             // below zero if it is in range
        under = sum3(old, source, {2'b00, Bound} - 130'd1);   // not below zero, likewise
        next_o = total[127:0];
        wrong_o = source_wrong_o || !over[129] || under[129];
      end
      if (seen_i && ((op_i == cst_pkg::AccMin && !less(source_i, old_i)) ||
                     (op_i == cst_pkg::AccMax && !less(old_i, source_i)))) begin
        next_o = old_i;
        wrong_o = source_wrong_o || !in_range(old_i);
      end
    end
  end

  logic unused_bits;
  assign unused_bits = ^{total, over, under};
endmodule
`default_nettype wire
