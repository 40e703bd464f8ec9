// cst_encode: rows become memcomparable keys of up to 64 bytes.
//
// A row comes as its columns' values in order, a value as beats: full ones of 16 bytes, and a last
// one of 0 to 16. Fixed-width values are little-endian. A null is one beat, data not looked at.
//
//   stage   knows                                  decides
//   in      a beat and its column (skid buffer)    is it split: zeros among more than 8 bytes
//   s1      8 or 16 bytes of one column, how many  value or escaped bytes; is it well formed
//   s2      bytes in ascending order               marker in front, terminator behind, complement
//   s3      up to 19 bytes of key                  place in the key; does it fit
//   s4      the same, moved by offset mod 8        place by offset / 8: the key grows
//   s5      the row's last: key, length, code      (skid buffer)
//
// Promises   a beat a clock, so a key of one fixed-width column a clock, and 16 bytes of a string;
//            a string's beat of more than 8 bytes that holds zeros takes two. Latency 7. Order
//            kept, a result a row. All outputs are registers. key_o has zeros behind its bytes.
//            code_o says what is wrong with row_o (counted from 0 after reset or clear_i):
//              CodeBatch           a value's length is not its type's, a beat that is not full and
//                                  not the last, more than 16 bytes in a beat, a null of two beats
//              CodeSchemaMismatch  a null in a column that has none
//              CodeValueRange      a bool above 1, a decimal of 39 digits
//              CodeKeyTooLong      the key needs more than 64 bytes
//              CodeUnsupported     a type that is none
//            The first of them in the row; bytes_o is 0 then and key_o anything. Rows behind go on.
// Needs      columns_i and columns_last_i stand still from the first beat of a row to its result;
//            clear_i while nothing is offered: it forgets rows that are under way.
//            Text is not looked at: who fills the batch checks UTF-8.
// Length     over two screens: a pipeline, a section a stage, each of which has registers alone in
//            common with the next. What has a seam is a module: a value of fixed width
//            (cst_encode_value), bytes of a string (cst_escape).
`default_nettype none
module cst_encode (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         clear_i,
  input  wire logic [cst_pkg::ColumnsMax*cst_pkg::ColumnBits-1:0] columns_i,
  input  wire logic [3:0]   columns_last_i,  // number of the last column, from 0
  input  wire logic         in_valid_i,
  output      logic         in_ready_o,
  input  wire logic [127:0] in_data_i,
  input  wire logic [4:0]   in_bytes_i,
  input  wire logic         in_null_i,
  input  wire logic         in_last_i,       // of the value
  output      logic         out_valid_o,
  input  wire logic         out_ready_i,
  output      logic [511:0] out_key_o,
  output      logic [6:0]   out_bytes_o,
  output      logic [7:0]   out_code_o,      // cst_pkg::code_e
  output      logic [31:0]  out_row_o
);
  localparam int unsigned ColumnBits = cst_pkg::ColumnBits;
  localparam int unsigned BeatBits = 128 + 5 + 1 + 1;

  logic run, move;  // not in reset or cleared; the pipeline goes on as one
  assign run = rst_ni && !clear_i;

  // ---- in: the beat, its column, and whether it goes on in halves -----------------------------
  logic beat_valid, beat_taken, beat_null, beat_last;
  logic [127:0] beat_data;
  logic [4:0] beat_bytes, beat_count;
  logic [3:0] column_d, column_q;
  logic first_q, half_q, split, row_last, is_variable, is_fixed;
  logic [15:0] zeros;
  logic [7:0] total_d, total_q;  // bytes of the value so far, or more than any value has
  cst_pkg::column_t column;
  logic [7:0] beat_code;
  logic [6:0] width;

  cst_skid #(.Width(BeatBits)) u_in (
    .clk_i,
    .rst_ni     (run),
    .in_valid_i,
    .in_ready_o,
    .in_data_i  ({in_data_i, in_bytes_i, in_null_i, in_last_i}),
    .out_valid_o(beat_valid),
    .out_ready_i(beat_taken),
    .out_data_o ({beat_data, beat_bytes, beat_null, beat_last})
  );

  assign column = columns_i[ColumnBits*column_q +: ColumnBits];
  assign is_variable = column.kind == cst_pkg::TypeString || column.kind == cst_pkg::TypeBinary;
  assign is_fixed = column.kind == cst_pkg::TypeFixed;
  assign beat_count = (beat_bytes > 5'd16) ? 5'd16 : beat_bytes;
  for (genvar i = 0; i < 16; i++) begin : g_zeros
    assign zeros[i] = 5'(i) < beat_count && beat_data[8*i +: 8] == cst_pkg::KeyEscape;
  end
  assign split = is_variable && !beat_null && beat_count > 5'd8 && zeros != '0;
  assign beat_taken = move && (!split || half_q);
  assign row_last = beat_last && column_q == columns_last_i;

  assign total_d = first_q ? 8'(beat_count) : total_q[7] ? '1 : total_q + 8'(beat_count);
  assign width = is_fixed ? column.width : 7'(cst_pkg::type_bytes(column.kind));

  always_comb begin
    beat_code = cst_pkg::CodeOk;
    if (beat_null) begin
      if (!column.nullable) beat_code = cst_pkg::CodeSchemaMismatch;
      if (!first_q || !beat_last) beat_code = cst_pkg::CodeBatch;
    end else begin
      if (beat_bytes > 5'd16 || (!beat_last && beat_bytes != 5'd16)) begin
        beat_code = cst_pkg::CodeBatch;
      end
      if (column.kind == '0 || column.kind > cst_pkg::TypeBinary) begin
        beat_code = cst_pkg::CodeUnsupported;
      end
    end
    column_d = column_q;
    if (beat_last) column_d = row_last ? '0 : column_q + 4'd1;
  end

  // ---- s1 -------------------------------------------------------------------------------------
  logic s1_valid_q, s1_null_q, s1_first_q, s1_ends_q, s1_row_last_q, s1_variable_q, s1_escape_q;
  logic [127:0] s1_data_q;
  logic [4:0] s1_count_q;
  logic [7:0] s1_code_q, s1_total_q;
  logic [6:0] s1_width_q;
  logic s1_sized_q, s1_last_q, length_wrong;
  logic [4:0] s1_kind_q;
  logic s1_descending_q, s1_nullable_q, s1_nulls_last_q;

  always_ff @(posedge clk_i) begin
    if (move) begin
      s1_data_q <= (split && half_q) ? {64'h0, beat_data[127:64]} : beat_data;
      s1_count_q <= !split ? beat_count : half_q ? beat_count - 5'd8 : 5'd8;
      s1_escape_q <= is_variable && zeros != '0;
      s1_variable_q <= is_variable;
      s1_null_q <= beat_null;
      s1_first_q <= first_q && !half_q;
      s1_ends_q <= beat_last && (!split || half_q);
      s1_row_last_q <= row_last && (!split || half_q);
      s1_code_q <= beat_code;
      s1_sized_q <= !is_variable && !beat_null;
      s1_total_q <= total_d;
      s1_width_q <= width;
      s1_last_q <= beat_last;
      s1_kind_q <= column.kind;
      s1_descending_q <= column.descending;
      s1_nullable_q <= column.nullable;
      s1_nulls_last_q <= column.nulls_last;
      if (beat_valid && beat_taken) total_q <= total_d;
    end
    if (!run) begin
      s1_valid_q <= 1'b0;
      first_q <= 1'b1;
      half_q <= 1'b0;
      column_q <= '0;
    end else if (move) begin
      s1_valid_q <= beat_valid;
      half_q <= beat_valid && split && !half_q;
      if (beat_valid && beat_taken) begin
        first_q <= beat_last;
        column_q <= column_d;
      end
    end
  end

  // ---- s2 -------------------------------------------------------------------------------------
  logic s2_valid_q, s2_null_q, s2_marked_q, s2_ends_q, s2_row_last_q;
  logic [127:0] s2_body_q, value, escaped, body;
  logic [4:0] s2_count_q;
  logic [3:0] escapes;
  logic [7:0] s2_code_q;
  logic out_of_range, s2_out_of_range_q;
  logic s2_descending_q, s2_nulls_last_q;

  cst_encode_value u_value (
    .kind_i        (s1_kind_q),
    .data_i        (s1_data_q),
    .bytes_o       (value),
    .out_of_range_o(out_of_range)
  );
  cst_escape u_escape (
    .data_i (s1_data_q[63:0]),
    .count_i(s1_escape_q ? s1_count_q[3:0] : 4'd0),
    .bytes_o(escaped),
    .zeros_o(escapes)
  );
  assign body = s1_variable_q ? s1_data_q : value;
  assign length_wrong = s1_sized_q && (s1_total_q > 8'(s1_width_q) ||
                                       (s1_last_q && s1_total_q != 8'(s1_width_q)));

  always_ff @(posedge clk_i) begin
    if (move) begin
      for (int unsigned i = 0; i < 16; i++) begin
        s2_body_q[8*i +: 8] <= escaped[8*i +: 8] |
            ((!s1_escape_q && 5'(i) < s1_count_q) ? body[8*i +: 8] : 8'h00);
      end
      s2_count_q <= s1_null_q ? '0 : s1_count_q + 5'(escapes);
      s2_null_q <= s1_null_q;
      s2_marked_q <= s1_first_q && s1_nullable_q;
      s2_ends_q <= s1_ends_q && s1_variable_q && !s1_null_q;
      s2_row_last_q <= s1_row_last_q;
      s2_code_q <= s1_code_q;
      if (s1_code_q == cst_pkg::CodeOk && length_wrong) s2_code_q <= cst_pkg::CodeBatch;
      s2_out_of_range_q <= out_of_range;  // known late: it becomes a code in s3
      s2_descending_q <= s1_descending_q;
      s2_nulls_last_q <= s1_nulls_last_q;
    end
    if (!run) s2_valid_q <= 1'b0;
    else if (move) s2_valid_q <= s1_valid_q;
  end

  // ---- s3: marker, bytes, terminator, and where they go ---------------------------------------
  localparam int unsigned ChunkBytes = 19;
  logic s3_valid_q, s3_row_last_q, too_long;
  logic [8*ChunkBytes-1:0] s3_chunk_q, content, chunk;
  logic [6:0] offset_q, s3_offset_q, s3_end_q;
  logic [7:0] s3_code_q, end_d;
  logic [7:0] complement, marker;

  always_comb begin
    complement = s2_descending_q && !cst_mistake_pkg::planted(cst_mistake_pkg::Order) ? 8'hff
                                                                                    : 8'h00;
    content = '0;
    for (int unsigned i = 0; i < 16; i++) begin
      if (5'(i) < s2_count_q) content[8*i +: 8] = s2_body_q[8*i +: 8] ^ complement;
    end
    for (int unsigned i = 0; i < 18; i++) begin
      if (s2_ends_q && 5'(i) == s2_count_q) content[8*i +: 8] = cst_pkg::KeyEscape ^ complement;
      if (s2_ends_q && i > 0 && 5'(i - 1) == s2_count_q) begin
        content[8*i +: 8] = cst_pkg::KeyEnd ^ complement;
      end
    end
    marker = cst_pkg::KeyValue;
    if (s2_null_q) begin
      marker = s2_nulls_last_q ? cst_pkg::KeyNullLast : cst_pkg::KeyNullFirst;
    end
    chunk = s2_marked_q ? {content[8*ChunkBytes-9:0], marker} : content;
    end_d = 8'(offset_q) + 8'(s2_count_q) + 8'({s2_ends_q, s2_marked_q});
    too_long = end_d > 8'd64;
  end

  always_ff @(posedge clk_i) begin
    if (move) begin
      s3_chunk_q <= chunk;
      s3_offset_q <= offset_q;
      s3_end_q <= end_d[6:0];
      s3_row_last_q <= s2_row_last_q;
      s3_code_q <= s2_code_q;
      if (s2_code_q == cst_pkg::CodeOk) begin
        if (s2_out_of_range_q && !s2_null_q) s3_code_q <= cst_pkg::CodeValueRange;
        else if (too_long) s3_code_q <= cst_pkg::CodeKeyTooLong;
      end
    end
    if (!run) begin
      s3_valid_q <= 1'b0;
      offset_q <= '0;
    end else if (move) begin
      s3_valid_q <= s2_valid_q;
      // A key that is too long stays at its end: the code says so, what follows changes nothing.
      if (s2_valid_q) offset_q <= s2_row_last_q ? '0 : too_long ? 7'd64 : end_d[6:0];
    end
  end

  // ---- s4, s5: to its place -------------------------------------------------------------------
  localparam int unsigned MovedBytes = ChunkBytes + 7;
  logic s4_valid_q, s4_row_last_q, s5_valid_q, row_first_q;
  logic [8*MovedBytes-1:0] s4_moved_q;
  logic [3:0] s4_word_q;
  logic [6:0] s4_end_q, s5_bytes_q;
  logic [7:0] s4_code_q, s5_code_q, code_d;
  logic [511:0] s5_key_q, placed;
  logic [31:0] s5_row_q, row_q;

  assign placed = 512'(s4_moved_q) << {s4_word_q, 6'b000000};
  assign code_d = (row_first_q || s5_code_q == cst_pkg::CodeOk) ? s4_code_q : s5_code_q;

  always_ff @(posedge clk_i) begin
    if (move) begin
      s4_moved_q <= (8*MovedBytes)'(s3_chunk_q) << {s3_offset_q[2:0], 3'b000};
      s4_word_q <= s3_offset_q[6:3];
      s4_end_q <= s3_end_q;
      s4_code_q <= s3_code_q;
      s4_row_last_q <= s3_row_last_q;
      if (s4_valid_q) begin
        s5_key_q <= (row_first_q ? '0 : s5_key_q) | placed;
        s5_code_q <= code_d;
        s5_bytes_q <= (code_d == cst_pkg::CodeOk) ? s4_end_q : '0;
        s5_row_q <= row_q;
      end
    end
    if (!run) begin
      s4_valid_q <= 1'b0;
      s5_valid_q <= 1'b0;
      row_first_q <= 1'b1;
      row_q <= '0;
    end else if (move) begin
      s4_valid_q <= s3_valid_q;
      s5_valid_q <= s4_valid_q && s4_row_last_q;
      if (s4_valid_q) begin
        row_first_q <= s4_row_last_q;
        row_q <= row_q + 32'(s4_row_last_q);
      end
    end
  end

  cst_skid #(.Width(512 + 7 + 8 + 32)) u_out (
    .clk_i,
    .rst_ni     (run),
    .in_valid_i (s5_valid_q),
    .in_ready_o (move),
    .in_data_i  ({s5_key_q, s5_bytes_q, s5_code_q, s5_row_q}),
    .out_valid_o,
    .out_ready_i,
    .out_data_o ({out_key_o, out_bytes_o, out_code_o, out_row_o})
  );
endmodule
`default_nettype wire
