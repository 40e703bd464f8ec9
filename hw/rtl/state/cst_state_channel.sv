// cst_state_channel: all that one channel of memory has in the unit: reads and writes, each behind
// its guard.
//
//   read_* ───────────► cst_state_read_port ──► cst_axi_read_guard ──► AR   write alike: AW, W
//   out_*  ◄── queues ◄──                    ◄──                    ◄── R                B ─► ack_*
//
// Promises   those of its four parts, each of which says its own. A write's address waits a clock
//            between port and guard. 16 entries wait before the write port. Memory answers in
//            order; behind it each kind of reads has a queue, of AnswerDepth, of its own.
`default_nettype none
module cst_state_channel #(
  parameter int unsigned SilenceBits = 16,
  localparam int unsigned AnswerDepth = 16,
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned PageBits = AddressBits - 12,
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned WalkTagBits = cst_state_pkg::WalkTagBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits,
  localparam int unsigned AskBits = AddressBits + TagBits,
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits,
  localparam int unsigned AckBits = cst_state_pkg::AckBits
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   unit_rst_ni,   // of the ports; the guards go on
  input  wire logic                   stop_i,
  input  wire logic [PageBits-1:0]    first_page_i,
  input  wire logic [PageBits:0]      end_page_i,
  input  wire logic [1:0]             entry_units_i,
  input  wire logic                   few_i,         // reads
  // row, line, entry, walk
  input  wire logic [3:0]             read_valid_i,
  output      logic [3:0]             read_ready_o,
  input  wire logic [AskBits-1:0]     read_row_i,
  input  wire logic [AskBits-1:0]     read_line_i,
  input  wire logic [AskBits-1:0]     read_entry_i,
  input  wire logic [AskBits-1:0]     read_walk_i,
  output      logic [3:0]             out_valid_o,
  input  wire logic [3:0]             out_ready_i,
  output      logic [IdBits+255:0]    out_row_o,     // of the tag what is of use, then the bytes
  output      logic [IdBits+511:0]    out_line_o,
  output      logic [TagBits+767:0]   out_entry_o,
  output      logic [WalkTagBits+511:0] out_walk_o,
  // entry, record, line
  input  wire logic [2:0]             write_valid_i,
  output      logic [2:0]             write_ready_o,
  input  wire logic [WriteBits-1:0]   write_entry_i,
  input  wire logic [WriteBits-1:0]   write_record_i,
  input  wire logic [WriteBits-1:0]   write_line_i,
  output      logic [2:0]             ack_valid_o,
  input  wire logic [2:0]             ack_ready_i,
  output      logic [3*AckBits-1:0]   ack_o,          // each kind's
  // AXI
  output      logic                   ar_valid_o,
  input  wire logic                   ar_ready_i,
  output      logic [AddressBits-1:0] ar_address_o,
  output      logic [7:0]             ar_len_o,
  input  wire logic                   r_valid_i,
  output      logic                   r_ready_o,
  input  wire logic [511:0]           r_data_i,
  input  wire logic [1:0]             r_resp_i,
  input  wire logic                   r_last_i,
  output      logic                   aw_valid_o,
  input  wire logic                   aw_ready_i,
  output      logic [AddressBits-1:0] aw_address_o,
  output      logic [7:0]             aw_len_o,
  output      logic                   w_valid_o,
  input  wire logic                   w_ready_i,
  output      logic [511:0]           w_data_o,
  output      logic [63:0]            w_strb_o,
  output      logic                   w_last_o,
  input  wire logic                   b_valid_i,
  output      logic                   b_ready_o,
  input  wire logic [1:0]             b_resp_i,
  // of the guards
  output      logic                   read_quiet_o,
  output      logic                   read_error_o,
  output      logic                   read_outside_o,
  output      logic                   read_silent_o,
  output      logic                   write_quiet_o,
  output      logic                   write_error_o,
  output      logic                   write_outside_o,
  output      logic                   write_silent_o,
  output      logic                   read_asked_o,
  output      logic                   read_busy_o,
  output      logic                   write_asked_o,
  output      logic                   write_busy_o,
  output      logic [1:0]             answered_o  // a write, by its epoch's parity
);
  logic ar_valid, ar_ready, r_valid, r_ready, w_valid, w_ready, b_valid, b_ready;
  logic made_valid, made_ready, aw_valid, aw_ready;
  logic [AddressBits-1:0] ar_address, made_address, aw_address;
  logic [7:0] ar_len, made_len, aw_len;
  logic [511:0] w_data;
  logic [63:0] w_strb;
  logic [3:0] answer_valid, answer_ready;
  logic [TagBits-1:0] answer_tag;
  logic [767:0] answer;
  logic read_port_busy;

  cst_axi_read_guard #(.AddressBits(AddressBits), .SilenceBits(SilenceBits)) u_read_guard (
    .clk_i, .rst_ni, .stop_i, .first_page_i, .end_page_i,
    .in_valid_i(ar_valid), .in_ready_o(ar_ready), .in_address_i(ar_address), .in_len_i(ar_len),
    .beat_valid_o(r_valid), .beat_ready_i(r_ready),
    .ar_valid_o, .ar_ready_i, .ar_address_o, .ar_len_o,
    .r_valid_i, .r_ready_o, .r_resp_i, .r_last_i,
    .quiet_o(read_quiet_o), .error_o(read_error_o), .outside_o(read_outside_o),
    .silent_o(read_silent_o)
  );
  cst_axi_write_guard #(.AddressBits(AddressBits), .SilenceBits(SilenceBits)) u_write_guard (
    .clk_i, .rst_ni, .stop_i, .first_page_i, .end_page_i,
    .in_valid_i(aw_valid), .in_ready_o(aw_ready), .in_address_i(aw_address), .in_len_i(aw_len),
    .beat_valid_i(w_valid), .beat_ready_o(w_ready), .beat_data_i(w_data), .beat_strb_i(w_strb),
    .answer_valid_o(b_valid), .answer_ready_i(b_ready),
    .aw_valid_o, .aw_ready_i, .aw_address_o, .aw_len_o,
    .w_valid_o, .w_ready_i, .w_data_o, .w_strb_o, .w_last_o, .b_valid_i, .b_ready_o, .b_resp_i,
    .quiet_o(write_quiet_o), .error_o(write_error_o), .outside_o(write_outside_o),
    .silent_o(write_silent_o)
  );
  // A write's address is made from memory, and compared with the pages: a clock each.
  cst_skid #(.Width(AddressBits + 8)) u_made (
    .clk_i, .rst_ni(unit_rst_ni),
    .in_valid_i(made_valid), .in_ready_o(made_ready), .in_data_i({made_len, made_address}),
    .out_valid_o(aw_valid), .out_ready_i(aw_ready), .out_data_o({aw_len, aw_address})
  );
  cst_state_read_port u_read (
    .clk_i, .rst_ni(unit_rst_ni), .entry_units_i, .few_i,
    .in_valid_i(read_valid_i), .in_ready_o(read_ready_o), .in_row_i(read_row_i),
    .in_line_i(read_line_i), .in_entry_i(read_entry_i), .in_walk_i(read_walk_i),
    .out_valid_o(answer_valid), .out_ready_i(answer_ready), .out_tag_o(answer_tag),
    .out_data_o(answer),
    .ar_valid_o(ar_valid), .ar_ready_i(ar_ready), .ar_address_o(ar_address), .ar_len_o(ar_len),
    .r_valid_i(r_valid), .r_ready_o(r_ready), .r_data_i,
    .asked_o(read_asked_o), .busy_o(read_port_busy)
  );

  // ---- Answers ----------------------------------------------------------------------------------
  // Of each kind one a clock goes on from all channels, and memory answers in bursts: behind a
  // refresh, behind writes. What waits for its turn would hold up what memory has for the others.
  cst_fifo #(.Width(IdBits + 256), .Depth(AnswerDepth)) u_rows (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(answer_valid[0]), .in_ready_o(answer_ready[0]),
    .in_data_i({answer_tag[IdBits-1:0], answer[255:0]}),
    .out_valid_o(out_valid_o[0]), .out_ready_i(out_ready_i[0]), .out_data_o(out_row_o), .fill_o()
  );
  cst_fifo #(.Width(IdBits + 512), .Depth(AnswerDepth)) u_lines (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(answer_valid[1]), .in_ready_o(answer_ready[1]),
    .in_data_i({answer_tag[IdBits-1:0], answer[511:0]}),
    .out_valid_o(out_valid_o[1]), .out_ready_i(out_ready_i[1]), .out_data_o(out_line_o), .fill_o()
  );
  cst_fifo #(.Width(TagBits + 768), .Depth(AnswerDepth)) u_entries (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(answer_valid[2]), .in_ready_o(answer_ready[2]),
    .in_data_i({answer_tag, answer}),
    .out_valid_o(out_valid_o[2]), .out_ready_i(out_ready_i[2]), .out_data_o(out_entry_o), .fill_o()
  );
  cst_fifo #(.Width(WalkTagBits + 512), .Depth(2)) u_walks (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(answer_valid[3]), .in_ready_o(answer_ready[3]),
    .in_data_i({answer_tag[WalkTagBits-1:0], answer[511:0]}),
    .out_valid_o(out_valid_o[3]), .out_ready_i(out_ready_i[3]), .out_data_o(out_walk_o), .fill_o()
  );
  assign read_busy_o = read_port_busy || out_valid_o != '0;

  // ---- Writes -----------------------------------------------------------------------------------
  // A log line's records, 16 of 64 bytes, come one behind the other: an entry that comes beside one
  // waits here, and not in the way of the entries behind it.
  logic entry_valid, entry_ready;
  logic [2:0] write_ready;
  logic [WriteBits-1:0] entry;
  cst_fifo #(.Width(WriteBits), .Depth(16)) u_entry (
    .clk_i, .rst_ni(unit_rst_ni),
    .in_valid_i(write_valid_i[0]), .in_ready_o(entry_ready), .in_data_i(write_entry_i),
    .out_valid_o(entry_valid), .out_ready_i(write_ready[0]), .out_data_o(entry), .fill_o()
  );
  assign write_ready_o = {write_ready[2:1], entry_ready};
  cst_state_write_port u_write (
    .clk_i, .rst_ni(unit_rst_ni),
    .in_valid_i({write_valid_i[2:1], entry_valid}), .in_ready_o(write_ready), .in_entry_i(entry),
    .in_record_i(write_record_i), .in_line_i(write_line_i),
    .ack_valid_o, .ack_ready_i, .ack_o,
    .aw_valid_o(made_valid), .aw_ready_i(made_ready), .aw_address_o(made_address),
    .aw_len_o(made_len),
    .w_valid_o(w_valid), .w_ready_i(w_ready), .w_data_o(w_data), .w_strb_o(w_strb),
    .b_valid_i(b_valid), .b_ready_o(b_ready),
    .asked_o(write_asked_o), .busy_o(write_busy_o), .answered_o
  );
endmodule
`default_nettype wire
