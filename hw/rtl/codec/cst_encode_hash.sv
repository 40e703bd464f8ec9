// cst_encode_hash: rows become keys with their hashes.
// Promises   what cst_encode and cst_siphash_stream promise: a beat a clock in, a key a clock out;
//            key, length, code, row and hash of a row come together. A row with a code other than
//            CodeOk has no hash that means anything.
// Needs      key_k0_i and key_k1_i stand still while rows are under way.
`default_nettype none
module cst_encode_hash (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         clear_i,
  input  wire logic [63:0]  key_k0_i,
  input  wire logic [63:0]  key_k1_i,
  input  wire logic [cst_pkg::ColumnsMax*cst_pkg::ColumnBits-1:0] columns_i,
  input  wire logic [3:0]   columns_last_i,
  input  wire logic         in_valid_i,
  output      logic         in_ready_o,
  input  wire logic [127:0] in_data_i,
  input  wire logic [4:0]   in_bytes_i,
  input  wire logic         in_null_i,
  input  wire logic         in_last_i,
  output      logic         out_valid_o,
  input  wire logic         out_ready_i,
  output      logic [511:0] out_key_o,
  output      logic [6:0]   out_bytes_o,
  output      logic [7:0]   out_code_o,
  output      logic [31:0]  out_row_o,
  output      logic [63:0]  out_hash_o
);
  logic valid, ready;
  logic [511:0] key;
  logic [6:0] bytes;
  logic [7:0] code;
  logic [31:0] row;

  cst_encode u_encode (
    .clk_i,
    .rst_ni,
    .clear_i,
    .columns_i,
    .columns_last_i,
    .in_valid_i,
    .in_ready_o,
    .in_data_i,
    .in_bytes_i,
    .in_null_i,
    .in_last_i,
    .out_valid_o(valid),
    .out_ready_i(ready),
    .out_key_o  (key),
    .out_bytes_o(bytes),
    .out_code_o (code),
    .out_row_o  (row)
  );
  cst_siphash_stream #(.KeyBytes(64), .MetaBits(512 + 7 + 8 + 32)) u_hash (
    .clk_i,
    .rst_ni     (rst_ni && !clear_i),
    .key_k0_i,
    .key_k1_i,
    .in_valid_i (valid),
    .in_ready_o (ready),
    .in_key_i   (key),
    .in_bytes_i (bytes),
    .in_meta_i  ({key, bytes, code, row}),
    .out_valid_o,
    .out_ready_i,
    .out_hash_o,
    .out_meta_o ({out_key_o, out_bytes_o, out_code_o, out_row_o})
  );
endmodule
`default_nettype wire
