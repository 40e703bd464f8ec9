// cst_state_release_cover: how a release ends, and what a reset finds.
`default_nettype none
module cst_state_release_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic idle,
  input wire logic look,
  input wire logic move,
  input wire logic ring_write_o,
  input wire logic load_o,
  input wire logic early,
  input wire logic nothing,
  input wire logic over,
  input wire logic full
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      gives_a_segment: cover (ring_write_o);
      done: cover (load_o);
      nothing_to_give: cover (look && !early && nothing);
      of_an_epoch_that_is_not_sealed: cover (look && early);
      more_than_the_ring_takes: cover (move && !over && full);
    end else if (resets) begin
      reset_while_idle: cover (idle);
      reset_while_it_looks: cover (look);
      reset_while_it_moves: cover (move);
    end
  end
endmodule
bind cst_state_release cst_state_release_cover u_cover (
  .idle(stage_q == Idle), .look(stage_q == Look), .move(stage_q == Move), .*
);
`default_nettype wire
