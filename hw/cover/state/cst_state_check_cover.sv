// cst_state_check_cover: what the entries that are read turn out to be.
`default_nettype none
module cst_state_check_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic        b_valid_q,
  input wire logic        b_none_q,
  input wire logic        same,
  input wire logic [31:0] b_left_q,
  input wire logic        entry_valid_i,
  input wire logic        none_valid_i,
  input wire logic        known_valid_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      the_key: cover (known_valid_o && same);
      absent_without_a_read: cover (known_valid_o && b_none_q);
      false_candidate_and_no_other: cover (known_valid_o && !b_none_q && !same);
      false_candidate_and_others: cover (b_valid_q && !b_none_q && !same && b_left_q != '0);
      entry_beside_none: cover (entry_valid_i && none_valid_i);
    end
    reset_with_one: cover (resets && b_valid_q);
  end
endmodule
bind cst_state_check cst_state_check_cover u_cover (.*);
`default_nettype wire
