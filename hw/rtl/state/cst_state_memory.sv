// cst_state_memory: the unit's 16 channels: each read and write to the one it is for, and what
// they answer in a stream a kind.
// Promises   reads and writes of one channel and kind keep their order, those of different channels
//            do not; a fill or an acknowledgement of each kind a clock. ready_o of a kind is that
//            of the channel which it asks for. Of all channels: faults, quiet (none owes anything),
//            busy; of the clock before, addresses outside, bursts asked for, and writes answered of
//            even and of odd epochs.
// Needs      those of cst_state_channel; nothing is kept here but that, and in the cst_merge that
//            collect.
// Length     over two screens: half of it are ports, the rest is wires and no decision.
//
//   row, lines, entry, walk ──► by channel ──► 16 x cst_state_channel ──► merges ──► fills, beats
//   entry, record, lines ─────► by channel ──►        │  ▲           ──► merges ──► answers
//                                                     ▼  │ AXI4
`default_nettype none
module cst_state_memory #(
  parameter int unsigned SilenceBits = 16,
  localparam int unsigned Channels = cst_state_pkg::Channels,
  localparam int unsigned Half = Channels / 2,
  localparam int unsigned AddressBits = cst_state_pkg::AddressBits,
  localparam int unsigned IdBits = cst_state_pkg::IdBits,
  localparam int unsigned TagBits = cst_state_pkg::ReadTagBits,
  localparam int unsigned AskBits = AddressBits + TagBits,
  localparam int unsigned WalkTagBits = cst_state_pkg::WalkTagBits,
  localparam int unsigned WriteBits = cst_state_pkg::WriteBits,
  localparam int unsigned AckBits = cst_state_pkg::AckBits,
  // Wide items stand at multiples of 32 bits: simulators move them word by word.
  // What a channel answers, a kind: tag, then bytes.
  localparam int unsigned TagStride = 64,
  localparam int unsigned RowStride = TagStride + 256,
  localparam int unsigned LineStride = TagStride + 512,
  localparam int unsigned AnswerStride = TagStride + 768,
  localparam int unsigned WriteStride = 832
) (
  input  wire logic                   clk_i,
  input  wire logic                   rst_ni,
  input  wire logic                   unit_rst_ni,     // of all but the guards
  input  wire logic                   stop_i,
  input  wire logic                   few_i,           // reads, while a barrier is under way
  input  wire cst_state_pkg::config_t config_i,
  output      logic [3:0]             faults_o,
  output      logic                   quiet_o,
  output      logic                   busy_o,
  output      logic [4:0]             reads_o,
  output      logic [4:0]             writes_o,
  output      logic [9:0]             answered_o,
  // reads
  input  wire logic                   row_valid_i,
  output      logic                   row_ready_o,
  input  wire cst_state_pkg::place_t  row_i,
  input  wire logic [IdBits-1:0]      row_id_i,
  input  wire logic [1:0]             line_valid_i,    // even, odd
  output      logic [1:0]             line_ready_o,
  input  wire cst_state_pkg::place_t  even_i,
  input  wire cst_state_pkg::place_t  odd_i,
  input  wire logic [2*IdBits-1:0]    line_id_i,
  input  wire logic                   entry_valid_i,
  output      logic                   entry_ready_o,
  input  wire cst_state_pkg::place_t  entry_i,
  input  wire logic [TagBits-1:0]     entry_tag_i,
  input  wire logic                   walk_valid_i,
  output      logic                   walk_ready_o,
  input  wire cst_state_pkg::place_t  walk_i,
  input  wire logic [WalkTagBits-1:0] walk_tag_i,
  // what they bring
  output      logic                   row_fill_valid_o,
  output      logic [IdBits-1:0]      row_fill_id_o,
  output      logic [255:0]           row_fill_o,
  output      logic [1:0]             line_fill_valid_o,
  input  wire logic [1:0]             line_fill_ready_i,
  output      logic [2*LineStride-1:0] line_fill_o,    // each its id, then its bytes
  output      logic                   entry_fill_valid_o,
  input  wire logic                   entry_fill_ready_i,
  output      logic [TagBits-1:0]     entry_fill_tag_o,
  output      logic [767:0]           entry_fill_o,
  output      logic                   walk_beat_valid_o,
  output      logic [LineStride-1:0]  walk_beat_o,     // its tag, then its bytes
  // writes
  input  wire logic                   entry_out_valid_i,
  output      logic                   entry_out_ready_o,
  input  wire logic [3:0]             entry_out_channel_i,
  input  wire cst_state_pkg::write_t  entry_out_i,
  input  wire logic                   record_out_valid_i,
  output      logic                   record_out_ready_o,
  input  wire logic [3:0]             record_out_channel_i,
  input  wire cst_state_pkg::write_t  record_out_i,
  input  wire logic [1:0]             line_out_valid_i,
  output      logic [1:0]             line_out_ready_o,
  input  wire logic [7:0]             line_out_channel_i,
  input  wire logic [2*WriteStride-1:0] line_out_i,
  // a state without a record, whose answer is made up
  input  wire logic                   none_valid_i,
  output      logic                   none_ready_o,
  input  wire cst_state_pkg::ack_t    none_i,
  // answers: of keys' entries (0) and records (1), of lines
  output      logic [1:0]             key_ack_valid_o,
  input  wire logic [1:0]             key_ack_ready_i,
  output      logic [2*IdBits-1:0]    key_ack_id_o,
  output      logic [1:0]             line_ack_valid_o,
  input  wire logic [1:0]             line_ack_ready_i,
  output      logic [2*IdBits-1:0]    line_ack_id_o,
  // AXI4, channel c's bits c
  output      logic [Channels-1:0]             b_ready_o,
  output      logic [Channels-1:0]             w_last_o,
  output      logic [Channels*64-1:0]          w_strb_o,
  output      logic [Channels*512-1:0]         w_data_o,
  output      logic [Channels-1:0]             w_valid_o,
  output      logic [Channels*8-1:0]           aw_len_o,
  output      logic [Channels*AddressBits-1:0] aw_address_o,
  output      logic [Channels-1:0]             aw_valid_o,
  output      logic [Channels-1:0]             r_ready_o,
  output      logic [Channels*8-1:0]           ar_len_o,
  output      logic [Channels*AddressBits-1:0] ar_address_o,
  output      logic [Channels-1:0]             ar_valid_o,
  input  wire logic [Channels-1:0]             ar_ready_i,
  input  wire logic [Channels-1:0]             r_valid_i,
  input  wire logic [Channels*512-1:0]         r_data_i,
  input  wire logic [Channels*2-1:0]           r_resp_i,
  input  wire logic [Channels-1:0]             r_last_i,
  input  wire logic [Channels-1:0]             aw_ready_i,
  input  wire logic [Channels-1:0]             w_ready_i,
  input  wire logic [Channels-1:0]             b_valid_i,
  input  wire logic [Channels*2-1:0]           b_resp_i
);
  // ---- Who asks which channel -------------------------------------------------------------------
  // Which channels take something of a kind, a bit a channel.
  logic [Channels-1:0] row_room, line_room, entry_room, walk_room;
  logic [Channels-1:0] entry_out_room, record_out_room, line_out_room;
  logic [Channels-1:0] walk_valids, walk_readies;
  logic [Channels*RowStride-1:0] rows;
  logic [Channels*LineStride-1:0] lines, walks;
  logic [Channels*AnswerStride-1:0] entries;
  logic [Channels-1:0] row_valids, row_readies, entry_valids, entry_readies;
  logic [Channels-1:0] entry_acks, entry_ack_readies, record_acks, record_ack_readies;
  logic [Channels-1:0] line_valids, line_readies, line_acks, line_ack_readies;
  logic [Channels*AckBits-1:0] entry_acks_in, record_acks_in, line_acks_in;

  // What each kind asks for, the same at every port.
  logic [AskBits-1:0] row_ask, even_ask, odd_ask, entry_ask, walk_ask;
  assign row_ask = {row_i.address, TagBits'(row_id_i)};
  assign even_ask = {even_i.address, TagBits'(line_id_i[0 +: IdBits])};
  assign odd_ask = {odd_i.address, TagBits'(line_id_i[IdBits +: IdBits])};
  assign entry_ask = {entry_i.address, entry_tag_i};
  assign walk_ask = {walk_i.address, TagBits'(walk_tag_i)};

  // Who asks which channel, a bit a channel.
  logic [Channels-1:0] row_at, entry_at, walk_at, entry_out_at, record_out_at;
  logic [2*Channels-1:0] line_at, line_out_at;
  assign row_at = Channels'(row_valid_i) << row_i.channel;
  assign entry_at = Channels'(entry_valid_i) << entry_i.channel;
  assign walk_at = Channels'(walk_valid_i) << walk_i.channel;
  assign line_at = {Channels'(line_valid_i[1]) << odd_i.channel,
                    Channels'(line_valid_i[0]) << even_i.channel};
  assign entry_out_at = Channels'(entry_out_valid_i) << entry_out_channel_i;
  assign record_out_at = Channels'(record_out_valid_i) << record_out_channel_i;
  assign line_out_at = {Channels'(line_out_valid_i[1]) << line_out_channel_i[7:4],
                        Channels'(line_out_valid_i[0]) << line_out_channel_i[3:0]};

  // ---- The channels -----------------------------------------------------------------------------
  for (genvar c = 0; c < Channels; c++) begin : g_channel
    localparam int unsigned H = c % 2;
    // What all channels have together goes from one to the next, each adding its own: of a vector
    // with a bit a channel Verilator 5.006 makes a shift for each, at every clock.
    logic [3:0] faults;
    logic still, busy;
    logic [4:0] reads, writes, even_answers, odd_answers;
    logic read_quiet, read_error, read_outside, read_silent, read_asked, read_busy;
    logic write_quiet, write_error, write_outside, write_silent, write_asked, write_busy;
    logic [1:0] answered;
    logic [3:0] out_valid;
    logic [2:0] ack_valid;
    logic [IdBits+255:0] out_row;
    logic [IdBits+511:0] out_line;
    logic [TagBits+767:0] out_entry;
    logic [WalkTagBits+511:0] out_walk;

    cst_state_channel #(.SilenceBits(SilenceBits)) u_channel (
      .clk_i, .rst_ni, .unit_rst_ni(unit_rst_ni), .stop_i(stop_i),
      .first_page_i(config_i.first_page), .end_page_i(config_i.end_page),
      .entry_units_i(config_i.entry_units), .few_i(few_i),
      .read_valid_i({walk_at[c], entry_at[c], line_at[H*Channels+c], row_at[c]}),
      .read_ready_o({walk_room[c], entry_room[c], line_room[c], row_room[c]}),
      .read_row_i(row_ask), .read_line_i((H == 0) ? even_ask : odd_ask), .read_entry_i(entry_ask),
      .read_walk_i(walk_ask),
      .out_valid_o(out_valid),
      .out_ready_i({walk_readies[c], entry_readies[c], line_readies[c], row_readies[c]}),
      .out_row_o(out_row), .out_line_o(out_line), .out_entry_o(out_entry), .out_walk_o(out_walk),
      .write_valid_i({line_out_at[H*Channels+c], record_out_at[c], entry_out_at[c]}),
      .write_ready_o({line_out_room[c], record_out_room[c], entry_out_room[c]}),
      .write_entry_i(entry_out_i), .write_record_i(record_out_i),
      .write_line_i(line_out_i[H*WriteStride +: WriteBits]),
      .ack_valid_o(ack_valid),
      .ack_ready_i({line_ack_readies[c], record_ack_readies[c], entry_ack_readies[c]}),
      .ack_o({line_acks_in[c*AckBits +: AckBits], record_acks_in[c*AckBits +: AckBits],
              entry_acks_in[c*AckBits +: AckBits]}),
      .ar_valid_o(ar_valid_o[c]), .ar_ready_i(ar_ready_i[c]),
      .ar_address_o(ar_address_o[c*AddressBits +: AddressBits]), .ar_len_o(ar_len_o[c*8 +: 8]),
      .r_valid_i(r_valid_i[c]), .r_ready_o(r_ready_o[c]), .r_data_i(r_data_i[c*512 +: 512]),
      .r_resp_i(r_resp_i[c*2 +: 2]), .r_last_i(r_last_i[c]),
      .aw_valid_o(aw_valid_o[c]), .aw_ready_i(aw_ready_i[c]),
      .aw_address_o(aw_address_o[c*AddressBits +: AddressBits]), .aw_len_o(aw_len_o[c*8 +: 8]),
      .w_valid_o(w_valid_o[c]), .w_ready_i(w_ready_i[c]), .w_data_o(w_data_o[c*512 +: 512]),
      .w_strb_o(w_strb_o[c*64 +: 64]), .w_last_o(w_last_o[c]),
      .b_valid_i(b_valid_i[c]), .b_ready_o(b_ready_o[c]), .b_resp_i(b_resp_i[c*2 +: 2]),
      .read_quiet_o(read_quiet), .read_error_o(read_error), .read_outside_o(read_outside),
      .read_silent_o(read_silent), .write_quiet_o(write_quiet), .write_error_o(write_error),
      .write_outside_o(write_outside), .write_silent_o(write_silent),
      .read_asked_o(read_asked), .read_busy_o(read_busy),
      .write_asked_o(write_asked), .write_busy_o(write_busy), .answered_o(answered)
    );
    // What is counted, and an address outside, is known at the end of a clock: it counts a clock
    // later. Whoever counts takes what memory answered for owed until then.
    logic outside_q, read_asked_q, write_asked_q;
    logic [1:0] answered_q;
    always_ff @(posedge clk_i) begin
      if (!unit_rst_ni) {outside_q, read_asked_q, write_asked_q, answered_q} <= '0;
      else {outside_q, read_asked_q, write_asked_q, answered_q} <=
               {read_outside || write_outside, read_asked, write_asked, answered};
    end
    if (c == 0) begin : g_first
      assign faults = {read_silent || write_silent, outside_q, write_error, read_error};
      assign still = read_quiet && write_quiet;
      assign busy = read_busy || write_busy;
      assign reads = 5'(read_asked_q);
      assign writes = 5'(write_asked_q);
      assign even_answers = 5'(answered_q[0]);
      assign odd_answers = 5'(answered_q[1]);
    end else begin : g_next
      assign faults = g_channel[c-1].faults |
                      {read_silent || write_silent, outside_q, write_error, read_error};
      assign still = g_channel[c-1].still && read_quiet && write_quiet;
      assign busy = g_channel[c-1].busy || read_busy || write_busy;
      assign reads = g_channel[c-1].reads + 5'(read_asked_q);
      assign writes = g_channel[c-1].writes + 5'(write_asked_q);
      assign even_answers = g_channel[c-1].even_answers + 5'(answered_q[0]);
      assign odd_answers = g_channel[c-1].odd_answers + 5'(answered_q[1]);
    end
    assign {walk_valids[c], entry_valids[c], line_valids[c], row_valids[c]} = out_valid;
    // A condition, because of an assignment Verilator 5.006 makes a concatenation of all channels,
    // which copies for each what it has of those before.
    always_comb begin
      rows[c*RowStride +: RowStride] = '0;
      lines[c*LineStride +: LineStride] = '0;
      entries[c*AnswerStride +: AnswerStride] = '0;
      walks[c*LineStride +: LineStride] = '0;
      if (out_valid != '0) begin
        rows[c*RowStride +: TagStride] = TagStride'(out_row[256 +: IdBits]);
        rows[c*RowStride+TagStride +: 256] = out_row[255:0];
        lines[c*LineStride +: TagStride] = TagStride'(out_line[512 +: IdBits]);
        lines[c*LineStride+TagStride +: 512] = out_line[511:0];
        entries[c*AnswerStride +: TagStride] = TagStride'(out_entry[768 +: TagBits]);
        entries[c*AnswerStride+TagStride +: 768] = out_entry[767:0];
        walks[c*LineStride +: TagStride] = TagStride'(out_walk[512 +: WalkTagBits]);
        walks[c*LineStride+TagStride +: 512] = out_walk[511:0];
      end
    end
    assign {line_acks[c], record_acks[c], entry_acks[c]} = ack_valid;
  end
  assign faults_o = g_channel[Channels-1].faults;
  assign quiet_o = g_channel[Channels-1].still;

  assign busy_o = g_channel[Channels-1].busy;
  assign reads_o = g_channel[Channels-1].reads;
  assign writes_o = g_channel[Channels-1].writes;
  assign answered_o = {g_channel[Channels-1].odd_answers, g_channel[Channels-1].even_answers};

  assign row_ready_o = row_room[row_i.channel];
  assign line_ready_o = {line_room[odd_i.channel], line_room[even_i.channel]};
  assign entry_ready_o = entry_room[entry_i.channel];
  assign walk_ready_o = walk_room[walk_i.channel];
  assign entry_out_ready_o = entry_out_room[entry_out_channel_i];
  assign record_out_ready_o = record_out_room[record_out_channel_i];
  assign line_out_ready_o = {line_out_room[line_out_channel_i[7:4]],
                             line_out_room[line_out_channel_i[3:0]]};

  // ---- What they answer, one a clock of each kind -----------------------------------------------
  logic [RowStride-1:0] row_filled;
  logic [AnswerStride-1:0] entry_filled;
  cst_merge #(.Ports(Channels), .Width(RowStride)) u_rows (
    .clk_i, .rst_ni(unit_rst_ni),
    .in_valid_i(row_valids), .in_ready_o(row_readies), .in_data_i(rows),
    .out_valid_o(row_fill_valid_o), .out_ready_i(1'b1), .out_data_o(row_filled),
    .out_port_o()
  );
  cst_merge #(.Ports(Channels), .Width(AnswerStride)) u_entries (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(entry_valids), .in_ready_o(entry_readies),
    .in_data_i(entries),
    .out_valid_o(entry_fill_valid_o), .out_ready_i(entry_fill_ready_i), .out_data_o(entry_filled),
    .out_port_o()
  );
  cst_merge #(.Ports(Channels), .Width(LineStride)) u_walks (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(walk_valids), .in_ready_o(walk_readies),
    .in_data_i(walks),
    .out_valid_o(walk_beat_valid_o), .out_ready_i(1'b1), .out_data_o(walk_beat_o), .out_port_o()
  );
  assign row_fill_o = row_filled[TagStride +: 256];
  assign row_fill_id_o = row_filled[0 +: IdBits];
  assign entry_fill_o = entry_filled[TagStride +: 768];
  assign entry_fill_tag_o = entry_filled[0 +: TagBits];

  // Even lines live on even channels, odd ones on odd.
  logic [2*AckBits-1:0] line_ack;
  logic [2*Channels-1:0] half_readies, half_ack_readies;
  localparam logic [Channels-1:0] Even = {Half{2'b01}};
  assign line_readies = (half_readies[0 +: Channels] & Even) |
                        (half_readies[Channels +: Channels] & ~Even);
  assign line_ack_readies = (half_ack_readies[0 +: Channels] & Even) |
                            (half_ack_readies[Channels +: Channels] & ~Even);
  for (genvar h = 0; h < 2; h++) begin : g_collect
    localparam logic [Channels-1:0] Mine = (h == 0) ? Even : ~Even;
    cst_merge #(.Ports(Channels), .Width(LineStride)) u_lines (
      .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(line_valids & Mine),
      .in_ready_o(half_readies[h*Channels +: Channels]), .in_data_i(lines),
      .out_valid_o(line_fill_valid_o[h]), .out_ready_i(line_fill_ready_i[h]),
      .out_data_o(line_fill_o[h*LineStride +: LineStride]),
      .out_port_o()
    );
    cst_merge #(.Ports(Channels), .Width(AckBits)) u_line_acks (
      .clk_i, .rst_ni(unit_rst_ni), .in_valid_i(line_acks & Mine),
      .in_ready_o(half_ack_readies[h*Channels +: Channels]), .in_data_i(line_acks_in),
      .out_valid_o(line_ack_valid_o[h]), .out_ready_i(line_ack_ready_i[h]),
      .out_data_o(line_ack[h*AckBits +: AckBits]),
      .out_port_o()
    );
    assign line_ack_id_o[h*IdBits +: IdBits] = line_ack[h*AckBits + 2 +: IdBits];
  end

  logic entry_ack_valid, record_ack_valid;
  cst_state_pkg::ack_t entry_ack, record_ack;
  cst_merge #(.Ports(Channels), .Width(AckBits)) u_entry_acks (
    .clk_i, .rst_ni(unit_rst_ni),
    .in_valid_i(entry_acks), .in_ready_o(entry_ack_readies), .in_data_i(entry_acks_in),
    .out_valid_o(entry_ack_valid), .out_ready_i(key_ack_ready_i[0]), .out_data_o(entry_ack),
    .out_port_o()
  );
  cst_merge #(.Ports(Channels + 1), .Width(AckBits)) u_record_acks (
    .clk_i, .rst_ni(unit_rst_ni), .in_valid_i({none_valid_i, record_acks}),
    .in_ready_o({none_ready_o, record_ack_readies}),
    .in_data_i({none_i, record_acks_in}),
    .out_valid_o(record_ack_valid), .out_ready_i(key_ack_ready_i[1]), .out_data_o(record_ack),
    .out_port_o()
  );
  assign key_ack_valid_o = {record_ack_valid, entry_ack_valid};
  assign key_ack_id_o = {record_ack.id, entry_ack.id};

  logic unused_bits;
  assign unused_bits = ^{config_i, line_ack, entry_ack, record_ack, row_filled, entry_filled,
                         line_out_i};
endmodule
`default_nettype wire
