// cst_axil_control_cover: orders of address and data, what meets what, and what a reset finds.
`default_nettype none
module cst_axil_control_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       aw_full_q,
  input wire logic       w_full_q,
  input wire logic       b_valid_q,
  input wire logic       r_valid_q,
  input wire logic       s_awvalid_i,
  input wire logic       s_wvalid_i,
  input wire logic       s_bready_i,
  input wire logic       s_rready_i,
  input wire logic       write,
  input wire logic       low,
  input wire logic       read_take,
  input wire logic [9:0] aw_word_q,
  input wire logic [9:0] ar_word,
  input wire logic       gap_written,
  input wire logic       gap_read,
  input wire logic       status_read,
  input wire logic       argument_written,
  input wire logic       argument_read,
  input wire logic       part_written,   // some of a word's bytes
  input wire logic [31:0] w_data_q,
  input wire logic       start_q,
  input wire logic       done_q,
  input wire logic       ready_q,
  input wire logic [1:0] isr_q,
  input wire logic       started,
  input wire logic       finished,
  input wire logic       done_valid_i,
  input wire logic       soft_reset_q,
  input wire logic       interrupt_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  logic ctrl;
  assign ctrl = low && aw_word_q == 10'd0;
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      address_before_data: cover (aw_full_q && !w_full_q && s_wvalid_i);
      data_before_address: cover (w_full_q && !aw_full_q && s_awvalid_i);
      both_at_once: cover (!aw_full_q && !w_full_q && s_awvalid_i && s_wvalid_i);
      write_answer_waits: cover (b_valid_q && !s_bready_i);
      write_behind_a_waiting_answer: cover (b_valid_q && aw_full_q && w_full_q);
      read_answer_waits: cover (r_valid_q && !s_rready_i);
      read_beside_write: cover (write && read_take);
      read_ctrl: cover (read_take && ar_word == 10'd0);
      read_gie: cover (read_take && ar_word == 10'd1);
      read_ier: cover (read_take && ar_word == 10'd2);
      read_isr: cover (read_take && ar_word == 10'd3);
      read_argument: cover (read_take && argument_read);
      read_status: cover (read_take && status_read);
      read_gap: cover (read_take && gap_read);
      write_argument: cover (write && argument_written);
      write_part_of_an_argument: cover (write && argument_written && part_written);
      write_gap: cover (write && gap_written);
      start_taken: cover (started);
      start_while_one_waits: cover (ctrl && w_data_q[0] && start_q);
      start_as_one_is_taken: cover (ctrl && w_data_q[0] && started);
      done_waits_for_continue: cover (done_valid_i && done_q);
      continue_without_done: cover (ctrl && w_data_q[4] && !done_q);
      ready_until_read: cover (ready_q && read_take && ar_word == 10'd0);
      started_as_ctrl_is_read: cover (started && read_take && ar_word == 10'd0);
      isr_written_as_it_finishes: cover (low && aw_word_q == 10'd3 && finished);
      interrupt_of_done: cover (interrupt_o && isr_q[0]);
      interrupt_of_ready: cover (interrupt_o && isr_q[1]);
      soft_reset_while_idle: cover (soft_reset_q && !start_q && !done_q);
      soft_reset_with_a_start: cover (soft_reset_q && start_q);
      soft_reset_with_a_completion: cover (soft_reset_q && done_q);
      soft_reset_with_an_interrupt: cover (soft_reset_q && isr_q != '0);
    end else if (resets) begin
      reset_with_an_address: cover (aw_full_q && !w_full_q);
      reset_with_data: cover (w_full_q && !aw_full_q);
      reset_with_a_write_answer: cover (b_valid_q);
      reset_with_a_read_answer: cover (r_valid_q);
      reset_with_a_start: cover (start_q);
      reset_with_a_completion: cover (done_q);
      reset_with_an_interrupt: cover (isr_q != '0);
    end
  end
endmodule
bind cst_axil_control cst_axil_control_cover u_cover (
  .ar_word(s_araddr_i[11:2]),
  .argument_written(32'(aw_word_q) >= ArgFirst && 32'(aw_word_q) < ArgFirst + ArgWords),
  .argument_read(32'(s_araddr_i[11:2]) >= ArgFirst && 32'(s_araddr_i[11:2]) < ArgFirst + ArgWords),
  .status_read(32'(s_araddr_i[11:2]) >= StatusFirst &&
               32'(s_araddr_i[11:2]) < StatusFirst + StatusWords),
  .gap_read(32'(s_araddr_i[11:2]) >= ArgFirst + ArgWords && 32'(s_araddr_i[11:2]) < StatusFirst),
  .gap_written(32'(aw_word_q) >= ArgFirst + ArgWords && 32'(aw_word_q) < StatusFirst),
  .part_written(w_strobe_q != '1 && w_strobe_q != '0), .*
);
`default_nettype wire
