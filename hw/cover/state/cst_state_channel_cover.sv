// cst_state_channel_cover: answers of each kind, and what goes on beside those that wait.
`default_nettype none
module cst_state_channel_cover (
  input wire logic       clk_i,
  input wire logic       unit_rst_ni,
  input wire logic [3:0] answer_valid,
  input wire logic [3:0] answer_ready,
  input wire logic [3:0] out_valid_o,
  input wire logic [3:0] out_ready_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  logic [3:0] waits, goes;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= unit_rst_ni;
  assign resets = ran_q && !unit_rst_ni;
  assign waits = out_valid_o & ~out_ready_i;
  assign goes = out_valid_o & out_ready_i;

  always_ff @(posedge clk_i) begin
    if (unit_rst_ni) begin
      no_room_for_a_row: cover (answer_valid[0] && !answer_ready[0]);
      no_room_for_a_line: cover (answer_valid[1] && !answer_ready[1]);
      no_room_for_an_entry: cover (answer_valid[2] && !answer_ready[2]);
      no_room_for_a_beat_of_a_walk: cover (answer_valid[3] && !answer_ready[3]);
      others_pass_a_row: cover (waits[0] && goes[3:1] != '0);
      others_pass_a_line: cover (waits[1] && {goes[3:2], goes[0]} != '0);
      others_pass_an_entry: cover (waits[2] && {goes[3], goes[1:0]} != '0);
      all_at_once: cover (goes[2:0] == '1);
    end else if (resets) begin
      reset_with_answers: cover (out_valid_o != '0);
      reset_without_answers: cover (out_valid_o == '0);
    end
  end
endmodule
bind cst_state_channel cst_state_channel_cover u_cover (.*);
`default_nettype wire
