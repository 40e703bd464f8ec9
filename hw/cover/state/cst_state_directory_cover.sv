// cst_state_directory_cover: what an operation finds of its row, and what it waits for.
`default_nettype none
module cst_state_directory_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic full_q,
  input wire logic needs,
  input wire logic known,
  input wire logic busy,
  input wire logic go,
  input wire logic reads,
  input wire logic read_ready_i,
  input wire logic queue_ready,
  input wire logic fill_valid_i,
  input wire logic flush_i,
  input wire logic rows_on_chip,
  input wire logic head_waits,
  input wire logic out_valid_o,
  input wire logic out_ready_i
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      row_on_chip: cover (go && needs && known);
      row_read: cover (go && needs && !known);
      needs_none: cover (go && !needs);
      oldest_still_needed: cover (full_q && needs && !known && busy);
      waits_for_a_read_port: cover (reads && !read_ready_i);
      waits_for_the_queue: cover (full_q && !queue_ready);
      waits_for_its_row: cover (head_waits);
      row_comes_while_one_waits: cover (head_waits && fill_valid_i);
      waits_for_fetch: cover (out_valid_o && !out_ready_i);
      flushed_with_rows: cover (flush_i && rows_on_chip);
    end else if (resets) begin
      reset_with_an_operation: cover (full_q);
      reset_while_a_row_is_read: cover (head_waits);
      reset_while_fetch_waits: cover (out_valid_o);
    end
  end
endmodule
bind cst_state_directory cst_state_directory_cover u_cover (
  .rows_on_chip(valid_q != '0), .head_waits(head_full_q && !out_valid_o), .*
);
`default_nettype wire
