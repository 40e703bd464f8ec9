// cst_kernel_records_cover: each record of RESTORE, good or bad, and where it is cut.
`default_nettype none
module cst_kernel_records_cover (
  input wire logic clk_i,
  input wire logic rst_ni,
  input wire logic begins,         // a record's first unit
  input wire cst_pkg::record_head_t head,
  input wire logic one_kind,
  input wire logic gap_wrong,
  input wire logic row_wrong,
  input wire logic head_wrong,
  input wire logic cut,
  input wire logic more_i,
  input wire logic gap_body_wrong,
  input wire logic high_q,
  input wire logic out_valid_q,
  input wire logic out_wrong_q,
  input wire logic out_ready_i,
  input wire logic body_wrong,
  input wire logic later_records,
  input wire logic midway
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      row_of_one_unit: cover (begins && !head_wrong && !cut && head.present && head.units == 16'd1);
      row_of_two_units: cover (begins && !head_wrong && !cut && head.present &&
                               head.units == 16'd2);
      row_of_three_units: cover (begins && !head_wrong && !cut && head.present &&
                                 head.units == 16'd3);
      tombstone: cover (begins && !head_wrong && !cut && head.tombstone);
      gap_of_one: cover (begins && !head_wrong && !cut && head.gap && head.units == 16'd1);
      gap_of_more: cover (begins && !head_wrong && !cut && head.gap && head.units > 16'd1);
      begins_in_a_high_half: cover (begins && high_q);
      of_no_kind: cover (begins && !one_kind);
      no_units: cover (begins && one_kind && head.units == '0);
      reserved_bits: cover (begins && one_kind && head.reserved != '0);
      gap_with_a_key: cover (begins && one_kind && head.gap && gap_wrong);
      gap_with_bytes: cover (gap_body_wrong);
      row_of_other_sizes: cover (begins && one_kind && !head.gap && row_wrong);
      bytes_behind_key_or_value: cover (body_wrong);
      cut_and_more_follow: cover (begins && !head_wrong && cut && more_i);
      cut_at_the_end: cover (begins && !head_wrong && cut && !more_i);
      records_behind_one_that_is_wrong: cover (later_records);
      item_waits: cover (out_valid_q && !out_ready_i);
    end else if (resets) begin
      reset_within_a_record: cover (midway);
      reset_with_an_item: cover (out_valid_q);
    end
  end
endmodule
bind cst_kernel_records cst_kernel_records_cover u_cover (
  .begins(unit_taken && first && !wrong_q && !cut_q),
  .gap_body_wrong(unit_taken && !first && !wrong_q && !cut_q && gap_q && unit != '0),
  .body_wrong(whole && padding && !(first ? head_wrong || cut : gap_q)),
  .later_records(unit_taken && first && wrong_q),
  .midway(left_q != '0), .*
);
`default_nettype wire
