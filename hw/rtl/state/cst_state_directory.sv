// cst_state_directory: gives each operation the directory row of its hash.
// Promises   order kept; one operation a clock. Rows that were read lately, or are under way, are
//            not read again: Rows of them are on chip, the oldest goes first; one that an operation
//            in here still needs stays.
// Needs      the directory does not change but while idle, and then flush_i.
//
//   in ──► guess ──► known? ──► else read ──► queue ──row there──► out
//
// The guess says which place held the row last; the place itself says whether it still does.
//
// A place for a row that is read is found before one is needed, a place a clock:
//   near     how many operations ago it was needed is read
//   next     whether one in here still needs it
//   oldest   free_q: none does, the next row that is read goes there
// One that an operation takes meanwhile is passed over.
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

  if (RowBits < 2 || RowBits > cst_state_pkg::IdBits) begin : g_row_bits
    $error("cst_state_directory: RowBits %0d, must be 2 to %0d", RowBits, cst_state_pkg::IdBits);
  end

  // ---- Guess ------------------------------------------------------------------------------------
  logic moves, guess_full_q;
  cst_state_pkg::op_t guess_op_q;
  logic [21:0] row_in, guess_row_q;
  logic [RowBits-1:0] guess_q [Rows];
  logic [RowBits-1:0] guess_now_q;

  assign row_in = in_op_i.hash[21:0] & config_i.directory_mask;
  assign in_ready_o = moves;

  // ---- Known or read ----------------------------------------------------------------------------
  logic [21:0] holds_q [Rows];
  logic [UseBits-1:0] used_q [Rows];    // number of the last operation that needs the place
  logic [Rows-1:0] valid_q, there_q;
  logic [RowBits-1:0] oldest_q, next_q, near_q, known_place_q, place;
  logic [UseBits-1:0] number_q, next_age_q;
  logic free_q, next_there_q, next_valid_q, next_taken_q, next_busy, steps;
  logic full_q, known_q, needs, known, same, taken, busy, misses, hits, reads, queue_ready, go;
  logic [FillBits-1:0] queue_fill;
  cst_state_pkg::op_t op_q;
  logic [21:0] row_q;

  assign needs = full_q && cst_state_pkg::uses_key(op_q.kind);
  assign known = known_q;
  assign busy = !free_q;
  assign place = known ? known_place_q : oldest_q;
  assign reads = needs && !known && !busy && queue_ready;
  assign go = full_q && queue_ready && (!needs || known || (!busy && read_ready_i));
  assign misses = reads && read_ready_i;
  assign moves = go || !full_q;
  assign read_valid_o = reads;
  assign read_place_o = cst_state_pkg::row_place(row_q, config_i.directory_base);
  assign read_id_o = cst_state_pkg::IdBits'(oldest_q);
  // What is decided in this clock is what those behind it have to find: the same row, or that the
  // place is another one's now.
  assign same = needs && guess_row_q == row_q;
  assign taken = needs && !known && guess_now_q == oldest_q;

  always_ff @(posedge clk_i) begin
    if (moves) begin
      guess_op_q <= in_op_i;
      guess_row_q <= row_in;
      guess_now_q <= (needs && row_in[RowBits-1:0] == row_q[RowBits-1:0])
                         ? place : guess_q[row_in[RowBits-1:0]];
      op_q <= guess_op_q;
      row_q <= guess_row_q;
      known_q <= same || (!taken && valid_q[guess_now_q] && holds_q[guess_now_q] == guess_row_q);
      known_place_q <= same ? place : guess_now_q;
    end
    if (go && needs) begin
      guess_q[row_q[RowBits-1:0]] <= place;
      used_q[place] <= number_q;
    end
    if (misses) holds_q[oldest_q] <= row_q;
    if (!rst_ni) begin
      guess_full_q <= 1'b0;
      full_q <= 1'b0;
      valid_q <= '0;
      there_q <= '0;
      number_q <= '0;
    end else begin
      if (moves) guess_full_q <= in_valid_i;
      if (moves) full_q <= guess_full_q;
      if (go) number_q <= number_q + 1'b1;
      if (misses)
        for (int unsigned i = 0; i < Rows; i++)
          if (oldest_q == RowBits'(i)) begin
            valid_q[i] <= 1'b1;
            there_q[i] <= 1'b0;
          end
      if (fill_valid_i)
        for (int unsigned i = 0; i < Rows; i++)
          if (fill_id_i[RowBits-1:0] == RowBits'(i)) there_q[i] <= 1'b1;
      if (flush_i) valid_q <= '0;
    end
  end

  // ---- Which place is next ----------------------------------------------------------------------
  // A number that is far back counts as busy once in 2^12 times: the place is passed over, no harm.
  // What leaves the queue meanwhile makes it no busier.
  assign hits = needs && known && queue_ready;
  assign next_busy = next_taken_q ||
                     (next_valid_q && next_age_q <= UseBits'(queue_fill) + UseBits'(1));
  assign steps = busy || misses;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      near_q <= '0;
      next_there_q <= 1'b0;
      free_q <= 1'b0;
    end else if (steps) begin
      near_q <= near_q + 1'b1;
      next_there_q <= 1'b1;
      next_q <= near_q;
      next_valid_q <= valid_q[near_q];
      next_age_q <= number_q - used_q[near_q];
      next_taken_q <= hits && known_place_q == near_q;
      oldest_q <= next_q;
      free_q <= next_there_q && !next_busy && !(hits && known_place_q == next_q);
    end else if (hits) begin
      if (known_place_q == next_q) next_taken_q <= 1'b1;
      if (known_place_q == oldest_q) free_q <= 1'b0;
    end
  end

  // ---- Wait for the row -------------------------------------------------------------------------
  // The oldest operation's place stands in a register, a clock behind where it is read.
  logic [RowWidth-1:0] rows_q [Rows];
  logic place_valid, place_needs, head_full_q, head_needs_q, leaves;
  logic [RowBits-1:0] place_next, head_place_q;

  cst_fifo #(.Width(OpBits), .Depth(Depth)) u_queue (
    .clk_i, .rst_ni,
    .in_valid_i(go), .in_ready_o(queue_ready), .in_data_i(op_q),
    .out_valid_o(), .out_ready_i(leaves), .out_data_o(out_op_o), .fill_o(queue_fill)
  );
  cst_fifo #(.Width(RowBits + 1), .Depth(Depth)) u_places (
    .clk_i, .rst_ni,
    .in_valid_i(go), .in_ready_o(), .in_data_i({needs, place}),
    .out_valid_o(place_valid), .out_ready_i(leaves || !head_full_q),
    .out_data_o({place_needs, place_next}), .fill_o()
  );

  assign out_valid_o = head_full_q && (!head_needs_q || there_q[head_place_q]);
  assign leaves = out_valid_o && out_ready_i;
  assign out_row_o = rows_q[head_place_q];
  always_ff @(posedge clk_i) begin
    if (leaves || !head_full_q) begin
      head_needs_q <= place_needs;
      head_place_q <= place_next;
    end
    if (!rst_ni) head_full_q <= 1'b0;
    else if (leaves || !head_full_q) head_full_q <= place_valid;
  end

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
