// cst_skid_cover: both registers full, and a reset then.
`default_nettype none
module cst_skid_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic in_valid_i,
  input wire logic in_ready_o,
  input wire logic out_valid_o,
  input wire logic out_ready_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    passes: cover (rst_ni && in_valid_i && in_ready_o && out_valid_o && out_ready_i);
    both_full: cover (rst_ni && out_valid_o && !in_ready_o);
    both_full_and_more_offered: cover (rst_ni && in_valid_i && out_valid_o && !in_ready_o);
    reset_while_empty: cover (resets && !out_valid_o);
    reset_with_one_full: cover (resets && out_valid_o && in_ready_o);
    reset_with_both_full: cover (resets && out_valid_o && !in_ready_o);
  end
endmodule
bind cst_skid cst_skid_cover u_cover (.*);
`default_nettype wire
