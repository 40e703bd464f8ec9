// cst_f64_add_cover: sums of each kind of number, and resets with sums under way.
`default_nettype none
module cst_f64_add_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic        in_valid_i,
  input wire logic [63:0] a_i,
  input wire logic [63:0] b_i,
  input wire logic        out_valid_o,
  input wire logic [63:0] sum_o
);
  logic a_nan, b_nan, a_infinite, b_infinite, a_zero, b_zero, a_tiny, b_tiny;
  assign a_nan = a_i[62:52] == '1 && a_i[51:0] != '0;
  assign b_nan = b_i[62:52] == '1 && b_i[51:0] != '0;
  assign a_infinite = a_i[62:0] == {11'h7ff, 52'h0};
  assign b_infinite = b_i[62:0] == {11'h7ff, 52'h0};
  assign a_zero = a_i[62:0] == '0;
  assign b_zero = b_i[62:0] == '0;
  assign a_tiny = a_i[62:52] == '0 && !a_zero;
  assign b_tiny = b_i[62:52] == '0 && !b_zero;
  always_ff @(posedge clk_i) if (rst_ni) begin
    if (in_valid_i) begin
      nan: cover (a_nan || b_nan);
      infinite: cover (a_infinite && !b_infinite && !b_nan);
      infinities_of_one_sign: cover (a_infinite && b_infinite && a_i[63] == b_i[63]);
      infinities_of_both_signs: cover (a_infinite && b_infinite && a_i[63] != b_i[63]);
      zeros_of_one_sign: cover (a_zero && b_zero && a_i[63] == b_i[63]);
      zeros_of_both_signs: cover (a_zero && b_zero && a_i[63] != b_i[63]);
      zero_and_a_number: cover (a_zero != b_zero);
      subnormal_and_subnormal: cover (a_tiny && b_tiny);
      subnormal_and_normal: cover (a_tiny != b_tiny);
      each_other_s_negative: cover (a_i[62:0] == b_i[62:0] && a_i[63] != b_i[63] && !a_zero &&
                                    !a_nan && !a_infinite);
      exponents_far_apart: cover (a_i[62:52] > b_i[62:52] + 11'd60 && !b_zero && a_i[62:52] != '1);
    end
    if (out_valid_o) begin
      sum_overflows: cover (sum_o[62:0] == {11'h7ff, 52'h0});
      sum_is_subnormal: cover (sum_o[62:52] == '0 && sum_o[51:0] != '0);
      sum_is_zero: cover (sum_o == '0);
    end
  end
endmodule
bind cst_f64_add cst_f64_add_cover u_cover (.*);
`default_nettype wire
