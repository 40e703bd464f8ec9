// cst_state_issue_cover: what an operation waits for before it is executed.
`default_nettype none
module cst_state_issue_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic s0_valid_q,
  input wire logic s0_known_q,
  input wire logic s0_alone_q,
  input wire logic done_here,
  input wire logic can,
  input wire logic take,
  input wire logic sums_q,
  input wire logic writes,
  input wire logic known_as_it_comes,
  input wire logic begins_as_it_comes,
  input wire logic busy,
  input wire logic queue_ready,
  input wire logic out_ready_i,
  input wire logic queued_valid,
  input wire logic s1_valid_q,
  input wire logic sums_valid_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      waits_until_its_key_is_known: cover (s0_valid_q && !s0_known_q);
      waits_for_the_sum_before_it: cover (s0_valid_q && s0_known_q && !s0_alone_q);
      known_as_it_is_read: cover (known_as_it_comes);
      sum_before_it_begins_as_it_is_read: cover (begins_as_it_comes);
      goes_on_as_the_sum_before_it_is_done: cover (take && !s0_alone_q && done_here);
      lookup_beside_a_sum_of_its_key: cover (take && sums_q && !writes && busy);
      waits_for_the_queue_of_sums: cover (s0_valid_q && can && sums_q && !queue_ready);
      waits_for_execution: cover (s0_valid_q && can && !sums_q && !out_ready_i);
      past_the_adders: cover (take && !sums_q);
      sum_waits_for_its_row: cover (sums_valid_o && !out_ready_i);
    end else if (resets) begin
      reset_while_it_waits: cover (s0_valid_q && !can);
      reset_with_a_queue: cover (queued_valid);
      reset_with_a_sum_begun: cover (s1_valid_q);
      reset_with_a_sum_made: cover (sums_valid_o);
    end
  end
endmodule
bind cst_state_issue cst_state_issue_cover u_cover (
  .known_as_it_comes(in_valid_i && in_ready_o && in_op_i.uses_key && in_op_i.first &&
                     known_valid_i && known_id_i == in_op_i.id),
  .begins_as_it_comes(in_valid_i && in_op_i.uses_key && begins && in_op_i.id == s0_op_q.id),
  .busy(s0_op_q.uses_key && begun_q[s0_op_q.id] != ended_q[s0_op_q.id]), .*
);
`default_nettype wire
