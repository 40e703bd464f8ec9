// cst_state_directory: gives each operation the directory row of its hash.
// Promises   order kept; one operation a clock. Rows that were read lately, or are under way, are
//            not read again: Rows of them are on chip, the oldest goes first; one that an operation
//            in here still needs stays.
// Needs      the directory does not change but while idle, and then flush_i.
//
//   in ──► guess ──► known? else read ──► queue ──row there──► out
//
// The guess says which place held the row last; the place itself says whether it still does.
`default_nettype none
module cst_state_directory #(
  parameter int unsigned RowBits = 9,    // 2^RowBits rows on chip
  parameter int unsigned Depth = 256,    // operations that wait for their row
  localparam int unsigned OpBits = cst_state_pkg::OpBits,
  localparam int unsigned RowWidth = 8 + 7 * 24
) (
  input  wire logic                           clk_i,
  input  wire logic                           rst_ni,
  input  wire logic                           flush_i,
  input  wire cst_state_pkg::config_t         config_i,
  input  wire logic                           in_valid_i,
  output      logic                           in_ready_o,
  input  wire cst_state_pkg::op_t             in_op_i,
  output      logic                           read_valid_o,
  input  wire logic                           read_ready_i,
  output      cst_state_pkg::place_t          read_place_o,
  output      logic [cst_state_pkg::IdBits-1:0] read_id_o,
  input  wire logic                           fill_valid_i,
  input  wire logic [cst_state_pkg::IdBits-1:0] fill_id_i,
  input  wire logic [255:0]                   fill_data_i,
  output      logic                           out_valid_o,
  input  wire logic                           out_ready_i,
  output      cst_state_pkg::op_t             out_op_o,
  output      logic [RowWidth-1:0]            out_row_o   // chunks 8, ids of 24 bits
);
  localparam int unsigned Rows = 1 << RowBits;
  localparam int unsigned FillBits = $clog2(Depth + 1);
  localparam int unsigned UseBits = 12;

  if (RowBits < 1 || RowBits > cst_state_pkg::IdBits) begin : g_row_bits
    $error("cst_state_directory: RowBits %0d, must be 1 to %0d", RowBits, cst_state_pkg::IdBits);
  end

  // ---- Guess ------------------------------------------------------------------------------------
  logic moves, full_q;
  cst_state_pkg::op_t op_q;
  logic [21:0] row_in, row_q;
  logic [RowBits-1:0] guess_q [Rows];
  logic [RowBits-1:0] guess_now_q;

  assign row_in = in_op_i.hash[21:0] & config_i.directory_mask;
  assign in_ready_o = moves;

  // ---- Known or read ----------------------------------------------------------------------------
  logic [21:0] holds_q [Rows];
  logic [UseBits-1:0] used_q [Rows];    // number of the last operation that needs the place
  logic [Rows-1:0] valid_q, there_q;
  logic [RowBits-1:0] oldest_q, place;
  logic [UseBits-1:0] number_q;
  logic needs, known, busy, reads, queue_ready, go;
  logic [FillBits-1:0] queue_fill;

  assign needs = cst_state_pkg::uses_key(op_q.kind);
  assign known = valid_q[guess_now_q] && holds_q[guess_now_q] == row_q;
  // A number that is far back counts as busy once in 2^12 times: the place is passed over, no harm.
  assign busy = valid_q[oldest_q] &&
                (number_q - used_q[oldest_q]) <= UseBits'(queue_fill) + UseBits'(1);
  assign place = known ? guess_now_q : oldest_q;
  assign reads = full_q && needs && !known && !busy && queue_ready;
  assign go = full_q && queue_ready && (!needs || known || (!busy && read_ready_i));
  assign moves = go || !full_q;
  assign read_valid_o = reads;
  assign read_place_o = cst_state_pkg::row_place(row_q, config_i.directory_base);
  assign read_id_o = cst_state_pkg::IdBits'(oldest_q);

  always_ff @(posedge clk_i) begin
    if (moves) begin
      op_q <= in_op_i;
      row_q <= row_in;
      // What is decided in this clock is what the next one of the same row has to find.
      guess_now_q <= (go && needs && row_in[RowBits-1:0] == row_q[RowBits-1:0])
                         ? place : guess_q[row_in[RowBits-1:0]];
    end
    if (go && needs) begin
      guess_q[row_q[RowBits-1:0]] <= place;
      used_q[place] <= number_q;
      holds_q[place] <= row_q;
    end
    if (!rst_ni) begin
      full_q <= 1'b0;
      valid_q <= '0;
      there_q <= '0;
      oldest_q <= '0;
      number_q <= '0;
    end else begin
      if (moves) full_q <= in_valid_i;
      if (go) number_q <= number_q + 1'b1;
      // A place that is still needed is passed over before one is.
      if (busy || (go && needs && !known)) oldest_q <= oldest_q + 1'b1;
      if (go && needs && !known) begin
        valid_q[oldest_q] <= 1'b1;
        there_q[oldest_q] <= 1'b0;
      end
      if (fill_valid_i) there_q[fill_id_i[RowBits-1:0]] <= 1'b1;
      if (flush_i) valid_q <= '0;
    end
  end

  // ---- Wait for the row -------------------------------------------------------------------------
  logic [RowWidth-1:0] rows_q [Rows];
  logic head_valid, head_needs;
  logic [RowBits-1:0] head_place;

  cst_fifo #(.Width(OpBits + RowBits + 1), .Depth(Depth)) u_queue (
    .clk_i, .rst_ni,
    .in_valid_i(go), .in_ready_o(queue_ready), .in_data_i({needs, place, op_q}),
    .out_valid_o(head_valid), .out_ready_i(out_valid_o && out_ready_i),
    .out_data_o({head_needs, head_place, out_op_o}), .fill_o(queue_fill)
  );

  assign out_valid_o = head_valid && (!head_needs || there_q[head_place]);
  assign out_row_o = rows_q[head_place];

  always_ff @(posedge clk_i) begin
    if (fill_valid_i)
      rows_q[fill_id_i[RowBits-1:0]] <= {
          fill_data_i[15:8],
          fill_data_i[224 +: 24], fill_data_i[192 +: 24], fill_data_i[160 +: 24],
          fill_data_i[128 +: 24], fill_data_i[96 +: 24], fill_data_i[64 +: 24],
          fill_data_i[32 +: 24]};
  end

  // Chunk ids have 24 bits here (docs/hardware.md, Limits); depth and reserved bytes say nothing.
  logic unused_bits;
  assign unused_bits = ^{fill_data_i[7:0], fill_data_i[31:16], fill_data_i[56 +: 8],
                         fill_data_i[88 +: 8], fill_data_i[120 +: 8], fill_data_i[152 +: 8],
                         fill_data_i[184 +: 8], fill_data_i[216 +: 8], fill_data_i[248 +: 8],
                         fill_id_i, config_i};
endmodule
`default_nettype wire
