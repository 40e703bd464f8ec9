// cst_axi_read_guard_cover: answers, pages, silence, and what a stop or reset finds.
`default_nettype none
module cst_axi_read_guard_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       stop_i,
  input wire logic       beat,
  input wire logic [1:0] r_resp_i,
  input wire logic       below,
  input wire logic       above,
  input wire logic       at_first_page,
  input wire logic       at_last_page,
  input wire logic       in_valid_i,
  input wire logic       take,
  input wire logic       owed_full,
  input wire logic       owes,
  input wire logic       valid_q,
  input wire logic       ar_ready_i,
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
      answer_okay: cover (beat && !stop_i && r_resp_i == 2'd0);
      answer_exokay: cover (beat && !stop_i && r_resp_i == 2'd1);
      answer_slverr: cover (beat && !stop_i && r_resp_i == 2'd2);
      answer_decerr: cover (beat && !stop_i && r_resp_i == 2'd3);
      answer_while_stopped: cover (beat && stop_i && r_resp_i == 2'd0);
      error_while_stopped: cover (beat && stop_i && r_resp_i != 2'd0);
      below_the_pages: cover (in_valid_i && below && !stop_i);
      behind_the_pages: cover (in_valid_i && above && !stop_i);
      first_page: cover (take && at_first_page);
      last_page: cover (take && at_last_page);
      as_many_out_as_may_be: cover (in_valid_i && owed_full);
      stop_while_an_address_waits: cover (stop_i && valid_q && !ar_ready_i);
      stop_while_memory_owes: cover (stop_i && owes);
      stop_while_quiet: cover (stop_i && quiet_o);
      asked_while_stopped: cover (stop_i && in_valid_i);
      silence_with_an_address: cover (silent_o && valid_q);
      silence_with_beats_owed: cover (silent_o && !valid_q);
    end
    reset_while_quiet: cover (resets && quiet_o);
    reset_with_an_address: cover (resets && valid_q);
    reset_while_memory_owes: cover (resets && owes && !valid_q);
  end
endmodule
bind cst_axi_read_guard cst_axi_read_guard_cover u_cover (
  .below(in_address_i[AddressBits-1:12] < first_page_i),
  .above({1'b0, in_address_i[AddressBits-1:12]} >= end_page_i),
  .at_first_page(in_address_i[AddressBits-1:12] == first_page_i),
  .at_last_page({1'b0, in_address_i[AddressBits-1:12]} + 1'b1 == end_page_i),
  .owed_full(&owed_q), .owes(owed_q != '0), .*
);
`default_nettype wire
