// cst_kernel_cells_cover: cells of each length, and beats that are too few or too many.
`default_nettype none
module cst_kernel_cells_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       taken,
  input wire logic       cut_q,
  input wire logic       skip_q,
  input wire logic       inside_q,
  input wire logic [7:0] bytes,
  input wire logic       out_null_o,
  input wire logic       out_last_o,
  input wire logic       out_valid_o,
  input wire logic       out_ready_i,
  input wire logic       beat_taken,
  input wire logic       beat_last,
  input wire logic       row_last,
  input wire logic       more
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      null_value: cover (taken && !cut_q && out_null_o);
      empty_value: cover (taken && !cut_q && !inside_q && bytes == 8'd0);
      value_of_a_cell: cover (taken && !cut_q && !inside_q && bytes == 8'd16);
      value_of_more_cells: cover (taken && !cut_q && inside_q && out_last_o);
      value_goes_on_in_the_next_beat: cover (taken && beat_taken && !out_last_o && !beat_last);
      row_ends_with_its_beats: cover (taken && row_last && beat_taken && beat_last);
      beats_behind_the_cells: cover (skip_q && beat_taken);
      cells_cut_off: cover (cut_q && taken);
      cell_waits: cover (out_valid_o && !out_ready_i);
    end else if (resets) begin
      reset_within_a_row: cover (more && inside_q);
      reset_while_beats_are_passed_over: cover (more && skip_q);
      reset_while_cells_are_made_up: cover (cut_q);
    end
  end
endmodule
bind cst_kernel_cells cst_kernel_cells_cover u_cover (.*);
`default_nettype wire
