// cst_state_pins_cover: the life of a copy, and who meets whom in it.
`default_nettype none
module cst_state_pins_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic filling_q,
  input wire logic take_i,
  input wire logic take_new_i,
  input wire logic leave_i,
  input wire logic leave_look_i,
  input wire logic leave_room_o,
  input wire logic dirty_i,
  input wire logic pushed_o,
  input wire logic pop,
  input wire logic pop_of_pushed,
  input wire logic three_out,
  input wire logic free_valid_o,
  input wire logic free_ready_i,
  input wire logic free,
  input wire logic taken_as_it_is_looked_at,
  input wire logic taken_as_it_would_be_freed,
  input wire logic still_needed,
  input wire logic still_waits,
  input wire logic still_unanswered
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  logic [15:0] alive_q, waits_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      alive_q <= '0;
      waits_q <= '0;
    end else begin
      alive_q <= alive_q + 16'(take_i && take_new_i) - 16'(free);
      waits_q <= waits_q + 16'(pushed_o) - 16'(pop);
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      taken_new: cover (take_i && take_new_i);
      taken_again: cover (take_i && !take_new_i);
      changed: cover (pushed_o);
      changed_again_while_it_waits: cover (dirty_i && !pushed_o);
      sent_as_another_is_changed: cover (pop && pushed_o);
      changed_as_it_is_sent: cover (pop_of_pushed);
      three_unanswered: cover (three_out);
      left_unchanged: cover (leave_i && leave_look_i);
      no_room_for_leaving: cover (!leave_room_o);
      freed: cover (free);
      free_waits: cover (free_valid_o && !free_ready_i);
      taken_again_as_it_is_looked_at: cover (taken_as_it_is_looked_at);
      taken_again_as_it_would_be_freed: cover (taken_as_it_would_be_freed);
      looked_at_while_needed: cover (still_needed);
      looked_at_while_it_waits: cover (still_waits);
      looked_at_while_unanswered: cover (still_unanswered);
    end else if (resets) begin
      reset_while_filling: cover (filling_q);
      reset_with_copies: cover (!filling_q && alive_q != '0);
      reset_with_a_queue: cover (!filling_q && waits_q != '0);
    end
  end
endmodule
bind cst_state_pins cst_state_pins_cover u_cover (
  .pop_of_pushed(pop && dirty_i && dirty_id_i == head_id_q), .three_out(head_short_q),
  .taken_as_it_is_looked_at(look_valid_q && look_alive && look_taken),
  .taken_as_it_would_be_freed(free_may_q && free_taken),
  .still_needed(look_valid_q && taken_q[look_id_q] != left_q[look_id_q]),
  .still_waits(look_valid_q && look_waits),
  .still_unanswered(look_valid_q && !(&look_settled)), .*
);
`default_nettype wire
