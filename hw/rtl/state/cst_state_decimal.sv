// cst_state_decimal: what one operation makes of a decimal128, two words of a value.
// Promises   docs/formats.md, New value, for sum, min, max and last of decimal128; combinational, a
//            carry chain of 130 bits. wrong_o: the source, or what the value would be, has more
//            than 38 digits; next_o then says nothing.
// Cost       eight chains of 128 to 130 bits, side by side; none of them waits for another.
`default_nettype none
module cst_state_decimal (
  input  wire logic         valid_i,    // it is one, and has a source; else it stays as it is
  input  wire logic [2:0]   op_i,       // cst_pkg::accumulate_e
  input  wire logic         seen_i,     // the accumulator has a value already
  input  wire logic [127:0] old_i,
  input  wire logic [127:0] source_i,
  output      logic [127:0] next_o,
  output      logic         wrong_o
);
  localparam logic [127:0] Bound = 128'h4b3b4ca85a86c47a098a224000000000;  // 10^38

  function automatic logic in_range(input logic [127:0] units);
    in_range = $signed(units) < $signed(Bound) && $signed(units) > -$signed(Bound);
  endfunction

  // Of both and the bound at once: the sum need not be there first.
  function automatic logic sum_in_range(input logic [127:0] a, input logic [127:0] b);
    logic [129:0] first, second, bound;
    first = {{2{a[127]}}, a};
    second = {{2{b[127]}}, b};
    bound = {2'b0, Bound};
    sum_in_range = $signed(first + second - bound) < 130'sd0 &&
                   $signed(first + second + bound) > 130'sd0;
  endfunction

  always_comb begin
    next_o = old_i;
    wrong_o = 1'b0;
    if (valid_i) begin
      next_o = source_i;
      wrong_o = !in_range(source_i);
      if (seen_i && op_i == cst_pkg::AccSum) begin
        next_o = old_i + source_i;
        wrong_o = !in_range(source_i) || !sum_in_range(old_i, source_i);
      end
      if (seen_i && ((op_i == cst_pkg::AccMin && $signed(source_i) >= $signed(old_i)) ||
                     (op_i == cst_pkg::AccMax && $signed(source_i) <= $signed(old_i)))) begin
        next_o = old_i;
        wrong_o = !in_range(source_i) || !in_range(old_i);
      end
    end
  end
endmodule
`default_nettype wire
