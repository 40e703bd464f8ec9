// cst_encode_cover: every type in both orders, as a value and as a null; what is wrong with a row;
// splits, ends of keys, and what a reset finds.
`default_nettype none
module cst_encode_cover (
  input wire logic       clk_i,
  input wire logic       rst_ni,
  input wire logic       run,
  input wire logic       clear_i,
  input wire logic       first_beat,     // of a value, taken
  input wire cst_pkg::column_t column,
  input wire logic       beat_null,
  input wire logic       split,
  input wire logic       half_q,
  input wire logic       beat_valid,
  input wire logic [4:0] beat_bytes,
  input wire logic       beat_last,
  input wire logic       move,
  input wire logic       out_valid_o,
  input wire logic       out_ready_i,
  input wire logic [7:0] out_code_o,
  input wire logic [6:0] out_bytes_o,
  input wire logic       s1_valid_q,
  input wire logic       s2_valid_q,
  input wire logic       s3_valid_q,
  input wire logic       s4_valid_q,
  input wire logic       s5_valid_q,
  input wire logic       row_first_q
);
  // A reset of what ran before, not of what registers begin with.
  logic ran_q, resets;
  initial ran_q = 1'b0;
  always_ff @(posedge clk_i) ran_q <= rst_ni;
  assign resets = ran_q && !rst_ni;

`define CST_TYPE(Name, Kind) \
  begin \
    Name``_ascending: cover (value && column.kind == Kind && !column.descending); \
    Name``_descending: cover (value && column.kind == Kind && column.descending); \
    Name``_ascending_null_first: cover (null_ && column.kind == Kind && !column.descending && \
                                        !column.nulls_last); \
    Name``_ascending_null_last: cover (null_ && column.kind == Kind && !column.descending && \
                                       column.nulls_last); \
    Name``_descending_null_first: cover (null_ && column.kind == Kind && column.descending && \
                                         !column.nulls_last); \
    Name``_descending_null_last: cover (null_ && column.kind == Kind && column.descending && \
                                        column.nulls_last); \
  end
  logic value, null_, out;
  assign value = run && first_beat && !beat_null;
  assign null_ = run && first_beat && beat_null && column.nullable;
  assign out = rst_ni && out_valid_o && out_ready_i;
  always_ff @(posedge clk_i) begin
    if (value || null_) begin
      `CST_TYPE(u8, cst_pkg::TypeU8)
      `CST_TYPE(u16, cst_pkg::TypeU16)
      `CST_TYPE(u32, cst_pkg::TypeU32)
      `CST_TYPE(u64, cst_pkg::TypeU64)
      `CST_TYPE(u128, cst_pkg::TypeU128)
      `CST_TYPE(i8, cst_pkg::TypeI8)
      `CST_TYPE(i16, cst_pkg::TypeI16)
      `CST_TYPE(i32, cst_pkg::TypeI32)
      `CST_TYPE(i64, cst_pkg::TypeI64)
      `CST_TYPE(i128, cst_pkg::TypeI128)
      `CST_TYPE(f32, cst_pkg::TypeF32)
      `CST_TYPE(f64, cst_pkg::TypeF64)
      `CST_TYPE(bool, cst_pkg::TypeBool)
      `CST_TYPE(date, cst_pkg::TypeDate)
      `CST_TYPE(timestamp, cst_pkg::TypeTimestamp)
      `CST_TYPE(decimal128, cst_pkg::TypeDecimal128)
      `CST_TYPE(uuid, cst_pkg::TypeUuid)
      `CST_TYPE(fixed, cst_pkg::TypeFixed)
      `CST_TYPE(string_, cst_pkg::TypeString)
      `CST_TYPE(binary, cst_pkg::TypeBinary)
    end
    if (run && beat_valid) begin
      split_in_halves: cover (split && half_q && move);
      no_split_of_eight_bytes: cover (!split && beat_bytes == 5'd8 && beat_last);
      empty_value: cover (beat_bytes == 5'd0 && beat_last && !beat_null);
    end
    if (out) begin
      row_ok: cover (out_code_o == cst_pkg::CodeOk);
      row_batch: cover (out_code_o == cst_pkg::CodeBatch);
      row_schema_mismatch: cover (out_code_o == cst_pkg::CodeSchemaMismatch);
      row_value_range: cover (out_code_o == cst_pkg::CodeValueRange);
      row_key_too_long: cover (out_code_o == cst_pkg::CodeKeyTooLong);
      row_unsupported: cover (out_code_o == cst_pkg::CodeUnsupported);
      key_of_64_bytes: cover (out_code_o == cst_pkg::CodeOk && out_bytes_o == 7'd64);
    end
    held_back: cover (run && s5_valid_q && !move);
    reset_while_empty: cover (resets && !s1_valid_q && !s2_valid_q && !s3_valid_q && !s4_valid_q);
    reset_with_s1: cover (resets && s1_valid_q);
    reset_with_s2: cover (resets && s2_valid_q);
    reset_with_s3: cover (resets && s3_valid_q);
    reset_with_s4: cover (resets && s4_valid_q);
    reset_with_s5: cover (resets && s5_valid_q);
    reset_within_a_row: cover (resets && !row_first_q);
    reset_between_halves: cover (resets && half_q);
    clear_with_a_row: cover (rst_ni && clear_i && (s1_valid_q || s3_valid_q || s5_valid_q));
  end
`undef CST_TYPE
endmodule
bind cst_encode cst_encode_cover u_cover (.first_beat(beat_valid && beat_taken && first_q), .*);
`default_nettype wire
