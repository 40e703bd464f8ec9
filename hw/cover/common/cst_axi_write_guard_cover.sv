// cst_axi_write_guard_cover: answers, pages, silence, and what a stop or reset finds.
`default_nettype none
module cst_axi_write_guard_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       stop_i,
  input wire logic       answered,
  input wire logic [1:0] b_resp_i,
  input wire logic       below,
  input wire logic       above,
  input wire logic       at_first_page,
  input wire logic       at_last_page,
  input wire logic       in_valid_i,
  input wire logic       take,
  input wire logic       owed_full,
  input wire logic       owes_answers,
  input wire logic       aw_valid_q,
  input wire logic       aw_ready_i,
  input wire logic       w_valid_q,
  input wire logic       w_ready_i,
  input wire logic       lens_valid,
  input wire logic       lens_full,
  input wire logic       load,
  input wire logic       midway,         // a burst's beats have begun
  input wire logic       beat_valid_i,
  input wire logic       quiet_o,
  input wire logic       silent_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      answer_okay: cover (answered && !stop_i && b_resp_i == 2'd0);
      answer_exokay: cover (answered && !stop_i && b_resp_i == 2'd1);
      answer_slverr: cover (answered && !stop_i && b_resp_i == 2'd2);
      answer_decerr: cover (answered && !stop_i && b_resp_i == 2'd3);
      answer_while_stopped: cover (answered && stop_i && b_resp_i == 2'd0);
      error_while_stopped: cover (answered && stop_i && b_resp_i != 2'd0);
      below_the_pages: cover (in_valid_i && below && !stop_i);
      behind_the_pages: cover (in_valid_i && above && !stop_i);
      first_page: cover (take && at_first_page);
      last_page: cover (take && at_last_page);
      as_many_out_as_may_be: cover (in_valid_i && owed_full);
      addresses_far_ahead_of_beats: cover (in_valid_i && lens_full);
      beat_waits_for_its_address: cover (beat_valid_i && !lens_valid);
      beat_waits_for_memory: cover (w_valid_q && !w_ready_i);
      stop_while_an_address_waits: cover (stop_i && aw_valid_q && !aw_ready_i);
      stop_within_a_burst: cover (stop_i && midway);
      burst_finished_with_nothing: cover (stop_i && load && !beat_valid_i);
      stop_while_memory_owes: cover (stop_i && owes_answers);
      stop_while_quiet: cover (stop_i && quiet_o);
      silence_with_an_address: cover (silent_o && aw_valid_q);
      silence_with_a_beat: cover (silent_o && w_valid_q);
      silence_with_answers_owed: cover (silent_o && !aw_valid_q && !w_valid_q);
    end
    reset_while_quiet: cover (resets && quiet_o);
    reset_with_an_address: cover (resets && aw_valid_q);
    reset_with_a_beat: cover (resets && w_valid_q);
    reset_within_a_burst: cover (resets && midway);
    reset_while_memory_owes: cover (resets && owes_answers && !aw_valid_q && !w_valid_q);
  end
endmodule
bind cst_axi_write_guard cst_axi_write_guard_cover u_cover (
  .below(in_address_i[AddressBits-1:12] < first_page_i),
  .above({1'b0, in_address_i[AddressBits-1:12]} >= end_page_i),
  .at_first_page(in_address_i[AddressBits-1:12] == first_page_i),
  .at_last_page({1'b0, in_address_i[AddressBits-1:12]} + 1'b1 == end_page_i),
  .owed_full(&owed_q), .owes_answers(owed_q != '0), .lens_full(lens_fill > 3'd2),
  .midway(beat_q != '0), .*
);
`default_nettype wire
