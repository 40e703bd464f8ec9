// cst_state_match_cover: how many candidates a key has and where, and what it waits for.
`default_nettype none
module cst_state_match_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic        a_valid_q,
  input wire logic        b_valid_q,
  input wire logic        c_valid_q,
  input wire logic        d_valid_q,
  input wire logic        b_go,
  input wire logic        c_moves,
  input wire logic        again_valid,
  input wire logic [1:0]  line_present_i,
  input wire logic [15:0] matches_first,
  input wire logic [15:0] matches_second,
  input wire logic [15:0] second_unfiltered,
  input wire logic        overflowed,
  input wire logic        read_valid_o,
  input wire logic        read_ready_i,
  input wire logic        none_valid_o,
  input wire logic        none_ready_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      waits_for_its_even_line: cover (a_valid_q && line_present_i == 2'b10);
      waits_for_its_odd_line: cover (a_valid_q && line_present_i == 2'b01);
      waits_for_both_lines: cover (a_valid_q && line_present_i == 2'b00);
      waits_for_one_sent_back: cover (b_valid_q && c_moves && again_valid);
      waits_for_a_read: cover (read_valid_o && !read_ready_i);
      waits_for_check: cover (none_valid_o && !none_ready_i);
      no_candidate: cover (b_go && matches_first == '0 && matches_second == '0);
      one_in_its_first_bucket: cover (b_go && matches_first != '0 && matches_second == '0);
      one_in_its_second_bucket: cover (b_go && matches_first == '0 && matches_second != '0);
      in_both_buckets: cover (b_go && matches_first != '0 && matches_second != '0);
      several_in_a_bucket: cover (b_go && (matches_first & (matches_first - 1'b1)) != '0);
      overflowed_and_not_there: cover (b_go && overflowed && second_unfiltered == '0);
      filtered: cover (b_go && !overflowed && second_unfiltered != '0);
    end else if (resets) begin
      reset_with_a: cover (a_valid_q);
      reset_with_b: cover (b_valid_q);
      reset_with_c: cover (c_valid_q);
      reset_with_d: cover (d_valid_q);
    end
  end
endmodule
bind cst_state_match cst_state_match_cover u_cover (
  .second_unfiltered(b_first_odd_q ? even_match : odd_match), .*
);
`default_nettype wire
