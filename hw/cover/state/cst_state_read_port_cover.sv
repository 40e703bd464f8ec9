// cst_state_read_port_cover: each kind of read, sizes, places, and what it waits for.
`default_nettype none
module cst_state_read_port_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic [3:0]  want,
  input wire logic [3:0]  grant,
  input wire logic        few_i,
  input wire logic        out_room,
  input wire logic        idle,
  input wire logic        three,
  input wire logic        high,
  input wire logic        last_beat_of_page,
  input wire logic [3:0]  out_valid_o,
  input wire logic        head_high,
  input wire logic        second_q,
  input wire logic        head_valid,
  input wire logic        ar_valid_q,
  input wire logic        ar_second_q,
  input wire logic        r_valid_i,
  input wire logic        r_ready_o,
  input wire logic        last
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      reads_a_row: cover (grant[0]);
      reads_a_line: cover (grant[1]);
      reads_an_entry_of_a_beat: cover (grant[2] && !three);
      reads_an_entry_of_two_beats: cover (grant[2] && three && !last_beat_of_page);
      reads_an_entry_in_two_bursts_at_4k: cover (grant[2] && three && last_beat_of_page);
      reads_an_entry_that_ends_at_4k: cover (grant[2] && !three && last_beat_of_page);
      reads_for_a_walk: cover (grant[3]);
      reads_for_a_walk_that_end_at_4k: cover (grant[3] && last_beat_of_page);
      reads_from_the_low_half: cover (grant[2] && !high);
      reads_from_the_high_half: cover (grant[2] && high);
      entry_before_line_and_row: cover (grant[2] && want[1] && want[0]);
      row_before_line: cover (grant[0] && want[1]);
      row_before_walk: cover (grant[0] && want[3]);
      few_while_a_barrier_is_under_way: cover (want != '0 && idle && few_i && !out_room);
      answer_waits: cover (out_valid_o != '0 && !r_ready_o);
      two_beats_from_the_high_half: cover (r_valid_i && last && second_q && head_high);
      two_beats_from_the_low_half: cover (r_valid_i && last && second_q && !head_high);
    end else if (resets) begin
      reset_while_idle: cover (want == '0 && !ar_valid_q && !head_valid);
      reset_with_a_request: cover (want != '0);
      reset_with_an_address: cover (ar_valid_q && !ar_second_q);
      reset_between_two_bursts: cover (ar_second_q);
      reset_with_answers_owed: cover (head_valid);
      reset_between_two_beats: cover (second_q);
    end
  end
endmodule
bind cst_state_read_port cst_state_read_port_cover u_cover (
  .high(address[5]), .last_beat_of_page(&address[11:6]), .*
);
`default_nettype wire
