// cst_axi_split_cover: where bursts end, and why.
`default_nettype none
module cst_axi_split_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic        next_burst,    // it is cut off now
  input wire logic        final_burst,
  input wire logic        longest,       // of BurstBeats
  input wire logic        at_page_end,   // its last beat is a page's last
  input wire logic        at_page_begin,
  input wire logic        one_beat,
  input wire logic        command_valid_i,
  input wire logic        command_ready_o,
  input wire logic        burst_valid_o,
  input wire logic        burst_ready_i,
  input wire logic        busy_q
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni && next_burst) begin
      command_ends_at_4k: cover (final_burst && at_page_end);
      command_ends_elsewhere: cover (final_burst && !at_page_end);
      cut_at_4k: cover (!final_burst && at_page_end && !longest);
      cut_at_4k_with_the_longest: cover (!final_burst && at_page_end && longest);
      cut_by_length: cover (!final_burst && !at_page_end);
      begins_at_4k: cover (at_page_begin);
      one_beat_at_4k: cover (one_beat && at_page_end);
      one_beat_from_4k: cover (one_beat && at_page_begin);
      command_behind_command: cover (final_burst && command_valid_i && command_ready_o);
    end
    burst_waits: cover (rst_ni && burst_valid_o && !burst_ready_i);
    command_waits: cover (rst_ni && command_valid_i && !command_ready_o);
    reset_while_idle: cover (resets && !busy_q && !burst_valid_o);
    reset_with_a_command: cover (resets && busy_q);
    reset_with_a_burst: cover (resets && burst_valid_o);
  end
endmodule
bind cst_axi_split cst_axi_split_cover u_cover (
  .next_burst(busy_q && free), .longest(final_burst ? 32'(left_q) == BurstBeats
                                                    : 32'(piece) == BurstBeats),
  .at_page_end(32'(in_page) + (final_burst ? 32'(left_q) : 32'(piece)) == PageBeats),
  .at_page_begin(in_page == '0), .one_beat(final_burst && 32'(left_q) == 32'd1), .*
);
`default_nettype wire
