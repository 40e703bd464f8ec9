// cst_kernel_results_cover: results in each of their forms, and a reset within one.
`default_nettype none
module cst_kernel_results_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire cst_kernel_pkg::what_t what_i,
  input wire logic first_beat,
  input wire logic second_beat,
  input wire logic data_ready_i,
  input wire logic key_taken_i,
  input wire logic key_held,
  input wire logic key_half_q,
  input wire logic key_last_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    row_of_one_beat: cover (rst_ni && what_i.is_scan && first_beat && !what_i.two_beats);
    row_of_two_beats: cover (rst_ni && what_i.is_scan && second_beat);
    two_keys_in_a_beat: cover (rst_ni && key_taken_i && what_i.compact && key_half_q);
    last_key_alone_in_a_beat: cover (rst_ni && key_taken_i && what_i.compact && !key_held &&
                                     !key_half_q && key_last_i);
    first_beat_waits: cover (rst_ni && first_beat && !data_ready_i);
    second_beat_waits: cover (rst_ni && second_beat && !data_ready_i);
    reset_in_the_first_beat: cover (resets && first_beat);
    reset_in_the_second_beat: cover (resets && second_beat);
  end
endmodule
bind cst_kernel_results cst_kernel_results_cover u_cover (
  .first_beat(result_q == FirstBeat), .second_beat(result_q == SecondBeat), .*
);
`default_nettype wire
