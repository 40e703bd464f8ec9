// cst_kernel_rows_cover: each form that a row may have, and how its key is made.
`default_nettype none
module cst_kernel_rows_cover (
  input wire logic        clk_i,
  input wire logic        rst_ni,
  input wire logic        row_taken,     // one that is there
  input wire logic        wide_i,
  input wire logic        compact_i,
  input wire logic        long_i,
  input wire logic        cells_i,
  input wire logic        encode_i,
  input wire logic        hash_i,
  input wire logic        second_q,
  input wire logic [31:0] left_q,
  input wire cst_kernel_pkg::row_t row,
  input wire logic        several_columns,
  input wire logic        rest_ready,
  input wire logic        key_ready,
  input wire logic        row_valid,
  input wire logic        out_valid_o,
  input wire logic        out_ready_i,
  input wire logic [7:0]  out_code_o
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni && row_taken) begin
      row_of_a_beat: cover (!wide_i && !compact_i);
      row_of_two_beats: cover (wide_i);
      row_of_half_a_beat_low: cover (compact_i && !second_q);
      row_of_half_a_beat_high: cover (compact_i && second_q);
      last_half_without_another: cover (compact_i && !second_q && left_q == 32'd1);
      compact_with_a_long_key: cover (compact_i && long_i);
      key_comes_encoded: cover (!encode_i);
      key_of_one_column: cover (encode_i && !several_columns);
      key_of_several_columns: cover (encode_i && several_columns);
      hash_comes_along: cover (!hash_i);
      hash_is_made: cover (hash_i);
      upsert: cover (row.kind == 8'd0);
      delete: cover (row.kind == 8'd1);
      lookup: cover (row.kind == 8'd2);
      of_no_kind: cover (row.kind > 8'd2);
      null_word: cover (row.nulls != '0);
    end
    if (rst_ni) begin
      waits_for_the_encoder_or_hash: cover (row_valid && !encode_i && !key_ready);
      waits_for_the_queue: cover (row_valid && !rest_ready);
      item_waits: cover (out_valid_o && !out_ready_i);
      row_ok: cover (out_valid_o && out_code_o == cst_pkg::CodeOk);
      row_usage: cover (out_valid_o && out_code_o == cst_pkg::CodeUsage);
      row_key_too_long: cover (out_valid_o && out_code_o == cst_pkg::CodeKeyTooLong);
      row_cannot_be_encoded: cover (out_valid_o && out_code_o != cst_pkg::CodeOk &&
                                    out_code_o != cst_pkg::CodeUsage &&
                                    out_code_o != cst_pkg::CodeKeyTooLong);
      row_of_cells: cover (out_valid_o && cells_i);
    end
    reset_with_a_row: cover (resets && row_valid);
    reset_between_two_beats: cover (resets && second_q);
    reset_with_an_item: cover (resets && out_valid_o);
  end
endmodule
bind cst_kernel_rows cst_kernel_rows_cover u_cover (
  .row_taken(row_valid && row_taken), .several_columns(columns_last_i != '0), .*
);
`default_nettype wire
