// cst_kernel_cells: rows of cells, as they stand in memory, become values for cst_encode.
//
//   first beat    [ a byte a column | cell | cell | cell ]   the byte: bytes of a value; 255: null
//   other beats   [ cell | cell | cell | cell ]              a cell: up to 16 bytes of a value
//
// Promises   a cell a clock: the head costs none, as its beat has three cells beside it. A value
//            takes a cell for each 16 bytes that it begins, at least one; an empty one and a null
//            have one that is not looked at. rows_i rows of beats_i beats are taken, and no beat
//            behind them; a beat that has no cell of its row any more costs a clock. Where a row's
//            cells do not fit its beats, values that cst_encode refuses (CodeBatch) stand for those
//            that are missing: the row is wrong, those behind it are not.
// Needs      all inputs but the beats stand still while rows are under way; start_i before the
//            first beat of a command, when none are.
`default_nettype none
module cst_kernel_cells (
  input  wire logic         clk_i,
  input  wire logic         rst_ni,
  input  wire logic         start_i,
  input  wire logic [31:0]  rows_i,
  input  wire logic [3:0]   beats_i,         // of a row, 1 to RowBeatsMax
  input  wire logic [3:0]   columns_last_i,
  input  wire logic         beat_valid_i,
  output      logic         beat_ready_o,
  input  wire logic [511:0] beat_i,
  output      logic         out_valid_o,
  input  wire logic         out_ready_i,
  output      logic [127:0] out_data_o,
  output      logic [4:0]   out_bytes_o,
  output      logic         out_null_o,
  output      logic         out_last_o,      // of the value
  output      logic         over_o           // all beats are taken, all values too
);
  localparam logic [7:0] Null = 8'd255;

  // skip_q: all of the row's cells are taken, beats of it are not. cut_q: its beats are all taken,
  // cells are not. inside_q: of the column's value rest_q bytes are left.
  logic more, skip_q, cut_q, inside_q, taken, beat_taken, beat_last, row_last, row_over;
  logic [31:0] left_q;
  logic [3:0] beat_q, column_q;
  logic [1:0] cell_q;
  logic [7:0] rest_q, bytes;
  logic [127:0] head_q, head;

  assign more = left_q != '0;
  assign over_o = !more;
  assign head = (beat_q == '0) ? beat_i[127:0] : head_q;
  assign bytes = inside_q ? rest_q : head[{column_q, 3'b000} +: 8];
  assign beat_last = beat_q + 4'd1 == beats_i;
  assign row_last = out_last_o && column_q == columns_last_i;

  always_comb begin
    out_valid_o = more && (cut_q || (beat_valid_i && !skip_q));
    out_data_o = beat_i[{cell_q, 7'b0000000} +: 128];
    out_null_o = !inside_q && bytes == Null;
    out_last_o = out_null_o || bytes <= 8'd16;
    out_bytes_o = out_last_o ? bytes[4:0] : 5'd16;
    if (cut_q) begin
      out_null_o = 1'b0;
      out_last_o = 1'b1;
      out_bytes_o = '1;  // more than a beat has
    end
  end
  assign taken = out_valid_o && out_ready_i;
  assign beat_ready_o = more && !cut_q && (skip_q || (taken && (row_last || cell_q == '1)));
  assign beat_taken = beat_valid_i && beat_ready_o;
  assign row_over = cut_q ? taken && row_last : beat_taken && beat_last && (skip_q || row_last);

  always_ff @(posedge clk_i) begin
    if (beat_valid_i && beat_q == '0) head_q <= beat_i[127:0];
    if (taken) rest_q <= bytes - 8'd16;
    if (start_i) left_q <= rows_i;
    else if (!rst_ni) left_q <= '0;
    else if (row_over) left_q <= left_q - 32'd1;
    if (!rst_ni || start_i) begin
      beat_q <= '0;
      cell_q <= 2'd1;  // the head is in the place of cell 0
      column_q <= '0;
      inside_q <= 1'b0;
      skip_q <= 1'b0;
      cut_q <= 1'b0;
    end else begin
      if (beat_taken) begin
        beat_q <= beat_last ? '0 : beat_q + 4'd1;
        cell_q <= beat_last ? 2'd1 : 2'd0;
        skip_q <= !beat_last && (skip_q || row_last);
        cut_q <= beat_last && !skip_q && !row_last;
      end else if (taken) begin
        cell_q <= cell_q + 2'd1;
      end
      if (taken) begin
        inside_q <= !out_last_o;
        if (out_last_o) column_q <= row_last ? '0 : column_q + 4'd1;
        if (cut_q) begin
          cell_q <= 2'd1;
          cut_q <= !row_last;
        end
      end
    end
  end

`ifdef CST_ASSERT
  always_ff @(posedge clk_i) if (rst_ni && more && (beat_valid_i || cut_q)) begin
    beats_in_range: assert (beats_i != '0 && beats_i <= 4'(cst_kernel_pkg::RowBeatsMax));
    one_of_both: assert (!(skip_q && cut_q));
    inside_has_rest: assert (!inside_q || cut_q || rest_q != '0);
    cut_row: cover (cut_q);
  end
`endif
endmodule
`default_nettype wire
