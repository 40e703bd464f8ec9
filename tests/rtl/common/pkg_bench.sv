// pkg_bench: the packed structs and functions of cst_pkg, taken apart, to compare with their C twins.
`default_nettype none
module pkg_bench (
  input  wire logic [511:0] bits_i,
  input  wire logic [63:0]  hash_i,
  input  wire logic [2:0]   chunks_i,
  output logic [127:0] line_overflow_o,
  output logic [111:0] line_reserved_o,
  output logic [15:0]  line_occupied_o,
  output logic [255:0] line_tag_o,
  output logic [223:0] row_chunk_o,
  output logic [7:0]   row_chunks_o,
  output logic [7:0]   row_depth_o,
  output logic [55:0]  entry_change_o,
  output logic [7:0]   entry_key_bytes_o,
  output logic [63:0]  entry_hash_o,
  output logic [2:0]   record_flags_o,
  output logic [23:0]  record_value_bytes_o,
  output logic [15:0]  record_units_o,
  output logic [15:0]  record_key_bytes_o,
  output logic [63:0]  record_hash_o,
  output logic [11:0]  key_group_o,
  output logic [15:0]  tag_o,
  output logic [5:0]   first_o,
  output logic [5:0]   second_o
);
  cst_pkg::control_line_t line;
  cst_pkg::entry_head_t entry;
  // The reserved bits of these two are nobody's.
  /* verilator lint_off UNUSEDSIGNAL */
  cst_pkg::directory_row_t row;
  cst_pkg::record_head_t record;
  /* verilator lint_on UNUSEDSIGNAL */

  assign line = bits_i;
  assign row = bits_i[255:0];
  assign entry = bits_i[127:0];
  assign record = bits_i[127:0];

  assign line_overflow_o = line.overflow;
  assign line_reserved_o = line.reserved;
  assign line_occupied_o = line.occupied;
  assign line_tag_o = line.tag;
  assign row_chunk_o = row.chunk;
  assign row_chunks_o = row.chunks;
  assign row_depth_o = row.depth;
  assign entry_change_o = entry.change;
  assign entry_key_bytes_o = entry.key_bytes;
  assign entry_hash_o = entry.hash;
  assign record_flags_o = {record.present, record.tombstone, record.gap};
  assign record_value_bytes_o = record.value_bytes;
  assign record_units_o = record.units;
  assign record_key_bytes_o = record.key_bytes;
  assign record_hash_o = record.hash;
  assign key_group_o = cst_pkg::hash_key_group(hash_i);
  assign tag_o = cst_pkg::hash_tag(hash_i);
  assign first_o = cst_pkg::hash_bucket_first(hash_i, chunks_i);
  assign second_o = cst_pkg::hash_bucket_second(hash_i, chunks_i, first_o);
endmodule
`default_nettype wire
