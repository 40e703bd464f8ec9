// cst_state_walk_cover: sizes and halves of entries, ends of the image, and what a reset or a stop
// finds.
`default_nettype none
module cst_state_walk_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       going_q,
  input wire logic       looks,
  input wire logic       second,
  input wire logic       outs,
  input wire logic       out_beat,
  input wire logic       out_ready_i,
  input wire logic       high_q,
  input wire logic [1:0] units,
  input wire logic       ask_any,
  input wire logic       ask_again,
  input wire logic       line_wants,
  input wire logic       line_goes,
  input wire logic       beat_wants,
  input wire logic       read_ready_i,
  input wire logic       wraps,
  input wire logic       four_ahead,
  input wire logic       empty_bucket,
  input wire logic       starts_within_a_bucket,
  input wire logic       stop_i,
  input wire logic       owed,
  input wire logic       comes_late
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      entry_of_32_low: cover (out_beat && units == 2'd1 && !high_q);
      entry_of_32_high: cover (out_beat && units == 2'd1 && high_q);
      entry_of_64: cover (out_beat && units == 2'd2);
      entry_of_96_low: cover (out_beat && units == 2'd3 && !high_q);
      entry_of_96_high: cover (out_beat && units == 2'd3 && high_q);
      beat_that_was_asked_for: cover (ask_any && ask_again);
      beat_before_line: cover (beat_wants && line_wants && read_ready_i);
      line_waits: cover (line_wants && !line_goes && !beat_wants);
      beat_waits: cover (beat_wants && !read_ready_i);
      entry_waits: cover (outs && !out_ready_i);
      first_bucket_behind_the_last: cover (wraps);
      four_buckets_ahead: cover (four_ahead);
      bucket_without_entries: cover (empty_bucket);
      begins_within_a_bucket: cover (starts_within_a_bucket);
      stopped_while_reads_are_owed: cover (going_q && stop_i && owed);
      stopped_with_an_entry: cover (going_q && stop_i && outs);
      answers_behind_a_stop: cover (comes_late);
    end else if (resets) begin
      reset_while_idle: cover (!going_q && !owed);
      reset_while_it_looks: cover (going_q && looks);
      reset_while_it_reads_a_second_beat: cover (going_q && second);
      reset_with_an_entry: cover (outs);
      reset_while_reads_are_owed: cover (owed);
    end
  end
endmodule
bind cst_state_walk cst_state_walk_cover u_cover (
  .looks(stage_q == Look), .second(stage_q == Second), .outs(going_q && stage_q == Out),
  .units(config_i.entry_units), .wraps(line_goes && line_no_q == last_no_q),
  .four_ahead(going_q && line_q - pick_q == 17'd4),
  .empty_bucket(pick_leaves && slots_q[pick_q[1:0]] == '0),
  .starts_within_a_bucket(start_i && first_i[3:0] != '0), .owed(out_q != '0),
  .comes_late(!going_q && beat_valid_i), .*
);
`default_nettype wire
