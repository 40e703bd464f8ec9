// cst_f64_add: sums of doubles (IEEE 754, binary64), rounded to nearest, ties to even.
// Promises   one a clock, 6 clocks later; subnormals count like all others. Sums are canonical, as
//            docs/formats.md has doubles: every NaN is 0x7ff8000000000000, every zero +0.0.
//            No back-pressure: out_valid_o is there for one clock.
// Cost       602 flip-flops and 1,234 LUTs as yosys maps it for UltraScale+; a stage is a carry
//            chain of up to 63 bits, or up to five LUTs behind each other.
//
//   stage   knows                        decides
//   s1      both                         the larger; beside it, how far apart; NaN, infinity
//   s2      how far                      the smaller one's bits in place; what falls off is one bit
//   s3      both in their place          sum or difference; how far up its exponent lets it go
//   s4      the sum                      how far up it goes
//   s5      how far                      leading one on top, or a subnormal; the exponent
//   s6      the bits below the last one  rounded: a carry runs into the exponent, and to infinity
//
// A sum has 57 bits: the carry, 53 of a double, three below. Two numbers further apart than one
// place lose at most one leading bit, so that three are enough; nearer ones lose nothing below.
`default_nettype none
module cst_f64_add (
  input  wire logic        clk_i,
  input  wire logic        rst_ni,
  input  wire logic        in_valid_i,
  input  wire logic [63:0] a_i,
  input  wire logic [63:0] b_i,
  output      logic        out_valid_o,
  output      logic [63:0] sum_o
);
  localparam logic [63:0] Nan = 64'h7ff8000000000000;

  // A subnormal has the exponent of the smallest normal number, and no leading one.
  function automatic logic [10:0] exponent_of(input logic [10:0] field);
    exponent_of = (field == '0) ? 11'd1 : field;
  endfunction

  // Shifted down; the lowest bit says whether any one fell off, which is seen by its place alone.
  function automatic logic [55:0] align(input logic [52:0] bits, input logic [10:0] distance);
    logic far, lost;
    logic [52:0] falls;
    logic [54:0] moved;
    far = distance[10:6] != '0;
    for (integer i = 0; i < 53; i = i + 1) falls[i] = far || distance[5:0] > 6'(i + 2);
    lost = (bits & falls) != '0;
    // By two bits of the distance at a time: a LUT each.
    moved = far ? 55'd0 : {bits, 2'b0};
    moved = moved >> {distance[1:0]};
    moved = moved >> {distance[3:2], 2'b0};
    moved = moved >> {distance[5:4], 4'b0};
    align = {moved, lost};
  endfunction

  // Where the exponent ends: a leading one further down stays there, as a subnormal's.
  function automatic logic [56:0] mark(input logic [10:0] exponent);
    mark = (exponent <= 11'd56) ? 57'd1 << (6'd56 - exponent[5:0]) : '0;
  endfunction

  // By eights: which of them is the first with a one, and where that stands in it.
  function automatic logic [5:0] zeros_above(input logic [56:0] bits);
    logic [63:0] ended;
    logic [2:0] place;
    ended = {bits, 1'b1, 6'b0};
    zeros_above = '0;
    for (integer g = 7; g >= 0; g = g - 1) begin
      place = '0;
      for (integer i = 7; i >= 0; i = i - 1) if (ended[63-8*g-i]) place = 3'(i);
      if (ended[63-8*g -: 8] != '0) zeros_above = {3'(g), place};
    end
  endfunction

  // ---- s1 ---------------------------------------------------------------------------------------
  logic s1_valid_q, s1_sign_q, s1_minus_q, s1_nan_q, s1_infinite_q;
  logic [10:0] s1_exponent_q, s1_distance_q, a_exponent, b_exponent;
  logic [52:0] s1_larger_q, s1_smaller_q, a_bits, b_bits;
  logic swap, a_top, b_top;

  assign swap = b_i[62:0] > a_i[62:0];
  assign a_exponent = exponent_of(a_i[62:52]);
  assign b_exponent = exponent_of(b_i[62:52]);
  assign a_bits = {a_i[62:52] != '0, a_i[51:0]};
  assign b_bits = {b_i[62:52] != '0, b_i[51:0]};
  assign a_top = a_i[62:52] == '1;
  assign b_top = b_i[62:52] == '1;

  always_ff @(posedge clk_i) begin
    if (in_valid_i) begin
      s1_sign_q <= swap ? b_i[63] : a_i[63];
      s1_minus_q <= a_i[63] != b_i[63];
      s1_exponent_q <= swap ? b_exponent : a_exponent;
      s1_distance_q <= swap ? b_exponent - a_exponent : a_exponent - b_exponent;
      s1_larger_q <= swap ? b_bits : a_bits;
      s1_smaller_q <= swap ? a_bits : b_bits;
      s1_infinite_q <= a_top || b_top;
      s1_nan_q <= (a_top && a_i[51:0] != '0) || (b_top && b_i[51:0] != '0) ||
                  (a_top && b_top && a_i[63] != b_i[63]);
    end
  end

  // ---- s2 ---------------------------------------------------------------------------------------
  logic s2_valid_q, s2_sign_q, s2_minus_q, s2_nan_q, s2_infinite_q;
  logic [10:0] s2_exponent_q;
  logic [52:0] s2_larger_q;
  logic [55:0] s2_smaller_q;

  always_ff @(posedge clk_i) begin
    if (s1_valid_q) begin
      s2_sign_q <= s1_sign_q;
      s2_minus_q <= s1_minus_q;
      s2_nan_q <= s1_nan_q;
      s2_infinite_q <= s1_infinite_q;
      s2_exponent_q <= s1_exponent_q;
      s2_larger_q <= s1_larger_q;
      s2_smaller_q <= align(s1_smaller_q, s1_distance_q);
    end
  end

  // ---- s3 ---------------------------------------------------------------------------------------
  logic s3_valid_q, s3_sign_q, s3_nan_q, s3_infinite_q;
  logic [10:0] s3_exponent_q;
  logic [56:0] s3_sum_q, s3_marked_q, sum;
  logic unused_bit;

  // One chain for both: a difference is the sum with the complement, and one carried in from below.
  assign {sum, unused_bit} = {1'b0, s2_larger_q, 3'b0, s2_minus_q} +
                             {{1'b0, s2_smaller_q} ^ {57{s2_minus_q}}, s2_minus_q};

  always_ff @(posedge clk_i) begin
    if (s2_valid_q) begin
      s3_sign_q <= s2_sign_q;
      s3_nan_q <= s2_nan_q;
      s3_infinite_q <= s2_infinite_q;
      s3_exponent_q <= s2_exponent_q;
      s3_sum_q <= sum;
      s3_marked_q <= sum | mark(s2_exponent_q);
    end
  end

  // ---- s4 ---------------------------------------------------------------------------------------
  logic s4_valid_q, s4_sign_q, s4_nan_q, s4_infinite_q;
  logic [10:0] s4_exponent_q;
  logic [56:0] s4_sum_q;
  logic [5:0] s4_up_q;

  always_ff @(posedge clk_i) begin
    if (s3_valid_q) begin
      s4_sign_q <= s3_sign_q && s3_sum_q != '0;
      s4_nan_q <= s3_nan_q;
      s4_infinite_q <= s3_infinite_q;
      s4_exponent_q <= s3_exponent_q;
      s4_sum_q <= s3_sum_q;
      s4_up_q <= zeros_above(s3_marked_q);
    end
  end

  // ---- s5 ---------------------------------------------------------------------------------------
  logic s5_valid_q, s5_sign_q, s5_nan_q, s5_infinite_q;
  logic [10:0] s5_field_q;
  logic [56:0] s5_sum_q;

  always_ff @(posedge clk_i) begin
    if (s4_valid_q) begin
      s5_sign_q <= s4_sign_q;
      s5_nan_q <= s4_nan_q;
      s5_infinite_q <= s4_infinite_q;
      s5_field_q <= s4_exponent_q + 11'd1 - 11'(s4_up_q);
      s5_sum_q <= s4_sum_q << s4_up_q;
    end
  end

  // ---- s6 ---------------------------------------------------------------------------------------
  logic s6_valid_q, up;
  logic [63:0] s6_sum_q;
  logic [62:0] rounded;
  logic [10:0] field;

`ifdef CST_RTL_MISTAKE_TIE
  // Planted: what the test is worth.
  assign up = s5_sum_q[3:0] >= 4'd8;
`else
  assign up = s5_sum_q[3] && (s5_sum_q[4] || s5_sum_q[2:0] != '0);
`endif
  // Without a leading one on top it is a subnormal, or zero.
  assign field = s5_sum_q[56] ? s5_field_q : '0;
  assign rounded = {field, s5_sum_q[55:4]} + 63'(up);

  always_ff @(posedge clk_i) begin
    if (s5_valid_q) begin
      s6_sum_q <= {s5_sign_q, rounded};
      if (s5_infinite_q || field == '1) s6_sum_q <= {s5_sign_q, 11'h7ff, 52'b0};
      if (s5_nan_q) s6_sum_q <= Nan;
    end
  end
  assign out_valid_o = s6_valid_q;
  assign sum_o = s6_sum_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {s1_valid_q, s2_valid_q, s3_valid_q, s4_valid_q, s5_valid_q, s6_valid_q} <= '0;
    end else begin
      {s1_valid_q, s2_valid_q, s3_valid_q, s4_valid_q, s5_valid_q, s6_valid_q} <=
          {in_valid_i, s1_valid_q, s2_valid_q, s3_valid_q, s4_valid_q, s5_valid_q};
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni) begin
    larger_on_top: assert (!s2_valid_q || !s2_minus_q || {s2_larger_q, 3'b0} >= s2_smaller_q);
    // A sum's leading one is lost by no shift, and a zero is of no sign.
    up_fits: assert (!s4_valid_q || s4_sum_q >> (6'd57 - s4_up_q) == '0);
    zero_is_plus: assert (!s5_valid_q || s5_sum_q != '0 || !s5_sign_q || s5_infinite_q);
  end
`endif
endmodule
`default_nettype wire
