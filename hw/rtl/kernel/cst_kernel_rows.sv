// cst_kernel_rows: records of rows, as they stand in memory, become keys with their hashes and
// operations on them.
// Promises   an item a row, in order, numbered from first_row_i on; a row a clock whose key comes
//            encoded or has one column, else a clock a column. A row that is wrong says so in
//            out_code_o: a kind there is none of (CodeUsage), a column that cannot be encoded.
//            rows_i rows are taken, of one beat, of two (wide_i), two of a beat (compact_i; the
//            last one's other half is nobody's) or of beats_i (cells_i), and no beat behind them.
//            cells_i: keys of columns of any type, of up to ResultKeyBytes, or with long_i of up to
//            64 bytes, come in out_key_o with their hashes; the operation says nothing else.
// Needs      all inputs but the beats stand still while rows are under way; start_i before the
//            first beat of a command, when none are.
//
//   beats ─► row ─┬─ columns ─► cst_encode ─┬─► cst_siphash_stream ─► join ─► out
//                 ├─ encoded key ───────────┘                          ▲
//                 └─ kind, nulls, operands ──────► queue ──────────────┘
//   beats ─► cst_kernel_cells ─► cst_encode ───► cst_siphash_stream of 64 bytes ─► out
//                                the same one
`default_nettype none
module cst_kernel_rows #(
  localparam int unsigned ColumnsMax = cst_pkg::ColumnsMax,
  localparam int unsigned ColumnBits = cst_pkg::ColumnBits
) (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         start_i,
  input  wire logic [31:0]  first_row_i,
  input  wire logic [31:0]  rows_i,
  input  wire logic         encode_i,
  input  wire logic         hash_i,
  input  wire logic         wide_i,      // two beats a row
  input  wire logic         compact_i,   // two rows a beat
  input  wire logic         long_i,      // compact: the key goes on in the place of word 1
  input  wire logic         cells_i,
  input  wire logic [3:0]   beats_i,     // cells: of a row
  input  wire logic [23:0]  words_i,     // each lane's word of the row
  input  wire logic [63:0]  key_k0_i,
  input  wire logic [63:0]  key_k1_i,
  input  wire logic [ColumnsMax*ColumnBits-1:0] columns_i,
  input  wire logic [3:0]   columns_last_i,
  input  wire logic         beat_valid_i,
  output      logic         beat_ready_o,
  input  wire logic [511:0] beat_i,
  output      logic         out_valid_o,
  input  wire logic         out_ready_i,
  output      cst_state_pkg::op_t out_op_o,
  output      logic [511:0] out_key_o,
  output      logic [7:0]   out_code_o,
  output      logic         over_o       // no beat of the command is left, of cells behind the rows
);
  localparam int unsigned KeyBytes = cst_kernel_pkg::KeyBytes;
  localparam int unsigned RestBits = 1 + 3 + 64 + 8 + 512;

  // ---- Rows -------------------------------------------------------------------------------------
  // second_q: a wide row's second beat, a beat's second row.
  logic second_q, row_valid, row_taken, rest_ready, key_ready, more, cells_ready;
  logic [31:0] left_q;
  logic [511:0] first_q;
  cst_kernel_pkg::row_t row;
  cst_kernel_pkg::compact_t half;
  logic [511:0] words, operands;
  logic [7:0] nulls;

  assign more = left_q != '0;
  assign half = second_q ? beat_i[511:256] : beat_i[255:0];
  always_comb begin
    row = wide_i ? first_q : beat_i;
    if (compact_i) begin
      row = '0;
      row.kind = half.kind;
      row.key_bytes = half.key_bytes;
      row.nulls = half.nulls;
      row.key_nulls = half.key_nulls;
      row.key = {long_i ? half.last : 64'b0, half.key};
      row.operands = {128'b0, long_i ? 64'b0 : half.last, half.word};
    end
  end
  assign words = {wide_i ? beat_i[255:0] : 256'b0, row.operands};
  always_comb begin
    for (int unsigned i = 0; i < cst_state_pkg::Lanes; i++) begin
      operands[i*64 +: 64] = words[{words_i[i*3 +: 3], 6'b0} +: 64];
      nulls[i] = row.nulls[words_i[i*3 +: 3]];
    end
  end
  assign row_valid = beat_valid_i && more && !cells_i && (!wide_i || second_q);
  assign beat_ready_o = cells_i ? cells_ready :
                        !row_valid ? wide_i && more
                                   : row_taken && (!compact_i || second_q || left_q == 32'd1);

  always_ff @(posedge clk_i) begin
    if (beat_valid_i && !second_q) first_q <= beat_i;
    if (!rst_ni || start_i) second_q <= 1'b0;
    else if (compact_i && row_valid && row_taken) second_q <= !second_q;
    else if (beat_valid_i && beat_ready_o && wide_i) second_q <= !second_q;
    if (start_i) left_q <= rows_i;
    else if (!rst_ni) left_q <= '0;
    else if (row_valid && row_taken) left_q <= left_q - 32'd1;
  end

  // ---- Its columns, one a clock -----------------------------------------------------------------
  logic [3:0] column_q;
  logic [4:0] offset_q, width;
  logic column_valid, column_ready, column_last;
  logic [127:0] column_data;
  cst_pkg::column_t column;

  assign column = columns_i[ColumnBits*column_q +: ColumnBits];
  assign width = (column.kind == cst_pkg::TypeFixed) ? column.width[4:0]
                                                     : cst_pkg::type_bytes(column.kind);
  assign column_data = row.key >> {offset_q, 3'b0};
  assign column_last = column_q == columns_last_i;
  assign column_valid = row_valid && encode_i && (!column_last || rest_ready);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || start_i) begin
      column_q <= '0;
      offset_q <= '0;
    end else if (column_valid && column_ready) begin
      column_q <= column_last ? '0 : column_q + 4'd1;
      offset_q <= column_last ? '0 : offset_q + width;
    end
  end
  assign row_taken = encode_i ? column_valid && column_ready && column_last
                              : rest_ready && key_ready;

  // ---- Or its cells, one a clock ----------------------------------------------------------------
  logic cell_valid, cell_null, cell_last, cells_over, value_ready;
  logic [127:0] cell_data;
  logic [4:0] cell_bytes;
  cst_kernel_cells u_cells (
    .clk_i, .rst_ni, .start_i, .rows_i, .beats_i, .columns_last_i,
    .beat_valid_i(beat_valid_i && cells_i), .beat_ready_o(cells_ready), .beat_i,
    .out_valid_o(cell_valid), .out_ready_i(value_ready), .out_data_o(cell_data),
    .out_bytes_o(cell_bytes), .out_null_o(cell_null), .out_last_o(cell_last), .over_o(cells_over)
  );
  // Others are taken with their rows.
  assign over_o = !cells_i || cells_over;
  assign column_ready = value_ready;

  logic encoded_valid, encoded_ready;
  logic [511:0] encoded_key;
  logic [6:0] encoded_bytes;
  logic [7:0] encoded_code;
  cst_encode u_encode (
    .clk_i, .rst_ni, .clear_i(1'b0), .columns_i, .columns_last_i,
    .in_valid_i(cells_i ? cell_valid : column_valid), .in_ready_o(value_ready),
    .in_data_i(cells_i ? cell_data : column_data), .in_bytes_i(cells_i ? cell_bytes : width),
    .in_null_i(cells_i ? cell_null : row.key_nulls[column_q]), .in_last_i(!cells_i || cell_last),
    .out_valid_o(encoded_valid), .out_ready_i(encoded_ready), .out_key_o(encoded_key),
    .out_bytes_o(encoded_bytes), .out_code_o(encoded_code), .out_row_o()
  );

  // ---- Hashes -----------------------------------------------------------------------------------
  logic key_valid, hash_in_ready, hash_valid, hash_ready;
  logic [127:0] key, hash_key;
  logic [7:0] key_bytes, hash_bytes, hash_code, key_code;
  logic [4:0] hashed_bytes;
  logic [63:0] hash;
  logic long_in_ready, long_valid;
  logic [511:0] long_key;
  logic [6:0] long_bytes;
  logic [7:0] long_code, cells_code;
  logic [63:0] long_hash;

  assign key_valid = encode_i ? encoded_valid && !cells_i : row_valid && rest_ready;
  assign key = encode_i ? encoded_key[127:0] : row.key;
  assign key_bytes = encode_i ? 8'(encoded_bytes) : row.key_bytes;
  assign key_code = !encode_i ? cst_pkg::CodeOk :
                    (encoded_code == cst_pkg::CodeOk && encoded_bytes > 7'(KeyBytes))
                        ? cst_pkg::CodeKeyTooLong : encoded_code;
  assign hashed_bytes = (key_bytes > 8'(KeyBytes)) ? 5'(KeyBytes) : key_bytes[4:0];
  assign key_ready = hash_in_ready;
  assign encoded_ready = cells_i ? long_in_ready : hash_in_ready;
  cst_siphash_stream #(.KeyBytes(KeyBytes), .MetaBits(128 + 8 + 8)) u_hash (
    .clk_i, .rst_ni, .key_k0_i, .key_k1_i,
    .in_valid_i(key_valid), .in_ready_o(hash_in_ready), .in_key_i(key), .in_bytes_i(hashed_bytes),
    .in_meta_i({key, key_bytes, key_code}),
    .out_valid_o(hash_valid), .out_ready_i(hash_ready), .out_hash_o(hash),
    .out_meta_o({hash_key, hash_bytes, hash_code})
  );
  assign cells_code = (encoded_code == cst_pkg::CodeOk && !long_i &&
                       encoded_bytes > 7'(cst_kernel_pkg::ResultKeyBytes))
                          ? cst_pkg::CodeKeyTooLong : encoded_code;
  cst_siphash_stream #(.KeyBytes(64), .MetaBits(512 + 7 + 8)) u_long_hash (
    .clk_i, .rst_ni, .key_k0_i, .key_k1_i,
    .in_valid_i(encoded_valid && cells_i), .in_ready_o(long_in_ready), .in_key_i(encoded_key),
    .in_bytes_i(encoded_bytes), .in_meta_i({encoded_key, encoded_bytes, cells_code}),
    .out_valid_o(long_valid), .out_ready_i, .out_hash_o(long_hash),
    .out_meta_o({long_key, long_bytes, long_code})
  );

  // ---- The rest of the row, until its hash is there ---------------------------------------------
  logic rest_valid, rest_take, unknown;
  logic [2:0] kind;
  logic [7:0] rest_nulls;
  logic [63:0] given_hash;
  logic [511:0] rest_operands;
  logic [31:0] row_q;

  // As many as the encoder and the hash pipeline hold, so that neither waits for it.
  cst_fifo #(.Width(RestBits), .Depth(64)) u_rest (
    .clk_i, .rst_ni,
    .in_valid_i(row_valid && row_taken), .in_ready_o(rest_ready),
    .in_data_i({row.kind > 8'(cst_state_pkg::KindLookup), row.kind[2:0], row.hash, nulls,
                operands}),
    .out_valid_o(rest_valid), .out_ready_i(rest_take),
    .out_data_o({unknown, kind, given_hash, rest_nulls, rest_operands}), .fill_o()
  );
  assign out_valid_o = cells_i ? long_valid : hash_valid && rest_valid;
  assign hash_ready = out_ready_i && rest_valid;
  assign rest_take = out_ready_i && hash_valid;
  always_comb begin
    out_op_o = {kind, row_q, hash_i ? hash : given_hash, hash_bytes, hash_key, rest_nulls,
                rest_operands};
    out_key_o = 512'(hash_key);
    out_code_o = unknown ? cst_pkg::CodeUsage : hash_code;
    if (cells_i) begin
      out_op_o.hash = long_hash;
      out_op_o.key_bytes = 8'(long_bytes);
      out_key_o = long_key;
      out_code_o = long_code;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) row_q <= first_row_i;
    else if (out_valid_o && out_ready_i) row_q <= row_q + 1'b1;
  end

  logic unused_bits;
  assign unused_bits = ^{row.reserved0, row.reserved1, half, beat_i, column};
endmodule
`default_nettype wire
